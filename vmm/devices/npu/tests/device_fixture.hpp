// A whole device with a fake driver in front of it, for tests.
#pragma once

#include <gtest/gtest.h>

#include "fake_commands.hpp"
#include "vmm/devices/npu/device.hpp"
#include "vmm/virtio/testing/fake_driver.hpp"

namespace vmm::npu {

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

inline constexpr milliseconds kPatience{20'000};
inline constexpr std::uint32_t kReadWrite = abi::npu::region_flag::kRead | abi::npu::region_flag::kWrite;

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

}  // namespace vmm::npu
