// Shapes in clutter: images that are harder to know than those of pattern.hpp.
//
// On ground of one brightness, with spots on it, lies a figure in any direction: a disc 0, a ring 1, a square 2, a
// triangle 3, a cross 4 or a bar 5, which is the image's class. A disc of the ground's brightness may hide a part of
// it. All of it is lit from one side. As with patterns, everything lies in a square of 256 by 256, and comes from the
// image's number and the seed.
//
// tools/models/shapes.py has the same rules, and train_shapes.py trains the model "shapes" with them.
#pragma once

#include <cstdint>

namespace guest::graph {

inline constexpr std::uint32_t kShapeClasses = 6;

/// One image's shape: a value for each point of 256 by 256.
class ShapePicture {
 public:
  ShapePicture(std::uint64_t seed, std::uint64_t number);
  /// May be a little below 0 or above 255.
  [[nodiscard]] std::int64_t at(std::uint32_t x, std::uint32_t y) const;

 private:
  struct Disc {
    std::int32_t x;
    std::int32_t y;
    std::int32_t radius;
    std::int32_t level;
  };
  static constexpr std::uint32_t kSpots = 6;
  [[nodiscard]] bool is_in_figure(std::int32_t right, std::int32_t down) const;

  std::uint32_t label_;
  std::uint32_t angle_;  ///< 64ths of a turn
  std::int32_t radius_;
  std::int32_t centre_x_;
  std::int32_t centre_y_;
  std::int32_t ground_;
  std::int32_t figure_;
  std::int32_t slope_x_;
  std::int32_t slope_y_;
  std::uint32_t spot_count_;
  Disc spots_[kSpots];
  Disc cover_;
};

}  // namespace guest::graph
