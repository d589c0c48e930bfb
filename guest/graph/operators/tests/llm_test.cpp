// llm.generate, with a service and a small model on the CPU of a test.
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "guest/graph/operators/services.hpp"
#include "guest/llm/service/testing/bench.hpp"
#include "kind_fixture.hpp"

namespace guest::graph {
namespace {

using llm::testing::Bench;
using llm::testing::in_thread;
using llm::testing::kMs;
using llm::testing::kStepNs;

constexpr std::uint32_t kClass = 1;

llm::ServiceOptions with_class(std::uint64_t tokens_per_period = 0) {
  llm::ServiceOptions options{.period_ns = 20 * kMs};
  for (const std::uint64_t tokens : {std::uint64_t{0}, tokens_per_period}) {
    EXPECT_TRUE(options.classes.push_back({.tokens_per_period = tokens}));
  }
  return options;
}

/// A service that operators know, while it lives.
struct Known {
  explicit Known(const llm::ServiceOptions& options = with_class()) : bench(options) {
    set_operator_services({.llm = &*bench.operator->(), .llm_class = kClass});
  }
  ~Known() { set_operator_services({}); }
  Known(const Known&) = delete;
  Known& operator=(const Known&) = delete;
  Bench bench;
};

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

/// What an operator says to one text, until its end.
struct Said {
  std::vector<std::uint32_t> tokens;
  std::string text;
  std::size_t parts = 0;
  bool ended = false;
  std::string outcome = "ok";
};

Said listen(KindFixture& with) {
  Said said;
  while (!said.ended && said.outcome == "ok" && with.op->obstacle().channel == nullptr) {
    said.outcome = with.fire();
    if (const TensorRef tokens = with.take(0)) {
      EXPECT_EQ(tokens.info().schema, kSchemaTokens);
      const auto values = KindFixture::values<std::uint32_t>(tokens);
      said.tokens.insert(said.tokens.end(), values.begin(), values.end());
      said.ended = values.empty();
      ++said.parts;
    }
    if (with.op->outputs().size() > 1) {
      if (const TensorRef text = with.take(1)) {
        EXPECT_EQ(text.info().schema, kSchemaText);
        const auto values = KindFixture::values<char>(text);
        said.text.append(values.begin(), values.end());
        EXPECT_EQ(values.empty(), said.ended);
      }
    }
  }
  return said;
}

TEST(LlmGenerate, says_what_the_service_says_in_parts) {
  in_thread([] {
    Known known;
    const llm::RequestId id = known.bench.submit({.model = "tiny", .max_tokens = 40}, "one");
    const std::vector<llm::Chunk> chunks = known.bench.read_all(id);
    KindFixture with("llm.generate", {{"model", "tiny"}, {"max_tokens", "40"}}, 1, 2);
    ASSERT_EQ(with.refusal, "");
    for (int i = 0; i < 2; ++i) {
      with.put(0, with.bytes({3}, bytes_of("one")));
      const Said said = listen(with);
      EXPECT_EQ(said.outcome, "ok");
      EXPECT_TRUE(said.ended);
      EXPECT_EQ(said.tokens, llm::testing::tokens_of(chunks));
      EXPECT_EQ(said.text, llm::testing::text_of(chunks));
      EXPECT_GT(said.parts, 3U);
    }
    EXPECT_EQ(known.bench.journal.last.caller.client_class, kClass);
    EXPECT_EQ(known.bench->statistics().kept, 1U);  // the first one
    EXPECT_EQ(with.graph->arena().statistics().live, 0U);
  });
}

TEST(LlmGenerate, needs_no_second_output) {
  in_thread([] {
    Known known;
    KindFixture with("llm.generate", {{"model", "tiny"}, {"max_tokens", "5"}}, 1, 1);
    with.put(0, with.bytes({3}, bytes_of("one")));
    EXPECT_EQ(listen(with).tokens.size(), 5U);
  });
}

TEST(LlmGenerate, holds_answers_to_its_parameters) {
  in_thread([] {
    Known known;
    KindFixture with("llm.generate",
                     {{"model", "tiny"},
                      {"pattern", "[a-d]{4,9}!"},
                      {"temperature_milli", "9000"},
                      {"seed", "3"},
                      {"priority", "5"}},
                     1, 2);
    std::vector<std::string> texts;
    for (int i = 0; i < 3; ++i) {
      with.put(0, with.bytes({3}, bytes_of("one")));
      texts.push_back(listen(with).text);
      EXPECT_TRUE(std::regex_match(texts.back(), std::regex("[a-d]{4,9}!"))) << texts.back();
    }
    EXPECT_FALSE(texts[0] == texts[1] && texts[1] == texts[2]);  // each answer has the next seed
    with.op->begin(0);
    with.put(0, with.bytes({3}, bytes_of("one")));
    EXPECT_EQ(listen(with).text, texts[0]);  // and each run the same ones
    KindFixture stops("llm.generate", {{"model", "tiny"}, {"pattern", "abcdef"}, {"stop", "cd"}}, 1, 2);
    stops.put(0, stops.bytes({3}, bytes_of("one")));
    EXPECT_EQ(listen(stops).text, "ab");
  });
}

TEST(LlmGenerate, waits_for_a_budget_or_fails) {
  in_thread([] {
    Known known(with_class(10));
    const Values values = {{"model", "tiny"}, {"max_tokens", "6"}};
    KindFixture waits("llm.generate", values, 1, 1);
    const std::uint64_t before = threads::dispatcher().timers().clock().now_ns();
    for (int i = 0; i < 3; ++i) {
      waits.put(0, waits.bytes({3}, bytes_of("one")));
      EXPECT_EQ(listen(waits).tokens.size(), 6U);
    }
    EXPECT_GE(threads::dispatcher().timers().clock().now_ns() - before,
              20 * kMs);  // 18 tokens are more than those of a period
    KindFixture fails("llm.generate", {values[0], values[1], {"refused", "fail"}}, 1, 1);
    fails.put(0, fails.bytes({3}, bytes_of("one")));
    EXPECT_TRUE(listen(fails).outcome.starts_with("llm-over-budget: 6 tokens, ")) << known.bench.journal.lines.back();
    KindFixture never("llm.generate", {values[0], {"max_tokens", "11"}}, 1, 1);
    never.put(0, never.bytes({3}, bytes_of("one")));
    EXPECT_EQ(listen(never).outcome, "llm-never-fits: 11 tokens, but a period has 10");
  });
}

TEST(LlmGenerate, fails_with_what_is_wrong) {
  in_thread([] {
    Known known;
    KindFixture with("llm.generate", {{"model", "other"}}, 1, 1);
    with.put(0, with.bytes({3}, bytes_of("one")));
    EXPECT_EQ(with.fire(), "llm-no-model: no model \"other\" is loaded");
    with.put(0, with.tensor<std::int16_t>(DType::I16, {1}, {1}));
    EXPECT_EQ(with.fire(), "graph-bad-input: input 0: expected text in u8, given i16 [1]");
    KindFixture bad("llm.generate", {{"model", "tiny"}, {"pattern", "a("}}, 1, 1);
    bad.put(0, bad.bytes({3}, bytes_of("one")));
    EXPECT_TRUE(bad.fire().starts_with("llm-bad-pattern: at byte 2: "));
    set_operator_services({});
    EXPECT_EQ(KindFixture("llm.generate", {{"model", "tiny"}}, 1, 1).refusal,
              "graph-unavailable: operator 'it' (llm.generate): this kernel has no service for language models");
  });
}

TEST(LlmGenerate, stops_where_it_waits_and_leaves_no_request) {
  in_thread([] {
    Known known;
    KindFixture with("llm.generate", {{"model", "tiny"}, {"max_tokens", "100"}}, 1, 1);
    for (const std::uint64_t after_ns : {std::uint64_t{0}, kStepNs / 2, 5 * kStepNs}) {
      with.op->begin(0);
      with.put(0, with.bytes({3}, bytes_of("one")));
      const threads::ThreadRef other = threads::start("stop", [&] {
        threads::sleep_for(after_ns);
        with.op->code().stop();
      });
      const Said said = listen(with);
      other->join();
      EXPECT_EQ(said.outcome, "ok");
      EXPECT_FALSE(said.ended);
      EXPECT_LT(said.tokens.size(), 100U);
      threads::sleep_for(kMs);
      const llm::StatisticsSnapshot now = known.bench->statistics();
      EXPECT_EQ(now.running + now.queue_depth + now.kept, 0U);
      while (with.take()) {
      }
    }
  });
}

TEST(LlmGenerate, stops_where_it_waits_for_a_budget) {
  in_thread([] {
    Known known(with_class(10));
    KindFixture with("llm.generate", {{"model", "tiny"}, {"max_tokens", "10"}}, 1, 1);
    with.put(0, with.bytes({3}, bytes_of("one")));
    EXPECT_EQ(listen(with).tokens.size(), 10U);
    with.put(0, with.bytes({3}, bytes_of("one")));
    const threads::ThreadRef other = threads::start("stop", [&] {
      threads::sleep_for(kMs);
      with.op->code().stop();
    });
    const std::uint64_t before = threads::dispatcher().timers().clock().now_ns();
    EXPECT_EQ(with.fire(), "ok");
    EXPECT_LT(threads::dispatcher().timers().clock().now_ns() - before, 12 * kMs);
    other->join();
    EXPECT_FALSE(with.take());
  });
}

TEST(LlmGenerate, a_reader_that_is_slow_keeps_others_going) {
  in_thread([] {
    llm::ServiceOptions options = with_class();
    options.stream_chunks = 32;
    options.in_flight = 1;
    Known known(options);
    KindFixture with("llm.generate", {{"model", "tiny"}, {"max_tokens", "60"}}, 1, 1, 1);
    with.put(0, with.bytes({3}, bytes_of("one")));
    EXPECT_EQ(with.fire(), "ok");
    EXPECT_TRUE(with.op->obstacle().is_full);  // nobody takes the first part
    threads::sleep_for(20 * kMs);
    const llm::RequestId other = known.bench.submit({.model = "tiny", .max_tokens = 4});
    EXPECT_EQ(known.bench.read_all(other).size(), 4U);
    std::vector<std::uint32_t> tokens = KindFixture::values<std::uint32_t>(with.take());
    const Said rest = listen(with);
    EXPECT_TRUE(rest.ended);
    EXPECT_EQ(tokens.size() + rest.tokens.size(), 60U);
  });
}

}  // namespace
}  // namespace guest::graph
