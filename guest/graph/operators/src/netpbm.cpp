#include "netpbm.hpp"

#include <optional>
#include <string_view>

namespace guest::graph {
namespace {

constexpr std::string_view kBadImage = "graph-bad-image";

/// What comes before the samples.
class Header {
 public:
  explicit Header(std::span<const std::byte> file) : file_(file) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] bool take(char wanted) {
    const bool found = peek() == wanted;
    at_ += found ? 1 : 0;
    return found;
  }
  /// Blanks and comments. False: there are none.
  [[nodiscard]] bool skip_blanks() {
    const std::size_t before = at_;
    while (take_blank() || skip_comment()) {
    }
    return at_ != before;
  }
  [[nodiscard]] bool take_blank() {
    const char next = peek();
    const bool found = next == ' ' || next == '\t' || next == '\n' || next == '\r' || next == '\v' || next == '\f';
    at_ += found ? 1 : 0;
    return found;
  }
  /// A decimal number from 1 to `max`; nothing: there is none.
  [[nodiscard]] std::optional<std::uint32_t> number(std::uint32_t max) {
    std::uint32_t value = 0;
    while (peek() >= '0' && peek() <= '9' && value <= max) {
      value = value * 10 + static_cast<std::uint32_t>(peek() - '0');
      ++at_;
    }
    return value >= 1 && value <= max ? std::optional(value) : std::nullopt;
  }

 private:
  /// NUL, which has no meaning, at the end.
  [[nodiscard]] char peek() const { return at_ < file_.size() ? std::to_integer<char>(file_[at_]) : '\0'; }
  bool skip_comment() {
    if (peek() != '#') {
      return false;
    }
    while (at_ < file_.size() && peek() != '\n') {
      ++at_;
    }
    return true;
  }

  std::span<const std::byte> file_;
  std::size_t at_ = 0;
};

}  // namespace

std::expected<NetpbmImage, kernel::NamedError> read_netpbm(std::span<const std::byte> file) {
  Header header(file);
  const bool is_image = header.take('P');
  const bool is_grey = is_image && header.take('5');
  if (!is_image || (!is_grey && !header.take('6'))) {
    return kernel::fail(kBadImage, "expected P5 or P6 at byte 0");
  }
  std::uint32_t sides[2] = {};
  for (std::uint32_t& side : sides) {
    const auto number = header.skip_blanks() ? header.number(NetpbmImage::kMaxSide) : std::nullopt;
    if (!number) {
      return kernel::fail(kBadImage, "expected a blank and a side of 1 to {} before byte {}", NetpbmImage::kMaxSide,
                          header.at());
    }
    side = *number;
  }
  if (!header.skip_blanks() || header.number(255) != 255 || !header.take_blank()) {
    return kernel::fail(kBadImage, "expected a blank, 255 as the largest sample and one blank before byte {}",
                        header.at());
  }
  const std::uint32_t channels = is_grey ? 1 : 3;
  const std::uint64_t expected = std::uint64_t{sides[0]} * sides[1] * channels;
  const std::span<const std::byte> samples = file.subspan(header.at());
  if (samples.size() != expected) {
    return kernel::fail(kBadImage, "{} bytes behind the header: expected {}, {} by {} of {}", samples.size(), expected,
                        sides[0], sides[1], channels);
  }
  return NetpbmImage{.width = sides[0], .height = sides[1], .channels = channels, .samples = samples};
}

}  // namespace guest::graph
