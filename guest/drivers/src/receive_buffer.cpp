#include "guest/drivers/receive_buffer.hpp"

#include <bit>
#include <cstring>

#include "guest/kernel/panic.hpp"

namespace guest::drivers {

bool ReceiveBuffer::grow(std::size_t wanted, BufferMemory& memory) {
  const std::size_t capacity = std::bit_ceil(wanted < kSmallestBytes ? kSmallestBytes : wanted);
  std::byte* const data = memory.allocate(capacity);
  if (data == nullptr) {
    return false;
  }
  std::size_t copied = 0;
  while (copied < size_) {
    const std::size_t at = (start_ + copied) % capacity_;
    const std::size_t piece = size_ - copied < capacity_ - at ? size_ - copied : capacity_ - at;
    std::memcpy(data + copied, data_ + at, piece);
    copied += piece;
  }
  if (data_ != nullptr) {
    memory.free(data_);
  }
  data_ = data;
  capacity_ = capacity;
  start_ = 0;
  return true;
}

void ReceiveBuffer::copy_in(std::span<const std::byte> bytes) {
  const std::size_t at = (start_ + size_) % capacity_;
  const std::size_t first = bytes.size() < capacity_ - at ? bytes.size() : capacity_ - at;
  std::memcpy(data_ + at, bytes.data(), first);
  if (first != bytes.size()) {
    std::memcpy(data_, bytes.data() + first, bytes.size() - first);
  }
  size_ += bytes.size();
}

bool ReceiveBuffer::append(std::span<const std::byte> bytes, BufferMemory& memory) {
  if (bytes.empty()) {
    return true;
  }
  if (bytes.size() > capacity_ - size_ && !grow(size_ + bytes.size(), memory)) {
    return false;
  }
  copy_in(bytes);
  return true;
}

std::span<const std::byte> ReceiveBuffer::front() const {
  return {data_ + start_, size_ < capacity_ - start_ ? size_ : capacity_ - start_};
}

void ReceiveBuffer::drop(std::size_t count, BufferMemory& memory) {
  kernel::require(count <= size_, "more bytes dropped from a receive buffer than it holds");
  size_ -= count;
  if (size_ != 0) {
    start_ = (start_ + count) % capacity_;
    return;
  }
  start_ = 0;
  capacity_ = 0;
  if (data_ != nullptr) {
    memory.free(data_);
    data_ = nullptr;
  }
}

}  // namespace guest::drivers
