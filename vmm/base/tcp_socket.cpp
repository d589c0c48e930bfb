#include "vmm/base/tcp_socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "vmm/base/unix_socket.hpp"

namespace vmm {

std::expected<UniqueFd, int> listen_on_loopback(std::uint16_t port, int backlog) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  if (!fd.valid()) return std::unexpected(errno);
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // SO_REUSEADDR: old connections of a run before do not keep the port; a listener does. Connections inherit
  // TCP_NODELAY.
  if (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      // bind() takes every kind of address through the one generic type.
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), backlog) != 0 || !set_nonblocking(fd)) {
    return std::unexpected(errno);
  }
  return fd;
}

std::expected<std::uint16_t, int> port_of(const UniqueFd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  // getsockname() takes every kind of address through the one generic type.
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::unexpected(errno);
  return ntohs(address.sin_port);
}

}  // namespace vmm
