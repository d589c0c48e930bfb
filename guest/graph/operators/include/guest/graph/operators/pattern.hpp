// Test patterns: images that a program makes, each of a known class.
//
// A picture lies in a square of 256 by 256 whatever its size in pixels, so that one class looks the same in all sizes.
// Where it lies there, how large it is and how bright come from the image's number and the seed.
//
//   gradient   from 0 to 255 in one of eight directions
//   checker    squares of a side of 32, 43 or 64
//   bars       upright or level, 32, 43 or 64 wide
//   circle     a bright disc of a radius of 40 to 87, around a point 96 to 159 from both edges
//   moving     the same at 64 to 184 from the left, 8 further right with each image
//   cycle      the first four in turn
//   shapes     shapes.hpp
//
// tools/models/patterns.py has the same rules, and trains the built-in model with them.
#pragma once

#include <cstdint>
#include <span>

namespace guest::graph {

enum class Pattern : std::uint8_t { Gradient, Checker, Bars, Circle, Moving, Cycle, Shapes };
/// Classes of images but for shapes: gradient 0, checker 1, bars 2, circle 3.
inline constexpr std::uint32_t kPatternClasses = 4;

struct PatternImage {
  Pattern pattern;
  std::uint32_t width;
  std::uint32_t height;
  std::uint64_t seed;
  std::uint32_t noise;  ///< at most so much more or less, 0 to 255
};

/// The class of image `number`.
std::uint32_t label_of(Pattern pattern, std::uint64_t number);
/// Draws image `number`, u8 [height, width].
void draw(const PatternImage& image, std::uint64_t number, std::span<std::byte> to);

}  // namespace guest::graph
