// The interrupt controller, emulated by the kernel: GICv3, or GICv2 where the host's hardware offers no more (Linux,
// Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic.rst).
#pragma once

#include <cstdint>
#include <span>

#include "vmm/base/result.hpp"
#include "vmm/hypervisor/kvm/vm.hpp"
#include "vmm/hypervisor/state.hpp"

namespace vmm::kvm {

/// Where the guest sees it, and how large it is.
struct GicConfig {
  DeviceType version = DeviceType::GicV3;
  Gpa distributor;
  Gpa cpu_interface;   ///< GICv2
  Gpa redistributors;  ///< GICv3: 128 KiB for each CPU from here on
  std::uint32_t cpus = 1;
  std::uint32_t interrupt_ids = 96;  ///< private ones included; a multiple of 32, at most 1020
};

class Gic {
 public:
  /// Creates and initialises it. Every virtual CPU must exist, none may have run.
  static Result<Gic> create(const Vm& vm, const GicConfig& config);

  /// What a restored one needs. No virtual CPU may run.
  /// @param affinities of the CPUs in order, MPIDR_EL1's affinity fields
  [[nodiscard]] Result<hypervisor::GicState> save(std::span<const std::uint64_t> affinities) const;
  /// Takes a saved state over, before any virtual CPU has run and before devices set levels.
  Result<> restore(const hypervisor::GicState& state) const;

 private:
  Gic(Device device, const GicConfig& config) : device_(std::move(device)), config_(config) {}

  Device device_;
  GicConfig config_;
};

}  // namespace vmm::kvm
