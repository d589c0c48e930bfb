// The driver's side of a split virtqueue (VIRTIO 1.2, Split Virtqueues), over any transport.
//
//   DMA memory  [ descriptor table | available ring | used ring | indirect tables, one for each chain head ]
//                 driver -> device   driver -> dev.   dev. -> driver
//
// The device can write to all of it at any time, so nothing is read back but the used ring's index and entries and the
// device's event index. Free list, chains and what they may hold are kept in private memory; a used entry that does not
// match a chain in flight marks the queue broken, and then it does nothing any more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "abi/virtio.hpp"
#include "guest/drivers/dma.hpp"
#include "guest/drivers/virtio_transport.hpp"
#include "guest/kernel/status.hpp"

namespace guest::drivers {

/// One piece of a buffer.
struct QueueSegment {
  kernel::PhysAddr address{};
  std::uint32_t bytes = 0;
};

/// Not thread-safe: one caller at a time, from the main loop.
class Virtqueue {
 public:
  static constexpr std::uint16_t kMaxSize = 256;

  struct Options {
    std::uint16_t size = 0;               ///< entries, a power of two up to kMaxSize
    bool event_idx = false;               ///< VIRTIO_F_EVENT_IDX was agreed on
    std::uint16_t indirect_segments = 0;  ///< longest chain in an indirect table; 0: not agreed on or not wanted
  };

  /// A chain that the device has returned.
  struct Used {
    std::uint16_t token = 0;          ///< what add() was given
    std::uint32_t written_bytes = 0;  ///< at most the chain's writable bytes
  };

  enum class Fault : std::uint8_t { None, IndexJump, IdOutOfRange, IdNotInFlight, LengthTooLarge };

  Virtqueue() = default;
  Virtqueue(const Virtqueue&) = delete;
  Virtqueue& operator=(const Virtqueue&) = delete;

  /// Largest usable size for a device that allows `max_size` entries; 0: none.
  static std::uint16_t usable_size(std::uint32_t max_size);
  static std::size_t memory_bytes(const Options& options);

  /// Starts with an empty queue in `memory` (memory_bytes() of it, 16-byte aligned), before the device knows it. Also
  /// after a reset. Invalid: the size or the memory does not fit the description.
  kernel::Status init(const Options& options, const DmaBuffer& memory);
  [[nodiscard]] QueueAddresses addresses() const;

  /// Offers a chain: first what the device reads, then what it writes. `token` comes back with it. The device may use
  /// it at once; notify when take_notification() says so. Invalid: empty, an empty segment, or more segments than the
  /// queue can ever hold. NoMemory: full now. DeviceFailed: broken.
  kernel::Status add(std::span<const QueueSegment> readable, std::span<const QueueSegment> writable,
                     std::uint16_t token);

  /// True: chains were added since the last call and the device asked to be told. Orders those writes before what the
  /// caller then writes to the transport.
  [[nodiscard]] bool take_notification();

  /// The next chain that the device has returned, if any. Check broken() when there is none.
  [[nodiscard]] std::optional<Used> take_used();
  /// take_used() would return something, or find the queue broken.
  [[nodiscard]] bool has_used() const;

  /// Asks for an interrupt when more than `skip` further entries have been used (at once when event indices were not
  /// agreed on). True: so many are there already and may cause none; take them.
  [[nodiscard]] bool arm_interrupt(std::uint16_t skip = 0);
  /// Asks for none. One may still come.
  void disarm_interrupt();

  [[nodiscard]] bool broken() const { return fault_ != Fault::None; }
  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] std::uint16_t size() const { return size_; }
  [[nodiscard]] std::uint16_t in_flight() const { return in_flight_; }
  /// Chains of `segments` segments that add() still takes.
  [[nodiscard]] std::uint16_t room(std::size_t segments) const;

 private:
  struct Chain {
    std::uint32_t writable_bytes = 0;
    std::uint16_t token = 0;
    std::uint16_t descriptors = 0;  ///< 0: not in flight
  };

  [[nodiscard]] bool uses_indirect(std::size_t segments) const {
    return segments > 1 && segments <= indirect_segments_;
  }
  void write_descriptor(std::size_t offset, const QueueSegment& segment, std::uint16_t flags, std::uint16_t next);
  std::uint16_t write_indirect(std::span<const QueueSegment> readable, std::span<const QueueSegment> writable);
  std::uint16_t write_chain(std::span<const QueueSegment> readable, std::span<const QueueSegment> writable);
  void release_chain(std::uint16_t head);
  std::nullopt_t fail(Fault fault) {
    fault_ = fault;
    return std::nullopt;
  }
  [[nodiscard]] std::uint16_t device_index() const;

  DmaBuffer memory_;
  std::size_t avail_offset_ = 0;
  std::size_t used_offset_ = 0;
  std::size_t indirect_offset_ = 0;
  std::uint16_t size_ = 0;
  std::uint16_t indirect_segments_ = 0;
  bool event_idx_ = false;
  Fault fault_ = Fault::None;

  std::uint16_t free_head_ = 0;
  std::uint16_t free_count_ = 0;
  std::uint16_t in_flight_ = 0;     ///< chains
  std::uint16_t avail_idx_ = 0;     ///< free-running, wraps on purpose, as all indices here
  std::uint16_t notified_idx_ = 0;  ///< avail_idx_ when the device was last told or did not want to be
  std::uint16_t last_used_ = 0;
  std::array<std::uint16_t, kMaxSize> next_{};  ///< free list, and the chains' own links
  std::array<Chain, kMaxSize> chains_{};        ///< by head
};

std::string_view to_string(Virtqueue::Fault fault);

}  // namespace guest::drivers
