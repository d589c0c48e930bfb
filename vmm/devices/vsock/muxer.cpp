#include "vmm/devices/vsock/muxer.hpp"

#include <algorithm>
#include <vector>

namespace vmm::vsock {
namespace {

/// Host ports of connections that clients make: high, so that they never meet the ports of services.
constexpr std::uint32_t kFirstHostPort = 1u << 30;
constexpr std::uint32_t kLastHostPort = (1u << 31) - 1;

}  // namespace

Muxer::Muxer(std::uint64_t guest_cid, const Limits& limits, Connector& connector, Counters& counters, Clock clock)
    : guest_cid_(guest_cid),
      limits_(limits),
      connector_(connector),
      counters_(counters),
      clock_(std::move(clock)),
      next_host_port_(kFirstHostPort) {}

Muxer::~Muxer() = default;

void Muxer::connect_from_host(std::unique_ptr<Stream> stream, std::uint32_t guest_port, ClientId client) {
  if (!has_room_for(client)) {
    ++counters_.clients_refused_quota;
    stream->refused("too many connections");
    return;
  }
  const auto key = free_key(guest_port);
  if (!key) {
    ++counters_.clients_refused_quota;
    stream->refused("no free host port");
    return;
  }
  ++counters_.connections_from_host;
  stream->attach([this, key = *key](Events events) { stream_event(key, events); });
  add(*key, Connection::from_host(config_for(*key), std::move(stream), counters_), client);
  if (output_callback_) output_callback_();
}

bool Muxer::has_room_for(ClientId client) const {
  if (connections_.size() >= limits_.connections) return false;
  const auto found = per_client_.find(client);
  return found == per_client_.end() || found->second < limits_.connections_per_client;
}

ConnectionConfig Muxer::config_for(ConnectionKey key) const {
  const bool roomy = buffers_promised_ + limits_.buffer <= limits_.buffer_total;
  return {.key = key,
          .guest_cid = guest_cid_,
          .buf_alloc_bytes = roomy ? limits_.buffer : limits_.buffer_small,
          .request_timeout = limits_.request_timeout,
          .linger = limits_.linger};
}

std::optional<ConnectionKey> Muxer::free_key(std::uint32_t guest_port) {
  // At most `connections` of them are taken, so the search ends soon.
  for (std::size_t tries = 0; tries <= limits_.connections; ++tries) {
    const ConnectionKey key{.host_port = next_host_port_, .guest_port = guest_port};
    next_host_port_ = next_host_port_ == kLastHostPort ? kFirstHostPort : next_host_port_ + 1;
    if (!connections_.contains(key)) return key;
  }
  return std::nullopt;
}

bool Muxer::set_next_host_port(std::uint32_t port) {
  if (port < kFirstHostPort || port > kLastHostPort) return false;
  next_host_port_ = port;
  return true;
}

void Muxer::add(ConnectionKey key, std::unique_ptr<Connection> connection, ClientId client) {
  buffers_promised_ += connection->config().buf_alloc_bytes;
  ++per_client_[client];
  const auto place = connections_.emplace(key, Entry{.connection = std::move(connection), .client = client}).first;
  ++counters_.open;
  counters_.open_peak.raise_to(counters_.open);
  updated(place);
}

void Muxer::handle_packet(virtio::Reader& reader) {
  ++counters_.tx_packets;
  ReceivedPacket packet{};
  if (const auto read = read_packet(reader, guest_cid_, packet); !read) {
    handle_bad_packet(packet, read.error());
    return;
  }
  const auto found = connections_.find(packet.key());
  if (found != connections_.end()) {
    found->second.connection->handle(packet, reader, clock_());
    updated(found);
  } else if (packet.op == Op::Request) {
    accept_from_guest(packet);
  } else if (packet.op != Op::Rst) {
    ++counters_.drop_no_connection;
    answer_with_reset(packet);
  }
}

void Muxer::handle_bad_packet(const ReceivedPacket& packet, PacketError error) {
  count_error(error);
  if (packet.header.src_cid != guest_cid_) return;  // a forged source, or no header at all: nobody to answer
  // Only what was sent to the host can be meant for one of our connections.
  const auto found = error == PacketError::BadDestination ? connections_.end() : connections_.find(packet.key());
  if (found == connections_.end()) return answer_with_reset(packet);
  found->second.connection->abort("the guest broke the protocol of its vsock device");
  updated(found);
}

void Muxer::count_error(PacketError error) {
  switch (error) {
    case PacketError::Short:
      ++counters_.drop_short_packet;
      return;
    case PacketError::BadSource:
      ++counters_.drop_bad_source;
      return;
    case PacketError::BadDestination:
      ++counters_.drop_bad_destination;
      return;
    case PacketError::BadType:
      ++counters_.drop_bad_type;
      return;
    case PacketError::BadOperation:
      ++counters_.drop_bad_operation;
      return;
  }
}

void Muxer::answer_with_reset(const ReceivedPacket& packet) {
  if (packet.header.op == static_cast<std::uint16_t>(Op::Rst)) return;  // or two sides could go on for ever
  resets_.push_back({.from_cid = packet.header.dst_cid, .key = packet.key()});
}

void Muxer::accept_from_guest(const ReceivedPacket& packet) {
  const ConnectionKey key = packet.key();
  auto stream = has_room_for(kGuestClient) ? connector_.connect(key.host_port) : nullptr;
  if (!stream) {
    ++counters_.refused_by_host;
    return answer_with_reset(packet);
  }
  ++counters_.connections_from_guest;
  stream->attach([this, key](Events events) { stream_event(key, events); });
  add(key, Connection::from_guest(config_for(key), std::move(stream), packet.header, counters_), kGuestClient);
}

bool Muxer::produce(virtio::Writer& writer) {
  if (!resets_.empty()) {
    const Reset reset = resets_.front();
    resets_.pop_front();
    PacketHeader header = make_header(guest_cid_, {.key = reset.key, .op = Op::Rst});
    header.src_cid = reset.from_cid;
    writer.write(header);
    ++counters_.resets_sent;
    ++counters_.rx_packets;
    return true;
  }
  while (!ready_.empty()) {
    const auto place = connections_.find(ready_.front());
    ready_.pop_front();
    if (place == connections_.end()) continue;
    Connection& connection = *place->second.connection;
    connection.queued = false;
    const bool produced = connection.produce(writer, clock_());
    updated(place);  // to the end of the line if it has more
    if (!produced) continue;
    ++counters_.rx_packets;
    return true;
  }
  return false;
}

void Muxer::updated(Connections::iterator place) {
  Connection& connection = *place->second.connection;
  const bool timed = connection.deadline().has_value();
  if (timed != place->second.timed) timed_ += timed ? 1 : std::size_t{0} - 1;
  place->second.timed = timed;
  if (connection.finished()) {
    forget(place);
    return;
  }
  if (connection.queued || !connection.has_output()) return;
  connection.queued = true;
  ready_.push_back(place->first);
}

Muxer::Connections::iterator Muxer::forget(Connections::iterator place) {
  const Connection& connection = *place->second.connection;
  switch (connection.end()) {
    case End::None:
    case End::ResetByHost:
      ++counters_.reset_by_host;
      break;
    case End::Closed:
      ++counters_.closed;
      break;
    case End::ResetByGuest:
      ++counters_.reset_by_guest;
      break;
    case End::RefusedByGuest:
      ++counters_.refused_by_guest;
      break;
    case End::TimedOut:
      ++counters_.timed_out;
      break;
    case End::Abandoned:
      ++counters_.abandoned;
      break;
  }
  if (place->second.timed) --timed_;
  --counters_.open;
  if (connection.queued) std::erase(ready_, place->first);  // else a guest that connects and resets could make it grow
  buffers_promised_ -= connection.config().buf_alloc_bytes;
  const auto client = per_client_.find(place->second.client);
  if (--client->second == 0) per_client_.erase(client);
  return connections_.erase(place);
}

void Muxer::stream_event(ConnectionKey key, Events events) {
  const auto found = connections_.find(key);
  if (found == connections_.end()) return;
  found->second.connection->stream_event(events);
  updated(found);
  if (has_output() && output_callback_) output_callback_();
}

void Muxer::expire() {
  const TimePoint now = clock_();
  for (auto place = connections_.begin(); place != connections_.end();) {
    const auto current = place++;
    current->second.connection->expire(now);
    updated(current);
  }
  if (has_output() && output_callback_) output_callback_();
}

void Muxer::guest_reset() {
  resets_.clear();
  for (auto place = connections_.begin(); place != connections_.end();) {
    const auto current = place++;
    current->second.connection->guest_reset();
    updated(current);
  }
}

Muxer::Delivery Muxer::deliver() {
  Delivery sum;
  for (auto& [key, entry] : connections_) {
    sum.moved = entry.connection->deliver() != 0 || sum.moved;
    sum.left = entry.connection->undelivered() != 0 || sum.left;
  }
  return sum;
}

void Muxer::close_all(std::string_view reason) {
  for (auto place = connections_.begin(); place != connections_.end();) {
    place->second.connection->abort(reason);
    place = forget(place);
  }
  ready_.clear();
  resets_.clear();
}

}  // namespace vmm::vsock
