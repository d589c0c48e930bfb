// The whole device, driven by a fake driver that can be hostile.
#include "vmm/devices/npu/device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_commands.hpp"
#include "npu/testing/examples.hpp"
#include "vmm/virtio/testing/fake_driver.hpp"

namespace vmm::npu {
namespace {

using abi::npu::Command;
using abi::npu::ControlOp;
using abi::npu::ControlReply;
using abi::npu::ControlRequest;
using abi::npu::JobHeader;
using abi::npu::JobResult;
using abi::npu::kControlQueue;
using abi::npu::kJobQueue;
using abi::npu::Opcode;
using abi::npu::Power;
using abi::npu::Priority;
using abi::npu::Reason;
using abi::npu::Status;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::command;
using testing::Gate;
using virtio::testing::FakeGuest;
using virtio::testing::FakeQueue;

constexpr milliseconds kPatience{20'000};
constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;

struct FakeInterrupt final : virtio::Interrupt {
  std::array<int, 2> signals{};
  std::string reset_reason;
  void signal_queue(std::uint16_t index) override { ++signals.at(index); }
  void signal_config() override {}
  void needs_reset(std::uint16_t, const std::string& reason) override { reset_reason = reason; }
};

struct DeviceTest : ::testing::Test {
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  DeviceConfig config{.commands = testing::command_set()};
  std::unique_ptr<NpuDevice> device;
  FakeInterrupt interrupt;
  std::optional<FakeGuest> guest;
  std::optional<FakeQueue> control, jobs;
  std::uint64_t tensors = 0;  ///< 64 KiB of guest memory

  void SetUp() override { Gate::instance().close(); }
  void TearDown() override { Gate::instance().open(); }
  void boot() {
    if (!device) device = std::move(*NpuDevice::create(*loop, config));
    guest.emplace(std::size_t{8} << 20);
    control.emplace(*guest, std::uint16_t{64}, true, true);
    jobs.emplace(*guest, std::uint16_t{256}, true, true);
    tensors = guest->allocate(64 << 10);
    activate();
  }
  void activate() {
    virtio::Activation activation{.features = device->features(), .queues = {}, .interrupt = &interrupt};
    activation.queues.push_back(control->device_side());
    activation.queues.push_back(jobs->device_side());
    ASSERT_TRUE(device->activate(std::move(activation)));
  }
  /// Queues that go on where `queues` stopped, as a transport hands them over.
  void activate_again(std::vector<virtio::Virtqueue> queues) {
    control->layout().next_index = queues.at(kControlQueue).next_index();
    jobs->layout().next_index = queues.at(kJobQueue).next_index();
    activate();
  }
  void spin() {
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(loop->run_once(milliseconds(0)));
  }
  template <typename Condition>
  void spin_until(Condition condition) {
    const auto end = steady_clock::now() + kPatience;
    while (!condition() && steady_clock::now() < end) ASSERT_TRUE(loop->run_once(milliseconds(10)));
    ASSERT_TRUE(condition());
  }

  /// Offers a control request; returns where its reply will be.
  std::uint64_t ask(ControlOp op, std::uint32_t argument = 0, std::uint64_t address = 0, std::uint64_t bytes = 0,
                    std::uint32_t reply_bytes = sizeof(abi::npu::Counters)) {
    ControlRequest request{};
    request.op = static_cast<std::uint32_t>(op);
    request.argument = argument;
    request.address = address;
    request.bytes = bytes;
    const std::uint64_t at = guest->allocate(sizeof request);
    const std::uint64_t reply = guest->allocate(sizeof(abi::npu::Counters));
    guest->put(at, request);
    control->add({{at, sizeof request, false}, {reply, reply_bytes, true}});
    device->queue_kicked(kControlQueue);
    return reply;
  }
  /// Asks and waits for the answer.
  ControlReply control_call(ControlOp op, std::uint32_t argument = 0, std::uint64_t address = 0,
                            std::uint64_t bytes = 0) {
    const std::uint64_t reply = ask(op, argument, address, bytes);
    wait_used(*control, 1);
    return guest->get<ControlReply>(reply);
  }
  std::uint32_t add_region(std::uint64_t address, std::uint64_t bytes, std::uint32_t flags = kReadWrite) {
    const ControlReply reply = control_call(ControlOp::RegisterRegion, flags, address, bytes);
    EXPECT_EQ(reply.status, static_cast<std::uint32_t>(Status::Ok)) << reply.reason.value();
    return static_cast<std::uint32_t>(reply.value);
  }
  void wait_used(FakeQueue& queue, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      last_used.reset();
      spin_until([&] { return last_used || (last_used = queue.collect()); });
    }
  }

  static JobHeader header_of(std::uint64_t id, std::size_t commands, Priority priority = Priority::Normal) {
    JobHeader header{};
    header.stream_version = abi::npu::kStreamVersion;
    header.commands = static_cast<std::uint32_t>(commands);
    header.id = id;
    header.priority = static_cast<std::uint8_t>(priority);
    return header;
  }
  /// Offers a job; returns where its result will be.
  std::uint64_t send(const JobHeader& header, const std::vector<Command>& commands) {
    const std::uint64_t result = guest->allocate(sizeof(JobResult));
    const std::uint64_t at = guest->allocate(sizeof header);
    guest->put(at, header);
    std::vector<virtio::testing::Buffer> buffers{{at, sizeof header, false}};
    if (!commands.empty()) {
      const auto bytes = static_cast<std::uint32_t>(commands.size() * sizeof(Command));
      const std::uint64_t stream = guest->allocate(bytes);
      if (!guest->memory()->copy_in(Gpa(stream), std::as_bytes(std::span(commands)))) __builtin_trap();
      buffers.push_back({stream, bytes, false});
    }
    buffers.push_back({result, sizeof(JobResult), true});
    jobs->add(buffers);
    device->queue_kicked(kJobQueue);
    return result;
  }
  std::uint64_t send(std::uint64_t id, const std::vector<Command>& commands, Priority priority = Priority::Normal) {
    return send(header_of(id, commands.size(), priority), commands);
  }
  [[nodiscard]] JobResult result(std::uint64_t at) const { return guest->get<JobResult>(at); }
  [[nodiscard]] Status status(std::uint64_t at) const { return static_cast<Status>(result(at).status.value()); }
  [[nodiscard]] Reason reason(std::uint64_t at) const { return static_cast<Reason>(result(at).reason.value()); }

  std::optional<FakeQueue::Used> last_used;
};

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
    ::npu::scalar_kernels().kernels.at(opcode)(*checked, {.first = 0, .count = ::npu::partition(*checked).units});
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
