#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/observe/summary.hpp"

namespace vmm::observe {
namespace {

Summary sample_summary() {
  Summary summary;
  summary.scenario = "hello";
  summary.outcome = Outcome::Error;
  summary.exit_code = abi::ExitCode::GuestPanic;
  summary.message = "the guest panicked";
  summary.duration = std::chrono::milliseconds(7);
  summary.steps = {{.name = "a",
                    .op = "ping",
                    .status = StepStatus::Passed,
                    .duration = std::chrono::nanoseconds(5),
                    .sent = 2,
                    .replies = 1,
                    .reply = {{"x", 1}},
                    .message = ""},
                   {.name = "b", .op = "ping", .reply = {}, .message = "left out"}};
  summary.expectations = {{.kind = "metric", .subject = "m", .wanted = "9", .actual = 9, .passed = true}};
  summary.metrics["m"] = -9;
  summary.device_counters["vsock_rx"] = UINT64_MAX;
  return summary;
}

TEST(SummaryReader, what_was_written_comes_back) {
  const std::string text = to_text(to_json(sample_summary()));
  const auto read = read_summary(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->exit_code, abi::ExitCode::GuestPanic);
  EXPECT_EQ(read->steps.at(1).message, "left out");
  EXPECT_EQ(to_junit(*read), to_junit(sample_summary()));
  // The same text again: only what read_summary() leaves out may differ, and the sample_summary has none of that.
  EXPECT_EQ(to_text(to_json(*read)), text);
}

TEST(SummaryReader, what_is_no_summary_is_refused) {
  for (const char* text : {"", "[]", "{}", "null", "{\"version\": 1}"}) EXPECT_FALSE(read_summary(text)) << text;
  auto json = to_json(sample_summary());
  json["outcome"] = "splendid";
  EXPECT_FALSE(read_summary(to_text(json)));
  json = to_json(sample_summary());
  json["steps"] = {{{"name", "a"}}};
  EXPECT_THAT(read_summary(to_text(json)).error().message, testing::StartsWith("not a summary of a run: "));
}

}  // namespace
}  // namespace vmm::observe
