// TCP on this host only.
#pragma once

#include <cstdint>
#include <expected>

#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// A socket that listens on 127.0.0.1, non-blocking, close-on-exec; its connections send small pieces at once
/// (TCP_NODELAY). `port` 0: a free one. The error is an errno value: EADDRINUSE, EACCES ...
std::expected<UniqueFd, int> listen_on_loopback(std::uint16_t port, int backlog = 128);

/// The port that a TCP socket has.
std::expected<std::uint16_t, int> port_of(const UniqueFd& socket);

}  // namespace vmm
