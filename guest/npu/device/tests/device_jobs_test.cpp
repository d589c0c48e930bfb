#include <gtest/gtest.h>

#include "fake_npu.hpp"
#include "guest/npu/metrics.hpp"
#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu::testing {
namespace {

using threads::WaitResult;

class DeviceJobs : public DeviceFixture {
 protected:
  DeviceJobs() { start_driver(); }
  /// Submits `count` empty jobs from one thread, which waits where it must. In a thread.
  void submit_in_thread(std::vector<std::unique_ptr<Job>>& jobs, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) jobs.push_back(make_job());
    threads::start("submit", [this, &jobs] {
      for (const auto& job : jobs) EXPECT_TRUE(driver->submit(*job));
    });
    threads::sleep_for(1'000);
  }
};

TEST_F(DeviceJobs, the_driver_says_what_the_device_is) {
  EXPECT_EQ(driver->info().name, "device");
  EXPECT_EQ(driver->info().max_regions, 256U);
  EXPECT_EQ(driver->info().clock_hz, 1'000'000'000U);
}

TEST_F(DeviceJobs, run_returns_when_the_device_has_run_it) {
  in_thread([&] {
    const auto job = make_job();
    const std::uint64_t before = threads::now_ns();
    ASSERT_TRUE(driver->run(*job));
    EXPECT_TRUE(job->end().ok());
    EXPECT_EQ(threads::now_ns() - before, device.job_ns);
    EXPECT_EQ(job->end().run_ns, device.job_ns);
    EXPECT_EQ(device.jobs.back().id, job->end().id);
  });
}

TEST_F(DeviceJobs, what_the_device_refuses_is_told) {
  device.spoil_result = [](abi::npu::JobResult& result, std::uint32_t&) {
    result.status = static_cast<std::uint32_t>(Status::Budget);
    result.reason = static_cast<std::uint32_t>(Reason::CycleLimit);
    result.command = 1;
    result.stream_offset = 200;
  };
  in_thread([&] {
    const auto job = make_job();
    (void)job->add(nothing());
    (void)job->add(nothing());
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(job->end().reason, Reason::CycleLimit);
    EXPECT_EQ(job->end().command, 1U);
    EXPECT_EQ(job->end().stream_offset, 200U);
  });
}

TEST_F(DeviceJobs, best_effort_threads_have_a_part_of_the_places) {
  device.holds_jobs = true;
  std::vector<std::unique_ptr<Job>> jobs;
  in_thread([&] {
    submit_in_thread(jobs, 17);
    EXPECT_EQ(device.in_flight(), 16U);
    device.finish_first();
    threads::sleep_for(1'000);
    EXPECT_EQ(device.in_flight(), 16U) << "the next one came";
    EXPECT_EQ(device.jobs.size(), 17U);
    while (device.in_flight() != 0) device.finish_first();
  });
}

TEST_F(DeviceJobs, jobs_end_in_any_order) {
  device.holds_jobs = true;
  std::vector<std::unique_ptr<Job>> jobs;
  in_thread([&] {
    submit_in_thread(jobs, 3);
    driver->abort(*jobs[1]);
    EXPECT_FALSE(jobs[1]->in_flight());
    EXPECT_EQ(jobs[1]->end().status, Status::Aborted);
    EXPECT_TRUE(jobs[0]->in_flight());
    device.finish_first();
    EXPECT_FALSE(jobs[0]->in_flight());
    EXPECT_TRUE(jobs[2]->in_flight());
    device.finish_first();
  });
}

TEST_F(DeviceJobs, the_device_sees_its_own_handles) {
  in_thread([&] {
    Numbers in;
    Numbers out;
    const std::uint32_t in_handle = driver->register_region(in.bytes(), abi::npu::region_flag::kRead).value();
    const std::uint32_t out_handle = driver->register_region(out.bytes(), kReadWrite).value();
    device.cycles_of_job = 224;
    const auto job = make_job();
    (void)job->add(doubling(in_handle, out_handle));
    ASSERT_TRUE(driver->run(*job));
    ASSERT_EQ(device.commands.size(), 1U);
    const auto& operands = device.commands[0].operands;
    const auto address_of = [&](std::uint32_t handle) { return device.regions.at(handle).address.value(); };
    EXPECT_EQ(address_of(operands[0].region), raw(memory.map().address(out.bytes().data())));
    EXPECT_EQ(address_of(operands[1].region), raw(memory.map().address(in.bytes().data())));
    EXPECT_EQ(operands[3].region, abi::npu::kNoRegion);
    EXPECT_EQ(job->commands()[0].operands[0].region, out_handle) << "the job's own stays as it was";
  });
}

TEST_F(DeviceJobs, a_handle_that_there_is_not_names_nothing_at_the_device) {
  in_thread([&] {
    Numbers in;
    const std::uint32_t handle = driver->register_region(in.bytes(), kReadWrite).value();
    ASSERT_TRUE(driver->release_region(handle));
    const auto job = make_job();
    (void)job->add(doubling(handle, 0x1001));
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(device.commands[0].operands[0].region, ~0U);
    EXPECT_EQ(device.commands[0].operands[1].region, ~0U);
  });
}

// What the driver found out about a job's commands it keeps: what was changed since must not be taken from there.
TEST_F(DeviceJobs, a_job_that_comes_again_is_what_it_has_become) {
  in_thread([&] {
    Numbers in;
    Numbers out;
    const std::uint32_t in_handle = driver->register_region(in.bytes(), kReadWrite).value();
    const std::uint32_t out_handle = driver->register_region(out.bytes(), kReadWrite).value();
    const auto job = make_job();
    (void)job->add(doubling(in_handle, out_handle));
    (void)job->add(doubling(in_handle, out_handle));
    const auto bytes_of_run = [&] {
      const std::uint64_t before = metrics().bytes.value();
      EXPECT_TRUE(driver->run(*job));
      return metrics().bytes.value() - before;
    };
    constexpr std::uint64_t kBytes = 3 * 64 * sizeof(float);
    EXPECT_EQ(bytes_of_run(), 2 * kBytes);
    EXPECT_EQ(bytes_of_run(), 2 * kBytes);
    job->set_operand(1, 0, out_handle, 64);
    job->set_dim(1, abi::npu::dim::kColumns, 16);
    EXPECT_EQ(bytes_of_run(), kBytes + kBytes / 4);
    EXPECT_EQ(device.commands[0].operands[0].offset, 0U);
    EXPECT_EQ(device.commands[1].operands[0].offset, 64U);
    EXPECT_EQ(device.commands[1].dims[abi::npu::dim::kColumns], 16U);
    job->commands()[0].dims[abi::npu::dim::kColumns] = 32;
    EXPECT_EQ(bytes_of_run(), kBytes / 2 + kBytes / 4);
    EXPECT_EQ(device.commands[0].dims[abi::npu::dim::kColumns], 32U);
    job->clear();
    (void)job->add(doubling(out_handle, in_handle));
    EXPECT_EQ(bytes_of_run(), kBytes);
    EXPECT_NE(device.commands[0].operands[0].region, device.commands[0].operands[1].region);
  });
}

TEST_F(DeviceJobs, a_job_that_comes_again_holds_the_regions_that_it_names_now) {
  device.holds_jobs = true;
  in_thread([&] {
    Numbers numbers[3];
    std::uint32_t handles[3];
    for (unsigned i = 0; i < 3; ++i) handles[i] = driver->register_region(numbers[i].bytes(), kReadWrite).value();
    const auto job = make_job();
    (void)job->add(doubling(handles[0], handles[1]));
    const auto run = [&] {
      ASSERT_TRUE(driver->submit(*job));
      threads::sleep_for(1'000);
    };
    const auto end = [&] {
      device.finish_first();
      (void)job->wait();
    };
    run();
    end();
    job->set_operand(0, 0, handles[2], 0);
    run();
    EXPECT_EQ(device.regions.at(device.commands[0].operands[0].region).address.value(),
              raw(memory.map().address(numbers[2].bytes().data())));
    EXPECT_TRUE(driver->release_region(handles[1])) << "it names it no more";
    EXPECT_FALSE(driver->release_region(handles[2]));
    EXPECT_FALSE(driver->release_region(handles[0]));
    end();
    run();
    EXPECT_FALSE(driver->release_region(handles[0])) << "nothing was changed";
    end();
    // Another region is where it was, with another handle.
    ASSERT_TRUE(driver->release_region(handles[0]));
    const std::uint32_t other = driver->register_region(numbers[0].bytes(), kReadWrite).value();
    ASSERT_EQ(RegionTable::place_of(other), RegionTable::place_of(handles[0]));
    run();
    EXPECT_EQ(device.commands[0].operands[1].region, ~0U);
    end();
  });
}

TEST_F(DeviceJobs, a_job_that_comes_again_after_a_reset_has_the_new_handles) {
  in_thread([&] {
    Numbers in;
    Numbers out;
    const std::uint32_t in_handle = driver->register_region(in.bytes(), kReadWrite).value();
    const std::uint32_t out_handle = driver->register_region(out.bytes(), kReadWrite).value();
    const auto job = make_job();
    (void)job->add(doubling(in_handle, out_handle));
    ASSERT_TRUE(driver->run(*job));
    const std::uint32_t before = device.commands[0].operands[0].region;
    ASSERT_TRUE(driver->reset());
    ASSERT_TRUE(driver->run(*job));
    EXPECT_NE(device.commands[0].operands[0].region, before);
    EXPECT_TRUE(device.regions.contains(device.commands[0].operands[0].region));
  });
}

TEST_F(DeviceJobs, own_deadlines_count_from_the_submission) {
  device.holds_jobs = true;
  std::vector<std::unique_ptr<Job>> jobs;
  in_thread([&] {
    submit_in_thread(jobs, 16);
    const auto job = make_job();
    job->options.deadline_ns = 10'000;
    threads::start("later", [&] {
      threads::sleep_for(4'000);
      device.finish_first();
    });
    EXPECT_TRUE(driver->submit(*job));
    threads::sleep_for(1);
    EXPECT_EQ(device.jobs.back().deadline_ns, 6'000U);
    while (device.in_flight() != 0) device.finish_first();
  });
}

TEST_F(DeviceJobs, flush_waits_for_what_came_before_and_not_for_what_comes_after) {
  device.holds_jobs = true;
  std::vector<std::unique_ptr<Job>> jobs;
  const auto late = make_job();
  bool flushed = false;
  in_thread([&] {
    submit_in_thread(jobs, 2);
    threads::start("flush", [&] {
      EXPECT_TRUE(driver->flush());
      flushed = true;
    });
    threads::sleep_for(10);
    EXPECT_TRUE(driver->submit(*late));
    threads::sleep_for(10);
    device.finish_first();
    threads::sleep_for(10);
    EXPECT_FALSE(flushed);
    device.finish_first();
    threads::sleep_for(10);
    EXPECT_TRUE(flushed);
    EXPECT_TRUE(late->in_flight());
    device.finish_first();
  });
}

TEST_F(DeviceJobs, an_abort_is_repeated_until_the_device_knows_the_job) {
  device.holds_jobs = true;
  device.knows_jobs = false;
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    driver->abort(*job);
    EXPECT_TRUE(job->in_flight());
    device.knows_jobs = true;
    EXPECT_EQ(job->wait(), WaitResult::Signalled);
    EXPECT_EQ(job->end().status, Status::Aborted);
  });
  EXPECT_GE(std::ranges::count(device.requests, ControlOp::Abort), 2);
}

TEST_F(DeviceJobs, an_idle_device_is_left_alone) {
  const std::uint64_t lost = metrics().lost_interrupts.value();
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->run(*job));
  });
  // run_until_idle() has returned: the watcher waits for ever. Nothing was asked of the device but what it is.
  EXPECT_EQ(device.requests.size(), 1U);
  EXPECT_EQ(metrics().lost_interrupts.value(), lost);
}

}  // namespace
}  // namespace guest::npu::testing
