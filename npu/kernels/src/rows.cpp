#include "abi/npu_commands.hpp"
#include "npu/kernels/element.hpp"
#include "npu/kernels/scalar.hpp"
#include "tiles.hpp"

namespace npu::scalar {

namespace {

namespace operand = abi::npu::operand;
namespace dim = abi::npu::dim;

/// The largest values of a row, in the output's own memory: a heap with the least of them at its root, so that it is
/// the first one to go. Positions come from here alone, whatever the memory's owner writes there meanwhile.
class Largest {
 public:
  Largest(MemF32* values, MemI32* indices, std::uint64_t capacity)
      : values_(values), indices_(indices), capacity_(capacity) {}

  void offer(float value, std::int32_t index) {
    if (count_ < capacity_) {
      rise(count_++, {value, index});
    } else if (is_before({value, index}, get(0))) {
      sink({value, index}, count_);
    }
  }

  /// The largest one first.
  void sort() {
    for (std::uint64_t left = count_; left > 1; --left) {
      const Entry least = get(0);
      sink(get(left - 1), left - 1);
      set(left - 1, least);
    }
  }

 private:
  struct Entry {
    float value;
    std::int32_t index;
  };

  /// NaN is behind all others; equal ones are in the order of their indices.
  static bool is_before(Entry a, Entry b) {
    const bool a_nan = is_nan(static_cast<double>(a.value));
    const bool b_nan = is_nan(static_cast<double>(b.value));
    if (a_nan != b_nan) {
      return b_nan;
    }
    return a.value > b.value || (!(a.value < b.value) && a.index < b.index);
  }

  [[nodiscard]] Entry get(std::uint64_t at) const { return {values_[at], indices_[at]}; }
  void set(std::uint64_t at, Entry entry) {
    values_[at] = entry.value;
    indices_[at] = entry.index;
  }

  void rise(std::uint64_t at, Entry entry) {
    while (at > 0 && is_before(get((at - 1) / 2), entry)) {
      set(at, get((at - 1) / 2));
      at = (at - 1) / 2;
    }
    set(at, entry);
  }

  /// Puts an entry in place of the root of the first `count`.
  void sink(Entry entry, std::uint64_t count) {
    std::uint64_t at = 0;
    for (std::uint64_t child = 1; child < count; child = 2 * at + 1) {
      if (child + 1 < count && is_before(get(child), get(child + 1))) {
        ++child;
      }
      if (!is_before(entry, get(child))) {
        break;
      }
      set(at, get(child));
      at = child;
    }
    set(at, entry);
  }

  MemF32* values_;
  MemI32* indices_;
  std::uint64_t capacity_;
  std::uint64_t count_ = 0;
};

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
