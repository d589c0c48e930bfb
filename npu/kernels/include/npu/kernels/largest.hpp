// TopK's choice.
#pragma once

#include "npu/kernels/element.hpp"

namespace npu {
namespace {  // as all here that uses FP registers: real.hpp

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

  /// Below this, and equal to it, nothing that is offered from now on stays; NaN: anything might. There are `capacity`
  /// already.
  [[nodiscard]] float least() const { return values_[0]; }

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

}  // namespace
}  // namespace npu
