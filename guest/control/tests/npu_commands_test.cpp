#include <gmock/gmock.h>

#include "guest/npu/job_history.hpp"
#include "npu_fixture.hpp"

namespace guest::control::testing {
namespace {

using abi::npu::Priority;

TEST_F(NpuCommandTest, status_says_what_runs_the_jobs) {
  const json status = call("npu status");
  EXPECT_EQ(status["accelerator"], "cpu");
  EXPECT_EQ(status["power"], "on");
  EXPECT_EQ(status["limits"]["commands"], 4096);
  EXPECT_EQ(status["model"]["clock_hz"], 1'000'000'000);
  EXPECT_EQ(status["regions"], 0);
  EXPECT_EQ(status["commands"].size(), abi::npu::kOpcodes);
  EXPECT_EQ(status["commands"][1], "gemm");
}

TEST_F(NpuCommandTest, jobs_are_listed_with_how_they_ended) {
  run_job({.priority = {}, .cycle_limit = 99});  // a command takes 100 at least
  run_job({.priority = Priority::Low});
  run_job({.priority = Priority::Critical});
  const json jobs = call("npu jobs", {"3"});
  ASSERT_EQ(jobs["jobs"].size(), 3U);
  const json& refused = jobs["jobs"][0];
  EXPECT_EQ(refused["status"], "budget");
  EXPECT_EQ(refused["reason"], "cycle-limit");
  EXPECT_EQ(refused["command"], 0);
  EXPECT_EQ(refused["stream_offset"], 0);
  EXPECT_EQ(refused["cycles"], 0);
  EXPECT_EQ(refused["priority"], "normal");
  EXPECT_EQ(jobs["jobs"][1]["priority"], "low");
  const json& last = jobs["jobs"][2];
  EXPECT_EQ(last["state"], "ended");
  EXPECT_EQ(last["priority"], "critical");
  EXPECT_EQ(last["commands"], 1);
  EXPECT_EQ(last["cycles"], 100);
  EXPECT_FALSE(last.contains("reason"));
  EXPECT_FALSE(last.contains("server"));
  EXPECT_EQ(jobs["in_flight"], 0);
  EXPECT_EQ(call("npu jobs", {"1"})["jobs"], json::array({last}));
  EXPECT_LE(call("npu jobs", {"128"})["jobs"].size(), 128U);
}

TEST_F(NpuCommandTest, jobs_wait_while_the_clock_is_held_and_go_on) {
  EXPECT_EQ(call("npu power", {"gated"})["power"], "gated");
  run_job();
  const json jobs = call("npu jobs", {"1"});
  EXPECT_EQ(jobs["jobs"][0]["state"], "in-flight");
  EXPECT_FALSE(jobs["jobs"][0].contains("latency_ns"));
  EXPECT_EQ(jobs["in_flight"], 1);
  EXPECT_EQ(call("npu status")["power"], "gated");
  EXPECT_EQ(call("npu power", {"on"})["power"], "on");
  EXPECT_EQ(call("npu jobs", {"1"})["jobs"][0]["status"], "ok");
}

TEST_F(NpuCommandTest, without_power_jobs_end_and_a_reset_turns_it_on) {
  call("npu power", {"gated"});
  run_job();
  EXPECT_EQ(call("npu power", {"off"})["power"], "off");
  run_job();
  const json jobs = call("npu jobs", {"2"})["jobs"];
  for (const json& each : jobs) {
    EXPECT_EQ(each["status"], "reset") << each;
    EXPECT_EQ(each["reason"], "power-off") << each;
  }
  EXPECT_EQ(call("npu reset")["power"], "on");
  run_job();
  EXPECT_EQ(call("npu jobs", {"1"})["jobs"][0]["status"], "ok");
}

TEST_F(NpuCommandTest, reset_ends_the_jobs_that_there_are) {
  call("npu power", {"gated"});
  run_job();
  EXPECT_EQ(call("npu reset")["power"], "on");
  EXPECT_EQ(call("npu jobs", {"1"})["jobs"][0]["reason"], "device-reset");
}

TEST_F(NpuCommandTest, counters_are_of_the_device_and_of_the_driver) {
  const json before = call("npu counters");
  run_job({.priority = Priority::High});
  run_job({.priority = {}, .cycle_limit = 1});
  const json after = call("npu counters");
  const auto grown = [&](const char* part, const char* name) {
    return after[part][name].get<std::uint64_t>() - before[part][name].get<std::uint64_t>();
  };
  EXPECT_EQ(grown("device", "jobs_ok"), 1U);
  EXPECT_EQ(grown("device", "jobs_budget"), 1U);
  EXPECT_EQ(grown("device", "busy_cycles"), 100U);
  EXPECT_EQ(grown("driver", "bytes"), 0U) << "it has no tensors";
  EXPECT_EQ(grown("driver", "jobs"), 2U);
  EXPECT_EQ(grown("driver", "job_faults"), 1U);
  EXPECT_EQ(after["device"]["jobs_in_flight"], 0);
  EXPECT_TRUE(after["latency"].contains("high"));
}

TEST_F(NpuCommandTest, metrics_have_what_the_counters_do_not_say) {
  const json before = run("metrics", {"npu_"})["metrics"];
  run_job();
  run_job({.priority = {}, .cycle_limit = 1});
  const json after = run("metrics", {"npu_"})["metrics"];
  EXPECT_EQ(after["npu_jobs_ok"].get<int>() - before["npu_jobs_ok"].get<int>(), 1);
  EXPECT_EQ(after["npu_jobs_budget"].get<int>() - before["npu_jobs_budget"].get<int>(), 1);
  EXPECT_GE(after["npu_queue_depth_max"], 1);
  EXPECT_TRUE(after.contains("npu_latency_normal_total_ns"));
  EXPECT_TRUE(after.contains("npu_latency_normal_max_ns"));
  EXPECT_TRUE(after.contains("npu_busy_permille"));
}

TEST_F(NpuCommandTest, cancelled_command_answers_nobody) {
  AnsweredCaller caller("npu status");
  EXPECT_TRUE(run_for(caller, "npu status", {}).is_null());
  caller.operation->cancel();
  run_all();
  EXPECT_FALSE(caller.answer.has_value());
}

}  // namespace
}  // namespace guest::control::testing
