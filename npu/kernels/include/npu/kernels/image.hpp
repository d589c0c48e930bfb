// Windows that move over images of NHWC.
#pragma once

#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"

namespace npu {

/// Where an output pixel is, and where its window begins, which may be outside of the image.
struct Window {
  std::uint64_t batch;
  std::int64_t top;
  std::int64_t left;
  std::uint64_t out_row;     ///< of the output operand
  std::uint64_t out_column;  ///< of the pixel, in the row
};

/// Pixels are numbered through rows, images and batches. Dimensions and padding are below 2^31, so nothing overflows.
[[gnu::always_inline]] static inline Window window_at(const Checked& command, std::uint64_t pixel) {
  namespace image = abi::npu::dim::image;
  const auto& d = command.dims;
  const std::uint64_t column = pixel % d[image::kOutWidth];
  const std::uint64_t row = pixel / d[image::kOutWidth];
  const std::uint64_t y = row % d[image::kOutHeight];
  return {
      .batch = row / d[image::kOutHeight],
      .top = static_cast<std::int64_t>(y * d[image::kStrideHeight]) - command.params[abi::npu::param::kPadTop],
      .left = static_cast<std::int64_t>(column * d[image::kStrideWidth]) - command.params[abi::npu::param::kPadLeft],
      .out_row = row,
      .out_column = column};
}

/// Taps of a window along one axis that are within the image: [begin, end); none if begin is not below end.
struct Taps {
  std::uint64_t begin;
  std::uint64_t end;
};
[[gnu::always_inline]] static inline Taps taps_inside(std::int64_t start, std::uint64_t step, std::uint64_t kernel,
                                                      std::uint64_t image) {
  const std::uint64_t before = start < 0 ? static_cast<std::uint64_t>(-start) : 0;
  const std::uint64_t begin = (before + step - 1) / step;
  const std::int64_t room = static_cast<std::int64_t>(image) - start;  // at least 1: the checker has seen to that
  const std::uint64_t end = (static_cast<std::uint64_t>(room) + step - 1) / step;
  return {begin, end < kernel ? end : kernel};
}

/// Calls visit(row of the input operand, pixel in it, tap) for every tap inside of the image, in their order; a tap is
/// its number in the kernel.
template <typename Visit>
[[gnu::always_inline]] static inline void each_tap(const Checked& command, const Window& window, Visit&& visit) {
  namespace image = abi::npu::dim::image;
  const auto& d = command.dims;
  const std::uint64_t step = d[image::kDilation] != 0 ? d[image::kDilation] : 1;
  const Taps down = taps_inside(window.top, step, d[image::kKernelHeight], d[image::kHeight]);
  const Taps across = taps_inside(window.left, step, d[image::kKernelWidth], d[image::kWidth]);
  for (std::uint64_t ky = down.begin; ky < down.end; ++ky) {
    const auto y = static_cast<std::uint64_t>(window.top + static_cast<std::int64_t>(ky * step));
    for (std::uint64_t kx = across.begin; kx < across.end; ++kx) {
      const auto x = static_cast<std::uint64_t>(window.left + static_cast<std::int64_t>(kx * step));
      visit(window.batch * d[image::kHeight] + y, x, ky * d[image::kKernelWidth] + kx);
    }
  }
}

}  // namespace npu
