// One end of a packet socket on an event loop: packets, and descriptors that come with them.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::kvm_protocol {

/// Two connected packet sockets, close-on-exec.
Result<std::pair<UniqueFd, UniqueFd>> make_channel_pair();

/// Owns the socket. Belongs to the loop's thread. Callbacks may destroy the channel.
class Channel {
 public:
  struct Callbacks {
    std::function<void(std::string_view packet, std::vector<UniqueFd> descriptors)> on_packet;
    /// The other side is gone, or has sent a packet of more than kMaxPacketBytes or kSnapshotDescriptors; called once.
    std::function<void()> on_closed;
  };

  Channel(EventLoop& loop, UniqueFd socket, Callbacks callbacks);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  enum class WhenFull { Wait, Fail };
  /// Sends a packet of at most kMaxPacketBytes with copies of the descriptors. Errors: the other side is gone, or does
  /// not read (WhenFull::Fail).
  Result<> send(std::string_view packet, WhenFull when_full, std::span<const int> descriptors = {});

  /// Reads what has come and not been seen; for after the other side's end.
  void read_rest();

 private:
  bool read_once();
  void close();

  EventLoop& loop_;
  UniqueFd socket_;
  Callbacks callbacks_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< false once destroyed
};

}  // namespace vmm::kvm_protocol
