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

/// Some rows of the output, at most kTileColumns columns.
template <unsigned kRows, Type kWeight>
[[gnu::always_inline]] inline void multiply_rows(const Checked& command, const FinishReal& finish, std::uint64_t row,
                                                 const RowStarts<kTileColumns>& weight, std::uint64_t column,
                                                 std::uint64_t count) {
  namespace operand = abi::npu::operand;
  const RowStarts<kRows> x(command.operands[operand::kInput], row, kRows);
  const RealTile<kRows> tile = multiply_tile<kRows, kWeight>(x, weight, command.dims[abi::npu::dim::kInner]);
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    const Wide* const sum = tile.sum[m];
    finish.write(fold(sum[0], sum[1], sum[2], sum[3]), column, count,
                 f32_row(command.operands[operand::kOutput], row + m) + column);
  });
}

/// Columns first: their weights stay in the cache for all rows.
template <Type kWeight>
void multiply_real(const Checked& command, const Tile& unit) {
  const FinishReal finish(command);
  for (std::uint64_t column = unit.column_begin; column < unit.column_end; column += kTileColumns) {
    const std::uint64_t count = unit.column_end - column < kTileColumns ? unit.column_end - column : kTileColumns;
    const RowStarts<kTileColumns> weight(command.operands[abi::npu::operand::kWeight], column, count);
    std::uint64_t row = unit.row_begin;
    for (; row + kTileRows <= unit.row_end; row += kTileRows) {
      multiply_rows<kTileRows, kWeight>(command, finish, row, weight, column, count);
    }
    for (; row < unit.row_end; ++row) {
      multiply_rows<1, kWeight>(command, finish, row, weight, column, count);
    }
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
