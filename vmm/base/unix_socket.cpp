#include "vmm/base/unix_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace vmm {
namespace {

// macOS has neither SOCK_CLOEXEC nor accept4; there the flags are set after the call.
UniqueFd make_socket() {
#ifdef SOCK_CLOEXEC
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
#else
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (fd.valid()) ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

/// The address of `path`. A path too long for it is reached through its folder's descriptor, which is kept open in
/// `folder` until the address has been used.
std::expected<sockaddr_un, int> address_of(const std::filesystem::path& path, UniqueFd& folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string name = path.string();
  if (name.empty() || name.find('\0') != std::string::npos) return std::unexpected(EINVAL);
#ifdef __linux__
  if (name.size() >= sizeof(address.sun_path)) {
    const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    folder = UniqueFd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return std::unexpected(errno);
    name = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + path.filename().string();
  }
#else
  static_cast<void>(folder);
#endif
  if (name.size() >= sizeof(address.sun_path)) return std::unexpected(ENAMETOOLONG);
  name.copy(address.sun_path, name.size());
  return address;
}

/// Gives a file another name, which must not be there yet: EEXIST. True if it was done.
bool give_name(const char* from, const char* to) {
#ifdef RENAME_NOREPLACE
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;  // a file system that cannot
#endif
  if (::link(from, to) != 0) return false;
  ::unlink(from);
  return true;
}

// bind() and connect() take every kind of address through the one generic type.
const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

}  // namespace

std::expected<UniqueFd, int> listen_unix(const std::filesystem::path& path, int backlog) {
  UniqueFd fd = make_socket();
  if (!fd.valid()) return std::unexpected(errno);
  // Between bind() and listen() a client would be refused, and told that nobody is there. So the socket gets its public
  // name when it listens already.
  const auto hidden = path.parent_path() / (".sock-" + std::to_string(::getpid()) + "-" + std::to_string(fd.get()));
  UniqueFd folder, hidden_folder;
  const auto address = address_of(path, folder);
  if (!address) return std::unexpected(address.error());
  const auto hidden_address = address_of(hidden, hidden_folder);
  if (!hidden_address) return std::unexpected(hidden_address.error());
  if (::bind(fd.get(), generic(*hidden_address), sizeof(*hidden_address)) != 0) return std::unexpected(errno);
  // Before listen(): nobody can connect while the mode is still what umask made of it.
  if (::chmod(hidden_address->sun_path, 0600) == 0 && ::listen(fd.get(), backlog) == 0 && set_nonblocking(fd) &&
      give_name(hidden_address->sun_path, address->sun_path)) {
    return fd;
  }
  const int error = errno == EEXIST ? EADDRINUSE : errno;
  ::unlink(hidden_address->sun_path);
  return std::unexpected(error);
}

std::expected<UniqueFd, int> connect_unix(const std::filesystem::path& path, Blocking blocking) {
  UniqueFd folder;
  const auto address = address_of(path, folder);
  if (!address) return std::unexpected(address.error());
  UniqueFd fd = make_socket();
  if (!fd.valid()) return std::unexpected(errno);
  if (blocking == Blocking::No && !set_nonblocking(fd)) return std::unexpected(errno);
  while (::connect(fd.get(), generic(*address), sizeof(*address)) != 0) {
    // A Unix connect is never "in progress": after a signal it has not happened.
    if (errno != EINTR) return std::unexpected(errno);
  }
  return fd;
}

std::expected<UniqueFd, int> accept_unix(const UniqueFd& listener) {
#ifdef SOCK_CLOEXEC
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
#else
  UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
  if (fd.valid()) ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
#endif
  if (!fd.valid()) return std::unexpected(errno);
  return fd;
}

Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair() {
  int fds[2];
#ifdef SOCK_CLOEXEC
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return fail_errno("cannot make a socket pair");
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return fail_errno("cannot make a socket pair");
  ::fcntl(fds[0], F_SETFD, FD_CLOEXEC);
  ::fcntl(fds[1], F_SETFD, FD_CLOEXEC);
#endif
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<> set_nonblocking(const UniqueFd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno("cannot switch a descriptor to non-blocking");
  }
  return {};
}

}  // namespace vmm
