// Memory that a device reads and writes.
#pragma once

#include <cstddef>
#include <span>

#include "guest/kernel/page_allocator.hpp"
#include "guest/kernel/physical_memory.hpp"
#include "guest/kernel/status.hpp"

namespace guest::drivers {

/// Contiguous memory, seen from both sides. What a device may write is input: copy it once, check the copy, use the
/// copy.
struct DmaBuffer {
  std::span<std::byte> bytes;
  kernel::PhysAddr address{};

  /// `count` bytes from `offset`, which must lie inside.
  [[nodiscard]] DmaBuffer part(std::size_t offset, std::size_t count) const {
    return {.bytes = bytes.subspan(offset, count), .address = address + offset};
  }
};

/// Where drivers get such memory. All devices of this machine are coherent with the CPU's caches (VIRTIO without
/// VIRTIO_F_ACCESS_PLATFORM), so normal memory does.
class DmaMemory {
 public:
  /// `bytes` (at least 1) aligned to a page; contents undefined.
  [[nodiscard]] virtual kernel::Result<DmaBuffer> allocate(std::size_t bytes) = 0;
  /// Gives back what allocate() returned. The device must have been reset, or it goes on writing to it.
  virtual void free(const DmaBuffer& buffer) = 0;

 protected:
  ~DmaMemory() = default;
};

/// DMA memory straight from the page allocator.
class PageDma final : public DmaMemory {
 public:
  explicit PageDma(kernel::PageAllocator& pages) : pages_(pages) {}
  [[nodiscard]] kernel::Result<DmaBuffer> allocate(std::size_t bytes) override {
    const std::uint64_t count = (bytes + kernel::kPageBytes - 1) / kernel::kPageBytes;
    const kernel::Result<kernel::PhysAddr> address = pages_.allocate_pages(count);
    if (!address) {
      return std::unexpected(address.error());
    }
    return DmaBuffer{.bytes = {pages_.map().pointer<std::byte>(*address), bytes}, .address = *address};
  }
  void free(const DmaBuffer& buffer) override { pages_.free(buffer.address); }

 private:
  kernel::PageAllocator& pages_;
};

}  // namespace guest::drivers
