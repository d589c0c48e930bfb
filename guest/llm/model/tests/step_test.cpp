// Steps of small models: their logits, and what ends them.
#include "guest/llm/model/step.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "guest/kernel/failing_memory/failing_memory.hpp"
#include "reference.hpp"
#include "runner.hpp"

namespace guest::llm {
namespace {

using testing::file_of;
using testing::in_thread;
using testing::Reference;
using testing::Runner;
using testing::SmallModel;
using Tokens = std::vector<std::uint32_t>;

const Tokens kTokens = {3, 17, 39, 0, 17, 5, 22, 8, 1};

/// Each is below `tolerance` off, and the largest one is the largest.
void expect_near(const std::vector<float>& logits, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    EXPECT_NEAR(logits[i], expected[i], tolerance) << i;
  }
  EXPECT_EQ(std::ranges::max_element(logits) - logits.begin(), std::ranges::max_element(expected) - expected.begin());
}

class Steps : public ::testing::TestWithParam<SmallModel> {};

// Logits are of the order of 10; each of the some 40 roundings to f32 on the way is 2^-24 of what it rounds.
TEST_P(Steps, have_the_logits_of_the_reference) {
  in_thread([&] {
    Runner runner(file_of(GetParam()));
    const auto sequence = runner.sequence();
    expect_near(runner.run(*sequence, kTokens), Reference(GetParam()).logits(kTokens), 2e-5);
    EXPECT_EQ(sequence->size(), kTokens.size());
  });
}

TEST_P(Steps, are_the_same_however_a_prompt_is_divided) {
  in_thread([&] {
    Runner runner(file_of(GetParam()));
    const auto whole = runner.sequence();
    const std::vector<float> expected = runner.run(*whole, kTokens);
    for (const std::size_t size : {1U, 2U, 4U, 8U}) {
      const auto sequence = runner.sequence();
      std::vector<float> logits;
      for (std::size_t at = 0; at < kTokens.size(); at += size) {
        const std::size_t end = std::min(at + size, kTokens.size());
        logits = runner.run(*sequence, Tokens(kTokens.begin() + static_cast<std::ptrdiff_t>(at),
                                              kTokens.begin() + static_cast<std::ptrdiff_t>(end)));
      }
      EXPECT_EQ(logits, expected) << size;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Models, Steps,
                         ::testing::Values(SmallModel{}, SmallModel{.half_split = true}, SmallModel{.own_output = true},
                                           SmallModel{.heads = 8, .key_heads = 1, .rotated = 2},
                                           SmallModel{.layers = 1, .key_heads = 4, .rotated = 6}));

TEST(Step, with_keys_of_f16_is_close) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto sequence = runner.sequence({.half_precision = true});
    EXPECT_EQ(2 * sequence->bytes(), runner.sequence()->bytes());
    runner.run(*sequence, Tokens(kTokens.begin(), kTokens.begin() + 4));
    // Keys and values are 2^-12 of themselves off.
    expect_near(runner.run(*sequence, Tokens(kTokens.begin() + 4, kTokens.end())), Reference({}).logits(kTokens), 2e-2);
  });
}

// Steps of one token behind each other differ in a few fields of their commands, and nothing else is written anew.
TEST(Step, of_one_token_follows_its_sequence) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto reals = runner.sequence({.context = 12});
    const auto halves = runner.sequence({.half_precision = true});
    const auto shorter = runner.sequence({.context = 10, .half_precision = true});
    std::vector<float> of_reals;
    std::vector<float> of_halves;
    std::vector<float> of_shorter;
    for (const std::uint32_t token : kTokens) {
      of_reals = runner.run(*reals, {token});
      of_halves = runner.run(*halves, {token});
      of_shorter = runner.run(*shorter, {token});
    }
    EXPECT_EQ(of_shorter, of_halves);
    EXPECT_EQ(runner.run(*runner.sequence({.half_precision = true}), kTokens), of_halves);
    EXPECT_EQ(runner.run(*runner.sequence(), kTokens), of_reals);
  });
}

TEST(Step, forgets_what_a_sequence_is_cut_by) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto sequence = runner.sequence();
    const std::vector<float> expected = runner.run(*sequence, kTokens);
    sequence->truncate(2);
    runner.run(*sequence, {30, 31, 32});
    sequence->truncate(2);
    EXPECT_EQ(runner.run(*sequence, Tokens(kTokens.begin() + 2, kTokens.end())), expected);
  });
}

TEST(Step, keeps_sequences_apart) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto one = runner.sequence();
    const auto other = runner.sequence();
    for (std::size_t i = 0; i + 1 < kTokens.size(); ++i) {
      runner.run(*one, {kTokens[i]});
      runner.run(*other, {kTokens[kTokens.size() - 1 - i]});
    }
    const auto alone = runner.sequence();
    EXPECT_EQ(runner.run(*one, {kTokens.back()}), runner.run(*alone, kTokens));
  });
}

TEST(Step, says_the_best_token_and_what_it_costs) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto sequence = runner.sequence();
    const std::vector<float> logits = runner.run(*sequence, kTokens);
    EXPECT_EQ(runner.step().best(), static_cast<std::uint32_t>(std::ranges::max_element(logits) - logits.begin()));
    EXPECT_EQ(runner.step().job().commands().size(), 2 * 15 + 4U);
    EXPECT_GT(runner.step().job().end().cycles, 34 * 100U);
  });
}

TEST(Step, that_does_not_fit_leaves_the_sequence) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto sequence = runner.sequence({.context = 4});
    EXPECT_EQ(sequence->capacity(), 4U);
    runner.run(*sequence, {1, 2});
    const auto refusal = [&](const Tokens& tokens) {
      const kernel::Outcome outcome = runner.step().run(*sequence, tokens);
      return outcome ? "ran" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
    };
    EXPECT_EQ(refusal({1, 2, 3}), "llm-context-full: 3 tokens, but there is room for 2 of 4");
    EXPECT_EQ(refusal({40}), "llm-bad-token: token 40, expected one below 40");
    runner.step().job().options.cycle_limit = 1000;
    EXPECT_EQ(refusal({1}), "llm-step-failed: budget, cycle-limit, at command 8 of 34");
    EXPECT_EQ(sequence->size(), 2U);
    runner.step().job().options.cycle_limit = 0;
    EXPECT_EQ(refusal({1, 2}), "ran");
    EXPECT_EQ(refusal({1}), "llm-context-full: 1 tokens, but there is room for 0 of 4");
  });
}

TEST(Sequence, that_is_longer_than_the_model_is_refused) {
  in_thread([] {
    Runner runner(file_of({}));
    const auto sequence = Sequence::make(runner.npu, runner.model().shape(), {.context = 25});
    ASSERT_FALSE(sequence);
    EXPECT_EQ(sequence.error().name, "llm-bad-context");
    EXPECT_EQ(sequence.error().detail.view(), "a sequence of 25 positions, expected at most the model's 24");
  });
}

TEST(Step, without_memory_is_refused) {
  in_thread([] {
    Runner runner(file_of({}));
    std::set<std::string> said;
    std::string outcome;
    kernel::fail_each_allocation(
        [&] {
          // The handle of a region that there is not: nothing is run.
          const auto step = Step::make(runner.npu, runner.model(), 0, 1);
          const auto sequence =
              step ? Sequence::make(runner.npu, runner.model().shape()) : std::unexpected(step.error());
          outcome = sequence ? "made"
                             : std::string(sequence.error().name) + ": " + std::string(sequence.error().detail.view());
        },
        [&] { said.insert(outcome); });
    EXPECT_EQ(outcome, "made");
    EXPECT_TRUE(said.contains("llm-no-memory: no memory for the commands of 2 layers"));
    EXPECT_TRUE(said.contains("llm-no-memory: no memory for a sequence"));
    EXPECT_FALSE(said.contains("made"));
    EXPECT_EQ(runner.npu.read_counters()->regions, 2U);  // the runner's own
  });
}

}  // namespace
}  // namespace guest::llm
