#include "../src/utf8_stream.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "command_fixture.hpp"

namespace guest::control {
namespace {

std::string joined(const std::vector<std::string_view>& pieces) {
  testing::TextCapture capture;
  Utf8Stream stream;
  for (const std::string_view piece : pieces) {
    stream.add(piece, capture);
  }
  stream.finish(capture);
  return capture.text;
}

TEST(Utf8Stream, characters_may_be_spread_over_pieces) {
  EXPECT_EQ(joined({"a\xC3", "\xA4", "b"}),
            "a\xC3\xA4"
            "b");
  EXPECT_EQ(joined({"\xF0", "\x9F", "\x98", "\x80"}), "\xF0\x9F\x98\x80");
}

TEST(Utf8Stream, each_byte_that_is_none_is_replaced) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(joined({"\xFF"}), bad);
  EXPECT_EQ(joined({"\xC3", "x"}), bad + "x");
  EXPECT_EQ(joined({"\xE0\x80\x80"}), bad + bad + bad);            // overlong
  EXPECT_EQ(joined({"\xED\xA0\x80"}), bad + bad + bad);            // a surrogate
  EXPECT_EQ(joined({"\xF4\x90\x80\x80"}), bad + bad + bad + bad);  // beyond U+10FFFF
  EXPECT_EQ(joined({"\xE2\x82", "\xC3\xA4"}), bad + bad + "\xC3\xA4");
  EXPECT_EQ(joined({"\xF0\x9F\x98"}), bad + bad + bad);
}

TEST(Utf8Stream, says_whether_a_character_waits) {
  testing::TextCapture capture;
  Utf8Stream stream;
  stream.add("\xE2\x82", capture);
  EXPECT_FALSE(stream.whole());
  EXPECT_EQ(capture.text, "");
  stream.add("\xAC", capture);
  EXPECT_TRUE(stream.whole());
  EXPECT_EQ(capture.text, "\xE2\x82\xAC");
}

}  // namespace
}  // namespace guest::control
