#include "vmm/devices/vsock/direct_socket.hpp"

#include "device_fixture.hpp"

namespace vmm::vsock {
namespace {

/// With a direct socket to port 5001 of the guest.
struct DirectSocketTest : DeviceTest {
  std::string direct_path = folder.path / "direct.sock";

  void SetUp() override {
    config.direct = {.listener = listen_unix(direct_path)->release(), .guest_port = 5001, .refusal = "NO "};
    make();
  }
  UniqueFd direct_client(std::string_view text = "") {
    const std::string hybrid = std::exchange(path, direct_path);
    UniqueFd fd = client(text);
    path = hybrid;
    return fd;
  }
};

TEST_F(DirectSocketTest, client_is_connected_without_a_word) {
  boot();
  const UniqueFd fd = direct_client("CONNECT 7\n");
  const ConnectionKey key = accept();
  EXPECT_EQ(key.guest_port, 5001u);
  EXPECT_EQ(receive().payload, "CONNECT 7\n");
  EXPECT_EQ(hear(fd), "<nothing>");
  send(Op::Rw, key, "OK\n");
  EXPECT_EQ(hear(fd), "OK\n");
  EXPECT_EQ(device->counters().clients_accepted, 1u);
}

TEST_F(DirectSocketTest, client_before_the_driver_is_held) {
  const UniqueFd fd = direct_client("early");
  boot();
  accept();
  EXPECT_EQ(receive().payload, "early");
}

TEST_F(DirectSocketTest, refusals_are_in_the_words_of_the_port) {
  boot();
  const UniqueFd fd = direct_client();
  const Packet request = receive();
  send(Op::Rst, {.host_port = request.header.src_port, .guest_port = 5001});
  EXPECT_EQ(hear(fd), "NO connection refused by the guest\n");
  EXPECT_EQ(hear(fd), "<end>");
  const UniqueFd held = direct_client();
  device->close_host_side("the machine has stopped");
  EXPECT_EQ(hear(held), "NO the machine has stopped\n");
}

TEST_F(DirectSocketTest, clients_are_limited_as_those_of_the_hybrid_socket) {
  device.reset();
  config.direct.listener = listen_unix(folder.path / "again.sock")->release();
  direct_path = folder.path / "again.sock";
  config.limits.connections_per_client = 1;
  make();
  const UniqueFd first = direct_client();
  const UniqueFd second = direct_client();
  EXPECT_EQ(hear(second), "NO too many connections\n");
  EXPECT_EQ(hear(first), "<nothing>");
  EXPECT_EQ(device->counters().clients_refused_quota, 1u);
}

TEST_F(DirectSocketTest, its_port_cannot_be_asked_for_elsewhere) {
  boot();
  const UniqueFd fd = client("CONNECT 5001\n");
  EXPECT_EQ(hear(fd), "ERR this port is reached by a socket of its own\n");
  EXPECT_EQ(hear(fd), "<end>");
  EXPECT_EQ(device->counters().clients_refused_closed_port, 1u);
  const UniqueFd other = client("CONNECT 5000\n");
  EXPECT_EQ(accept().guest_port, 5000u);
}

}  // namespace
}  // namespace vmm::vsock
