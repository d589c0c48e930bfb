#include "tools/batch_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sisctl {
namespace {

using nlohmann::json;
using LineWords = std::vector<std::string>;
using ::testing::HasSubstr;

LineWords split_line(const std::string& line) {
  const auto parsed = parse_batch_line(line);
  EXPECT_TRUE(parsed.has_value()) << line << ": " << parsed.error();
  return parsed && std::holds_alternative<LineWords>(*parsed) ? std::get<LineWords>(*parsed) : LineWords{"no words"};
}

std::string problem_of(const std::string& line) {
  const auto parsed = parse_batch_line(line);
  return parsed ? "none" : parsed.error();
}

TEST(BatchLine, words_are_quoted_as_in_the_guest_s_shell) {
  EXPECT_EQ(split_line("graph  create\tdemo"), (LineWords{"graph", "create", "demo"}));
  EXPECT_EQ(split_line(R"(echo a'b c'"d\n\"" \#x '')"), (LineWords{"echo", "ab cd\n\"", "#x", ""}));
  EXPECT_EQ(split_line("shell 'mem; irq'"), (LineWords{"shell", "mem; irq"}));
  EXPECT_EQ(split_line("echo gr\xc3\xbc\xc3\x9f"), (LineWords{"echo", "gr\xc3\xbc\xc3\x9f"}));
}

TEST(BatchLine, blank_lines_and_comments_are_nothing) {
  for (const std::string line : {"", "  \t", "# graph create x", "   # {"})
    EXPECT_EQ(split_line(line), LineWords{}) << line;
  EXPECT_EQ(split_line("mem # of the guest"), LineWords{"mem"});
  EXPECT_EQ(split_line("echo a#b"), (LineWords{"echo", "a#b"}));
}

TEST(BatchLine, what_is_no_line_of_words_says_where) {
  EXPECT_EQ(problem_of("mem; irq"), "byte 3: a line is one request; quote a ';' that is part of it");
  EXPECT_EQ(problem_of("echo 'x"), "byte 5: the quote ' is not closed");
  EXPECT_EQ(problem_of("echo \"x"), "byte 5: the quote \" is not closed");
  EXPECT_EQ(problem_of("echo \"x\\"), "byte 5: the quote \" is not closed");
  EXPECT_EQ(problem_of("echo \"\\x\""), "byte 6: unknown escape in \"...\", allowed: \\\\ \\\" \\n \\t \\r");
  EXPECT_EQ(problem_of("echo \\"), "byte 5: nothing follows the backslash");
  EXPECT_EQ(problem_of("echo \x1b[2J"), "byte 5: a control character");
  EXPECT_EQ(problem_of(std::string("mem\0", 4)), "byte 3: a control character");
  EXPECT_EQ(problem_of("echo \xff"), "not UTF-8");
  EXPECT_EQ(problem_of(std::string(kMaxBatchLine, 'x')), "none");
  EXPECT_EQ(problem_of(std::string(kMaxBatchLine + 1, 'x')), "longer than 65536 bytes");
}

TEST(BatchLine, requests_in_json) {
  const auto parsed = parse_batch_line(R"( {"op": "graph stats", "args": {"graph": "g"}})");
  ASSERT_TRUE(parsed.has_value()) << parsed.error();
  EXPECT_EQ(std::get<Request>(*parsed).op, "graph stats");
  EXPECT_EQ(std::get<Request>(*parsed).args, json({{"graph", "g"}}));
  EXPECT_EQ(std::get<Request>(*parse_batch_line(R"({"op": "mem"})")).args, json::object());
}

TEST(BatchLine, what_is_no_request_in_json_is_said) {
  EXPECT_EQ(problem_of("{op: mem}"), "not JSON");
  EXPECT_EQ(problem_of("{}"), "\"op\" is missing");
  EXPECT_EQ(problem_of(R"({"op": "mem", "op": "irq"})"), "key 'op' is given twice");
  EXPECT_EQ(problem_of(R"({"op": "mem", "arg": {}})"), "'arg': expected {\"op\": text, \"args\": object}");
  EXPECT_EQ(problem_of(R"({"op": 5})"), "'op': expected {\"op\": text, \"args\": object}");
  EXPECT_EQ(problem_of(R"({"op": "mem", "args": []})"), "'args': expected {\"op\": text, \"args\": object}");
  EXPECT_EQ(problem_of(R"({"op": "sleep", "args": {"ms": 1.5}})"),
            "args.ms is 1.5, allowed: integers of up to 64 bits");
  std::string deep = "1";
  for (int i = 0; i < 9; ++i) deep = "[" + deep + "]";
  EXPECT_EQ(problem_of(R"({"op": "x", "args": {"a": )" + deep + "}}"), "nested more than 8 deep");
}

}  // namespace
}  // namespace sisctl
