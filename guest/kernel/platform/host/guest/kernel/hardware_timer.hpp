// What a test's timer offers.
#pragma once

#include <cstdint>
#include <limits>

#include "guest/kernel/clock.hpp"

namespace guest::kernel {

class HardwareTimer : public Clock {
 public:
  /// Later than any: 292 years. The scheduler's word for never, too, which has a sign.
  static constexpr std::uint64_t kNoDeadline = std::numeric_limits<std::int64_t>::max();
  /// Asks for an interrupt at `deadline_ns` of now_ns(), at once when that has passed; kNoDeadline: none. Replaces the
  /// earlier request. Interrupts masked.
  virtual void set_deadline(std::uint64_t deadline_ns) = 0;

 protected:
  ~HardwareTimer() = default;
};

}  // namespace guest::kernel
