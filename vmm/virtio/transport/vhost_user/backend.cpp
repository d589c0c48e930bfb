#include "vmm/virtio/transport/vhost_user/backend.hpp"

#include <algorithm>

#include "vmm/base/unix_socket.hpp"

namespace vmm::virtio::vhost_user {
namespace {

constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }

/// Without a configuration space there are no messages about it; QEMU warns of some that it would not send.
std::uint64_t protocol_features_of(const VirtioDevice& device) {
  constexpr std::uint64_t kAlways = bit(protocol_feature::kMultiQueue) | bit(protocol_feature::kReplyAck);
  return device.config().empty() ? kAlways : kAlways | bit(protocol_feature::kConfig);
}

std::unexpected<Error> malformed(const Message& message) {
  return fail("vhost-user " + message.name() + " with " + std::to_string(message.payload.size()) + " bytes and " +
              std::to_string(message.fds.size()) + " descriptors is malformed");
}

/// Messages that bring descriptors check them themselves; all others must have none.
bool brings_fds(Request request) {
  return request == Request::SetMemTable || request == Request::SetVringKick || request == Request::SetVringCall ||
         request == Request::SetVringErr;
}

bool same_place(const QueueLayout& a, const QueueLayout& b) {
  return a.size == b.size && a.descriptors == b.descriptors && a.available == b.available && a.used == b.used &&
         a.next_index == b.next_index;
}

}  // namespace

Result<std::unique_ptr<Backend>> Backend::start(EventLoop& loop, UniqueFd socket, VirtioDevice& device,
                                                BackendOptions options) {
  if (options.queues < device.required_queues() || options.queues > device.queue_sizes().size()) {
    return fail("a vhost-user front end cannot drive " + std::to_string(options.queues) + " queues of a device with " +
                std::to_string(device.queue_sizes().size()));
  }
  if (auto done = set_nonblocking(socket); !done) return std::unexpected(std::move(done.error()));
  return std::unique_ptr<Backend>(new Backend(loop, std::move(socket), device, std::move(options)));
}

Backend::Backend(EventLoop& loop, UniqueFd socket, VirtioDevice& device, BackendOptions options)
    : loop_(loop),
      socket_(std::move(socket)),
      device_(device),
      options_(std::move(options)),
      offered_features_(device.features() | bit(kFeatureProtocolFeatures)),
      rings_(options_.queues) {
  loop_.add(socket_.get(), Interest::Read, [this](Events) { socket_ready(); });
}

Backend::~Backend() {
  stop_device();
  for (Ring& ring : rings_) unwatch_kick(ring);
  if (socket_.valid()) loop_.remove(socket_.get());
}

void Backend::socket_ready() {
  while (socket_.valid()) {
    const auto status = reader_.receive(socket_);
    if (!status) return disconnect(status.error().message);
    if (*status == MessageReader::Status::NotYet) return;
    if (*status == MessageReader::Status::EndOfStream) return disconnect("");
    Message message = reader_.take();
    if (const auto done = handle(message); !done) return disconnect(done.error().message);
  }
}

void Backend::disconnect(const std::string& reason) {
  stop_device();
  for (Ring& ring : rings_) unwatch_kick(ring);
  loop_.remove(socket_.get());
  socket_.reset();
  // A copy: the callback may destroy this object.
  const auto disconnected = options_.disconnected;
  if (disconnected) disconnected(reason);
}

Result<> Backend::handle(Message& message) {
  if (!message.fds.empty() && !brings_fds(message.request())) return malformed(message);
  const bool ack = message.needs_reply() && (protocol_features_ & bit(protocol_feature::kReplyAck)) != 0;
  bool replied = false;
  auto done = dispatch(message, replied);
  if (!ack || replied) return done;
  if (!done) warn(done.error().message);
  return reply_u64(message, done ? 0 : 1);
}

Result<> Backend::dispatch(Message& message, bool& replied) {
  switch (message.request()) {
    case Request::GetFeatures:
      replied = true;
      return reply_u64(message, offered_features_);
    case Request::GetProtocolFeatures:
      replied = true;
      return reply_u64(message, protocol_features_of(device_));
    case Request::GetQueueNum:
      replied = true;
      return reply_u64(message, rings_.size());
    case Request::GetVringBase:
      replied = true;
      return get_base(message);
    case Request::GetConfig:
      replied = true;
      return get_config(message);
    case Request::SetOwner:
      return {};
    case Request::ResetOwner:
      stop_device();
      guest_was_reset();
      return {};
    case Request::SetFeatures:
      return set_features(message);
    case Request::SetProtocolFeatures:
      return set_protocol_features(message);
    case Request::SetMemTable:
      return set_memory(message);
    case Request::SetVringNum:
      return set_size(message);
    case Request::SetVringAddr:
      return set_address(message);
    case Request::SetVringBase:
      return set_base(message);
    case Request::SetVringKick:
    case Request::SetVringCall:
    case Request::SetVringErr:
      return set_notifier(message);
    case Request::SetVringEnable:
      return set_enabled(message);
    case Request::SetConfig:
      return set_config(message);
  }
  // From the wire, so it may be none of these.
  if (!message.needs_reply()) {
    warn("ignoring vhost-user " + message.name() + ", which is not supported");
    return {};
  }
  return fail("vhost-user " + message.name() + " is not supported");
}

Result<> Backend::reply(const Message& message, std::span<const std::byte> payload) {
  return send_reply(socket_, message.request(), payload);
}

Result<> Backend::reply_u64(const Message& message, std::uint64_t value) {
  return reply(message, std::as_bytes(std::span(&value, 1)));
}

Result<> Backend::set_features(const Message& message) {
  const auto features = message.as<std::uint64_t>();
  if (!features) return malformed(message);
  if ((*features & ~offered_features_) != 0) {
    return fail("SET_FEATURES " + std::to_string(*features) + " contains features that were not offered");
  }
  if (active_ && *features != features_) return fail("SET_FEATURES while rings run");
  features_ = *features;
  return {};
}

Result<> Backend::set_protocol_features(const Message& message) {
  const auto features = message.as<std::uint64_t>();
  if (!features) return malformed(message);
  if ((*features & ~protocol_features_of(device_)) != 0) {
    return fail("SET_PROTOCOL_FEATURES " + std::to_string(*features) + " contains features that were not offered");
  }
  protocol_features_ = *features;
  return {};
}

Result<> Backend::set_memory(Message& message) {
  auto table = MemoryTable::from_message(message);
  if (!table) return std::unexpected(std::move(table.error()));
  if (active_) {
    if (auto moved = device_.memory_changed(table->memory()); !moved) return moved;
  }
  memory_ = std::move(*table);
  return {};
}

Result<Backend::Ring*> Backend::ring_at(std::uint32_t index) {
  if (index < rings_.size()) return &rings_[index];
  return fail("vhost-user ring " + std::to_string(index) + " of " + std::to_string(rings_.size()));
}

Result<> Backend::set_size(const Message& message) {
  const auto state = message.as<VringState>();
  if (!state) return malformed(message);
  auto ring = ring_at(state->index);
  if (!ring) return std::unexpected(std::move(ring.error()));
  // The front end decides the size that its guest sees, so only the format's limit holds; the rest is checked when the
  // queue is made.
  if (state->value > abi::virtio::kMaxQueueSize) return fail("ring size " + std::to_string(state->value) + " > 32768");
  if (active_) return fail("SET_VRING_NUM while rings run");
  (*ring)->size = state->value;
  return {};
}

Result<> Backend::set_address(const Message& message) {
  const auto address = message.as<VringAddress>();
  if (!address) return malformed(message);
  auto ring = ring_at(address->index);
  if (!ring) return std::unexpected(std::move(ring.error()));
  if (address->flags != 0) return fail("SET_VRING_ADDR asks for dirty logging, which was not offered");
  if (active_) return fail("SET_VRING_ADDR while rings run");
  (*ring)->address = *address;
  return {};
}

Result<> Backend::set_base(const Message& message) {
  const auto state = message.as<VringState>();
  if (!state || state->value > UINT16_MAX) return malformed(message);
  auto ring = ring_at(state->index);
  if (!ring) return std::unexpected(std::move(ring.error()));
  if (active_) return fail("SET_VRING_BASE while rings run");
  (*ring)->base = static_cast<std::uint16_t>(state->value);
  return {};
}

Result<> Backend::get_base(const Message& message) {
  const auto state = message.as<VringState>();
  if (!state) return malformed(message);
  auto ring = ring_at(state->index);
  if (!ring) return std::unexpected(std::move(ring.error()));
  stop_device();
  unwatch_kick(**ring);
  (*ring)->kick = {};
  const VringState answer{.index = state->index, .value = (*ring)->base};
  return reply(message, std::as_bytes(std::span(&answer, 1)));
}

Result<> Backend::set_notifier(Message& message) {
  const auto value = message.as<std::uint64_t>();
  if (!value || (*value & ~(kVringIndexMask | kVringNoFd)) != 0) return malformed(message);
  const bool has_fd = (*value & kVringNoFd) == 0;
  if (message.fds.size() != (has_fd ? 1 : 0)) return malformed(message);
  const auto index = static_cast<std::uint16_t>(*value & kVringIndexMask);
  auto ring = ring_at(index);
  if (!ring) return std::unexpected(std::move(ring.error()));
  const bool is_kick = message.request() == Request::SetVringKick;
  if (is_kick && !has_fd) return fail("SET_VRING_KICK without a descriptor: a ring cannot be polled");
  Notifier notifier;
  if (has_fd) {
    auto adopted = Notifier::adopt(std::move(message.fds.front()));
    if (!adopted) return std::unexpected(std::move(adopted.error()));
    notifier = std::move(*adopted);
  }
  if (message.request() == Request::SetVringCall) {
    (*ring)->call = std::move(notifier);
    return {};
  }
  if (message.request() == Request::SetVringErr) {
    (*ring)->error = std::move(notifier);
    return {};
  }
  unwatch_kick(**ring);
  (*ring)->kick = std::move(notifier);
  watch_kick(index);
  return start_if_ready();
}

Result<> Backend::set_enabled(const Message& message) {
  const auto state = message.as<VringState>();
  if (!state || state->value > 1) return malformed(message);
  auto ring = ring_at(state->index);
  if (!ring) return std::unexpected(std::move(ring.error()));
  (*ring)->enabled = state->value == 1;
  if (!(*ring)->enabled) {
    stop_device();
    return {};
  }
  return start_if_ready();
}

Result<> Backend::get_config(const Message& message) {
  ConfigHeader header;
  if (message.payload.size() < sizeof header) return malformed(message);
  std::memcpy(&header, message.payload.data(), sizeof header);
  const std::vector<std::byte> config = device_.config();
  // "On error the back-end replies with a payload of length zero."
  if (header.size > config.size() || header.offset > config.size() - header.size) {
    warn("GET_CONFIG of " + std::to_string(header.size) + " bytes from " + std::to_string(header.offset) +
         " of a configuration space of " + std::to_string(config.size()));
    return reply(message, {});
  }
  std::vector<std::byte> answer(sizeof header + header.size);
  std::memcpy(answer.data(), &header, sizeof header);
  std::ranges::copy(std::span(config).subspan(header.offset, header.size), answer.begin() + sizeof header);
  return reply(message, answer);
}

Result<> Backend::set_config(const Message& message) {
  ConfigHeader header;
  if (message.payload.size() < sizeof header) return malformed(message);
  std::memcpy(&header, message.payload.data(), sizeof header);
  if (header.size != message.payload.size() - sizeof header) return malformed(message);
  const std::size_t space = device_.config().size();
  if (header.size > space || header.offset > space - header.size) {
    return fail("SET_CONFIG beyond the configuration space of " + std::to_string(space) + " bytes");
  }
  device_.write_config(header.offset, std::span(message.payload).subspan(sizeof header));
  return {};
}

bool Backend::runs(const Ring& ring) const {
  // "Ring states": without protocol features there is no SET_VRING_ENABLE, and a ring with a kick is enabled.
  const bool enabled = ring.enabled || (features_ & bit(kFeatureProtocolFeatures)) == 0;
  return enabled && ring.kick.valid() && ring.address.has_value() && ring.size != 0;
}

Result<QueueLayout> Backend::layout_of(const Ring& ring) const {
  const auto descriptors = memory_.translate(ring.address->descriptors, "descriptor table");
  if (!descriptors) return std::unexpected(descriptors.error());
  const auto available = memory_.translate(ring.address->available, "available ring");
  if (!available) return std::unexpected(available.error());
  const auto used = memory_.translate(ring.address->used, "used ring");
  if (!used) return std::unexpected(used.error());
  return QueueLayout{.size = static_cast<std::uint16_t>(ring.size),
                     .descriptors = *descriptors,
                     .available = *available,
                     .used = *used,
                     .event_index = (features_ & bit(abi::virtio::feature::kRingEventIdx)) != 0,
                     .indirect = (features_ & bit(abi::virtio::feature::kRingIndirectDesc)) != 0,
                     .next_index = ring.base};
}

Result<> Backend::start_if_ready() {
  const bool ready = std::ranges::all_of(rings_, [this](const Ring& ring) { return runs(ring); });
  if (active_ || !ready) return {};
  Activation activation{.features = features_ & ~bit(kFeatureProtocolFeatures), .queues = {}, .interrupt = this};
  for (const Ring& ring : rings_) {
    const auto layout = layout_of(ring);
    if (!layout) return std::unexpected(layout.error());
    auto queue = Virtqueue::create(memory_.memory(), *layout);
    if (!queue) return std::unexpected(std::move(queue.error()));
    activation.queues.push_back(std::move(*queue));
  }
  const bool resumes = stopped_ && stopped_->features == features_ &&
                       std::ranges::equal(stopped_->layouts, activation.queues, same_place, {}, &Virtqueue::layout);
  if (ever_active_ && !resumes) device_.reset();
  stopped_.reset();
  active_ = true;
  ever_active_ = true;
  return device_.activate(std::move(activation));
}

void Backend::stop_device() {
  if (!std::exchange(active_, false)) return;
  const std::vector<Virtqueue> queues = device_.deactivate();
  Stopped stopped{.features = features_, .layouts = {}};
  for (std::size_t i = 0; i < queues.size() && i < rings_.size(); ++i) {
    rings_[i].base = queues[i].next_index();
    stopped.layouts.push_back(queues[i].layout());
    stopped.layouts.back().next_index = rings_[i].base;
  }
  const bool broken = std::ranges::any_of(queues, [](const Virtqueue& queue) { return queue.broken().has_value(); });
  // A driver that broke its device does not go on with it.
  if (!broken) stopped_ = std::move(stopped);
}

void Backend::guest_was_reset() {
  if (active_ || !ever_active_) return;
  stopped_.reset();
  ever_active_ = false;
  device_.reset();
}

void Backend::watch_kick(std::uint16_t index) {
  loop_.add(rings_[index].kick.fd(), Interest::Read, [this, index](Events) {
    rings_[index].kick.drain();
    device_.queue_kicked(index);
  });
}

void Backend::unwatch_kick(Ring& ring) {
  if (ring.kick.valid()) loop_.remove(ring.kick.fd());
}

void Backend::signal_queue(std::uint16_t index) {
  if (index < rings_.size() && rings_[index].call.valid()) rings_[index].call.signal();
}

void Backend::signal_config() {
  // Needs the back-end request channel, which no device of ours has a use for so far: their configuration is constant.
  warn("a change of the device's configuration cannot be signalled to the vhost-user front end");
}

void Backend::needs_reset(std::uint16_t queue, const std::string& reason) {
  warn("queue " + std::to_string(queue) + ": " + reason + "; the device waits for its driver to reset it");
  if (queue < rings_.size() && rings_[queue].error.valid()) rings_[queue].error.signal();
}

void Backend::warn(const std::string& message) const {
  if (options_.warning) options_.warning(message);
}

}  // namespace vmm::virtio::vhost_user
