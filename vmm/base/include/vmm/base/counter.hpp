// A statistic that one thread writes and any thread reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace vmm {

/// A 64-bit count with one writing thread. Reading never tears; relaxed is enough, because nothing else is published
/// through it. Copying takes the value of the moment.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter& other) : value_(other.value()) {}
  Counter& operator=(const Counter& other) {
    value_.store(other.value(), std::memory_order_relaxed);
    return *this;
  }

  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }
  operator std::uint64_t() const { return value(); }  // NOLINT(google-explicit-constructor): reads as a number

  // Load and store instead of fetch_add: there is one writer, and a locked instruction per packet would be felt.
  Counter& operator+=(std::uint64_t amount) {
    value_.store(value() + amount, std::memory_order_relaxed);
    return *this;
  }
  Counter& operator++() { return *this += 1; }
  Counter& operator--() { return *this += ~std::uint64_t{0}; }
  void raise_to(std::uint64_t at_least) {
    if (value() < at_least) value_.store(at_least, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace vmm
