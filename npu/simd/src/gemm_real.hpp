// Gemm with weights of f32 and f16. Element k of a product goes to lane k mod 16 of its sum.
//
// A tile of rows by four columns is computed at once, so that what is loaded is used several times; whatever the tile,
// each of its sums is made in the same order.
#pragma once

#include "finish.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

/// Columns of a tile: as many sums as fold() makes.
inline constexpr unsigned kTileColumns = 4;
/// Rows of a tile, so that all its sums are in registers: AVX-512 and NEON have 32, AVX2 has 16.
inline constexpr unsigned kTileRows = kParts == 1 ? 4 : 1;

template <unsigned kRows>
struct RealTile {
  Wide sum[kRows][kTileColumns];
};

template <unsigned kRows, typename Load, typename LoadWeight>
[[gnu::always_inline]] inline void add_products(RealTile<kRows>& tile, Load&& load, LoadWeight&& load_weight) {
  Wide x[kRows];
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) { x[m] = load(m); });
  unrolled<kTileColumns>([&] [[gnu::always_inline]] (auto n) {
    const Wide weight = load_weight(n);
    unrolled<kRows>([&] [[gnu::always_inline]] (auto m) { tile.sum[m][n] = fused(x[m], weight, tile.sum[m][n]); });
  });
}

template <unsigned kRows>
[[gnu::always_inline]] inline RealTile<kRows> zero_real_tile() {
  RealTile<kRows> tile;
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    unrolled<kTileColumns>([&] [[gnu::always_inline]] (auto n) { tile.sum[m][n] = wide_zero(); });
  });
  return tile;
}

/// Adds the products of the first `inner` elements of each row with those of each column.
template <unsigned kRows, Type kWeight>
[[gnu::always_inline]] inline void add_to_tile(RealTile<kRows>& tile, const RowStarts<kRows>& x,
                                               const RowStarts<kTileColumns>& weight, std::uint64_t inner) {
  const std::uint64_t whole = inner - inner % kLanes;
  for (std::uint64_t k = 0; k < whole; k += kLanes) {
    add_products<kRows>(
        tile, [&] [[gnu::always_inline]] (auto m) { return load_wide<Type::F32>(x.row[m], k); },
        [&] [[gnu::always_inline]] (auto n) { return load_wide<kWeight>(weight.row[n], k); });
  }
  if (whole != inner) {
    add_products<kRows>(
        tile, [&] [[gnu::always_inline]] (auto m) { return load_some<Type::F32>(x.row[m], whole, inner - whole); },
        [&] [[gnu::always_inline]] (auto n) { return load_some<kWeight>(weight.row[n], whole, inner - whole); });
  }
}

template <unsigned kRows, Type kWeight>
[[gnu::always_inline]] inline RealTile<kRows> multiply_tile(const RowStarts<kRows>& x,
                                                            const RowStarts<kTileColumns>& weight,
                                                            std::uint64_t inner) {
  RealTile<kRows> tile = zero_real_tile<kRows>();
  add_to_tile<kRows, kWeight>(tile, x, weight, inner);
  return tile;
}

/// Some rows of the output, columns [begin, end).
template <unsigned kRows, Type kWeight>
void multiply_rows(const Checked& command, std::uint64_t row, std::uint64_t begin, std::uint64_t end) {
  namespace operand = abi::npu::operand;
  const FinishReal finish(command);
  const RowStarts<kRows> x(command.operands[operand::kInput], row, kRows);
  for (std::uint64_t column = begin; column < end; column += kTileColumns) {
    const std::uint64_t count = end - column < kTileColumns ? end - column : kTileColumns;
    const RowStarts<kTileColumns> weight(command.operands[operand::kWeight], column, count);
    const RealTile<kRows> tile = multiply_tile<kRows, kWeight>(x, weight, command.dims[abi::npu::dim::kInner]);
    unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
      const Wide* const sum = tile.sum[m];
      finish.write(fold(sum[0], sum[1], sum[2], sum[3]), column, count,
                   f32_row(command.operands[operand::kOutput], row + m) + column);
    });
  }
}

template <Type kWeight>
void multiply_real(const Checked& command, const Tile& unit) {
  std::uint64_t row = unit.row_begin;
  for (; row + kTileRows <= unit.row_end; row += kTileRows) {
    multiply_rows<kTileRows, kWeight>(command, row, unit.column_begin, unit.column_end);
  }
  for (; row < unit.row_end; ++row) {
    multiply_rows<1, kWeight>(command, row, unit.column_begin, unit.column_end);
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
