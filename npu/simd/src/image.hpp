// Windows over images: convolutions and pools.
#pragma once

#include "finish.hpp"
#include "gemm_integers.hpp"
#include "gemm_real.hpp"
#include "npu/kernels/image.hpp"
#include "part.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Where an output pixel's channels lie.
template <typename Element>
[[gnu::always_inline]] inline Element* pixel_of(const Operand& output, const Window& window, std::uint64_t channels) {
  std::byte* const row = row_of(output, window.out_row) + window.out_column * channels * sizeof(Element);
  return static_cast<Element*>(__builtin_assume_aligned(row, alignof(Element)));
}

/// Calls visit(row of the input, pixel in it, tap) for every tap inside of the image. As each_tap(), which is not
/// compiled for the target.
template <typename Visit>
[[gnu::always_inline]] inline void visit_taps(const Checked& command, const Window& window, Visit&& visit) {
  namespace image = abi::npu::dim::image;
  const auto& d = command.dims;
  const std::uint64_t step = d[image::kDilation] != 0 ? d[image::kDilation] : 1;
  const Taps down = taps_inside(window.top, step, d[image::kKernelHeight], d[image::kHeight]);
  const Taps across = taps_inside(window.left, step, d[image::kKernelWidth], d[image::kWidth]);
  for (std::uint64_t ky = down.begin; ky < down.end; ++ky) {
    const auto y = static_cast<std::uint64_t>(window.top + static_cast<std::int64_t>(ky * step));
    std::byte* const row = row_of(command.operands[abi::npu::operand::kInput], window.batch * d[image::kHeight] + y);
    for (std::uint64_t kx = across.begin; kx < across.end; ++kx) {
      const auto x = static_cast<std::uint64_t>(window.left + static_cast<std::int64_t>(kx * step));
      visit(row, x, ky * d[image::kKernelWidth] + kx);
    }
  }
}

/// Calls visit(row of the input, first pixel in it, first tap, how many) for taps inside of the image that lie side by
/// side in the input, as they do in the weights: for sums that may be made in any order.
template <typename Visit>
[[gnu::always_inline]] inline void visit_tap_runs(const Checked& command, const Window& window, Visit&& visit) {
  const Taps across = taps_inside(window.left, 1, command.dims[abi::npu::dim::image::kKernelWidth],
                                  command.dims[abi::npu::dim::image::kWidth]);
  const bool side_by_side = command.dims[abi::npu::dim::image::kDilation] <= 1;
  const std::uint64_t kernel_width = command.dims[abi::npu::dim::image::kKernelWidth];
  visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap) {
    if (!side_by_side) {
      visit(row, x, tap, std::uint64_t{1});
    } else if (tap % kernel_width == across.begin) {
      visit(row, x, tap, across.end - across.begin);
    }
  });
}

/// Output pixels that are computed together: next to each other in a row, and with the same taps inside of the image.
[[gnu::always_inline]] inline bool are_alike(const Checked& command, const Window& window, std::uint64_t pixels) {
  namespace image = abi::npu::dim::image;
  const auto& d = command.dims;
  if (window.out_column + pixels > d[image::kOutWidth]) {
    return false;
  }
  const std::uint64_t step = d[image::kDilation] != 0 ? d[image::kDilation] : 1;
  const std::uint64_t reach = (d[image::kKernelWidth] - 1) * step;
  const std::int64_t last = window.left + static_cast<std::int64_t>((pixels - 1) * d[image::kStrideWidth] + reach);
  return window.left >= 0 && last < static_cast<std::int64_t>(d[image::kWidth]);
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
