// A priority queue of things that know their place in it, so that each can be moved or removed in O(log n).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "guest/kernel/panic.hpp"

namespace guest::sched {

/// Binary min-heap of up to `Capacity` items, which it does not own. `Place`: the item's member that the heap keeps; an
/// item is in at most one heap for each such member. `Before(a, b)`: a strict order of which no two items are equal.
template <typename T, std::size_t Capacity, std::uint32_t T::* Place, bool (*Before)(const T&, const T&)>
class Heap {
 public:
  /// Of an item that is in no heap.
  static constexpr std::uint32_t kNowhere = ~std::uint32_t{0};

  constexpr Heap() = default;
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The first item, null if there is none.
  [[nodiscard]] T* first() const { return size_ == 0 ? nullptr : items_[0]; }
  [[nodiscard]] static bool holds(const T& item) { return item.*Place != kNowhere; }

  void insert(T& item) {
    kernel::require(size_ < Capacity && !holds(item), "a heap is full, or holds the item already");
    put(item, size_++);
    rise(item);
  }
  void remove(T& item) {
    const std::uint32_t place = item.*Place;
    kernel::require(place < size_ && items_[place] == &item, "an item to be removed is not in the heap");
    T& last = *items_[--size_];
    item.*Place = kNowhere;
    if (&last != &item) {
      put(last, place);
      update(last);
    }
  }
  /// Call it after a change of the item's order.
  void update(T& item) {
    rise(item);
    sink(item);
  }

 private:
  void put(T& item, std::uint32_t place) {
    items_[place] = &item;
    item.*Place = place;
  }
  void rise(T& item) {
    std::uint32_t place = item.*Place;
    while (place > 0) {
      const std::uint32_t parent = (place - 1) / 2;
      if (!Before(item, *items_[parent])) {
        break;
      }
      put(*items_[parent], place);
      place = parent;
    }
    put(item, place);
  }
  void sink(T& item) {
    std::uint32_t place = item.*Place;
    for (;;) {
      std::uint32_t child = 2 * place + 1;
      if (child >= size_) {
        break;
      }
      if (child + 1 < size_ && Before(*items_[child + 1], *items_[child])) {
        ++child;
      }
      if (!Before(*items_[child], item)) {
        break;
      }
      put(*items_[child], place);
      place = child;
    }
    put(item, place);
  }

  std::array<T*, Capacity> items_{};
  std::uint32_t size_ = 0;
};

}  // namespace guest::sched
