// `sisctl llm ...` in words.
#include "tools/llm_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace sisctl {
namespace {

using Words = std::vector<std::string>;

/// The guest's words, or what is wrong.
Words read(const Words& words) {
  Options options;
  if (const auto done = read_llm_words(words, options, std::chrono::minutes(10)); !done) return {done.error()};
  const auto* const command = std::get_if<GuestCommand>(&options.command);
  if (command == nullptr) return {"not the guest's"};
  EXPECT_EQ(command->stdin_argument, "prompt");
  Words all = command->words;
  if (options.json) all.emplace_back("(json)");
  return all;
}

TEST(LlmWords, actions_are_commands_of_the_guest) {
  EXPECT_EQ(read({"infer", "why"}), (Words{"llminfer", "why"}));
  EXPECT_EQ(read({"infer", "--stream", "--model", "m", "why"}), (Words{"llmstream", "--model", "m", "why"}));
  EXPECT_EQ(read({"stream", "why"}), (Words{"llmstream", "why"}));
  EXPECT_EQ(read({"load", "tiny"}), (Words{"llmctl", "load", "tiny"}));
  EXPECT_EQ(read({"status"}), (Words{"llmctl", "status"}));
  EXPECT_EQ(read({"verify", "tiny"}), (Words{"llmverify", "tiny"}));
  for (const char* const action : {"audit", "budget", "list", "unload"}) {
    EXPECT_EQ(read({action}), (Words{"llmctl", action}));
  }
  for (const char* const action : {"cancel", "graph", "hash", "json", "poll", "release", "stats", "summary"}) {
    EXPECT_EQ(read({action}), Words{std::string("llm") + action});
  }
}

TEST(LlmWords, json_is_sisctls_wherever_it_is_but_behind_two_dashes) {
  EXPECT_EQ(read({"infer", "why", "--json"}), (Words{"llminfer", "why", "(json)"}));
  EXPECT_EQ(read({"status", "--json"}), (Words{"llmctl", "status", "(json)"}));
  EXPECT_EQ(read({"infer", "--", "--json", "--stream"}), (Words{"llminfer", "--", "--json", "--stream"}));
  // --stream is one of infer only.
  EXPECT_EQ(read({"stream", "--stream"}), (Words{"llmstream", "--stream"}));
}

TEST(LlmWords, what_a_model_takes_part_in_may_take_long) {
  const auto timeout = [](const Words& words) {
    Options options;
    EXPECT_TRUE(read_llm_words(words, options, std::chrono::minutes(10)));
    return options.timeout;
  };
  for (const char* const action : {"graph", "hash", "infer", "load", "stream", "verify"}) {
    EXPECT_EQ(timeout({action}), std::chrono::minutes(10)) << action;
  }
  EXPECT_EQ(timeout({"status"}), std::chrono::seconds(10));
  EXPECT_EQ(timeout({"load-pkg", "a"}), std::chrono::seconds(10));
}

TEST(LlmWords, what_is_no_action_is_said_with_those_that_are) {
  const std::string allowed = ", allowed: " + llm_actions();
  EXPECT_EQ(read({}), Words{"llm: an action is missing" + allowed});
  EXPECT_EQ(read({"infer\x1b"}), Words{"llm: unknown action 'infer\\x1b'" + allowed});
  EXPECT_THAT(allowed, testing::HasSubstr("audit budget cancel graph hash infer json list load load-pkg poll release"));
}

TEST(LlmWords, package_has_a_file_and_may_have_more) {
  const auto package = [](const Words& words) {
    Options options;
    const auto done = read_llm_words(words, options, std::chrono::minutes(10));
    if (!done) return done.error();
    const auto& command = std::get<LoadPackage>(options.command);
    return command.file + "|" + command.manifest + "|" + command.id + (options.json ? "|json" : "");
  };
  EXPECT_EQ(package({"load-pkg", "a.gguf"}), "a.gguf||");
  EXPECT_EQ(package({"load-pkg", "--manifest", "b.sig", "a.gguf", "--id=x", "--json"}), "a.gguf|b.sig|x|json");
  EXPECT_EQ(package({"load-pkg", "--", "--json"}), "--json||");
  EXPECT_EQ(package({"load-pkg"}), "llm load-pkg: FILE is required");
  EXPECT_EQ(package({"load-pkg", ""}), "llm load-pkg: FILE: must not be empty");
  EXPECT_EQ(package({"load-pkg", "a", "--id", ""}), "llm load-pkg: --id: must not be empty");
  EXPECT_THAT(package({"load-pkg", "a", "b"}), testing::HasSubstr("llm load-pkg: "));
  EXPECT_THAT(package({"load-pkg", "a", "--what"}), testing::HasSubstr("--what"));
}

}  // namespace
}  // namespace sisctl
