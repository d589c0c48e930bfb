// A device that loses interrupts, is slow, or does not answer.
#include <gtest/gtest.h>

#include "fake_npu.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu::testing {
namespace {

using threads::WaitResult;
constexpr std::uint64_t kMs = 1'000'000;

class DeviceFailure : public DeviceFixture {
 protected:
  /// What has been counted since the test began.
  [[nodiscard]] std::uint64_t lost() const { return metrics().lost_interrupts.value() - lost_before_; }
  [[nodiscard]] std::uint64_t resets() const { return metrics().resets.value() - resets_before_; }
  [[nodiscard]] std::uint64_t overdue() const { return metrics().overdue.value() - overdue_before_; }
  void expect_failed() {
    in_thread([&] {
      const auto job = make_job();
      EXPECT_EQ(driver->run(*job).error().name, "npu-failed");
      Numbers numbers;
      EXPECT_EQ(driver->register_region(numbers.bytes(), kReadWrite).error().name, "npu-failed");
      EXPECT_EQ(driver->reset().error().name, "npu-failed");
      EXPECT_EQ(driver->read_counters().error().name, "npu-failed");
      EXPECT_EQ(driver->set_power(abi::npu::Power::On).error().name, "npu-failed");
      EXPECT_TRUE(driver->flush());
      driver->abort(*job);
    });
    EXPECT_FALSE(device.live);
  }

 private:
  std::uint64_t lost_before_ = metrics().lost_interrupts.value();
  std::uint64_t resets_before_ = metrics().resets.value();
  std::uint64_t overdue_before_ = metrics().overdue.value();
};

TEST_F(DeviceFailure, a_lost_interrupt_is_found) {
  start_driver();
  in_thread([&] {
    device.drops_interrupts = 1;
    const auto job = make_job();
    const std::uint64_t begin = threads::now_ns();
    ASSERT_TRUE(driver->run(*job));
    EXPECT_TRUE(job->end().ok());
    EXPECT_LE(threads::now_ns() - begin, DeviceAccelerator::kFirstLookNs + DeviceAccelerator::kSettleNs + kMs);
    EXPECT_EQ(lost(), 1U);
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(lost(), 1U);
  });
}

TEST_F(DeviceFailure, a_late_interrupt_is_not_a_lost_one) {
  start_driver();
  in_thread([&] {
    device.drops_interrupts = 1;
    device.job_ns = DeviceAccelerator::kFirstLookNs - kMs;
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    threads::sleep_for(DeviceAccelerator::kFirstLookNs + kMs);  // the result is there, and it was looked at
    EXPECT_TRUE(job->in_flight());
    device.interrupt();
    EXPECT_FALSE(job->in_flight());
  });
  EXPECT_EQ(lost(), 0U);
}

TEST_F(DeviceFailure, a_lost_interrupt_of_a_reply_is_found) {
  start_driver();
  in_thread([&] {
    device.drops_interrupts = 1;
    EXPECT_TRUE(driver->read_counters());
  });
  EXPECT_EQ(lost(), 1U);
  EXPECT_EQ(resets(), 0U);
}

TEST_F(DeviceFailure, a_slow_job_is_waited_for) {
  start_driver();
  in_thread([&] {
    device.job_ns = DeviceAccelerator::kStallNs / 2;
    const auto job = make_job();
    ASSERT_TRUE(driver->run(*job));
    EXPECT_TRUE(job->end().ok());
  });
  EXPECT_EQ(overdue(), 0U);
}

TEST_F(DeviceFailure, a_job_without_progress_is_aborted) {
  start_driver();
  device.holds_jobs = true;
  in_thread([&] {
    const auto job = make_job();
    const std::uint64_t begin = threads::now_ns();
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(job->end().status, Status::Aborted);
    EXPECT_GE(threads::now_ns() - begin, DeviceAccelerator::kStallNs);
    EXPECT_LE(threads::now_ns() - begin, 2 * DeviceAccelerator::kStallNs);
  });
  EXPECT_EQ(overdue(), 1U);
  EXPECT_EQ(resets(), 0U);
}

TEST_F(DeviceFailure, a_job_of_which_commands_run_makes_progress_as_long_as_it_has_some) {
  start_driver();
  device.holds_jobs = true;
  device.commands_each_time = 1;
  in_thread([&] {
    const auto job = make_job(20);
    for (int i = 0; i < 20; ++i) (void)job->add(nothing());
    ASSERT_TRUE(driver->submit(*job));
    EXPECT_EQ(job->wait(threads::now_ns() + 19 * DeviceAccelerator::kLongestLookNs), WaitResult::TimedOut);
    EXPECT_EQ(job->wait(threads::now_ns() + 5 * DeviceAccelerator::kStallNs), WaitResult::Signalled);
  });
  EXPECT_EQ(overdue(), 1U);
}

TEST_F(DeviceFailure, jobs_that_wait_behind_others_are_not_overdue) {
  start_driver();
  device.holds_jobs = true;
  in_thread([&] {
    const auto first = make_job();
    const auto second = make_job();
    ASSERT_TRUE(driver->submit(*first));
    for (int i = 0; i < 10; ++i) {  // always one that ends, and one that does not
      ASSERT_TRUE(driver->submit(*second));
      threads::sleep_for(DeviceAccelerator::kStallNs / 2);
      device.finish_newest();
      ASSERT_FALSE(second->in_flight());
    }
    EXPECT_TRUE(first->in_flight());
    EXPECT_EQ(overdue(), 0U);
    device.finish_first();
  });
}

TEST_F(DeviceFailure, the_most_urgent_of_those_that_stall_is_aborted) {
  start_driver();
  device.holds_jobs = true;
  in_thread([&] {
    const auto low = make_job();
    const auto high = make_job();
    low->options.priority = abi::npu::Priority::Low;
    high->options.priority = abi::npu::Priority::Critical;
    ASSERT_TRUE(driver->submit(*low));
    ASSERT_TRUE(driver->submit(*high));
    EXPECT_EQ(high->wait(), WaitResult::Signalled);
    EXPECT_TRUE(low->in_flight());
    EXPECT_EQ(low->wait(), WaitResult::Signalled);
  });
  EXPECT_EQ(overdue(), 2U);
}

TEST_F(DeviceFailure, the_guests_clock_alone_does_not_make_a_job_late) {
  start_driver();
  device.holds_jobs = true;
  device.clock_stands = true;  // as when the guest's clock jumps over its waiting
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    EXPECT_EQ(job->wait(threads::now_ns() + 100 * DeviceAccelerator::kStallNs), WaitResult::TimedOut);
    EXPECT_EQ(job->wait(), WaitResult::Signalled) << "but it is not for ever";
  });
  EXPECT_EQ(overdue(), 1U);
}

TEST_F(DeviceFailure, a_job_that_stays_after_its_abort_ends_with_a_reset_of_the_device) {
  start_driver();
  device.holds_jobs = true;
  device.aborts = false;
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(job->end().status, Status::Reset);
  });
  EXPECT_EQ(resets(), 1U);
  EXPECT_EQ(device.negotiations, 2U);
}

TEST_F(DeviceFailure, a_device_that_does_not_answer_is_reset_and_knows_its_regions_again) {
  start_driver();
  in_thread([&] {
    Numbers numbers;
    const std::uint32_t handle = driver->register_region(numbers.bytes(), kReadWrite).value();
    device.holds_jobs = true;
    const auto job = make_job();
    (void)job->add(doubling(handle, handle));
    ASSERT_TRUE(driver->submit(*job));
    device.answers_control = false;
    threads::start("better", [&] {
      threads::sleep_for(DeviceAccelerator::kControlNs / 2);
      device.answers_control = true;  // but the request was taken before, so it gets no answer
    });
    const auto asked = driver->read_counters();
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().name, "npu-failed");
    EXPECT_EQ(asked.error().detail.view(), "counters was not answered");
    EXPECT_FALSE(job->in_flight());
    EXPECT_EQ(job->end().status, Status::Reset);
    device.holds_jobs = false;
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(device.regions.at(device.commands.at(0).operands[0].region).bytes, sizeof(numbers));
  });
  EXPECT_EQ(resets(), 1U);
}

TEST_F(DeviceFailure, a_region_that_is_registered_while_the_device_is_reset_is_there) {
  start_driver();
  in_thread([&] {
    Numbers numbers;
    device.control_answers = 0;
    threads::start("better", [&] {
      threads::sleep_for(DeviceAccelerator::kControlNs + kMs);
      device.control_answers = ~0U;
    });
    const auto handle = driver->register_region(numbers.bytes(), kReadWrite);
    ASSERT_TRUE(handle);
    EXPECT_EQ(device.regions.size(), 1U);
    EXPECT_TRUE(driver->release_region(*handle));
    EXPECT_TRUE(device.regions.empty());
  });
}

TEST_F(DeviceFailure, resets_in_vain_end_with_a_failed_device) {
  start_driver();
  device.holds_jobs = true;
  in_thread([&] {
    device.answers_control = false;
    const auto job = make_job();
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(job->end().status, Status::Reset);
  });
  EXPECT_EQ(resets(), DeviceAccelerator::kMaxFailures);
  expect_failed();
}

TEST_F(DeviceFailure, a_device_that_fails_after_every_reset_is_given_up) {
  start_driver();
  in_thread([&] {
    for (unsigned i = 0; i <= DeviceAccelerator::kMaxFailures; ++i) {
      device.control_answers = 0;
      threads::start("answer", [&] {
        threads::sleep_for(DeviceAccelerator::kControlNs + kMs / 2);
        device.control_answers = ~0U;
      });
      EXPECT_FALSE(driver->read_counters());
      threads::sleep_for(kMs);
    }
  });
  expect_failed();
}

TEST_F(DeviceFailure, jobs_that_end_well_in_between_forgive_resets) {
  start_driver();
  in_thread([&] {
    for (unsigned i = 0; i < 3 * DeviceAccelerator::kMaxFailures; ++i) {
      device.ask_for_reset();
      threads::sleep_for(kMs);
      const auto job = make_job();
      ASSERT_TRUE(driver->run(*job)) << i;
      ASSERT_TRUE(job->end().ok());
    }
  });
  EXPECT_EQ(resets(), 3 * DeviceAccelerator::kMaxFailures);
}

TEST_F(DeviceFailure, a_device_that_does_not_confirm_its_reset_is_given_up_all_the_same) {
  start_driver();
  device.resets = false;
  device.holds_jobs = true;
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    device.answers_control = false;
    EXPECT_FALSE(driver->read_counters());
    EXPECT_FALSE(job->in_flight());
  });
  expect_failed();
}

TEST_F(DeviceFailure, threads_that_wait_for_a_place_learn_that_the_device_has_failed) {
  start_driver();
  device.holds_jobs = true;
  std::vector<std::unique_ptr<Job>> jobs;
  std::size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    jobs.push_back(make_job());
    threads::start("submit", [&, job = jobs.back().get()] {
      if (!driver->run(*job)) ++refused;
    });
  }
  in_thread([&] {
    threads::sleep_for(kMs);
    device.answers_control = false;
    EXPECT_FALSE(driver->read_counters());
  });
  for (const auto& job : jobs) EXPECT_FALSE(job->in_flight());
  EXPECT_EQ(refused, 4U);
  expect_failed();
}

TEST_F(DeviceFailure, start_says_why_not) {
  device.info.stream_version = 9;
  in_thread([&] {
    const auto started = driver->start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().detail.view(), "it takes streams of version 9, 1 is needed");
  });
  EXPECT_FALSE(device.live);
}

TEST_F(DeviceFailure, start_gives_a_silent_device_up) {
  device.answers_control = false;
  in_thread([&] { EXPECT_EQ(driver->start().error().detail.view(), "it does not answer"); });
  EXPECT_FALSE(device.live);
}

TEST_F(DeviceFailure, start_gives_a_device_with_impossible_figures_up) {
  device.info.clock_hz = 0;
  in_thread([&] { EXPECT_EQ(driver->start().error().detail.view(), "it answers nonsense"); });
  EXPECT_FALSE(device.live);
}

TEST_F(DeviceFailure, start_without_memory_leaves_the_device_reset) {
  memory.allocations_left = 1;
  in_thread([&] { EXPECT_EQ(driver->start().error().detail.view(), "its queues cannot be set up: no-memory"); });
  EXPECT_FALSE(device.live);
}

}  // namespace
}  // namespace guest::npu::testing
