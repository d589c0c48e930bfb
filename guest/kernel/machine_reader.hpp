// The reader behind read_machine_info(): gathers the properties of a node, then looks at the node as a whole, because
// what a property means depends on others that may come later. What depends on other nodes (interrupts on the
// controller, stdout-path on aliases) is kept and resolved at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/kernel/bounded_array.hpp"
#include "guest/kernel/machine_info.hpp"
#include "tree_cursor.hpp"

namespace guest::kernel {

/// The properties that matter, in the order of kPropertyNames.
enum class Prop : std::uint8_t {
  AddressCells,
  SizeCells,
  InterruptCells,
  InterruptParent,
  Interrupts,
  InterruptNames,
  Phandle,
  Compatible,
  DeviceType,
  Status,
  Reg,
  Ranges,
  RegShift,
  RegIoWidth,
  RedistributorRegions,
  RedistributorStride,
  Method,
  EnableMethod,
  Bootargs,
  StdoutPath,
  InitrdStart,
  InitrdEnd,
  RngSeed,
  KaslrSeed,
  Count,  ///< also: any other property
};

/// Devices that matter.
enum class DeviceKind : std::uint8_t { Other, Virtio, Pl011, Ns16550, GicV2, GicV3, Timer, Psci, Pl031 };

class MachineReader {
 public:
  using Bytes = std::span<const std::byte>;
  /// Arm DDI 0487: physical addresses have at most 52 bits.
  static constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 52;

  MachineReader(TreeCursor& cursor, MachineInfo& out) : cursor_(cursor), out_(out) {}
  Outcome read();

 private:
  static constexpr std::size_t kProps = static_cast<std::size_t>(Prop::Count);
  static constexpr std::size_t kMaxUarts = 8;
  enum class Place : std::uint8_t { Root, Cpus, ReservedMemory, Other };

  /// What holds for the children of an open node.
  struct Level {
    std::uint32_t address_cells = 2;
    std::uint32_t size_cells = 1;
    std::uint32_t interrupt_parent = 0;
    Place place = Place::Other;
    bool mapped = false;  ///< children's addresses can be translated to the bus of the root
    Bytes ranges;         ///< empty: as they are
  };
  struct PendingInterrupt {
    Bytes cells;
    std::uint32_t parent = 0;
  };
  struct PendingVirtio {
    PhysRange registers;
    PendingInterrupt interrupt;
  };
  struct Uart {
    FixedText<128> path;
    ConsoleInfo info;
    PendingInterrupt interrupt;
  };

  // The walk.
  Outcome walk();
  Prop identify();
  Outcome finish_node();
  void open_level(std::uint32_t address_cells, std::uint32_t size_cells);

  // The node at hand. Its children may already have been seen by the cursor.
  [[nodiscard]] std::string_view name() const { return cursor_.node_name(depth_); }
  [[nodiscard]] const Level& parent() const { return levels_[depth_ - 1]; }
  [[nodiscard]] bool has(Prop prop) const { return (present_ >> static_cast<unsigned>(prop) & 1) != 0; }
  [[nodiscard]] Bytes value(Prop prop) const { return has(prop) ? values_[static_cast<std::size_t>(prop)] : Bytes{}; }
  std::expected<std::uint32_t, NamedError> cell(Prop prop, std::uint32_t absent);
  std::expected<std::string_view, NamedError> text(Prop prop);
  [[nodiscard]] bool enabled() const;
  /// By the first entry of compatible that is known.
  [[nodiscard]] DeviceKind kind() const;
  /// Entry `index` of reg, as it stands in the node.
  std::expected<PhysRange, NamedError> reg_entry(std::size_t index, std::size_t& count);
  /// The same on the root's bus.
  std::expected<PhysRange, NamedError> reg(std::size_t index);
  std::expected<PhysRange, NamedError> translate(PhysRange range);
  std::unexpected<NamedError> bad(Prop prop, std::string_view expected);
  PendingInterrupt interrupt();

  // Kinds of nodes.
  Outcome memory();
  Outcome reserved();
  Outcome cpu();
  Outcome chosen();
  Outcome initrd();
  Outcome device();
  Outcome gic(std::uint8_t version);
  Outcome uart(ConsoleKind kind);
  Outcome virtio();
  Outcome timer();
  Outcome psci();
  Outcome rtc();

  // After the walk.
  Outcome resolve();
  Outcome reserve_map();
  Outcome resolve_virtio();
  Outcome check_memory();
  void resolve_console();
  std::string_view stdout_path();
  /// Entry `index`. `who` and `at` are for the error.
  std::expected<DeviceInterrupt, NamedError> decode(const PendingInterrupt& pending, std::size_t index,
                                                    std::string_view who, PhysAddr at);

  TreeCursor& cursor_;
  MachineInfo& out_;
  Level levels_[TreeCursor::kMaxDepth + 1] = {};  ///< by depth; [0] is above the root
  Bytes values_[kProps] = {};
  std::uint32_t present_ = 0;
  unsigned depth_ = 0;         ///< of the node at hand
  int node_offset_ = 0;        ///< libfdt's, of the node at hand
  bool node_pending_ = false;  ///< its properties are being gathered

  struct CachedName {
    std::uint32_t offset_plus_one = 0;
    Prop prop = Prop::Count;
  };
  CachedName names_[64] = {};

  std::uint32_t gic_phandle_ = 0;
  std::uint32_t gic_interrupt_cells_ = 0;
  PendingInterrupt timer_;
  std::size_t timer_index_ = 2;
  int aliases_ = -1;
  std::string_view stdout_;
  BoundedArray<PendingVirtio, MachineInfo::kMaxVirtioSlots> virtio_;
  BoundedArray<Uart, kMaxUarts> uarts_;
};
static_assert(static_cast<unsigned>(Prop::Count) <= 32);

}  // namespace guest::kernel
