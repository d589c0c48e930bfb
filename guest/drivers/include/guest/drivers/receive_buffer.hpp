// Bytes that have arrived and that nobody has read yet.
#pragma once

#include <cstddef>
#include <span>

#include "guest/kernel/heap.hpp"

namespace guest::drivers {

/// Ordinary memory for buffers.
class BufferMemory {
 public:
  /// Null: none left.
  [[nodiscard]] virtual std::byte* allocate(std::size_t bytes) = 0;
  virtual void free(std::byte* block) = 0;

 protected:
  ~BufferMemory() = default;
};

class HeapBuffers final : public BufferMemory {
 public:
  explicit HeapBuffers(kernel::Heap& heap) : heap_(heap) {}
  [[nodiscard]] std::byte* allocate(std::size_t bytes) override {
    return static_cast<std::byte*>(heap_.allocate(bytes));
  }
  void free(std::byte* block) override { heap_.free(block); }

 private:
  kernel::Heap& heap_;
};

/// A ring that takes memory when bytes come, doubles as needed and gives everything back when it is empty. The user
/// bounds it: it never holds more than was appended.
class ReceiveBuffer {
 public:
  static constexpr std::size_t kSmallestBytes = 4096;

  ReceiveBuffer() = default;
  ReceiveBuffer(const ReceiveBuffer&) = delete;
  ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;

  /// False: no memory, nothing appended. Always the same `memory`.
  [[nodiscard]] bool append(std::span<const std::byte> bytes, BufferMemory& memory);
  /// The next bytes; fewer than size() when they wrap.
  [[nodiscard]] std::span<const std::byte> front() const;
  /// Drops `count` bytes, at most size().
  void drop(std::size_t count, BufferMemory& memory);
  void clear(BufferMemory& memory) { drop(size_, memory); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  bool grow(std::size_t wanted, BufferMemory& memory);
  void copy_in(std::span<const std::byte> bytes);

  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;  ///< a power of two
  std::size_t start_ = 0;
  std::size_t size_ = 0;
};

}  // namespace guest::drivers
