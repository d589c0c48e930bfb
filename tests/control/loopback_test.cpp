// The project's client (vmm/control) against the guest's control server, both in this process, over socket pairs: what
// the two sides each test against fakes of their own must also hold between them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <thread>

#include "guest/control/server.hpp"
#include "guest/control/testing/fake_machine.hpp"
#include "guest/kernel/stream.hpp"
#include "guest/shell/shell.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/base/unix_socket.hpp"
#include "vmm/control/client.hpp"

namespace {

using guest::control::testing::FakeMachine;
using nlohmann::json;
using vmm::UniqueFd;
using vmm::control::Client;
using vmm::control::ClientError;

/// The guest's end of a socket pair as a stream of the kernel.
class SocketStream final : public guest::kernel::Stream {
 public:
  explicit SocketStream(UniqueFd fd) : fd_(std::move(fd)) {}

  void attach(guest::kernel::StreamHandler& handler) { handler_ = &handler; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] short wanted() const {
    return static_cast<short>((ended_ ? 0 : POLLIN) | (short_write_ ? POLLOUT : 0));
  }
  /// Moves bytes after poll(); false: the stream is gone.
  bool turn(short events) {
    if ((events & (POLLIN | POLLHUP)) != 0 && !ended_) {
      receive();
    }
    if ((events & POLLOUT) != 0) {
      short_write_ = false;
      handler_->on_writable(*this);
    }
    const bool gone = (events & POLLERR) != 0 || ((events & POLLHUP) != 0 && ended_);
    if (closed_ || gone) {
      handler_->on_closed(*this);
      return false;
    }
    return true;
  }

  std::size_t read(std::span<std::byte>) override { std::abort(); }  // the server reads in place
  std::span<const std::byte> peek() override { return std::span(input_).subspan(taken_); }
  void consume(std::size_t count) override { taken_ += count; }
  std::size_t write(std::span<const std::byte> data) override {
    const ssize_t sent = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
      send_ended_ = true;
    }
    const std::size_t count = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    short_write_ = count < data.size();
    return count;
  }
  void finish_sending() override { ::shutdown(fd_.get(), SHUT_WR); }
  [[nodiscard]] bool receive_ended() const override { return ended_ && taken_ == input_.size(); }
  [[nodiscard]] bool send_ended() const override { return send_ended_ || closed_; }
  void close() override { closed_ = true; }
  void reset() override { closed_ = true; }

 private:
  void receive() {
    input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
    std::byte buffer[1000];  // odd on purpose: frames come in pieces
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (got > 0) {
      input_.insert(input_.end(), buffer, buffer + got);
    } else if (got == 0 || errno != EAGAIN) {
      ended_ = true;
    }
    handler_->on_readable(*this);
  }

  UniqueFd fd_;
  guest::kernel::StreamHandler* handler_ = nullptr;
  std::vector<std::byte> input_;
  std::size_t taken_ = 0;
  bool ended_ = false;
  bool send_ended_ = false;
  bool closed_ = false;
  bool short_write_ = false;
};

constexpr vmm::control::Key kKey{1, 2, 3};

/// A guest in a thread. Its clock is the host's.
class Guest {
 public:
  Guest() {
    machine_.services.shell = &shell_;
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  /// The client's end of a new connection.
  UniqueFd connect() {
    auto pair = vmm::make_socket_pair();
    if (!pair || !vmm::set_nonblocking(pair->first) || !vmm::set_nonblocking(pair->second)) {
      std::abort();
    }
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(pair->second));
    return std::move(pair->first);
  }
  /// Stops the thread; after that the machine may be looked at.
  FakeMachine& stop() {
    thread_ = {};
    return machine_;
  }

 private:
  void run(const std::stop_token& stop) {
    const auto start = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
      accept();
      std::vector<pollfd> fds;
      for (const SocketStream& stream : streams_) {
        fds.push_back({.fd = stream.fd(), .events = stream.wanted(), .revents = 0});
      }
      ::poll(fds.data(), fds.size(), 1);
      std::size_t index = 0;
      for (auto stream = streams_.begin(); stream != streams_.end(); ++index) {
        stream = stream->turn(fds[index].revents) ? std::next(stream) : streams_.erase(stream);
      }
      const auto elapsed = std::chrono::steady_clock::now() - start;
      const auto now = static_cast<std::uint64_t>(std::chrono::nanoseconds(elapsed).count()) + 1'000'000'000;
      machine_.advance_ns(now - machine_.timer.now);
    }
    while (!streams_.empty()) {
      streams_.front().turn(POLLERR);
      streams_.pop_front();
    }
    machine_.advance_ns(1'000'000'000);
  }
  void accept() {
    const std::scoped_lock lock(mutex_);
    for (UniqueFd& fd : waiting_) {
      SocketStream& stream = streams_.emplace_back(std::move(fd));
      guest::kernel::StreamHandler* handler = server_.on_connect(stream, 1);
      if (handler == nullptr) {
        streams_.pop_back();
      } else {
        stream.attach(*handler);
      }
    }
    waiting_.clear();
  }

  FakeMachine machine_{kKey};
  guest::shell::Shell shell_{machine_.services, nullptr, nullptr};
  guest::control::Server server_{machine_.services, machine_.work};
  std::list<SocketStream> streams_;
  std::mutex mutex_;
  std::vector<UniqueFd> waiting_;
  std::jthread thread_;
};

Client::Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

vmm::control::ClientResult<Client> connect(Guest& guest, abi::control::Rights rights = abi::control::Rights::All) {
  return Client::over(guest.connect(), vmm::control::make_token(kKey, 1, rights, 0), soon());
}

TEST(ControlLoopback, hello_and_calls) {
  Guest guest;
  auto client = connect(guest);
  ASSERT_TRUE(client.has_value()) << client.error().message;
  EXPECT_EQ(client->hello()["rights"], 7);
  const auto pong = client->call("ping", {{"payload", "a b"}}, soon());
  ASSERT_TRUE(pong.has_value()) << pong.error().message;
  EXPECT_EQ((*pong)["payload"], "a b");
  const auto line = client->call("shell", {{"line", "echo 'x  y'; nonsense"}}, soon());
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(*line, (json{{"output", "x  y\nnonsense: no such command; 'help' lists them\n"}, {"status", 1}}));
}

TEST(ControlLoopback, refusals_keep_code_and_field) {
  Guest guest;
  auto client = connect(guest, abi::control::Rights::Observe);
  ASSERT_TRUE(client.has_value());
  const auto wrong = client->call("ping", {{"paylod", 1}}, soon());
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().kind, ClientError::Kind::Refused);
  EXPECT_EQ(wrong.error().code, "unknown-argument");
  EXPECT_EQ(wrong.error().field, "paylod");
  EXPECT_EQ(client->call("shutdown", json::object(), soon()).error().code, "forbidden");
  const auto stranger =
      Client::over(guest.connect(), vmm::control::make_token({}, 1, abi::control::Rights::All, 0), soon());
  ASSERT_FALSE(stranger.has_value());
  EXPECT_EQ(stranger.error().code, "token-invalid");
}

TEST(ControlLoopback, pipelined_calls_are_each_answered) {
  Guest guest;
  auto client = connect(guest);
  ASSERT_TRUE(client.has_value());
  std::vector<std::uint32_t> ids;
  for (int i = 0; i < 900; ++i) {
    const auto id = client->send("ping", {{"payload", std::string(static_cast<std::size_t>(i) * 20, 'p')}}, soon());
    ASSERT_TRUE(id.has_value()) << id.error().message;
    ids.push_back(*id);
  }
  for (std::size_t i = ids.size(); i-- > 0;) {
    const auto reply = client->receive(ids[i], soon());
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_EQ((*reply)["payload"].get<std::string>().size(), i * 20);
  }
}

TEST(ControlLoopback, many_clients_and_abandoned_ones_add_up) {
  Guest guest;
  std::atomic<unsigned> answered = 0;
  {
    std::vector<std::jthread> threads;
    for (unsigned number = 0; number < 24; ++number) {
      threads.emplace_back([&guest, &answered, number] {
        auto client = connect(guest);
        ASSERT_TRUE(client.has_value()) << client.error().message;
        for (int i = 0; i < 50; ++i) {
          const auto reply = client->call("ping", {{"payload", std::to_string(number)}}, soon());
          ASSERT_TRUE(reply.has_value()) << reply.error().message;
          ASSERT_EQ((*reply)["payload"], std::to_string(number));
          ++answered;
        }
        // Every other one leaves with requests in flight.
        if (number % 2 == 0) {
          ASSERT_TRUE(client->send("sleep", {{"ms", 60000}}, soon()).has_value());
          ASSERT_TRUE(client->send("ping", {{"payload", std::string(30000, 'x')}}, soon()).has_value());
        }
      });
    }
  }
  EXPECT_EQ(answered, 24U * 50U);
  const FakeMachine& machine = guest.stop();
  EXPECT_EQ(machine.counter("control_connections"), 24U);
  EXPECT_EQ(machine.counter("control_connections_open"), 0U);
  EXPECT_GE(machine.counter("control_replies_ok"), 24U * 51U);
  EXPECT_EQ(machine.counter("control_requests"), machine.counter("control_replies_ok") +
                                                     machine.counter("control_replies_error") +
                                                     machine.counter("control_unanswered"));
}

TEST(ControlLoopback, calls_in_flight_overtake_each_other) {
  Guest guest;
  auto client = connect(guest);
  ASSERT_TRUE(client.has_value());
  const auto slow = client->send("sleep", {{"ms", 100}}, soon());
  const auto quick = client->send("sleep", {{"ms", 1}}, soon());
  ASSERT_TRUE(slow.has_value() && quick.has_value());
  EXPECT_TRUE(client->receive(*quick, soon()).has_value());
  EXPECT_TRUE(client->receive(*slow, soon()).has_value());
  const auto never = client->send("sleep", {{"ms", 3'000'000}}, soon());
  ASSERT_TRUE(never.has_value());
  const auto timed_out = client->receive(*never, std::chrono::steady_clock::now() + std::chrono::milliseconds(10));
  ASSERT_FALSE(timed_out.has_value());
  EXPECT_EQ(timed_out.error().kind, ClientError::Kind::Timeout);
  EXPECT_TRUE(client->call("ping", json::object(), soon()).has_value());
}

}  // namespace
