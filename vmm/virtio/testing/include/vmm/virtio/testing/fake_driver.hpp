// A driver for tests: sets up queues in fake guest memory, makes buffers available, collects used ones. It does what it
// is told, so it can be hostile too.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/virtio.hpp"
#include "vmm/memory/guest_memory.hpp"
#include "vmm/virtio/virtqueue.hpp"

namespace vmm::virtio::testing {

/// Guest RAM of one region, and a pointer that only moves up.
class FakeGuest {
 public:
  static constexpr std::uint64_t kBase = 0x4000'0000;

  explicit FakeGuest(std::size_t bytes = 1 << 20) {
    std::vector<GuestMemory::Region> regions;
    regions.push_back({.base = Gpa(kBase), .size_bytes = bytes, .mapping = *MappedRegion::anonymous(bytes)});
    memory_ = std::make_shared<const GuestMemory>(std::move(*GuestMemory::create(std::move(regions))));
  }
  [[nodiscard]] const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  [[nodiscard]] std::uint64_t allocate(std::size_t bytes) {
    const std::uint64_t address = next_;
    next_ += (bytes + 63) / 64 * 64;
    return address;
  }
  template <typename T>
  void put(std::uint64_t address, const T& value) const {
    if (!memory_->copy_in(Gpa(address), std::as_bytes(std::span(&value, 1)))) __builtin_trap();
  }
  template <typename T>
  [[nodiscard]] T get(std::uint64_t address) const {
    T value;
    if (!memory_->copy_out(Gpa(address), std::as_writable_bytes(std::span(&value, 1)))) __builtin_trap();
    return value;
  }
  void put_bytes(std::uint64_t address, std::string_view text) const {
    if (!memory_->copy_in(Gpa(address), std::as_bytes(std::span(text)))) __builtin_trap();
  }
  [[nodiscard]] std::string get_bytes(std::uint64_t address, std::size_t size) const {
    std::string text(size, '\0');
    if (!memory_->copy_out(Gpa(address), std::as_writable_bytes(std::span(text)))) __builtin_trap();
    return text;
  }

 private:
  std::shared_ptr<const GuestMemory> memory_;
  std::uint64_t next_ = kBase;
};

struct Buffer {
  std::uint64_t address;
  std::uint32_t bytes;
  bool writable;
};

/// The driver's side of one split queue. Descriptors are taken in order and never given back: a test makes few
/// requests, and one that makes many uses add_at().
class FakeQueue {
 public:
  FakeQueue(FakeGuest& guest, std::uint16_t size, bool event_index = false, bool indirect = false)
      : guest_(guest),
        layout_{.size = size,
                .descriptors = Gpa(guest.allocate(abi::virtio::descriptor_table_bytes(size))),
                .available = Gpa(guest.allocate(abi::virtio::avail_ring_bytes(size))),
                .used = Gpa(guest.allocate(abi::virtio::used_ring_bytes(size))),
                .event_index = event_index,
                .indirect = indirect,
                .next_index = 0} {}

  QueueLayout& layout() { return layout_; }
  [[nodiscard]] Virtqueue device_side() const { return *Virtqueue::create(guest_.memory(), layout_); }

  void set_descriptor(std::uint16_t index, std::uint64_t address, std::uint32_t bytes, std::uint16_t flags,
                      std::uint16_t next = 0) const {
    guest_.put(layout_.descriptors.value() + 16u * index,
               abi::virtio::Descriptor{.addr = address, .len = bytes, .flags = flags, .next = next});
  }
  /// Makes a head available.
  void offer(std::uint16_t head) {
    guest_.put(layout_.available.value() + abi::virtio::kAvailRing + 2u * (available_ % layout_.size), abi::Le16(head));
    set_available_index(++available_);
  }
  void set_available_index(std::uint16_t index) const {
    guest_.put(layout_.available.value() + abi::virtio::kAvailIdx, abi::Le16(index));
  }
  void set_available_flags(std::uint16_t flags) const {
    guest_.put(layout_.available.value() + abi::virtio::kAvailFlags, abi::Le16(flags));
  }
  void set_used_event(std::uint16_t index) const {
    guest_.put(layout_.available.value() + abi::virtio::kAvailRing + 2u * layout_.size, abi::Le16(index));
  }
  [[nodiscard]] std::uint16_t avail_event() const {
    return guest_.get<abi::Le16>(layout_.used.value() + abi::virtio::kUsedRing + 8u * layout_.size);
  }
  [[nodiscard]] std::uint16_t used_flags() const {
    return guest_.get<abi::Le16>(layout_.used.value() + abi::virtio::kUsedFlags);
  }
  [[nodiscard]] std::uint16_t used_index() const {
    return guest_.get<abi::Le16>(layout_.used.value() + abi::virtio::kUsedIdx);
  }

  /// A chain of these buffers, in descriptors from `first` on; returns its head.
  std::uint16_t add_at(std::uint16_t first, const std::vector<Buffer>& buffers) {
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const bool last = i + 1 == buffers.size();
      const auto index = static_cast<std::uint16_t>(first + i);
      const auto flags = static_cast<std::uint16_t>((last ? 0 : abi::virtio::kDescNext) |
                                                    (buffers[i].writable ? abi::virtio::kDescWrite : 0));
      set_descriptor(index, buffers[i].address, buffers[i].bytes, flags, static_cast<std::uint16_t>(index + 1));
    }
    offer(first);
    return first;
  }
  std::uint16_t add(const std::vector<Buffer>& buffers) {
    const std::uint16_t head = add_at(next_descriptor_, buffers);
    next_descriptor_ = static_cast<std::uint16_t>(next_descriptor_ + buffers.size());
    return head;
  }

  struct Used {
    std::uint32_t id;
    std::uint32_t bytes;
  };
  /// The next used element that was not collected yet.
  std::optional<Used> collect() {
    if (collected_ == used_index()) return std::nullopt;
    const auto element = guest_.get<abi::virtio::UsedElement>(layout_.used.value() + abi::virtio::kUsedRing +
                                                              8u * (collected_ % layout_.size));
    ++collected_;
    return Used{.id = element.id, .bytes = element.len};
  }

 private:
  FakeGuest& guest_;
  QueueLayout layout_;
  std::uint16_t available_ = 0;
  std::uint16_t collected_ = 0;
  std::uint16_t next_descriptor_ = 0;
};

}  // namespace vmm::virtio::testing
