#include "guest/graph/operators/pattern.hpp"

#include <algorithm>

#include "random.hpp"
#include "shapes.hpp"

namespace guest::graph {
namespace {

constexpr std::uint32_t kSides[] = {32, 43, 64};

/// What is drawn by chance: bits of one number.
struct Chance {
  explicit Chance(std::uint64_t number) : bits(number) {}
  /// Below `count`, which is at most 256.
  std::uint32_t below(std::uint32_t count) {
    const auto value = static_cast<std::uint32_t>(bits & 0xff) * count >> 8;
    bits >>= 8;
    return value;
  }
  std::uint64_t bits;
};

/// One image's picture: a value for each point of 256 by 256.
class Picture {
 public:
  Picture(std::uint32_t label, bool moves, std::uint64_t seed, std::uint64_t number) : label_(label) {
    Chance chance(random_at(seed, number));
    direction_ = chance.below(8);
    side_ = kSides[chance.below(3)];
    phase_x_ = chance.below(128);
    phase_y_ = chance.below(128);
    dark_ = chance.below(64);
    bright_ = 255 - chance.below(64);
    const std::uint32_t radius = 40 + chance.below(48);
    radius_squared_ = static_cast<std::int32_t>(radius * radius);
    centre_x_ =
        moves ? static_cast<std::int32_t>(64 + 8 * (number % 16)) : static_cast<std::int32_t>(96 + phase_x_ / 2);
    centre_y_ = static_cast<std::int32_t>(96 + phase_y_ / 2);
  }

  [[nodiscard]] std::uint32_t at(std::uint32_t x, std::uint32_t y) const {
    switch (label_) {
      case 0:
        return gradient(x, y);
      case 1:
        return ((x + phase_x_) / side_ + (y + phase_y_) / side_) % 2 == 0 ? dark_ : bright_;
      case 2:
        return (direction_ % 2 == 0 ? (x + phase_x_) / side_ : (y + phase_y_) / side_) % 2 == 0 ? dark_ : bright_;
      default:
        return is_in_circle(x, y) ? bright_ : dark_;
    }
  }

 private:
  [[nodiscard]] std::uint32_t gradient(std::uint32_t x, std::uint32_t y) const {
    const std::uint32_t across = (direction_ & 1) == 0 ? x : 255 - x;
    const std::uint32_t down = (direction_ & 2) == 0 ? y : 255 - y;
    if ((direction_ & 4) != 0) {
      return (across + down) / 2;
    }
    return (direction_ & 2) == 0 ? across : down;
  }

  [[nodiscard]] bool is_in_circle(std::uint32_t x, std::uint32_t y) const {
    const std::int32_t right = static_cast<std::int32_t>(x) - centre_x_;
    const std::int32_t down = static_cast<std::int32_t>(y) - centre_y_;
    return right * right + down * down <= radius_squared_;
  }

  std::uint32_t label_;
  std::uint32_t direction_ = 0;
  std::uint32_t side_ = 0;
  std::uint32_t phase_x_ = 0;
  std::uint32_t phase_y_ = 0;
  std::uint32_t dark_ = 0;
  std::uint32_t bright_ = 0;
  std::int32_t radius_squared_ = 0;
  std::int32_t centre_x_ = 0;
  std::int32_t centre_y_ = 0;
};

/// The middle of pixel `index` of `size`, in 256 parts of the whole.
std::uint32_t scaled(std::uint32_t index, std::uint32_t size) { return (2 * index + 1) * 128 / size; }

/// Draws `picture`, with noise.
template <typename Anything>
void paint(const Anything& picture, const PatternImage& image, std::uint64_t number, std::span<std::byte> to) {
  const std::uint64_t noise_seed = mix(image.seed) ^ number;
  std::size_t next = 0;
  for (std::uint32_t y = 0; y < image.height; ++y) {
    for (std::uint32_t x = 0; x < image.width; ++x) {
      std::int64_t value = picture.at(scaled(x, image.width), scaled(y, image.height));
      if (image.noise > 0) {
        value += static_cast<std::int64_t>(random_at(noise_seed, next) % (2 * image.noise + 1)) - image.noise;
      }
      to[next++] = static_cast<std::byte>(std::clamp<std::int64_t>(value, 0, 255));
    }
  }
}

}  // namespace

std::uint32_t label_of(Pattern pattern, std::uint64_t number) {
  if (pattern == Pattern::Cycle) {
    return static_cast<std::uint32_t>(number % kPatternClasses);
  }
  if (pattern == Pattern::Shapes) {
    return static_cast<std::uint32_t>(number % kShapeClasses);
  }
  return pattern == Pattern::Moving ? static_cast<std::uint32_t>(Pattern::Circle) : static_cast<std::uint32_t>(pattern);
}

void draw(const PatternImage& image, std::uint64_t number, std::span<std::byte> to) {
  if (image.pattern == Pattern::Shapes) {
    paint(ShapePicture(image.seed, number), image, number, to);
  } else {
    paint(Picture(label_of(image.pattern, number), image.pattern == Pattern::Moving, image.seed, number), image, number,
          to);
  }
}

}  // namespace guest::graph
