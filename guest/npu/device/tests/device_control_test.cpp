#include <gtest/gtest.h>

#include "fake_npu.hpp"
#include "guest/npu/testing/job_fixture.hpp"

namespace guest::npu::testing {
namespace {

using abi::npu::Power;

class DeviceControl : public DeviceFixture {
 protected:
  DeviceControl() { start_driver(); }
  /// The address that the device has for the region of a command's first operand.
  std::uint64_t address_of_output() { return device.regions.at(device.commands.at(0).operands[0].region).address; }
  std::uint64_t bus_address(Numbers& of) { return raw(memory.map().address(of.bytes().data())); }
  Numbers numbers;
};

TEST_F(DeviceControl, counters_are_the_devices) {
  in_thread([&] { EXPECT_EQ(driver->read_counters()->commands, 77U); });
}

TEST_F(DeviceControl, regions_are_registered_and_released_at_the_device) {
  in_thread([&] {
    const std::uint32_t flags = abi::npu::region_flag::kRead | abi::npu::region_flag::kImmutable;
    const auto handle = driver->register_region(numbers.bytes(), flags);
    ASSERT_TRUE(handle);
    ASSERT_EQ(device.regions.size(), 1U);
    const abi::npu::ControlRequest& request = device.regions.begin()->second;
    EXPECT_EQ(request.address, bus_address(numbers));
    EXPECT_EQ(request.bytes, sizeof(numbers));
    EXPECT_EQ(request.argument, flags);
    ASSERT_TRUE(driver->release_region(*handle));
    EXPECT_TRUE(device.regions.empty());
    EXPECT_EQ(driver->release_region(*handle).error().detail.view(),
              "the release of a region was refused: region, unknown-region");
  });
}

TEST_F(DeviceControl, what_the_device_refuses_leaves_no_region) {
  in_thread([&] {
    device.spoil_reply = [](ControlOp, std::span<std::byte> bytes, std::uint32_t&) {
      abi::npu::ControlReply reply{};
      reply.status = static_cast<std::uint32_t>(Status::Busy);
      reply.reason = static_cast<std::uint32_t>(Reason::RegionTable);
      std::memcpy(bytes.data(), &reply, sizeof(reply));
    };
    for (int i = 0; i < 300; ++i) {
      const auto refused = driver->register_region(numbers.bytes(), kReadWrite);
      ASSERT_FALSE(refused);
      ASSERT_EQ(refused.error().detail.view(), "a region was refused: busy, region-table");
    }
    device.spoil_reply = nullptr;
    EXPECT_TRUE(driver->register_region(numbers.bytes(), kReadWrite)) << "none of them took a place";
  });
}

TEST_F(DeviceControl, a_region_that_a_job_names_is_not_released) {
  device.holds_jobs = true;
  in_thread([&] {
    const std::uint32_t handle = driver->register_region(numbers.bytes(), kReadWrite).value();
    const auto job = make_job();
    (void)job->add(doubling(handle, handle));
    ASSERT_TRUE(driver->submit(*job));
    EXPECT_EQ(driver->release_region(handle).error().detail.view(),
              "the release of a region was refused: busy, region-in-use");
    driver->end(*job);
    EXPECT_TRUE(driver->release_region(handle));
  });
}

TEST_F(DeviceControl, handles_stay_over_a_reset) {
  in_thread([&] {
    Numbers other;
    (void)driver->register_region(other.bytes(), kReadWrite);
    const std::uint32_t handle = driver->register_region(numbers.bytes(), kReadWrite).value();
    const auto job = make_job();
    (void)job->add(doubling(handle, handle));
    device.holds_jobs = true;
    ASSERT_TRUE(driver->submit(*job));
    ASSERT_TRUE(driver->reset());
    EXPECT_FALSE(job->in_flight());
    EXPECT_EQ(job->end().status, Status::Reset);
    device.holds_jobs = false;
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(address_of_output(), bus_address(numbers));
    EXPECT_EQ(device.regions.size(), 2U);
  });
}

TEST_F(DeviceControl, a_job_that_waited_over_a_reset_has_the_new_handles) {
  device.holds_jobs = true;
  in_thread([&] {
    const std::uint32_t handle = driver->register_region(numbers.bytes(), kReadWrite).value();
    std::vector<std::unique_ptr<Job>> jobs;
    for (int i = 0; i < 16; ++i) {
      jobs.push_back(make_job());
      ASSERT_TRUE(driver->submit(*jobs.back()));
    }
    const auto last = make_job();
    (void)last->add(doubling(handle, handle));
    threads::start("waits", [&] { EXPECT_TRUE(driver->submit(*last)); });
    threads::sleep_for(1'000);
    ASSERT_TRUE(driver->reset());
    threads::sleep_for(1'000);
    ASSERT_EQ(device.in_flight(), 1U);
    EXPECT_EQ(address_of_output(), bus_address(numbers));
    device.finish_first();
  });
}

TEST_F(DeviceControl, regions_come_back_with_power) {
  in_thread([&] {
    const std::uint32_t handle = driver->register_region(numbers.bytes(), kReadWrite).value();
    ASSERT_TRUE(driver->set_power(Power::Off));
    EXPECT_TRUE(device.regions.empty());
    ASSERT_TRUE(driver->set_power(Power::On));
    const auto job = make_job();
    (void)job->add(doubling(handle, handle));
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(address_of_output(), bus_address(numbers));
  });
}

TEST_F(DeviceControl, gated_jobs_are_not_late) {
  device.holds_jobs = true;
  in_thread([&] {
    ASSERT_TRUE(driver->set_power(Power::Gated));
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    EXPECT_EQ(job->wait(threads::now_ns() + 10 * DeviceAccelerator::kStallNs), threads::WaitResult::TimedOut);
    ASSERT_TRUE(driver->set_power(Power::On));
    device.finish_first();
    EXPECT_TRUE(job->end().ok());
  });
}

TEST_F(DeviceControl, jobs_wait_while_the_device_is_reset) {
  in_thread([&] {
    (void)driver->register_region(numbers.bytes(), kReadWrite);
    device.answers_control = false;
    threads::start("reset", [&] { EXPECT_TRUE(driver->reset()); });
    threads::yield();
    const auto job = make_job();
    threads::start("answer", [&] {
      threads::sleep_for(1'000'000);
      EXPECT_TRUE(device.jobs.empty());
      device.answers_control = true;
      device.notify(0);
    });
    ASSERT_TRUE(driver->run(*job));
    EXPECT_TRUE(job->end().ok());
    EXPECT_EQ(device.negotiations, 1U) << "the device was not reset by force";
  });
}

}  // namespace
}  // namespace guest::npu::testing
