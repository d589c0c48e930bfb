// Gemm with weights of Q8_0 that were packed (strips.hpp). Only AVX-512 has it.
//
// Where blocks lie in rows of 34 bytes each, most of the time goes into bringing values and scales to the lanes they
// are needed in. Packed they are there:
//
//   strip:  scales: block 0: 16 x f16, block 1: 16 x f16, ...          up to a multiple of 64 bytes
//           values: block 0: step 0: 16 x 4 u8, ... step 7: 16 x 4 u8
//                   block 1: ...
//
// Step s has the values 4 s to 4 s + 3 of a row's block. Sums are added in the order of gemm_blocks.hpp: the same bytes
// come out.
#pragma once

#include "gemm_blocks.hpp"
#include "strips.hpp"

#if HWY_TARGET == HWY_AVX3

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

inline constexpr unsigned kSteps = kBlockElements / kStepBytes;
inline constexpr std::uint64_t kStripScales = kStripRows * sizeof(std::uint16_t);  ///< bytes of a block's
inline constexpr std::uint64_t kStripValues = kStripRows * kBlockElements;         ///< bytes of a block's
/// Rows of the input that are multiplied at once, so that weights come from the L2 cache once for all of them.
inline constexpr unsigned kPackedBlockRows = 4;
/// Strips likewise: more do not fit the registers, fewer broadcast the input more often.
template <unsigned kRows>
inline constexpr unsigned kStripsAtOnce = kRows == 1 ? 4 : 1;
inline constexpr std::uint64_t kPanelStrips = kPanelColumns / kStripRows;

/// Where things are in a strip.
struct StripLayout {
  explicit StripLayout(const Operand& weight)
      : blocks(weight.row_bytes / kBlockBytes<Type::Q8_0>),
        values((blocks * kStripScales + kLine - 1) / kLine * kLine),
        bytes(values + blocks * kStripValues) {}
  std::uint64_t blocks;  ///< of a row
  std::uint64_t values;  ///< where they begin
  std::uint64_t bytes;   ///< of a strip
};

inline bool packs_blocks(const Checked& command) {
  const Operand& weight = command.operands[abi::npu::operand::kWeight];
  return command.opcode == abi::npu::Opcode::Gemm && weight.type == Type::Q8_0 && has_whole_strips(weight);
}

inline std::uint64_t packed_blocks_bytes(const Operand& weight) {
  return weight.rows / kStripRows * StripLayout(weight).bytes;
}

inline void pack_blocks(const Operand& weight, std::byte* to) {
  const StripLayout strip(weight);
  for (std::uint64_t first = 0; first < weight.rows; first += kStripRows, to += strip.bytes) {
    const RowStarts<kStripRows> rows(weight, first, kStripRows);
    for (std::uint64_t b = 0; b < strip.blocks; ++b) {
      std::byte* const scales = to + b * kStripScales;
      std::byte* const values = to + strip.values + b * kStripValues;
      for (unsigned i = 0; i < kStripRows; ++i) {
        const std::byte* const block = rows.row[i] + b * kBlockBytes<Type::Q8_0>;
        __builtin_memcpy(scales + i * sizeof(std::uint16_t), block, sizeof(std::uint16_t));
        for (unsigned step = 0; step < kSteps; ++step) {
          std::uint32_t four;
          __builtin_memcpy(&four, block + sizeof(std::uint16_t) + step * kStepBytes, sizeof four);
          four ^= kStepSigns;
          __builtin_memcpy(values + step * kLine + i * kStepBytes, &four, sizeof four);
        }
      }
    }
  }
}

/// Of each row and strip: partial sums of 16 columns, block b in sum b mod 4.
template <unsigned kRows, unsigned kStrips>
struct StripSums {
  __m512 sum[kRows][kStrips][kGroup];
};

/// Calls visit(sum, row, strip, partial sum) for each.
template <unsigned kRows, unsigned kStrips, typename Visit>
[[gnu::always_inline]] inline void each_sum(StripSums<kRows, kStrips>& sums, Visit&& visit) {
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
      unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) { visit(sums.sum[m][i][j], m, i, j); });
    });
  });
}

/// Scales and values of some strips that follow each other, from a group of blocks on.
struct StripGroup {
  const std::byte* scales;
  const std::byte* values;
  std::uint64_t next;  ///< bytes from a strip to the next one
};

/// Adds the products of the first `kBlocks` blocks of a group. `x` is where a row's group is.
template <unsigned kRows, unsigned kStrips, unsigned kBlocks>
[[gnu::always_inline]] inline void add_strips(StripSums<kRows, kStrips>& sums, const StripGroup& from,
                                              const BlockGroup* const (&x)[kRows]) {
  unrolled<kBlocks>([&] [[gnu::always_inline]] (auto j) {
    StripTile<kRows, kStrips> exact = zero_strip_tile<kRows, kStrips>();
    unrolled<kSteps>([&] [[gnu::always_inline]] (auto step) {
      constexpr unsigned kHalfSteps = kSteps / 2;
      add_line(exact, from.values + j * kStripValues + step * kLine, from.next, [&] [[gnu::always_inline]] (auto m) {
        return broadcast_step(&x[m]->values[step / kHalfSteps][j][step % kHalfSteps * kStepBytes]);
      });
    });
    unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
      // A load of any type's bytes; a block's scales are half a line.
      const auto* const halves = reinterpret_cast<const __m256i_u*>(from.scales + i * from.next + j * kStripScales);
      const __m512 scales = _mm512_cvtph_ps(_mm256_loadu_si256(halves));
      unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
        const __m512i excess = _mm512_set1_epi32(x[m]->excess[j][0]);
        const __m512 scaled = _mm512_mul_ps(scales, _mm512_cvtepi32_ps(_mm512_sub_epi32(exact.sum[m][i], excess)));
        sums.sum[m][i][j] = _mm512_fmadd_ps(scaled, _mm512_set1_ps(x[m]->scale[j][0]), sums.sum[m][i][j]);
      });
    });
  });
}

/// The last blocks of a row, fewer than a group. The others of the group count as blocks of zeros, as they do for
/// weights in place: what they change is -0, which a sum becomes where a product is too small for f32.
template <unsigned kRows, unsigned kStrips>
[[gnu::always_inline]] inline void add_last_strips(StripSums<kRows, kStrips>& sums, const StripGroup& from,
                                                   const BlockGroup* const (&x)[kRows], std::uint64_t blocks) {
  if (blocks == 1) {
    add_strips<kRows, kStrips, 1>(sums, from, x);
  } else if (blocks == 2) {
    add_strips<kRows, kStrips, 2>(sums, from, x);
  } else {
    add_strips<kRows, kStrips, 3>(sums, from, x);
  }
  each_sum(sums, [&] [[gnu::always_inline]] (__m512 & sum, auto, auto, auto j) {
    if (j >= blocks) {
      sum = _mm512_add_ps(sum, _mm512_setzero_ps());
    }
  });
}

/// Sums of a panel, from piece to piece.
template <unsigned kRows>
struct PanelStripSums {
  alignas(64) float lane[kPanelStrips][kRows][kGroup][kLanes];
};

/// Bias and limits of 16 columns, as FinishReal has them for four.
[[gnu::always_inline]] inline void finish_strip(const FinishReal& finish, const __m512 (&sum)[kGroup],
                                                std::uint64_t column, MemF32* to) {
  FloatPart value{_mm512_add_ps(_mm512_add_ps(sum[0], sum[2]), _mm512_add_ps(sum[1], sum[3]))};
  if (finish.bias != nullptr) {
    value = hn::Add(value, hn::LoadU(Floats(), f32(finish.bias) + column));
  }
  store_part(finish.clamps ? clamped(Floats(), value, finish.min, finish.max) : value, to);
}

/// Rows of the output that are being computed.
struct PackedRows {
  const Checked& command;
  std::uint64_t row;  ///< the first one
  StripLayout strip;
  FinishReal finish;
};

/// Adds a piece of the input to strips [first, first + kStrips) of the weights, and writes their columns after the last
/// one. `kept` are their sums so far.
template <unsigned kRows, unsigned kStrips>
[[gnu::noinline]] void multiply_strips(const PackedRows& of, std::uint64_t first, const BlockPiece<kRows>& x,
                                       const PieceOf& piece, float (*kept)[kRows][kGroup][kLanes]) {
  StripSums<kRows, kStrips> sums;
  each_sum(sums, [&] [[gnu::always_inline]] (__m512 & sum, auto m, auto i, auto j) {
    sum = piece.first_block == 0 ? _mm512_setzero_ps() : _mm512_load_ps(kept[i][m][j]);
  });
  const std::byte* const strip = of.command.packed_weights + first * of.strip.bytes;
  const auto weights_at = [&] [[gnu::always_inline]] (std::uint64_t group) {
    const std::uint64_t block = piece.first_block + group * kGroup;
    return StripGroup{strip + block * kStripScales, strip + of.strip.values + block * kStripValues, of.strip.bytes};
  };
  const BlockGroup* input[kRows];
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) { input[m] = x.group[m]; });
  const std::uint64_t whole = piece.blocks / kGroup;
  for (std::uint64_t group = 0; group < whole; ++group) {
    add_strips<kRows, kStrips, kGroup>(sums, weights_at(group), input);
    unrolled<kRows>([&] [[gnu::always_inline]] (auto m) { ++input[m]; });
  }
  if (piece.blocks % kGroup != 0) {
    add_last_strips<kRows, kStrips>(sums, weights_at(whole), input, piece.blocks % kGroup);
  }
  if (piece.first_block + piece.blocks != of.strip.blocks) {
    each_sum(sums, [&] [[gnu::always_inline]] (const __m512& sum, auto m, auto i, auto j) {
      _mm512_store_ps(kept[i][m][j], sum);
    });
    return;
  }
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    MemF32* const output = f32_row(of.command.operands[abi::npu::operand::kOutput], of.row + m);
    unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
      const std::uint64_t column = (first + i) * kStripRows;
      finish_strip(of.finish, sums.sum[m][i], column, output + column);
    });
  });
}

/// Strips [begin, end), at most kPanelStrips. `x` may have the rows' only piece already.
template <unsigned kRows>
void multiply_packed_panel(const PackedRows& of, std::uint64_t begin, std::uint64_t end, BlockPiece<kRows>& x,
                           bool is_made) {
  constexpr std::uint64_t kPieceBlocks = kPieceGroups<kRows> * kGroup;
  constexpr unsigned kAtOnce = kStripsAtOnce<kRows>;
  PanelStripSums<kRows> kept;
  for (std::uint64_t first = 0; first < of.strip.blocks; first += kPieceBlocks) {
    const std::uint64_t rest = of.strip.blocks - first;
    const PieceOf piece = {first, rest < kPieceBlocks ? rest : kPieceBlocks};
    for (unsigned m = 0; m < kRows && !is_made; ++m) {
      const MemF32* const from = f32_row(of.command.operands[abi::npu::operand::kInput], of.row + m);
      quantise_row(from + first * kBlockElements, piece.blocks, kWeightOffset<Type::Q8_0>, x.group[m]);
    }
    std::uint64_t strip = begin;
    for (; strip + kAtOnce <= end; strip += kAtOnce) {
      multiply_strips<kRows, kAtOnce>(of, strip, x, piece, kept.lane + (strip - begin));
    }
    for (; strip < end; ++strip) {
      multiply_strips<kRows, 1>(of, strip, x, piece, kept.lane + (strip - begin));
    }
  }
}

/// kRows rows, from `row` on.
template <unsigned kRows>
void multiply_packed_rows(const Checked& command, std::uint64_t row, const Tile& tile) {
  const std::uint64_t first = tile.column_begin / kStripRows;
  const std::uint64_t last = tile.column_end / kStripRows;
  const PackedRows of{command, row, StripLayout(command.operands[abi::npu::operand::kWeight]), FinishReal(command)};
  const bool one_piece = of.strip.blocks <= kPieceGroups<kRows> * kGroup;
  BlockPiece<kRows> x;
  for (std::uint64_t begin = first; begin < last; begin += kPanelStrips) {
    const std::uint64_t end = last - begin < kPanelStrips ? last : begin + kPanelStrips;
    multiply_packed_panel<kRows>(of, begin, end, x, one_piece && begin != first);
  }
}

void multiply_packed(const Checked& command, const Tile& tile) {
  std::uint64_t row = tile.row_begin;
  for (; row + kPackedBlockRows <= tile.row_end; row += kPackedBlockRows) {
    multiply_packed_rows<kPackedBlockRows>(command, row, tile);
  }
  for (; row < tile.row_end; ++row) {
    multiply_packed_rows<1>(command, row, tile);
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();

#endif
