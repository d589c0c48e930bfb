// The interrupt controller, emulated by the kernel: GICv3, or GICv2 where the host's hardware offers no more (Linux,
// Documentation/virt/kvm/devices/arm-vgic-v3.rst and arm-vgic.rst).
#pragma once

#include <cstdint>

#include "vmm/base/result.hpp"
#include "vmm/hypervisor/kvm/vm.hpp"

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

 private:
  explicit Gic(Device device) : device_(std::move(device)) {}

  Device device_;
};

}  // namespace vmm::kvm
