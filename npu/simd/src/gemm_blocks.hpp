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

inline constexpr unsigned kColumnsAtOnce = 4;
/// Rows for which weights are loaded once: as long as these stay in registers.
template <Type kType>
inline constexpr unsigned kBlockRows = kParts == 1           ? 4
                                       : kType == Type::Q4_0 ? 2
                                                             : 1;
/// Columns whose sums are kept from piece to piece.
inline constexpr std::uint64_t kPanelColumns = 256;
/// Groups of an input row that are blocks at a time: 4096 elements of one row, less of several.
template <unsigned kRows>
inline constexpr std::uint64_t kPieceGroups = kRows == 1 ? 32 : 16;

template <unsigned kRows>
struct BlockPiece {
  BlockGroup group[kRows][kPieceGroups<kRows>];
};

/// Of each row.
template <unsigned kRows>
struct BlockSums {
  Wide row[kRows];
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
template <Type kType, unsigned kRows>
[[gnu::always_inline]] inline void add_group(BlockSums<kRows>& sums, std::byte* const (&column)[kColumnsAtOnce],
                                             std::uint64_t offset, const BlockPiece<kRows>& x, std::uint64_t group) {
  Weights weights[kColumnsAtOnce];
  unrolled<kColumnsAtOnce>(
      [&] [[gnu::always_inline]] (auto i) { weights[i] = load_weights<kType>(column[i] + offset); });
  const Wide scales = load_scales<kType>(column, offset);
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    const BlockGroup& blocks = x.group[m][group];
    const WideInt products = multiply_group<kType>(weights, blocks);
    Wide& sum = sums.row[m];
    unrolled<kParts>([&] [[gnu::always_inline]] (auto part) {
      IntPart exact = products.part[part];
      if constexpr (kWeightOffset<kType> != 0) {
        exact = hn::Sub(exact, hn::Load(Ints(), &blocks.excess[0][0] + part * kPartLanes));
      }
      const auto scaled = hn::Mul(scales.part[part], hn::ConvertTo(Floats(), exact));
      const auto scale = hn::Load(Floats(), &blocks.scale[0][0] + part * kPartLanes);
      sum.part[part] = hn::MulAdd(scaled, scale, sum.part[part]);
    });
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

/// Where a piece is in the rows of weights.
struct PieceOf {
  std::uint64_t first_block;
  std::uint64_t blocks;
};

template <Type kType, unsigned kRows>
[[gnu::always_inline]] inline void add_piece(BlockSums<kRows>& sums, std::byte* const (&column)[kColumnsAtOnce],
                                             const BlockPiece<kRows>& x, const PieceOf& piece) {
  constexpr std::uint64_t kBytes = kBlockBytes<kType>;
  const std::uint64_t whole = piece.blocks / kGroup;
  for (std::uint64_t group = 0; group < whole; ++group) {
    add_group<kType, kRows>(sums, column, (piece.first_block + group * kGroup) * kBytes, x, group);
  }
  if (piece.blocks % kGroup != 0) {
    const LastGroup<kType> last(column, (piece.first_block + whole * kGroup) * kBytes, piece.blocks % kGroup);
    add_group<kType, kRows>(sums, last.column, 0, x, whole);
  }
}

/// Sums of a panel, from piece to piece.
template <unsigned kRows>
struct PanelSums {
  alignas(64) float lane[kPanelColumns / kColumnsAtOnce][kRows][kLanes];
};

template <unsigned kRows>
[[gnu::always_inline]] inline void load_sums(BlockSums<kRows>& sums, const float (&lanes)[kRows][kLanes], bool zero) {
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    sums.row[m] =
        zero ? wide_zero()
             : make_wide([&] [[gnu::always_inline]] (auto i) { return hn::Load(Floats(), lanes[m] + i * kPartLanes); });
  });
}
template <unsigned kRows>
[[gnu::always_inline]] inline void store_sums(const BlockSums<kRows>& sums, float (&lanes)[kRows][kLanes]) {
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    unrolled<kParts>(
        [&] [[gnu::always_inline]] (auto i) { hn::Store(sums.row[m].part[i], Floats(), lanes[m] + i * kPartLanes); });
  });
}

/// Some rows of the output, columns [begin, end), at most kPanelColumns. `x` may have the rows' only piece already.
template <Type kType, unsigned kRows>
void multiply_panel(const Checked& command, std::uint64_t row, std::uint64_t begin, std::uint64_t end,
                    BlockPiece<kRows>& x, bool is_made) {
  namespace operand = abi::npu::operand;
  constexpr std::uint64_t kPieceBlocks = kPieceGroups<kRows> * kGroup;
  const FinishReal finish(command);
  const std::uint64_t blocks = command.dims[abi::npu::dim::kInner] / kBlockElements;
  PanelSums<kRows> kept;
  for (std::uint64_t first = 0; first < blocks; first += kPieceBlocks) {
    const PieceOf piece = {first, blocks - first < kPieceBlocks ? blocks - first : kPieceBlocks};
    for (unsigned m = 0; m < kRows && !is_made; ++m) {
      const MemF32* const from = f32_row(command.operands[operand::kInput], row + m);
      quantise_row(from + first * kBlockElements, piece.blocks, kWeightOffset<kType>, x.group[m]);
    }
    for (std::uint64_t column = begin; column < end; column += kColumnsAtOnce) {
      const std::uint64_t count = end - column < kColumnsAtOnce ? end - column : kColumnsAtOnce;
      const RowStarts<kColumnsAtOnce> weight(command.operands[operand::kWeight], column, count);
      auto& lanes = kept.lane[(column - begin) / kColumnsAtOnce];
      BlockSums<kRows> sums;
      load_sums<kRows>(sums, lanes, first == 0);
      add_piece<kType, kRows>(sums, weight.row, x, piece);
      if (first + piece.blocks < blocks) {
        store_sums<kRows>(sums, lanes);
        continue;
      }
      unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
        finish.write(fold_to_four(sums.row[m]), column, count,
                     f32_row(command.operands[operand::kOutput], row + m) + column);
      });
    }
  }
}

template <Type kType, unsigned kRows>
void multiply_block_rows(const Checked& command, std::uint64_t row, const Tile& unit) {
  BlockPiece<kRows> x;
  const bool one_piece = command.dims[abi::npu::dim::kInner] <= kPieceGroups<kRows> * kGroup * kBlockElements;
  for (std::uint64_t begin = unit.column_begin; begin < unit.column_end; begin += kPanelColumns) {
    const std::uint64_t end = unit.column_end - begin < kPanelColumns ? unit.column_end : begin + kPanelColumns;
    multiply_panel<kType, kRows>(command, row, begin, end, x, one_piece && begin != unit.column_begin);
  }
}

template <Type kType>
void multiply_blocks(const Checked& command, const Tile& unit) {
  std::uint64_t row = unit.row_begin;
  for (; row + kBlockRows<kType> <= unit.row_end; row += kBlockRows<kType>) {
    multiply_block_rows<kType, kBlockRows<kType>>(command, row, unit);
  }
  for (; row < unit.row_end; ++row) {
    multiply_block_rows<kType, 1>(command, row, unit);
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
