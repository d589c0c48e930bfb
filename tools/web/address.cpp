#include "tools/web/address.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

namespace sis_web {
namespace {

constexpr int kBacklog = 16;

bool is_ipv4(const std::string& text) {
  in_addr address;
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

bool is_ipv6(const std::string& text) {
  in6_addr address;
  return ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

/// The two parts of "IP:PORT" or "[IP]:PORT"; without a port the second is empty.
struct Parts {
  std::string host;
  bool bracketed = false;
  std::optional<std::string_view> port;
};

std::optional<Parts> split(std::string_view text) {
  Parts parts;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    parts.host = text.substr(1, end - 1);
    parts.bracketed = true;
    rest = text.substr(end + 1);
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    parts.host = text.substr(0, end);
    rest = text.substr(end);
  }
  if (rest.empty()) return parts;
  if (!rest.starts_with(':')) return std::nullopt;
  parts.port = rest.substr(1);
  return parts;
}

std::optional<std::uint16_t> port_in(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(port) : std::nullopt;
}

/// An address as the system's calls take it.
struct SystemAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SystemAddress system_address(const Address& address) {
  SystemAddress result;
  if (is_ipv4(address.ip)) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.ip.c_str(), &ipv4.sin_addr);
    result.size = sizeof ipv4;
    std::memcpy(&result.storage, &ipv4, sizeof ipv4);
  } else {
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.ip.c_str(), &ipv6.sin6_addr);
    result.size = sizeof ipv6;
    std::memcpy(&result.storage, &ipv6, sizeof ipv6);
  }
  return result;
}

/// The port that a socket of either family has.
std::uint16_t port_of(const vmm::UniqueFd& socket) {
  SystemAddress bound{.storage = {}, .size = sizeof(sockaddr_storage)};
  // getsockname() takes every kind of address through the one generic type; a port is at the same place in both.
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0) return 0;
  sockaddr_in address;
  std::memcpy(&address, &bound.storage, sizeof address);
  return ntohs(address.sin_port);
}

}  // namespace

bool Address::is_loopback() const { return ip == "::1" || (is_ipv4(ip) && ip.starts_with("127.")); }

std::string Address::url() const {
  return "http://" + (is_ipv6(ip) ? "[" + ip + "]" : ip) + ":" + std::to_string(port) + "/";
}

vmm::Result<Address> parse_address(const std::string& text) {
  const auto parts = split(text);
  const auto port = parts && parts->port ? port_in(*parts->port) : std::nullopt;
  if (!port || (parts->bracketed ? !is_ipv6(parts->host) : !is_ipv4(parts->host))) {
    return vmm::fail(
        "found '" + text + "', expected the address of this host to listen on, as 127.0.0.1:8080 or [::1]:0",
        abi::ExitCode::Usage);
  }
  return Address{.ip = parts->host, .port = *port};
}

vmm::Result<vmm::UniqueFd> listen_on(Address& address) {
  const SystemAddress wanted = system_address(address);
  vmm::UniqueFd fd(::socket(wanted.storage.ss_family, SOCK_STREAM, 0));
  const int on = 1;
  // SO_REUSEADDR: old connections of a run before do not keep the port; a listener does.
  if (!fd.valid() || ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      // bind() takes every kind of address through the one generic type.
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&wanted.storage), wanted.size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return vmm::fail_errno("cannot listen on " + address.url(), errno, abi::ExitCode::Usage);
  }
  address.port = port_of(fd);
  return fd;
}

bool is_our_host(std::string_view host) {
  const auto parts = split(host);
  if (!parts || (parts->port && !port_in(*parts->port))) return false;
  if (parts->bracketed) return is_ipv6(parts->host);
  return parts->host == "localhost" || is_ipv4(parts->host);
}

}  // namespace sis_web
