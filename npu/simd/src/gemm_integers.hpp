// Gemm on i8, to i8 or i32.
#pragma once

#include "dot_integers.hpp"
#include "finish.hpp"
#include "requantise.hpp"

HWY_BEFORE_NAMESPACE();
namespace npu::simd {
namespace {

inline constexpr unsigned kIntColumns = 4;
/// Sums of a tile in registers, with what they are made of: AVX2 has 16 of these, the others 32.
inline constexpr unsigned kIntRows = kParts == 2 ? 2 : 4;
/// Columns whose sums are kept until they are requantised.
inline constexpr std::uint64_t kIntPanel = 64;

template <unsigned kRows>
struct IntTile {
  IntPart sum[kRows][kIntColumns];
};

template <unsigned kRows>
[[gnu::always_inline]] inline IntTile<kRows> zero_tile() {
  IntTile<kRows> tile;
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    unrolled<kIntColumns>([&] [[gnu::always_inline]] (auto n) { tile.sum[m][n] = hn::Zero(Ints()); });
  });
  return tile;
}

/// `first(row)` is a step of that row, `second(column)` of that column.
template <unsigned kRows, typename First, typename Second>
[[gnu::always_inline]] inline void add_step(IntTile<kRows>& tile, First&& first, Second&& second) {
  Factor weight[kIntColumns];
  unrolled<kIntColumns>([&] [[gnu::always_inline]] (auto n) { weight[n] = second(n); });
  unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
    const Factor x = first(m);
    unrolled<kIntColumns>(
        [&] [[gnu::always_inline]] (auto n) { tile.sum[m][n] = add_products(tile.sum[m][n], x, weight[n]); });
  });
}

/// Rows as they are multiplied, made once for many columns.
inline constexpr std::uint64_t kPreparedElements = 1024;
template <unsigned kRows>
struct PreparedRows {
  PreparedRows(const MemI8* const (&x)[kRows], std::uint64_t count) {
    for (unsigned m = 0; m < kRows; ++m) {
      const std::uint64_t whole = count / kStep;
      for (std::uint64_t i = 0; i < whole; ++i) {
        step[m][i] = load_first(x[m] + i * kStep);
      }
      if (count % kStep != 0) {
        step[m][whole] = load_last_first(x[m] + whole * kStep, count % kStep);
      }
    }
  }
  Factor step[kRows][kPreparedElements / kStep];
};

/// Adds the products of `count` elements of each row, at most kPreparedElements, with those of each column.
template <unsigned kRows>
[[gnu::always_inline]] inline void add_prepared(IntTile<kRows>& tile, const PreparedRows<kRows>& x,
                                                const MemI8* const (&weight)[kIntColumns], std::uint64_t count) {
  const std::uint64_t whole = count / kStep;
  for (std::uint64_t i = 0; i < whole; ++i) {
    add_step<kRows>(
        tile, [&] [[gnu::always_inline]] (auto m) { return x.step[m][i]; },
        [&] [[gnu::always_inline]] (auto n) { return load_second(weight[n] + i * kStep); });
  }
  if (count % kStep != 0) {
    add_step<kRows>(
        tile, [&] [[gnu::always_inline]] (auto m) { return x.step[m][whole]; },
        [&] [[gnu::always_inline]] (auto n) { return load_last_second(weight[n] + whole * kStep, count % kStep); });
  }
}

/// The same of any number, of rows as they lie in memory. With `total` the columns' elements are added to that, too.
template <unsigned kRows>
[[gnu::always_inline]] inline void add_segment(IntTile<kRows>& tile, const MemI8* const (&x)[kRows],
                                               const MemI8* const (&weight)[kIntColumns], std::uint64_t count,
                                               IntTile<1>* total = nullptr) {
  const std::uint64_t whole = count - count % kStep;
  const auto sum_up = [&] [[gnu::always_inline]] (auto n, const Factor& factor) {
    if (total != nullptr) {
      total->sum[0][n] = add_elements(total->sum[0][n], factor);
    }
    return factor;
  };
  for (std::uint64_t k = 0; k < whole; k += kStep) {
    add_step<kRows>(
        tile, [&] [[gnu::always_inline]] (auto m) { return load_first(x[m] + k); },
        [&] [[gnu::always_inline]] (auto n) { return sum_up(n, load_second(weight[n] + k)); });
  }
  if (whole != count) {
    add_step<kRows>(
        tile, [&] [[gnu::always_inline]] (auto m) { return load_last_first(x[m] + whole, count - whole); },
        [&] [[gnu::always_inline]] (auto n) { return sum_up(n, load_last_second(weight[n] + whole, count - whole)); });
  }
}

/// The sum of a row's elements, modulo 2^32.
[[gnu::always_inline]] inline std::int32_t sum_of(const MemI8* row, std::uint64_t count) {
  return hn::GetLane(hn::SumOfLanes(Ints(), add_all(hn::Zero(Ints()), row, count)));
}

/// What the sums of a panel's columns begin with: the bias, less what is too much in the products.
struct IntStarts {
  std::int32_t start[kIntPanel] = {};
};
inline IntStarts starts_of(const Checked& command, std::uint64_t begin, std::uint64_t end) {
  namespace operand = abi::npu::operand;
  const std::byte* const bias = command.operands[operand::kBias].data;
  const auto zero = static_cast<std::int32_t>(command.params[abi::npu::param::kZeroIn]);
  const auto excess = static_cast<std::uint32_t>(kFactorOffset + zero);
  IntStarts starts;
  for (std::uint64_t column = begin; column < end; ++column) {
    std::uint32_t start =
        bias != nullptr ? static_cast<std::uint32_t>(i32(command.operands[operand::kBias].data)[column]) : 0;
    if (excess != 0) {
      const MemI8* const weights = i8(row_of(command.operands[operand::kWeight], column));
      start -= excess * static_cast<std::uint32_t>(sum_of(weights, command.dims[abi::npu::dim::kInner]));
    }
    starts.start[column - begin] = static_cast<std::int32_t>(start);
  }
  return starts;
}

/// Some rows of a panel.
template <unsigned kRows>
struct IntSums {
  alignas(64) std::int32_t row[kRows][kIntPanel];
};

/// Calls add(tile, weights' rows) for each four columns of a panel.
template <unsigned kRows, typename Add>
[[gnu::always_inline]] inline void sum_panel(const Operand& weights, std::uint64_t begin, std::uint64_t end,
                                             const IntStarts& starts, IntSums<kRows>& sums, Add&& add) {
  for (std::uint64_t column = begin; column < end; column += kIntColumns) {
    const MemI8* weight[kIntColumns];
    for (unsigned n = 0; n < kIntColumns; ++n) {
      weight[n] = i8(row_of(weights, column + n < end ? column + n : end - 1));
    }
    IntTile<kRows> tile = zero_tile<kRows>();
    add(tile, weight);
    const auto start = hn::LoadU(FourI32(), starts.start + (column - begin));
    unrolled<kRows>([&] [[gnu::always_inline]] (auto m) {
      const IntPart* const sum = tile.sum[m];
      hn::StoreU(hn::Add(fold_ints(sum[0], sum[1], sum[2], sum[3]), start), FourI32(), sums.row[m] + (column - begin));
    });
  }
}

template <unsigned kRows>
void multiply_int_rows(const Checked& command, std::uint64_t row, std::uint64_t begin, std::uint64_t end,
                       const IntStarts& starts) {
  namespace operand = abi::npu::operand;
  const Operand& weights = command.operands[operand::kWeight];
  const std::uint64_t inner = command.dims[abi::npu::dim::kInner];
  const MemI8* x[kRows];
  for (unsigned m = 0; m < kRows; ++m) {
    x[m] = i8(row_of(command.operands[operand::kInput], row + m));
  }
  IntSums<kRows> sums;
  if (inner <= kPreparedElements) {
    const PreparedRows<kRows> prepared(x, inner);
    sum_panel<kRows>(weights, begin, end, starts, sums,
                     [&] [[gnu::always_inline]] (IntTile<kRows> & tile, const MemI8* const(&weight)[kIntColumns]) {
                       add_prepared<kRows>(tile, prepared, weight, inner);
                     });
  } else {
    sum_panel<kRows>(weights, begin, end, starts, sums,
                     [&] [[gnu::always_inline]] (IntTile<kRows> & tile, const MemI8* const(&weight)[kIntColumns]) {
                       add_segment<kRows>(tile, x, weight, inner);
                     });
  }
  const Operand& output = command.operands[operand::kOutput];
  for (unsigned m = 0; m < kRows; ++m) {
    if (output.type == Type::I8) {
      RequantiseRow(command).write(sums.row[m], begin, end - begin, i8(row_of(output, row + m)) + begin);
    } else {
      __builtin_memcpy(i32(row_of(output, row + m)) + begin, sums.row[m], (end - begin) * sizeof(std::int32_t));
    }
  }
}

void multiply_integers(const Checked& command, const Tile& unit) {
  for (std::uint64_t begin = unit.column_begin; begin < unit.column_end; begin += kIntPanel) {
    const std::uint64_t end = unit.column_end - begin < kIntPanel ? unit.column_end : begin + kIntPanel;
    const IntStarts starts = starts_of(command, begin, end);
    std::uint64_t row = unit.row_begin;
    for (; row + kIntRows <= unit.row_end; row += kIntRows) {
      multiply_int_rows<kIntRows>(command, row, begin, end, starts);
    }
    for (; row < unit.row_end; ++row) {
      multiply_int_rows<1>(command, row, begin, end, starts);
    }
  }
}

}  // namespace
}  // namespace npu::simd
HWY_AFTER_NAMESPACE();
