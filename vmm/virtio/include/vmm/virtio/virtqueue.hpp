// The device's side of a split virtqueue (VIRTIO 1.2, Split Virtqueues), with indirect descriptors and event index.
//
//   driver                                     device (this class)
//   descriptor table  --- written by driver -> copied, validated, turned into slices
//   available ring    --- heads, idx --------> next_avail_   our cursor, in our memory
//   used ring         <-- id, len, idx ------- next_used_    our cursor, in our memory
//
// Nothing that the guest can write is read twice or trusted: the index is checked against our cursor, a chain is
// followed in a private copy and bounded by the queue size. The first violation breaks the queue: pop() goes on failing
// until the driver sets the queue up anew. It never stops the process.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "abi/virtio.hpp"
#include "vmm/base/result.hpp"
#include "vmm/memory/guest_memory.hpp"
#include "vmm/virtio/descriptor_chain.hpp"

namespace vmm::virtio {

/// Where a queue lies, as the driver told the transport.
struct QueueLayout {
  std::uint16_t size = 0;  ///< descriptors; a power of two, at most 32768
  Gpa descriptors;         ///< 16-byte aligned
  Gpa available;           ///< 2-byte aligned
  Gpa used;                ///< 4-byte aligned
  bool event_index = false;
  bool indirect = false;
  /// Where to go on in the available ring; 0 for a fresh queue. What was in flight then: Virtqueue::carry_over().
  std::uint16_t next_index = 0;
};

/// What the driver did wrong.
struct QueueError {
  enum class Kind : std::uint8_t {
    AvailableIndexTooFar,   ///< value: the index; limit: ours
    HeadOutOfRange,         ///< value: the head; limit: queue size
    NextOutOfRange,         ///< value: the index; limit: size of its table
    ChainTooLong,           ///< limit: queue size
    ChainTooLarge,          ///< value: bytes so far
    ReadableAfterWritable,  ///< value: the descriptor's index
    UnknownFlags,           ///< value: the flags
    IndirectNotNegotiated,  ///< value: the descriptor's index
    IndirectNested,         ///< value: the descriptor's index
    IndirectWithNext,       ///< value: the descriptor's index
    IndirectBadLength,      ///< value: bytes
    BadAddress,             ///< value: address; limit: bytes
    AlreadyBroken,
  };
  Kind kind;
  std::uint64_t value = 0;
  std::uint64_t limit = 0;

  [[nodiscard]] std::string message() const;
};

class Virtqueue {
 public:
  /// @return an error that names the field if the size is not allowed, a part is not aligned, or does not lie in one
  ///         region of guest memory
  static Result<Virtqueue> create(std::shared_ptr<const GuestMemory> memory, const QueueLayout& layout);

  /// Takes the next request.
  /// @param chain filled in; unchanged use after the call only until the next pop() into it
  /// @return true if there was one, false if the driver has made none available
  std::expected<bool, QueueError> pop(DescriptorChain& chain);
  /// Gives back the request that pop() returned last, as if it had not been taken; nothing may have been pushed since.
  void undo_pop();

  /// `requests` that an earlier queue in this place took are not used yet, and will be pushed to this one. Before
  /// anything else is done with it.
  void carry_over(std::uint16_t requests);
  /// Reads again the request that such a queue took; `head` is anything. A violation as of pop().
  std::expected<void, QueueError> retake(std::uint16_t head, DescriptorChain& chain);

  /// How many requests the driver has made available that were not taken.
  std::expected<std::uint16_t, QueueError> available();

  /// Marks a request as used, not yet visible to the driver.
  /// @param head          of the chain
  /// @param written_bytes what the device wrote into it, Writer::consumed()
  void push(std::uint16_t head, std::uint32_t written_bytes);
  /// Shows the driver all that was pushed. True if it wants an interrupt for that.
  [[nodiscard]] bool publish();

  /// Asks the driver not to kick: a hint that saves exits while the device is looking anyway.
  void disable_kicks();
  /// Asks the driver to kick for the next request. True if there is one already, which no kick would announce: look
  /// again.
  [[nodiscard]] bool enable_kicks();

  /// Goes on in other memory, which must contain the queue's parts: the front end's memory map changed.
  Result<> move_to(std::shared_ptr<const GuestMemory> memory);

  /// What the queue and its requests lie in.
  [[nodiscard]] const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  [[nodiscard]] std::uint16_t size() const { return layout_.size; }
  /// Index of the next available entry: what QueueLayout::next_index must be to go on later.
  [[nodiscard]] std::uint16_t next_index() const { return next_avail_; }
  [[nodiscard]] const QueueLayout& layout() const { return layout_; }
  /// The first violation, if there was one.
  [[nodiscard]] const std::optional<QueueError>& broken() const { return broken_; }

 private:
  Virtqueue(std::shared_ptr<const GuestMemory> memory, const QueueLayout& layout);
  Result<> resolve();
  std::unexpected<QueueError> violation(QueueError::Kind kind, std::uint64_t value = 0, std::uint64_t limit = 0);
  std::expected<bool, QueueError> fetch_available();
  std::expected<void, QueueError> take(std::uint16_t head, DescriptorChain& chain);
  std::expected<void, QueueError> walk(std::uint16_t head, DescriptorChain& chain);
  std::expected<GuestSlice, QueueError> indirect_table(const abi::virtio::Descriptor& descriptor, std::uint64_t index);
  std::expected<void, QueueError> append(const abi::virtio::Descriptor& descriptor, std::uint64_t index,
                                         DescriptorChain& chain);

  std::shared_ptr<const GuestMemory> memory_;
  QueueLayout layout_;
  GuestSlice descriptors_, available_, used_;
  std::uint16_t next_avail_ = 0;      ///< next entry of the available ring to take
  std::uint16_t known_avail_ = 0;     ///< driver's index as last seen, validated; at most size ahead of next_avail_
  std::uint16_t next_used_ = 0;       ///< next entry of the used ring to fill
  std::uint16_t published_used_ = 0;  ///< our index as the driver sees it
  std::uint64_t chain_bytes_ = 0;     ///< of the chain being walked
  std::optional<QueueError> broken_;
};

}  // namespace vmm::virtio
