#include "guest/npu/cpu_accelerator.hpp"

#include <gtest/gtest.h>

#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu {
namespace {

using abi::npu::Power;
using abi::npu::Reason;
using abi::npu::Status;
using testing::doubling;
using testing::in_thread;
using testing::kReadWrite;
using testing::make_job;
using testing::nothing;
using testing::Numbers;

/// What a kernel of the next one does.
std::function<void()> while_a_unit_runs;

/// Kernels that take 10 us of the fake CPU for each unit, then compute.
const ::npu::KernelSet& slow_kernels() {
  static const ::npu::KernelSet set = [] {
    ::npu::KernelSet slow = ::npu::scalar_kernels();
    slow.name = "slow";
    slow.kernels[static_cast<unsigned>(abi::npu::Opcode::Add)] = [](const ::npu::Checked& command, ::npu::Units units) {
      threads::work(10'000);
      if (while_a_unit_runs) {
        while_a_unit_runs();
      }
      return ::npu::scalar_kernels().kernels[static_cast<unsigned>(abi::npu::Opcode::Add)](command, units);
    };
    return slow;
  }();
  return set;
}

class Cpu : public ::testing::Test {
 protected:
  ~Cpu() override { while_a_unit_runs = nullptr; }
  /// A job of `commands` additions.
  std::unique_ptr<Job> additions(unsigned commands) {
    auto job = make_job(commands);
    for (unsigned i = 0; i < commands; ++i) {
      EXPECT_EQ(job->add(doubling(in_handle, out_handle)), kernel::Status::Ok);
    }
    return job;
  }
  /// In a thread: regions are registered, then `body`.
  void in_test_thread(const std::function<void()>& body) {
    in_thread([&] {
      in_handle = npu.register_region(in.bytes(), abi::npu::region_flag::kRead).value();
      out_handle = npu.register_region(out.bytes(), kReadWrite).value();
      body();
    });
  }
  std::uint64_t counter(abi::Le64 abi::npu::Counters::* member) { return (*npu.read_counters()).*member; }

  CpuAccelerator npu{slow_kernels()};
  Numbers in;
  Numbers out;
  std::uint32_t in_handle = 0;
  std::uint32_t out_handle = 0;
};

TEST_F(Cpu, computes_and_says_what_it_cost) {
  in_test_thread([&] {
    in.values[3] = 21;
    const auto job = additions(2);
    ASSERT_TRUE(npu.run(*job));
    EXPECT_TRUE(job->end().ok());
    EXPECT_EQ(out.values[3], 42.0F);
    // 64 elements: 768 bytes in 12 cycles, 4 for computing, and 100 for the start.
    EXPECT_EQ(job->end().cycles, 2 * 112U);
    EXPECT_EQ(job->end().run_ns, 2 * 10'000U);
    EXPECT_EQ(counter(&abi::npu::Counters::commands), 2U);
    EXPECT_EQ(counter(&abi::npu::Counters::busy_cycles), 2 * 112U);
    EXPECT_EQ(counter(&abi::npu::Counters::bytes_written), 2 * 256U);
    EXPECT_EQ(counter(&abi::npu::Counters::jobs_submitted), 1U);
    EXPECT_EQ(npu.read_counters()->jobs_by_status[0], 1U);
  });
}

TEST_F(Cpu, a_job_without_commands_ends_well) {
  in_test_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(npu.run(*job));
    EXPECT_TRUE(job->end().ok());
    EXPECT_EQ(job->end().cycles, 0U);
  });
}

TEST_F(Cpu, refuses_what_the_device_refuses_before_anything_runs) {
  in_test_thread([&] {
    const auto job = additions(1);
    ASSERT_EQ(job->options.priority, std::nullopt);
    auto bad = make_job(2);
    (void)bad->add(doubling(in_handle, out_handle));
    (void)bad->add(doubling(in_handle, in_handle));  // may not be written
    while_a_unit_runs = [] { FAIL() << "nothing runs"; };
    ASSERT_TRUE(npu.run(*bad));
    EXPECT_EQ(bad->end().status, Status::Region);
    EXPECT_EQ(bad->end().reason, Reason::ReadOnlyRegion);
    EXPECT_EQ(bad->end().command, 1U);
    EXPECT_EQ(bad->end().stream_offset, sizeof(abi::npu::Command) + 16 + 8);
    job->options.cycle_limit = 100;
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().reason, Reason::CycleLimit);
    EXPECT_EQ(npu.read_counters()->jobs_by_status[static_cast<unsigned>(Status::Budget)], 1U);
  });
}

TEST_F(Cpu, abort_ends_a_job_after_the_unit_that_runs) {
  in_test_thread([&] {
    const auto job = additions(3);
    while_a_unit_runs = [&] { npu.abort(*job); };
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().status, Status::Aborted);
    EXPECT_EQ(job->end().command, 1U);
    EXPECT_EQ(job->end().cycles, 112U);
  });
}

TEST_F(Cpu, a_deadline_ends_a_job) {
  in_test_thread([&] {
    const auto job = additions(3);
    job->options.deadline_ns = 15'000;
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().status, Status::Deadline);
    EXPECT_EQ(job->end().command, 2U);
    job->options.deadline_ns = 30'000;
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().reason, Reason::DeadlinePassed) << "the last command ends when it has come";
    EXPECT_EQ(job->end().command, abi::npu::kNoCommand);
    job->options.deadline_ns = 30'001;
    ASSERT_TRUE(npu.run(*job));
    EXPECT_TRUE(job->end().ok());
  });
}

TEST_F(Cpu, a_thread_that_is_stopped_gives_its_job_up) {
  in_test_thread([&] {
    const auto job = additions(3);
    while_a_unit_runs = [] { threads::current_thread().request_stop(); };
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().status, Status::Aborted);
  });
}

TEST_F(Cpu, at_modelled_time_each_command_takes_its_cycles) {
  in_test_thread([&] {
    const auto job = make_job(2);
    (void)job->add(nothing());
    (void)job->add(nothing());
    job->options.at_modelled_time = true;
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().run_ns, 2 * 100U);
  });
}

TEST_F(Cpu, an_abort_reaches_a_job_that_waits_for_the_model) {
  in_test_thread([&] {
    const auto job = make_job(1);
    (void)job->add(nothing());
    job->options.at_modelled_time = true;
    threads::start("abort", [&] { npu.abort(*job); });
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().status, Status::Aborted);
  });
}

TEST_F(Cpu, gated_jobs_wait_and_their_deadlines_pass) {
  in_test_thread([&] {
    ASSERT_TRUE(npu.set_power(Power::Gated));
    const auto job = additions(1);
    job->options.deadline_ns = 50'000;
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().status, Status::Deadline);
    EXPECT_EQ(job->end().run_ns, 50'000U);
    job->options.deadline_ns = 0;
    threads::start("on", [&] { EXPECT_TRUE(npu.set_power(Power::On)); });
    ASSERT_TRUE(npu.run(*job));
    EXPECT_TRUE(job->end().ok());
  });
}

TEST_F(Cpu, without_power_jobs_and_regions_are_refused_but_regions_are_kept) {
  in_test_thread([&] {
    const auto job = additions(1);
    ASSERT_TRUE(npu.set_power(Power::Off));
    ASSERT_TRUE(npu.run(*job));
    EXPECT_EQ(job->end().reason, Reason::PowerOff);
    const auto refused = npu.register_region(in.bytes(), kReadWrite);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().name, "npu-refused");
    EXPECT_EQ(refused.error().detail.view(), "a region was refused: reset, power-off");
    ASSERT_TRUE(npu.set_power(Power::On));
    ASSERT_TRUE(npu.run(*job));
    EXPECT_TRUE(job->end().ok());
  });
}

TEST_F(Cpu, reset_ends_a_job_that_runs) {
  in_test_thread([&] {
    const auto job = additions(100);
    while_a_unit_runs = [] { threads::yield(); };
    const auto other = threads::start("job", [&] { EXPECT_TRUE(npu.run(*job)); });
    threads::sleep_for(25'000);
    ASSERT_TRUE(npu.reset());
    EXPECT_EQ(counter(&abi::npu::Counters::jobs_in_flight), 0U);
    other->join();
    EXPECT_EQ(job->end().reason, Reason::DeviceReset);
    EXPECT_LT(job->end().command, 10U);
  });
}

TEST_F(Cpu, reset_ends_a_job_that_waits_and_handles_stay) {
  in_test_thread([&] {
    const auto job = additions(1);
    ASSERT_TRUE(npu.set_power(Power::Gated));
    const auto waiting = threads::start("waiting", [&] { EXPECT_TRUE(npu.run(*job)); });
    threads::sleep_for(1'000);
    EXPECT_TRUE(job->in_flight());
    EXPECT_EQ(counter(&abi::npu::Counters::jobs_in_flight), 1U);
    EXPECT_EQ(npu.release_region(in_handle).error().name, "npu-refused") << "a job names it";
    ASSERT_TRUE(npu.reset());
    EXPECT_EQ(counter(&abi::npu::Counters::jobs_in_flight), 0U);
    waiting->join();
    EXPECT_EQ(job->end().status, Status::Reset);
    EXPECT_EQ(job->end().reason, Reason::DeviceReset);
    EXPECT_TRUE(npu.release_region(in_handle));
  });
}

TEST_F(Cpu, flush_waits_for_the_jobs_that_came_before) {
  in_test_thread([&] {
    const auto job = additions(3);
    const auto other = threads::start("job", [&] { EXPECT_TRUE(npu.run(*job)); });
    ASSERT_TRUE(npu.set_power(Power::Gated));
    threads::sleep_for(1'000);
    ASSERT_TRUE(job->in_flight());
    threads::start("on", [&] {
      threads::sleep_for(5'000);
      EXPECT_TRUE(npu.set_power(Power::On));
    });
    ASSERT_TRUE(npu.flush());
    EXPECT_FALSE(job->in_flight());
    other->join();
  });
}

TEST_F(Cpu, idle_time_is_that_without_a_job) {
  in_test_thread([&] {
    const std::uint64_t before = counter(&abi::npu::Counters::idle_ns);
    const auto job = additions(1);
    ASSERT_TRUE(npu.run(*job));
    threads::work(700);
    EXPECT_EQ(counter(&abi::npu::Counters::idle_ns) - before, 700U);
  });
}

}  // namespace
}  // namespace guest::npu
