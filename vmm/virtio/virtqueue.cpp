#include "vmm/virtio/virtqueue.hpp"

#include <atomic>
#include <bit>

namespace vmm::virtio {
namespace {

using abi::virtio::Descriptor;

std::uint16_t from_le(std::uint16_t raw) { return std::bit_cast<abi::Le16>(raw); }
std::uint16_t to_le(std::uint16_t value) { return std::bit_cast<std::uint16_t>(abi::Le16(value)); }

/// A 16-bit cell of a ring. `offset` lies in the slice: create() checked the ring's length, and it is even, as is the
/// ring's address.
std::uint16_t* cell(GuestSlice ring, std::size_t offset) {
  // reinterpret_cast: an aligned 16-bit integer shared with the guest, only ever accessed atomically.
  return reinterpret_cast<std::uint16_t*>(ring.raw() + offset);
}
std::uint16_t load(GuestSlice ring, std::size_t offset) {
  // Relaxed: the callers that need order fence; see there.
  return from_le(__atomic_load_n(cell(ring, offset), __ATOMIC_RELAXED));
}
void store(GuestSlice ring, std::size_t offset, std::uint16_t value) {
  __atomic_store_n(cell(ring, offset), to_le(value), __ATOMIC_RELAXED);  // as in load()
}

std::size_t used_event_offset(std::uint16_t size) { return abi::virtio::kAvailRing + std::size_t{2} * size; }
std::size_t avail_event_offset(std::uint16_t size) { return abi::virtio::kUsedRing + std::size_t{8} * size; }

/// A descriptor, fetched once.
Descriptor fetch(GuestSlice table, std::uint64_t index) {
  Descriptor copy;
  table.part(index * sizeof copy, sizeof copy).copy_out(std::as_writable_bytes(std::span(&copy, 1)));
  return copy;
}

constexpr std::uint16_t kKnownFlags = abi::virtio::kDescNext | abi::virtio::kDescWrite | abi::virtio::kDescIndirect;

/// The used ring's length field has 32 bits, and VIRTIO 1.2 (The Virtqueue Descriptor Table) forbids longer chains.
constexpr std::uint64_t kMaxChainBytes = UINT32_MAX;

}  // namespace

std::string QueueError::message() const {
  const std::string v = std::to_string(value);
  const std::string l = std::to_string(limit);
  switch (kind) {
    case Kind::AvailableIndexTooFar:
      return "available index " + v + " is further ahead of " + l + " than the queue is long";
    case Kind::HeadOutOfRange:
      return "available ring names descriptor " + v + " of a queue of " + l;
    case Kind::NextOutOfRange:
      return "descriptor chain goes on at " + v + " of a table of " + l;
    case Kind::ChainTooLong:
      return "descriptor chain is longer than the queue, " + l + " descriptors; does it loop?";
    case Kind::ChainTooLarge:
      return "descriptor chain holds " + v + " bytes, more than 2^32 - 1";
    case Kind::ReadableAfterWritable:
      return "descriptor " + v + " is readable but follows a writable one";
    case Kind::UnknownFlags:
      return "descriptor flags " + v + " contain unknown bits";
    case Kind::IndirectNotNegotiated:
      return "descriptor " + v + " is indirect, which was not negotiated";
    case Kind::IndirectNested:
      return "descriptor " + v + " of an indirect table is itself indirect";
    case Kind::IndirectWithNext:
      return "descriptor " + v + " is indirect and has a next one";
    case Kind::IndirectBadLength:
      return "indirect table of " + v + " bytes: a multiple of 16 is needed, at least 16";
    case Kind::BadAddress:
      return MemoryError{MemoryError::Kind::NotMapped, Gpa(value), limit}.message();
    case Kind::AlreadyBroken:
      return "the queue is broken and waits for a reset";
  }
  return "unknown error";
}

Result<Virtqueue> Virtqueue::create(std::shared_ptr<const GuestMemory> memory, const QueueLayout& layout) {
  if (layout.size == 0 || layout.size > abi::virtio::kMaxQueueSize || !std::has_single_bit(layout.size)) {
    return fail("queue size " + std::to_string(layout.size) + " is not a power of two from 1 to 32768");
  }
  Virtqueue queue(std::move(memory), layout);
  if (auto done = queue.resolve(); !done) return std::unexpected(std::move(done.error()));
  return queue;
}

Virtqueue::Virtqueue(std::shared_ptr<const GuestMemory> memory, const QueueLayout& layout)
    : memory_(std::move(memory)),
      layout_(layout),
      next_avail_(layout.next_index),
      known_avail_(layout.next_index),
      next_used_(layout.next_index),
      published_used_(layout.next_index) {}

Result<> Virtqueue::resolve() {
  struct Part {
    const char* name;
    Gpa address;
    std::size_t bytes;
    std::uint64_t alignment;
    GuestSlice* slice;
  };
  // VIRTIO 1.2, Virtqueues: the alignment of each part.
  const Part parts[] = {
      {"descriptor table", layout_.descriptors, abi::virtio::descriptor_table_bytes(layout_.size), 16, &descriptors_},
      {"available ring", layout_.available, abi::virtio::avail_ring_bytes(layout_.size), 2, &available_},
      {"used ring", layout_.used, abi::virtio::used_ring_bytes(layout_.size), 4, &used_},
  };
  for (const Part& part : parts) {
    auto found = memory_->slice(part.address, part.bytes);
    if (found && part.address.value() % part.alignment != 0) {
      found = std::unexpected(MemoryError{MemoryError::Kind::Misaligned, part.address, part.bytes});
    }
    if (found && std::bit_cast<std::uintptr_t>(found->raw()) % alignof(std::uint16_t) != 0) {
      found = std::unexpected(MemoryError{MemoryError::Kind::Misaligned, part.address, part.bytes});
    }
    if (!found) return fail(std::string(part.name) + " of the queue: " + found.error().message());
    *part.slice = *found;
  }
  return {};
}

Result<> Virtqueue::move_to(std::shared_ptr<const GuestMemory> memory) {
  memory_.swap(memory);
  auto done = resolve();
  if (!done) broken_ = QueueError{QueueError::Kind::BadAddress, layout_.descriptors.value(), layout_.size};
  return done;
}

std::unexpected<QueueError> Virtqueue::violation(QueueError::Kind kind, std::uint64_t value, std::uint64_t limit) {
  broken_ = QueueError{kind, value, limit};
  return std::unexpected(*broken_);
}

std::expected<bool, QueueError> Virtqueue::fetch_available() {
  const std::uint16_t index = load(available_, abi::virtio::kAvailIdx);
  const auto ahead = static_cast<std::uint16_t>(index - next_avail_);
  if (ahead > layout_.size) return violation(QueueError::Kind::AvailableIndexTooFar, index, next_avail_);
  // Pairs with the driver's write barrier between filling ring entries and descriptors and moving the index.
  std::atomic_thread_fence(std::memory_order_acquire);
  known_avail_ = index;
  return ahead != 0;
}

std::expected<bool, QueueError> Virtqueue::pop(DescriptorChain& chain) {
  if (broken_) return std::unexpected(QueueError{QueueError::Kind::AlreadyBroken});
  if (next_avail_ == known_avail_) {
    const auto more = fetch_available();
    if (!more || !*more) return more;
  }
  const std::size_t slot = next_avail_ & (layout_.size - 1u);
  const std::uint16_t head = load(available_, abi::virtio::kAvailRing + 2 * slot);
  if (auto taken = take(head, chain); !taken) return std::unexpected(taken.error());
  ++next_avail_;
  return true;
}

std::expected<void, QueueError> Virtqueue::take(std::uint16_t head, DescriptorChain& chain) {
  if (head >= layout_.size) return violation(QueueError::Kind::HeadOutOfRange, head, layout_.size);
  chain.head_ = head;
  chain.readable_.clear();
  chain.writable_.clear();
  return walk(head, chain);
}

void Virtqueue::carry_over(std::uint16_t requests) {
  next_used_ = static_cast<std::uint16_t>(next_used_ - requests);
  published_used_ = next_used_;
}

std::expected<void, QueueError> Virtqueue::retake(std::uint16_t head, DescriptorChain& chain) {
  if (broken_) return std::unexpected(QueueError{QueueError::Kind::AlreadyBroken});
  return take(head, chain);
}

std::expected<std::uint16_t, QueueError> Virtqueue::available() {
  if (broken_) return std::unexpected(QueueError{QueueError::Kind::AlreadyBroken});
  if (const auto more = fetch_available(); !more) return std::unexpected(more.error());
  return static_cast<std::uint16_t>(known_avail_ - next_avail_);
}

void Virtqueue::undo_pop() { --next_avail_; }

std::expected<void, QueueError> Virtqueue::walk(std::uint16_t head, DescriptorChain& chain) {
  GuestSlice table = descriptors_;
  std::uint64_t table_size = layout_.size;
  std::uint64_t index = head;
  bool inside_indirect = false;
  chain_bytes_ = 0;
  for (unsigned count = 0; count < layout_.size;) {
    const Descriptor descriptor = fetch(table, index);
    const std::uint16_t flags = descriptor.flags;
    if ((flags & ~kKnownFlags) != 0) return violation(QueueError::Kind::UnknownFlags, flags);
    if ((flags & abi::virtio::kDescIndirect) != 0) {
      if (inside_indirect) return violation(QueueError::Kind::IndirectNested, index);
      const auto inner = indirect_table(descriptor, index);
      if (!inner) return std::unexpected(inner.error());
      table = *inner;
      table_size = inner->size() / sizeof(Descriptor);
      index = 0;
      inside_indirect = true;
      continue;  // at most once for each chain, so not counted
    }
    ++count;
    if (auto added = append(descriptor, index, chain); !added) return added;
    if ((flags & abi::virtio::kDescNext) == 0) return {};
    index = descriptor.next;
    if (index >= table_size) return violation(QueueError::Kind::NextOutOfRange, index, table_size);
  }
  return violation(QueueError::Kind::ChainTooLong, 0, layout_.size);
}

std::expected<GuestSlice, QueueError> Virtqueue::indirect_table(const Descriptor& descriptor, std::uint64_t index) {
  if (!layout_.indirect) return violation(QueueError::Kind::IndirectNotNegotiated, index);
  if ((descriptor.flags & abi::virtio::kDescNext) != 0) return violation(QueueError::Kind::IndirectWithNext, index);
  const std::uint32_t bytes = descriptor.len;
  if (bytes == 0 || bytes % sizeof(Descriptor) != 0) return violation(QueueError::Kind::IndirectBadLength, bytes);
  const std::uint64_t address = descriptor.addr;
  const auto table = memory_->slice(Gpa(address), bytes);
  if (!table) return violation(QueueError::Kind::BadAddress, address, bytes);
  return *table;
}

std::expected<void, QueueError> Virtqueue::append(const Descriptor& descriptor, std::uint64_t index,
                                                  DescriptorChain& chain) {
  const bool writable = (descriptor.flags & abi::virtio::kDescWrite) != 0;
  if (!writable && !chain.writable_.empty()) return violation(QueueError::Kind::ReadableAfterWritable, index);
  const std::uint32_t bytes = descriptor.len;
  if (bytes == 0) return {};  // says nothing, whatever its address
  chain_bytes_ += bytes;
  if (chain_bytes_ > kMaxChainBytes) return violation(QueueError::Kind::ChainTooLarge, chain_bytes_);
  const std::uint64_t address = descriptor.addr;
  auto& list = writable ? chain.writable_ : chain.readable_;
  if (!memory_->append_slices(Gpa(address), bytes, list)) {
    return violation(QueueError::Kind::BadAddress, address, bytes);
  }
  return {};
}

void Virtqueue::push(std::uint16_t head, std::uint32_t written_bytes) {
  const std::size_t slot = next_used_ & (layout_.size - 1u);
  const abi::virtio::UsedElement element{.id = head, .len = written_bytes};
  used_.part(abi::virtio::kUsedRing + slot * sizeof element, sizeof element)
      .copy_in(std::as_bytes(std::span(&element, 1)));
  ++next_used_;
}

bool Virtqueue::publish() {
  if (next_used_ == published_used_) return false;
  const std::uint16_t before = published_used_;
  // Pairs with the driver's read barrier between seeing the index and reading the entries and buffers.
  std::atomic_thread_fence(std::memory_order_release);
  store(used_, abi::virtio::kUsedIdx, next_used_);
  published_used_ = next_used_;
  // Pairs with the driver's full barrier between writing used_event (or flags) and looking at the index once more:
  // either it sees our index, or we see its wish.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!layout_.event_index) {
    return (load(available_, abi::virtio::kAvailFlags) & abi::virtio::kAvailNoInterrupt) == 0;
  }
  const std::uint16_t event = load(available_, used_event_offset(layout_.size));
  return abi::virtio::need_event(event, next_used_, before);
}

void Virtqueue::disable_kicks() {
  // With the event index there is nothing to write: an avail_event that is not moved on asks for no further kick.
  if (!layout_.event_index) store(used_, abi::virtio::kUsedFlags, abi::virtio::kUsedNoNotify);
}

bool Virtqueue::enable_kicks() {
  if (broken_) return false;
  if (layout_.event_index) {
    store(used_, avail_event_offset(layout_.size), next_avail_);
  } else {
    store(used_, abi::virtio::kUsedFlags, 0);
  }
  // Pairs with the driver's full barrier between moving the index and reading avail_event (or flags).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return load(available_, abi::virtio::kAvailIdx) != next_avail_;
}

}  // namespace vmm::virtio
