// bench: it answers when its thread has ended.
#include <gtest/gtest.h>

#include <optional>

#include "command_fixture.hpp"
#include "guest/kernel/threads/testing/fake_cpus.hpp"
#include "guest/kernel/work.hpp"

namespace guest::control::testing {
namespace {

/// Waits for an answer as a connection does.
class LateCaller final : public Caller {
 public:
  void complete(std::span<const std::byte> result) override {
    const auto map = parse_cbor(result);
    ASSERT_TRUE(map.has_value());
    TextCapture capture;
    find_command("bench")->render(capture, *map);
    text = capture.text;
    answer = json::from_cbor(result);
  }
  void fail(const Refusal& refusal) override { answer = {{"code", refusal.code}, {"message", refusal.message.view()}}; }
  void defer(Operation& deferred) override { operation = &deferred; }
  bool has_room() override { return true; }
  bool emit(std::span<const std::byte>) override { return false; }

  Operation* operation = nullptr;
  std::optional<json> answer;
  std::string text;
};

class BenchCommandTest : public ::testing::Test {
 protected:
  BenchCommandTest() { threads::start_cpus(); }

  /// "code: message" of the refusal; empty: it answers later.
  std::string call(Caller& from, const std::vector<std::string_view>& words = {}) {
    const Command& command = *find_command("bench");
    std::vector<char> scratch(64);
    const auto arguments = Arguments::parse_words(command.arguments, words, scratch);
    EXPECT_TRUE(arguments.has_value());
    std::byte memory[16];
    CborWriter writer(memory);
    ResultMap result(writer);
    const auto handled = command.handler(machine.services, *arguments, from, result);
    EXPECT_TRUE(!handled || *handled == Handled::Later);
    return handled ? "" : told({{"code", handled.error().code}, {"message", handled.error().message.view()}});
  }
  /// The threads run, and then what they have raised.
  static void run_all() {
    threads::run_until_idle();
    while (kernel::work_queue().run_one()) {
    }
  }

  FakeMachine machine;
  LateCaller caller;
};

TEST_F(BenchCommandTest, all_are_measured_and_those_that_cannot_be_say_why) {
  ASSERT_EQ(call(caller), "");
  EXPECT_NE(caller.operation, nullptr);
  EXPECT_FALSE(caller.answer.has_value()) << "nothing is measured in the loop";
  run_all();
  ASSERT_TRUE(caller.answer.has_value());
  // A tick is 16 ns: 62.5 MHz.
  EXPECT_EQ(*caller.answer,
            (json{{"clock_resolution_ns", 16},
                  {"warm_up", 64},
                  {"samples", 1000},
                  {"benchmarks",
                   {{{"name", "quick"},
                     {"measures", "nothing, quickly"},
                     {"operations", 2},
                     {"min_ns", 96},
                     {"median_ns", 96},
                     {"p95_ns", 96},
                     {"p99_ns", 96},
                     {"max_ns", 96},
                     {"other_interrupts", 0}},
                    {{"name", "lonely"}, {"measures", "nothing, alone"}, {"why_not", "there is only one CPU"}}}}}));
  EXPECT_NE(caller.text.find("quick              48.0       48.0       48.0       48.0       48.0      2       0  "
                             "nothing, quickly\n"),
            std::string::npos)
      << caller.text;
  EXPECT_NE(caller.text.find("lonely       not measured: there is only one CPU\n"), std::string::npos) << caller.text;
}

TEST_F(BenchCommandTest, one_is_chosen_by_its_name) {
  EXPECT_EQ(call(caller, {"slow"}), "not-found: no benchmark 'slow'; 'bench' runs all, with their names");
  ASSERT_EQ(call(caller, {"quick"}), "");
  run_all();
  EXPECT_EQ((*caller.answer)["benchmarks"].size(), 1U);
}

TEST_F(BenchCommandTest, two_runs_do_not_measure_each_other) {
  ASSERT_EQ(call(caller), "");
  LateCaller second;
  EXPECT_EQ(call(second), "busy: another run measures already");
  run_all();
  EXPECT_EQ(call(second), "");
  run_all();
  EXPECT_TRUE(second.answer.has_value());
}

TEST_F(BenchCommandTest, more_than_an_answer_holds_is_refused) {
  const std::string long_text(3000, 'x');
  std::vector<bench::Benchmark> many(12, kFakeBenchmarks[0]);
  for (bench::Benchmark& benchmark : many) {
    benchmark.measures = long_text;
  }
  const std::span<const bench::Benchmark> lists[] = {many};
  machine.services.benchmarks = lists;
  ASSERT_EQ(call(caller), "");
  run_all();
  EXPECT_EQ(told(*caller.answer), "too-large: the answer is longer than 32768 bytes");
}

TEST_F(BenchCommandTest, a_cancelled_run_ends_after_the_benchmark_that_it_is_at_and_answers_nobody) {
  static unsigned taken = 0;
  taken = 0;
  constexpr bench::Benchmark kTwo[] = {{.name = "sleeps",
                                        .measures = "sleep",
                                        .take = [](const bench::Benchmark&) -> bench::Sample {
                                          EXPECT_TRUE(threads::sleep_for(10));
                                          return 1;
                                        }},
                                       {.name = "counts",
                                        .measures = "calls",
                                        .take = [](const bench::Benchmark&) -> bench::Sample { return ++taken; }}};
  const std::span<const bench::Benchmark> both[] = {kTwo};
  machine.services.benchmarks = both;
  ASSERT_EQ(call(caller), "");
  caller.operation->cancel();
  run_all();
  EXPECT_FALSE(caller.answer.has_value());
  EXPECT_EQ(taken, 0U);
  EXPECT_EQ(call(caller), "") << "the next one may run";
  run_all();
  EXPECT_EQ(taken, 1064U);
}

}  // namespace
}  // namespace guest::control::testing
