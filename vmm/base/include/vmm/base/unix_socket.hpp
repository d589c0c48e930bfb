// Unix stream sockets by path, also by paths longer than sockaddr_un holds.
#pragma once

#include <expected>
#include <filesystem>
#include <utility>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// A socket that listens at `path` (mode 0600), non-blocking. It listens before it has that name: a client that sees
/// the name is never refused. What lies at `path` already is not removed. The error is an errno value: EADDRINUSE,
/// EACCES, ENAMETOOLONG ...
std::expected<UniqueFd, int> listen_unix(const std::filesystem::path& path, int backlog = 128);

enum class Blocking { Yes, No };

/// A connected socket, blocking unless asked otherwise. The error is an errno value: ENOENT (no such socket),
/// ECONNREFUSED (nobody listens), EACCES (no permission) ... A non-blocking connect fails with EAGAIN where a blocking
/// one would wait because the listener's backlog is full; trying again later is up to the caller.
std::expected<UniqueFd, int> connect_unix(const std::filesystem::path& path, Blocking blocking = Blocking::Yes);

/// Takes the next connection of a listener, close-on-exec. The error is an errno value: EAGAIN when there is none.
std::expected<UniqueFd, int> accept_unix(const UniqueFd& listener);

/// Two connected stream sockets, close-on-exec, blocking.
Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair();

/// Switches a descriptor to non-blocking.
Result<> set_nonblocking(const UniqueFd& fd);

}  // namespace vmm
