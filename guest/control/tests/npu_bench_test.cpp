#include <gmock/gmock.h>

#include <memory>

#include "guest/npu/job_history.hpp"
#include "npu_fixture.hpp"

namespace guest::control::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST_F(NpuCommandTest, bench_runs_every_command) {
  const json answer = call("npu bench", {"--size", "32", "--count", "2"});
  ASSERT_TRUE(answer.contains("results")) << answer;
  EXPECT_EQ(answer["accelerator"], "cpu");
  EXPECT_EQ(answer["results"].size(), 28U);
  for (const json& each : answer["results"]) {
    EXPECT_GE(each["cycles"], 100) << each;
    EXPECT_TRUE(each.contains("latency_p50_ns")) << each;
    EXPECT_FALSE(each.contains("latency_p95_ns")) << "two samples support no 95th percentile";
  }
  EXPECT_THAT(rendered, HasSubstr("gemv-q4"));
}

TEST_F(NpuCommandTest, bench_of_one_command_has_the_cycles_and_bytes_of_the_model) {
  const auto bytes = [&] { return call("npu counters")["driver"]["bytes"].get<std::uint64_t>(); };
  const std::uint64_t before = bytes();
  const json answer = call("npu bench", {"gemm", "64", "--depth", "3", "--priority", "high"});
  ASSERT_TRUE(answer.contains("results")) << answer;
  ASSERT_EQ(answer["results"].size(), 1U);
  const json& gemm = answer["results"][0];
  // docs/npu.md, Cost: 64^3 MACs, 64 in a cycle; two operations of each number, 16 in a cycle; and 200 to start.
  EXPECT_EQ(gemm["cycles"], 64 * 64 + 64 * 64 * 2 / 16 + 100);
  EXPECT_EQ(gemm["bytes"], 3 * 64 * 64 * 4);
  EXPECT_EQ(gemm["inputs"], "f32 [64, 64], f32 [64, 64]");
  EXPECT_EQ(bytes() - before, 21 * 3 * 64 * 64 * 4) << "one more, to warm up";
  EXPECT_EQ(answer["count"], 20);
  EXPECT_EQ(answer["depth"], 3);
  EXPECT_EQ(answer["priority"], "high");
  EXPECT_EQ(npu::job_history().find(npu::job_history().totals().last_id)->priority, abi::npu::Priority::High);
}

TEST_F(NpuCommandTest, bench_refuses_what_it_cannot_run) {
  EXPECT_EQ(told(call("npu bench", {"sgemm"})),
            "not-found: no command 'sgemm'; 'npu bench' runs all, with their names");
  EXPECT_EQ(told(call("npu bench", {"gemm", "65"})),
            "bad-argument: size: found 65, allowed: multiples of 32 up to 1024");
  EXPECT_EQ(field, "size");
}

TEST_F(NpuCommandTest, job_over_its_cycle_limit_is_refused_and_does_not_run) {
  const std::string message = told(call("npu bench", {"gemm", "--cycle_limit", "4707"}));
  EXPECT_THAT(message, MatchesRegex("failed: gemm: job [0-9]+ ended with status budget, cycle-limit, at byte 0 of its "
                                    "stream"));
  EXPECT_EQ(call("npu counters")["device"]["commands"], 0);
  EXPECT_TRUE(call("npu bench", {"gemm", "--cycle_limit", "4708"}).contains("results"));
}

TEST_F(NpuCommandTest, bench_without_power_says_so) {
  call("npu power", {"off"});
  EXPECT_EQ(told(call("npu bench", {"nop"})), "failed: npu-refused: a region was refused: reset, power-off");
  call("npu reset");
  EXPECT_TRUE(call("npu bench", {"nop"}).contains("results"));
}

TEST_F(NpuCommandTest, cancelled_bench_aborts_its_jobs_and_gives_its_memory_back) {
  call("npu power", {"gated"});
  AnsweredCaller bench("npu bench");
  EXPECT_TRUE(run_for(bench, "npu bench", {"nop", "--count", "1"}).is_null());
  run_all();
  bench.operation->cancel();
  run_all();
  EXPECT_FALSE(bench.answer.has_value());
  const json job = call("npu jobs", {"1"})["jobs"][0];
  EXPECT_EQ(job["status"], "aborted");
  EXPECT_EQ(job["reason"], "abort-request");
  EXPECT_EQ(call("npu status")["regions"], 0);
  call("npu power", {"on"});
}

TEST_F(NpuCommandTest, so_many_runs_may_measure_at_once) {
  call("npu power", {"gated"});
  std::vector<std::unique_ptr<AnsweredCaller>> callers;
  for (int i = 0; i < 8; ++i) {
    callers.push_back(std::make_unique<AnsweredCaller>("npu bench"));
    EXPECT_TRUE(run_for(*callers.back(), "npu bench", {"nop", "--count", "1"}).is_null());
  }
  run_all();
  EXPECT_EQ(told(call("npu bench", {"nop"})), "busy: 8 runs measure already");
  call("npu power", {"on"});
  for (const auto& each : callers) {
    EXPECT_TRUE(each->answer.has_value());
  }
  EXPECT_TRUE(call("npu bench", {"nop"}).contains("results"));
}

TEST_F(NpuCommandTest, demo_shows_each_step_and_checks_the_numbers) {
  const json answer = call("npudemo");
  ASSERT_TRUE(answer.contains("steps")) << answer;
  std::vector<std::string> steps;
  for (const json& step : answer["steps"]) {
    steps.push_back(step["step"]);
  }
  EXPECT_EQ(steps, (std::vector<std::string>{"accelerator", "region", "submit", "interrupt", "result", "check"}));
  EXPECT_EQ(answer["steps"].back()["what"], "512 numbers, 0 are not what the CPU finds");
  EXPECT_EQ(answer["numbers"], 512);
  EXPECT_EQ(answer["right"], true);
}

TEST_F(NpuCommandTest, demo_fails_on_an_accelerator_that_computes_something_else) {
  ::npu::KernelSet lazy = ::npu::scalar_kernels();
  lazy.kernels[static_cast<unsigned>(abi::npu::Opcode::Gemm)] =
      [](const ::npu::Checked&, ::npu::Units) -> std::optional<abi::npu::Reason> { return std::nullopt; };
  npu::CpuAccelerator broken(lazy);
  npu::set_npu(broken);
  EXPECT_THAT(told(call("npudemo")), MatchesRegex("failed: npudemo: [0-9]+ of 512 numbers are not what the CPU finds"));
}

}  // namespace
}  // namespace guest::control::testing
