#include "vmm/base/tcp_socket.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "vmm/base/unix_socket.hpp"

namespace vmm {
namespace {

/// Connects to a port of 127.0.0.n; 0, or the errno value.
int connect_to(std::uint32_t address, std::uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(address);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

TEST(TcpSocketTest, listens_on_a_free_port_of_this_host_only) {
  const auto listener = listen_on_loopback(0);
  ASSERT_TRUE(listener.has_value());
  const auto port = port_of(*listener);
  ASSERT_TRUE(port.has_value());
  EXPECT_NE(*port, 0);
  EXPECT_EQ(connect_to(INADDR_LOOPBACK, *port), 0);
  EXPECT_EQ(connect_to(INADDR_LOOPBACK + 1, *port), ECONNREFUSED);  // another address of the same interface
}

TEST(TcpSocketTest, accepted_connections_wait_for_nothing) {
  const auto listener = listen_on_loopback(0);
  ASSERT_EQ(connect_to(INADDR_LOOPBACK, port_of(*listener).value()), 0);
  const auto accepted = accept_unix(*listener);
  ASSERT_TRUE(accepted.has_value());
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  ASSERT_EQ(::getsockopt(accepted->get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
}

TEST(TcpSocketTest, port_that_is_taken_is_told) {
  const auto first = listen_on_loopback(0);
  EXPECT_EQ(listen_on_loopback(port_of(*first).value()).error(), EADDRINUSE);
}

}  // namespace
}  // namespace vmm
