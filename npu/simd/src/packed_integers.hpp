// Gemm and Conv2d with weights of i8 that were packed (strips.hpp). Only AVX-512 has them.
//
//   strip:  16 x i32: the sums of the rows' elements, for the zero point of the input
//           step 0: 16 x 4 u8, step 1: 16 x 4 u8, ...          as many as hold a row; behind its end anything
//
// A convolution is a product, too: a window's taps are a row of the input in pieces, and what is outside of the image
// is a piece of zero points, which count for nothing. So no pixel is copied, and all windows are alike.
#pragma once

#include "finish.hpp"
#include "gemm_integers.hpp"
#include "npu/kernels/image.hpp"
#include "strips.hpp"

#if HWY_TARGET == HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// A tile: its sums, a line of each strip and an input are in registers. Of fewer rows more strips, since a sum that
/// waits for itself takes five cycles.
inline constexpr unsigned kPackedRows = 4;
inline constexpr unsigned kPackedStrips = 4;
/// The longest piece of a window.
inline constexpr std::uint64_t kMostPackedChannels = 1024;

struct IntStripLayout {
  explicit IntStripLayout(const Operand& weight)
      : steps((weight.row_bytes + kStepBytes - 1) / kStepBytes), bytes(kLine + steps * kLine) {}
  std::uint64_t steps;
  std::uint64_t bytes;  ///< of a strip
};

/// Weights of i8 that strips can be made of. A window's pieces begin with a step each.
inline bool packs_integers(const Checked& command) {
  const Operand& weight = command.operands[abi::npu::operand::kWeight];
  if (weight.type != Type::I8 || !has_whole_strips(weight)) {
    return false;
  }
  const std::uint64_t channels = command.dims[abi::npu::dim::image::kChannels];
  return command.opcode == abi::npu::Opcode::Gemm ||
         (command.opcode == abi::npu::Opcode::Conv2d && channels % kStepBytes == 0 && channels <= kMostPackedChannels);
}

inline std::uint64_t packed_integers_bytes(const Operand& weight) {
  return weight.rows / kStripRows * IntStripLayout(weight).bytes;
}

inline void pack_integers(const Operand& weight, std::byte* to) {
  const IntStripLayout strip(weight);
  for (std::uint64_t first = 0; first < weight.rows; first += kStripRows, to += strip.bytes) {
    const RowStarts<kStripRows> rows(weight, first, kStripRows);
    // Of what was read, which might change: so + 128 for each element and each that is missing in the last step.
    __m512i sums = _mm512_set1_epi32(static_cast<std::int32_t>(static_cast<std::uint32_t>(strip.steps) * -512U));
    for (std::uint64_t step = 0; step < strip.steps; ++step) {
      const std::uint64_t at = step * kStepBytes;
      const std::uint64_t rest = weight.row_bytes - at;
      alignas(kLine) std::uint32_t line[kStripRows] = {};
      for (unsigned i = 0; i < kStripRows; ++i) {
        if (rest >= kStepBytes) {
          __builtin_memcpy(&line[i], rows.row[i] + at, kStepBytes);
        } else {
          __builtin_memcpy(&line[i], rows.row[i] + at, rest);
        }
      }
      const __m512i values = _mm512_xor_si512(_mm512_load_si512(line), _mm512_set1_epi32(static_cast<int>(kStepSigns)));
      sums = _mm512_dpbusd_epi32(sums, values, _mm512_set1_epi8(1));
      _mm512_store_si512(to + kLine + at / kStepBytes * kLine, values);
    }
    _mm512_store_si512(to, sums);
  }
}

/// Adds the products of `count` elements of each row with the steps from `line` on.
template <unsigned kRows, unsigned kStrips>
[[gnu::always_inline]] inline void add_lines(StripTile<kRows, kStrips>& tile, const std::byte* line, std::uint64_t next,
                                             const MemI8* const (&x)[kRows], std::uint64_t count) {
  const std::uint64_t whole = count - count % kStepBytes;
  for (std::uint64_t k = 0; k < whole; k += kStepBytes, line += kLine) {
    add_line(tile, line, next, [&] [[gnu::always_inline]] (auto m) { return broadcast_step(x[m] + k); });
  }
  if (whole != count) {
    add_line(tile, line, next, [&] [[gnu::always_inline]] (auto m) {
      std::int8_t four[kStepBytes] = {};
      __builtin_memcpy(four, x[m] + whole, count - whole);
      return broadcast_step(four);
    });
  }
}

/// Sums of each row's elements, which products with weights + 128 have 128 times too much of.
template <unsigned kRows>
struct RowTotals {
  std::int32_t total[kRows];
};

/// A command with packed weights.
struct PackedInts {
  explicit PackedInts(const Checked& checked)
      : command(checked),
        strip(checked.operands[abi::npu::operand::kWeight]),
        bias(checked.operands[abi::npu::operand::kBias].data),
        zero(static_cast<std::int32_t>(checked.params[abi::npu::param::kZeroIn])),
        requantise(checked) {}

  [[nodiscard]] const std::byte* weights(std::uint64_t column) const {
    return command.packed_weights + column / kStripRows * strip.bytes;
  }
  /// What the sums of 16 columns begin with, had the input no zero point and no bias been forgotten.
  [[nodiscard]] __m512i start(std::uint64_t column) const {
    const __m512i excess = _mm512_mullo_epi32(_mm512_load_si512(weights(column)), _mm512_set1_epi32(zero));
    const __m512i begin = bias != nullptr ? _mm512_loadu_si512(i32(bias) + column) : _mm512_setzero_si512();
    return _mm512_sub_epi32(begin, excess);
  }

  const Checked& command;
  IntStripLayout strip;
  std::byte* bias;
  std::int32_t zero;
  RequantiseRow requantise;
};

/// Writes a tile whose first column is `column`. `to(m)` is where the output's row m begins.
template <unsigned kRows, unsigned kStrips, typename To>
[[gnu::always_inline]] inline void finish_tile(const PackedInts& of, const StripTile<kRows, kStrips>& tile,
                                               const RowTotals<kRows>& rows, std::uint64_t column, To&& to) {
  const bool to_bytes = of.command.operands[abi::npu::operand::kOutput].type == Type::I8;
  unrolled<kStrips>([&] [[gnu::always_inline]] (auto n) {
    const std::uint64_t first = column + n * kStripRows;
    const __m512i start = of.start(first);
    const auto value_of = [&] [[gnu::always_inline]] (auto m) {
      const std::uint32_t excess = static_cast<std::uint32_t>(rows.total[m]) * 128U;
      return IntPart{_mm512_sub_epi32(_mm512_add_epi32(tile.sum[m][n], start),
                                      _mm512_set1_epi32(static_cast<std::int32_t>(excess)))};
    };
    if (!to_bytes) {
      unrolled<kRows>([&] [[gnu::always_inline]] (auto m) { hn::StoreU(value_of(m), Ints(), i32(to(m)) + first); });
      return;
    }
    const auto channels = of.requantise.channels(first, kStripRows);
    unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
      hn::StoreU(hn::DemoteTo(Bytes(), of.requantise.apply(value_of(m), channels)), Bytes(), i8(to(m)) + first);
    });
  });
}

template <unsigned kRows, unsigned kStrips>
[[gnu::noinline]] void multiply_strip_tile(const PackedInts& of, std::uint64_t row, std::uint64_t column) {
  namespace operand = abi::npu::operand;
  const std::uint64_t inner = of.command.dims[abi::npu::dim::kInner];
  const MemI8* x[kRows];
  RowTotals<kRows> rows;
  for (unsigned m = 0; m < kRows; ++m) {
    x[m] = i8(row_of(of.command.operands[operand::kInput], row + m));
    rows.total[m] = sum_of(x[m], inner);
  }
  StripTile<kRows, kStrips> tile = zero_strip_tile<kRows, kStrips>();
  add_lines(tile, of.weights(column) + kLine, of.strip.bytes, x, inner);
  finish_tile(of, tile, rows, column,
              [&] [[gnu::always_inline]] (auto m) { return row_of(of.command.operands[operand::kOutput], row + m); });
}

/// The taps of some pixels' windows that follow each other.
template <unsigned kRows>
struct Windows {
  Windows(const Checked& command, std::uint64_t pixel) {
    for (unsigned m = 0; m < kRows; ++m) {
      window[m] = window_at(command, pixel + m);
    }
  }
  Window window[kRows];
};

template <unsigned kRows, unsigned kStrips>
[[gnu::noinline]] void convolve_strip_tile(const PackedInts& of, const MemI8* zeros, std::uint64_t pixel,
                                           std::uint64_t column) {
  namespace operand = abi::npu::operand;
  namespace image = abi::npu::dim::image;
  const auto& d = of.command.dims;
  const std::uint64_t channels = d[image::kChannels];
  const std::uint64_t dilation = d[image::kDilation] != 0 ? d[image::kDilation] : 1;
  const Windows<kRows> windows(of.command, pixel);
  StripTile<kRows, kStrips> tile = zero_strip_tile<kRows, kStrips>();
  IntPart totals[kRows];
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) { totals[m] = hn::Zero(Ints()); });
  const std::byte* line = of.weights(column) + kLine;
  for (std::uint64_t ky = 0; ky < d[image::kKernelHeight]; ++ky) {
    for (std::uint64_t kx = 0; kx < d[image::kKernelWidth]; ++kx, line += channels / kStepBytes * kLine) {
      const MemI8* x[kRows];
      unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
        const Window& window = windows.window[m];
        // What is before the image is a large number.
        const auto y = static_cast<std::uint64_t>(window.top + static_cast<std::int64_t>(ky * dilation));
        const auto left = static_cast<std::uint64_t>(window.left + static_cast<std::int64_t>(kx * dilation));
        x[m] = zeros;
        if (y < d[image::kHeight] && left < d[image::kWidth]) {
          x[m] =
              i8(row_of(of.command.operands[operand::kInput], window.batch * d[image::kHeight] + y)) + left * channels;
        }
        totals[m] = add_all(totals[m], x[m], channels);
      });
      add_lines(tile, line, of.strip.bytes, x, channels);
    }
  }
  RowTotals<kRows> rows;
  unrolled<kRows>(
      [&] [[gnu::always_inline]] (auto m) { rows.total[m] = hn::GetLane(hn::SumOfLanes(Ints(), totals[m])); });
  finish_tile(of, tile, rows, column, [&] [[gnu::always_inline]] (auto m) {
    const Window& window = windows.window[m];
    return row_of(of.command.operands[operand::kOutput], window.out_row) + window.out_column * d[image::kOutChannels];
  });
}

/// Calls visit(rows, strips, row, column) with constants for each tile of a unit: strips first, whose weights so stay
/// in the cache.
template <typename Visit>
[[gnu::always_inline]] inline void each_strip_tile(const Tile& unit, Visit&& visit) {
  const auto rows_of = [&] [[gnu::always_inline]] (auto strips, std::uint64_t column) {
    std::uint64_t row = unit.row_begin;
    for (; row + kPackedRows <= unit.row_end; row += kPackedRows) {
      visit(std::integral_constant<unsigned, kPackedRows>(), strips, row, column);
    }
    for (; row < unit.row_end; ++row) {
      visit(std::integral_constant<unsigned, 1>(), strips, row, column);
    }
  };
  std::uint64_t column = unit.column_begin;
  for (; column + kPackedStrips * kStripRows <= unit.column_end; column += kPackedStrips * kStripRows) {
    rows_of(std::integral_constant<unsigned, kPackedStrips>(), column);
  }
  for (; column < unit.column_end; column += kStripRows) {
    rows_of(std::integral_constant<unsigned, 1>(), column);
  }
}

inline void multiply_packed_integers(const Checked& command, const Tile& unit) {
  const PackedInts of(command);
  each_strip_tile(unit, [&] [[gnu::always_inline]] (auto rows, auto strips, std::uint64_t row, std::uint64_t column) {
    multiply_strip_tile<rows(), strips()>(of, row, column);
  });
}

inline void convolve_packed_integers(const Checked& command, const Tile& unit) {
  const PackedInts of(command);
  MemI8 zeros[kMostPackedChannels];
  __builtin_memset(zeros, of.zero, command.dims[abi::npu::dim::image::kChannels]);
  each_strip_tile(unit, [&] [[gnu::always_inline]] (auto rows, auto strips, std::uint64_t row, std::uint64_t column) {
    convolve_strip_tile<rows(), strips()>(of, zeros, row, column);
  });
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();

#endif
