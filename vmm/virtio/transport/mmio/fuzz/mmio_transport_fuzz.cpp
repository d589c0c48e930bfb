// A hostile guest at the registers. The input is a list of operations, each of four bytes and, for some, a value: what
// two virtual CPUs write, read and put into guest memory, in the order in which the transport would see them.
// EchoDevice traps when the transport breaks the contract of device.hpp.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "vmm/virtio/testing/echo_device.hpp"
#include "vmm/virtio/testing/fake_driver.hpp"
#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

using namespace vmm;
using namespace vmm::virtio;
using virtio::testing::EchoDevice;
using virtio::testing::FakeGuest;

namespace {

namespace status = abi::virtio::status;
using abi::virtio::mmio::Register;

constexpr std::size_t kRamBytes = 4096;

struct Line final : mmio::InterruptLine {
  void set(bool asserted) override {
    if (!asserted) __builtin_trap();
  }
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  template <typename T>
  T take() {
    T value{};
    const std::size_t bytes = std::min(sizeof value, rest_.size());
    std::memcpy(&value, rest_.data(), bytes);
    rest_ = rest_.subspan(bytes);
    return value;
  }

 private:
  std::span<const std::uint8_t> rest_;
};

struct Machine {
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  FakeGuest guest{kRamBytes};
  EchoDevice device;
  Line line;
  std::size_t warnings = 0;
  std::unique_ptr<MmioTransport> transport = std::move(
      *MmioTransport::create(*loop, device, guest.memory(), line, {.warning = [this](const std::string& message) {
        if (message.empty() || ++warnings > MmioTransport::kMaxWarnings) __builtin_trap();
      }}));

  void round() {
    if (!loop->run_once(std::chrono::milliseconds(0))) __builtin_trap();
  }
  void set(std::uint32_t offset, std::uint32_t value) { transport->write(offset, 4, value); }
  [[nodiscard]] std::uint32_t get(std::uint32_t offset) {
    return static_cast<std::uint32_t>(transport->read(offset, 4));
  }

  /// What a driver does to get to DRIVER_OK, because garbage alone rarely gets there.
  void negotiate(std::uint8_t wanted) {
    set(Register::Status, 0);
    set(Register::Status, 3);
    set(Register::DriverFeaturesSel, 1);
    set(Register::DriverFeatures, 1);
    set(Register::DriverFeaturesSel, 0);
    set(Register::DriverFeatures, std::uint32_t{wanted} << 28 & 0x3000'0000);
    set(Register::Status, 11);
  }
  void set_up(std::uint32_t queue, std::uint8_t shift) {
    const auto base = static_cast<std::uint32_t>(FakeGuest::kBase) + queue * 0x200;
    set(Register::QueueSel, queue);
    set(Register::QueueNum, 1u << shift % 5);
    set(Register::QueueDescLow, base);
    set(Register::QueueDriverLow, base + 0x100);
    set(Register::QueueDeviceLow, base + 0x140);
    set(Register::QueueReady, 1);
  }
  void check() {
    const std::uint32_t now = get(Register::Status);
    const bool running = (now & status::kDriverOk) != 0 && (now & (status::kDeviceNeedsReset | status::kFailed)) == 0;
    // A device that has queues has a driver that is ready, and one whose driver is not has none.
    if (device.active() != nullptr && (now & status::kDriverOk) == 0) __builtin_trap();
    if (device.active() != nullptr && (now & status::kFailed) != 0) __builtin_trap();
    if (running && (now & status::kFeaturesOk) == 0) __builtin_trap();
  }
};

void step(Machine& machine, Input& input) {
  const auto kind = input.take<std::uint8_t>();
  const auto small = input.take<std::uint8_t>();
  switch (kind % 12) {
    case 0:
    case 1:
      return machine.set(small % 64 * 4u, input.take<std::uint32_t>());
    case 2:
      return machine.set(small % 64 * 4u, input.take<std::uint8_t>());
    case 3:
      return machine.transport->write(0x100 + small, 1u << small % 4, input.take<std::uint64_t>());
    case 4:
      return machine.transport->write(small, 1u << kind / 12 % 4, input.take<std::uint64_t>());
    case 5:
      (void)machine.transport->read(small * 2u, 1u << kind / 12 % 4);
      return;
    case 6: {
      const auto value = input.take<std::uint64_t>();
      const std::uint64_t offset = (small * 16u + kind / 12 % 2 * 8u) % kRamBytes;
      (void)machine.guest.memory()->copy_in(Gpa(FakeGuest::kBase + offset), std::as_bytes(std::span(&value, 1)));
      return;
    }
    case 7:
      return machine.negotiate(small);
    case 8:
      return machine.set_up(kind / 12 % 3, small);
    case 9:
      return machine.set(Register::Status, 15);
    case 10:
      machine.set(Register::QueueNotify, small % 3);
      return machine.round();
    default:
      break;
  }
  if (small % 4 == 0) machine.transport->suspend();
  if (small % 4 == 1) machine.transport->resume();
  if (small % 4 == 2) machine.device.change_config(small % EchoDevice::kConfigBytes, std::byte{kind});
  if (small % 4 == 3) {
    // A snapshot, changed where the input says, and restored into a fresh machine.
    MmioTransportState state = machine.transport->save();
    const auto at = input.take<std::uint16_t>() % sizeof state;
    reinterpret_cast<unsigned char*>(&state)[at] ^= input.take<std::uint8_t>();  // bytes of a plain struct
    Machine other;
    other.round();
    if (other.transport->restore(state)) other.transport->resume();
    other.check();
    machine.transport->resume();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Machine machine;
  machine.round();  // from here on this thread is the loop's
  Input input(data, size);
  for (int steps = 0; steps < 256 && !input.empty(); ++steps) {
    step(machine, input);
    machine.check();
  }
  machine.set(Register::Status, 0);
  if (machine.get(Register::Status) != 0 || machine.device.active() != nullptr) __builtin_trap();
  return 0;
}
