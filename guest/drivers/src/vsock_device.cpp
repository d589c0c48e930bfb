#include "guest/drivers/vsock_device.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "guest/kernel/format.hpp"
#include "guest/kernel/panic.hpp"

namespace guest::drivers {

namespace {

using abi::vsock::PacketHeader;
using abi::vsock::Queue;
using kernel::kPageBytes;
using kernel::Status;

struct Event {
  abi::Le32 id;
};
static_assert(sizeof(Event) == 4);

/// Packets and bytes that one run takes before other work gets its turn.
constexpr unsigned kPacketsPerRun = 128;
/// A packet of this size wakes the device at once, so that it works while the next one is made; smaller ones are told
/// of together, at the end of a run.
constexpr std::size_t kKickAtOnceBytes = 4096;
/// Bound of the smallest rx buffer: a smaller one would make every packet tiny.
constexpr std::uint32_t kSmallestRxBuffer = 4096;

}  // namespace

VsockDevice::VsockDevice(VirtioTransport& transport, DmaMemory& dma, BufferMemory& buffers, kernel::WorkQueue& queue,
                         const Config& config)
    : transport_(transport),
      dma_(dma),
      work_queue_(queue),
      config_(config),
      mux_(*this, buffers, counters_, config.limits) {}

// ---- Start

Status VsockDevice::start() {
  if (config_.rx_buffers == 0 || config_.rx_buffer_bytes < kSmallestRxBuffer || config_.rx_buffer_bytes % 4 != 0 ||
      config_.tx_pages < kPacketPages || config_.tx_pages > next_page_.size()) {
    return Status::Invalid;
  }
  const Status done = bring_up();
  if (done != Status::Ok) {
    transport_.set_failed();
    (void)transport_.reset();  // the error that led here is the one to report
    live_ = false;
  }
  return done;
}

Status VsockDevice::allocate(DmaBuffer& buffer, std::size_t bytes) {
  if (buffer.bytes.size() >= bytes) {
    return Status::Ok;  // of an earlier start
  }
  if (!buffer.bytes.empty()) {
    dma_.free(buffer);
    buffer = {};
  }
  const kernel::Result<DmaBuffer> allocated = dma_.allocate(bytes);
  if (!allocated) {
    return allocated.error();
  }
  buffer = *allocated;
  return Status::Ok;
}

Status VsockDevice::set_up_queue(Queue index, std::uint16_t indirect_segments, bool event_idx) {
  const auto number = static_cast<std::uint16_t>(index);
  const std::uint16_t size = Virtqueue::usable_size(transport_.max_queue_size(number));
  if (size == 0) {
    return Status::NotFound;
  }
  const Virtqueue::Options options{.size = size, .event_idx = event_idx, .indirect_segments = indirect_segments};
  if (const Status done = allocate(queue_memory_[number], Virtqueue::memory_bytes(options)); done != Status::Ok) {
    return done;
  }
  if (const Status done = queue(index).init(options, queue_memory_[number]); done != Status::Ok) {
    return done;
  }
  return transport_.activate_queue(number, queue(index).addresses());
}

Status VsockDevice::read_cid() {
  abi::vsock::Config config{};
  const Status done = transport_.read_config(0, std::as_writable_bytes(std::span(&config, 1)));
  guest_cid_ = config.guest_cid;
  return done;
}

Status VsockDevice::bring_up() {
  namespace feature = abi::virtio::feature;
  const kernel::Result<std::uint64_t> features =
      transport_.negotiate(feature::bit(feature::kRingEventIdx) | feature::bit(feature::kRingIndirectDesc));
  if (!features) {
    return features.error();
  }
  const bool event_idx = (*features & feature::bit(feature::kRingEventIdx)) != 0;
  const bool indirect = (*features & feature::bit(feature::kRingIndirectDesc)) != 0;
  const auto tx_segments = static_cast<std::uint16_t>(indirect ? kPacketPages : 0);
  Status done = read_cid();
  for (const auto& [index, segments] : {std::pair{Queue::Rx, std::uint16_t{0}}, std::pair{Queue::Tx, tx_segments},
                                        std::pair{Queue::Event, std::uint16_t{0}}}) {
    done = done == Status::Ok ? set_up_queue(index, segments, event_idx) : done;
  }
  rx_count_ = std::min(config_.rx_buffers, queue(Queue::Rx).size());
  done = done == Status::Ok ? allocate(rx_memory_, std::size_t{rx_count_} * config_.rx_buffer_bytes) : done;
  done = done == Status::Ok ? allocate(tx_memory_, std::size_t{config_.tx_pages} * kPageBytes) : done;
  done = done == Status::Ok ? allocate(event_memory_, kEventBuffers * sizeof(Event)) : done;
  if (done != Status::Ok) {
    return done;
  }
  for (std::uint16_t page = 0; page < config_.tx_pages; ++page) {
    next_page_[page] = static_cast<std::uint16_t>(page + 1);
  }
  next_page_[config_.tx_pages - 1U] = kNoPage;
  free_page_ = 0;
  free_pages_ = config_.tx_pages;
  for (std::uint16_t i = 0; i < rx_count_; ++i) {
    offer_rx(i);
  }
  for (std::uint16_t i = 0; i < kEventBuffers; ++i) {
    offer_event(i);
  }
  mux_.start(guest_cid_);
  queue(Queue::Tx).disarm_interrupt();
  live_ = true;
  if (done = transport_.set_driver_ok(); done != Status::Ok) {
    live_ = false;
    mux_.stop();
    return done;
  }
  notify_all();
  return Status::Ok;
}

// ---- Buffers

void VsockDevice::offer_rx(std::uint16_t index) {
  const DmaBuffer buffer = rx_memory_.part(std::size_t{index} * config_.rx_buffer_bytes, config_.rx_buffer_bytes);
  const QueueSegment segment{.address = buffer.address, .bytes = config_.rx_buffer_bytes};
  const Status added = queue(Queue::Rx).add({}, {&segment, 1}, index);
  // There are no more buffers than entries; a broken queue is dealt with after the run.
  kernel::require(added == Status::Ok || queue(Queue::Rx).broken(), "vsock rx queue has no room for its own buffer");
}

void VsockDevice::offer_event(std::uint16_t index) {
  const DmaBuffer buffer = event_memory_.part(index * sizeof(Event), sizeof(Event));
  const QueueSegment segment{.address = buffer.address, .bytes = sizeof(Event)};
  // NoMemory: the event queue may be shorter than what is offered; fewer buffers then do.
  (void)queue(Queue::Event).add({}, {&segment, 1}, index);
}

std::size_t VsockDevice::payload_room() {
  if (!live_) {
    return 0;
  }
  Virtqueue& tx = queue(Queue::Tx);
  if (free_pages_ < kPacketPages || tx.room(kPacketPages) == 0) {
    reclaim();
  }
  std::size_t pages = std::min<std::size_t>(free_pages_, kPacketPages);
  while (pages != 0 && tx.room(pages) == 0) {
    --pages;
  }
  return pages == 0 ? 0 : pages * kPageBytes - sizeof(PacketHeader);
}

bool VsockDevice::send(const PacketHeader& header, std::span<const std::byte> payload) {
  const std::size_t total = sizeof(header) + payload.size();
  const std::size_t room = payload_room();
  if (room == 0 || payload.size() > room) {
    return false;
  }
  const std::size_t pages = (total + kPageBytes - 1) / kPageBytes;
  std::array<QueueSegment, kPacketPages> segments;
  std::array<std::byte*, kPacketPages> places{};
  std::size_t count = 0;
  const std::uint16_t first = free_page_;
  std::uint16_t page = first;
  std::uint16_t last = first;
  for (std::size_t i = 0; i < pages; ++i) {
    const auto bytes = static_cast<std::uint32_t>(std::min<std::size_t>(kPageBytes, total - i * kPageBytes));
    if (i != 0 && page == last + 1) {
      segments[count - 1].bytes += bytes;
    } else {
      segments[count] = {.address = tx_memory_.address + page * kPageBytes, .bytes = bytes};
      places[count++] = &tx_memory_.bytes[page * kPageBytes];
    }
    last = page;
    page = next_page_[page];
  }
  std::memcpy(places[0], &header, sizeof(header));
  std::size_t done = 0;
  for (std::size_t i = 0; i < count && done < payload.size(); ++i) {
    const std::size_t skip = i == 0 ? sizeof(header) : 0;
    const std::size_t piece = segments[i].bytes - skip;
    std::memcpy(places[i] + skip, payload.data() + done, piece);
    done += piece;
  }
  if (queue(Queue::Tx).add({segments.data(), count}, {}, first) != Status::Ok) {
    return false;  // broken; payload_room() has looked for room
  }
  free_page_ = page;
  free_pages_ = static_cast<std::uint16_t>(free_pages_ - pages);
  next_page_[last] = kNoPage;
  if (total >= kKickAtOnceBytes) {
    notify(Queue::Tx);
  } else if (!running_) {
    work_queue_.raise(work_);  // a run ends with a kick for all of them
  }
  return true;
}

void VsockDevice::reclaim() {
  while (const auto used = queue(Queue::Tx).take_used()) {
    // The token is the packet's first page. Pages go back last page first, so that runs of neighbours stay runs.
    std::array<std::uint16_t, kPacketPages> pages;
    std::size_t count = 0;
    for (std::uint16_t page = used->token; page != kNoPage; page = next_page_[page]) {
      pages[count++] = page;
    }
    free_pages_ = static_cast<std::uint16_t>(free_pages_ + count);
    while (count != 0) {
      const std::uint16_t page = pages[--count];
      next_page_[page] = free_page_;
      free_page_ = page;
    }
  }
}

void VsockDevice::request_service() {
  service_again_ = true;
  if (!running_) {
    work_queue_.raise(work_);
  }
}

bool VsockDevice::idle() {
  if (!live_) {
    return true;
  }
  notify_all();
  reclaim();
  return queue(Queue::Tx).in_flight() == 0 || queue(Queue::Tx).broken();
}

void VsockDevice::notify(Queue index) {
  if (queue(index).take_notification()) {
    counters_.kicks.add();
    transport_.notify(static_cast<std::uint16_t>(index));
  }
}

void VsockDevice::notify_all() {
  notify(Queue::Rx);
  notify(Queue::Tx);
  notify(Queue::Event);
}

// ---- Work

void VsockDevice::on_interrupt() {
  counters_.interrupts.add();
  const std::uint32_t causes = transport_.acknowledge_interrupt();
  if ((causes & abi::virtio::mmio::kInterruptConfig) != 0) {
    config_changed_.store(true, std::memory_order_relaxed);  // raise() below orders it
  }
  if (causes != 0) {
    work_queue_.raise(work_);
  }
}

void VsockDevice::handle_events() {
  while (const auto used = queue(Queue::Event).take_used()) {
    Event event{};
    if (used->written_bytes >= sizeof(event)) {
      std::memcpy(&event, &event_memory_.bytes[used->token * sizeof(Event)], sizeof(event));
      if (event.id == abi::vsock::kEventTransportReset) {
        // VIRTIO 1.2, Socket Device, Device Events: connections are gone, listeners stay, the address may be new.
        counters_.transport_resets.add();
        mux_.stop();
        if (read_cid() == Status::Ok) {
          mux_.start(guest_cid_);
        }
      }
    }
    offer_event(used->token);
  }
}

bool VsockDevice::receive_packets() {
  for (unsigned i = 0; i < kPacketsPerRun; ++i) {
    if (!mux_.can_receive()) {
      return false;  // service() or room in the tx queue comes first
    }
    const auto used = queue(Queue::Rx).take_used();
    if (!used) {
      return false;
    }
    const std::size_t at = std::size_t{used->token} * config_.rx_buffer_bytes;
    mux_.receive(std::span<const std::byte>(rx_memory_.bytes).subspan(at, used->written_bytes));
    offer_rx(used->token);
  }
  return true;
}

void VsockDevice::rearm(bool more_received) {
  bool again = more_received || service_again_;
  if (!more_received && mux_.can_receive()) {
    again = queue(Queue::Rx).arm_interrupt() || again;
  }
  again = queue(Queue::Event).arm_interrupt() || again;
  if (mux_.wants_room()) {
    // Not for each packet: when three quarters of what is under way are done. All of it will be, so this comes.
    Virtqueue& tx = queue(Queue::Tx);
    again = tx.arm_interrupt(static_cast<std::uint16_t>(tx.in_flight() * 3U / 4U)) || again;
  } else {
    queue(Queue::Tx).disarm_interrupt();
  }
  if (again) {
    work_queue_.raise(work_);
  }
}

void VsockDevice::run() {
  running_ = true;
  bool more_received = false;
  if (live_) {
    queue(Queue::Rx).disarm_interrupt();
    check_device();
  }
  if (live_) {
    handle_events();
    more_received = receive_packets();
    reclaim();
  }
  service_again_ = false;  // what was asked for so far is served now
  mux_.service();
  if (live_) {
    more_received = more_received || (queue(Queue::Rx).has_used() && mux_.can_receive());
    notify_all();
    for (const Virtqueue& each : queues_) {
      if (each.broken()) {
        fail(to_string(each.fault()));
        break;
      }
    }
  }
  running_ = false;
  if (live_) {
    rearm(more_received);
  }
}

void VsockDevice::check_device() {
  if (config_changed_.exchange(false, std::memory_order_relaxed) && transport_.needs_reset()) {
    fail("the device asked for a reset");
  }
}

void VsockDevice::fail(std::string_view what) {
  counters_.device_faults.add();
  live_ = false;
  mux_.stop();
  kernel::log_error("vsock: {}; connections are closed", what);
  if (++restarts_ > kMaxRestarts) {
    transport_.set_failed();
    (void)transport_.reset();
    kernel::log_error("vsock: given up after {} restarts", kMaxRestarts);
  } else if (const Status done = start(); done != Status::Ok) {
    kernel::log_error("vsock: restart failed: {}", to_string(done));
  }
  work_queue_.raise(work_);  // on_closed() is owed
}

}  // namespace guest::drivers
