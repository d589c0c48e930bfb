// Time, as an interface, so that portable code runs against a fake clock in tests.
#pragma once

#include <cstdint>

namespace guest::kernel {

/// Monotonic time since reset. Callable from any context.
class Clock {
 public:
  [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
  /// Smallest step of now_ns(), rounded up.
  [[nodiscard]] virtual std::uint64_t resolution_ns() const = 0;

 protected:
  ~Clock() = default;
};

}  // namespace guest::kernel
