#include "vmm/base/socket_stream.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "vmm/base/unix_socket.hpp"

namespace vmm {
namespace {

using namespace std::chrono_literals;

class SocketStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = EventLoop::create().value();
    auto pair = make_socket_pair().value();
    other_ = std::move(pair.second);
    ASSERT_TRUE(set_nonblocking(other_));
    stream_ = SocketStream::create(*loop_, std::move(pair.first), 1000,
                                   {.on_bytes = [this](std::string_view bytes) { got_ += bytes; },
                                    .on_closed = [this] { ++closed_; },
                                    .on_drained = [this] { ++drained_; }})
                  .value();
  }

  void turn() { ASSERT_TRUE(loop_->run_once(0ms)); }

  /// Reads all that is there at the other end.
  std::size_t drain_other() {
    std::size_t total = 0;
    char chunk[4096];
    for (ssize_t got; (got = ::recv(other_.get(), chunk, sizeof chunk, 0)) > 0;) total += static_cast<std::size_t>(got);
    return total;
  }

  std::unique_ptr<EventLoop> loop_;
  UniqueFd other_;
  std::unique_ptr<SocketStream> stream_;
  std::string got_;
  int closed_ = 0;
  int drained_ = 0;
};

TEST_F(SocketStreamTest, bytes_come_in_and_close_is_told_once) {
  ASSERT_EQ(::send(other_.get(), "hello", 5, 0), 5);
  other_.reset();
  for (int i = 0; i < 4; ++i) turn();
  EXPECT_EQ(got_, "hello");
  EXPECT_EQ(closed_, 1);
}

TEST_F(SocketStreamTest, full_socket_bounds_the_buffer_and_tells_when_it_is_empty) {
  const std::string block(100000, 'x');
  std::size_t sent = 0;
  std::size_t taken = 1;
  while (taken != 0) sent += taken = stream_->send(block);
  EXPECT_EQ(stream_->pending(), 1000U);
  EXPECT_EQ(drained_, 0);
  std::size_t received = 0;
  for (int i = 0; i < 10 && drained_ == 0; ++i) {
    received += drain_other();
    turn();
  }
  EXPECT_EQ(drained_, 1);
  EXPECT_EQ(received + drain_other(), sent);
}

TEST_F(SocketStreamTest, more_than_the_buffer_is_taken_as_long_as_the_socket_takes_it) {
  // Regression: it took one buffer full, wrote it all, and then had nothing to be drained, so on_drained never came.
  EXPECT_EQ(stream_->send(std::string(5000, 'x')), 5000U);
  EXPECT_EQ(drain_other(), 5000U);
}

TEST_F(SocketStreamTest, paused_reading_leaves_bytes_until_it_goes_on) {
  stream_->set_reading(false);
  ASSERT_EQ(::send(other_.get(), "a", 1, 0), 1);
  turn();
  EXPECT_EQ(got_, "");
  stream_->set_reading(true);
  turn();
  EXPECT_EQ(got_, "a");
}

TEST_F(SocketStreamTest, callback_may_destroy_the_stream) {
  auto pair = make_socket_pair().value();
  std::unique_ptr<SocketStream> doomed;
  doomed =
      SocketStream::create(*loop_, std::move(pair.first), 10,
                           {.on_bytes = [&](std::string_view) { doomed.reset(); }, .on_closed = {}, .on_drained = {}})
          .value();
  ASSERT_EQ(::send(pair.second.get(), "a", 1, 0), 1);
  doomed->read_rest();
  EXPECT_EQ(doomed, nullptr);
}

TEST_F(SocketStreamTest, send_after_the_other_side_left_is_taken_and_told) {
  other_.reset();
  EXPECT_EQ(stream_->send("x"), 1U);
  turn();
  EXPECT_EQ(closed_, 1);
  EXPECT_EQ(stream_->send("y"), 1U);
}

}  // namespace
}  // namespace vmm
