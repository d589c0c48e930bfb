// Requests whose text the worker reads, since whoever submits them must not be kept.
#include <gtest/gtest.h>

#include <set>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "guest/llm/constraint/automaton.hpp"
#include "guest/llm/service/testing/bench.hpp"

namespace guest::llm {
namespace {

using testing::Bench;
using testing::in_thread;
using testing::kMs;
using testing::text_of;
using testing::tokens_of;

/// Beyond what is read at once, and more than a model of 512 positions has room for.
const std::string kLong(kReadAtOnce + 100, 'x');

RequestOptions options(bool read_later, std::uint32_t max_tokens = 6) {
  return {.model = "wide", .max_tokens = max_tokens, .read_later = read_later};
}

void load_wide(Bench& bench) { bench.load("wide", testing::service_model(1024, 3)); }

TEST(ReadLater, long_prompt_is_the_workers_and_says_the_same) {
  in_thread([] {
    Bench bench;
    load_wide(bench);
    const std::vector<Token> at_once = tokens_of(bench.read_all(bench.submit(options(false), kLong)));
    const RequestId id = bench.submit(options(true), kLong);
    EXPECT_EQ(bench.poll(id).prompt_tokens, 0U);
    EXPECT_EQ(tokens_of(bench.read_all(id)), at_once);
    EXPECT_EQ(bench.poll(id).prompt_tokens, kLong.size() + 2);
    EXPECT_EQ(bench->statistics().prompt_tokens, 2 * (kLong.size() + 2));
  });
}

TEST(ReadLater, short_prompt_is_read_at_once) {
  in_thread([] {
    Bench bench;
    load_wide(bench);
    EXPECT_EQ(bench.poll(bench.submit(options(true), "one")).prompt_tokens, 5U);
    EXPECT_EQ(bench.poll(bench.submit(options(true), std::string(kReadAtOnce, 'x'))).prompt_tokens, kReadAtOnce + 2);
  });
}

TEST(ReadLater, what_does_not_fit_ends_as_refused_and_leaves_nothing) {
  in_thread([] {
    Bench bench;
    RequestOptions tiny = options(true);
    tiny.model = "tiny";
    const RequestId id = bench.submit(tiny, kLong);
    const RequestStatus status = bench.wait_for_end(id);
    EXPECT_EQ(to_string(status.stop), "refused");
    EXPECT_EQ(status.error.name, "llm-prompt-too-long");
    EXPECT_EQ(status.error.detail.view(), "614 tokens, but there is room for 128 of 128");
    EXPECT_EQ(bench.journal.lines.back(), "end llm-prompt-too-long 2");
    EXPECT_EQ(bench->statistics().rejects, 1U);
    EXPECT_EQ(bench->statistics().failed, 0U);
    EXPECT_TRUE(bench->release({.owner = 1}, id));
    EXPECT_TRUE(bench->unload({}, "tiny"));
  });
}

TEST(ReadLater, patterns_and_choices_are_held_to_or_refused) {
  in_thread([] {
    Bench bench;
    load_wide(bench);
    RequestOptions pattern = options(true);
    pattern.pattern = "(ab|c){2}";
    const std::string matched = text_of(bench.read_all(bench.submit(pattern)));
    EXPECT_TRUE((std::set<std::string>{"abab", "abc", "cab", "cc"}).contains(matched)) << matched;
    RequestOptions choices = options(true, 10);
    const std::string_view two[] = {"left", "right"};
    choices.choices = two;
    const std::string chosen = text_of(bench.read_all(bench.submit(choices)));
    EXPECT_TRUE(chosen == "left" || chosen == "right") << chosen;
    pattern.pattern = "a(";
    EXPECT_EQ(bench.wait_for_end(bench.submit(pattern)).error.name, "llm-bad-pattern");
    // Nobody keeps so many until later.
    const std::vector<std::string_view> many(Automaton::kMaxChoices + 1, "a");
    choices.choices = many;
    EXPECT_EQ(bench.refusal(choices), "llm-bad-choice: 65 choices, expected 1 to 64");
  });
}

TEST(ReadLater, goes_on_in_a_session_as_what_is_read_at_once) {
  in_thread([] {
    Bench bench;
    load_wide(bench);
    std::vector<Token> said[2];
    for (const bool later : {false, true}) {
      RequestOptions first = options(later);
      first.keep = KeepSession::New;
      RequestOptions second = options(later);
      const RequestId begun = bench.submit(first, "one");
      bench.read_all(begun);
      second.session = bench.poll(begun).session;
      said[later ? 1 : 0] = tokens_of(bench.read_all(bench.submit(second, kLong)));
      // What no longer fits leaves the session as it was.
      RequestOptions too_much = options(true);
      too_much.session = second.session;
      const RequestStatus refused = bench.wait_for_end(bench.submit(too_much, kLong));
      EXPECT_EQ(refused.error.name, "llm-prompt-too-long");
      EXPECT_EQ(refused.session_tokens, 5 + 6 + kLong.size() + 6);
      EXPECT_TRUE(bench->close_session(1, second.session));
    }
    EXPECT_EQ(said[0].size(), 6U);
    EXPECT_EQ(said[0], said[1]);
  });
}

TEST(ReadLater, is_cancelled_before_anybody_has_read_it) {
  in_thread([] {
    Bench bench({.in_flight = 1});
    load_wide(bench);
    const RequestId running = bench.submit(options(false, 20));
    const RequestId waiting = bench.submit(options(true), kLong);
    EXPECT_TRUE(bench->cancel({.owner = 1}, waiting));
    EXPECT_EQ(to_string(bench.poll(waiting).stop), "cancelled");
    EXPECT_EQ(bench.poll(waiting).prompt_tokens, 0U);
    EXPECT_EQ(tokens_of(bench.read_all(running)).size(), 20U);
  });
}

TEST(ReadLater, without_memory_refuses_then_or_later) {
  in_thread([] {
    Bench bench;
    bench.journal.keeps = false;
    RequestOptions held{.model = "tiny", .max_tokens = 4, .read_later = true};
    held.pattern = "ab";
    std::set<std::string> said;
    std::string outcome;
    kernel::fail_each_allocation(
        [&] {
          const auto id = bench->submit({.owner = 1}, "one", held);
          if (!id) {
            outcome = "at once: " + std::string(id.error().error.name);
            return;
          }
          const RequestStatus status = bench.wait_for_end(*id);
          outcome = std::string(to_string(status.stop)) + ": " + std::string(status.error.name);
          EXPECT_TRUE(bench->release({.owner = 1}, *id));
        },
        [&] { said.insert(outcome); });
    EXPECT_EQ(outcome, "end: ");
    EXPECT_EQ(said, (std::set<std::string>{"at once: llm-no-memory", "failed: llm-no-memory", "failed: ml-no-memory",
                                           "refused: llm-no-memory", "refused: tokenizer-no-memory"}));
    threads::sleep_for(kMs);
    EXPECT_TRUE(bench->unload({}, "tiny"));
  });
}

}  // namespace
}  // namespace guest::llm
