// Running a scene's command, for tests of kernels.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "npu/kernels/kernels.hpp"
#include "npu/testing/examples.hpp"

namespace npu::testing {

/// Runs the units of a command in one go. The command must be right, and its indices in range.
inline void run(Scene& scene, const KernelSet& set = scalar_kernels()) {
  const auto checked = scene.check();
  ASSERT_TRUE(checked) << "refused: " << static_cast<unsigned>(checked.error().reason) << " at "
                       << checked.error().field_offset;
  const auto reason =
      set.kernels[static_cast<unsigned>(checked->opcode)](*checked, {.first = 0, .count = partition(*checked).units});
  ASSERT_FALSE(reason);
}

/// The example of that name.
inline Scene example(const std::string& name) {
  for (const Example& each : examples()) {
    if (each.name == name) {
      return each.make();
    }
  }
  throw std::runtime_error("no example " + name);
}

/// An element, for sums in extended precision.
inline long double wide(Scene& scene, unsigned operand, std::uint64_t row, std::uint64_t column) {
  return static_cast<long double>(scene.value(operand, row, column));
}

/// What a result may be off that was rounded to f32 once, from sums in binary64 of numbers of this magnitude.
inline double rounding(double value, double magnitude) {
  return std::abs(value) * 0x1p-24 + magnitude * 0x1p-45 + 0x1p-149;
}

/// Compares an element of the output with what it should be: the same NaN-ness, infinity, or number within `tolerance`.
inline void expect_element(Scene& scene, std::uint64_t row, std::uint64_t column, double expected, double tolerance) {
  const double value = scene.value(0, row, column);
  if (std::isnan(expected) || std::isinf(expected)) {
    EXPECT_TRUE(std::isnan(expected) ? std::isnan(value) : value == expected)
        << value << " at " << row << ", " << column;
  } else {
    EXPECT_NEAR(value, expected, tolerance) << "at " << row << ", " << column;
  }
}

}  // namespace npu::testing
