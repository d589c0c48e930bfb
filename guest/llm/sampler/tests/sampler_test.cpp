// Choices of tokens.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "guest/llm/sampler/sampler.hpp"

namespace guest::llm {
namespace {

std::optional<std::uint32_t> choose(Sampler& sampler, const std::vector<float>& logits) {
  std::vector<numeric::Candidate> candidates(logits.size());
  return sampler.next(std::as_bytes(std::span(logits)), candidates);
}

std::optional<std::uint32_t> best_of(const std::vector<float>& logits) {
  Sampler sampler{SamplerOptions{}};
  return choose(sampler, logits);
}

// The numbers are those of the authors' C programs.
TEST(Generator, is_the_published_one) {
  Generator generator(std::array<std::uint64_t, 4>{1, 2, 3, 4});
  EXPECT_EQ(generator.next(), 11'520U);
  EXPECT_EQ(generator.next(), 0U);
  EXPECT_EQ(generator.next(), 1'509'978'240U);
  EXPECT_EQ(generator.next(), 1'215'971'899'390'074'240U);
  // splitmix64 from 1234567, as the state.
  Generator seeded(1'234'567);
  Generator same(std::array<std::uint64_t, 4>{6'457'827'717'110'365'317U, 3'203'168'211'198'807'973U,
                                              9'817'491'932'198'370'423U, 4'593'380'528'125'082'431U});
  EXPECT_EQ(seeded.next(), same.next());
}

TEST(Sampler, without_options_takes_the_best) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(best_of({1, 3, 2, 3}), 1U);
  EXPECT_EQ(best_of({kNaN, -1, -2}), 1U);
  EXPECT_EQ(best_of({0, kInfinity, kInfinity}), 1U);
  EXPECT_EQ(best_of({-0.0F, 0.0F}), 0U);
  EXPECT_EQ(best_of({kNaN, -kInfinity}), std::nullopt);
  EXPECT_TRUE(Sampler(SamplerOptions{}).is_greedy());
  EXPECT_FALSE(Sampler({.rules = {.temperature_milli = 1}}).is_greedy());
  EXPECT_FALSE(Sampler({.rules = {.repetition_penalty_milli = 1001}}).is_greedy());
}

TEST(Sampler, takes_only_what_may_come) {
  std::vector<float> logits(130);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(i);
  }
  std::vector<numeric::Candidate> candidates(logits.size());
  std::uint64_t allowed[] = {1U << 5, 1U << 3, 0};
  const auto next = [&](Sampler& sampler) {
    return sampler.next(std::as_bytes(std::span(logits)), candidates, allowed);
  };
  Sampler greedy{SamplerOptions{}};
  EXPECT_EQ(next(greedy), 67U);
  Sampler drawing({.rules = {.temperature_milli = 100'000}, .seed = 1});
  int counts[2] = {};
  for (int i = 0; i < 200; ++i) {
    const std::uint32_t token = next(drawing).value();
    ASSERT_TRUE(token == 5 || token == 67);
    ++counts[token == 5 ? 0 : 1];
  }
  EXPECT_GT(std::min(counts[0], counts[1]), 30);
  logits[5] = logits[67] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(next(greedy), std::nullopt);
}

TEST(Sampler, draws_by_the_weights) {
  Sampler sampler({.rules = {.temperature_milli = 1000}, .seed = 1});
  int counts[3] = {};
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[choose(sampler, {0, std::log(3.0F), std::log(6.0F)}).value()];
  }
  // 4 standard deviations of a count are 4 sqrt(20000 / 4) = 283 at most.
  EXPECT_NEAR(counts[0], kDraws / 10, 283);
  EXPECT_NEAR(counts[1], kDraws * 3 / 10, 283);
  EXPECT_NEAR(counts[2], kDraws * 6 / 10, 283);
}

TEST(Sampler, forgets_what_is_outside_of_its_window) {
  Sampler sampler({.rules = {.repetition_penalty_milli = 2000}, .repetition_window = 2});
  const std::vector<float> logits = {1.0F, 0.9F, 0.8F, -1.0F};
  sampler.see(0);
  EXPECT_EQ(choose(sampler, logits), 1U);
  sampler.see(1);
  EXPECT_EQ(choose(sampler, logits), 2U);
  sampler.see(2);
  EXPECT_EQ(choose(sampler, logits), 0U);
  sampler.see(4'000'000'000);  // no token: nothing is penalised for it
  EXPECT_EQ(choose(sampler, logits), 0U);
}

TEST(Sampler, refuses_options_by_name) {
  const auto refusal = [](const SamplerOptions& options) {
    const kernel::Outcome outcome = Sampler::check(options);
    return outcome ? "allowed" : std::string(outcome.error().name) + ": " + std::string(outcome.error().detail.view());
  };
  EXPECT_EQ(refusal({}), "allowed");
  EXPECT_EQ(refusal({.rules = {.temperature_milli = 100'001}}),
            "sampler-bad-option: temperature_milli is 100001, expected 0 to 100000");
  EXPECT_EQ(refusal({.rules = {.top_p_milli = 0}}), "sampler-bad-option: top_p_milli is 0, expected 1 to 1000");
  EXPECT_EQ(refusal({.rules = {.min_p_milli = 1001}}), "sampler-bad-option: min_p_milli is 1001, expected 0 to 1000");
  EXPECT_EQ(refusal({.rules = {.repetition_penalty_milli = 99}}),
            "sampler-bad-option: repetition_penalty_milli is 99, expected 100 to 10000");
  EXPECT_EQ(refusal({.repetition_window = 257}), "sampler-bad-option: repetition_window is 257, expected 0 to 256");
}

/// Numbers of a line, one after the other.
template <typename T>
std::vector<T> read_list(std::istream& fields) {
  std::size_t size = 0;
  fields >> size;
  std::vector<T> list(size);
  for (T& number : list) {
    fields >> number;
  }
  return list;
}

TEST(Sampler, chooses_as_the_reference_does) {
  std::ifstream file(SIS_CHOICES);
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    std::istringstream fields(line);
    SamplerOptions options;
    numeric::Rules& rules = options.rules;
    fields >> rules.temperature_milli >> rules.top_k >> rules.top_p_milli >> rules.min_p_milli >>
        rules.repetition_penalty_milli >> options.repetition_window >> options.seed;
    const auto logits = read_list<std::uint32_t>(fields);
    const auto seen = read_list<std::uint32_t>(fields);
    const auto expected = read_list<std::uint32_t>(fields);
    ASSERT_TRUE(Sampler::check(options));
    Sampler sampler(options);
    for (const std::uint32_t token : seen) {
      sampler.see(token);
    }
    std::vector<std::uint32_t> chosen;
    std::vector<numeric::Candidate> candidates(logits.size());
    while (chosen.size() < 20) {
      const auto token = sampler.next(std::as_bytes(std::span(logits)), candidates);
      if (!token) {
        break;
      }
      sampler.see(*token);
      chosen.push_back(*token);
    }
    ASSERT_EQ(chosen, expected) << "line " << lines + 1;
  }
  EXPECT_EQ(lines, 80U);
}

}  // namespace
}  // namespace guest::llm
