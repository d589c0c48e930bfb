// Answers that may not be any text.
#include <gtest/gtest.h>

#include <limits>
#include <regex>
#include <set>

#include "guest/llm/service/testing/bench.hpp"

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::text_of;
using testing::tokens_of;

RequestOptions drawing(std::uint64_t seed, std::uint32_t max_tokens = 24) {
  return {.model = "tiny",
          .max_tokens = max_tokens,
          .sampler = {.rules = {.temperature_milli = 5000, .repetition_penalty_milli = 1100}, .seed = seed}};
}

struct Answer {
  std::string text;
  std::string stop;
  std::size_t tokens;
};

Answer ask(Bench& bench, const RequestOptions& options, std::string_view prompt = "one") {
  const RequestId id = bench.submit(options, prompt);
  const std::vector<Chunk> chunks = bench.read_all(id);
  const RequestStatus status = bench.poll(id);
  EXPECT_TRUE(bench->release({.owner = 1}, id));
  return {text_of(chunks), std::string(to_string(status.stop)), tokens_of(chunks).size()};
}

TEST(ServiceConstraint, answers_of_random_models_match) {
  in_thread([] {
    Bench bench({.stream_chunks = 64});
    for (std::uint32_t seed = 2; seed < 4; ++seed) {
      bench.load("tiny" + std::to_string(seed), testing::service_model(64, seed));
    }
    const char* const kPatterns[] = {"yes|no|maybe", "-?\\d{1,3}(\\.\\d{1,2})?", "[a-c]{2,9}x?", "( a| b)+\\.",
                                     "\xC3\xA4(\xC3\xB6|u){0,4}!"};
    std::set<std::string> texts;
    std::size_t whole = 0;
    for (std::uint64_t seed = 0; seed < 45; ++seed) {
      RequestOptions options = drawing(seed);
      const std::string model = seed % 3 == 0 ? "tiny" : "tiny" + std::to_string(seed % 3 + 1);
      options.model = model;
      options.pattern = kPatterns[seed % std::size(kPatterns)];
      const Answer answer = ask(bench, options);
      texts.insert(answer.text);
      if (answer.stop == "end") {
        ++whole;
        EXPECT_TRUE(std::regex_match(answer.text, std::regex(std::string(options.pattern))))
            << options.pattern << " against " << answer.text;
      } else {
        EXPECT_EQ(answer.stop, "length");
        EXPECT_EQ(answer.tokens, 24U);
      }
    }
    EXPECT_GT(whole, 35U);
    EXPECT_GT(texts.size(), 25U);
  });
}

TEST(ServiceConstraint, says_one_of_the_choices) {
  in_thread([] {
    Bench bench;
    const std::string_view choices[] = {"filter", "resize", "camera"};
    std::set<std::string> said;
    for (std::uint64_t seed = 0; seed < 24; ++seed) {
      RequestOptions options = drawing(seed, 8);
      options.choices = choices;
      const Answer answer = ask(bench, options, seed % 2 == 0 ? "one" : "");
      EXPECT_EQ(answer.stop, "end");  // without a step for the end
      said.insert(answer.text);
    }
    EXPECT_EQ(said, (std::set<std::string>(std::begin(choices), std::end(choices))));
  });
}

TEST(ServiceConstraint, greedy_takes_the_best_that_may_come) {
  in_thread([] {
    Bench bench;
    RequestOptions options{.model = "tiny", .max_tokens = 6, .pattern = "[a-z]{6}"};
    const Answer first = ask(bench, options);
    EXPECT_EQ(first.text.size(), 6U);
    EXPECT_EQ(ask(bench, options).text, first.text);
    // It says as well what it says of itself.
    options.pattern = {};
    const Answer free = ask(bench, options);
    const std::string_view choices[] = {"never", "6"};
    options.choices = choices;
    EXPECT_TRUE(ask(bench, options).text == "never" || ask(bench, options).text == "6");
    options.choices = {};
    EXPECT_EQ(ask(bench, options).text, free.text);
  });
}

TEST(ServiceConstraint, goes_on_in_a_session_behind_an_answer_without_an_end) {
  in_thread([] {
    Bench bench;
    RequestOptions options = drawing(1);
    options.pattern = "yes|no";
    options.keep = KeepSession::New;
    const RequestId id = bench.submit(options);
    const std::string text = text_of(bench.read_all(id));
    options.keep = KeepSession::No;
    options.session = bench.poll(id).session;
    const RequestId next = bench.submit(options, "two");
    const std::string second = text_of(bench.read_all(next));
    EXPECT_TRUE(text == "yes" || text == "no");
    EXPECT_TRUE(second == "yes" || second == "no");
    // <s>, a space and three bytes, and all tokens of the answer.
    EXPECT_EQ(bench.poll(next).session_tokens, 5U + bench.poll(id).tokens);
  });
}

TEST(ServiceConstraint, stop_words_end_it_before) {
  in_thread([] {
    Bench bench;
    RequestOptions options = drawing(1);
    options.pattern = "abcdef";
    EXPECT_TRUE(options.stop_words.push_back("cd"));
    const Answer answer = ask(bench, options);
    EXPECT_EQ(answer.text, "ab");
    EXPECT_EQ(answer.stop, "stop-word");
  });
}

TEST(ServiceConstraint, fails_where_no_token_that_may_come_has_a_number) {
  std::string file = testing::service_model(64, 5);
  const auto opened = gguf::File::open(std::as_bytes(std::span(file)));
  ASSERT_TRUE(opened);
  const gguf::Tensor& norm = *opened->find_tensor("output_norm.weight");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(file.data() + norm.offset, &nan, sizeof(nan));
  in_thread([&] {
    Bench bench;
    bench.load("none", file);
    RequestOptions options{.model = "none", .pattern = "yes|no"};
    const RequestId id = bench.submit(options);
    const RequestStatus status = bench.wait_for_end(id);
    EXPECT_EQ(to_string(status.stop), "failed");
    EXPECT_EQ(status.error.name, "llm-no-token");
    EXPECT_EQ(status.error.detail.view(), "no logit of a token that may come is a number above -infinity");
    EXPECT_EQ(status.tokens, 0U);
  });
}

TEST(ServiceConstraint, refuses_what_it_cannot_be_held_to) {
  in_thread([] {
    Bench bench;
    RequestOptions options{.model = "tiny", .pattern = "a("};
    EXPECT_EQ(bench.refusal(options).substr(0, 27), "llm-bad-pattern: at byte 2:");
    const std::string_view choices[] = {"a", ""};
    options.choices = choices;
    EXPECT_EQ(bench.refusal(options), "llm-bad-option: a pattern and 2 choices, expected one of them");
    options.pattern = {};
    EXPECT_EQ(bench.refusal(options), "llm-bad-choice: choice 1 has 0 bytes, expected 1 to 128");
    options.choices = {};
    options.pattern = "(a|b)*a(a|b){12}";
    EXPECT_EQ(bench.refusal(options).substr(0, 24), "llm-constraint-too-large");
    EXPECT_EQ(bench.journal.lines.back(), "refuse llm-constraint-too-large 2");
    EXPECT_TRUE(bench->unload({}, "tiny"));  // which none of these uses
  });
}

}  // namespace
}  // namespace guest::llm
