#include "vmm/terminal/escape.hpp"

#include <gtest/gtest.h>

namespace vmm {
namespace {

TEST(Escape, plain_text_and_control_bytes_pass) {
  EscapeFilter filter;
  const auto typed = filter.feed("ls\r\x03\x1b[A");
  EXPECT_EQ(typed.bytes, "ls\r\x03\x1b[A");
  EXPECT_FALSE(typed.leave);
}

TEST(Escape, ctrl_bracket_leaves_at_once) {
  EscapeFilter filter;
  const auto typed = filter.feed(
      "ab\x1d"
      "cd");
  EXPECT_EQ(typed.bytes, "ab");
  EXPECT_TRUE(typed.leave);
}

TEST(Escape, ctrl_a_works_across_reads) {
  EscapeFilter filter;
  EXPECT_EQ(filter.feed("\x01").bytes, "");
  EXPECT_TRUE(filter.feed("x").leave);
  EXPECT_EQ(filter.feed("\x01\x01").bytes, "\x01");
  EXPECT_EQ(filter
                .feed("\x01"
                      "b")
                .bytes,
            "\x01"
            "b");
}

}  // namespace
}  // namespace vmm
