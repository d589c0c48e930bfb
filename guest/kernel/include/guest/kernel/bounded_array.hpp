// An array with a fixed capacity and a size.
#pragma once

#include <cstddef>

#include "guest/kernel/panic.hpp"

namespace guest::kernel {

/// Up to `Capacity` values of a trivial type, in place. Indexing outside of size() panics.
template <typename T, std::size_t Capacity>
class BoundedArray {
 public:
  static constexpr std::size_t capacity() { return Capacity; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
  [[nodiscard]] constexpr bool full() const { return size_ == Capacity; }

  /// False: full, nothing changed.
  [[nodiscard]] constexpr bool push_back(const T& value) {
    if (full()) {
      return false;
    }
    items_[size_++] = value;
    return true;
  }
  /// Inserts before `index`, which is at most size(). False: full, nothing changed.
  [[nodiscard]] constexpr bool insert(std::size_t index, const T& value) {
    require(index <= size_, "insertion beyond the end of a bounded array");
    if (full()) {
      return false;
    }
    for (std::size_t i = size_; i > index; --i) {
      items_[i] = items_[i - 1];
    }
    items_[index] = value;
    ++size_;
    return true;
  }
  constexpr void erase(std::size_t index) {
    require(index < size_, "index outside of a bounded array");
    for (std::size_t i = index + 1; i < size_; ++i) {
      items_[i - 1] = items_[i];
    }
    --size_;
  }
  constexpr void clear() { size_ = 0; }

  constexpr T& operator[](std::size_t index) {
    require(index < size_, "index outside of a bounded array");
    return items_[index];
  }
  constexpr const T& operator[](std::size_t index) const {
    require(index < size_, "index outside of a bounded array");
    return items_[index];
  }
  constexpr T* begin() { return items_; }
  constexpr T* end() { return items_ + size_; }
  [[nodiscard]] constexpr const T* begin() const { return items_; }
  [[nodiscard]] constexpr const T* end() const { return items_ + size_; }

 private:
  T items_[Capacity] = {};
  std::size_t size_ = 0;
};

}  // namespace guest::kernel
