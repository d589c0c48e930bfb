#include "guest/drivers/virtqueue.hpp"

#include <atomic>
#include <bit>
#include <cstring>

namespace guest::drivers {

namespace {

using abi::virtio::Descriptor;
using kernel::Status;

constexpr std::size_t align_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// The rings are shared with the device, so their words are accessed as atomics: once each, never torn. The casts give
// raw DMA memory, aligned by init(), the type that the ring's layout says.
template <typename T>
T shared_load(const std::byte* at, std::memory_order order) {
  void* const place = const_cast<std::byte*>(at);  // atomic_ref of a const type is C++26
  auto* const word = static_cast<T*>(place);
  return abi::Le<T>(std::atomic_ref<T>(*word).load(order)).value();
}
void shared_store(std::byte* at, std::uint16_t value, std::memory_order order) {
  const auto stored = std::bit_cast<std::uint16_t>(abi::Le16(value));
  void* const place = at;
  std::atomic_ref<std::uint16_t>(*static_cast<std::uint16_t*>(place)).store(stored, order);
}

}  // namespace

std::string_view to_string(Virtqueue::Fault fault) {
  switch (fault) {
    case Virtqueue::Fault::None:
      return "none";
    case Virtqueue::Fault::IndexJump:
      return "used index ahead of the chains in flight";
    case Virtqueue::Fault::IdOutOfRange:
      return "used entry with an id outside of the queue";
    case Virtqueue::Fault::IdNotInFlight:
      return "used entry for a chain that is not in flight";
    case Virtqueue::Fault::LengthTooLarge:
      return "used entry longer than its chain";
  }
  return "unknown fault";
}

std::uint16_t Virtqueue::usable_size(std::uint32_t max_size) {
  const std::uint32_t limit = max_size < kMaxSize ? max_size : kMaxSize;
  return static_cast<std::uint16_t>(std::bit_floor(limit));
}

std::size_t Virtqueue::memory_bytes(const Options& options) {
  const std::size_t used_offset =
      align_up(abi::virtio::descriptor_table_bytes(options.size) + abi::virtio::avail_ring_bytes(options.size),
               alignof(std::uint32_t));
  const std::size_t tables = align_up(used_offset + abi::virtio::used_ring_bytes(options.size), sizeof(Descriptor));
  return tables + std::size_t{options.size} * options.indirect_segments * sizeof(Descriptor);
}

Status Virtqueue::init(const Options& options, const DmaBuffer& memory) {
  if (options.size == 0 || options.size > kMaxSize || !std::has_single_bit(options.size) ||
      memory.bytes.size() < memory_bytes(options) || kernel::raw(memory.address) % sizeof(Descriptor) != 0) {
    return Status::Invalid;
  }
  memory_ = memory;
  size_ = options.size;
  event_idx_ = options.event_idx;
  indirect_segments_ = options.indirect_segments;
  avail_offset_ = abi::virtio::descriptor_table_bytes(size_);
  used_offset_ = align_up(avail_offset_ + abi::virtio::avail_ring_bytes(size_), alignof(std::uint32_t));
  indirect_offset_ = align_up(used_offset_ + abi::virtio::used_ring_bytes(size_), sizeof(Descriptor));
  std::memset(memory_.bytes.data(), 0, indirect_offset_);
  fault_ = Fault::None;
  free_head_ = 0;
  free_count_ = size_;
  in_flight_ = avail_idx_ = notified_idx_ = last_used_ = 0;
  for (std::uint16_t i = 0; i < size_; ++i) {
    next_[i] = static_cast<std::uint16_t>(i + 1);
    chains_[i] = {};
  }
  return Status::Ok;
}

QueueAddresses Virtqueue::addresses() const {
  return {.size = size_,
          .descriptors = memory_.address,
          .driver_area = memory_.address + avail_offset_,
          .device_area = memory_.address + used_offset_};
}

std::uint16_t Virtqueue::room(std::size_t segments) const {
  if (broken() || segments == 0) {
    return 0;
  }
  return static_cast<std::uint16_t>(uses_indirect(segments) ? free_count_ : free_count_ / segments);
}

void Virtqueue::write_descriptor(std::size_t offset, const QueueSegment& segment, std::uint16_t flags,
                                 std::uint16_t next) {
  const Descriptor descriptor{.addr = kernel::raw(segment.address), .len = segment.bytes, .flags = flags, .next = next};
  std::memcpy(&memory_.bytes[offset], &descriptor, sizeof(descriptor));
}

std::uint16_t Virtqueue::write_chain(std::span<const QueueSegment> readable, std::span<const QueueSegment> writable) {
  const std::uint16_t head = free_head_;
  const std::size_t count = readable.size() + writable.size();
  std::uint16_t at = head;
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_writable = i >= readable.size();
    const QueueSegment& segment = is_writable ? writable[i - readable.size()] : readable[i];
    const bool last = i + 1 == count;
    const auto flags =
        static_cast<std::uint16_t>((is_writable ? abi::virtio::kDescWrite : 0U) | (last ? 0U : abi::virtio::kDescNext));
    write_descriptor(at * sizeof(Descriptor), segment, flags, last ? std::uint16_t{0} : next_[at]);
    free_head_ = next_[at];
    at = next_[at];
  }
  chains_[head].descriptors = static_cast<std::uint16_t>(count);
  return head;
}

std::uint16_t Virtqueue::write_indirect(std::span<const QueueSegment> readable,
                                        std::span<const QueueSegment> writable) {
  const std::uint16_t head = free_head_;
  const std::size_t count = readable.size() + writable.size();
  const std::size_t table = indirect_offset_ + std::size_t{head} * indirect_segments_ * sizeof(Descriptor);
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_writable = i >= readable.size();
    const QueueSegment& segment = is_writable ? writable[i - readable.size()] : readable[i];
    const bool last = i + 1 == count;
    const auto flags =
        static_cast<std::uint16_t>((is_writable ? abi::virtio::kDescWrite : 0U) | (last ? 0U : abi::virtio::kDescNext));
    write_descriptor(table + i * sizeof(Descriptor), segment, flags,
                     last ? std::uint16_t{0} : static_cast<std::uint16_t>(i + 1));
  }
  const QueueSegment whole{.address = memory_.address + table,
                           .bytes = static_cast<std::uint32_t>(count * sizeof(Descriptor))};
  write_descriptor(head * sizeof(Descriptor), whole, abi::virtio::kDescIndirect, 0);
  free_head_ = next_[head];
  chains_[head].descriptors = 1;
  return head;
}

Status Virtqueue::add(std::span<const QueueSegment> readable, std::span<const QueueSegment> writable,
                      std::uint16_t token) {
  if (broken()) {
    return Status::DeviceFailed;
  }
  const std::size_t count = readable.size() + writable.size();
  const bool indirect = uses_indirect(count);
  std::uint64_t writable_bytes = 0;
  // VIRTIO 1.2, The Virtqueue Descriptor Table: no chain is longer than the queue, in an indirect table neither.
  bool invalid = count == 0 || count > size_;
  for (const QueueSegment& segment : readable) {
    invalid = invalid || segment.bytes == 0;
  }
  for (const QueueSegment& segment : writable) {
    invalid = invalid || segment.bytes == 0;
    writable_bytes += segment.bytes;
  }
  if (invalid || writable_bytes > UINT32_MAX) {
    return Status::Invalid;
  }
  if (room(count) == 0) {
    return Status::NoMemory;
  }
  const std::uint16_t head = indirect ? write_indirect(readable, writable) : write_chain(readable, writable);
  Chain& chain = chains_[head];
  chain.writable_bytes = static_cast<std::uint32_t>(writable_bytes);
  chain.token = token;
  free_count_ = static_cast<std::uint16_t>(free_count_ - chain.descriptors);
  ++in_flight_;

  std::byte* const avail = &memory_.bytes[avail_offset_];
  const std::size_t slot = avail_idx_ % size_;
  shared_store(avail + abi::virtio::kAvailRing + 2 * slot, head, std::memory_order_relaxed);
  ++avail_idx_;
  // Release: descriptors and ring entry before the index. Pairs with the device's acquire when it reads the index.
  shared_store(avail + abi::virtio::kAvailIdx, avail_idx_, std::memory_order_release);
  return Status::Ok;
}

bool Virtqueue::take_notification() {
  if (broken() || avail_idx_ == notified_idx_) {
    return false;
  }
  // Full barrier: the index store above before the load of the device's wish. Pairs with the device's barrier between
  // writing its wish and looking at the index for a last time; without both, each side can miss the other's write and
  // the chain waits for ever. It also orders the ring before the doorbell that the caller writes next.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint16_t old_idx = notified_idx_;
  notified_idx_ = avail_idx_;
  const std::byte* const used = &memory_.bytes[used_offset_];
  if (event_idx_) {
    const std::byte* const avail_event = used + abi::virtio::kUsedRing + sizeof(abi::virtio::UsedElement) * size_;
    const auto event = shared_load<std::uint16_t>(avail_event, std::memory_order_relaxed);
    return abi::virtio::need_event(event, avail_idx_, old_idx);
  }
  const auto flags = shared_load<std::uint16_t>(used + abi::virtio::kUsedFlags, std::memory_order_relaxed);
  return (flags & abi::virtio::kUsedNoNotify) == 0;
}

std::uint16_t Virtqueue::device_index() const {
  // Acquire: the entries (and the buffers' contents) after the index. Pairs with the device's release of it.
  return shared_load<std::uint16_t>(&memory_.bytes[used_offset_ + abi::virtio::kUsedIdx], std::memory_order_acquire);
}

bool Virtqueue::has_used() const { return !broken() && size_ != 0 && device_index() != last_used_; }

std::optional<Virtqueue::Used> Virtqueue::take_used() {
  if (broken() || size_ == 0) {
    return std::nullopt;
  }
  const auto pending = static_cast<std::uint16_t>(device_index() - last_used_);
  if (pending == 0) {
    return std::nullopt;
  }
  if (pending > in_flight_) {
    return fail(Fault::IndexJump);
  }
  const std::size_t entry =
      used_offset_ + abi::virtio::kUsedRing + sizeof(abi::virtio::UsedElement) * (last_used_ % size_);
  const auto id = shared_load<std::uint32_t>(&memory_.bytes[entry], std::memory_order_relaxed);
  const auto written = shared_load<std::uint32_t>(&memory_.bytes[entry + 4], std::memory_order_relaxed);
  if (id >= size_) {
    return fail(Fault::IdOutOfRange);
  }
  const auto head = static_cast<std::uint16_t>(id);
  const Chain chain = chains_[head];
  if (chain.descriptors == 0) {
    return fail(Fault::IdNotInFlight);
  }
  // Devices are seen to report the bytes that they read. For a chain that has nothing to write the number means
  // nothing.
  if (written > chain.writable_bytes && chain.writable_bytes != 0) {
    return fail(Fault::LengthTooLarge);
  }
  release_chain(head);
  ++last_used_;
  return Used{.token = chain.token, .written_bytes = chain.writable_bytes == 0 ? 0 : written};
}

void Virtqueue::release_chain(std::uint16_t head) {
  std::uint16_t tail = head;
  for (std::uint16_t i = 1; i < chains_[head].descriptors; ++i) {
    tail = next_[tail];
  }
  next_[tail] = free_head_;
  free_head_ = head;
  free_count_ = static_cast<std::uint16_t>(free_count_ + chains_[head].descriptors);
  --in_flight_;
  chains_[head] = {};
}

bool Virtqueue::arm_interrupt(std::uint16_t skip) {
  if (broken() || size_ == 0) {
    return false;
  }
  std::byte* const avail = &memory_.bytes[avail_offset_];
  if (event_idx_) {
    const auto event = static_cast<std::uint16_t>(last_used_ + skip);
    shared_store(avail + abi::virtio::kAvailRing + 2 * std::size_t{size_}, event, std::memory_order_relaxed);
  } else {
    skip = 0;
    shared_store(avail + abi::virtio::kAvailFlags, 0, std::memory_order_relaxed);
  }
  // Full barrier: the wish before the last look at the used index. Pairs with the device's barrier between publishing
  // the index and reading the wish.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return static_cast<std::uint16_t>(device_index() - last_used_) > skip;
}

void Virtqueue::disarm_interrupt() {
  if (broken() || size_ == 0) {
    return;
  }
  std::byte* const avail = &memory_.bytes[avail_offset_];
  if (event_idx_) {
    // The entry just passed: the device comes by there again after 65536 more. Stale by then or not, one interrupt too
    // many is harmless.
    const auto passed = static_cast<std::uint16_t>(last_used_ - 1);
    shared_store(avail + abi::virtio::kAvailRing + 2 * std::size_t{size_}, passed, std::memory_order_relaxed);
  } else {
    shared_store(avail + abi::virtio::kAvailFlags, abi::virtio::kAvailNoInterrupt, std::memory_order_relaxed);
  }
}

}  // namespace guest::drivers
