// Byte streams to the guest through a machine's hybrid vsock socket, with deadlines: no call here blocks past one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vmm/base/unique_fd.hpp"
#include "vmm/control/error.hpp"

namespace vmm::control {

using Deadline = std::chrono::steady_clock::time_point;

/// Connects to a guest's vsock port: connects to the Unix socket at `socket_path`, sends "CONNECT <port>\n", reads the
/// answer ("OK <host port>\n", or "ERR <reason>\n" and a close). A guest that is still booting answers when its driver
/// is ready, so this waits until `deadline`. The stream is non-blocking; its first byte is the guest's.
/// Errors: NoSuchMachine, ConnectRefused, NoPermission, NoSuchPort, Timeout, Protocol.
ClientResult<UniqueFd> connect_vsock(const std::string& socket_path, std::uint32_t port, Deadline deadline);

/// Reads what is there, at least one byte, into `buffer` (not empty); 0 at the end of the stream. `fd` is non-blocking.
/// Errors: Timeout, ConnectionLost.
ClientResult<std::size_t> read_some(const UniqueFd& fd, std::span<std::uint8_t> buffer, Deadline deadline);

/// Writes what fits, at least one byte of `bytes` (not empty). Never raises SIGPIPE. Errors: Timeout, ConnectionLost.
ClientResult<std::size_t> write_some(const UniqueFd& fd, std::span<const std::uint8_t> bytes, Deadline deadline);

/// What a stream is ready for.
struct Ready {
  bool readable;
  bool writable;
};

/// Waits until the stream can be read or, with `want_write`, written; a closed one counts as readable. Error: Timeout.
ClientResult<Ready> wait_ready(const UniqueFd& fd, bool want_write, Deadline deadline);

}  // namespace vmm::control
