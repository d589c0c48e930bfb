#include "vmm/devices/vsock/device.hpp"

#include <poll.h>

#include <cstring>

namespace vmm::vsock {
namespace {

using abi::vsock::Queue;

/// Packets served of each queue before sockets get their turn, so that neither side starves the other.
constexpr unsigned kPacketsPerTurn = 128;
/// Used buffers collected before the guest is told, so that it can start on them while we go on.
constexpr unsigned kPacketsPerPublish = 32;

constexpr std::chrono::milliseconds kExpiryPeriod{500};
/// How often a driver that was told of a reset is looked at: no kick tells that it offers an event buffer again while
/// there are others.
constexpr std::chrono::milliseconds kNoticePeriod{1};

}  // namespace

Result<std::unique_ptr<VsockDevice>> VsockDevice::create(EventLoop& loop, const DeviceConfig& config) {
  // VIRTIO 1.2, Socket Device: 0, 1, 2^32 - 1 and above are reserved, 2 is the host.
  if (config.guest_cid <= abi::vsock::kHostCid || config.guest_cid >= UINT32_MAX) {
    return fail("guest CID " + std::to_string(config.guest_cid) + " is not in 3 .. 4294967294");
  }
  std::unique_ptr<VsockDevice> device(new VsockDevice(loop, config));
  HostSocketLimits limits = config.socket_limits;
  if (config.direct.listener >= 0) {
    limits.closed_port = config.direct.guest_port;
    device->direct_socket_ = std::make_unique<DirectSocket>(loop, config.direct, device->muxer_, device->counters_);
  }
  if (config.listener >= 0) {
    device->socket_ =
        std::make_unique<HostSocket>(loop, UniqueFd(config.listener), limits, device->muxer_, device->counters_);
    return device;
  }
  auto socket = HostSocket::listen(loop, config.socket_path, limits, device->muxer_, device->counters_);
  if (!socket) return std::unexpected(std::move(socket.error()));
  device->socket_ = std::move(*socket);
  return device;
}

VsockDevice::VsockDevice(EventLoop& loop, const DeviceConfig& config)
    : loop_(loop),
      config_(config),
      counters_(config.counters != nullptr ? *config.counters : own_counters_),
      connector_(loop, config.socket_path),
      muxer_(config.guest_cid, config.limits, connector_, counters_, [] { return std::chrono::steady_clock::now(); }) {
  muxer_.on_output([this] { schedule(); });
}

VsockDevice::~VsockDevice() {
  *alive_ = false;
  loop_.cancel_timer(expiry_timer_);
  loop_.cancel_timer(reset_notice_timer_);
  close_host_side("the machine has stopped");
}

void VsockDevice::close_host_side(std::string_view reason) {
  socket_.reset();
  direct_socket_.reset();
  deliver_rest();
  muxer_.close_all(reason);
}

/// A client may be slower than the guest was: its socket is full, and the end of what it reads is still here.
void VsockDevice::deliver_rest() {
  const auto begin = std::chrono::steady_clock::now();
  auto moved_at = begin;
  for (Muxer::Delivery done = muxer_.deliver(); done.left; done = muxer_.deliver()) {
    const auto now = std::chrono::steady_clock::now();
    if (done.moved) moved_at = now;
    if (now - moved_at >= kDeliveryPatience || now - begin >= kDeliveryTime) return;
    ::poll(nullptr, 0, 1);  // a millisecond; any of the sockets may be the next one
  }
}

std::uint64_t VsockDevice::features() const {
  using namespace abi::virtio::feature;
  return bit(kVersion1) | bit(kRingIndirectDesc) | bit(kRingEventIdx);
}

std::vector<std::byte> VsockDevice::config() const {
  abi::vsock::Config config;
  config.guest_cid = config_.guest_cid;
  std::vector<std::byte> bytes(sizeof config);
  std::memcpy(bytes.data(), &config, sizeof config);
  return bytes;
}

void VsockDevice::write_config(std::uint32_t, std::span<const std::byte>) {
  // VIRTIO 1.2, Socket Device, Device configuration layout: every field is read-only for the driver.
}

Result<> VsockDevice::activate(virtio::Activation activation) {
  active_ = std::move(activation);
  broken_ = false;
  if (reset_notice_ == ResetNotice::Owed) {
    reset_notice_end_ = std::chrono::steady_clock::now() + kResetNoticeTime;
    watch_reset_notice();
  }
  schedule();
  return {};
}

std::vector<virtio::Virtqueue> VsockDevice::deactivate() {
  std::vector<virtio::Virtqueue> queues = std::move(active_.queues);
  active_ = {};
  return queues;
}

void VsockDevice::reset() {
  active_ = {};
  broken_ = false;
  end_reset_notice();  // a new driver has no connections
  ++counters_.device_resets;
  muxer_.guest_reset();
}

Result<> VsockDevice::memory_changed(const std::shared_ptr<const GuestMemory>& memory) {
  for (virtio::Virtqueue& queue : active_.queues) {
    if (auto moved = queue.move_to(memory); !moved) return moved;
  }
  return {};
}

virtio::Virtqueue* VsockDevice::queue(Queue index) {
  const auto number = static_cast<std::size_t>(index);
  return number < active_.queues.size() && !broken_ ? &active_.queues[number] : nullptr;
}

void VsockDevice::queue_kicked(std::uint16_t index) {
  if (index == static_cast<std::uint16_t>(Queue::Rx)) ++counters_.rx_kicks;
  if (index == static_cast<std::uint16_t>(Queue::Tx)) ++counters_.tx_kicks;
  schedule();
}

void VsockDevice::schedule() {
  if (std::exchange(scheduled_, true)) return;
  loop_.defer([this, alive = alive_] {
    if (!*alive) return;
    scheduled_ = false;
    serve();
  });
}

void VsockDevice::serve() {
  if (reset_notice_ == ResetNotice::Owed) tell_of_reset();
  const bool more_tx = serve_tx();
  const bool more_rx = serve_rx();
  if (more_tx || more_rx) schedule();
  arm_expiry();
}

/// Takes packets from the guest. True if there is more to do than one turn allows.
bool VsockDevice::serve_tx() {
  virtio::Virtqueue* tx = queue(Queue::Tx);
  if (tx == nullptr) return false;
  tx->disable_kicks();
  for (unsigned count = 0; count < kPacketsPerTurn && !broken_; ++count) {
    if (!muxer_.can_accept_packet()) {
      // Goes on when the guest provides rx buffers, of which their kick tells.
      publish(Queue::Tx);
      return false;
    }
    const auto popped = tx->pop(chain_);
    if (!popped) {
      broken(Queue::Tx, popped.error().message());
      return false;
    }
    if (!*popped) {
      publish(Queue::Tx);
      if (!tx->enable_kicks()) return false;
      tx->disable_kicks();
      continue;
    }
    virtio::Reader reader = chain_.reader();
    muxer_.handle_packet(reader);
    tx->push(chain_.head(), 0);
    if (count % kPacketsPerPublish == kPacketsPerPublish - 1) publish(Queue::Tx);
  }
  publish(Queue::Tx);
  return true;
}

/// Gives packets to the guest. True if there is more to do than one turn allows.
bool VsockDevice::serve_rx() {
  virtio::Virtqueue* rx = queue(Queue::Rx);
  if (rx == nullptr || reset_notice_ != ResetNotice::None) return false;
  const bool tx_waited = !muxer_.can_accept_packet();
  rx->disable_kicks();
  for (unsigned count = 0; count < kPacketsPerTurn && !broken_; ++count) {
    if (!muxer_.has_output()) {
      publish(Queue::Rx);
      return tx_waited;
    }
    const auto popped = rx->pop(chain_);
    if (!popped) {
      broken(Queue::Rx, popped.error().message());
      return false;
    }
    if (!*popped) {
      publish(Queue::Rx);
      if (!rx->enable_kicks()) return tx_waited && muxer_.can_accept_packet();
      rx->disable_kicks();
      continue;
    }
    virtio::Writer writer = chain_.writer();
    if (writer.available() <= sizeof(PacketHeader)) {
      broken(Queue::Rx, "rx buffer of " + std::to_string(writer.available()) + " bytes has no room for a packet");
      return false;
    }
    if (!muxer_.produce(writer)) {
      rx->undo_pop();
      continue;
    }
    rx->push(chain_.head(), static_cast<std::uint32_t>(writer.consumed()));
    if (count % kPacketsPerPublish == kPacketsPerPublish - 1) publish(Queue::Rx);
  }
  publish(Queue::Rx);
  return true;
}

void VsockDevice::publish(Queue index) {
  if (!queue(index)->publish()) return;
  ++counters_.interrupts;
  active_.interrupt->signal_queue(static_cast<std::uint16_t>(index));
}

void VsockDevice::broken(Queue index, const std::string& reason) {
  broken_ = true;
  ++counters_.queue_errors;
  muxer_.guest_reset();
  active_.interrupt->needs_reset(static_cast<std::uint16_t>(index), reason);
}

Result<> VsockDevice::restore(const DeviceState& state) {
  if (!muxer_.set_next_host_port(state.next_host_port)) {
    return fail("saved vsock device: next_host_port is " + std::to_string(state.next_host_port));
  }
  reset_notice_ = ResetNotice::Owed;
  return {};
}

void VsockDevice::tell_of_reset() {
  virtio::Virtqueue* events = queue(Queue::Event);
  if (events == nullptr) {
    // A driver without the event queue cannot be told; packets of its old connections are answered by resets.
    if (queue(Queue::Rx) != nullptr) end_reset_notice();
    return;
  }
  const auto offered = events->available();
  const auto popped = offered ? events->pop(chain_) : std::unexpected(offered.error());
  if (!popped) return broken(Queue::Event, popped.error().message());
  if (!*popped) return;  // watch_reset_notice() comes back
  const abi::Le32 event(abi::vsock::kEventTransportReset);
  virtio::Writer writer = chain_.writer();
  writer.write(std::as_bytes(std::span(&event, 1)));
  events->push(chain_.head(), static_cast<std::uint32_t>(writer.consumed()));
  event_buffers_ = *offered;
  reset_notice_ = ResetNotice::Told;
  publish(Queue::Event);
}

/// Looks now and then whether the driver has taken notice.
void VsockDevice::watch_reset_notice() {
  loop_.cancel_timer(reset_notice_timer_);
  reset_notice_timer_ = loop_.add_timer(kNoticePeriod, [this] {
    virtio::Virtqueue* events = queue(Queue::Event);
    if (reset_notice_ == ResetNotice::Told && events != nullptr) {
      const auto offered = events->available();
      if (!offered) return broken(Queue::Event, offered.error().message());
      if (*offered >= event_buffers_) return end_reset_notice();
    }
    if (std::chrono::steady_clock::now() >= reset_notice_end_) return end_reset_notice();
    schedule();
    watch_reset_notice();
  });
}

void VsockDevice::end_reset_notice() {
  loop_.cancel_timer(reset_notice_timer_);
  reset_notice_ = ResetNotice::None;
  schedule();
}

void VsockDevice::arm_expiry() {
  if (expiry_timer_ != 0 || !muxer_.has_deadlines()) return;
  expiry_timer_ = loop_.add_timer(kExpiryPeriod, [this] {
    expiry_timer_ = 0;
    muxer_.expire();
    arm_expiry();
  });
}

}  // namespace vmm::vsock
