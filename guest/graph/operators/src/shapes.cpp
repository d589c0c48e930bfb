#include "shapes.hpp"

#include "random.hpp"

namespace guest::graph {
namespace {

/// What is drawn by chance, one number after the other.
class Chance {
 public:
  Chance(std::uint64_t seed, std::uint64_t number) : stream_(random_at(seed, number)) {}
  /// Below `count`, which is at most 65,536.
  std::int32_t below(std::uint32_t count) {
    return static_cast<std::int32_t>((random_at(stream_, drawn_++) & 0xffff) * count >> 16);
  }

 private:
  std::uint64_t stream_;
  std::uint64_t drawn_ = 0;
};

constexpr std::uint32_t kTurn = 64;

/// 256 * sin of 64ths of a turn, rounded.
std::int32_t sine(std::uint32_t turn) {
  constexpr std::int32_t kQuarter[] = {0, 25, 50, 74, 98, 121, 142, 162, 181, 198, 213, 226, 237, 245, 251, 255, 256};
  const std::uint32_t half = turn % (kTurn / 2);
  const std::int32_t value = kQuarter[half <= kTurn / 4 ? half : kTurn / 2 - half];
  return turn % kTurn < kTurn / 2 ? value : -value;
}

std::int32_t cosine(std::uint32_t turn) { return sine(turn + kTurn / 4); }

constexpr std::int32_t square(std::int32_t value) { return value * value; }
constexpr std::int32_t magnitude(std::int32_t value) { return value < 0 ? -value : value; }

}  // namespace

// The order of what is drawn is part of the rules.
ShapePicture::ShapePicture(std::uint64_t seed, std::uint64_t number)
    : label_(static_cast<std::uint32_t>(number % kShapeClasses)) {
  Chance chance(seed, number);
  angle_ = static_cast<std::uint32_t>(chance.below(kTurn));
  radius_ = 56 + chance.below(40);
  centre_x_ = 88 + chance.below(80);
  centre_y_ = 88 + chance.below(80);
  ground_ = 40 + chance.below(176);
  const std::int32_t contrast = 48 + chance.below(80);
  figure_ = ground_ >= 128 ? ground_ - contrast : ground_ + contrast;
  slope_x_ = chance.below(65) - 32;
  slope_y_ = chance.below(65) - 32;
  spot_count_ = static_cast<std::uint32_t>(chance.below(kSpots + 1));
  for (Disc& spot : spots_) {
    spot.x = chance.below(256);
    spot.y = chance.below(256);
    spot.radius = 8 + chance.below(20);
    spot.level = chance.below(256);
  }
  const auto where = static_cast<std::uint32_t>(chance.below(kTurn));
  cover_ = {.x = centre_x_ + (radius_ * cosine(where) >> 8),
            .y = centre_y_ + (radius_ * sine(where) >> 8),
            .radius = radius_ * chance.below(33) / 80,
            .level = ground_};
}

bool ShapePicture::is_in_figure(std::int32_t right, std::int32_t down) const {
  const std::int32_t u = (right * cosine(angle_) + down * sine(angle_)) >> 8;
  const std::int32_t v = (down * cosine(angle_) - right * sine(angle_)) >> 8;
  const std::int32_t across = magnitude(u);
  const std::int32_t along = magnitude(v);
  const std::int32_t away = square(u) + square(v);
  const std::int32_t thin = radius_ / 4;
  switch (label_) {
    case 0:
      return away <= square(radius_);
    case 1:
      return away <= square(radius_) && away * 64 >= square(radius_) * 25;
    case 2:
      return across * 64 <= radius_ * 45 && along * 64 <= radius_ * 45;
    case 3:
      return 2 * v <= radius_ && 443 * across <= 256 * (v + radius_);  // 443 / 256 is the root of 3
    case 4:
      return (across <= thin && along <= radius_) || (along <= thin && across <= radius_);
    default:
      return across <= radius_ && along <= thin;
  }
}

std::int64_t ShapePicture::at(std::uint32_t x, std::uint32_t y) const {
  const auto point_x = static_cast<std::int32_t>(x);
  const auto point_y = static_cast<std::int32_t>(y);
  std::int32_t value = ground_;
  for (std::uint32_t i = 0; i < spot_count_; ++i) {
    const Disc& spot = spots_[i];
    if (square(point_x - spot.x) + square(point_y - spot.y) <= square(spot.radius)) {
      value = spot.level;
    }
  }
  if (is_in_figure(point_x - centre_x_, point_y - centre_y_)) {
    value = figure_;
  }
  if (square(point_x - cover_.x) + square(point_y - cover_.y) < square(cover_.radius)) {
    value = cover_.level;
  }
  return value + ((slope_x_ * (point_x - 128) + slope_y_ * (point_y - 128)) >> 8);
}

}  // namespace guest::graph
