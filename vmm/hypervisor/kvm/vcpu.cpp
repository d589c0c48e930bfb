#include "vmm/hypervisor/kvm/vcpu.hpp"

#include <asm/kvm.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <array>
#include <cstring>
#include <string>

#include "ioctl.hpp"
#include "vmm/hypervisor/kvm/vm.hpp"

namespace vmm::kvm {
namespace {

constexpr std::uint32_t kFirstPpi = 16;

void add_feature(kvm_vcpu_init& init, unsigned number) { init.features[number / 32] |= 1u << (number % 32); }

kvm_device_attr attribute_request(Attribute attribute, const void* value) {
  kvm_device_attr request{};
  request.group = attribute.group;
  request.attr = attribute.number;
  request.addr = reinterpret_cast<std::uintptr_t>(value);  // the kernel takes the address as a number
  return request;
}

static_assert(sizeof(kvm_vcpu_events) == sizeof(hypervisor::VcpuState::events));

std::string hex(std::uint64_t value) {
  std::array<char, 19> text;
  return {text.data(), static_cast<std::size_t>(
                           std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value)))};
}

/// A register of a size that a snapshot can keep.
bool fits(std::uint64_t id) { return KVM_REG_SIZE(id) <= sizeof(hypervisor::Register::value); }

/// One access of the guest to a device. The kernel wrote all of it: nothing here is the guest's but the address and the
/// data.
void serve(decltype(kvm_run::mmio)& access, mmio::Bus& bus) {
  std::uint64_t value = 0;
  static_assert(sizeof value == sizeof access.data);
  if (access.is_write != 0) {
    std::memcpy(&value, access.data, sizeof value);
    bus.write(Gpa(access.phys_addr), access.len, value);
  } else {
    value = bus.read(Gpa(access.phys_addr), access.len);
    std::memcpy(access.data, &value, sizeof value);
  }
}

}  // namespace

static_assert(static_cast<std::uint64_t>(RegisterId::X0) ==
              (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.regs[0])));
static_assert(static_cast<std::uint64_t>(RegisterId::Pc) ==
              (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc)));
static_assert(static_cast<std::uint64_t>(RegisterId::Pstate) ==
              (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pstate)));
static_assert(static_cast<std::uint64_t>(RegisterId::MpidrEl1) == ARM64_SYS_REG(3, 0, 0, 0, 5));
static_assert(static_cast<std::uint64_t>(RegisterId::VirtualCounter) == KVM_REG_ARM_TIMER_CNT);

Vcpu::Vcpu(UniqueFd fd, MappedRegion shared, unsigned index)
    : fd_(std::move(fd)),
      shared_(std::move(shared)),
      // reinterpret_cast: the kernel put a kvm_run there; the mapping is large enough and page aligned.
      run_(reinterpret_cast<kvm_run*>(shared_.data())),
      index_(index) {}

Result<> Vcpu::init(const Vm& vm, const VcpuConfig& config) {
  const auto what = [this] { return "cannot initialise CPU " + std::to_string(index_); };
  kvm_vcpu_init request{};
  if (auto target = vm.preferred_target(request); !target)
    return std::unexpected(std::move(target.error()).because_of(what()));
  add_feature(request, KVM_ARM_VCPU_PSCI_0_2);
  if (config.powered_off) add_feature(request, KVM_ARM_VCPU_POWER_OFF);
  if (config.pmu) add_feature(request, KVM_ARM_VCPU_PMU_V3);
  if (config.pointer_authentication) {
    add_feature(request, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
    add_feature(request, KVM_ARM_VCPU_PTRAUTH_GENERIC);
  }
  auto initialised = done(call(fd_, KVM_REQUEST(KVM_ARM_VCPU_INIT), &request));
  if (!initialised) return std::unexpected(std::move(initialised.error()).because_of(what()));
  return {};
}

Result<std::uint64_t> Vcpu::get(RegisterId id) const {
  std::uint64_t value = 0;
  kvm_one_reg request{};
  request.id = static_cast<std::uint64_t>(id);
  request.addr = reinterpret_cast<std::uintptr_t>(&value);  // the kernel takes the address as a number
  if (auto got = done(call(fd_, KVM_REQUEST(KVM_GET_ONE_REG), &request)); !got) return std::unexpected(got.error());
  return value;
}

Result<> Vcpu::set(RegisterId id, std::uint64_t value) {
  kvm_one_reg request{};
  request.id = static_cast<std::uint64_t>(id);
  request.addr = reinterpret_cast<std::uintptr_t>(&value);  // as in get()
  return done(call(fd_, KVM_REQUEST(KVM_SET_ONE_REG), &request));
}

Result<std::vector<std::uint64_t>> Vcpu::list_registers() const {
  // KVM says how many there are in the answer to a list that is too short.
  std::vector<std::uint64_t> list(1);
  if (auto listed = done(call(fd_, KVM_REQUEST(KVM_GET_REG_LIST), list.data())); listed || list[0] == 0) {
    return fail("KVM_GET_REG_LIST: a virtual CPU without registers");
  }
  list.resize(list[0] + 1);
  if (auto listed = done(call(fd_, KVM_REQUEST(KVM_GET_REG_LIST), list.data())); !listed) {
    return std::unexpected(std::move(listed.error()));
  }
  list.erase(list.begin());
  return list;
}

Result<hypervisor::VcpuState> Vcpu::save() const {
  const auto list = list_registers();
  if (!list) return std::unexpected(list.error());
  hypervisor::VcpuState state;
  state.registers.reserve(list->size());
  for (const std::uint64_t id : *list) {
    if (id == KVM_REG_ARM_TIMER_CNT) continue;
    if (!fits(id))
      return fail("register " + hex(id) + " of CPU " + std::to_string(index_) + " is too large to be saved");
    hypervisor::Register saved{.id = id};
    kvm_one_reg request{};
    request.id = id;
    request.addr = reinterpret_cast<std::uintptr_t>(saved.value.data());  // as in get()
    if (auto got = done(call(fd_, KVM_REQUEST(KVM_GET_ONE_REG), &request)); !got) {
      return std::unexpected(std::move(got.error()).because_of("register " + hex(id)));
    }
    state.registers.push_back(saved);
  }
  kvm_mp_state run_state{};
  if (auto got = done(call(fd_, KVM_REQUEST(KVM_GET_MP_STATE), &run_state)); !got) return std::unexpected(got.error());
  state.run_state = run_state.mp_state;
  kvm_vcpu_events events{};
  if (auto got = done(call(fd_, KVM_REQUEST(KVM_GET_VCPU_EVENTS), &events)); !got) return std::unexpected(got.error());
  std::memcpy(state.events.data(), &events, sizeof events);
  return state;
}

Result<> Vcpu::restore(const hypervisor::VcpuState& state) {
  const std::string cpu = " of CPU " + std::to_string(index_);
  for (const hypervisor::Register& saved : state.registers) {
    if (!fits(saved.id)) return fail("the saved register " + hex(saved.id) + cpu + " is too large");
    kvm_one_reg request{};
    request.id = saved.id;
    request.addr = reinterpret_cast<std::uintptr_t>(saved.value.data());  // as in get()
    if (auto set = done(call(fd_, KVM_REQUEST(KVM_SET_ONE_REG), &request)); !set) {
      return std::unexpected(
          std::move(set.error()).because_of("this host refuses the saved register " + hex(saved.id) + cpu));
    }
  }
  kvm_vcpu_events events{};
  std::memcpy(&events, state.events.data(), sizeof events);
  kvm_mp_state run_state{.mp_state = state.run_state};
  auto restored = done(call(fd_, KVM_REQUEST(KVM_SET_VCPU_EVENTS), &events));
  if (restored) restored = done(call(fd_, KVM_REQUEST(KVM_SET_MP_STATE), &run_state));
  if (!restored)
    return std::unexpected(std::move(restored.error()).because_of("this host refuses the saved state" + cpu));
  return {};
}

bool Vcpu::has(Attribute attribute) const {
  auto request = attribute_request(attribute, nullptr);
  return call(fd_, KVM_REQUEST(KVM_HAS_DEVICE_ATTR), &request).has_value();
}

Result<> Vcpu::set_attribute(Attribute attribute, const void* value) {
  auto request = attribute_request(attribute, value);
  return done(call(fd_, KVM_REQUEST(KVM_SET_DEVICE_ATTR), &request));
}

Result<> Vcpu::enable_pmu(std::uint32_t ppi) {
  const int interrupt = static_cast<int>(kFirstPpi + ppi);
  auto set = set_attribute({KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ}, &interrupt);
  if (set) set = set_attribute({KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT}, nullptr);
  if (!set) return std::unexpected(std::move(set.error()).because_of("cannot set up the PMU"));
  return {};
}

Result<> Vcpu::enable_stolen_time(Gpa structure) {
  const Attribute attribute{KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA};
  if (!has(attribute)) return {};  // the host's kernel has it, but was told not to account for it
  const std::uint64_t address = structure.value();
  auto set = set_attribute(attribute, &address);
  if (!set) return std::unexpected(std::move(set.error()).because_of("cannot set up stolen time"));
  return {};
}

VcpuExit Vcpu::run(mmio::Bus& bus) {
  for (;;) {
    if (::ioctl(fd_.get(), KVM_RUN, 0) != 0) {
      if (errno == EINTR) return {.reason = VcpuExit::Reason::Interrupted};
      if (errno == EAGAIN) continue;
      return {.reason = VcpuExit::Reason::Failed, .error = errno, .kvm_exit = run_->exit_reason};
    }
    if (run_->exit_reason != KVM_EXIT_MMIO) return explain();
    serve(run_->mmio, bus);
  }
}

VcpuExit Vcpu::explain() const {
  using enum VcpuExit::Reason;
  VcpuExit exit{.reason = Failed, .kvm_exit = run_->exit_reason};
  switch (run_->exit_reason) {
    case KVM_EXIT_SYSTEM_EVENT:
      exit.detail = run_->system_event.type;
      if (exit.detail == KVM_SYSTEM_EVENT_SHUTDOWN) exit.reason = Shutdown;
      if (exit.detail == KVM_SYSTEM_EVENT_RESET) exit.reason = Reset;
      if (exit.detail == KVM_SYSTEM_EVENT_CRASH) exit.reason = Crash;
      break;
    case KVM_EXIT_ARM_NISV:
      exit.reason = Undecodable;
      exit.address = Gpa(run_->arm_nisv.fault_ipa);
      break;
    case KVM_EXIT_INTR:
      exit.reason = Interrupted;
      break;
    case KVM_EXIT_FAIL_ENTRY:
      exit.detail = run_->fail_entry.hardware_entry_failure_reason;
      break;
    case KVM_EXIT_INTERNAL_ERROR:
      exit.detail = run_->internal.suberror;
      break;
    default:
      break;
  }
  return exit;
}

std::string VcpuExit::failure() const {
  std::string text = "KVM cannot run the guest: ";
  if (error != 0) return text + "KVM_RUN: " + std::strerror(error);
  return text + "exit reason " + std::to_string(kvm_exit) + ", detail " + std::to_string(detail);
}

Result<> Vcpu::inject_external_abort() {
  kvm_vcpu_events events{};
  events.exception.ext_dabt_pending = 1;
  return done(call(fd_, KVM_REQUEST(KVM_SET_VCPU_EVENTS), &events));
}

void Vcpu::set_immediate_exit(std::uint8_t value) {
  // The kernel and the thread that runs the guest look at it; relaxed: nothing is published with it.
  __atomic_store_n(&run_->immediate_exit, value, __ATOMIC_RELAXED);
}

}  // namespace vmm::kvm
