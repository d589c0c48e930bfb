// One virtual machine: memory slots, interrupts, doorbells, and its CPUs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vmm/base/notifier.hpp"
#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/hypervisor/kvm/device.hpp"
#include "vmm/hypervisor/kvm/kvm.hpp"
#include "vmm/hypervisor/kvm/vcpu.hpp"
#include "vmm/memory/guest_memory.hpp"

struct kvm_vcpu_init;

namespace vmm::kvm {

enum class DeviceType : std::uint32_t { GicV2, GicV3 };

/// Whether a write to an address becomes a signal of a notifier.
struct Doorbell {
  Gpa address;
  std::uint32_t value = 0;  ///< a 32-bit write of exactly this
};

/// Threads: set up by one; after that set_level() from any. Everything made from it must be destroyed before it is of
/// no use any more, but may outlive it: the kernel keeps a machine as long as any of its descriptors is open.
class Vm {
 public:
  /// Makes a part of this process's memory the guest's RAM.
  /// @param slot    a number of its own for each range
  /// @param memory  outlives the machine
  Result<> set_memory(std::uint32_t slot, Gpa base, GuestSlice memory);

  [[nodiscard]] Result<Vcpu> create_vcpu(unsigned index) const;

  [[nodiscard]] bool supports(DeviceType type) const;
  [[nodiscard]] Result<Device> create_device(DeviceType type) const;

  /// Sets the level of a shared peripheral interrupt's wire. Any thread.
  /// @param spi counted from 0
  Result<> set_level(std::uint32_t spi, bool asserted) const;

  /// Makes each signal of `notifier` an edge of a shared peripheral interrupt. The interrupt controller must be
  /// initialised. @param notifier may be destroyed before the machine: then there are no more edges
  Result<> connect_interrupt(std::uint32_t spi, const Notifier& notifier);

  /// Makes a guest's write a signal of `notifier`, without an exit of its virtual CPU to this process.
  Result<> connect_doorbell(const Doorbell& doorbell, const Notifier& notifier);

  /// From now on an access without a syndrome is VcpuExit::Reason::Undecodable (HostFeatures::report_undecodable).
  Result<> enable_undecodable_reports();

 private:
  friend class Kvm;
  friend class Vcpu;
  /// The kind of virtual CPU that this host runs.
  Result<> preferred_target(kvm_vcpu_init& init) const;
  Vm(UniqueFd fd, std::size_t run_bytes) : fd_(std::move(fd)), run_bytes_(run_bytes) {}

  UniqueFd fd_;
  std::size_t run_bytes_;
};

}  // namespace vmm::kvm
