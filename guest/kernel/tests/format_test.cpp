#include "guest/kernel/format.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "guest/kernel/named_error.hpp"
#include "guest/kernel/status.hpp"

namespace guest::kernel {
namespace {

template <typename... Args>
std::string formatted(format_detail::Checked<Args...> format, const Args&... args) {
  FixedText<256> text;
  format_to<Args...>(text, format, args...);
  EXPECT_FALSE(text.truncated());
  return std::string(text.view());
}

std::string escape(std::string_view text) {
  FixedText<64> out;
  write_escaped(out, text);
  return std::string(out.view());
}

TEST(Format, text_without_fields_is_copied) { EXPECT_EQ(formatted("plain"), "plain"); }

TEST(Format, doubled_braces_are_braces) { EXPECT_EQ(formatted("{{{}}}", 1), "{1}"); }

TEST(Format, integers_keep_their_whole_range) {
  EXPECT_EQ(formatted("{} {}", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::uint64_t>::max()),
            "-9223372036854775808 18446744073709551615");
  EXPECT_EQ(formatted("{} {}", std::uint8_t{255}, std::int8_t{-128}), "255 -128");
}

TEST(Format, hexadecimal_with_prefix_and_zero_padding) {
  EXPECT_EQ(formatted("{:x} {:#x} {:#018x}", 255, 255, 0xdeadbeefULL), "ff 0xff 0x00000000deadbeef");
  EXPECT_EQ(formatted("{:#x}", -16), "-0x10");
}

TEST(Format, width_pads_numbers_left_and_text_right_by_default) {
  EXPECT_EQ(formatted("[{:5}][{:5}]", 42, "ab"), "[   42][ab   ]");
  EXPECT_EQ(formatted("[{:<5}][{:>5}]", 42, "ab"), "[42   ][   ab]");
}

TEST(Format, sign_comes_before_zero_padding) { EXPECT_EQ(formatted("{:05}", -42), "-0042"); }

TEST(Format, width_smaller_than_the_value_cuts_nothing) { EXPECT_EQ(formatted("{:2}", 12345), "12345"); }

TEST(Format, other_types) {
  EXPECT_EQ(formatted("{} {} {} {}", true, 'x', std::string_view("view"), Status::NoMemory), "true x view no-memory");
  EXPECT_EQ(formatted("{}", reinterpret_cast<const void*>(0x1234)), "0x1234");
}

TEST(Format, escaped_text_shows_controls_and_high_bytes) {
  EXPECT_EQ(escape("a\x1e"
                   "b\n\t\\\xff\x7f"),
            "a\\x1eb\\n\\t\\\\\\xff\\x7f");
  EXPECT_EQ(escape(""), "");
  EXPECT_EQ(formatted("<{}>", escaped("\x1b[2J")), "<\\x1b[2J>");
}

TEST(Format, spec_parser_refuses_what_does_not_suit_the_type) {
  using format_detail::Kind;
  format_detail::Spec spec;
  EXPECT_TRUE(format_detail::parse_spec(":#010x", Kind::Unsigned, spec));
  EXPECT_FALSE(format_detail::parse_spec(":x", Kind::Text, spec));
  EXPECT_FALSE(format_detail::parse_spec(":65", Kind::Text, spec));
  EXPECT_FALSE(format_detail::parse_spec(":5", Kind::EscapedText, spec));
  EXPECT_FALSE(format_detail::parse_spec(":xx", Kind::Unsigned, spec));
  EXPECT_FALSE(format_detail::parse_spec("5", Kind::Unsigned, spec));
}

TEST(FixedText, text_that_fits_exactly_is_whole) {
  FixedText<4> text;
  text.write("abcd");
  EXPECT_EQ(text.view(), "abcd");
  EXPECT_FALSE(text.truncated());
}

TEST(FixedText, one_byte_too_many_is_reported_and_marked) {
  FixedText<8> text;
  text.write("abcd");
  text.write("efghi");
  EXPECT_TRUE(text.truncated());
  EXPECT_EQ(text.view(), "abcde...");
  text.write("more");
  EXPECT_EQ(text.view(), "abcde...");
}

TEST(FixedText, copy_has_its_own_storage) {
  FixedText<8> first;
  first.write("one");
  FixedText<8> second(first);
  first.clear();
  first.write("two");
  EXPECT_EQ(second.view(), "one");
  second = first;
  EXPECT_EQ(second.view(), "two");
}

TEST(NamedError, fail_carries_name_and_detail) {
  const Outcome outcome = fail("tree-bad-magic", "found {:#x}", 0x12U);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().name, "tree-bad-magic");
  EXPECT_EQ(outcome.error().detail.view(), "found 0x12");
}

class StringOutput final : public TextOutput {
 public:
  void write(std::string_view text) override { content += text; }
  std::string content;
};

TEST(LogLine, formatted_line_is_written_when_its_level_is_shown) {
  static StringOutput output;
  log().set_output(output);
  output.content.clear();
  log_info("hidden {}", 1);
  log_error("shown {}", 2);
  EXPECT_EQ(output.content, "shown 2\n");
}

TEST(PanicAt, reason_is_formatted) { EXPECT_DEATH(panic_at(here(), "page {:#x}", 0x40U), "kernel panic: page 0x40"); }

}  // namespace
}  // namespace guest::kernel
