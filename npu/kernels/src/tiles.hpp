// How kernels go over their units.
#pragma once

#include <optional>

#include "npu/kernels/kernels.hpp"

namespace npu {

/// Calls visit(row, column) for every cell of the units, rows first.
template <typename Visit>
[[gnu::always_inline]] static inline void each_cell(const Checked& command, Units units, Visit&& visit) {
  const Partition grid = partition(command);
  for (std::uint64_t unit = units.first; unit < units.first + units.count; ++unit) {
    const Tile tile = tile_of(grid, unit);
    for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
      for (std::uint64_t column = tile.column_begin; column < tile.column_end; ++column) {
        visit(row, column);
      }
    }
  }
}

/// Calls visit(row, first column, column behind the last one) for every row of each unit.
template <typename Visit>
[[gnu::always_inline]] static inline void each_row(const Checked& command, Units units, Visit&& visit) {
  const Partition grid = partition(command);
  for (std::uint64_t unit = units.first; unit < units.first + units.count; ++unit) {
    const Tile tile = tile_of(grid, unit);
    for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
      visit(row, tile.column_begin, tile.column_end);
    }
  }
}

}  // namespace npu
