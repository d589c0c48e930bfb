// A hostile driver against the whole device: the input is a list of what it does, bytes of its rings included. What
// must hold: no memory error, every job counted exactly once at its end, nothing left after a reset, and no step that
// hangs.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "../tests/fake_commands.hpp"
#include "vmm/devices/npu/device.hpp"
#include "vmm/virtio/testing/fake_driver.hpp"

using namespace vmm;
using namespace vmm::npu;
using virtio::testing::FakeGuest;
using virtio::testing::FakeQueue;

namespace {

constexpr std::uint16_t kQueueSize = 16;
constexpr std::size_t kGuestBytes = std::size_t{128} << 10;
constexpr std::uint64_t kEnd = FakeGuest::kBase + kGuestBytes;

struct Silent final : virtio::Interrupt {
  void signal_queue(std::uint16_t) override {}
  void signal_config() override {}
  void needs_reset(std::uint16_t, const std::string& reason) override {
    if (reason.empty()) __builtin_trap();
  }
};

class Fuzzed {
 public:
  Fuzzed() {
    for (auto& buffer : buffers_) buffer = guest_.allocate(kBufferBytes);
    activate();
  }

  void run(std::span<const std::uint8_t> input) {
    while (input.size() >= 8) {
      step(input.first<8>());
      input = input.subspan(8);
    }
    device_->reset();
    const Counters& counters = device_->counters();
    std::uint64_t ended = 0;
    for (const auto member : kJobsByStatus) ended += counters.*member;
    if (counters.jobs_in_flight != 0 || ended != counters.jobs_submitted || counters.regions != 0) __builtin_trap();
  }

 private:
  static constexpr std::size_t kBufferBytes = 1024;

  void step(std::span<const std::uint8_t, 8> bytes) {
    switch (bytes[0] % 10) {
      case 0:
      case 1:
      case 2:
        return send(bytes);
      case 3:
      case 4:
        return ask(bytes);
      case 5:
        // Rings, descriptors, requests that are in flight.
        return guest_.put(FakeGuest::kBase + (bytes[1] + bytes[2] * std::size_t{256}) % (kGuestBytes - 4),
                          abi::Le32(static_cast<std::uint32_t>(bytes[3] | bytes[4] << 8 | bytes[5] << 16)));
      case 6:
        device_->reset();
        control_.emplace(queue_at(abi::npu::kControlQueue));
        jobs_.emplace(queue_at(abi::npu::kJobQueue));
        return activate();
      case 7: {
        const auto queues = device_->deactivate();
        const DeviceState state = device_->save();
        if ((bytes[1] & 1) != 0) {
          device_ = std::move(*NpuDevice::create(*loop_, config_));
          if (!device_->restore(state)) __builtin_trap();
        }
        if (queues.size() != 2) __builtin_trap();
        control_->layout().next_index = queues[0].next_index();
        jobs_->layout().next_index = queues[1].next_index();
        return activate();
      }
      case 8:
        if (!device_->memory_changed(guest_.memory())) __builtin_trap();
        return;
      default:
        device_->queue_kicked(bytes[1] % 3);
        if (!loop_->run_once(std::chrono::milliseconds(bytes[2] % 2))) __builtin_trap();
    }
  }

  void send(std::span<const std::uint8_t, 8> bytes) {
    abi::npu::JobHeader header{};
    header.stream_version = bytes[1] == 0xFF ? 2 : 1;
    header.commands = bytes[1] == 0xFE ? UINT32_MAX : bytes[1] % 4;
    header.id = bytes[2] % 8;
    header.priority = bytes[3] % 5;
    header.flags = bytes[3] >> 7;
    header.deadline_ns = bytes[4] == 1 ? 1000 : 0;
    const std::uint64_t at = next_buffer();
    guest_.put(at, header);
    constexpr abi::npu::Opcode kOpcodes[] = {abi::npu::Opcode::Nop, abi::npu::Opcode::Copy, abi::npu::Opcode::Gelu,
                                             abi::npu::Opcode::Copy};
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::uint32_t units = (bytes[5] & 0x40) != 0 ? UINT32_MAX : bytes[6] * 16u;
      guest_.put(at + sizeof header + i * sizeof(abi::npu::Command),
                 testing::command(kOpcodes[(bytes[5] + i) % 4], bytes[5] % 4 == 0 ? bytes[6] : units, bytes[4] * 100u,
                                  handle(bytes[7]), bytes[7] == 7 ? UINT64_MAX - 3 : bytes[6]));
    }
    const auto result_bytes = static_cast<std::uint32_t>(bytes[2] == 0x80 ? 8 : sizeof(abi::npu::JobResult));
    offer(*jobs_, abi::npu::kJobQueue, at, sizeof header + 3 * sizeof(abi::npu::Command), result_bytes);
  }

  void ask(std::span<const std::uint8_t, 8> bytes) {
    abi::npu::ControlRequest request{};
    request.op = bytes[1] % 9;
    const bool is_region = request.op == static_cast<std::uint32_t>(abi::npu::ControlOp::RegisterRegion);
    request.argument = is_region || bytes[1] % 9 == 6 ? bytes[2] % 8 : handle(bytes[2]);
    const bool has_no_argument = bytes[1] % 9 == 3 || bytes[1] % 9 == 4 || bytes[1] % 9 == 5;
    if (has_no_argument && bytes[2] != 0xFF) request.argument = 0;
    request.address = is_region ? FakeGuest::kBase + bytes[3] * 64u : bytes[3] % 8;
    if (bytes[3] == 0xFF) request.address = kEnd - 64;
    request.bytes = bytes[4] == 0xFF ? UINT64_MAX : bytes[4] * 64u;
    if (!is_region) request.bytes = 0;
    const std::uint64_t at = next_buffer();
    guest_.put(at, request);
    offer(*control_, abi::npu::kControlQueue, at, sizeof request, bytes[5] == 1 ? 20 : sizeof(abi::npu::Counters));
  }

  /// One of the first handles that a device gives out, or another number.
  static std::uint32_t handle(std::uint8_t byte) { return byte % 8 < 6 ? (1u + byte / 8 % 2) << 12 | byte % 4 : byte; }

  void offer(FakeQueue& queue, std::uint16_t index, std::uint64_t at, std::uint32_t bytes, std::uint32_t room) {
    const auto first = static_cast<std::uint16_t>(next_descriptor_++ % (kQueueSize / 2) * 2);
    queue.add_at(first, {{at, bytes, false}, {at + bytes, room, true}});
    device_->queue_kicked(index);
  }
  std::uint64_t next_buffer() { return buffers_[next_buffer_++ % std::size(buffers_)]; }
  FakeQueue queue_at(std::uint16_t) { return {guest_, kQueueSize, true, true}; }

  void activate() {
    virtio::Activation activation{.features = device_->features(), .queues = {}, .interrupt = &silent_};
    activation.queues.push_back(control_->device_side());
    activation.queues.push_back(jobs_->device_side());
    if (!device_->activate(std::move(activation))) __builtin_trap();
  }

  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create());
  FakeGuest guest_{kGuestBytes};
  DeviceConfig config_{
      .commands = testing::command_set(),
      .options = {.threads = 2, .faults = {{.kind = vmm::npu::Fault::Kind::DropInterrupt, .number = 2}}},
      .limits = {.jobs = 4, .commands_in_flight = 8, .regions = 4, .job = {.max_commands = 4}}};
  std::unique_ptr<NpuDevice> device_ = std::move(*NpuDevice::create(*loop_, config_));
  Silent silent_;
  std::optional<FakeQueue> control_{queue_at(0)}, jobs_{queue_at(1)};
  std::uint64_t buffers_[8] = {};
  std::size_t next_buffer_ = 0;
  std::size_t next_descriptor_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Each new driver's queues take memory of their own, of which there is so much.
  const std::size_t most = 400;
  Fuzzed().run({data, std::min(size, most)});
  return 0;
}
