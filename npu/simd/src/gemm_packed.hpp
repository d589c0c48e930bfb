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
/// Strips that are multiplied at once: more do not fit the registers, fewer broadcast the input more often.
inline constexpr unsigned kStripsAtOnce = 4;
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

/// Of each strip: partial sums of 16 columns, block b in sum b mod 4.
template <unsigned kStrips>
struct StripSums {
  __m512 sum[kStrips][kGroup];
};

/// Scales and values of some strips that follow each other, from a group of blocks on.
struct StripGroup {
  const std::byte* scales;
  const std::byte* values;
  std::uint64_t next;  ///< bytes from a strip to the next one
};

/// Adds the products of the first `kBlocks` blocks of a group.
template <unsigned kStrips, unsigned kBlocks>
[[gnu::always_inline]] inline void add_strips(StripSums<kStrips>& sums, const StripGroup& from, const BlockGroup& x) {
  unrolled<kBlocks>([&] [[gnu::always_inline]] (auto j) {
    __m512i exact[kStrips];
    unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) { exact[i] = _mm512_setzero_si512(); });
    unrolled<kSteps>([&] [[gnu::always_inline]] (auto step) {
      constexpr unsigned kHalfSteps = kSteps / 2;
      const __m512i values = broadcast_step(&x.values[step / kHalfSteps][j][step % kHalfSteps * kStepBytes]);
      unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
        const std::byte* const weights = from.values + i * from.next + j * kStripValues + step * kLine;
        exact[i] = _mm512_dpbusd_epi32(exact[i], _mm512_load_si512(weights), values);
      });
    });
    const __m512i excess = _mm512_set1_epi32(x.excess[j][0]);
    const __m512 scale = _mm512_set1_ps(x.scale[j][0]);
    unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
      // A load of any type's bytes; a block's scales are half a line.
      const auto* const halves = reinterpret_cast<const __m256i_u*>(from.scales + i * from.next + j * kStripScales);
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_loadu_si256(halves)),
                                          _mm512_cvtepi32_ps(_mm512_sub_epi32(exact[i], excess)));
      sums.sum[i][j] = _mm512_fmadd_ps(scaled, scale, sums.sum[i][j]);
    });
  });
}

/// The last blocks of a row, fewer than a group. The others of the group count as blocks of zeros, as they do for
/// weights in place: what they change is -0, which a sum becomes where a product is too small for f32.
template <unsigned kStrips>
[[gnu::always_inline]] inline void add_last_strips(StripSums<kStrips>& sums, const StripGroup& from,
                                                   const BlockGroup& x, std::uint64_t blocks) {
  if (blocks == 1) {
    add_strips<kStrips, 1>(sums, from, x);
  } else if (blocks == 2) {
    add_strips<kStrips, 2>(sums, from, x);
  } else {
    add_strips<kStrips, 3>(sums, from, x);
  }
  unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
    unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
      if (j >= blocks) {
        sums.sum[i][j] = _mm512_add_ps(sums.sum[i][j], _mm512_setzero_ps());
      }
    });
  });
}

/// Sums of a panel, from piece to piece.
struct PanelStripSums {
  alignas(64) float lane[kPanelStrips][kGroup][kLanes];
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

/// A row of the output that is being computed.
struct PackedRow {
  const Checked& command;
  std::uint64_t row;
  StripLayout strip;
  FinishReal finish;
};

/// Adds a piece of the input to strips [first, first + kStrips) of the weights, and writes their columns after the last
/// one. `kept` are their sums so far.
template <unsigned kStrips>
[[gnu::noinline]] void multiply_strips(const PackedRow& of, std::uint64_t first, const BlockPiece<1>& x,
                                       const PieceOf& piece, float (*kept)[kGroup][kLanes]) {
  StripSums<kStrips> sums;
  unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
    unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
      sums.sum[i][j] = piece.first_block == 0 ? _mm512_setzero_ps() : _mm512_load_ps(kept[i][j]);
    });
  });
  const std::byte* const strip = of.command.packed_weights + first * of.strip.bytes;
  const auto group_at = [&] [[gnu::always_inline]] (std::uint64_t group) {
    const std::uint64_t block = piece.first_block + group * kGroup;
    return StripGroup{strip + block * kStripScales, strip + of.strip.values + block * kStripValues, of.strip.bytes};
  };
  const std::uint64_t whole = piece.blocks / kGroup;
  for (std::uint64_t group = 0; group < whole; ++group) {
    add_strips<kStrips, kGroup>(sums, group_at(group), x.group[0][group]);
  }
  if (piece.blocks % kGroup != 0) {
    add_last_strips<kStrips>(sums, group_at(whole), x.group[0][whole], piece.blocks % kGroup);
  }
  const bool ends = piece.first_block + piece.blocks == of.strip.blocks;
  MemF32* const output = f32_row(of.command.operands[abi::npu::operand::kOutput], of.row);
  unrolled<kStrips>([&] [[gnu::always_inline]] (auto i) {
    if (ends) {
      const std::uint64_t column = (first + i) * kStripRows;
      return finish_strip(of.finish, sums.sum[i], column, output + column);
    }
    unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) { _mm512_store_ps(kept[i][j], sums.sum[i][j]); });
  });
}

/// Strips [begin, end), at most kPanelStrips. `x` may have the row's only piece already.
void multiply_packed_panel(const PackedRow& of, std::uint64_t begin, std::uint64_t end, BlockPiece<1>& x,
                           bool is_made) {
  constexpr std::uint64_t kPieceBlocks = kPieceGroups<1> * kGroup;
  const MemF32* const from = f32_row(of.command.operands[abi::npu::operand::kInput], of.row);
  PanelStripSums kept;
  for (std::uint64_t first = 0; first < of.strip.blocks; first += kPieceBlocks) {
    const std::uint64_t rest = of.strip.blocks - first;
    const PieceOf piece = {first, rest < kPieceBlocks ? rest : kPieceBlocks};
    if (!is_made) {
      quantise_row(from + first * kBlockElements, piece.blocks, kWeightOffset<Type::Q8_0>, x.group[0]);
    }
    std::uint64_t strip = begin;
    for (; strip + kStripsAtOnce <= end; strip += kStripsAtOnce) {
      multiply_strips<kStripsAtOnce>(of, strip, x, piece, kept.lane + (strip - begin));
    }
    for (; strip < end; ++strip) {
      multiply_strips<1>(of, strip, x, piece, kept.lane + (strip - begin));
    }
  }
}

void multiply_packed(const Checked& command, const Tile& tile) {
  const std::uint64_t first = tile.column_begin / kStripRows;
  const std::uint64_t last = tile.column_end / kStripRows;
  const bool one_piece = command.dims[abi::npu::dim::kInner] <= kPieceGroups<1> * kGroup * kBlockElements;
  const StripLayout strip(command.operands[abi::npu::operand::kWeight]);
  BlockPiece<1> x;
  for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
    const PackedRow of{command, row, strip, FinishReal(command)};
    for (std::uint64_t begin = first; begin < last; begin += kPanelStrips) {
      const std::uint64_t end = last - begin < kPanelStrips ? last : begin + kPanelStrips;
      multiply_packed_panel(of, begin, end, x, one_piece && begin != first);
    }
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();

#endif
