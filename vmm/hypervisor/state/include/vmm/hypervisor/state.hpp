// What a hypervisor keeps of a machine, as plain values: for snapshots, also where nothing of the hypervisor is built.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace vmm::hypervisor {

/// A virtual CPU's register as KVM_GET_REG_LIST names it (Linux, Documentation/virt/kvm/api.rst).
struct Register {
  std::uint64_t id = 0;
  std::array<std::byte, 16> value{};  ///< as many as `id` says, in host byte order; zeros behind
};
static_assert(std::has_unique_object_representations_v<Register>, "padding would leak into a snapshot");

struct VcpuState {
  std::uint32_t run_state = 0;         ///< kvm_mp_state.mp_state: runs, or waits for PSCI CPU_ON
  std::array<std::byte, 64> events{};  ///< kvm_vcpu_events: an SError that the guest has not taken
  std::vector<Register> registers;     ///< in the order of KVM's list, without the virtual counter
};

/// A register of the interrupt controller (Linux, arm-vgic-v3.rst and arm-vgic.rst).
struct GicRegister {
  std::uint64_t attribute = 0;
  std::uint64_t value = 0;
  std::uint32_t group = 0;
  std::uint32_t size_bytes = 0;  ///< 4 or 8
};
static_assert(std::has_unique_object_representations_v<GicRegister>, "padding would leak into a snapshot");

/// All of them, in the order in which they must be written into a fresh one.
using GicState = std::vector<GicRegister>;

}  // namespace vmm::hypervisor
