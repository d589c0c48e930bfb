// Conv2d as products of input pixels and weights, tap by tap: nothing is copied. Element c of a tap goes to lane c mod
// 16; taps that are outside of the image are left out.
#pragma once

#include "image.hpp"
#include "packed_integers.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Some alike pixels, of which `window` is the first one's, and channels [begin, end).
template <unsigned kPixels>
void convolve_real(const Checked& command, const Window& window, std::uint64_t begin, std::uint64_t end) {
  namespace operand = abi::npu::operand;
  namespace image = abi::npu::dim::image;
  const std::uint64_t inputs = command.dims[image::kChannels];
  const std::uint64_t outputs = command.dims[image::kOutChannels];
  const std::uint64_t step = command.dims[image::kStrideWidth];
  const FinishReal finish(command);
  MemF32* const to = pixel_of<MemF32>(command.operands[operand::kOutput], window, outputs);
  for (std::uint64_t channel = begin; channel < end; channel += kTileColumns) {
    const std::uint64_t count = end - channel < kTileColumns ? end - channel : kTileColumns;
    const RowStarts<kTileColumns> weights(command.operands[operand::kWeight], channel, count);
    RealTile<kPixels> tile = zero_real_tile<kPixels>();
    visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap) {
      RowStarts<kPixels> pixels;
      for (std::uint64_t m = 0; m < kPixels; ++m) {
        pixels.row[m] = row + (x + m * step) * inputs * sizeof(float);
      }
      RowStarts<kTileColumns> at_tap;
      for (unsigned n = 0; n < kTileColumns; ++n) {
        at_tap.row[n] = weights.row[n] + tap * inputs * sizeof(float);
      }
      add_to_tile<kPixels, Type::F32>(tile, pixels, at_tap, inputs);
    });
    unrolled<kPixels>([&] [[gnu::always_inline]] (auto m) {
      const Wide* const sum = tile.sum[m];
      finish.write(fold(sum[0], sum[1], sum[2], sum[3]), channel, count, to + m * outputs + channel);
    });
  }
}

/// The same of i8. What the products have too much of is of the taps inside, so it is summed for each window anew: once
/// for pixels that are alike.
template <unsigned kPixels>
void convolve_integers(const Checked& command, const Window& window, std::uint64_t begin, std::uint64_t end) {
  namespace operand = abi::npu::operand;
  namespace image = abi::npu::dim::image;
  const std::uint64_t inputs = command.dims[image::kChannels];
  const std::uint64_t outputs = command.dims[image::kOutChannels];
  const std::uint64_t step = command.dims[image::kStrideWidth];
  const Operand& bias = command.operands[operand::kBias];
  const auto excess = static_cast<std::int32_t>(command.params[abi::npu::param::kZeroIn]) + kFactorOffset;
  MemI8* const to = pixel_of<MemI8>(command.operands[operand::kOutput], window, outputs);
  for (std::uint64_t channel = begin; channel < end; channel += kIntColumns) {
    const std::uint64_t count = end - channel < kIntColumns ? end - channel : kIntColumns;
    const RowStarts<kIntColumns> weights(command.operands[operand::kWeight], channel, count);
    IntTile<kPixels> tile = zero_tile<kPixels>();
    IntTile<1> total = zero_tile<1>();
    const auto add_taps = [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap,
                                                      std::uint64_t taps) {
      const MemI8* pixels[kPixels];
      for (std::uint64_t m = 0; m < kPixels; ++m) {
        pixels[m] = i8(row + (x + m * step) * inputs);
      }
      const MemI8* at_tap[kIntColumns];
      for (unsigned n = 0; n < kIntColumns; ++n) {
        at_tap[n] = i8(weights.row[n] + tap * inputs);
      }
      add_segment<kPixels>(tile, pixels, at_tap, taps * inputs, &total);
    };
    visit_tap_runs(command, window, add_taps);
    const auto too_much = hn::Mul(fold_ints(total.sum[0][0], total.sum[0][1], total.sum[0][2], total.sum[0][3]),
                                  hn::Set(FourI32(), excess));
    alignas(16) std::int32_t start[kIntColumns] = {};
    for (std::uint64_t n = 0; n < count && bias.data != nullptr; ++n) {
      start[n] = i32(bias.data)[channel + n];
    }
    const auto begin_with = hn::Sub(hn::Load(FourI32(), start), too_much);
    unrolled<kPixels>([&] [[gnu::always_inline]] (auto m) {
      alignas(64) std::int32_t sums[kLanes] = {};
      const IntPart* const sum = tile.sum[m];
      hn::Store(hn::Add(fold_ints(sum[0], sum[1], sum[2], sum[3]), begin_with), FourI32(), sums);
      RequantiseRow(command).write(sums, channel, count, to + m * outputs + channel);
    });
  }
}

/// All pixels of a unit for a few channels, whose weights so stay in the cache.
[[gnu::always_inline]] inline void convolve_pixels(const Checked& command, const Tile& unit, std::uint64_t begin,
                                                   std::uint64_t end) {
  const bool real = command.operands[abi::npu::operand::kOutput].type == Type::F32;
  const std::uint64_t together = real ? kTileRows : kIntRows;
  for (std::uint64_t pixel = unit.row_begin; pixel < unit.row_end;) {
    const Window window = window_at(command, pixel);
    const bool alike = pixel + together <= unit.row_end && are_alike(command, window, together);
    if (real && alike) {
      convolve_real<kTileRows>(command, window, begin, end);
    } else if (real) {
      convolve_real<1>(command, window, begin, end);
    } else if (alike) {
      convolve_integers<kIntRows>(command, window, begin, end);
    } else {
      convolve_integers<1>(command, window, begin, end);
    }
    pixel += alike ? together : 1;
  }
}

Outcome conv2d(const Checked& command, Units units) {
  constexpr std::uint64_t kChannels = 8;
  static_assert(kChannels % kTileColumns == 0 && kChannels % kIntColumns == 0);
  each_run(command, units, [&] [[gnu::always_inline]] (const Tile& tile) {
#if HWY_TARGET == HWY_AVX3
    if (is_packed(command, tile)) {
      return convolve_packed_integers(command, tile);
    }
#endif
    for (std::uint64_t begin = tile.column_begin; begin < tile.column_end; begin += kChannels) {
      convolve_pixels(command, tile, begin, tile.column_end - begin < kChannels ? tile.column_end : begin + kChannels);
    }
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
