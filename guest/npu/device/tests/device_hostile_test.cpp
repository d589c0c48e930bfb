// A device that says what cannot be.
#include <gtest/gtest.h>

#include "fake_npu.hpp"
#include "guest/npu/testing/job_fixture.hpp"
#include "npu/testing/scene.hpp"

namespace guest::npu::testing {
namespace {

class DeviceHostile : public DeviceFixture {
 protected:
  void expect_failed() {
    in_thread([&] {
      const auto job = make_job();
      EXPECT_EQ(driver->run(*job).error().name, "npu-failed");
    });
    EXPECT_FALSE(device.live);
    EXPECT_TRUE(device.failed);
  }
};

struct BadResult {
  const char* name;
  void (*spoil)(abi::npu::JobResult& result, std::uint32_t& written);
};

class HostileResult : public DeviceHostile, public ::testing::WithParamInterface<BadResult> {};

TEST_P(HostileResult, ends_the_device_and_its_jobs) {
  start_driver();
  device.spoil_result = GetParam().spoil;
  in_thread([&] {
    const auto job = make_job();
    (void)job->add(nothing());
    ASSERT_TRUE(driver->run(*job));
    EXPECT_EQ(job->end().status, Status::Reset);
    EXPECT_EQ(job->end().cycles, 0U);
  });
  expect_failed();
}

constexpr BadResult kBadResults[] = {
    {"nothing", [](abi::npu::JobResult&, std::uint32_t& written) { written = 0; }},
    {"short", [](abi::npu::JobResult&, std::uint32_t& written) { written = 63; }},
    {"long", [](abi::npu::JobResult&, std::uint32_t& written) { written = 65; }},
    {"status", [](abi::npu::JobResult& result, std::uint32_t&) { result.status = abi::npu::kStatuses; }},
    {"reason",
     [](abi::npu::JobResult& result, std::uint32_t&) {
       result.status = 1;
       result.reason = 34;
     }},
    {"reason_of_success", [](abi::npu::JobResult& result, std::uint32_t&) { result.reason = 1; }},
    {"failure_without_reason", [](abi::npu::JobResult& result, std::uint32_t&) { result.status = 1; }},
    {"id", [](abi::npu::JobResult& result, std::uint32_t&) { result.id = result.id + 1; }},
    {"command", [](abi::npu::JobResult& result, std::uint32_t&) { result.command = 1; }},
    {"offset",
     [](abi::npu::JobResult& result, std::uint32_t&) {
       result.command = 0;
       result.stream_offset = 192;
     }},
    {"offset_of_no_command", [](abi::npu::JobResult& result, std::uint32_t&) { result.stream_offset = 1; }},
    {"cycles", [](abi::npu::JobResult& result, std::uint32_t&) { result.cycles = 16'000'000'001; }},
    {"started_before_it_arrived",
     [](abi::npu::JobResult& result, std::uint32_t&) {
       result.arrived_ns = 10;
       result.started_ns = 9;
     }},
    {"finished_before_it_started",
     [](abi::npu::JobResult& result, std::uint32_t&) { result.finished_ns = result.started_ns - 1; }},
};

INSTANTIATE_TEST_SUITE_P(, HostileResult, ::testing::ValuesIn(kBadResults),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(DeviceHostile, a_used_ring_that_jumps_ends_it) {
  start_driver();
  device.holds_jobs = true;
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    threads::sleep_for(10);
    device.queue(abi::npu::kJobQueue).publish_used(9);
    device.interrupt();
    EXPECT_EQ(job->wait(), threads::WaitResult::Signalled);
    EXPECT_EQ(job->end().status, Status::Reset);
  });
  expect_failed();
}

TEST_F(DeviceHostile, a_reply_to_nothing_ends_it) {
  start_driver();
  in_thread([&] {
    device.queue(abi::npu::kControlQueue).push_used(0, 16);
    device.interrupt();
    threads::sleep_for(10);
  });
  expect_failed();
}

TEST_F(DeviceHostile, an_unknown_chain_ends_it) {
  start_driver();
  device.holds_jobs = true;
  in_thread([&] {
    const auto job = make_job();
    ASSERT_TRUE(driver->submit(*job));
    threads::sleep_for(10);
    device.queue(abi::npu::kJobQueue).push_used(200, 64);
    device.interrupt();
    EXPECT_EQ(job->wait(), threads::WaitResult::Signalled);
  });
  expect_failed();
}

struct BadReply {
  const char* name;
  void (*spoil)(std::span<std::byte> bytes, std::uint32_t& written);
};
class HostileReply : public DeviceHostile, public ::testing::WithParamInterface<BadReply> {};

TEST_P(HostileReply, ends_the_device) {
  start_driver();
  device.spoil_reply = [](ControlOp, std::span<std::byte> bytes, std::uint32_t& written) {
    GetParam().spoil(bytes, written);
  };
  in_thread([&] { EXPECT_EQ(driver->read_counters().error().name, "npu-failed"); });
  expect_failed();
}

constexpr BadReply kBadReplies[] = {
    {"nothing", [](std::span<std::byte>, std::uint32_t& written) { written = 0; }},
    {"short", [](std::span<std::byte>, std::uint32_t& written) { written = 15; }},
    {"half", [](std::span<std::byte>, std::uint32_t& written) { written -= 8; }},
    {"long", [](std::span<std::byte>, std::uint32_t& written) { written += 1; }},
    {"status", [](std::span<std::byte> bytes, std::uint32_t&) { bytes[0] = std::byte{99}; }},
    {"reason", [](std::span<std::byte> bytes, std::uint32_t&) { bytes[4] = std::byte{1}; }},
};

INSTANTIATE_TEST_SUITE_P(, HostileReply, ::testing::ValuesIn(kBadReplies),
                         [](const auto& test) { return std::string(test.param.name); });

/// Everything that a device can write, at random, in each run something else: whatever it is, all jobs end, and the
/// driver either works or says that the device has failed.
TEST(DeviceChaos, every_job_ends_whatever_the_device_writes) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    class Bench : public DeviceFixture {
     public:
      void TestBody() override {}
      using DeviceFixture::device;
      using DeviceFixture::driver;
      using DeviceFixture::start_driver;
    } bench;
    ::npu::testing::Noise noise;
    for (unsigned i = 0; i < seed; ++i) noise();
    const auto chance = [&noise](unsigned of) { return noise() % of == 0; };
    bench.start_driver();
    bench.device.spoil_result = [&](abi::npu::JobResult& result, std::uint32_t& written) {
      if (chance(8)) reinterpret_cast<std::byte*>(&result)[noise() % sizeof(result)] = std::byte(noise());
      if (chance(16)) written = static_cast<std::uint32_t>(noise() % 80);
      if (chance(8)) bench.device.drops_interrupts = 1;
    };
    bench.device.spoil_reply = [&](ControlOp, std::span<std::byte> bytes, std::uint32_t& written) {
      if (chance(30)) bytes[noise() % bytes.size()] = std::byte(noise());
      if (chance(30)) written = static_cast<std::uint32_t>(noise() % 300);
      if (chance(10)) bench.device.drops_interrupts = 1;
    };
    for (unsigned i = 0; i < 6; ++i) {
      threads::start("user", [&] {
        const auto job = make_job();
        for (unsigned turn = 0; turn < 20; ++turn) {
          bench.device.holds_jobs = chance(6);
          bench.device.job_ns = noise() % 100'000;
          if (chance(3)) (void)job->add(nothing());
          if (chance(20)) (void)bench.driver->read_counters();
          if (chance(40)) (void)bench.driver->reset();
          if (chance(40)) bench.device.ask_for_reset();
          if (chance(60) && bench.device.live) bench.device.queue(chance(2) ? 0 : 1).push_used(noise() % 300, 64);
          if (!bench.driver->submit(*job)) continue;
          if (chance(4)) bench.driver->abort(*job);
          if (job->wait() != threads::WaitResult::Signalled) bench.driver->end(*job);
        }
      });
    }
    threads::run_until_idle();
    threads::start("after", [&] {
      bench.device.holds_jobs = false;
      bench.device.spoil_result = nullptr;
      bench.device.spoil_reply = nullptr;
      const auto job = make_job();
      const auto ran = bench.driver->run(*job);
      EXPECT_TRUE(ran || ran.error().name == "npu-failed");
      EXPECT_FALSE(job->in_flight());
    });
    threads::run_until_idle();
  }
}

}  // namespace
}  // namespace guest::npu::testing
