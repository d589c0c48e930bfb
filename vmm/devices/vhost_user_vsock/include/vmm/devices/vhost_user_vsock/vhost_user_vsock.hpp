// The vsock device as QEMU uses it: our device model behind a vhost-user socket, with its public Unix socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "abi/vsock.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/devices/vsock/counters.hpp"

namespace vmm {

/// What the user of a machine chooses of its vsock device.
struct VsockConfig {
  std::uint64_t guest_cid = abi::vsock::kDefaultGuestCid;  ///< 3 .. 2^32 - 2
  /// The public socket, "<run dir>/vsock.sock". Clients connect, send `CONNECT <port>\n` and get `OK <host port>\n`, or
  /// `ERR <reason>\n` and the end. Connections from the guest go to "<socket_path>_<port>". A socket that lies there
  /// already is replaced: only the owner of the run directory's lock may start a device on it.
  std::string socket_path;
  /// Listens, non-blocking, for clients of abi::control::kLegacyPort; taken over. -1: there are none.
  int legacy_listener = -1;
  /// Told, on the loop's thread, what goes wrong without ending the device: a driver that broke its queues, a message
  /// that is not supported. May be empty.
  std::function<void(const std::string& message)> warning = {};
};

/// Serves one vsock device to one vhost-user front end (QEMU's vhost-user-vsock-device).
///
/// The public socket listens from start() on, before the guest runs: a client that connects early is held, and its
/// connection is made as soon as the guest's driver has set its queues up. When the guest reboots, established
/// connections end, clients still held stay, and the socket goes on listening.
///
/// Thread: create, use and destroy it on the loop's thread, or while the loop does not run. The exceptions are said.
class VhostUserVsock {
 public:
  /// Tells why the front end's connection ended: an empty string for an orderly close (QEMU exited), else a sentence.
  using DisconnectCallback = std::function<void(const std::string& reason)>;

  /// Starts to listen and to answer the front end. Raises the process's limit of open files to 8192 if it is lower.
  /// @param loop         runs the device; outlives it
  /// @param front_end    our end of the socket pair whose other end QEMU has as its chardev
  /// @param config       validated here: the CID, and the path against the limit of a Unix socket's name
  /// @param disconnected called once on the loop's thread when the front end is gone; the device may be destroyed in it
  /// @return an error that names the path or the CID when it cannot be used
  static Result<std::unique_ptr<VhostUserVsock>> start(EventLoop& loop, UniqueFd front_end, VsockConfig config,
                                                       DisconnectCallback disconnected);

  /// Ends it: clients that wait are told `ERR`, connections are closed, the public socket is removed.
  virtual ~VhostUserVsock() = default;
  VhostUserVsock(const VhostUserVsock&) = delete;
  VhostUserVsock& operator=(const VhostUserVsock&) = delete;

  /// A copy of the counters. Any thread, also after the front end has gone.
  [[nodiscard]] virtual vsock::Counters counters() const = 0;

  /// The guest was reset (QMP event RESET): its connections end now instead of when the next driver starts. Optional.
  virtual void guest_was_reset() = 0;

  /// What the destructor does, earlier: stops listening, closes every connection and the front end's socket. counters()
  /// stays usable. QEMU waits for the device's answers when it stops it: stop (or destroy) the device, or leave the
  /// loop running, while waiting for QEMU to exit.
  virtual void stop() = 0;

 protected:
  VhostUserVsock() = default;
};

}  // namespace vmm
