#include "hardware.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>

#include "text.hpp"
#include "vmm/machine/snapshot/state.hpp"

namespace vmm::machine_kvm {
namespace {

constexpr std::uint32_t kRamSlot = 0;
constexpr std::uint32_t kStolenTimeSlot = 1;
/// Where QEMU's `virt` has it (VIRT_PVTIME); guests are told by a call, not by the device tree.
constexpr Gpa kStolenTimeBase{0x090a'0000};
/// Arm DEN0057, "Stolen time shared memory structure".
constexpr std::uint64_t kStolenTimeBytes = 64;

/// MPIDR_EL1: Aff3, Aff2, Aff1, Aff0 (Arm DDI 0487).
constexpr std::uint64_t kAffinityMask = 0xff'00ff'ffff;

/// PSTATE at entry: EL1h, D, A, I and F masked (booting.rst: "all forms of interrupts must be masked").
constexpr std::uint64_t kEntryPstate = 0x3c5;

kvm::DeviceType type_of(board::GicVersion version) {
  return version == board::GicVersion::V3 ? kvm::DeviceType::GicV3 : kvm::DeviceType::GicV2;
}

unsigned address_bits(board::AddressRange ram) { return static_cast<unsigned>(std::bit_width(ram.end().value() - 1)); }

std::string describe(const mmio::UnknownAccess& access) {
  std::string text = std::string("the guest ") + (access.is_write ? "wrote to " : "read from ") +
                     hex(access.address.value()) + " (" + std::to_string(access.size_bytes) +
                     " bytes), where no device is";
  if (access.last_report) text += "; further such addresses are only counted";
  return text;
}

}  // namespace

void Hardware::LevelLine::set(bool asserted) {
  // Fails only for an interrupt that does not exist, which add_interrupt_controller() made sure of.
  static_cast<void>(vm_.set_level(spi_, asserted));
}

void Hardware::EdgeLine::set(bool asserted) {
  if (asserted) notifier_.signal();
}

Hardware::Hardware(kvm::Vm vm, const HardwareConfig& config, HardwareEvents events)
    : vm_(std::move(vm)),
      config_(config),
      events_(std::move(events)),
      bus_([this](const mmio::UnknownAccess& access) { events_.warning(machine_kvm::describe(access)); },
           config.unknown_accesses),
      vcpu_events_{.stopped = events_.stopped, .paused = events_.paused, .warning = events_.warning} {}

Hardware::~Hardware() { halt(); }

Result<std::unique_ptr<Hardware>> Hardware::create(const kvm::Kvm& kvm, const GuestRam& ram, EventLoop& loop,
                                                   const HardwareConfig& config, HardwareEvents events) {
  const kvm::HostFeatures& host = kvm.features();
  if (config.cpus > host.max_cpus) {
    return fail("this host's KVM runs machines of at most " + std::to_string(host.max_cpus) + " CPUs, not " +
                    std::to_string(config.cpus),
                abi::ExitCode::HostLacks);
  }
  auto vm = kvm.create_vm(address_bits(ram.range()));
  if (!vm) return std::unexpected(std::move(vm.error()));
  std::unique_ptr<Hardware> hardware(new Hardware(std::move(*vm), config, std::move(events)));
  Result<> done;
  if (host.report_undecodable) done = hardware->vm_.enable_undecodable_reports();
  if (done) done = hardware->choose_features(host);
  if (done) done = hardware->choose_gic();
  if (done) done = hardware->add_memory(ram);
  if (done) done = hardware->add_cpus();
  if (done) done = hardware->add_interrupt_controller();
  if (done) done = hardware->add_platform_devices(loop);
  for (unsigned slot = 0; done && slot < config.devices.size(); ++slot) {
    done = hardware->add_virtio(loop, ram, slot, *config.devices[slot]);
  }
  if (!done) return std::unexpected(std::move(done.error()));
  hardware->config_.restored = nullptr;
  return hardware;
}

/// The guest gets what the host has; a restored one what it had before.
Result<> Hardware::choose_features(const kvm::HostFeatures& host) {
  features_ = host;
  if (config_.restored == nullptr) return {};
  const snapshot::Configuration& wanted = config_.restored->configuration;
  struct Feature {
    const char* name;
    bool wanted;
    bool& had;
  };
  for (const Feature& feature :
       {Feature{"PMU", wanted.pmu, features_.pmu},
        Feature{"pointer authentication", wanted.pointer_authentication, features_.pointer_authentication},
        Feature{"stolen time", wanted.stolen_time, features_.stolen_time}}) {
    if (feature.wanted && !feature.had) {
      return fail(std::string("the saved guest has ") + feature.name + ", which this host's KVM has not",
                  abi::ExitCode::HostLacks);
    }
    feature.had = feature.wanted;
  }
  if (wanted.counter_hz == host.counter_hz) return {};
  return fail("the saved guest's counter runs at " + std::to_string(wanted.counter_hz) + " Hz, this host's at " +
                  std::to_string(host.counter_hz),
              abi::ExitCode::HostLacks);
}

Result<> Hardware::choose_gic() {
  if (vm_.supports(type_of(config_.gic))) return {};
  if (config_.gic == board::GicVersion::V2) {
    return fail("this host's KVM cannot emulate a GICv2: its GIC has no such mode; use machine.gic_version 3",
                abi::ExitCode::HostLacks);
  }
  if (config_.restored != nullptr) {
    return fail("the saved guest has a GICv3, which this host's KVM cannot emulate", abi::ExitCode::HostLacks);
  }
  config_.gic = board::GicVersion::V2;
  if (vm_.supports(kvm::DeviceType::GicV2)) return {};
  return fail("this host's KVM emulates neither GICv3 nor GICv2", abi::ExitCode::HostLacks);
}

Result<> Hardware::add_memory(const GuestRam& ram) {
  if (auto set = vm_.set_memory(kRamSlot, ram.range().base, ram.all()); !set) return set;
  if (!features_.stolen_time) return {};
  auto page = MappedRegion::anonymous(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  if (!page) return std::unexpected(std::move(page.error()));
  stolen_time_ = std::move(*page);
  return vm_.set_memory(kStolenTimeSlot, kStolenTimeBase, GuestSlice(stolen_time_->data(), stolen_time_->size()));
}

Result<> Hardware::add_cpus() {
  vcpus_.reserve(config_.cpus);
  for (unsigned index = 0; index < config_.cpus; ++index) {
    auto vcpu = vm_.create_vcpu(index);
    if (!vcpu) return std::unexpected(std::move(vcpu.error()));
    vcpus_.push_back(std::move(*vcpu));
    auto done = vcpus_.back().init(
        vm_,
        {.powered_off = index != 0, .pmu = features_.pmu, .pointer_authentication = features_.pointer_authentication});
    if (!done) return done;
    if (stolen_time_) done = vcpus_.back().enable_stolen_time(Gpa(kStolenTimeBase.value() + index * kStolenTimeBytes));
    if (!done) return done;
    const auto mpidr = vcpus_.back().get(kvm::RegisterId::MpidrEl1);
    if (!mpidr) return std::unexpected(mpidr.error());
    affinities_.push_back(*mpidr & kAffinityMask);
  }
  return {};
}

Result<> Hardware::add_interrupt_controller() {
  auto gic = kvm::Gic::create(vm_, {.version = type_of(config_.gic),
                                    .distributor = board::kGicDistributor.base,
                                    .cpu_interface = board::kGicCpuInterface.base,
                                    .redistributors = board::kGicRedistributors.base,
                                    .cpus = config_.cpus,
                                    .interrupt_ids = board::kInterruptIds});
  if (!gic) return std::unexpected(std::move(gic.error()));
  gic_ = std::move(*gic);
  if (!features_.pmu) return {};
  for (kvm::Vcpu& vcpu : vcpus_) {
    if (auto done = vcpu.enable_pmu(board::kPmuPpi); !done) return done;
  }
  return {};
}

Result<> Hardware::add_platform_devices(EventLoop& loop) {
  console_line_.emplace(vm_, board::kPl011Spi);
  console_.emplace(*console_line_,
                   Pl011Options{.output_ready = events_.console_output, .input_room = events_.console_room});
  rtc_line_.emplace(vm_, board::kPl031Spi);
  rtc_.emplace(*rtc_line_, clock_, [this] { rtc_alarm_->changed(); });
  rtc_alarm_.emplace(loop, *rtc_);
  auto done = bus_.add("pl011", board::kPl011.base, board::kPl011.size_bytes, *console_);
  if (done) done = bus_.add("pl031", board::kPl031.base, board::kPl031.size_bytes, *rtc_);
  return done;
}

Result<> Hardware::add_virtio(EventLoop& loop, const GuestRam& ram, unsigned slot, virtio::VirtioDevice& device) {
  auto notifier = Notifier::create();
  if (!notifier) return std::unexpected(std::move(notifier.error()));
  if (auto done = vm_.connect_interrupt(board::virtio_spi(slot), *notifier); !done) return done;
  Slot made{.line = std::make_unique<EdgeLine>(std::move(*notifier)), .transport = nullptr};
  auto transport = virtio::MmioTransport::create(loop, device, ram.memory(), *made.line, {.warning = events_.warning});
  if (!transport) return std::unexpected(std::move(transport.error()));
  made.transport = std::move(*transport);
  const board::AddressRange window = board::virtio_slot(slot);
  if (auto done = bus_.add("virtio" + std::to_string(slot), window.base, window.size_bytes, *made.transport); !done) {
    return done;
  }
  const Gpa notify(window.base.value() + abi::virtio::mmio::QueueNotify);
  for (std::uint16_t queue = 0; queue < made.transport->queue_count(); ++queue) {
    auto done = vm_.connect_doorbell({.address = notify, .value = queue}, made.transport->kick(queue));
    if (!done) return done;
  }
  slots_.push_back(std::move(made));
  return {};
}

board::DeviceTreeConfig Hardware::describe() const {
  board::DeviceTreeConfig tree;
  tree.gic = config_.gic;
  tree.cpu_affinities = affinities_;
  tree.pmu = features_.pmu;
  for (unsigned slot = 0; slot < slots_.size(); ++slot) tree.virtio_slots.push_back(slot);
  return tree;
}

Result<> Hardware::set_entry(Gpa entry, Gpa device_tree) {
  kvm::Vcpu& boot = vcpus_.front();
  auto done = boot.set(kvm::RegisterId::Pstate, kEntryPstate);
  if (done) done = boot.set(kvm::RegisterId::Pc, entry.value());
  if (done) done = boot.set(kvm::RegisterId::X0, device_tree.value());
  return done;
}

void Hardware::start(std::span<const std::unique_ptr<VcpuThread>> threads) {
  threads_ = threads;
  for (std::size_t i = 0; i < vcpus_.size(); ++i) threads_[i]->start(vcpus_[i], bus_, vcpu_events_);
}

void Hardware::halt() {
  if (threads_.empty()) return;
  for (const Slot& slot : slots_) slot.transport->shutdown();
  console_->shutdown();
  for (const auto& thread : threads_) thread->request_stop();
  for (const auto& thread : threads_) thread->wait_idle();
  threads_ = {};
}

}  // namespace vmm::machine_kvm
