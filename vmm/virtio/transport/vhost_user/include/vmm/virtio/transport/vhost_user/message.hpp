// The vhost-user protocol on the wire ("Vhost-user Protocol", QEMU documentation, docs/interop/vhost-user.rst): framing
// and the payloads in use. Integers have the host's byte order, because both ends run on one machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::virtio::vhost_user {

/// "Front-end message types".
enum class Request : std::uint32_t {
  GetFeatures = 1,
  SetFeatures = 2,
  SetOwner = 3,
  ResetOwner = 4,
  SetMemTable = 5,
  SetVringNum = 8,
  SetVringAddr = 9,
  SetVringBase = 10,
  GetVringBase = 11,
  SetVringKick = 12,
  SetVringCall = 13,
  SetVringErr = 14,
  GetProtocolFeatures = 15,
  SetProtocolFeatures = 16,
  GetQueueNum = 17,
  SetVringEnable = 18,
  GetConfig = 24,
  SetConfig = 25,
};

/// "Protocol features", bit numbers.
namespace protocol_feature {
inline constexpr unsigned kMultiQueue = 0;
inline constexpr unsigned kReplyAck = 3;
inline constexpr unsigned kConfig = 9;
}  // namespace protocol_feature

/// Feature bit of the virtio feature word by which the back end says that it has protocol features.
inline constexpr unsigned kFeatureProtocolFeatures = 30;

struct Header {
  std::uint32_t request;
  std::uint32_t flags;
  std::uint32_t size;  ///< of the payload, bytes
};
static_assert(sizeof(Header) == 12 && std::is_standard_layout_v<Header>);
inline constexpr std::uint32_t kVersionMask = 3;
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kFlagReply = 4;
inline constexpr std::uint32_t kFlagNeedReply = 8;

struct VringState {
  std::uint32_t index;
  std::uint32_t value;
};
static_assert(sizeof(VringState) == 8);

/// Addresses are virtual addresses of the front end.
struct VringAddress {
  std::uint32_t index;
  std::uint32_t flags;
  std::uint64_t descriptors;
  std::uint64_t used;
  std::uint64_t available;
  std::uint64_t log;
};
static_assert(sizeof(VringAddress) == 40);

/// SetVringKick, SetVringCall, SetVringErr.
inline constexpr std::uint64_t kVringIndexMask = 0xFF;
inline constexpr std::uint64_t kVringNoFd = 0x100;

struct MemoryRegionEntry {
  std::uint64_t guest_address;
  std::uint64_t size;
  std::uint64_t user_address;  ///< in the front end
  std::uint64_t mmap_offset;
};
static_assert(sizeof(MemoryRegionEntry) == 32);
struct MemoryTableHeader {
  std::uint32_t region_count;
  std::uint32_t padding;
};
inline constexpr std::size_t kMaxMemoryRegions = 8;

struct ConfigHeader {
  std::uint32_t offset;
  std::uint32_t size;
  std::uint32_t flags;
};
static_assert(sizeof(ConfigHeader) == 12);
inline constexpr std::size_t kMaxConfigBytes = 256;

inline constexpr std::size_t kMaxFds = kMaxMemoryRegions;
inline constexpr std::size_t kMaxPayloadBytes = 272;
static_assert(kMaxPayloadBytes >= sizeof(MemoryTableHeader) + kMaxMemoryRegions * sizeof(MemoryRegionEntry));
static_assert(kMaxPayloadBytes >= sizeof(ConfigHeader) + kMaxConfigBytes);

/// A message that was received whole.
struct Message {
  Header header{};
  std::vector<std::byte> payload;  ///< [header.size]
  std::vector<UniqueFd> fds;       ///< at most kMaxFds

  [[nodiscard]] Request request() const { return static_cast<Request>(header.request); }
  [[nodiscard]] bool needs_reply() const { return (header.flags & kFlagNeedReply) != 0; }
  /// The payload as one structure; nothing unless the size is exactly right.
  template <typename T>
  [[nodiscard]] std::optional<T> as() const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (payload.size() != sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, payload.data(), sizeof value);
    return value;
  }
  /// For error messages: "SET_VRING_NUM" or "message 99".
  [[nodiscard]] std::string name() const;
};

/// Receives messages from a non-blocking stream socket, however they are split.
class MessageReader {
 public:
  enum class Status : std::uint8_t { Complete, NotYet, EndOfStream };

  /// Reads on. After Complete, take() gives the message; take it before the next call.
  /// @return an error if the peer broke the protocol or the socket failed: the connection is of no use any more
  Result<Status> receive(const UniqueFd& socket);
  [[nodiscard]] Message take();

 private:
  Result<Status> fill(const UniqueFd& socket, std::span<std::byte> into, std::size_t& have);
  Result<> adopt_fds(const void* message_header);

  Message message_;
  std::size_t header_bytes_ = 0;
  std::size_t payload_bytes_ = 0;
};

/// Sends a reply to a request.
Result<> send_reply(const UniqueFd& socket, Request request, std::span<const std::byte> payload);

}  // namespace vmm::virtio::vhost_user
