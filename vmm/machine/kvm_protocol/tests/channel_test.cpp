#include "vmm/machine/kvm_protocol/channel.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "vmm/machine/kvm_protocol/message.hpp"

namespace vmm::kvm_protocol {
namespace {

using namespace std::chrono_literals;

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = EventLoop::create().value();
    auto [ours, theirs] = make_channel_pair().value();
    theirs_ = std::move(theirs);
    channel_ = std::make_unique<Channel>(
        *loop_, std::move(ours),
        Channel::Callbacks{.on_packet =
                               [this](std::string_view packet, std::vector<UniqueFd> descriptors) {
                                 packets_.emplace_back(packet);
                                 for (auto& descriptor : descriptors) descriptors_.push_back(std::move(descriptor));
                               },
                           .on_closed = [this] { ++closed_; }});
  }
  void turn() {
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(loop_->run_once(0ms));
  }
  void say(const std::string& packet) {
    ASSERT_EQ(::send(theirs_.get(), packet.data(), packet.size(), MSG_NOSIGNAL), static_cast<ssize_t>(packet.size()));
  }

  std::unique_ptr<EventLoop> loop_;
  UniqueFd theirs_;
  std::unique_ptr<Channel> channel_;
  std::vector<std::string> packets_;
  std::vector<UniqueFd> descriptors_;
  int closed_ = 0;
};

TEST_F(ChannelTest, packets_keep_their_bounds) {
  say("one");
  say(std::string(kMaxPacketBytes, 'x'));
  turn();
  ASSERT_EQ(packets_.size(), 2U);
  EXPECT_EQ(packets_[0], "one");
  EXPECT_EQ(packets_[1].size(), kMaxPacketBytes);
  EXPECT_EQ(closed_, 0);
}

TEST_F(ChannelTest, descriptors_arrive_and_are_closed_on_exec) {
  auto [ours, theirs] = make_channel_pair().value();
  Channel sender(*loop_, std::move(theirs_),
                 {.on_packet = [](std::string_view, std::vector<UniqueFd>) {}, .on_closed = {}});
  const UniqueFd file(::memfd_create("sent", MFD_CLOEXEC));
  const std::array<int, 2> sent = {file.get(), file.get()};
  ASSERT_TRUE(sender.send("two", Channel::WhenFull::Fail, sent));
  turn();
  ASSERT_EQ(descriptors_.size(), 2U);
  EXPECT_EQ(::write(descriptors_[1].get(), "x", 1), 1);
  EXPECT_EQ(::fcntl(descriptors_[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_END), 1);
}

TEST_F(ChannelTest, what_is_too_large_ends_it) {
  say(std::string(kMaxPacketBytes + 1, 'x'));
  turn();
  EXPECT_TRUE(packets_.empty());
  EXPECT_EQ(closed_, 1);
  EXPECT_FALSE(channel_->send("late", Channel::WhenFull::Fail));
}

TEST_F(ChannelTest, end_of_the_other_side_is_told_after_what_it_said) {
  say("last");
  theirs_.reset();
  turn();
  EXPECT_EQ(packets_, std::vector<std::string>{"last"});
  EXPECT_EQ(closed_, 1);
}

TEST_F(ChannelTest, sender_does_not_wait_for_who_does_not_read) {
  Result<> sent;
  int packets = 0;
  for (; sent && packets < 100'000; ++packets) sent = channel_->send("again", Channel::WhenFull::Fail);
  EXPECT_FALSE(sent);
  EXPECT_GT(packets, 1);
}

TEST_F(ChannelTest, rest_is_read_without_the_loop) {
  say("a");
  say("b");
  theirs_.reset();
  channel_->read_rest();
  EXPECT_EQ(packets_.size(), 2U);
  EXPECT_EQ(closed_, 1);
}

}  // namespace
}  // namespace vmm::kvm_protocol
