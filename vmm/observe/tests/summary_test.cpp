#include "vmm/observe/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/observe/metrics.hpp"

namespace vmm::observe {
namespace {

using testing::HasSubstr;
using testing::Not;

Summary sample() {
  Summary summary;
  summary.scenario = "hello";
  summary.outcome = Outcome::Failed;
  summary.exit_code = abi::ExitCode::Failed;
  summary.backend = "qemu";
  summary.steps.push_back({.name = "ping",
                           .op = "ping",
                           .status = StepStatus::Passed,
                           .duration = std::chrono::nanoseconds(1500),
                           .sent = 1,
                           .replies = 1,
                           .reply = {{"payload", "x"}},
                           .message = ""});
  summary.expectations.push_back(
      {.kind = "metric", .subject = "m", .wanted = "at most 5", .actual = 7, .passed = false});
  return summary;
}

TEST(SummaryJson, has_what_the_format_promises) {
  const auto json = to_json(sample());
  EXPECT_EQ(json["outcome"], "failed");
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["steps"][0]["status"], "passed");
  EXPECT_EQ(json["steps"][0]["duration_ns"], 1500);
  EXPECT_EQ(json["steps"][0]["reply"]["payload"], "x");
  EXPECT_EQ(json["expectations"][0]["wanted"], "at most 5");
  EXPECT_EQ(json["expectations"][0]["actual"], 7);
  EXPECT_EQ(json["expectations"][0]["status"], "failed");
  EXPECT_TRUE(json["boot_host_ns"].is_null()) << "a time that was not measured must not read as 0";
}

TEST(SummaryJson, bytes_that_are_not_utf8_are_replaced_visibly) {
  auto summary = sample();
  summary.message = "bad \xff\xfe byte";
  const auto text = to_text(to_json(summary));
  EXPECT_THAT(text, HasSubstr("bad \xef\xbf\xbd\xef\xbf\xbd byte"));
  EXPECT_EQ(nlohmann::json::parse(text)["scenario"], "hello");
}

TEST(Junit, counts_and_failures) {
  const auto xml = to_junit(sample());
  EXPECT_THAT(xml, HasSubstr(R"(<testsuite name="hello" tests="2" failures="1" errors="0" skipped="0")"));
  EXPECT_THAT(xml, HasSubstr(R"(<testcase classname="hello.steps" name="ping" time="0.000002"/>)"));
  EXPECT_THAT(xml, HasSubstr(R"(<failure message="wanted at most 5, actual 7"/>)"));
}

TEST(Junit, error_outcome_is_an_error_even_when_no_case_failed) {
  auto summary = sample();
  summary.expectations.clear();
  summary.outcome = Outcome::Error;
  summary.message = "guest panic";
  EXPECT_THAT(to_junit(summary), HasSubstr(R"(<error message="guest panic"/>)"));
}

TEST(Junit, bad_end_that_was_wanted_is_no_error_and_its_steps_no_failures) {
  auto summary = sample();
  summary.outcome = Outcome::Error;
  summary.steps[0].status = StepStatus::Failed;
  summary.expectations = {
      {.kind = kEndExpectation, .subject = "", .wanted = "panic", .actual = "panic", .passed = true}};
  EXPECT_THAT(to_junit(summary), HasSubstr(R"(tests="2" failures="0" errors="0" skipped="1")"));
  summary.expectations[0].passed = false;
  EXPECT_THAT(to_junit(summary), HasSubstr(R"(tests="3" failures="2" errors="1" skipped="0")"));
}

TEST(Junit, suite_has_a_test_suite_for_each_scenario_and_the_sums) {
  SuiteCase failed{.name = "one", .duration = std::chrono::seconds(2), .summary = sample(), .message = ""};
  SuiteCase skipped{.name = "two", .summary = std::nullopt, .skipped = true, .message = "there is no /dev/kvm"};
  SuiteCase broken{.name = "three", .summary = std::nullopt, .message = "three.yaml:1:1: found <nothing>"};
  const auto xml = to_junit("configs", {failed, skipped, broken});
  EXPECT_THAT(xml, HasSubstr(R"(<testsuites name="configs" tests="4" failures="1" errors="1" skipped="1" time="2.0)"));
  EXPECT_THAT(xml, HasSubstr(R"(<testsuite name="one" tests="2" failures="1" errors="0" skipped="0" time="2.0)"));
  EXPECT_THAT(xml, HasSubstr(R"(<testcase classname="one.steps" name="ping")"));
  EXPECT_THAT(xml, HasSubstr(R"(<skipped message="there is no /dev/kvm"/>)"));
  EXPECT_THAT(xml, HasSubstr(R"(<error message="three.yaml:1:1: found &lt;nothing&gt;"/>)"));
}

TEST(Junit, hostile_text_is_escaped_and_replaced) {
  auto summary = sample();
  summary.steps[0].status = StepStatus::Failed;
  summary.steps[0].message = "<&\"> \x01\x1b \xff \xc0\x80 \xed\xa0\x80 \xef\xbf\xbf \xc3\xa9\n";
  const auto xml = to_junit(summary);
  EXPECT_THAT(xml, HasSubstr("&lt;&amp;&quot;&gt; \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd "));
  EXPECT_THAT(xml, HasSubstr("\xc3\xa9&#10;"));
  EXPECT_THAT(xml, Not(HasSubstr("\x01")));
  EXPECT_THAT(xml, Not(HasSubstr("\xff")));
  EXPECT_THAT(xml, Not(HasSubstr("\xed\xa0")));
}

TEST(Metrics, last_value_counts_and_names_are_bounded) {
  MetricStore metrics;
  metrics.set("a", 1);
  metrics.set("a", 2);
  EXPECT_EQ(metrics.get("a"), 2);
  EXPECT_EQ(metrics.get("b"), std::nullopt);
  for (std::size_t i = 0; i < MetricStore::kMaxMetrics + 5; ++i) metrics.set("m" + std::to_string(i), 0);
  EXPECT_EQ(metrics.all().size(), MetricStore::kMaxMetrics);
  EXPECT_EQ(metrics.dropped(), 6U);
  metrics.set("a", 3);
  EXPECT_EQ(metrics.get("a"), 3) << "a full store still updates";
}

}  // namespace
}  // namespace vmm::observe
