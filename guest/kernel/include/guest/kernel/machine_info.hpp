// The machine, as its flattened device tree describes it: one bounded pass into a plain struct.
//
// Sources: Devicetree Specification v0.4; Linux Documentation/devicetree/bindings: interrupt-controller/arm,gic(-v3),
// timer/arm,arch_timer, arm/psci, virtio/mmio, serial/pl011 and 8250, rtc/arm,pl031.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/interrupts.hpp"
#include "guest/kernel/named_error.hpp"
#include "guest/kernel/physical_memory.hpp"

namespace guest::kernel {

/// An interrupt as a device names it, translated to the controller's number.
struct DeviceInterrupt {
  IntId id{};
  Trigger trigger = Trigger::Level;
  friend bool operator==(const DeviceInterrupt&, const DeviceInterrupt&) = default;
};

enum class ConsoleKind : std::uint8_t { None, Pl011, Ns16550 };

struct ConsoleInfo {
  ConsoleKind kind = ConsoleKind::None;
  PhysRange registers;
  std::optional<DeviceInterrupt> interrupt;
  std::uint8_t register_shift = 0;        ///< ns16550: registers lie 1 << shift bytes apart
  std::uint8_t register_width_bytes = 1;  ///< ns16550: 1 or 4
  bool stdout_not_found = false;          ///< /chosen has a stdout-path, and it names another thing
};

struct GicInfo {
  std::uint8_t version = 0;  ///< 2 or 3; 0: none found
  PhysRange distributor;
  PhysRange cpu_interface;                       ///< version 2
  BoundedArray<PhysRange, 8> redistributors;     ///< version 3: regions
  std::uint64_t redistributor_stride_bytes = 0;  ///< 0: as GICR_TYPER says
};

enum class PsciMethod : std::uint8_t { None, Hvc, Smc };

/// A CPU as the tree lists it.
struct CpuNode {
  std::uint64_t affinity = 0;  ///< MPIDR affinity fields
  bool psci = false;           ///< "enable-method" is "psci"
};

struct VirtioSlot {
  PhysRange registers;
  DeviceInterrupt interrupt;
};

struct MachineInfo {
  static constexpr std::size_t kMaxRanges = 16;
  static constexpr std::size_t kMaxReserved = 32;
  static constexpr std::size_t kMaxVirtioSlots = 64;
  static constexpr std::size_t kMaxCpus = 64;
  static constexpr std::size_t kMaxBootArguments = 1024;
  static constexpr std::size_t kMaxSeedBytes = 64;

  BoundedArray<PhysRange, kMaxRanges> memory;      ///< by address, disjoint
  BoundedArray<PhysRange, kMaxReserved> reserved;  ///< in the order of the tree; may overlap
  PhysRange initrd;                                ///< size 0: none
  std::uint64_t device_tree_bytes = 0;             ///< where it lies is the caller's knowledge
  FixedText<kMaxBootArguments> boot_arguments;
  ConsoleInfo console;
  GicInfo gic;
  std::optional<DeviceInterrupt> virtual_timer;
  PsciMethod psci = PsciMethod::None;
  BoundedArray<VirtioSlot, kMaxVirtioSlots> virtio;    ///< by address
  BoundedArray<CpuNode, kMaxCpus> cpus;                ///< in the order of the tree
  BoundedArray<std::uint8_t, kMaxSeedBytes> rng_seed;  ///< secret: never print it
  std::uint64_t kaslr_seed = 0;                        ///< secret; 0: none
  PhysRange rtc;                                       ///< PL031; size 0: none

  /// Bytes of RAM, reserved or not.
  [[nodiscard]] std::uint64_t memory_bytes() const;
  void clear();
};

/// Reads `tree` (the mapped memory it lies in; the tree may be shorter) into `out`, which is overwritten.
///
/// The tree is hostile input: everything is bounded and checked before use. Errors are "tree-..." (the tree itself) and
/// "machine-..." (what it says), with node, property and value. On an error `out` holds what had been read so far: its
/// console is the one to show the error on, if one was found.
///
///   machine-bad-property     a value has the wrong form or an impossible number
///   machine-too-many         more memory ranges, devices or CPUs than there is room for
///   machine-bad-memory       ranges overlap, or memory or initrd lie where they cannot
///   machine-bad-interrupt    an interrupt of another controller or of a kind that the GIC does not have
///   machine-missing          no memory, GIC, timer or CPU
///
/// `tree` must be 8-byte aligned normal memory: MMU on. Costs in instructions are linear in the tree's size.
Outcome read_machine_info(std::span<const std::byte> tree, MachineInfo& out);

}  // namespace guest::kernel
