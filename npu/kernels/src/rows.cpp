#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"
#include "npu/kernels/largest.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace dim = abi::npu::dim;

/// NaN is no candidate; 0 where all are NaN.
template <typename T>
std::int32_t find_largest(const T* x, std::uint64_t count) {
  std::uint64_t found = 0;
  for (std::uint64_t i = 1; i < count; ++i) {
    // The second comparison: the one found is NaN, this one is not.
    if (x[i] > x[found] || (is_nan(static_cast<double>(x[found])) && !is_nan(static_cast<double>(x[i])))) {
      found = i;
    }
  }
  return static_cast<std::int32_t>(found);
}

}  // namespace

Outcome embed_rows(const Checked& command, Units units) {
  const std::uint64_t elements = command.dims[dim::embed::kElements];
  const Operand& table = command.operands[operand::kTable];
  const MemI32* const ids = i32(command.operands[operand::kIds].data);
  Outcome outcome;
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    const std::int32_t id = fetch_index(ids + row);
    // One below 0 is above all others as an unsigned number.
    if (static_cast<std::uint32_t>(id) >= command.dims[dim::embed::kVocabulary]) {
      outcome = abi::npu::Reason::IndexRange;
      return;
    }
    MemF32* const y = f32_row(command.operands[operand::kOutput], row);
    with_type(table.type, [&]<Type kType>() {
      std::byte* const from = row_of(table, static_cast<std::uint32_t>(id));
      for (std::uint64_t i = 0; i < elements; ++i) {
        y[i] = element<kType>(from, i);
      }
    });
  });
  return outcome;
}

Outcome arg_max(const Checked& command, Units units) {
  const Operand& input = command.operands[operand::kInput];
  MemI32* const found = i32(command.operands[operand::kOutput].data);
  const std::uint64_t count = command.dims[dim::kColumns];
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    std::byte* const x = row_of(input, row);
    found[row] = input.type == Type::I8 ? find_largest(i8(x), count) : find_largest(f32(x), count);
  });
  return std::nullopt;
}

Outcome top_k(const Checked& command, Units units) {
  each_row(command, units, [&](std::uint64_t row, std::uint64_t, std::uint64_t) {
    const MemF32* const x = f32_row(command.operands[operand::kInput], row);
    Largest largest(f32_row(command.operands[operand::kOutput], row),
                    i32(row_of(command.operands[operand::kIndices], row)), command.dims[dim::kTop]);
    for (std::uint32_t i = 0; i < command.dims[dim::kColumns]; ++i) {
      largest.offer(x[i], static_cast<std::int32_t>(i));
    }
    largest.sort();
  });
  return std::nullopt;
}

}  // namespace npu::scalar
