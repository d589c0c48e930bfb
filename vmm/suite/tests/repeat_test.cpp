#include "vmm/suite/repeat.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace vmm::suite {
namespace {

namespace fs = std::filesystem;
using observe::Outcome;
using testing::ElementsAre;

/// A shell in the place of sisvmm.
class RepeatTest : public testing::Test, public RepeatListener {
 protected:
  RepeatTest() {
    std::string name = (fs::temp_directory_path() / "repeat-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~RepeatTest() override { fs::remove_all(folder_); }

  void on_run_ended(const RepeatedRun& run) override {
    codes_.push_back(run.exit_code);
    if (codes_.size() == interrupt_after_) repeat_->interrupt();
  }

  /// A run that prints `summary` and writes it where sisvmm does.
  static std::string run_of(const observe::Summary& summary) {
    return "mkdir -p run; cat >run/summary.json <<'END'\n" + observe::to_text(observe::to_json(summary)) +
           "END\ncat run/summary.json; exit " + std::to_string(static_cast<int>(summary.exit_code));
  }

  static observe::Summary summary_with(Outcome outcome, int exit_code) {
    observe::Summary summary;
    summary.scenario = "s";
    summary.outcome = outcome;
    summary.exit_code = static_cast<abi::ExitCode>(exit_code);
    summary.steps = {{.name = "a",
                      .op = "ping",
                      .status = observe::StepStatus::Passed,
                      .duration = std::chrono::nanoseconds(9),
                      .reply = {},
                      .message = ""},
                     {.name = "b", .op = "ping", .status = observe::StepStatus::Failed, .reply = {}, .message = "no"}};
    summary.metrics["m"] = 5;
    summary.device_counters["c"] = 6;
    return summary;
  }

  Result<> run(unsigned runs, const std::string& script, bool until_failure = false) {
    const auto loop = std::move(*EventLoop::create());
    Repeat repeat(*loop,
                  {.runs = runs,
                   .until_failure = until_failure,
                   .folder = folder_,
                   .arguments = {"/bin/sh", "-c", "cd " + folder_.string() + "\n" + script}},
                  *this);
    repeat_ = &repeat;
    auto ran = repeat.run();
    exit_code_ = repeat.exit_code();
    json_ = to_json(repeat);
    repeat_ = nullptr;
    return ran;
  }

  fs::path folder_;
  Repeat* repeat_ = nullptr;
  std::vector<int> codes_;
  std::size_t interrupt_after_ = 0;
  int exit_code_ = 0;
  nlohmann::ordered_json json_;
};

TEST_F(RepeatTest, figures_are_of_all_runs) {
  ASSERT_TRUE(run(3, run_of(summary_with(Outcome::Passed, 0))));
  EXPECT_EQ(exit_code_, 0);
  EXPECT_EQ(json_["outcomes"]["passed"], 3);
  EXPECT_EQ(json_["steps_ns"]["a"].dump(), R"({"count":3,"min":9,"median":9,"max":9})");
  EXPECT_FALSE(json_["steps_ns"].contains("b")) << "a step that failed was not measured";
  EXPECT_EQ(json_["metrics"]["m"]["median"], 5);
  EXPECT_EQ(json_["metrics"]["c"]["max"], 6);
  EXPECT_EQ(json_["results"].size(), 3U);
}

TEST_F(RepeatTest, runs_that_do_not_pass_keep_their_files_and_the_worst_decides) {
  const std::string fails = run_of(summary_with(Outcome::Failed, 1));
  const std::string panics = run_of(summary_with(Outcome::Error, 4));
  ASSERT_TRUE(run(3, "echo >>n; case $(wc -l <n) in 1) " + fails + ";; 2) " + panics + ";; esac\n" +
                         run_of(summary_with(Outcome::Passed, 0))));
  EXPECT_THAT(codes_, ElementsAre(1, 4, 0));
  EXPECT_EQ(exit_code_, 4);
  EXPECT_TRUE(fs::exists(folder_ / "failed-1/summary.json"));
  EXPECT_EQ(json_["results"][1]["run_dir"], (folder_ / "failed-2").string());
  EXPECT_TRUE(fs::exists(folder_ / "run/summary.json")) << "of the last one";
}

TEST_F(RepeatTest, what_an_earlier_repetition_kept_is_removed_and_nothing_else) {
  fs::create_directories(folder_ / "failed-9");
  std::ofstream(folder_ / "failed-9/summary.json") << "{}";
  fs::create_directories(folder_ / "failed-mine");
  ASSERT_TRUE(run(1, run_of(summary_with(Outcome::Passed, 0))));
  EXPECT_FALSE(fs::exists(folder_ / "failed-9"));
  EXPECT_TRUE(fs::exists(folder_ / "failed-mine"));
}

TEST_F(RepeatTest, until_failure_stops_at_the_first) {
  ASSERT_TRUE(run(3, run_of(summary_with(Outcome::Failed, 1)), true));
  EXPECT_THAT(codes_, ElementsAre(1));
  EXPECT_EQ(json_["wanted_runs"], 3);
}

TEST_F(RepeatTest, bad_end_that_is_meant_has_passed) {
  observe::Summary summary = summary_with(Outcome::Error, 4);
  summary.steps.clear();
  summary.expectations.push_back({observe::kEndExpectation, "", "panic", "panic", true});
  ASSERT_TRUE(run(2, run_of(summary), true));
  EXPECT_THAT(codes_, ElementsAre(4, 4));
  EXPECT_EQ(exit_code_, 0);
  EXPECT_EQ(json_["outcomes"]["passed"], 2);
  EXPECT_FALSE(fs::exists(folder_ / "failed-1"));
}

TEST_F(RepeatTest, run_that_could_not_be_started_is_the_last_and_leaves_what_the_others_came_to) {
  const std::string passes = run_of(summary_with(Outcome::Passed, 0));
  const auto ran =
      run(3, "echo >>n; [ $(wc -l <n) = 2 ] && { echo 'sisvmm: s.yaml: not there' >&2; exit 2; }\n" + passes);
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().message, "s.yaml: not there");
  EXPECT_EQ(ran.error().exit_code, abi::ExitCode::Usage);
  EXPECT_THAT(codes_, ElementsAre(0));
  EXPECT_EQ(exit_code_, 2);
  EXPECT_EQ(json_["metrics"]["m"]["count"], 1);
}

TEST_F(RepeatTest, run_that_this_host_cannot_make_is_the_last) {
  const auto ran = run(3, run_of(summary_with(Outcome::Error, 3)));
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().exit_code, abi::ExitCode::HostLacks);
  EXPECT_TRUE(codes_.empty());
}

TEST_F(RepeatTest, interrupted_makes_no_more_runs) {
  interrupt_after_ = 2;
  ASSERT_TRUE(run(5, run_of(summary_with(Outcome::Passed, 0))));
  EXPECT_EQ(codes_.size(), 2U);
  EXPECT_EQ(exit_code_, 130);
}

}  // namespace
}  // namespace vmm::suite
