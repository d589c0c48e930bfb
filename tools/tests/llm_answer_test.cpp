// Answers of models, as they are printed.
#include "tools/llm_answer.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "tools/follow.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

struct Printed {
  std::string out;
  std::string err;
  ExitCode code;
};

Printed print(const json& result, bool terminal = false, bool as_json = false) {
  Options options;
  options.json = as_json;
  std::ostringstream out;
  std::ostringstream err;
  const ExitCode code = print_answer({.options = options, .out = out, .err = err, .terminal = terminal}, result);
  return {out.str(), err.str(), code};
}

TEST(AsksModel, what_waits_for_an_answer) {
  EXPECT_TRUE(asks_model({.op = "llminfer", .args = {{"prompt", "x"}}}));
  EXPECT_TRUE(asks_model({.op = "llminfer", .args = {{"wait", true}}}));
  EXPECT_FALSE(asks_model({.op = "llminfer", .args = {{"wait", false}}}));
  EXPECT_FALSE(asks_model({.op = "llmpoll"}));
}

TEST(PrintAnswer, text_alone_is_the_output) {
  const json result = {
      {"text", "once\nupon\x1b"}, {"stop", "length"}, {"tokens", 3U}, {"milli_tokens_per_second", 12345U}};
  EXPECT_EQ(print(result).out, "once\nupon\\x1b\n");
  EXPECT_EQ(print(result).err, "");
  EXPECT_EQ(print(result, true).err, "(3 tokens, 12.3 tokens/s, length)\n");
  EXPECT_EQ(print(result, true, true).out, json_line(result));
  EXPECT_EQ(print(result, true, true).err, "");
  EXPECT_EQ(print({{"text", "a line\n"}, {"stop", "end"}}).out, "a line\n");
  EXPECT_EQ(print({{"stop", "end"}}).out, "\n");  // of a stream, whose text has come before
}

TEST(PrintAnswer, an_end_that_is_none_is_said) {
  EXPECT_EQ(print({{"text", "o"}, {"stop", "deadline"}}).err, "sisctl: the answer is not whole: deadline\n");
  EXPECT_EQ(print({{"text", "o"}, {"stop", "deadline"}}).code, ExitCode::Ok);
  const Printed failed = print({{"stop", "failed"}, {"error", "llm-no-token"}, {"message", "none is left"}});
  EXPECT_EQ(failed.err, "sisctl: the model failed: llm-no-token: none is left\n");
  EXPECT_EQ(failed.code, ExitCode::Refused);
  EXPECT_EQ(print({{"stop", 7}, {"text", json::array()}}).code, ExitCode::Ok);  // whatever the guest says
}

TEST(EventText, pieces_of_an_answer_go_on_from_each_other) {
  EXPECT_TRUE(sends_events({.op = "llmstream"}));
  EXPECT_EQ(event_text({{"id", 1}, {"from", 0}, {"text", " upon\x1b"}, {"tokens", {1, 2}}}), " upon\\x1b");
}

}  // namespace
}  // namespace sisctl
