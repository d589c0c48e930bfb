// Gemm with weights of Q8_0 and Q4_0. Block b of a product goes to partial sum b mod 4.
//
// Four columns and four blocks of each are multiplied at once: lane 4 j + i is of column i, and of the blocks whose
// number is j mod 4. A row of the input is made into blocks piece by piece, in memory of the stack.
#pragma once

#include "dot.hpp"
#include "finish.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Groups of an input row that are blocks at a time: 4096 elements.
inline constexpr std::uint64_t kPieceGroups = 32;
/// Columns whose sums are kept from piece to piece.
inline constexpr std::uint64_t kPanelColumns = 256;
inline constexpr unsigned kColumnsAtOnce = 4;

struct BlockSums {
  alignas(64) float lane[kPanelColumns / kColumnsAtOnce][kLanes];
};

/// Scales of a group of four columns, as they lie in the lanes. Put together in general registers: what puts 16 bits
/// into a vector is what this kernel has too much of already.
template <Type kType>
[[gnu::always_inline]] inline Wide load_scales(std::byte* const (&column)[kColumnsAtOnce], std::uint64_t offset) {
  std::uint64_t scales[kGroup];
  unrolled<kGroup>([&] [[gnu::always_inline]] (auto j) {
    const std::uint64_t at = offset + j * kBlockBytes<kType>;
    const std::uint64_t low = *u16(column[0] + at) | std::uint64_t{*u16(column[1] + at)} << 16;
    const std::uint64_t high = *u16(column[2] + at) | std::uint64_t{*u16(column[3] + at)} << 16;
    scales[j] = low | high << 32;
  });
  return from_halves(scales);
}

/// Adds the products of a group. Neither a weight's scale times a sum of integers nor what is added to overflows or
/// underflows where the result does not.
template <Type kType>
[[gnu::always_inline]] inline void add_group(Wide& sum, std::byte* const (&column)[kColumnsAtOnce],
                                             std::uint64_t offset, const BlockGroup& x) {
  Weights weights[kColumnsAtOnce];
  unrolled<kColumnsAtOnce>(
      [&] [[gnu::always_inline]] (auto i) { weights[i] = load_weights<kType>(column[i] + offset); });
  const Wide scales = load_scales<kType>(column, offset);
  const WideInt products = multiply_group<kType>(weights, x);
  unrolled<kParts>([&] [[gnu::always_inline]] (auto part) {
    IntPart exact = products.part[part];
    if constexpr (kWeightOffset<kType> != 0) {
      exact = hn::Sub(exact, hn::Load(Ints(), &x.excess[0][0] + part * kPartLanes));
    }
    const auto scaled = hn::Mul(scales.part[part], hn::ConvertTo(Floats(), exact));
    const auto scale = hn::Load(Floats(), &x.scale[0][0] + part * kPartLanes);
    sum.part[part] = hn::MulAdd(scaled, scale, sum.part[part]);
  });
}

/// The last group of a row, if it is not whole: behind its end are blocks of zeros.
template <Type kType>
struct LastGroup {
  LastGroup(std::byte* const (&from)[kColumnsAtOnce], std::uint64_t offset, std::uint64_t blocks) {
    for (unsigned i = 0; i < kColumnsAtOnce; ++i) {
      __builtin_memcpy(bytes[i], from[i] + offset, blocks * kBlockBytes<kType>);
      column[i] = bytes[i];
    }
  }
  std::byte bytes[kColumnsAtOnce][kGroup * kBlockBytes<kType>] = {};
  std::byte* column[kColumnsAtOnce];
};

/// A piece of a row of the input, and where it is in the rows of weights.
struct Piece {
  const BlockGroup* groups;
  std::uint64_t first_block;
  std::uint64_t blocks;
};

template <Type kType>
[[gnu::always_inline]] inline Wide add_piece(Wide sum, std::byte* const (&column)[kColumnsAtOnce], const Piece& piece) {
  constexpr std::uint64_t kBytes = kBlockBytes<kType>;
  const std::uint64_t whole = piece.blocks / kGroup;
  for (std::uint64_t group = 0; group < whole; ++group) {
    add_group<kType>(sum, column, (piece.first_block + group * kGroup) * kBytes, piece.groups[group]);
  }
  if (piece.blocks % kGroup != 0) {
    const LastGroup<kType> last(column, (piece.first_block + whole * kGroup) * kBytes, piece.blocks % kGroup);
    add_group<kType>(sum, last.column, 0, piece.groups[whole]);
  }
  return sum;
}

[[gnu::always_inline]] inline Wide load_sums(const float* lanes) {
  return make_wide([&] [[gnu::always_inline]] (auto i) { return hn::Load(Floats(), lanes + i * kPartLanes); });
}
[[gnu::always_inline]] inline void store_sums(const Wide& sums, float* lanes) {
  unrolled<kParts>([&] [[gnu::always_inline]] (auto i) { hn::Store(sums.part[i], Floats(), lanes + i * kPartLanes); });
}

/// One row of the output, columns [begin, end): at most kPanelColumns of them if the row has several pieces.
template <Type kType>
void multiply_panel(const Checked& command, std::uint64_t row, std::uint64_t begin, std::uint64_t end,
                    BlockGroup (&groups)[kPieceGroups], bool keep) {
  namespace operand = abi::npu::operand;
  constexpr std::uint64_t kPieceBlocks = kPieceGroups * kGroup;
  const FinishReal finish(command);
  const MemF32* const x = f32_row(command.operands[operand::kInput], row);
  MemF32* const y = f32_row(command.operands[operand::kOutput], row);
  const std::uint64_t blocks = command.dims[abi::npu::dim::kInner] / kBlockElements;
  BlockSums sums;
  for (std::uint64_t first = 0; first < blocks; first += kPieceBlocks) {
    const Piece piece = {groups, first, blocks - first < kPieceBlocks ? blocks - first : kPieceBlocks};
    if (!keep) {
      quantise_row(x + first * kBlockElements, piece.blocks, kWeightOffset<kType>, groups);
    }
    for (std::uint64_t column = begin; column < end; column += kColumnsAtOnce) {
      const std::uint64_t count = end - column < kColumnsAtOnce ? end - column : kColumnsAtOnce;
      const RowStarts<kColumnsAtOnce> weight(command.operands[operand::kWeight], column, count);
      float* const lanes = sums.lane[(column - begin) / kColumnsAtOnce % (kPanelColumns / kColumnsAtOnce)];
      const Wide sum = add_piece<kType>(first == 0 ? wide_zero() : load_sums(lanes), weight.row, piece);
      if (first + piece.blocks < blocks) {
        store_sums(sum, lanes);
      } else {
        finish.write(fold_to_four(sum), column, count, y + column);
      }
    }
  }
}

template <Type kType>
void multiply_blocks(const Checked& command, const Tile& unit) {
  BlockGroup groups[kPieceGroups];
  const bool one_piece = command.dims[abi::npu::dim::kInner] <= kPieceGroups * kGroup * kBlockElements;
  for (std::uint64_t row = unit.row_begin; row < unit.row_end; ++row) {
    for (std::uint64_t begin = unit.column_begin; begin < unit.column_end; begin += kPanelColumns) {
      const std::uint64_t end = unit.column_end - begin < kPanelColumns ? unit.column_end : begin + kPanelColumns;
      multiply_panel<kType>(command, row, begin, end, groups, one_piece && begin != unit.column_begin);
    }
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
