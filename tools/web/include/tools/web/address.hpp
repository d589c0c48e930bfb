// Where the page is served, and for whom.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace sis_web {

/// An address of this host: "127.0.0.1:8080", "[::1]:0".
struct Address {
  std::string ip;  ///< numbers, IPv4 or IPv6 without brackets
  std::uint16_t port = 0;

  /// Whether nobody but this host can connect.
  [[nodiscard]] bool is_loopback() const;
  /// "http://127.0.0.1:8080/".
  [[nodiscard]] std::string url() const;
};

/// Reads an address. The error (ExitCode::Usage) names what was given and what is allowed.
vmm::Result<Address> parse_address(const std::string& text);

/// A socket that listens there. `address.port` becomes the one that it has, if it was 0.
/// Errors (ExitCode::Usage): the address is in use, or not this host's.
vmm::Result<vmm::UniqueFd> listen_on(Address& address);

/// Whether a request with this Host header is for us. A page of another site that has its name lead here (DNS
/// rebinding) sends that name; so only numbers and "localhost" are taken.
bool is_our_host(std::string_view host);

}  // namespace sis_web
