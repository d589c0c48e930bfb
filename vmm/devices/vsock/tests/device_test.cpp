// The device with clients, services, a guest that breaks rules, and a driver that comes and goes.
#include "vmm/devices/vsock/device.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <thread>

#include "device_fixture.hpp"

namespace vmm::vsock {
namespace {

TEST_F(DeviceTest, configuration_space_is_the_cid) {
  const auto space = device->config();
  ASSERT_EQ(space.size(), 8u);
  EXPECT_EQ(space[0], std::byte{kCid});
}

TEST_F(DeviceTest, client_connects_and_data_flows_both_ways) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  const ConnectionKey key = accept();
  EXPECT_EQ(key.guest_port, 5000u);
  EXPECT_EQ(hear(fd), "OK " + std::to_string(key.host_port) + "\n");
  say(fd, "ping");
  EXPECT_EQ(receive().payload, "ping");
  send(Op::Rw, key, "pong");
  EXPECT_EQ(hear(fd), "pong");
  EXPECT_GT(interrupt.queue_signals, 0);
}

TEST_F(DeviceTest, client_before_the_driver_is_held) {
  const UniqueFd fd = client("CONNECT 5000\n");
  EXPECT_EQ(hear(fd), "<nothing>");
  boot();
  accept();
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
}

TEST_F(DeviceTest, client_before_the_first_rx_buffer_is_held) {
  const UniqueFd fd = client("CONNECT 5000\n");
  boot(0);
  spin();
  EXPECT_EQ(hear(fd), "<nothing>");
  offer_rx();
  device->queue_kicked(0);
  accept();
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
}

TEST_F(DeviceTest, held_client_that_leaves_is_forgotten) {
  UniqueFd fd = client("CONNECT 5000\n");
  EXPECT_EQ(device->counters().open, 1u);
  fd.reset();
  spin();
  EXPECT_EQ(device->counters().open, 0u);
  EXPECT_EQ(device->counters().abandoned, 1u);
}

TEST_F(DeviceTest, bytes_behind_the_line_belong_to_the_connection) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\nearly");
  accept();
  EXPECT_EQ(receive().payload, "early");
}

TEST_F(DeviceTest, line_in_single_bytes_is_accepted) {
  boot();
  const UniqueFd fd = client();
  for (const char byte : std::string_view("CONNECT 5000\n")) say(fd, std::string_view(&byte, 1));
  EXPECT_EQ(accept().guest_port, 5000u);
}

TEST_F(DeviceTest, refused_port_is_told) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  const Packet request = receive();
  send(Op::Rst, {.host_port = request.header.src_port, .guest_port = 5000});
  EXPECT_EQ(hear(fd), "ERR connection refused by the guest\n");
  EXPECT_EQ(hear(fd), "<end>");
}

TEST_F(DeviceTest, bad_line_is_told_and_ended) {
  const UniqueFd fd = client("CONNECT five\n");
  EXPECT_EQ(hear(fd), "ERR the port after CONNECT must be decimal digits and end the line\n");
  EXPECT_EQ(device->counters().connect_lines_bad, 1u);
}

TEST_F(DeviceTest, endless_line_is_ended) {
  const UniqueFd fd = client("CONNECT " + std::string(10'000, '1'));
  EXPECT_EQ(hear(fd).substr(0, 4), "ERR ");
  EXPECT_EQ(device->counters().connect_lines_bad, 1u);
}

TEST_F(DeviceTest, abandoned_line_is_counted) {
  client("CONNE").reset();
  spin();
  EXPECT_EQ(device->counters().connect_lines_abandoned, 1u);
}

TEST_F(DeviceTest, half_line_times_out) {
  device.reset();
  config.socket_limits.line_time = milliseconds(1);
  make();
  const UniqueFd fd = client("CONN");
  ASSERT_TRUE(loop->run_once(milliseconds(50)));
  spin();
  EXPECT_EQ(hear(fd), "ERR no complete CONNECT line in time\n");
  EXPECT_EQ(device->counters().connect_lines_timeout, 1u);
}

TEST_F(DeviceTest, clients_without_a_line_are_limited) {
  device.reset();
  config.socket_limits.clients_without_line_per_process = 2;
  make();
  const UniqueFd first = client();
  const UniqueFd second = client();
  const UniqueFd third = client();
  spin();
  EXPECT_EQ(hear(third).substr(0, 4), "ERR ");
  EXPECT_EQ(hear(first), "<nothing>");
}

TEST_F(DeviceTest, large_transfer_survives_a_slow_client_and_a_slow_guest) {
  boot(2);
  const UniqueFd fd = client("CONNECT 5000\n");
  const ConnectionKey key = accept();
  hear(fd);
  std::string sent;
  std::string got;
  for (unsigned i = 0; i < 300; ++i) {
    const std::string piece(1000 + i, static_cast<char>('a' + i % 26));
    send(Op::Rw, key, piece);
    sent += piece;
    if (i % 50 == 49) {
      while (got.size() < sent.size()) {
        const std::string more = hear(fd);
        ASSERT_NE(more, "<end>");
        if (more != "<nothing>") got += more;
        spin();
      }
    }
  }
  EXPECT_TRUE(got == sent);
  const std::string up(100'000, 'u');
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  ASSERT_EQ(::send(fd.get(), up.data(), up.size(), 0), static_cast<ssize_t>(up.size()));
  std::string received;
  for (int i = 0; i < 200 && received.size() < up.size(); ++i) received += receive().payload;
  EXPECT_TRUE(received == up);
}

TEST_F(DeviceTest, rx_buffer_taken_for_nothing_is_used_for_the_next_packet) {
  boot(1);
  const UniqueFd fd = client("CONNECT 5000\n");
  accept();
  hear(fd);
  // Exactly what one buffer holds: the stream may have more, but has not, so the next buffer is taken in vain.
  const std::string whole(kRxBytes - sizeof(PacketHeader), 'w');
  for (int i = 0; i < 3; ++i) {
    say(fd, whole);
    ASSERT_EQ(receive().payload.size(), whole.size());
    spin();
  }
}

TEST_F(DeviceTest, half_close_travels_both_ways) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  const ConnectionKey key = accept();
  hear(fd);
  ::shutdown(fd.get(), SHUT_WR);
  const Packet shutdown = receive();
  EXPECT_EQ(shutdown.op(), Op::Shutdown);
  EXPECT_EQ(shutdown.header.flags, abi::vsock::kShutdownSend);
  send(Op::Rw, key, "answer");
  send(Op::Shutdown, key, "", abi::vsock::kShutdownSend | abi::vsock::kShutdownReceive);
  EXPECT_EQ(hear(fd), "answer");
  EXPECT_EQ(hear(fd), "<end>");
  EXPECT_EQ(receive().op(), Op::Rst);
  EXPECT_EQ(device->counters().closed, 1u);
}

TEST_F(DeviceTest, guest_connects_to_a_listener_of_the_host) {
  boot();
  const auto listener = listen_unix(path + "_7000");
  ASSERT_TRUE(listener.has_value());
  const ConnectionKey key{.host_port = 7000, .guest_port = 1};
  send(Op::Request, key);
  EXPECT_EQ(receive().op(), Op::Response);
  const UniqueFd service(::accept(listener->get(), nullptr, nullptr));
  send(Op::Rw, key, "hello");
  EXPECT_EQ(hear(service), "hello");
}

TEST_F(DeviceTest, guest_connecting_to_no_listener_is_reset) {
  boot();
  send(Op::Request, {.host_port = 7000, .guest_port = 1});
  EXPECT_EQ(receive().op(), Op::Rst);
}

TEST_F(DeviceTest, reset_ends_connections_and_the_next_driver_is_served) {
  boot();
  const UniqueFd old = client("CONNECT 5000\n");
  accept();
  hear(old);
  device->reset();
  EXPECT_EQ(hear(old), "<end>");
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  accept();
  EXPECT_EQ(hear(fd).substr(0, 3), "OK ");
}

TEST_F(DeviceTest, suspended_device_goes_on_with_its_connections) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  const ConnectionKey key = accept();
  hear(fd);
  auto queues = device->deactivate();
  say(fd, "while paused");
  device->queue_kicked(0);
  spin();
  EXPECT_EQ(rx->collect(), std::nullopt);
  ASSERT_TRUE(device->activate({.features = device->features(), .queues = std::move(queues), .interrupt = &interrupt}));
  EXPECT_EQ(receive().payload, "while paused");
  send(Op::Rw, key, "back");
  EXPECT_EQ(hear(fd), "back");
}

constexpr std::uint32_t kPortAfterSnapshot = (1u << 30) + 77;

TEST_F(DeviceTest, restored_driver_is_told_and_served_when_it_has_taken_notice) {
  ASSERT_TRUE(device->restore({.next_host_port = kPortAfterSnapshot}));
  const UniqueFd fd = client("CONNECT 5000\n");
  boot(16, 2);
  guest->put(event_buffer, abi::Le32(99));
  spin();
  const auto used = events->collect();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->bytes, sizeof(abi::Le32));
  EXPECT_EQ(guest->get<abi::Le32>(event_buffer), abi::vsock::kEventTransportReset);
  EXPECT_FALSE(rx->collect()) << "a packet came before the driver had looked at the event";
  offer_event();
  ASSERT_TRUE(loop->run_once(milliseconds(500)));
  EXPECT_EQ(accept().host_port, kPortAfterSnapshot);
  EXPECT_FALSE(events->collect()) << "told twice";
}

TEST_F(DeviceTest, restored_driver_without_an_event_buffer_is_told_when_there_is_one) {
  ASSERT_TRUE(device->restore({.next_host_port = kPortAfterSnapshot}));
  boot(16, 0);
  spin();
  EXPECT_FALSE(events->collect());
  offer_event();
  ASSERT_TRUE(loop->run_once(milliseconds(500)));
  spin();
  EXPECT_TRUE(events->collect());
}

TEST_F(DeviceTest, restored_driver_that_takes_no_notice_is_served_after_a_while) {
  ASSERT_TRUE(device->restore({.next_host_port = kPortAfterSnapshot}));
  const UniqueFd fd = client("CONNECT 5000\n");
  boot(16, 0);
  const auto begin = std::chrono::steady_clock::now();
  while (rx->used_index() == 0) ASSERT_TRUE(loop->run_once(milliseconds(50)));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, VsockDevice::kResetNoticeTime / 2);
  accept();
}

TEST_F(DeviceTest, restored_driver_without_an_event_queue_is_served_at_once) {
  ASSERT_TRUE(device->restore({.next_host_port = kPortAfterSnapshot}));
  const UniqueFd fd = client("CONNECT 5000\n");
  boot();
  spin(2);
  EXPECT_EQ(accept().host_port, kPortAfterSnapshot);
}

TEST_F(DeviceTest, new_driver_after_a_restore_is_not_told) {
  ASSERT_TRUE(device->restore({.next_host_port = kPortAfterSnapshot}));
  device->reset();
  boot(16, 2);
  const UniqueFd fd = client("CONNECT 5000\n");
  accept();
  EXPECT_FALSE(events->collect());
}

TEST_F(DeviceTest, saved_state_is_the_next_port) {
  ASSERT_TRUE(device->restore({.next_host_port = kPortAfterSnapshot}));
  EXPECT_EQ(device->save().next_host_port, kPortAfterSnapshot);
  const auto refused = device->restore({.next_host_port = 5000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "saved vsock device: next_host_port is 5000");
}

TEST_F(DeviceTest, broken_tx_queue_asks_for_a_reset_and_nothing_else) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  accept();
  tx->set_available_index(1000);
  device->queue_kicked(1);
  spin();
  EXPECT_NE(interrupt.reset_reason, "");
  EXPECT_EQ(device->counters().queue_errors, 1u);
  device->queue_kicked(1);
  spin();
  EXPECT_EQ(device->counters().queue_errors, 1u);
  device->reset();
  boot();
  const UniqueFd after = client("CONNECT 5000\n");
  accept();
  EXPECT_EQ(hear(after).substr(0, 3), "OK ");
}

TEST_F(DeviceTest, rx_buffer_without_room_breaks_the_device) {
  boot(0);
  rx->add({{rx_buffers, sizeof(PacketHeader), true}});
  const UniqueFd fd = client("CONNECT 5000\n");
  device->queue_kicked(0);
  spin();
  EXPECT_NE(interrupt.reset_reason, "");
}

TEST_F(DeviceTest, guest_that_never_offers_rx_buffers_stops_only_its_own_tx) {
  device.reset();
  config.limits.waiting_resets = 4;
  make();
  boot(0);
  for (int i = 0; i < 10; ++i) send(Op::Rw, {.host_port = 9, .guest_port = 9});
  EXPECT_EQ(tx->used_index(), 4);
  for (int i = 0; i < 10; ++i) offer_rx();
  device->queue_kicked(0);
  spin(10);
  EXPECT_EQ(tx->used_index(), 10);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(receive().op(), Op::Rst);
}

TEST_F(DeviceTest, many_clients_at_once_each_get_their_own_bytes) {
  boot();
  constexpr int kClients = 200;
  std::vector<UniqueFd> clients;
  std::vector<ConnectionKey> keys;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(client("CONNECT 5000\n"));
    keys.push_back(accept());
    hear(clients.back());
  }
  for (int i = 0; i < kClients; ++i) send(Op::Rw, keys[static_cast<std::size_t>(i)], std::to_string(i));
  for (int i = 0; i < kClients; ++i) EXPECT_EQ(hear(clients[static_cast<std::size_t>(i)]), std::to_string(i));
  EXPECT_EQ(device->counters().open_peak, static_cast<std::uint64_t>(kClients));
}

TEST_F(DeviceTest, end_of_the_device_tells_waiting_clients_and_removes_the_socket) {
  const UniqueFd held = client("CONNECT 5000\n");
  const UniqueFd silent = client();
  device.reset();
  EXPECT_EQ(hear(held), "ERR the machine has stopped\n");
  EXPECT_EQ(hear(silent), "ERR the machine has stopped\n");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(DeviceTest, end_of_the_device_waits_for_clients_that_go_on_reading) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  const ConnectionKey key = accept();
  hear(fd);
  // More than the client's socket holds, and no more than the connection has credit for behind that.
  const int room = 4096;
  ASSERT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
  std::string all;
  for (int i = 0; i < 300; ++i) {
    all += std::string(1000, static_cast<char>('a' + i % 26));
    send(Op::Rw, key, std::string_view(all).substr(all.size() - 1000));
  }
  std::string heard;
  std::thread reader([&] {
    for (std::string part = hear(fd); part != "<end>"; part = hear(fd)) heard += part == "<nothing>" ? "" : part;
  });
  device->close_host_side("the machine has stopped");
  reader.join();
  EXPECT_EQ(heard, all);
}

TEST_F(DeviceTest, end_of_the_device_does_not_wait_long_for_one_that_reads_nothing) {
  boot();
  const UniqueFd fd = client("CONNECT 5000\n");
  const ConnectionKey key = accept();
  const std::string some(1000, 'x');
  for (int i = 0; i < 400; ++i) send(Op::Rw, key, some);
  const auto begin = std::chrono::steady_clock::now();
  device->close_host_side("the machine has stopped");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, VsockDevice::kDeliveryTime);
}

TEST_F(DeviceTest, socket_has_mode_0600) {
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(DeviceTest, stale_socket_is_replaced_and_the_new_one_kept) {
  auto second = VsockDevice::create(*loop, config);
  ASSERT_TRUE(second.has_value());
  device.reset();  // must not remove the file of its successor
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(DeviceTest, create_refuses_a_file_that_is_no_socket) {
  config.socket_path = folder.path / "file";
  UniqueFd(::open(config.socket_path.c_str(), O_CREAT | O_WRONLY, 0600)).reset();
  const auto made = VsockDevice::create(*loop, config);
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().message.find("not a socket"), std::string::npos);
}

TEST_F(DeviceTest, create_refuses_reserved_cids) {
  for (const std::uint64_t cid : {0ull, 1ull, 2ull, 0xFFFF'FFFFull, 0x1'0000'0000ull}) {
    config.guest_cid = cid;
    EXPECT_FALSE(VsockDevice::create(*loop, config).has_value()) << cid;
  }
}

#ifdef __linux__
TEST_F(DeviceTest, path_longer_than_a_socket_address_works) {
  device.reset();
  const auto folder = std::filesystem::path(path).parent_path() / std::string(sizeof(sockaddr_un::sun_path), 'd');
  std::filesystem::create_directories(folder);
  config.socket_path = folder / "vsock.sock";
  const auto made = VsockDevice::create(*loop, config);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_TRUE(connect_unix(config.socket_path, Blocking::No).has_value());
}
#endif

}  // namespace
}  // namespace vmm::vsock
