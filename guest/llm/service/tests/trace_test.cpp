// What the kernel's trace tells of requests.
#include "guest/kernel/trace.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "guest/kernel/testing/arena.hpp"
#include "guest/llm/service/testing/bench.hpp"

namespace guest::llm {
namespace {

using kernel::TraceEvent;
using kernel::TraceType;
using testing::Bench;
using testing::in_thread;
using testing::kStepNs;

constexpr std::uint64_t kGigabyte = std::uint64_t{1} << 30;

/// The kernel's trace, on while this lives.
class ServiceTrace : public ::testing::Test {
 protected:
  ServiceTrace() {
    // For ever: the kernel's trace keeps its rings until the program ends.
    static kernel::testing::Arena* const memory = new kernel::testing::Arena(kGigabyte, 16 * 1024 * 1024);
    static kernel::PageAllocator* const pages = [] {
      auto* const made = new kernel::PageAllocator(memory->map());
      const kernel::PhysRange range = memory->range();
      EXPECT_EQ(made->add_memory({&range, 1}, {}), kernel::Status::Ok);
      return made;
    }();
    static TestClock clock;
    EXPECT_TRUE(kernel::trace().reserve(*pages, clock, 1));
    kernel::trace().clear();
    kernel::trace().set_on(true);
  }
  ~ServiceTrace() override {
    kernel::trace().set_on(false);
    kernel::trace().clear();
  }
  /// Those of the service and of the NPU, oldest first.
  static std::vector<TraceEvent> events() {
    std::vector<TraceEvent> found;
    kernel::TraceReader reader(kernel::trace());
    for (TraceEvent event{}; reader.next(event);) {
      if (event.type >= TraceType::NpuSubmit && event.type <= TraceType::LlmDue) {
        found.push_back(event);
      }
    }
    std::ranges::reverse(found);
    return found;
  }
  static std::size_t ends(StopReason reason) {
    return static_cast<std::size_t>(std::ranges::count_if(events(), [reason](const TraceEvent& event) {
      return event.type == TraceType::LlmEnd && event.arguments[0] == static_cast<std::uint64_t>(reason);
    }));
  }

 private:
  class TestClock final : public kernel::Clock {
   public:
    [[nodiscard]] std::uint64_t now_ns() const override { return threads::now_ns(); }
    [[nodiscard]] std::uint64_t resolution_ns() const override { return 1; }
  };
};

/// "llm-end 2 1 3": its name and its arguments, but 0 for a job's id, which counts on from test to test, and for times.
std::string words_of(const TraceEvent& event) {
  const bool varies = event.type == TraceType::LlmStep || event.type == TraceType::LlmToken;
  const std::uint64_t third = varies ? 0 : event.arguments[2];
  return std::string(kernel::describe(event.type).name) + " " + std::to_string(event.arguments[0]) + " " +
         std::to_string(event.arguments[1]) + " " + std::to_string(third);
}

TEST_F(ServiceTrace, has_a_request_from_its_submission_to_its_end_with_its_steps) {
  std::uint64_t submitted_ns = 0;
  std::uint64_t finished_ns = 0;
  in_thread([&] {
    Bench bench({.step_tokens = 3});
    const RequestId id = bench.submit({.model = "tiny", .max_tokens = 3, .priority = 6});  // a prompt of 5 tokens
    const RequestStatus status = bench.wait_for_end(id);
    submitted_ns = status.submitted_ns;
    finished_ns = status.finished_ns;
  });
  std::vector<std::string> told;
  for (const TraceEvent& event : events()) {
    if (event.type >= TraceType::LlmSubmit) {
      told.push_back(words_of(event));
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"llm-submit 6 1 3", "llm-step 3 1 0", "llm-step 2 1 0", "llm-token 1 1 0",
                                            "llm-step 1 1 0", "llm-token 2 1 0", "llm-step 1 1 0", "llm-token 3 1 0",
                                            "llm-end 2 1 3"}));
  EXPECT_EQ(events().front().time_ns, submitted_ns);
  EXPECT_EQ(events().back().time_ns, finished_ns);
}

TEST_F(ServiceTrace, names_the_job_of_each_step) {
  in_thread([] {
    Bench bench;
    const RequestId first = bench.submit({.model = "tiny", .max_tokens = 4});
    const RequestId second = bench.submit({.model = "tiny", .max_tokens = 4});
    bench.wait_for_end(first);
    bench.wait_for_end(second);
  });
  std::vector<std::uint64_t> submitted;
  std::vector<std::uint64_t> ended;
  std::vector<std::uint64_t> named;
  for (const TraceEvent& event : events()) {
    if (event.type == TraceType::NpuSubmit) {
      submitted.push_back(event.arguments[1]);
    } else if (event.type == TraceType::NpuEnd) {
      ended.push_back(event.arguments[1]);
    } else if (event.type == TraceType::LlmStep) {
      named.push_back(event.arguments[2]);
      EXPECT_EQ(named, ended) << "a step is told before its job has ended";
    }
  }
  EXPECT_EQ(named.size(), 8U);
  EXPECT_EQ(named, submitted);
}

TEST_F(ServiceTrace, says_when_each_token_came) {
  std::uint64_t submitted_ns = 0;
  in_thread([&] {
    Bench bench;
    submitted_ns = bench.wait_for_end(bench.submit({.model = "tiny", .max_tokens = 3})).submitted_ns;
  });
  std::vector<std::uint64_t> steps;
  for (const TraceEvent& event : events()) {
    if (event.type == TraceType::LlmToken) {
      steps.push_back((event.arguments[2] - submitted_ns) / kStepNs);
    }
  }
  EXPECT_EQ(steps, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(ServiceTrace, has_as_many_missed_deadlines_as_are_counted_and_audited) {
  in_thread([] {
    Bench bench({.in_flight = 1});
    RequestOptions options{.model = "tiny", .max_tokens = 8};
    for (const std::uint64_t deadline_ns : {3 * kStepNs, 100 * kStepNs, 2 * kStepNs, kStepNs / 2}) {
      options.deadline_ns = deadline_ns;
      bench.wait_for_end(bench.submit(options));
    }
    // One ends while it waits, the other one by its owner.
    const RequestId running = bench.submit({.model = "tiny", .max_tokens = 50});
    options.deadline_ns = 4 * kStepNs;
    bench.wait_for_end(bench.submit(options));
    EXPECT_TRUE(bench->cancel({.owner = 1}, running));
    bench.wait_for_end(running);
    EXPECT_EQ(bench->statistics().deadline_misses, 4U);
    EXPECT_EQ(std::ranges::count(bench.journal.lines, "end deadline 4"), 4);
  });
  EXPECT_EQ(ends(StopReason::Deadline), 4U);
  EXPECT_EQ(ends(StopReason::Length), 1U);
  EXPECT_EQ(ends(StopReason::Cancelled), 1U);
}

}  // namespace
}  // namespace guest::llm
