#include "vmm/machine/monitor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>
#include <thread>

#include "vmm/base/unix_socket.hpp"
#include "vmm/machine/monitor_client.hpp"

namespace vmm::machine {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class MonitorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "sis-monitor-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    loop_ = EventLoop::create().value();
    server_ = MonitorServer::create(*loop_, folder_ / "m.sock",
                                    {.status = [] { return nlohmann::json{{"status", "ok"}, {"name", "m"}}; },
                                     .stop =
                                         [this](auto timeout) {
                                           ++stops_;
                                           timeout_ = timeout;
                                         },
                                     .snapshot =
                                         [this](const std::filesystem::path& folder, auto done) {
                                           saved_ = folder;
                                           if (folder == "/later") return later_.push_back(done);
                                           done(folder == "/full" ? fail("the disk is full") : Result<>());
                                         }})
                  .value();
    client_ = connect_unix(folder_ / "m.sock").value();
    ASSERT_TRUE(set_nonblocking(client_));
    turn();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void turn(int rounds = 4) {
    for (int i = 0; i < rounds; ++i) ASSERT_TRUE(loop_->run_once(0ms));
  }

  std::string ask(const std::string& text) {
    EXPECT_EQ(::send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    turn();
    return read();
  }

  std::string ask_anew(const std::string& text) {
    client_ = connect_unix(folder_ / "m.sock").value();
    EXPECT_TRUE(set_nonblocking(client_));
    turn();
    return ask(text);
  }

  std::string read() {
    char chunk[8192];
    const ssize_t got = ::recv(client_.get(), chunk, sizeof chunk, 0);
    return got > 0 ? std::string(chunk, static_cast<std::size_t>(got)) : got == 0 ? "(closed)" : "(nothing)";
  }

  std::filesystem::path folder_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<MonitorServer> server_;
  UniqueFd client_;
  int stops_ = 0;
  std::filesystem::path saved_;
  std::vector<std::function<void(Result<>)>> later_;
  std::optional<std::chrono::milliseconds> timeout_;
};

TEST_F(MonitorTest, status_is_answered) {
  EXPECT_EQ(ask("{\"op\":\"status\"}\n"), "{\"name\":\"m\",\"status\":\"ok\"}\n");
}

TEST_F(MonitorTest, stop_is_answered_at_once_and_at_the_end) {
  EXPECT_EQ(ask("{\"op\":\"stop\",\"timeout_ms\":250}\n"), "{\"status\":\"stopping\"}\n");
  EXPECT_EQ(stops_, 1);
  EXPECT_EQ(timeout_, 250ms);
  server_->tell_stopped(4, true);
  EXPECT_EQ(read(), "{\"exit_code\":4,\"killed\":true,\"status\":\"stopped\"}\n");
}

TEST_F(MonitorTest, snapshot_is_answered_when_it_is_done_or_why_not) {
  EXPECT_EQ(ask("{\"op\":\"snapshot\",\"folder\":\"/a b/s\"}\n"), "{\"status\":\"saved\"}\n");
  EXPECT_EQ(saved_, "/a b/s");
  EXPECT_EQ(ask("{\"op\":\"snapshot\",\"folder\":\"/full\"}\n"),
            "{\"message\":\"the disk is full\",\"status\":\"error\"}\n");
}

TEST_F(MonitorTest, requests_after_one_that_takes_its_time_are_answered_in_order) {
  EXPECT_EQ(ask("{\"op\":\"snapshot\",\"folder\":\"/later\"}\n{\"op\":\"status\"}\n"), "(nothing)");
  EXPECT_EQ(ask("{\"op\":\"status\"}\n"), "(nothing)");
  ASSERT_EQ(later_.size(), 1U);
  later_[0]({});
  turn();
  EXPECT_EQ(read(), "{\"status\":\"saved\"}\n{\"name\":\"m\",\"status\":\"ok\"}\n{\"name\":\"m\",\"status\":\"ok\"}\n");
}

TEST_F(MonitorTest, client_may_leave_before_its_answer) {
  EXPECT_EQ(ask("{\"op\":\"snapshot\",\"folder\":\"/later\"}\n"), "(nothing)");
  client_.reset();
  turn();
  later_.at(0)(fail("nobody wants to know"));
  turn();
  EXPECT_EQ(ask_anew("{\"op\":\"status\"}\n"), "{\"name\":\"m\",\"status\":\"ok\"}\n");
}

TEST_F(MonitorTest, answer_may_come_after_the_server_s_end) {
  ask("{\"op\":\"snapshot\",\"folder\":\"/later\"}\n");
  server_.reset();
  later_.at(0)({});
  EXPECT_EQ(read(), "(closed)");
}

TEST_F(MonitorTest, request_may_come_in_pieces) {
  EXPECT_EQ(ask("{\"op\":\"st"), "(nothing)");
  EXPECT_THAT(ask("atus\"}\n"), HasSubstr("ok"));
}

TEST_F(MonitorTest, nonsense_is_refused_and_ends_the_connection) {
  for (const std::string text :
       {"x\n", "[]\n", "{}\n", "{\"op\":1}\n", "{\"op\":\"reboot\"}\n", "\n", "{\"op\":\"stop\",\"timeout_ms\":-1}\n",
        "{\"op\":\"stop\",\"timeout_ms\":1e99}\n", "{\"op\":\"stop\",\"timeout_ms\":\"5\"}\n",
        "{\"op\":\"snapshot\"}\n", "{\"op\":\"snapshot\",\"folder\":7}\n", "{\"op\":\"snapshot\",\"folder\":\"s\"}\n",
        "{\"op\":\"snapshot\",\"folder\":\"/s\\u0000/t\"}\n"}) {
    client_ = connect_unix(folder_ / "m.sock").value();
    ASSERT_TRUE(set_nonblocking(client_));
    turn();
    EXPECT_THAT(ask(text), HasSubstr("\"status\":\"error\"")) << text;
    turn();
    EXPECT_EQ(read(), "(closed)");
  }
  EXPECT_EQ(stops_, 0);
  EXPECT_EQ(saved_, "");
}

TEST_F(MonitorTest, endless_line_is_refused) {
  EXPECT_THAT(ask(std::string(MonitorServer::kMaxLineBytes + 1, 'x')), HasSubstr("more than 4096 bytes"));
}

TEST_F(MonitorTest, client_class_asks_and_waits) {
  nlohmann::json answer;
  std::thread other([&] {
    auto client = MonitorClient::connect(folder_ / "m.sock");
    if (client) answer = client->ask({{"op", "status"}}, 10s).value_or("none");
    loop_->stop();
  });
  ASSERT_TRUE(loop_->run());
  other.join();
  EXPECT_EQ(answer["name"], "m");
}

TEST_F(MonitorTest, client_class_does_not_wait_for_ever) {
  auto client = MonitorClient::connect(folder_ / "m.sock");
  ASSERT_TRUE(client);
  const auto answer = client->ask({{"op", "status"}}, 20ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().exit_code, abi::ExitCode::TimedOut);
}

}  // namespace
}  // namespace vmm::machine
