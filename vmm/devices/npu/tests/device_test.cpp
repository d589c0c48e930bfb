// Jobs through the whole device: results, limits, interrupts, counters.
#include "vmm/devices/npu/device.hpp"

#include <gmock/gmock.h>

#include "device_fixture.hpp"
#include "npu/testing/examples.hpp"

namespace vmm::npu {
namespace {

TEST_F(DeviceTest, job_writes_its_output_and_gives_a_result) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  const std::uint64_t at = send(42, {command(Opcode::Copy, 16, 1000, region, 64)});
  wait_used(*jobs, 1);
  EXPECT_EQ(last_used->bytes, sizeof(JobResult));
  EXPECT_EQ(status(at), Status::Ok);
  EXPECT_EQ(result(at).id, 42U);
  EXPECT_EQ(result(at).cycles, 1000U);
  EXPECT_EQ(guest->get<abi::Le32>(tensors + 64 + 4 * 5), testing::value_of(5));
  EXPECT_EQ(interrupt.signals.at(kJobQueue), 1);
}

TEST_F(DeviceTest, query_tells_what_it_is) {
  boot();
  const std::uint64_t at = ask(ControlOp::Query);
  wait_used(*control, 1);
  const auto info = guest->get<abi::npu::DeviceInfo>(at);
  EXPECT_EQ(info.stream_version, abi::npu::kStreamVersion);
  EXPECT_EQ(info.max_jobs, 64U);
  EXPECT_EQ(info.max_commands, 4096U);
  EXPECT_EQ(info.opcodes & 1U, 1U);
  EXPECT_EQ(info.opcodes >> static_cast<unsigned>(Opcode::Softmax) & 1U, 0U);
}

TEST_F(DeviceTest, results_come_in_the_order_in_which_jobs_end) {
  boot();
  send(1, {command(Opcode::Mul, 1), command(Opcode::Nop, 1)}, Priority::Low);
  spin();
  Gate::instance().wait_for_somebody();
  const std::uint64_t critical = send(2, {command(Opcode::Nop, 1)}, Priority::Critical);
  spin();
  Gate::instance().open();
  wait_used(*jobs, 1);
  EXPECT_EQ(status(critical), Status::Ok) << "the one that came later";
  wait_used(*jobs, 1);
}

TEST_F(DeviceTest, jobs_beyond_the_limit_wait_in_their_queue) {
  config.limits.jobs = 4;
  boot();
  send(0, {command(Opcode::Mul, 1)});
  for (std::uint64_t id = 1; id < 10; ++id) send(id, {command(Opcode::Nop, 1)});
  spin();
  EXPECT_EQ(device->counters().jobs_in_flight, 4U);
  Gate::instance().open();
  wait_used(*jobs, 10);
  EXPECT_EQ(device->counters().jobs_ok, 10U);
  EXPECT_EQ(device->counters().jobs_in_flight_peak, 4U);
}

TEST_F(DeviceTest, commands_beyond_the_limit_wait_with_their_job) {
  config.limits.commands_in_flight = 5;
  boot();
  send(0, {command(Opcode::Mul, 1)});
  const std::vector<Command> three(3, command(Opcode::Nop, 1));
  for (std::uint64_t id = 1; id < 4; ++id) send(id, three);
  const std::uint64_t large = send(4, std::vector<Command>(8, command(Opcode::Nop, 1)));
  spin();
  EXPECT_EQ(device->counters().jobs_in_flight, 2U);
  Gate::instance().open();
  wait_used(*jobs, 5);
  EXPECT_EQ(status(large), Status::Ok) << "alone it may be larger";
}

TEST_F(DeviceTest, dropped_interrupt_loses_no_result) {
  config.options.faults = {{.kind = Fault::Kind::DropInterrupt, .number = 2}};
  boot();
  send(1, {});
  wait_used(*jobs, 1);
  EXPECT_EQ(interrupt.signals.at(kJobQueue), 1);
  jobs->set_used_event(1);
  const std::uint64_t at = send(2, {});
  wait_used(*jobs, 1);
  EXPECT_EQ(status(at), Status::Ok);
  EXPECT_EQ(interrupt.signals.at(kJobQueue), 1);
  jobs->set_used_event(2);
  send(3, {});
  wait_used(*jobs, 1);
  EXPECT_EQ(interrupt.signals.at(kJobQueue), 2);
  EXPECT_EQ(device->counters().interrupts_dropped, 1U);
}

TEST_F(DeviceTest, interrupts_are_left_out_when_the_driver_does_not_want_them) {
  boot();
  jobs->set_used_event(2);
  send(1, {});
  send(2, {});
  wait_used(*jobs, 2);
  EXPECT_EQ(interrupt.signals.at(kJobQueue), 0);
  send(3, {});
  wait_used(*jobs, 1);
  EXPECT_EQ(interrupt.signals.at(kJobQueue), 1);
}

TEST_F(DeviceTest, every_real_command_writes_what_its_kernel_writes) {
  config.commands = real_commands();
  config.options.threads = 2;
  boot();
  for (const auto& example : ::npu::testing::examples()) {
    ::npu::testing::Scene scene = example.make();
    Command moved = scene.command;
    std::array<std::uint64_t, abi::npu::kMaxOperands> places{};
    std::vector<std::uint32_t> regions;
    for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
      if (!scene.has(i)) continue;
      places.at(i) = guest->allocate(scene.bytes(i).size());
      ASSERT_TRUE(guest->memory()->copy_in(Gpa(places.at(i)), scene.bytes(i)));
      regions.push_back(add_region(places.at(i), scene.bytes(i).size()));
      moved.operands[i].region = regions.back();
    }
    const std::uint64_t at = send(1, {moved});
    wait_used(*jobs, 1);
    ASSERT_EQ(status(at), Status::Ok) << example.name << ": " << result(at).reason.value();
    const auto checked = scene.check();
    ASSERT_TRUE(checked);
    const auto opcode = static_cast<std::size_t>(checked->opcode);
    const ::npu::Units all{.first = 0, .count = ::npu::partition(*checked).units};
    real_commands().kernels->kernels.at(opcode)(*checked, all);
    for (unsigned i = 0; i < abi::npu::kMaxOperands; ++i) {
      if (!scene.has(i)) continue;
      std::vector<std::byte> bytes(scene.bytes(i).size());
      ASSERT_TRUE(guest->memory()->copy_out(Gpa(places.at(i)), bytes));
      EXPECT_TRUE(std::ranges::equal(bytes, scene.bytes(i))) << example.name << ", operand " << i;
    }
    for (const std::uint32_t region : regions) EXPECT_EQ(control_call(ControlOp::ReleaseRegion, region).status, 0U);
    device->reset();
    boot();
  }
}

TEST_F(DeviceTest, counters_add_up) {
  boot();
  send(1, {command(Opcode::Nop, 1, 100)});
  send(2, {command(Opcode::Gelu, 1, 100)});
  JobHeader bad = header_of(3, 0);
  bad.flags = 0x80;
  send(bad, {});
  wait_used(*jobs, 3);
  const std::uint64_t at = ask(ControlOp::ReadCounters);
  wait_used(*control, 1);
  const auto counters = guest->get<abi::npu::Counters>(at);
  EXPECT_EQ(counters.jobs_submitted, 3U);
  EXPECT_EQ(counters.jobs_by_status[static_cast<std::size_t>(Status::Ok)], 1U);
  EXPECT_EQ(counters.jobs_by_status[static_cast<std::size_t>(Status::Region)], 1U);
  EXPECT_EQ(counters.jobs_by_status[static_cast<std::size_t>(Status::Parse)], 1U);
  EXPECT_EQ(counters.busy_cycles, 100U);
  EXPECT_EQ(counters.jobs_in_flight, 0U);
  EXPECT_GT(counters.idle_ns, 0U);
}

}  // namespace
}  // namespace vmm::npu
