// The messages on the channel between sisvmm and the process that runs a KVM machine for it, a packet each.
//
//   order (to the machine)   byte 0   which; Snapshot comes with four descriptors, in SnapshotFiles' order
//   news (from the machine)  byte 0   which
//                            byte 1   abi::ExitCode, 0: no error
//                            rest     text, for those that have one
//
// The machine's process faces the guest, so its news are read with as little trust as the guest's own words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"

namespace vmm::kvm_protocol {

/// The machine's descriptors, by which it is reached.
inline constexpr int kConsoleFd = 3;         ///< stream socket: the guest's console
inline constexpr int kChannelFd = 4;         ///< packet socket: the messages
inline constexpr int kCountersFd = 5;        ///< memory file with Counters
inline constexpr int kListenerFd = 6;        ///< socket of the vsock device's clients
inline constexpr int kLegacyListenerFd = 7;  ///< of clients of abi::control::kLegacyPort, if there is one

inline constexpr std::size_t kMaxPacketBytes = 4096;
inline constexpr std::size_t kSnapshotDescriptors = 4;

enum class Order : std::uint8_t {
  Stop = 1,      ///< end the machine in order
  Snapshot = 2,  ///< News::SnapshotDone follows
};

enum class News : std::uint8_t {
  GuestReset = 1,
  GuestShutdown = 2,
  GuestPanicked = 3,
  Warning = 4,
  SnapshotDone = 5,  ///< written, or why not
  Ended = 6,         ///< in order, or why not; the last
};

struct Message {
  News news = News::Warning;
  Result<> how;      ///< of SnapshotDone and Ended
  std::string text;  ///< of Warning
};

std::string encode(Order order);
/// A text that does not fit ends in "...".
std::string encode(const Message& message);

/// Nothing if it is no order.
std::optional<Order> decode_order(std::string_view packet);
/// Nothing if it is no message. Bytes of a text that no terminal shall see are question marks.
std::optional<Message> decode_news(std::string_view packet);

}  // namespace vmm::kvm_protocol
