// A queue of bytes on the heap: appended at the end, consumed from the front.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace guest::control {

/// Grows by doubling up to what is appended; gives its memory back when it is emptied by clear(). Move only.
class Buffer {
 public:
  /// Makes room, so that `count` bytes can be appended next. False: no memory.
  [[nodiscard]] bool reserve(std::size_t count);
  /// False: no memory; nothing was appended.
  [[nodiscard]] bool append(std::span<const std::byte> data);
  /// Removes `count` bytes (at most size()) from the front.
  void consume(std::size_t count);
  void clear();
  [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_.get() + start_, end_ - start_}; }
  [[nodiscard]] std::size_t size() const { return end_ - start_; }
  [[nodiscard]] bool empty() const { return start_ == end_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
};

}  // namespace guest::control
