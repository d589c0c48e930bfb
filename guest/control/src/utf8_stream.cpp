#include "utf8_stream.hpp"

#include <algorithm>

#include "guest/control/utf8.hpp"

namespace guest::control {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kMaxCharacter = 4;

/// Some bytes behind `begin` make it a character.
bool may_begin(std::string_view begin) {
  std::array<char, kMaxCharacter> whole{};
  begin.copy(whole.data(), begin.size());
  // A second byte has four ranges, and each of them has one of these at its ends; any other one is any of 80 to BF.
  for (const char second : {'\x80', '\xBF'}) {
    for (std::size_t size = begin.size() + 1; size <= kMaxCharacter; ++size) {
      std::fill(whole.begin() + static_cast<std::ptrdiff_t>(begin.size()), whole.end(), second);
      if (is_utf8({whole.data(), size})) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

void Utf8Stream::add(std::string_view piece, kernel::TextOutput& out) {
  for (const char byte : piece) {
    waiting_[size_++] = byte;
    // What cannot become a character loses its first byte, until the rest can.
    while (size_ != 0) {
      const std::string_view text(waiting_.data(), size_);
      if (is_utf8(text)) {
        out.write(text);
        size_ = 0;
      } else if (size_ < kMaxCharacter && may_begin(text)) {
        break;
      } else {
        out.write(kReplacement);
        std::copy(waiting_.begin() + 1, waiting_.begin() + size_, waiting_.begin());
        --size_;
      }
    }
  }
}

void Utf8Stream::finish(kernel::TextOutput& out) {
  for (; size_ != 0; --size_) {
    out.write(kReplacement);
  }
}

}  // namespace guest::control
