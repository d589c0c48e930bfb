#include "vmm/machine/console_hub.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>

#include "vmm/base/file.hpp"
#include "vmm/base/unix_socket.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;

class ConsoleHubTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-hub-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    loop_ = EventLoop::create().value();
    hub_ =
        ConsoleHub::create(*loop_, folder_ / "console.sock", folder_ / "console.log", [this](std::string_view bytes) {
          const std::size_t taken = std::min(bytes.size(), room_);
          typed_ += bytes.substr(0, taken);
          room_ -= taken;
          return taken;
        }).value();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  UniqueFd connect() {
    auto socket = connect_unix(folder_ / "console.sock").value();
    EXPECT_TRUE(set_nonblocking(socket));
    turn();
    return socket;
  }

  void turn(int rounds = 4) {
    for (int i = 0; i < rounds; ++i) ASSERT_TRUE(loop_->run_once(0ms));
  }

  static std::string read_all(const UniqueFd& socket) {
    std::string text;
    char chunk[4096];
    for (ssize_t got; (got = ::recv(socket.get(), chunk, sizeof chunk, 0)) > 0;)
      text.append(chunk, static_cast<std::size_t>(got));
    return text;
  }

  static bool is_closed(const UniqueFd& socket) {
    char byte;
    return ::recv(socket.get(), &byte, 1, 0) == 0;
  }

  std::filesystem::path folder_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ConsoleHub> hub_;
  std::string typed_;
  std::size_t room_ = 1000000;
};

TEST_F(ConsoleHubTest, output_goes_to_the_log_and_to_every_client) {
  const auto first = connect();
  const auto second = connect();
  hub_->on_output("hello\n");
  EXPECT_EQ(read_all(first), "hello\n");
  EXPECT_EQ(read_all(second), "hello\n");
  EXPECT_EQ(read_file(folder_ / "console.log", 100).value(), "hello\n");
  EXPECT_EQ(hub_->bytes(), 6U);
}

TEST_F(ConsoleHubTest, late_client_sees_the_end_of_what_was_printed) {
  hub_->on_output(std::string(ConsoleHub::kReplayBytes, 'x'));
  hub_->on_output("sis> ");
  const auto client = connect();
  const auto text = read_all(client);
  EXPECT_EQ(text.size(), ConsoleHub::kReplayBytes);
  EXPECT_TRUE(text.ends_with("xsis> "));
}

TEST_F(ConsoleHubTest, every_client_may_type) {
  const auto first = connect();
  const auto second = connect();
  ASSERT_EQ(::send(first.get(), "ab", 2, 0), 2);
  turn();
  ASSERT_EQ(::send(second.get(), "cd", 2, 0), 2);
  turn();
  EXPECT_EQ(typed_, "abcd");
}

TEST_F(ConsoleHubTest, slow_guest_lets_clients_wait_and_loses_nothing) {
  const auto client = connect();
  room_ = 3;
  ASSERT_EQ(::send(client.get(), "abcdef", 6, 0), 6);
  turn();
  ASSERT_EQ(::send(client.get(), "ghi", 3, 0), 3);
  turn();
  EXPECT_EQ(typed_, "abc");
  room_ = 100;
  hub_->on_input_ready();
  turn();
  EXPECT_EQ(typed_, "abcdefghi");
}

TEST_F(ConsoleHubTest, terminal_is_told_when_there_is_room_again) {
  int told = 0;
  hub_->set_on_room([&] { ++told; });
  room_ = 1;
  EXPECT_FALSE(hub_->type("ab"));
  room_ = 10;
  hub_->on_input_ready();
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(hub_->type("c"));
  EXPECT_EQ(typed_, "abc");
}

TEST_F(ConsoleHubTest, client_that_does_not_read_is_dropped_and_others_are_not) {
  const auto slow = connect();
  const auto good = connect();
  const std::string block(64 * 1024, 'x');
  std::size_t received = 0;
  std::size_t sent = 0;
  for (int i = 0; i < 64; ++i) {
    hub_->on_output(block);
    sent += block.size();
    turn(1);
    received += read_all(good).size();
  }
  turn();
  received += read_all(good).size();
  EXPECT_EQ(received, sent);
  read_all(slow);
  EXPECT_TRUE(is_closed(slow));
}

TEST_F(ConsoleHubTest, one_client_too_many_is_turned_away) {
  std::vector<UniqueFd> clients;
  for (std::size_t i = 0; i < ConsoleHub::kMaxClients; ++i) clients.push_back(connect());
  const auto late = connect();
  EXPECT_TRUE(is_closed(late));
  clients.clear();
  turn(8);
  const auto next = connect();
  EXPECT_FALSE(is_closed(next));
}

TEST_F(ConsoleHubTest, log_stops_at_its_limit_and_counts_the_rest) {
  const std::string block(16 * 1024 * 1024, 'x');
  for (int i = 0; i < 5; ++i) hub_->on_output(block);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "console.log"), ConsoleHub::kMaxLogBytes);
  EXPECT_EQ(hub_->bytes_not_logged(), 5 * block.size() - ConsoleHub::kMaxLogBytes);
}

}  // namespace
}  // namespace vmm::machine
