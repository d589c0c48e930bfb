#include "vmm/suite/suite.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmm::suite {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

observe::Summary summary_with(observe::Outcome outcome) {
  observe::Summary summary;
  summary.scenario = "s";
  summary.outcome = outcome;
  return summary;
}

/// A shell in the place of sisvmm.
Item item(const std::string& name, const std::string& script) {
  return {.name = name, .file = name + ".yaml", .run_dir = "runs/" + name, .arguments = {"/bin/sh", "-c", script}};
}

Item ending(const std::string& name, observe::Outcome outcome, int code) {
  const std::string text = observe::to_text(observe::to_json(summary_with(outcome)));
  return item(name, "cat <<'END'\n" + text + "END\nexit " + std::to_string(code));
}

class SuiteTest : public testing::Test, public SuiteListener {
 protected:
  void on_ended(const Item& item, const ItemResult& result) override {
    ended_.push_back(item.name + ' ' + to_string(result.verdict));
    if (suite_ != nullptr) most_ = std::max(most_, suite_->running().size() + 1);
    if (item.name == interrupt_after_) suite_->interrupt();
  }

  /// The exit code.
  int run(std::vector<Item> items, unsigned jobs = 1) {
    const auto loop = std::move(*EventLoop::create());
    Suite suite(*loop, std::move(items), jobs, *this);
    suite_ = &suite;
    EXPECT_TRUE(suite.run());
    json_ = to_json(suite);
    junit_ = observe::to_junit("s", to_cases(suite));
    suite_ = nullptr;
    return suite.exit_code();
  }

  Suite* suite_ = nullptr;
  std::vector<std::string> ended_;
  std::size_t most_ = 0;
  std::string interrupt_after_;
  nlohmann::ordered_json json_;
  std::string junit_;
};

TEST_F(SuiteTest, all_that_passed_give_0_in_their_order) {
  EXPECT_EQ(run({ending("a", observe::Outcome::Passed, 0), ending("b", observe::Outcome::Passed, 0)}), 0);
  EXPECT_THAT(ended_, ElementsAre("a passed", "b passed"));
  EXPECT_EQ(most_, 1U);
  EXPECT_EQ(json_["passed"], 2);
  EXPECT_EQ(json_["scenarios"][1]["file"], "b.yaml");
}

TEST_F(SuiteTest, as_many_run_at_a_time_as_are_wanted) {
  // Each waits for the other, so one after the other they would never end.
  const std::string folder = ::testing::TempDir() + "suite-" + std::to_string(::getpid());
  const auto meets = [&](const std::string& own, const std::string& other) {
    return item(own, "touch " + folder + own + "; while ! test -e " + folder + other + "; do sleep 0.01; done; exit 2");
  };
  EXPECT_EQ(run({meets("a", "b"), meets("b", "a")}, 2), 2);
  EXPECT_EQ(most_, 2U);
  for (const char* name : {"a", "b"}) std::remove((folder + name).c_str());
}

TEST_F(SuiteTest, worst_outcome_decides) {
  EXPECT_EQ(run({ending("panic", observe::Outcome::Error, 4), ending("failed", observe::Outcome::Failed, 1),
                 ending("passed", observe::Outcome::Passed, 0)}),
            4);
  EXPECT_THAT(ended_, ElementsAre("panic error", "failed failed", "passed passed"));
  EXPECT_THAT(junit_, HasSubstr(R"(<testsuites name="s" tests="3" failures="0" errors="2" skipped="0")"));
}

TEST_F(SuiteTest, bad_end_that_is_meant_has_passed) {
  auto summary = summary_with(observe::Outcome::Error);
  summary.expectations = {
      {.kind = observe::kEndExpectation, .subject = "", .wanted = "panic", .actual = "panic", .passed = true}};
  const std::string text = observe::to_text(observe::to_json(summary));
  EXPECT_EQ(run({item("panic", "cat <<'END'\n" + text + "END\nexit 4")}), 0);
  EXPECT_THAT(ended_, ElementsAre("panic passed"));
}

TEST_F(SuiteTest, what_this_host_cannot_run_is_skipped_with_its_reason) {
  const auto lacking = item("kvm", "echo 'sisvmm: there is no /dev/kvm' >&2; exit 3");
  EXPECT_EQ(run({lacking, ending("a", observe::Outcome::Passed, 0)}), 0);
  EXPECT_EQ(json_["skipped"], 1);
  EXPECT_EQ(json_["scenarios"][0]["message"], "there is no /dev/kvm");
  EXPECT_THAT(junit_, HasSubstr(R"(<skipped message="there is no /dev/kvm"/>)"));
  EXPECT_EQ(run({lacking}), 3) << "nothing was tested: that is no success";
}

TEST_F(SuiteTest, interrupted_starts_no_more) {
  interrupt_after_ = "a";
  EXPECT_EQ(run({ending("a", observe::Outcome::Passed, 0), item("b", "exit 0"), item("c", "exit 0")}), 130);
  EXPECT_THAT(ended_, ElementsAre("a passed", "b skipped", "c skipped"));
}

TEST_F(SuiteTest, program_that_cannot_be_started_is_an_error) {
  EXPECT_EQ(run({Item{.name = "a", .file = "a", .run_dir = "a", .arguments = {"/no/such/program"}}}), 3);
  EXPECT_THAT(ended_, ElementsAre("a error"));
}

TEST(WorseExitCode, follows_the_order_of_the_documentation) {
  EXPECT_EQ(worse_exit_code(0, 1), 1);
  EXPECT_EQ(worse_exit_code(4, 1), 4);
  EXPECT_EQ(worse_exit_code(6, 5), 5);
  EXPECT_EQ(worse_exit_code(130, 7), 130);
  EXPECT_EQ(worse_exit_code(99, 130), 99);
}

}  // namespace
}  // namespace vmm::suite
