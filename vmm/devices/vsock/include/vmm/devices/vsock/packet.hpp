// The packets of the vsock device: decoding what the guest sent, encoding what it gets.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>

#include "abi/vsock.hpp"
#include "vmm/virtio/descriptor_chain.hpp"

namespace vmm::vsock {

using abi::vsock::Op;
using abi::vsock::PacketHeader;

/// Names a connection. Both ports are as each side chose them.
struct ConnectionKey {
  std::uint32_t host_port = 0;
  std::uint32_t guest_port = 0;
  friend auto operator<=>(const ConnectionKey&, const ConnectionKey&) = default;
};

struct ConnectionKeyHash {
  std::size_t operator()(const ConnectionKey& key) const {
    return std::hash<std::uint64_t>{}(std::uint64_t{key.host_port} << 32 | key.guest_port);
  }
};

/// Why a packet from the guest is not for any connection.
enum class PacketError : std::uint8_t { Short, BadSource, BadDestination, BadType, BadOperation };

/// A packet from the guest as far as it could be read: `error` says what is wrong with `header`, which then serves only
/// to answer. Valid only with a complete header.
struct ReceivedPacket {
  PacketHeader header;
  /// Fetched once and checked: a known operation if there is no error.
  Op op = Op::Invalid;
  [[nodiscard]] ConnectionKey key() const { return {.host_port = header.dst_port, .guest_port = header.src_port}; }
};

/// Reads the header of a packet from the guest and checks everything that does not depend on a connection: length,
/// addresses, type, operation.
/// @param reader    at the packet's start; afterwards at the payload, of which at least header.len bytes are there
/// @param guest_cid whose packets these must be
/// @param packet    filled in as far as the packet was complete, also when an error is returned
std::expected<void, PacketError> read_packet(virtio::Reader& reader, std::uint64_t guest_cid, ReceivedPacket& packet);

/// What a packet to the guest says besides its payload.
struct PacketFields {
  ConnectionKey key;
  Op op = Op::Invalid;
  std::uint32_t payload_bytes = 0;
  std::uint32_t flags = 0;
  std::uint32_t buf_alloc = 0;
  std::uint32_t fwd_cnt = 0;
};
PacketHeader make_header(std::uint64_t guest_cid, const PacketFields& fields);

}  // namespace vmm::vsock
