// VIRTIO 1.2, Socket Device: packet header and constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "abi/endian.hpp"

namespace abi::vsock {

inline constexpr std::uint64_t kHostCid = 2;
inline constexpr std::uint64_t kDefaultGuestCid = 3;

/// Virtqueues of the device, by index.
enum class Queue : std::uint16_t { Rx = 0, Tx = 1, Event = 2 };
inline constexpr std::uint16_t kQueueCount = 3;

struct Config {
  Le64 guest_cid;
};
static_assert(sizeof(Config) == 8);

/// struct virtio_vsock_hdr: 44 bytes, so the 64-bit fields of a second one in an array are not aligned.
struct PacketHeader {
  UnalignedLe64 src_cid;
  UnalignedLe64 dst_cid;
  Le32 src_port;
  Le32 dst_port;
  Le32 len;        ///< payload bytes that follow
  Le16 type;       ///< kTypeStream
  Le16 op;         ///< Op
  Le32 flags;      ///< kShutdownReceive, kShutdownSend
  Le32 buf_alloc;  ///< sender's receive buffer, bytes
  Le32 fwd_cnt;    ///< bytes the sender has taken out of its receive buffer, modulo 2^32
};
static_assert(sizeof(PacketHeader) == 44 && offsetof(PacketHeader, len) == 24 && offsetof(PacketHeader, fwd_cnt) == 40);
static_assert(std::is_standard_layout_v<PacketHeader> && std::is_trivially_copyable_v<PacketHeader>);

inline constexpr std::uint16_t kTypeStream = 1;

enum class Op : std::uint16_t {
  Invalid = 0,
  Request = 1,
  Response = 2,
  Rst = 3,
  Shutdown = 4,
  Rw = 5,
  CreditUpdate = 6,
  CreditRequest = 7,
};

inline constexpr std::uint32_t kShutdownReceive = 1;
inline constexpr std::uint32_t kShutdownSend = 2;

/// Event queue: the transport was reset, every connection is gone.
inline constexpr std::uint32_t kEventTransportReset = 0;

/// Longest payload of one packet that either side of ours sends.
inline constexpr std::uint32_t kMaxPayloadBytes = 64 * 1024;

}  // namespace abi::vsock
