// A snapshot: a folder that holds a paused machine of the KVM back end, and all that is needed to run it on.
//
//   machine      everything but the memory, in the format of encode(); written last, so a folder without it is none
//   memory       the guest's RAM, as large as that, with holes where it is zero; a restored machine maps it and leaves
//                it as it is
//   kernel       what the guest boots from when it resets itself
//   initrd       the same; absent if there is none
//   control.key  the key of the guest's control server
//
// Mode 0700 the folder, 0600 the files: memory and initrd hold the key, too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/result.hpp"
#include "vmm/devices/npu/device.hpp"
#include "vmm/devices/npu_options/options.hpp"
#include "vmm/devices/pl011/pl011.hpp"
#include "vmm/devices/pl031/pl031.hpp"
#include "vmm/devices/vsock/device.hpp"
#include "vmm/hypervisor/state.hpp"
#include "vmm/scenario/scenario.hpp"
#include "vmm/virtio/transport/mmio/state.hpp"

namespace vmm::snapshot {

namespace file {
inline constexpr char kMachine[] = "machine";
inline constexpr char kMemory[] = "memory";
inline constexpr char kKernel[] = "kernel";
inline constexpr char kInitrd[] = "initrd";
inline constexpr char kControlKey[] = "control.key";
}  // namespace file

/// Of the file `machine`. Another one is refused: the number grows with every change of the format or of a structure
/// in it.
inline constexpr std::uint32_t kVersion = 2;

/// What the guest was told it has; the host that restores it must have the same.
struct Configuration {
  std::string name;  ///< of the machine
  std::uint64_t memory_bytes = 0;
  bool huge_pages = false;
  std::uint32_t gic_version = 3;
  bool pmu = false;
  bool pointer_authentication = false;
  bool stolen_time = false;
  std::uint64_t counter_hz = 0;  ///< CNTFRQ_EL0
  std::string kernel_format;     ///< board::kernel_format_from() knows it
  std::string boot_arguments;    ///< the kernel's command line
  bool has_initrd = false;
  std::string npu;  ///< npu::to_text() of its options; empty: no such device
};

struct MachineState {
  Configuration configuration;
  std::uint64_t virtual_counter = 0;  ///< CNTVCT_EL0 when the machine was paused
  std::vector<hypervisor::VcpuState> cpus;
  hypervisor::GicState gic;
  std::vector<std::byte> stolen_time;  ///< the page of Arm DEN0057's structures
  Pl011State console;
  Pl031State clock;
  std::vector<virtio::MmioTransportState> transports;  ///< by virtio slot
  std::optional<vsock::DeviceState> vsock;
  std::optional<npu::DeviceState> npu;
};

std::vector<std::byte> encode(const MachineState& state);

/// @return an error (ExitCode::Usage) that says what is wrong and where, if `bytes` are not what encode() makes.
///         Values that only a machine can judge are left to it.
Result<MachineState> decode(std::span<const std::byte> bytes);

/// The machine of a scenario that it was.
scenario::Machine machine_of(const MachineState& state);

/// Its NPU, if it had one. decode() has seen to it that the text can be read.
std::optional<npu::Options> npu_of(const MachineState& state);

/// Reads a snapshot's file `machine`. Errors name it.
Result<MachineState> read_machine(const std::filesystem::path& folder);

}  // namespace vmm::snapshot
