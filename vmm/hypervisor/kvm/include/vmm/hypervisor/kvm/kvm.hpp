// /dev/kvm: what this host's KVM can do (Linux, Documentation/virt/kvm/api.rst).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm::kvm {

class Vm;

/// What a machine may use of the host beyond the minimum, which Kvm::open() demands.
struct HostFeatures {
  unsigned max_cpus = 1;
  unsigned address_bits = 40;  ///< of guest-physical addresses, at most
  bool pmu = false;            ///< PMUv3
  bool pointer_authentication = false;
  bool stolen_time = false;
  std::uint64_t counter_hz = 0;     ///< CNTFRQ_EL0: how fast the guest's counter runs, too
  bool report_undecodable = false;  ///< accesses without a syndrome come to the monitor, and a fault can be injected
};

class Kvm {
 public:
  /// Errors (ExitCode::HostLacks) say what is missing and what to do: no /dev/kvm, no permission, an interface of
  /// another version, a KVM without what every machine needs (user memory, irqfd, ioeventfd, PSCI 0.2).
  static Result<Kvm> open();

  [[nodiscard]] const HostFeatures& features() const { return features_; }

  /// Creates a machine without memory, CPUs or interrupt controller.
  /// @param address_bits of its guest-physical addresses; raised to the least that KVM accepts
  /// @return an error (HostLacks) if the host has fewer
  [[nodiscard]] Result<Vm> create_vm(unsigned address_bits) const;

 private:
  explicit Kvm(UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] int extension(unsigned long number) const;
  [[nodiscard]] Result<> examine();

  UniqueFd fd_;
  HostFeatures features_;
  bool sized_ = false;         ///< a machine is made with the width of its addresses
  std::size_t run_bytes_ = 0;  ///< of the structure that a virtual CPU shares with the kernel
};

/// What is missing to run machines on this host, one sentence each with what to do about it. Empty: nothing.
std::vector<std::string> missing_on_host();

}  // namespace vmm::kvm
