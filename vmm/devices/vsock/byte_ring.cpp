#include "vmm/devices/vsock/byte_ring.hpp"

#include <algorithm>

namespace vmm::vsock {

void ByteRing::append(virtio::Reader& reader, std::size_t bytes) {
  if (bytes > free()) __builtin_trap();  // our bug: credit is checked before
  // Not value-initialised: pages that no byte reaches are never touched.
  if (bytes != 0 && !bytes_) bytes_.reset(new std::byte[capacity_]);
  while (bytes != 0) {
    const std::size_t end = (start_ + size_) % capacity_;
    const std::size_t count = std::min(bytes, capacity_ - end);
    reader.read(std::span(bytes_.get() + end, count));
    size_ += count;
    bytes -= count;
  }
}

std::array<iovec, 2> ByteRing::contents() const {
  if (size_ == 0) return {};
  const std::size_t first = std::min(size_, capacity_ - start_);
  return {iovec{bytes_.get() + start_, first}, iovec{bytes_.get(), size_ - first}};
}

void ByteRing::drop(std::size_t bytes) {
  bytes = std::min(bytes, size_);
  size_ -= bytes;
  start_ = size_ == 0 ? 0 : (start_ + bytes) % capacity_;
}

void ByteRing::clear() {
  size_ = 0;
  start_ = 0;
  bytes_.reset();
}

}  // namespace vmm::vsock
