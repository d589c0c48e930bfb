// Text that comes in pieces, which may end within a character, as UTF-8.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "guest/kernel/log.hpp"

namespace guest::control {

/// Bytes that are no UTF-8 become U+FFFD, each. A character that has begun waits for its end.
class Utf8Stream {
 public:
  /// The longest that one byte can become.
  static constexpr std::size_t kMaxGrowth = 3;

  /// Writes what is whole. At most kMaxGrowth times the bytes of `piece` and of what waits.
  void add(std::string_view piece, kernel::TextOutput& out);
  /// There is no more: what waits is no character.
  void finish(kernel::TextOutput& out);
  /// Nothing waits.
  [[nodiscard]] bool whole() const { return size_ == 0; }

 private:
  std::array<char, 4> waiting_{};
  std::size_t size_ = 0;
};

}  // namespace guest::control
