// Packed weights (KernelSet::packing) as strips: what those of all types have in common. Only AVX-512 has them.
//
// A strip is 16 rows of weights, row i in lane i all along: four values of each row side by side are a line, which
// vpdpbusd multiplies by the same four values of an input, broadcast. So a register has the sums of 16 columns of the
// output, there are no lanes to add up, and every load is a whole line.
#pragma once

#include "part.hpp"

#if HWY_TARGET == HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Rows of weights, which are columns of the output, in a strip.
inline constexpr unsigned kStripRows = 16;
inline constexpr std::uint64_t kLine = 64;
/// Bytes of each row in a line.
inline constexpr unsigned kStepBytes = 4;
/// vpdpbusd takes one unsigned factor: weights are + 128.
inline constexpr std::uint32_t kStepSigns = 0x8080'8080;

/// Whole strips, and no gaps between rows, so that the operand's bytes are those of its rows.
[[gnu::always_inline]] inline bool has_whole_strips(const Operand& weight) {
  return weight.rows % kStripRows == 0 && weight.row_stride == weight.row_bytes;
}

/// The tile's columns are whole strips. They are not where a row is so long that a unit has only few columns.
[[gnu::always_inline]] inline bool is_packed(const Checked& command, const Tile& tile) {
  return command.packed_weights != nullptr && tile.column_begin % kStripRows == 0 && tile.column_end % kStripRows == 0;
}

/// Four values in each lane.
[[gnu::always_inline]] inline __m512i broadcast_step(const void* from) {
  std::int32_t four;
  __builtin_memcpy(&four, from, sizeof four);
  return _mm512_set1_epi32(four);
}

/// Sums of some rows by 16 columns of some strips.
template <unsigned kRows, unsigned kStrips>
struct StripTile {
  __m512i sum[kRows][kStrips];
};

template <unsigned kRows, unsigned kStrips>
[[gnu::always_inline]] inline StripTile<kRows, kStrips> zero_strip_tile() {
  StripTile<kRows, kStrips> tile;
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    unrolled<kStrips>([&] [[gnu::always_inline]] (auto n) { tile.sum[m][n] = _mm512_setzero_si512(); });
  });
  return tile;
}

/// `input(m)` is four elements of row m in each lane; `next` is from one strip to the next one, in bytes.
template <unsigned kRows, unsigned kStrips, typename Input>
[[gnu::always_inline]] inline void add_line(StripTile<kRows, kStrips>& tile, const std::byte* line, std::uint64_t next,
                                            Input&& input) {
  __m512i weight[kStrips];
  unrolled<kStrips>([&] [[gnu::always_inline]] (auto n) { weight[n] = _mm512_load_si512(line + n * next); });
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    const __m512i x = input(m);
    unrolled<kStrips>(
        [&] [[gnu::always_inline]] (auto n) { tile.sum[m][n] = _mm512_dpbusd_epi32(tile.sum[m][n], weight[n], x); });
  });
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();

#endif
