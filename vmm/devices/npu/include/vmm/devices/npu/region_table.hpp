// Memory that jobs may name, by handle.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <vector>

#include "abi/npu.hpp"
#include "npu/stream/checked_command.hpp"
#include "vmm/devices/npu/packed_weights.hpp"
#include "vmm/memory/guest_memory.hpp"

namespace vmm::npu {

/// One that is registered, as the driver said it.
struct RegionState {
  std::uint64_t address = 0;  ///< guest-physical
  std::uint64_t bytes = 0;
  std::uint32_t flags = 0;  ///< abi::npu::region_flag
  std::uint32_t handle = 0;
};
static_assert(std::has_unique_object_representations_v<RegionState>, "padding would leak into a snapshot");

/// Why not.
struct RegionRefusal {
  abi::npu::Status status;
  abi::npu::Reason reason;
};

/// A handle is a place in the table and how often the place was used before, so that an old one is not soon another
/// region's. Thread: the device's.
class RegionTable final : public ::npu::Regions {
 public:
  /// Of a region's address, so that the alignment of an offset is that of the address: no element is larger.
  static constexpr std::uint64_t kAlignment = 64;

  explicit RegionTable(std::uint32_t most, const PackingLimits& packing = {}) : most_(most), packed_(packing) {}

  /// Where guest memory is from now on. Regions keep their handles; those that are not in it any more are not found.
  /// Jobs that were checked before use the old one: keep it as long as they are.
  void move_to(std::shared_ptr<const GuestMemory> memory);

  /// The range must lie in one region of guest memory; it may overlap others.
  std::expected<std::uint32_t, RegionRefusal> add(std::uint64_t address, std::uint64_t bytes, std::uint32_t flags);
  /// @return why not: Busy while it is held
  std::expected<void, RegionRefusal> remove(std::uint32_t handle);
  void clear();

  [[nodiscard]] const ::npu::Region* find(std::uint32_t handle) const override;

  /// A job names these, which exist: they cannot be removed until release().
  void hold(std::span<const std::uint32_t> handles);
  /// Ignores those that clear() has taken away.
  void release(std::span<const std::uint32_t> handles);

  /// The copy of a command's weights as `packing` has them, if they lie in a region with kImmutable and the limits
  /// allow one; made at its first use, from `budget` bytes. It is forgotten with its region, or when that moves.
  /// @return null: they are used where they lie
  std::shared_ptr<const PackedWeights> pack(const ::npu::Checked& command, const ::npu::Packing& packing,
                                            std::uint64_t& budget);
  [[nodiscard]] const PackedStore& packed() const { return packed_; }

  [[nodiscard]] std::size_t count() const { return count_; }

  [[nodiscard]] std::vector<RegionState> save() const;
  /// Of a saved table. Memory comes with move_to().
  /// @return false if no table can have been like that
  [[nodiscard]] bool restore(std::span<const RegionState> regions);

 private:
  struct Place {
    RegionState state;       ///< handle 0: there is none
    ::npu::Region region;    ///< base null: it is not in guest memory
    std::uint32_t uses = 0;  ///< generations so far
    std::uint32_t holders = 0;
  };
  [[nodiscard]] const Place* place_of(std::uint32_t handle) const;
  Place* place_of(std::uint32_t handle);
  void resolve(Place& place) const;

  std::uint32_t most_;
  std::shared_ptr<const GuestMemory> memory_;
  std::vector<Place> places_;
  std::size_t count_ = 0;
  PackedStore packed_;
};

}  // namespace vmm::npu
