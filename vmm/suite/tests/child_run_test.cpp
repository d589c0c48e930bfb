#include "vmm/suite/child_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

namespace vmm::suite {
namespace {

using testing::HasSubstr;

/// A shell in the place of sisvmm.
class ChildRunTest : public testing::Test {
 protected:
  /// @param ready is there when the script is as far as to be interrupted; empty: at once
  ChildResult run(const std::string& script, unsigned interrupts = 0, const std::filesystem::path& ready = {}) {
    ChildResult ended;
    auto child = ChildRun::start(*loop_, {"/bin/sh", "-c", script}, [&](ChildResult result) {
      ended = std::move(result);
      loop_->stop();
    });
    EXPECT_TRUE(child);
    while (!ready.empty() && !exists(ready)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (unsigned i = 0; i < interrupts; ++i) (*child)->interrupt();
    EXPECT_TRUE(loop_->run());
    return ended;
  }

  static std::string printing(const observe::Summary& summary) {
    return "cat <<'END'\n" + observe::to_text(observe::to_json(summary)) + "END\n";
  }

  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create());
};

TEST_F(ChildRunTest, summary_that_it_prints_is_what_came_of_it) {
  observe::Summary summary;
  summary.scenario = "s";
  summary.message = "step a: why";
  const auto ended = run("echo other words >&2\n" + printing(summary) + "exit 1");
  EXPECT_EQ(ended.exit_code, 1);
  ASSERT_TRUE(ended.summary);
  EXPECT_EQ(ended.summary->scenario, "s");
  EXPECT_EQ(ended.message, "step a: why");
  EXPECT_GT(ended.duration.count(), 0);
}

TEST_F(ChildRunTest, without_summary_its_words_are_the_message) {
  const auto ended = run("echo 'sisvmm: x.yaml:1:1: found 99' >&2; echo 'x.yaml:2:1: too' >&2; exit 2");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_FALSE(ended.summary);
  EXPECT_EQ(ended.message, "x.yaml:1:1: found 99\nx.yaml:2:1: too");
}

TEST_F(ChildRunTest, success_without_a_summary_is_none) {
  const auto ended = run("echo '{}'; exit 0");
  EXPECT_EQ(ended.exit_code, 7);
  EXPECT_THAT(ended.message, HasSubstr("not a summary of a run"));
}

TEST_F(ChildRunTest, killed_process_is_an_internal_error) {
  const auto ended = run("kill -9 $$");
  EXPECT_EQ(ended.exit_code, 7);
  EXPECT_THAT(ended.message, HasSubstr("was killed by signal 9"));
}

TEST_F(ChildRunTest, interrupt_asks_and_the_third_kills) {
  EXPECT_THAT(run("exec sleep 100", 1).message, HasSubstr("was killed by signal 2"));
  std::string folder = (std::filesystem::temp_directory_path() / "child-run-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string ready = folder + "/ready";
  EXPECT_THAT(run("trap '' INT; >" + ready + "; sleep 100", 3, ready).message, HasSubstr("was killed by signal 9"));
  std::filesystem::remove_all(folder);
}

TEST_F(ChildRunTest, program_that_is_not_there_is_an_error) {
  EXPECT_FALSE(ChildRun::start(*loop_, {"/no/such/program"}, [](const ChildResult&) {}));
}

}  // namespace
}  // namespace vmm::suite
