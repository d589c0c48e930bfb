// The device from outside of its jobs: abort, flush, reset, power, snapshots, other memory.
#include <gmock/gmock.h>

#include "device_fixture.hpp"

namespace vmm::npu {
namespace {

TEST_F(DeviceTest, abort_is_answered_when_the_job_has_ended) {
  boot();
  const std::uint64_t at = send(1, {command(Opcode::Add, 10'000, 100'000'000)});
  testing::units_run = 0;
  spin_until([] { return testing::units_run != 0; });
  EXPECT_EQ(control_call(ControlOp::Abort, 0, 1).status, 0U);
  EXPECT_EQ(status(at), Status::Aborted) << "its result is there already";
}

TEST_F(DeviceTest, flush_is_about_the_jobs_before_it) {
  boot();
  send(1, {command(Opcode::Mul, 1)});
  spin();
  const std::uint64_t reply = ask(ControlOp::Flush);
  spin();
  EXPECT_FALSE(control->collect());
  send(2, {command(Opcode::Add, 10'000, 100'000'000)});
  Gate::instance().open();
  wait_used(*control, 1);
  EXPECT_EQ(guest->get<ControlReply>(reply).status, 0U);
  EXPECT_EQ(device->counters().jobs_in_flight, 1U) << "the one that came later";
}

TEST_F(DeviceTest, control_reset_ends_jobs_and_forgets_regions) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  const std::uint64_t running = send(1, {command(Opcode::Mul, 1)});
  const std::uint64_t waiting = send(2, {command(Opcode::Copy, 4, 1, region)});
  spin();
  Gate::instance().wait_for_somebody();
  const std::uint64_t reset = ask(ControlOp::Reset);
  spin();
  const std::uint64_t after = send(3, {command(Opcode::Copy, 4, 1, region)});
  spin();
  EXPECT_EQ(jobs->used_index(), 1) << "the one that waited; the other still runs";
  EXPECT_EQ(control->used_index(), 1);
  Gate::instance().open();
  wait_used(*control, 1);
  EXPECT_EQ(guest->get<ControlReply>(reset).status, 0U);
  wait_used(*jobs, 3);
  EXPECT_EQ(status(running), Status::Reset);
  EXPECT_EQ(status(waiting), Status::Reset);
  EXPECT_EQ(reason(after), Reason::UnknownRegion) << "it came after the reset";
  EXPECT_EQ(device->counters().regions, 0U);
}

TEST_F(DeviceTest, power_states) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  EXPECT_EQ(control_call(ControlOp::SetPower, static_cast<std::uint32_t>(Power::Gated)).status, 0U);
  const std::uint64_t gated = send(1, {command(Opcode::Nop, 1)});
  spin();
  std::this_thread::sleep_for(milliseconds(2));
  spin();
  EXPECT_FALSE(jobs->collect());
  EXPECT_EQ(control_call(ControlOp::SetPower, static_cast<std::uint32_t>(Power::On)).status, 0U);
  wait_used(*jobs, 1);
  EXPECT_EQ(status(gated), Status::Ok);
  EXPECT_EQ(control_call(ControlOp::SetPower, static_cast<std::uint32_t>(Power::Off)).status, 0U);
  const std::uint64_t off = send(2, {command(Opcode::Nop, 1)});
  wait_used(*jobs, 1);
  EXPECT_EQ(reason(off), Reason::PowerOff);
  EXPECT_EQ(control_call(ControlOp::RegisterRegion, kReadWrite, tensors, 64).reason,
            static_cast<std::uint32_t>(Reason::PowerOff));
  EXPECT_EQ(control_call(ControlOp::SetPower, static_cast<std::uint32_t>(Power::On)).status, 0U);
  const std::uint64_t forgotten = send(3, {command(Opcode::Copy, 1, 1, region)});
  wait_used(*jobs, 1);
  EXPECT_EQ(reason(forgotten), Reason::UnknownRegion);
}

TEST_F(DeviceTest, reset_in_mid_job_returns_soon_and_no_memory_is_touched_after_it) {
  boot();
  send(1, {command(Opcode::Add, 10'000, 100'000'000)});
  testing::units_run = 0;
  spin_until([] { return testing::units_run != 0; });
  const auto asked = steady_clock::now();
  device->reset();
  const auto took = steady_clock::now() - asked;
  const std::uint64_t units = testing::units_run;
  EXPECT_LT(took, milliseconds(500));
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(testing::units_run, units);
  EXPECT_EQ(jobs->used_index(), 0);
  RecordProperty("reset_us", static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  boot();
  const std::uint64_t at = send(1, {command(Opcode::Nop, 1)});
  wait_used(*jobs, 1);
  EXPECT_EQ(status(at), Status::Ok);
}

TEST_F(DeviceTest, closed_device_has_given_up_the_memory) {
  boot();
  add_region(tensors, 4096);
  send(1, {command(Opcode::Add, 10'000, 100'000'000)});
  testing::units_run = 0;
  spin_until([] { return testing::units_run != 0; });
  const std::weak_ptr<const GuestMemory> memory = guest->memory();
  device->close();
  guest.reset();
  EXPECT_TRUE(memory.expired());
  EXPECT_EQ(device->counters().device_resets, 0U);
}

TEST_F(DeviceTest, suspended_jobs_go_on_where_they_stopped) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  const std::uint64_t first = send(1, {command(Opcode::Add, 100, 100'000)});
  const std::uint64_t second = send(2, {command(Opcode::Copy, 4, 1, region)});
  const std::uint64_t flush = ask(ControlOp::Flush);
  testing::units_run = 0;
  spin_until([] { return testing::units_run != 0; });
  auto queues = device->deactivate();
  const std::uint64_t units = testing::units_run;
  std::this_thread::sleep_for(milliseconds(5));
  spin();
  EXPECT_EQ(testing::units_run, units);
  EXPECT_EQ(jobs->used_index(), 0);
  activate_again(std::move(queues));
  wait_used(*jobs, 2);
  wait_used(*control, 1);
  EXPECT_EQ(testing::units_run, 100U);
  EXPECT_EQ(status(first), Status::Ok);
  EXPECT_EQ(status(second), Status::Ok);
  EXPECT_EQ(guest->get<ControlReply>(flush).status, 0U);
  const std::uint64_t third = send(3, {command(Opcode::Copy, 4, 1, region)});
  wait_used(*jobs, 1);
  EXPECT_EQ(status(third), Status::Ok) << "its region is still there";
}

TEST_F(DeviceTest, restored_device_has_the_regions_and_ends_what_was_in_flight) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  const auto set_power = [this](Power power) {
    EXPECT_EQ(control_call(ControlOp::SetPower, static_cast<std::uint32_t>(power)).status, 0U);
  };
  set_power(Power::Gated);
  const std::uint64_t first = send(11, {command(Opcode::Nop, 1)});
  const std::uint64_t second = send(12, {command(Opcode::Copy, 4, 1, region)});
  const std::uint64_t flush = ask(ControlOp::Flush);
  spin();
  auto queues = device->deactivate();
  const DeviceState state = device->save();
  EXPECT_EQ(state.job_heads.size(), 2U);
  EXPECT_EQ(state.control_heads.size(), 1U);
  device = std::move(*NpuDevice::create(*loop, config));
  ASSERT_TRUE(device->restore(state));
  activate_again(std::move(queues));
  wait_used(*jobs, 2);
  wait_used(*control, 1);
  EXPECT_EQ(status(first), Status::Reset);
  EXPECT_EQ(status(second), Status::Reset);
  EXPECT_EQ(result(second).id, 12U);
  EXPECT_EQ(guest->get<ControlReply>(flush).status, static_cast<std::uint32_t>(Status::Reset));
  const std::uint64_t again = send(12, {command(Opcode::Copy, 4, 1, region)});
  spin();
  EXPECT_FALSE(jobs->collect()) << "it is still gated";
  set_power(Power::On);
  wait_used(*jobs, 1);
  EXPECT_EQ(status(again), Status::Ok);
  EXPECT_GE(result(again).arrived_ns, state.device_ns) << "its time goes on";
}

TEST_F(DeviceTest, states_that_no_device_was_in_are_refused) {
  boot();
  DeviceState state = device->save();
  EXPECT_TRUE(NpuDevice::create(*loop, config).value()->restore(state));
  state.power = 3;
  EXPECT_FALSE(device->restore(state));
  state.power = 0;
  state.device_ns = UINT64_MAX;
  EXPECT_FALSE(device->restore(state));
  state.device_ns = 0;
  state.job_heads.resize(257);
  EXPECT_FALSE(device->restore(state));
  state.job_heads = {300};
  auto restored = std::move(*NpuDevice::create(*loop, config));
  ASSERT_TRUE(restored->restore(state));
  device = std::move(restored);
  boot();
  EXPECT_THAT(interrupt.reset_reason, ::testing::HasSubstr("descriptor 300"));
}

TEST_F(DeviceTest, other_memory_keeps_regions_and_lets_running_jobs_end) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  const std::uint64_t at = send(1, {command(Opcode::Mul, 1), command(Opcode::Copy, 4, 1, region)});
  spin();
  Gate::instance().wait_for_somebody();
  // A copy at the same addresses, as of a front end that maps its memory anew.
  const FakeGuest moved(std::size_t{8} << 20);
  std::vector<std::byte> all(std::size_t{8} << 20);
  ASSERT_TRUE(guest->memory()->copy_out(Gpa(FakeGuest::kBase), all));
  ASSERT_TRUE(moved.memory()->copy_in(Gpa(FakeGuest::kBase), all));
  ASSERT_TRUE(device->memory_changed(moved.memory()));
  Gate::instance().open();
  spin_until([&] { return device->counters().jobs_ok == 1; });
  EXPECT_EQ(status(at), Status::Ok) << "in the old memory";
  const FakeGuest smaller(std::size_t{1} << 20);
  EXPECT_FALSE(device->memory_changed(std::make_shared<const GuestMemory>(*GuestMemory::create({}))))
      << "the queues are not in it";
}

}  // namespace
}  // namespace vmm::npu
