// The device's side of a split virtqueue, written from the specification for tests: slow, checking everything that a
// driver promises, and able to break every promise of a device.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "abi/virtio.hpp"
#include "guest/drivers/testing/test_memory.hpp"
#include "guest/drivers/virtio_transport.hpp"

namespace guest::drivers::testing {

class FakeQueueDevice {
 public:
  struct Buffer {
    std::uint64_t address;
    std::uint32_t bytes;
  };
  struct Chain {
    std::uint16_t head = 0;
    std::vector<Buffer> readable;
    std::vector<Buffer> writable;
    bool indirect = false;
  };

  FakeQueueDevice(TestMemory& memory, const QueueAddresses& queue, bool event_idx)
      : memory_(memory),
        size_(queue.size),
        descriptors_(kernel::raw(queue.descriptors)),
        avail_(kernel::raw(queue.driver_area)),
        used_(kernel::raw(queue.device_area)),
        event_idx_(event_idx) {}

  std::uint16_t avail_idx() { return memory_.load<abi::Le16>(avail_ + abi::virtio::kAvailIdx); }
  std::uint16_t pending() { return static_cast<std::uint16_t>(avail_idx() - next_avail_); }

  /// Takes the next chain the driver offers.
  std::optional<Chain> take() {
    if (pending() == 0) return std::nullopt;
    EXPECT_LE(pending(), size_) << "the driver offered more than the queue holds";
    Chain chain;
    chain.head = memory_.load<abi::Le16>(avail_ + abi::virtio::kAvailRing + 2U * (next_avail_ % size_));
    ++next_avail_;
    EXPECT_LT(chain.head, size_);
    walk(descriptors_, size_, chain.head, chain, false);
    return chain;
  }

  std::vector<std::byte> read(const Chain& chain) {
    std::vector<std::byte> bytes;
    for (const Buffer& buffer : chain.readable) {
      const std::byte* const from = memory_.at(buffer.address, buffer.bytes);
      EXPECT_NE(from, nullptr) << "readable buffer outside of memory";
      if (from != nullptr) bytes.insert(bytes.end(), from, from + buffer.bytes);
    }
    return bytes;
  }
  /// Fills the writable buffers; returns how many bytes fitted.
  std::uint32_t write(const Chain& chain, std::span<const std::byte> bytes) {
    std::size_t done = 0;
    for (const Buffer& buffer : chain.writable) {
      const std::size_t count = std::min<std::size_t>(buffer.bytes, bytes.size() - done);
      std::byte* const to = memory_.at(buffer.address, buffer.bytes);
      EXPECT_NE(to, nullptr) << "writable buffer outside of memory";
      if (to != nullptr && count != 0) std::memcpy(to, bytes.data() + done, count);
      done += count;
    }
    return static_cast<std::uint32_t>(done);
  }

  void push_used(std::uint32_t id, std::uint32_t bytes) {
    const abi::virtio::UsedElement element{.id = id, .len = bytes};
    memory_.store(used_ + abi::virtio::kUsedRing + 8U * (used_idx_ % size_), element);
    ++used_idx_;
    publish_used(used_idx_);
  }
  void publish_used(std::uint16_t idx) {
    used_idx_ = idx;
    memory_.store(used_ + abi::virtio::kUsedIdx, abi::Le16(idx));
  }
  std::uint16_t used_idx() const { return used_idx_; }

  /// Must the driver be interrupted for what was pushed since the last call?
  bool take_interrupt() {
    const std::uint16_t old_idx = signalled_idx_;
    signalled_idx_ = used_idx_;
    if (old_idx == used_idx_) return false;
    if (!event_idx_) return (memory_.load<abi::Le16>(avail_) & abi::virtio::kAvailNoInterrupt) == 0;
    const std::uint16_t event = memory_.load<abi::Le16>(avail_ + abi::virtio::kAvailRing + 2U * size_);
    return abi::virtio::need_event(event, used_idx_, old_idx);
  }

  /// What the device asks of the driver: a kick for the next chain that it adds, or for none.
  void want_kicks(bool wanted) {
    if (event_idx_) {
      const auto event = static_cast<std::uint16_t>(wanted ? avail_idx() : avail_idx() - 1);
      memory_.store(used_ + abi::virtio::kUsedRing + 8U * size_, abi::Le16(event));
    } else {
      memory_.store(used_, abi::Le16(wanted ? std::uint16_t{0} : abi::virtio::kUsedNoNotify));
    }
  }

 private:
  void walk(std::uint64_t table, std::uint32_t entries, std::uint16_t first, Chain& chain, bool nested) {
    std::uint16_t at = first;
    for (std::uint32_t seen = 0;; ++seen) {
      ASSERT_LT(seen, entries) << "descriptor loop";
      ASSERT_LT(at, entries);
      const auto descriptor = memory_.load<abi::virtio::Descriptor>(table + 16U * at);
      const std::uint16_t flags = descriptor.flags;
      ASSERT_EQ(flags & ~7U, 0U);
      if ((flags & abi::virtio::kDescIndirect) != 0) {
        ASSERT_FALSE(nested);
        ASSERT_EQ(flags, abi::virtio::kDescIndirect) << "indirect excludes the other flags";
        ASSERT_EQ(descriptor.len % 16, 0U);
        ASSERT_LE(descriptor.len / 16, size_) << "chain longer than the queue";
        chain.indirect = true;
        walk(descriptor.addr, descriptor.len / 16, 0, chain, true);
        return;
      }
      ASSERT_NE(descriptor.len, 0U);
      const bool writable = (flags & abi::virtio::kDescWrite) != 0;
      ASSERT_TRUE(writable || chain.writable.empty()) << "readable after writable";
      (writable ? chain.writable : chain.readable).push_back({descriptor.addr, descriptor.len});
      if ((flags & abi::virtio::kDescNext) == 0) return;
      at = descriptor.next;
    }
  }

  TestMemory& memory_;
  std::uint16_t size_;
  std::uint64_t descriptors_;
  std::uint64_t avail_;
  std::uint64_t used_;
  bool event_idx_;
  std::uint16_t next_avail_ = 0;
  std::uint16_t used_idx_ = 0;
  std::uint16_t signalled_idx_ = 0;
};

}  // namespace guest::drivers::testing
