// A ring of bytes between one producer (an interrupt handler) and one consumer (the main loop).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <span>

namespace guest::drivers {

/// Lock-free for one producer and one consumer. The indices run freely and wrap; their difference is the fill level.
template <std::size_t Capacity>
class ByteRing {
  static_assert(Capacity != 0 && (Capacity & (Capacity - 1)) == 0, "free-running indices need a power of two");

 public:
  /// Producer. False: full, nothing stored.
  bool push(std::byte value) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    // Acquire pairs with the release in pop(): a slot is reused only after the consumer has copied it.
    if (head - tail_.load(std::memory_order_acquire) == Capacity) {
      return false;
    }
    slots_[head % Capacity] = value;
    head_.store(head + 1, std::memory_order_release);  // pairs with the acquire in pop()
    return true;
  }

  /// Consumer. Moves up to out.size() bytes; returns how many.
  std::size_t pop(std::span<std::byte> out) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    // Acquire pairs with the release in push(): the bytes are there when the index says so.
    const std::size_t available = head_.load(std::memory_order_acquire) - tail;
    const std::size_t count = available < out.size() ? available : out.size();
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = slots_[(tail + i) % Capacity];
    }
    tail_.store(tail + count, std::memory_order_release);  // pairs with the acquire in push()
    return count;
  }

  /// From either side; the other may change it at once.
  [[nodiscard]] std::size_t size() const {
    const std::size_t tail = tail_.load(std::memory_order_acquire);
    return head_.load(std::memory_order_acquire) - tail;
  }
  [[nodiscard]] bool full() const { return size() >= Capacity; }
  [[nodiscard]] static constexpr std::size_t capacity() { return Capacity; }

 private:
  std::array<std::byte, Capacity> slots_{};
  std::atomic<std::size_t> head_{0};
  std::atomic<std::size_t> tail_{0};
};

}  // namespace guest::drivers
