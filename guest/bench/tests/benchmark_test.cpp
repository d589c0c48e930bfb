#include "guest/bench/benchmark.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace guest::bench {
namespace {

/// The samples that the benchmarks of these tests take, one after the other.
std::vector<std::uint64_t> script;
std::size_t taken = 0;
kernel::Interrupts* interrupts_to_raise = nullptr;
constexpr kernel::IntId kInterrupt{40};  // nobody handles it: it is counted

Sample take_next(const Benchmark&) {
  if (taken == script.size()) {
    return std::unexpected(std::string_view("the script is over"));
  }
  if (interrupts_to_raise != nullptr) {
    interrupts_to_raise->dispatch(kInterrupt);
  }
  return script[taken++];
}

class BenchmarkTest : public ::testing::Test {
 protected:
  Result run_script(std::vector<std::uint64_t> values, std::uint32_t warm_up, std::size_t count) {
    script = std::move(values);
    taken = 0;
    samples.assign(count, 0);
    return run({.name = "test", .measures = "nothing", .own_interrupts = own_interrupts, .take = take_next}, warm_up,
               samples, interrupts);
  }
  ~BenchmarkTest() override { interrupts_to_raise = nullptr; }

  std::vector<std::uint64_t> samples;
  std::uint32_t own_interrupts = 0;
  kernel::Interrupts interrupts;
};

TEST_F(BenchmarkTest, figures_are_of_the_samples_after_the_warm_up) {
  const Result result = run_script({1'000, 1, 30, 10, 50, 20, 40}, 2, 5);
  EXPECT_EQ(result.why_not, "");
  EXPECT_EQ(result.min, 10U);
  EXPECT_EQ(result.median, 30U);
  EXPECT_EQ(result.max, 50U);
  EXPECT_EQ(samples, (std::vector<std::uint64_t>{10, 20, 30, 40, 50}));
}

TEST_F(BenchmarkTest, percentiles_are_nearest_ranks_and_missing_where_there_are_too_few_samples) {
  std::vector<std::uint64_t> values(100);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 100 - i;
  }
  const Result hundred = run_script(values, 0, 100);
  EXPECT_EQ(hundred.median, 50U);
  EXPECT_EQ(hundred.p95, 95U);
  EXPECT_EQ(hundred.p99, 99U);
  const Result fewer = run_script(values, 0, 99);
  EXPECT_TRUE(fewer.p95.has_value());
  EXPECT_EQ(fewer.p99, std::nullopt);
  EXPECT_EQ(run_script(values, 0, 19).p95, std::nullopt);
}

TEST_F(BenchmarkTest, what_cannot_be_measured_says_why) {
  EXPECT_EQ(run_script({}, 0, 5).why_not, "the script is over");
  EXPECT_EQ(run_script({1, 2, 3}, 0, 5).why_not, "the script is over");
  EXPECT_EQ(run_script({1, 2, 3}, 5, 5).why_not, "the script is over");
}

TEST_F(BenchmarkTest, interrupts_are_counted_without_those_of_the_warm_up_and_the_benchmarks_own) {
  interrupts_to_raise = &interrupts;
  EXPECT_EQ(run_script({1, 2, 3, 4, 5}, 2, 3).other_interrupts, 3U);
  own_interrupts = 1;
  EXPECT_EQ(run_script({1, 2, 3, 4, 5}, 2, 3).other_interrupts, 0U);
  own_interrupts = 2;
  EXPECT_EQ(run_script({1, 2, 3, 4, 5}, 2, 3).other_interrupts, 0U);
}

TEST_F(BenchmarkTest, an_operation_is_timed_as_often_as_it_says) {
  unsigned calls = 0;
  (void)time_of(7, [&] { ++calls; });
  EXPECT_EQ(calls, 7U);
}

/// What was called, in its order: p(repare), t(ake), f(inish).
std::string called;

Ready prepare_well() {
  called += 'p';
  return {};
}

Ready refuse_to_prepare() {
  called += 'p';
  return std::unexpected(std::string_view("there is no room"));
}

Sample take_and_note(const Benchmark& self) {
  called += 't';
  return take_next(self);
}

class HooksTest : public BenchmarkTest {
 protected:
  Result run_hooks(Ready (*prepare)(), std::vector<std::uint64_t> values) {
    called.clear();
    script = std::move(values);
    taken = 0;
    samples.assign(2, 0);
    return run({.name = "test",
                .measures = "nothing",
                .take = take_and_note,
                .prepare = prepare,
                .finish = [] { called += 'f'; }},
               1, samples, interrupts);
  }
};

TEST_F(HooksTest, prepare_comes_before_the_warm_up_and_finish_after_the_last_sample) {
  EXPECT_EQ(run_hooks(prepare_well, {1, 2, 3}).why_not, "");
  EXPECT_EQ(called, "ptttf");
}

TEST_F(HooksTest, finish_is_called_when_a_sample_could_not_be_taken) {
  EXPECT_EQ(run_hooks(prepare_well, {}).why_not, "the script is over");
  EXPECT_EQ(called, "ptf");
  EXPECT_EQ(run_hooks(prepare_well, {1, 2}).why_not, "the script is over");
  EXPECT_EQ(called, "ptttf");
}

TEST_F(HooksTest, nothing_is_taken_or_finished_when_it_could_not_be_prepared) {
  EXPECT_EQ(run_hooks(refuse_to_prepare, {1, 2, 3}).why_not, "there is no room");
  EXPECT_EQ(called, "p");
}

TEST(KernelBenchmarks, each_has_a_name_of_its_own_and_says_what_it_measures) {
  std::vector<std::string_view> names;
  for (const auto& table : {kernel_benchmarks(), graph_benchmarks()}) {
    for (const Benchmark& benchmark : table) {
      names.push_back(benchmark.name);
      EXPECT_FALSE(benchmark.measures.empty());
      EXPECT_GT(benchmark.operations, 0U);
      EXPECT_NE(benchmark.take, nullptr);
    }
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(GraphBenchmarks, each_takes_samples_again_and_again) {
  for (const Benchmark& benchmark : graph_benchmarks()) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(benchmark.take(benchmark).has_value()) << benchmark.name;
    }
  }
}

}  // namespace
}  // namespace guest::bench
