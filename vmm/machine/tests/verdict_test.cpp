#include "vmm/machine/verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmm::machine {
namespace {

using abi::ExitCode;
using observe::ExitRecord;
using observe::Outcome;
using observe::StepStatus;
using testing::HasSubstr;

class VerdictTest : public testing::Test {
 protected:
  VerdictTest() {
    facts_.ready = true;
    facts_.steps_done = true;
    facts_.cause = StopCause::Done;
    facts_.last_console_lines = "LAST LINES";
  }

  void add_step(StepStatus status) {
    observe::StepResult step;
    step.name = "s";
    step.status = status;
    step.message = "why";
    summary_.steps.push_back(step);
  }

  ExitCode code() {
    judge(facts_, summary_);
    EXPECT_EQ(summary_.message.empty(), summary_.exit_code == ExitCode::Passed);
    return summary_.exit_code;
  }

  RunFacts facts_;
  observe::Summary summary_;
};

TEST_F(VerdictTest, all_held_is_passed) {
  add_step(StepStatus::Passed);
  EXPECT_EQ(code(), ExitCode::Passed);
  EXPECT_EQ(summary_.outcome, Outcome::Passed);
}

TEST_F(VerdictTest, failed_step_is_failed_and_named) {
  add_step(StepStatus::Failed);
  EXPECT_EQ(code(), ExitCode::Failed);
  EXPECT_EQ(summary_.outcome, Outcome::Failed);
  EXPECT_EQ(summary_.message, "step s: why");
}

TEST_F(VerdictTest, step_that_was_not_run_is_no_success) {
  add_step(StepStatus::Skipped);
  EXPECT_EQ(code(), ExitCode::Failed);
}

TEST_F(VerdictTest, failed_expectation_is_failed) {
  summary_.expectations.push_back({"metric", "m", "at most 5", 7, false});
  EXPECT_EQ(code(), ExitCode::Failed);
  EXPECT_THAT(summary_.message, HasSubstr("at most 5, actual 7"));
}

TEST_F(VerdictTest, panic_explains_everything_else) {
  add_step(StepStatus::Failed);
  facts_.record = ExitRecord{ExitRecord::Kind::Panic, 4};
  facts_.exited = fail("QEMU died");
  facts_.cause = StopCause::Interrupted;
  facts_.panic_reason = "data abort";
  EXPECT_EQ(code(), ExitCode::GuestPanic);
  EXPECT_EQ(summary_.message, "the guest panicked: data abort");
}

TEST_F(VerdictTest, panic_that_only_the_back_end_saw_counts) {
  facts_.backend_saw_panic = true;
  EXPECT_EQ(code(), ExitCode::GuestPanic);
}

TEST_F(VerdictTest, refused_boot_configuration_repeats_the_guests_line) {
  facts_.ready = false;
  facts_.record = ExitRecord{ExitRecord::Kind::BootConfig, 5};
  facts_.boot_config_line = "BOOT CONFIG ERROR: x: y";
  EXPECT_EQ(code(), ExitCode::BootConfig);
  EXPECT_THAT(summary_.message, HasSubstr("BOOT CONFIG ERROR: x: y"));
}

TEST_F(VerdictTest, death_of_the_back_end_keeps_its_own_code) {
  facts_.exited = fail("no device", ExitCode::HostLacks);
  EXPECT_EQ(code(), ExitCode::HostLacks);
  facts_.exited = fail("killed");
  EXPECT_EQ(code(), ExitCode::Internal);
}

TEST_F(VerdictTest, interruption_and_time_limits) {
  facts_.cause = StopCause::Interrupted;
  facts_.detail = "SIGINT";
  EXPECT_EQ(code(), ExitCode::Interrupted);
  EXPECT_EQ(summary_.message, "interrupted by SIGINT");
  for (const auto cause : {StopCause::BootTimeout, StopCause::RunTimeout}) {
    facts_.cause = cause;
    EXPECT_EQ(code(), ExitCode::TimedOut);
    EXPECT_THAT(summary_.message, HasSubstr("LAST LINES"));
  }
}

TEST_F(VerdictTest, stop_on_request_depends_on_whether_steps_were_left) {
  facts_.cause = StopCause::Requested;
  EXPECT_EQ(code(), ExitCode::Passed);
  facts_.steps_done = false;
  EXPECT_EQ(code(), ExitCode::Interrupted);
  facts_.cause = StopCause::Left;
  EXPECT_EQ(code(), ExitCode::Interrupted);
}

TEST_F(VerdictTest, guest_that_had_to_be_killed_hung) {
  facts_.killed = true;
  EXPECT_EQ(code(), ExitCode::TimedOut);
}

TEST_F(VerdictTest, power_off_without_a_word_before_the_control_server_is_an_error) {
  facts_.ready = false;
  facts_.cause = StopCause::None;
  EXPECT_EQ(code(), ExitCode::Internal);
}

TEST_F(VerdictTest, control_server_that_cannot_be_talked_to) {
  facts_.cause = StopCause::NoControl;
  EXPECT_EQ(code(), ExitCode::Internal);
}

TEST_F(VerdictTest, bad_end_that_is_meant_is_as_expected_and_keeps_its_code) {
  add_step(StepStatus::Failed);
  facts_.record = ExitRecord{ExitRecord::Kind::Panic, 4};
  EXPECT_EQ(code(), ExitCode::GuestPanic);
  EXPECT_FALSE(observe::ended_as_expected(summary_));
  judge_end(scenario::End::Panic, summary_);
  EXPECT_TRUE(observe::ended_as_expected(summary_));
  EXPECT_EQ(summary_.exit_code, ExitCode::GuestPanic);
  summary_.expectations.push_back({"console", "x", "present", "absent", false});
  EXPECT_FALSE(observe::ended_as_expected(summary_)) << "the rest must hold all the same";
}

TEST_F(VerdictTest, other_bad_end_than_the_one_that_is_meant_is_not_as_expected) {
  facts_.killed = true;
  EXPECT_EQ(code(), ExitCode::TimedOut);
  judge_end(scenario::End::BootConfig, summary_);
  EXPECT_FALSE(observe::ended_as_expected(summary_));
  EXPECT_EQ(summary_.exit_code, ExitCode::TimedOut);
}

TEST_F(VerdictTest, good_end_of_a_run_that_is_meant_to_end_badly_is_a_failure) {
  EXPECT_EQ(code(), ExitCode::Passed);
  judge_end(std::nullopt, summary_);
  EXPECT_EQ(summary_.exit_code, ExitCode::Passed);
  judge_end(scenario::End::Panic, summary_);
  EXPECT_EQ(summary_.outcome, Outcome::Failed);
  EXPECT_EQ(summary_.exit_code, ExitCode::Failed);
  EXPECT_EQ(summary_.message, "expected of the run's end: panic, actual passed");
}

class ExpectationsTest : public testing::Test {
 protected:
  std::vector<observe::ExpectationResult> evaluate(std::vector<bool> seen = {}) {
    return evaluate_expectations(expect_, summary_,
                                 {.console_seen = std::move(seen), .console_in_order = in_order_, .samples = samples_});
  }

  scenario::Expectations expect_;
  std::size_t in_order_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> samples_;
  observe::Summary summary_;
};

TEST_F(ExpectationsTest, metrics_come_from_the_guest_and_from_device_counters) {
  summary_.metrics["boot_ns"] = 5;
  summary_.device_counters["vsock_rx_packets"] = 9;
  for (const char* name : {"boot_ns", "vsock_rx_packets", "missing"}) {
    scenario::MetricExpectation wanted;
    wanted.metric = name;
    wanted.condition.min = 5;
    expect_.metrics.push_back(wanted);
  }
  const auto results = evaluate();
  ASSERT_EQ(results.size(), 3U);
  EXPECT_TRUE(results[0].passed);
  EXPECT_TRUE(results[1].passed);
  EXPECT_FALSE(results[2].passed);
  EXPECT_TRUE(results[2].actual.is_null());
}

TEST_F(ExpectationsTest, console_texts_present_and_absent) {
  expect_.console = {{"a", true}, {"b", false}};
  auto results = evaluate({true, false});
  EXPECT_TRUE(results[0].passed && results[1].passed);
  results = evaluate({false, true});
  EXPECT_FALSE(results[0].passed || results[1].passed);
}

TEST_F(ExpectationsTest, percentile_that_is_absent_fails_and_says_how_many_samples_there_were) {
  expect_.metrics = {
      {"op_g_a_p95_ns", {.max = 5}}, {"op_g_a_p99_ns", {.exists = false}}, {"op_g_b_p50_ns", {.max = 5}}};
  samples_ = {{"op_g_a_p95_ns", 19}, {"op_g_a_p99_ns", 19}};
  const auto results = evaluate();
  EXPECT_FALSE(results.at(0).passed);
  EXPECT_EQ(results.at(0).actual, "absent: 19 samples, and it takes 20");
  EXPECT_TRUE(results.at(1).passed);
  EXPECT_FALSE(results.at(2).passed);
  EXPECT_TRUE(results.at(2).actual.is_null()) << "there is nothing of that name";
  summary_.metrics["op_g_a_p95_ns"] = 4;
  EXPECT_TRUE(evaluate().at(0).passed);
}

TEST_F(ExpectationsTest, console_order_says_which_text_did_not_come_behind_the_others) {
  expect_.console_order = {"a", "b\n"};
  in_order_ = 2;
  EXPECT_TRUE(evaluate().at(0).passed);
  in_order_ = 1;
  const auto result = evaluate().at(0);
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.wanted, R"("a", then "b\n")");
  EXPECT_EQ(result.actual, R"(no "b\n" after number 1)");
}

TEST_F(ExpectationsTest, shutdown_code_is_0_unless_another_is_expected) {
  summary_.guest_exit = ExitRecord{ExitRecord::Kind::Shutdown, 0};
  EXPECT_TRUE(evaluate().empty());
  summary_.guest_exit->code = 3;
  ASSERT_EQ(evaluate().size(), 1U);
  EXPECT_FALSE(evaluate()[0].passed);
  expect_.guest_exit_code = 3;
  EXPECT_TRUE(evaluate()[0].passed);
  summary_.guest_exit.reset();
  EXPECT_FALSE(evaluate()[0].passed) << "a guest that did not shut down gave no code";
}

}  // namespace
}  // namespace vmm::machine
