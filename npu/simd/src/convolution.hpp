// Conv2d as products of input pixels and weights, tap by tap: nothing is copied. Element c of a tap goes to lane c mod
// 16; taps that are outside of the image are left out.
#pragma once

#include "image.hpp"

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
  const FinishReal finish(command);
  MemF32* const to = pixel_of<MemF32>(command.operands[operand::kOutput], window, outputs);
  for (std::uint64_t channel = begin; channel < end; channel += kTileColumns) {
    const std::uint64_t count = end - channel < kTileColumns ? end - channel : kTileColumns;
    const RowStarts<kTileColumns> weights(command.operands[operand::kWeight], channel, count);
    RealTile<kPixels> tile = zero_real_tile<kPixels>();
    visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap) {
      RowStarts<kPixels> pixels;
      for (unsigned m = 0; m < kPixels; ++m) {
        pixels.row[m] = row + (x + m * command.dims[image::kStrideWidth]) * inputs * sizeof(float);
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
  const Operand& bias = command.operands[operand::kBias];
  const auto excess = static_cast<std::int32_t>(command.params[abi::npu::param::kZeroIn]) + kFactorOffset;
  MemI8* const to = pixel_of<MemI8>(command.operands[operand::kOutput], window, outputs);
  for (std::uint64_t channel = begin; channel < end; channel += kIntColumns) {
    const std::uint64_t count = end - channel < kIntColumns ? end - channel : kIntColumns;
    const RowStarts<kIntColumns> weights(command.operands[operand::kWeight], channel, count);
    IntTile<kPixels> tile = zero_tile<kPixels>();
    IntTile<1> total = zero_tile<1>();
    visit_taps(command, window, [&] [[gnu::always_inline]] (std::byte * row, std::uint64_t x, std::uint64_t tap) {
      const MemI8* pixels[kPixels];
      for (unsigned m = 0; m < kPixels; ++m) {
        pixels[m] = i8(row + (x + m * command.dims[image::kStrideWidth]) * inputs);
      }
      const MemI8* at_tap[kIntColumns];
      for (unsigned n = 0; n < kIntColumns; ++n) {
        at_tap[n] = i8(weights.row[n] + tap * inputs);
      }
      add_segment<kPixels>(tile, pixels, at_tap, inputs, &total);
    });
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

Outcome conv2d(const Checked& command, Units units) {
  const bool real = command.operands[abi::npu::operand::kOutput].type == Type::F32;
  const unsigned together = real ? kTileRows : kIntRows;
  each_run(command, units, [&] [[gnu::always_inline]] (const Tile& tile) {
    for (std::uint64_t pixel = tile.row_begin; pixel < tile.row_end;) {
      const Window window = window_at(command, pixel);
      const bool alike = pixel + together <= tile.row_end && are_alike(command, window, together);
      if (real) {
        alike ? convolve_real<kTileRows>(command, window, tile.column_begin, tile.column_end)
              : convolve_real<1>(command, window, tile.column_begin, tile.column_end);
      } else {
        alike ? convolve_integers<kIntRows>(command, window, tile.column_begin, tile.column_end)
              : convolve_integers<1>(command, window, tile.column_begin, tile.column_end);
      }
      pixel += alike ? together : 1;
    }
  });
  return std::nullopt;
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
