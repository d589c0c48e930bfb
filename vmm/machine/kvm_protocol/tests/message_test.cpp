#include "vmm/machine/kvm_protocol/message.hpp"

#include <gtest/gtest.h>

namespace vmm::kvm_protocol {
namespace {

using abi::ExitCode;

TEST(Message, orders_are_one_byte) {
  EXPECT_EQ(decode_order(encode(Order::Stop)), Order::Stop);
  EXPECT_EQ(decode_order(encode(Order::Snapshot)), Order::Snapshot);
  for (const std::string& packet : {std::string(), std::string("\0", 1), std::string("\3"), std::string("\1\1")}) {
    EXPECT_FALSE(decode_order(packet));
  }
}

TEST(Message, news_come_back) {
  for (const News news : {News::GuestReset, News::GuestShutdown, News::GuestPanicked}) {
    const auto message = decode_news(encode(Message{.news = news, .how = {}, .text = {}}));
    ASSERT_TRUE(message);
    EXPECT_EQ(message->news, news);
    EXPECT_TRUE(message->how);
  }
  EXPECT_EQ(decode_news(encode(Message{.news = News::Warning, .how = {}, .text = "so and so"}))->text, "so and so");
  const auto ended =
      decode_news(encode(Message{.news = News::Ended, .how = fail("no KVM", ExitCode::HostLacks), .text = {}}));
  ASSERT_TRUE(ended);
  ASSERT_FALSE(ended->how);
  EXPECT_EQ(ended->how.error().message, "no KVM");
  EXPECT_EQ(ended->how.error().exit_code, ExitCode::HostLacks);
}

TEST(Message, text_that_is_too_long_says_so) {
  const auto packet = encode(Message{.news = News::Warning, .how = {}, .text = std::string(2 * kMaxPacketBytes, 'x')});
  EXPECT_EQ(packet.size(), kMaxPacketBytes);
  EXPECT_TRUE(packet.ends_with("xxx..."));
}

TEST(Message, text_cannot_control_a_terminal) {
  EXPECT_EQ(decode_news(std::string("\4\0a\x1b[2Jb\nc\0d\x7f\xc3\xa9", 15))->text, "a?[2Jb?c?d?\xc3\xa9");
}

TEST(Message, what_is_none_is_refused) {
  for (const std::string& packet :
       {std::string(), std::string("\4"), std::string("\0\0", 2), std::string("\7\0", 2), std::string("\6\10x"),
        std::string("\6\xff"), std::string("\4\7no outcome"), "\4" + std::string(kMaxPacketBytes, '\0')}) {
    EXPECT_FALSE(decode_news(packet)) << packet.size();
  }
}

}  // namespace
}  // namespace vmm::kvm_protocol
