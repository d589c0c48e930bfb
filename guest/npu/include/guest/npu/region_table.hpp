// Kernel memory that jobs may name, by handle. The accelerator may know it by another handle, which a reset changes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "abi/npu.hpp"
#include "npu/stream/checked_command.hpp"

namespace guest::npu {

/// Why not.
struct Refusal {
  abi::npu::Status status;
  abi::npu::Reason reason;
};

inline constexpr std::size_t kMaxRegions = 256;

/// Some regions of a table, by their places.
class RegionSet {
 public:
  void add(std::size_t place) { words_[place / 64] |= std::uint64_t{1} << place % 64; }
  [[nodiscard]] bool contains(std::size_t place) const { return (words_[place / 64] >> place % 64 & 1) != 0; }
  /// Calls `visit(place)` for each.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t left = words_[word]; left != 0; left &= left - 1) {
        visit(word * 64 + static_cast<unsigned>(__builtin_ctzll(left)));
      }
    }
  }

 private:
  std::array<std::uint64_t, kMaxRegions / 64> words_{};
};

/// A handle is a place and how often it was used before, so that an old one is not soon another region's. One caller at
/// a time, but for what says otherwise.
class RegionTable {
 public:
  /// Of a region's address, so that the alignment of an offset is that of the address: no element is larger.
  static constexpr std::uint64_t kAlignment = 64;

  /// `most`: at most kMaxRegions.
  explicit RegionTable(std::uint32_t most = kMaxRegions) : most_(most) {}
  RegionTable(const RegionTable&) = delete;
  RegionTable& operator=(const RegionTable&) = delete;

  /// Refuses what the device of docs/npu-device.md would: flags, alignment, no bytes, a full table.
  std::expected<std::uint32_t, Refusal> add(std::span<std::byte> memory, std::uint32_t flags);
  /// Busy: a job names it.
  std::expected<void, Refusal> remove(std::uint32_t handle);
  /// Why remove() would refuse.
  std::expected<void, Refusal> removable(std::uint32_t handle) const;

  /// Those that `commands` name stay until release(), and are added to `held`. Handles that there are not are left out.
  void hold(std::span<const abi::npu::Command> commands, RegionSet& held);
  /// Those of a set that hold() made when the table had the version that it has now.
  void hold(const RegionSet& regions);
  /// Another one each time that a region comes, goes, or is called otherwise by the accelerator.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  /// From any context.
  void release(const RegionSet& regions);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// Of a place that holds a region: its handle.
  [[nodiscard]] std::uint32_t handle_at(std::size_t place) const { return places_[place].handle; }
  [[nodiscard]] const ::npu::Region& region_at(std::size_t place) const { return places_[place].region; }
  /// How the accelerator calls it; kNoRegion: not at all.
  [[nodiscard]] std::uint32_t accelerator_handle(std::size_t place) const {
    return places_[place].accelerator_handle.load(std::memory_order_relaxed);
  }
  void set_accelerator_handle(std::size_t place, std::uint32_t handle) {
    // Relaxed, as above: who submits a job and who resets the accelerator exclude each other.
    places_[place].accelerator_handle.store(handle, std::memory_order_relaxed);
    ++version_;
  }
  /// Calls `visit(place)` for each region.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t place = 0; place < most_; ++place) {
      if (places_[place].handle != abi::npu::kNoRegion) {
        visit(place);
      }
    }
  }

  static std::size_t place_of(std::uint32_t handle) { return handle & kPlaceMask; }

 private:
  friend class HeldRegions;
  static constexpr unsigned kPlaceBits = 12;
  static constexpr std::uint32_t kPlaceMask = (1U << kPlaceBits) - 1;
  static_assert(kMaxRegions <= kPlaceMask);

  struct Place {
    ::npu::Region region;
    std::uint32_t handle = abi::npu::kNoRegion;  ///< kNoRegion: free
    std::uint32_t uses = 0;                      ///< generations so far
    std::atomic<std::uint32_t> accelerator_handle{abi::npu::kNoRegion};
    std::atomic<std::uint32_t> holders{0};  ///< jobs
  };
  /// Null: there is none.
  [[nodiscard]] const Place* find(std::uint32_t handle) const;

  std::uint32_t most_;
  std::uint32_t count_ = 0;
  std::uint64_t version_ = 1;
  std::array<Place, kMaxRegions> places_;
};

/// What one job may name. Usable while the set is held, whatever happens to other regions.
class HeldRegions final : public ::npu::Regions {
 public:
  HeldRegions(const RegionTable& table, const RegionSet& held) : table_(table), held_(held) {}
  [[nodiscard]] const ::npu::Region* find(std::uint32_t handle) const override {
    const std::size_t place = RegionTable::place_of(handle);
    const bool held = place < kMaxRegions && held_.contains(place) && table_.places_[place].handle == handle;
    return held ? &table_.places_[place].region : nullptr;
  }

 private:
  const RegionTable& table_;
  const RegionSet& held_;
};

}  // namespace guest::npu
