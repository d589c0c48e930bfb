// The machine from power-on to power-off: virtual CPUs, interrupt controller, devices. A reboot makes a new one, so
// that nothing of the old life is left, in the kernel or here.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guest_ram.hpp"
#include "vcpu_thread.hpp"
#include "vmm/base/event_loop.hpp"
#include "vmm/devices/pl011/pl011.hpp"
#include "vmm/devices/pl031/pl031.hpp"
#include "vmm/hypervisor/kvm/gic.hpp"
#include "vmm/hypervisor/kvm/kvm.hpp"
#include "vmm/hypervisor/kvm/vm.hpp"
#include "vmm/machine/board/device_tree.hpp"
#include "vmm/mmio/bus.hpp"
#include "vmm/virtio/device.hpp"
#include "vmm/virtio/transport/mmio/mmio_transport.hpp"

namespace vmm::snapshot {
struct MachineState;
}

namespace vmm::machine_kvm {

/// News of the hardware, on threads of virtual CPUs.
struct HardwareEvents {
  std::function<void()> console_output;  ///< Pl011::take_output() has something
  std::function<void()> console_room;    ///< Pl011::receive() takes bytes again
  std::function<void(const std::string&)> warning;
  /// The guest has powered off or reset the machine, or a CPU cannot go on. Several CPUs may tell.
  std::function<void(const kvm::VcpuExit&)> stopped;
  /// A CPU has stopped because it was asked to; once for each after request_pause().
  std::function<void()> paused;
};

struct HardwareConfig {
  unsigned cpus = 1;
  board::GicVersion gic = board::GicVersion::V3;           ///< the one wanted; GICv2 where the host has no GICv3
  std::atomic<std::uint64_t>* unknown_accesses = nullptr;  ///< counts accesses to addresses where nothing is
  /// What a snapshot says; the host must have all of it. Null: what the host has. Read by create() only.
  const snapshot::MachineState* restored = nullptr;
  /// By virtio slot. They outlive the hardware, and are in their reset state.
  std::vector<virtio::VirtioDevice*> devices;
};

/// Thread: the loop's, or any while that does not run.
class Hardware {
 public:
  /// @param ram, loop  outlive it
  static Result<std::unique_ptr<Hardware>> create(const kvm::Kvm& kvm, const GuestRam& ram, EventLoop& loop,
                                                  const HardwareConfig& config, HardwareEvents events);
  ~Hardware();
  Hardware(const Hardware&) = delete;
  Hardware& operator=(const Hardware&) = delete;

  /// What the guest is to be told; memory and boot files are left to others.
  [[nodiscard]] board::DeviceTreeConfig describe() const;

  /// Sets the boot CPU's registers (Linux, Documentation/arch/arm64/booting.rst).
  Result<> set_entry(Gpa entry, Gpa device_tree);

  /// Starts the virtual CPUs; after a pause, again.
  /// @param threads one for each CPU; outlive it
  void start(std::span<const std::unique_ptr<VcpuThread>> threads);

  /// Stops them for good and waits for that, some microseconds: from here on no CPU waits for the loop any more.
  void halt();

  // A pause: request_pause(), HardwareEvents::paused for each CPU, wait_paused(), save(), resume_devices(), start().

  /// Asks the virtual CPUs to leave the guest, with all accesses to devices complete. Until they have told, the loop
  /// must go on: they may be waiting for it, or for console().take_output().
  void request_pause();
  /// Waits for what is left of that, some microseconds.
  void wait_paused();
  /// Adds everything but memory. Virtio devices have no queues after that.
  Result<> save(snapshot::MachineState& state);
  /// Takes over what save() has added, before the first start(); resume_devices() follows.
  Result<> restore(const snapshot::MachineState& state);
  /// Lets the devices and the guest's counter go on from where save() or restore() left them.
  Result<> resume_devices();

  [[nodiscard]] Pl011& console() { return *console_; }

 private:
  /// A wire whose level is kept: PL011, PL031.
  class LevelLine final : public mmio::InterruptLine {
   public:
    LevelLine(const kvm::Vm& vm, std::uint32_t spi) : vm_(vm), spi_(spi) {}
    void set(bool asserted) override;

   private:
    const kvm::Vm& vm_;
    std::uint32_t spi_;
  };
  /// An edge for each set(true), through an eventfd that the kernel watches.
  class EdgeLine final : public mmio::InterruptLine {
   public:
    explicit EdgeLine(Notifier notifier) : notifier_(std::move(notifier)) {}
    void set(bool asserted) override;

   private:
    Notifier notifier_;
  };
  struct Slot {
    std::unique_ptr<EdgeLine> line;
    std::unique_ptr<virtio::MmioTransport> transport;
  };

  Hardware(kvm::Vm vm, const HardwareConfig& config, HardwareEvents events);
  Result<> choose_features(const kvm::HostFeatures& host);
  Result<> choose_gic();
  Result<> add_memory(const GuestRam& ram);
  Result<> add_cpus();
  Result<> add_interrupt_controller();
  Result<> add_platform_devices(EventLoop& loop);
  Result<> add_virtio(EventLoop& loop, const GuestRam& ram, unsigned slot, virtio::VirtioDevice& device);

  kvm::Vm vm_;
  HardwareConfig config_;
  HardwareEvents events_;
  mmio::Bus bus_;
  std::optional<MappedRegion> stolen_time_;
  std::vector<kvm::Vcpu> vcpus_;
  std::vector<std::uint64_t> affinities_;
  kvm::HostFeatures features_;  ///< those that the guest has
  std::uint64_t counter_ = 0;   ///< CNTVCT_EL0 while the machine stands still
  std::optional<kvm::Gic> gic_;
  std::optional<LevelLine> console_line_;
  std::optional<Pl011> console_;
  HostWallClock clock_;
  std::optional<LevelLine> rtc_line_;
  std::optional<Pl031> rtc_;
  std::optional<Pl031Alarm> rtc_alarm_;
  std::vector<Slot> slots_;
  VcpuEvents vcpu_events_;
  std::span<const std::unique_ptr<VcpuThread>> threads_;  ///< that use all of the above; none before start()
};

}  // namespace vmm::machine_kvm
