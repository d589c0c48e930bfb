// A bounded first-in first-out buffer of bytes.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "vmm/virtio/descriptor_chain.hpp"

namespace vmm::vsock {

/// Holds what a slow reader has not taken yet. Its memory is allocated with the first byte, so that the many
/// connections whose reader keeps up cost nothing.
class ByteRing {
 public:
  explicit ByteRing(std::size_t capacity) : capacity_(capacity) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t free() const { return capacity_ - size_; }

  /// Appends `bytes` bytes of the reader, which has that many; they must fit in free().
  void append(virtio::Reader& reader, std::size_t bytes);
  /// The contents in order, as one or two ranges (the second of size 0 then).
  [[nodiscard]] std::array<iovec, 2> contents() const;
  /// Removes the first `bytes` bytes, at most size().
  void drop(std::size_t bytes);
  void clear();

 private:
  std::size_t capacity_;
  std::size_t start_ = 0;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace vmm::vsock
