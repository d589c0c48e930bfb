// What a driver may get wrong, on purpose or not: each is refused by name, and the device goes on.
#include <gmock/gmock.h>

#include "device_fixture.hpp"

namespace vmm::npu {
namespace {

TEST_F(DeviceTest, refused_jobs_get_their_reason_and_touch_nothing) {
  boot();
  const std::uint32_t region = add_region(tensors, 64);
  const std::uint64_t outside =
      send(1, {command(Opcode::Copy, 4, 1, region), command(Opcode::Copy, 4, 1, region, UINT64_MAX - 3)});
  JobHeader version = header_of(2, 0);
  version.stream_version = 9;
  const std::uint64_t other = send(version, {});
  JobHeader limited = header_of(3, 1);
  limited.cycle_limit = 99;
  const std::uint64_t long_one = send(limited, {command(Opcode::Copy, 4, 100, region)});
  wait_used(*jobs, 3);
  EXPECT_EQ(reason(outside), Reason::OutsideRegion);
  EXPECT_EQ(result(outside).command, 1U);
  EXPECT_EQ(result(outside).stream_offset, 192U + 16U);
  EXPECT_EQ(reason(other), Reason::StreamVersion);
  EXPECT_EQ(result(other).id, 2U);
  EXPECT_EQ(reason(long_one), Reason::CycleLimit);
  EXPECT_EQ(result(long_one).started_ns, 0U);
  EXPECT_EQ(guest->get<abi::Le32>(tensors), 0U);
  EXPECT_EQ(device->counters().commands, 0U);
}

TEST_F(DeviceTest, second_job_with_the_id_of_one_in_flight_is_refused) {
  boot();
  const std::uint64_t first = send(5, {command(Opcode::Mul, 1)});
  const std::uint64_t second = send(5, {});
  wait_used(*jobs, 1);
  EXPECT_EQ(reason(second), Reason::DuplicateJob);
  Gate::instance().open();
  wait_used(*jobs, 1);
  EXPECT_EQ(status(first), Status::Ok);
  const std::uint64_t third = send(5, {});
  wait_used(*jobs, 1);
  EXPECT_EQ(status(third), Status::Ok) << "the id is free again";
}

TEST_F(DeviceTest, short_and_endless_streams_are_refused) {
  boot();
  const std::uint64_t endless = send(header_of(1, UINT32_MAX), {command(Opcode::Nop, 1)});
  const std::uint64_t missing = send(header_of(2, 2), {command(Opcode::Nop, 1)});
  const std::uint64_t short_header = guest->allocate(64);
  jobs->add({{guest->allocate(64), 63, false}, {short_header, sizeof(JobResult), true}});
  device->queue_kicked(kJobQueue);
  wait_used(*jobs, 3);
  EXPECT_EQ(reason(endless), Reason::TooManyCommands);
  EXPECT_EQ(reason(missing), Reason::ShortBuffer);
  EXPECT_EQ(reason(short_header), Reason::ShortBuffer);
  EXPECT_EQ(interrupt.reset_reason, "");
}

TEST_F(DeviceTest, job_without_room_for_a_result_breaks_the_driver) {
  boot();
  const std::uint64_t at = guest->allocate(64);
  guest->put(at, header_of(1, 0));
  jobs->add({{at, 64, false}, {guest->allocate(64), 63, true}});
  device->queue_kicked(kJobQueue);
  spin();
  EXPECT_THAT(interrupt.reset_reason, ::testing::HasSubstr("63 bytes"));
  EXPECT_EQ(device->counters().queue_errors, 1U);
}

TEST_F(DeviceTest, looping_and_too_large_chains_break_the_driver_not_the_device) {
  boot();
  jobs->set_descriptor(0, tensors, 64, abi::virtio::kDescNext, 1);
  jobs->set_descriptor(1, tensors, 64, abi::virtio::kDescNext, 0);
  jobs->offer(0);
  device->queue_kicked(kJobQueue);
  spin();
  EXPECT_THAT(interrupt.reset_reason, ::testing::HasSubstr("loop"));
  device->reset();
  interrupt.reset_reason.clear();
  boot();
  control->set_descriptor(0, tensors, UINT32_MAX, 0);
  control->offer(0);
  device->queue_kicked(kControlQueue);
  spin();
  EXPECT_THAT(interrupt.reset_reason, ::testing::HasSubstr("do not lie in guest memory"));
  device->reset();
  boot();
  EXPECT_EQ(control_call(ControlOp::Flush).status, 0U) << "a new driver is served";
}

TEST_F(DeviceTest, broken_driver_with_jobs_in_flight_is_left_alone) {
  boot();
  send(1, {command(Opcode::Mul, 1)});
  spin();
  jobs->set_available_index(1000);
  device->queue_kicked(kJobQueue);
  spin();
  EXPECT_THAT(interrupt.reset_reason, ::testing::HasSubstr("available index"));
  Gate::instance().open();
  spin_until([&] { return device->counters().jobs_in_flight == 0; });
  spin();
  EXPECT_EQ(jobs->used_index(), 0);
}

TEST_F(DeviceTest, region_in_use_is_not_released) {
  boot();
  const std::uint32_t region = add_region(tensors, 4096);
  const std::uint64_t at = send(1, {command(Opcode::Mul, 1), command(Opcode::Copy, 4, 1, region)});
  spin();
  EXPECT_EQ(control_call(ControlOp::ReleaseRegion, region).reason, static_cast<std::uint32_t>(Reason::RegionInUse));
  Gate::instance().open();
  wait_used(*jobs, 1);
  EXPECT_EQ(status(at), Status::Ok);
  EXPECT_EQ(control_call(ControlOp::ReleaseRegion, region).status, 0U);
  const std::uint64_t late = send(2, {command(Opcode::Copy, 4, 1, region)});
  wait_used(*jobs, 1);
  EXPECT_EQ(reason(late), Reason::UnknownRegion);
  EXPECT_EQ(device->counters().regions, 0U);
}

TEST_F(DeviceTest, control_requests_that_are_wrong_are_named) {
  boot();
  const auto reason_of = [this](ControlOp op, std::uint32_t argument = 0, std::uint64_t address = 0,
                                std::uint64_t bytes = 0) {
    return static_cast<Reason>(control_call(op, argument, address, bytes).reason.value());
  };
  EXPECT_EQ(reason_of(static_cast<ControlOp>(8)), Reason::UnknownRequest);
  EXPECT_EQ(reason_of(ControlOp::Query, 1), Reason::ReservedField);
  EXPECT_EQ(reason_of(ControlOp::Flush, 0, 1), Reason::ReservedField);
  EXPECT_EQ(reason_of(ControlOp::Abort, 0, 77), Reason::UnknownJob);
  EXPECT_EQ(reason_of(ControlOp::ReleaseRegion, 77), Reason::UnknownRegion);
  EXPECT_EQ(reason_of(ControlOp::SetPower, 3), Reason::Parameter);
  EXPECT_EQ(reason_of(ControlOp::RegisterRegion, kReadWrite, tensors, std::uint64_t{1} << 32), Reason::GuestMemory);
  EXPECT_EQ(reason_of(ControlOp::RegisterRegion, kReadWrite, UINT64_MAX - 63, 128), Reason::GuestMemory);
  const std::uint64_t query = ask(ControlOp::Query, 0, 0, 0, 40);
  wait_used(*control, 1);
  EXPECT_EQ(guest->get<ControlReply>(query).reason, static_cast<std::uint32_t>(Reason::ShortBuffer));
  EXPECT_EQ(interrupt.reset_reason, "");
  ask(ControlOp::Query, 0, 0, 0, 15);
  spin();
  EXPECT_THAT(interrupt.reset_reason, ::testing::HasSubstr("15 bytes"));
}

}  // namespace
}  // namespace vmm::npu
