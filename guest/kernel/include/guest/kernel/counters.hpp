// Named counters of the whole kernel: what the `counters` command lists.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guest::kernel {

/// A number that only its owner changes and anyone may read. Owned by its module, linked into a registry; it must
/// outlive that.
class Counter {
 public:
  /// `name` is of static storage, [a-z0-9_]+, so that it can be a metric's name as it is.
  explicit constexpr Counter(std::string_view name) : name_(name) {}
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  /// From any context. Relaxed: a counter orders nothing, it only must not lose increments.
  void add(std::uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  /// For gauges (connections open now). From any context.
  void subtract(std::uint64_t amount = 1) { value_.fetch_sub(amount, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string_view name() const { return name_; }

 private:
  friend class CounterRegistry;
  std::string_view name_;
  std::atomic<std::uint64_t> value_{0};
  Counter* next_ = nullptr;
  bool registered_ = false;
};

/// The list of counters, in the order of registration. Changed from the main loop only.
class CounterRegistry {
 public:
  constexpr CounterRegistry() = default;
  CounterRegistry(const CounterRegistry&) = delete;
  CounterRegistry& operator=(const CounterRegistry&) = delete;

  /// False: the name is taken, or the counter is registered already; nothing changed.
  bool add(Counter& counter);
  /// The counter of that name, or null.
  [[nodiscard]] const Counter* find(std::string_view name) const;
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Calls `visit(const Counter&)` for each.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Counter* counter = first_; counter != nullptr; counter = counter->next_) {
      visit(*counter);
    }
  }

 private:
  Counter* first_ = nullptr;
  Counter* last_ = nullptr;
  std::size_t size_ = 0;
};

/// The kernel's registry.
CounterRegistry& counters();

}  // namespace guest::kernel
