// One virtual CPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "vmm/base/mapped_region.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/hypervisor/kvm/device.hpp"
#include "vmm/hypervisor/state.hpp"
#include "vmm/memory/guest_memory.hpp"
#include "vmm/mmio/bus.hpp"

struct kvm_run;

namespace vmm::kvm {

class Vm;

/// How a virtual CPU starts.
struct VcpuConfig {
  bool powered_off = false;  ///< waits for PSCI CPU_ON
  bool pmu = false;
  bool pointer_authentication = false;
};

/// Registers as KVM_GET_ONE_REG numbers them (api.rst).
enum class RegisterId : std::uint64_t {
  X0 = 0x6030'0000'0010'0000,      ///< KVM_REG_ARM_CORE_REG(regs.regs[0]); the others follow, two numbers apart
  Pc = 0x6030'0000'0010'0040,      ///< KVM_REG_ARM_CORE_REG(regs.pc)
  Pstate = 0x6030'0000'0010'0042,  ///< KVM_REG_ARM_CORE_REG(regs.pstate)
  MpidrEl1 = 0x6030'0000'0013'c005,
  /// CNTVCT_EL0 as the guest reads it. Set for one virtual CPU it is set for all; not while any runs.
  VirtualCounter = 0x6030'0000'0013'df1a,  ///< KVM_REG_ARM_TIMER_CNT, whose encoding is that of another register
};

/// Why a virtual CPU stopped running the guest.
struct VcpuExit {
  enum class Reason : std::uint8_t {
    Interrupted,  ///< request_exit(), or a signal
    Shutdown,     ///< PSCI SYSTEM_OFF
    Reset,        ///< PSCI SYSTEM_RESET
    Crash,        ///< KVM_SYSTEM_EVENT_CRASH
    Undecodable,  ///< an access to `address` by an instruction of which the hardware tells too little
    Failed,       ///< KVM cannot run it; failure() says why
  };
  Reason reason = Reason::Failed;
  Gpa address = {};
  int error = 0;               ///< errno of KVM_RUN, or 0
  std::uint32_t kvm_exit = 0;  ///< KVM's exit reason
  std::uint64_t detail = 0;    ///< with it: KVM's sub-reason

  [[nodiscard]] std::string failure() const;
};

/// Thread: run() on one thread; request_exit() from any; everything else while run() is not.
class Vcpu {
 public:
  Vcpu(Vcpu&&) = default;
  Vcpu& operator=(Vcpu&&) = default;

  /// Sets it to its reset state: at EL1, MMU off, interrupts masked.
  Result<> init(const Vm& vm, const VcpuConfig& config);

  [[nodiscard]] Result<std::uint64_t> get(RegisterId id) const;
  Result<> set(RegisterId id, std::uint64_t value);

  /// All that the CPU holds but the virtual counter, which is the machine's. After run() has returned Interrupted, or
  /// before it is called: else the last access may be incomplete.
  [[nodiscard]] Result<hypervisor::VcpuState> save() const;
  /// Takes a saved state over, before the first run(). Errors name the register that this host refuses.
  Result<> restore(const hypervisor::VcpuState& state);

  /// The PMU's overflow interrupt; the interrupt controller must be initialised.
  /// @param ppi counted from 0
  Result<> enable_pmu(std::uint32_t ppi);
  /// Where the guest finds how long this CPU did not run although it wanted to (Arm DEN0057, "Stolen time"): 64 bytes,
  /// 64-byte aligned, in a memory slot.
  Result<> enable_stolen_time(Gpa structure);

  /// Runs the guest and serves its accesses to devices until something else happens.
  VcpuExit run(mmio::Bus& bus);

  /// Makes run(), if it does not run the guest now, return Interrupted at once, now and in future; a signal to the
  /// thread that runs the guest completes it. Any thread.
  void request_exit() { set_immediate_exit(1); }
  /// Withdraws that. Only while run() is not.
  void clear_exit_request() { set_immediate_exit(0); }

  /// The guest's last access faults (a synchronous external abort), as on hardware that has nothing there. After
  /// Undecodable.
  Result<> inject_external_abort();

 private:
  friend class Vm;
  Vcpu(UniqueFd fd, MappedRegion shared, unsigned index);
  void set_immediate_exit(std::uint8_t value);
  [[nodiscard]] VcpuExit explain() const;
  [[nodiscard]] Result<std::vector<std::uint64_t>> list_registers() const;
  [[nodiscard]] bool has(Attribute attribute) const;
  Result<> set_attribute(Attribute attribute, const void* value);

  UniqueFd fd_;
  MappedRegion shared_;
  kvm_run* run_;  ///< in shared_
  unsigned index_;
};

}  // namespace vmm::kvm
