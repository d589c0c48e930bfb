// A virtqueue whose driver may write anything into it: nothing is checked or kept in order.
#pragma once

#include <atomic>
#include <cstring>
#include <optional>

#include "abi/virtio.hpp"
#include "arena.hpp"
#include "guest/drivers/virtio_transport.hpp"

namespace guest::hostile {

/// Each slot has four descriptors of its own.
class RawQueue {
 public:
  static constexpr std::uint16_t kSize = 64;
  static constexpr std::uint16_t kPerSlot = kSize / kSlots;

  explicit RawQueue(const drivers::DmaBuffer& memory) : memory_(memory) { clear(); }

  void clear() {
    std::memset(memory_.bytes.data(), 0, memory_.bytes.size());
    available_ = used_ = 0;
  }
  [[nodiscard]] drivers::QueueAddresses addresses() const {
    return {.size = kSize,
            .descriptors = memory_.address,
            .driver_area = memory_.address + kAvailable,
            .device_area = memory_.address + kUsed};
  }

  void set_descriptor(std::uint16_t index, const abi::virtio::Descriptor& descriptor) {
    std::memcpy(&memory_.bytes[index * sizeof descriptor], &descriptor, sizeof descriptor);
  }
  /// Any head, in the queue or not.
  void offer(std::uint16_t head) {
    const std::size_t place = kAvailable + abi::virtio::kAvailRing + std::size_t{2} * (available_ % kSize);
    std::memcpy(&memory_.bytes[place], &head, sizeof head);
    set_available(static_cast<std::uint16_t>(available_ + 1));
  }
  void set_available(std::uint16_t index) {
    available_ = index;
    word(kAvailable + abi::virtio::kAvailIdx).store(index, std::memory_order_release);  // entries before it
  }
  [[nodiscard]] std::uint16_t available() const { return available_; }
  /// The next chain that came back.
  std::optional<abi::virtio::UsedElement> collect() {
    // Acquire: what the device wrote before it.
    if (word(kUsed + abi::virtio::kUsedIdx).load(std::memory_order_acquire) == used_) {
      return std::nullopt;
    }
    abi::virtio::UsedElement element{};
    std::memcpy(&element, &memory_.bytes[kUsed + abi::virtio::kUsedRing + sizeof element * (used_ % kSize)],
                sizeof element);
    ++used_;
    return element;
  }

 private:
  static constexpr std::size_t kAvailable = 4096;
  static constexpr std::size_t kUsed = 8192;

  /// Shared with the device; aligned, as the offsets are even.
  [[nodiscard]] std::atomic_ref<std::uint16_t> word(std::size_t offset) {
    void* const place = &memory_.bytes[offset];
    return std::atomic_ref<std::uint16_t>(*static_cast<std::uint16_t*>(place));
  }

  drivers::DmaBuffer memory_;
  std::uint16_t available_ = 0;
  std::uint16_t used_ = 0;
};

}  // namespace guest::hostile
