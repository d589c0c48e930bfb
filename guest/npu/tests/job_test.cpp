#include "guest/npu/job.hpp"

#include <gtest/gtest.h>

#include "guest/kernel/trace.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/names.hpp"
#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu {
namespace {

using abi::npu::Status;
using kernel::Outcome;
using testing::in_thread;
using testing::make_job;
using threads::WaitResult;

/// Takes jobs and keeps them until the test ends one.
class HoldingNpu final : public Npu {
 public:
  [[nodiscard]] const Info& info() const override { return info_; }
  std::expected<std::uint32_t, kernel::NamedError> register_region(std::span<std::byte>, std::uint32_t) override {
    return 0;
  }
  Outcome release_region(std::uint32_t) override { return {}; }
  Outcome submit(Job& job) override {
    begin(job);
    if (refuse) {
      take_back(job);
      return kernel::fail("npu-failed", "the test wants it");
    }
    job_header = header(job);
    return {};
  }
  void abort(Job& job) override {
    ++aborts;
    if (end_aborted) {
      finish(job, {.status = Status::Aborted});
    }
  }
  Outcome reset() override { return {}; }
  Outcome flush() override { return {}; }
  Outcome set_power(abi::npu::Power) override { return {}; }
  std::expected<abi::npu::Counters, kernel::NamedError> read_counters() override { return abi::npu::Counters{}; }
  static void complete(Job& job, const JobEnd& end = {}) { finish(job, end); }

  bool refuse = false;
  bool end_aborted = true;
  int aborts = 0;
  abi::npu::JobHeader job_header{};

 private:
  Info info_;
};

TEST(Job, has_room_for_what_was_asked_for) {
  EXPECT_EQ(Job::make(0).error(), kernel::Status::OutOfRange);
  EXPECT_EQ(Job::make(Job::kMaxCommands + 1).error(), kernel::Status::OutOfRange);
  EXPECT_TRUE(Job::make(Job::kMaxCommands));
  const auto job = make_job(2);
  EXPECT_EQ(job->add({}), kernel::Status::Ok);
  EXPECT_EQ(job->add({}), kernel::Status::Ok);
  EXPECT_EQ(job->add({}), kernel::Status::OutOfRange);
  EXPECT_EQ(job->commands().size(), 2U);
  job->clear();
  EXPECT_TRUE(job->commands().empty());
}

TEST(Job, wait_returns_when_it_ends) {
  HoldingNpu npu;
  const auto job = make_job();
  std::uint64_t waited_until = 0;
  in_thread([&] {
    ASSERT_TRUE(npu.submit(*job));
    EXPECT_TRUE(job->in_flight());
    threads::start("end", [&] {
      threads::work(5'000);
      HoldingNpu::complete(*job, {.status = Status::Type, .cycles = 7});
    });
    EXPECT_EQ(job->wait(), WaitResult::Signalled);
    waited_until = threads::now_ns();
    EXPECT_FALSE(job->in_flight());
    EXPECT_EQ(job->wait(), WaitResult::Signalled) << "of an idle one: at once";
  });
  EXPECT_EQ(job->end().status, Status::Type);
  EXPECT_EQ(job->end().cycles, 7U);
  EXPECT_EQ(job->end().ended_ns, waited_until);
  EXPECT_EQ(job->end().ended_ns - job->end().submitted_ns, 5'000U);
}

TEST(Job, wait_ends_at_its_time_and_the_job_goes_on) {
  HoldingNpu npu;
  const auto job = make_job();
  in_thread([&] {
    ASSERT_TRUE(npu.submit(*job));
    EXPECT_EQ(job->wait(threads::now_ns() + 1'000), WaitResult::TimedOut);
    EXPECT_TRUE(job->in_flight());
    HoldingNpu::complete(*job);
    EXPECT_EQ(job->wait(), WaitResult::Signalled);
  });
}

TEST(Job, may_be_freed_by_who_polls_it) {
  HoldingNpu npu;
  in_thread([&] {
    auto job = make_job();
    ASSERT_TRUE(npu.submit(*job));
    threads::start("end", [at = job.get()] { HoldingNpu::complete(*at); });
    while (job->in_flight()) {
      threads::yield();
    }
    job.reset();
  });
}

TEST(Job, may_be_submitted_again) {
  HoldingNpu npu;
  const auto job = make_job();
  in_thread([&] {
    std::uint64_t last = 0;
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(npu.submit(*job));
      HoldingNpu::complete(*job);
      EXPECT_GT(job->end().id, last);
      last = job->end().id;
      EXPECT_EQ(job->wait(), WaitResult::Signalled);
    }
  });
}

TEST(Npu, run_of_a_thread_that_is_stopped_aborts_and_waits) {
  HoldingNpu npu;
  npu.end_aborted = false;  // the end comes later
  const auto job = make_job();
  bool returned = false;
  const auto runner = threads::start("run", [&] {
    EXPECT_TRUE(npu.run(*job));
    returned = true;
    EXPECT_FALSE(job->in_flight());
  });
  in_thread([&] {
    threads::sleep_for(1'000);
    runner->request_stop();
    threads::sleep_for(1'000);
    EXPECT_EQ(npu.aborts, 1);
    EXPECT_FALSE(returned) << "the job is still in flight";
    HoldingNpu::complete(*job, {.status = Status::Aborted});
  });
  EXPECT_TRUE(returned);
  EXPECT_EQ(job->end().status, Status::Aborted);
}

TEST(Npu, a_job_that_was_not_taken_is_idle) {
  HoldingNpu npu;
  npu.refuse = true;
  const auto job = make_job();
  in_thread([&] {
    const std::uint64_t jobs = metrics().jobs.value();
    EXPECT_EQ(npu.run(*job).error().name, "npu-failed");
    EXPECT_FALSE(job->in_flight());
    EXPECT_EQ(metrics().jobs.value(), jobs);
    EXPECT_EQ(metrics().in_flight.value(), 0U);
  });
}

TEST(Npu, a_header_says_who_submits_and_what_the_options_say) {
  HoldingNpu npu;
  const auto job = make_job();
  ASSERT_EQ(job->add({}), kernel::Status::Ok);
  static sched::Server server(77, {.budget = 1'000'000, .period = 10'000'000, .deadline = 10'000'000});
  threads::admit(server);
  const auto submit = [&] {
    ASSERT_TRUE(npu.submit(*job));
    HoldingNpu::complete(*job);
  };
  in_thread(submit);
  EXPECT_EQ(npu.job_header.priority, static_cast<unsigned>(abi::npu::Priority::Normal));
  EXPECT_EQ(npu.job_header.origin, 0U);
  EXPECT_EQ(npu.job_header.commands, 1U);
  threads::start("served", submit, 0, &server);
  threads::run_until_idle();
  EXPECT_EQ(npu.job_header.priority, static_cast<unsigned>(abi::npu::Priority::High));
  EXPECT_EQ(npu.job_header.origin, 77U);
  job->options = {.priority = abi::npu::Priority::Critical,
                  .deadline_ns = JobOptions::kNoDeadline,
                  .cycle_limit = 9,
                  .at_modelled_time = true};
  in_thread(submit);
  EXPECT_EQ(npu.job_header.priority, static_cast<unsigned>(abi::npu::Priority::Critical));
  EXPECT_EQ(npu.job_header.deadline_ns, 0U);
  EXPECT_EQ(npu.job_header.cycle_limit, 9U);
  EXPECT_EQ(npu.job_header.flags, abi::npu::job_flag::kAtModelledTime);
}

TEST(Npu, counts_how_jobs_end) {
  HoldingNpu npu;
  const auto job = make_job();
  job->options.priority = abi::npu::Priority::Low;
  const auto count = [] { return job_latency(abi::npu::Priority::Low).count(); };
  in_thread([&] {
    const std::uint64_t before = count();
    const std::uint64_t faults = metrics().faults.value();
    const std::uint64_t misses = metrics().deadline_misses.value();
    for (const Status status : {Status::Ok, Status::Region, Status::Deadline, Status::Aborted}) {
      ASSERT_TRUE(npu.submit(*job));
      EXPECT_EQ(metrics().in_flight.value(), 1U);
      HoldingNpu::complete(*job, {.status = status});
    }
    EXPECT_EQ(count() - before, 4U);
    EXPECT_EQ(metrics().faults.value() - faults, 1U);
    EXPECT_EQ(metrics().deadline_misses.value() - misses, 1U);
  });
}

TEST(Names, are_those_of_the_numbers) {
  EXPECT_EQ(to_string(Status::Busy), "busy");
  EXPECT_EQ(to_string(abi::npu::Reason::CycleLimit), "cycle-limit");
  EXPECT_EQ(to_string(abi::npu::Reason::WriteOnlyRegion), "write-only-region");
  EXPECT_EQ(to_string(abi::npu::Reason{99}), "unknown");
  EXPECT_EQ(to_string(abi::npu::Priority::Critical), "critical");
  EXPECT_EQ(to_string(abi::npu::Power::Gated), "gated");
}

}  // namespace
}  // namespace guest::npu
