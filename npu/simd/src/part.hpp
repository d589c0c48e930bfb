// Rows a vector at a time, where elements have nothing to do with each other.
#pragma once

#include "abi/npu_commands.hpp"
#include "wide.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

using scalar::Outcome;

/// Calls visit(tile) for each unit. The scalar kernels' functions for that are not compiled for the target, so what is
/// could not become a part of them.
template <typename Visit>
[[gnu::always_inline]] inline void each_tile(const Checked& command, Units units, Visit&& visit) {
  const Partition grid = partition(command);
  for (std::uint64_t unit = units.first; unit < units.first + units.count; ++unit) {
    visit(tile_of(grid, unit));
  }
}

/// The same, but units of the same rows that follow each other are one tile: what is made of rows is made once.
template <typename Visit>
[[gnu::always_inline]] inline void each_run(const Checked& command, Units units, Visit&& visit) {
  const Partition grid = partition(command);
  for (std::uint64_t unit = units.first; unit < units.first + units.count;) {
    Tile tile = tile_of(grid, unit);
    for (++unit; unit < units.first + units.count; ++unit) {
      const Tile next = tile_of(grid, unit);
      if (next.row_begin != tile.row_begin) {
        break;
      }
      tile.column_end = next.column_end;
    }
    visit(tile);
  }
}

/// Calls visit(row, first column, column behind the last one) for every row of each unit.
template <typename Visit>
[[gnu::always_inline]] inline void each_row(const Checked& command, Units units, Visit&& visit) {
  each_tile(command, units, [&] [[gnu::always_inline]] (const Tile& tile) {
    for (std::uint64_t row = tile.row_begin; row < tile.row_end; ++row) {
      visit(row, tile.column_begin, tile.column_end);
    }
  });
}

[[gnu::always_inline]] inline FloatPart load_part(const MemF32* from) { return hn::LoadU(Floats(), from); }
/// The first `count` elements, at most a vector; 0 behind them.
[[gnu::always_inline]] inline FloatPart load_part(const MemF32* from, std::uint64_t count) {
  if (count == kPartLanes) {
    return load_part(from);
  }
  alignas(64) float some[kPartLanes] = {};
  for (std::uint64_t i = 0; i < count; ++i) {
    some[i] = from[i];
  }
  return hn::Load(Floats(), some);
}

/// A NaN becomes the one that vector kernels write.
[[gnu::always_inline]] inline void store_part(FloatPart value, MemF32* to) {
  hn::StoreU(canonical(Floats(), value), Floats(), to);
}
[[gnu::always_inline]] inline void store_part(FloatPart value, MemF32* to, std::uint64_t count) {
  if (count == kPartLanes) {
    store_part(value, to);
    return;
  }
  alignas(64) float some[kPartLanes];
  hn::Store(canonical(Floats(), value), Floats(), some);
  for (std::uint64_t i = 0; i < count; ++i) {
    to[i] = some[i];
  }
}

/// y[i] = function(x[i]) for `count` elements.
template <typename Function>
[[gnu::always_inline]] inline void map(const MemF32* x, MemF32* y, std::uint64_t count, Function&& function) {
  const std::uint64_t whole = count - count % kPartLanes;
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    store_part(function(load_part(x + i)), y + i);
  }
  if (whole != count) {
    store_part(function(load_part(x + whole, count - whole)), y + whole, count - whole);
  }
}

/// y[i] = function(a[i], b[i]) likewise.
template <typename Function>
[[gnu::always_inline]] inline void map(const MemF32* a, const MemF32* b, MemF32* y, std::uint64_t count,
                                       Function&& function) {
  const std::uint64_t whole = count - count % kPartLanes;
  for (std::uint64_t i = 0; i < whole; i += kPartLanes) {
    store_part(function(load_part(a + i), load_part(b + i)), y + i);
  }
  if (whole != count) {
    const std::uint64_t rest = count - whole;
    store_part(function(load_part(a + whole, rest), load_part(b + whole, rest)), y + whole, rest);
  }
}

/// Whole vectors of bytes.
using ManyBytes = hn::Repartition<std::int8_t, Ints>;
inline constexpr std::uint64_t kManyBytes = kPartLanes * sizeof(std::int32_t);

using Bytes = hn::Rebind<std::int8_t, Ints>;
using BytePart = hn::Vec<Bytes>;

/// As many i8 as a vector has lanes, or less, with 0 behind them.
[[gnu::always_inline]] inline BytePart load_bytes(const MemI8* from, std::uint64_t count) {
  if (count == kPartLanes) {
    return hn::LoadU(Bytes(), from);
  }
  alignas(16) std::int8_t some[kLanes] = {};
  for (std::uint64_t i = 0; i < count; ++i) {
    some[i] = from[i];
  }
  return hn::Load(Bytes(), some);
}
[[gnu::always_inline]] inline void store_bytes(BytePart value, MemI8* to, std::uint64_t count) {
  if (count == kPartLanes) {
    hn::StoreU(value, Bytes(), to);
    return;
  }
  alignas(16) std::int8_t some[kLanes];
  hn::Store(value, Bytes(), some);
  for (std::uint64_t i = 0; i < count; ++i) {
    to[i] = some[i];
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
