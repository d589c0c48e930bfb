// Guest memory: the one place where a guest-physical address becomes bytes.
//
// The guest, on other CPUs, may change any byte at any time. So nothing here hands out a reference to an object in
// guest memory: values are copied out once, and the copy is validated and used. Slices exist for bulk data that is
// never interpreted (socket payload handed to readv/writev), where a change by the guest only changes what the guest
// sent.
#pragma once

#include <sys/uio.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "vmm/base/mapped_region.hpp"
#include "vmm/base/result.hpp"

namespace vmm {

/// A guest-physical address. No arithmetic but the checked one.
class Gpa {
 public:
  constexpr Gpa() = default;
  constexpr explicit Gpa(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  /// The address `bytes` further on, or nothing if it would wrap.
  [[nodiscard]] constexpr std::optional<Gpa> plus(std::uint64_t bytes) const {
    if (bytes > UINT64_MAX - value_) return std::nullopt;
    return Gpa(value_ + bytes);
  }
  friend constexpr auto operator<=>(Gpa, Gpa) = default;

 private:
  std::uint64_t value_ = 0;
};

/// An access that does not lie in guest memory, or is not aligned where it must be. The guest's fault.
struct MemoryError {
  enum class Kind : std::uint8_t { NotMapped, Misaligned };
  Kind kind;
  Gpa address;
  std::uint64_t length_bytes;

  [[nodiscard]] std::string message() const;
};
template <typename T = void>
using MemoryResult = std::expected<T, MemoryError>;

/// A range of guest memory within one region, mapped in this process. For bulk bytes only. Valid as long as the
/// GuestMemory it comes from.
class GuestSlice {
 public:
  constexpr GuestSlice() = default;
  constexpr GuestSlice(std::byte* data, std::size_t size) : data_(data), size_(size) {}

  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  /// The part from `offset` on, at most `length` bytes; both are clamped to the slice.
  [[nodiscard]] GuestSlice part(std::size_t offset, std::size_t length = SIZE_MAX) const;
  /// Copies min(size, to.size()) bytes out of the guest; returns how many.
  std::size_t copy_out(std::span<std::byte> to) const;
  /// Copies min(size, from.size()) bytes into the guest; returns how many.
  std::size_t copy_in(std::span<const std::byte> from) const;
  /// For readv/writev, where the kernel copies.
  [[nodiscard]] iovec io() const { return {data_, size_}; }
  /// For atomic accesses to ring indices by the virtqueue; see its comments on ordering.
  [[nodiscard]] std::byte* raw() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Guest RAM: regions that do not overlap, sorted by address. Immutable once made; share it by
/// std::shared_ptr<const GuestMemory>, so that a new memory map from a front end never unmaps what a queue still uses.
class GuestMemory {
 public:
  struct Region {
    Gpa base;
    std::size_t size_bytes = 0;
    /// The mapping, whose first `skip_bytes` are not part of the region.
    MappedRegion mapping;
    std::size_t skip_bytes = 0;
  };

  /// @return an error if a region is empty, wraps, is larger than its mapping, or overlaps another
  static Result<GuestMemory> create(std::vector<Region> regions);

  /// Reads one value, with one access if it is naturally aligned and at most 8 bytes.
  template <typename T>
  [[nodiscard]] MemoryResult<T> read(Gpa address) const {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    const auto found = slice(address, sizeof(T));
    if (!found) return std::unexpected(found.error());
    T value;
    load(found->raw(), &value, sizeof(T));
    return value;
  }

  /// Writes one value, with one access if it is naturally aligned and at most 8 bytes.
  template <typename T>
  MemoryResult<> write(Gpa address, const T& value) const {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>,
                  "padding would leak host memory");
    const auto found = slice(address, sizeof(T));
    if (!found) return std::unexpected(found.error());
    store(found->raw(), &value, sizeof(T));
    return {};
  }

  /// Copies guest memory from `address` on into `to`; also over adjacent regions. Nothing is copied on error.
  MemoryResult<> copy_out(Gpa address, std::span<std::byte> to) const;
  /// Copies `from` into guest memory at `address`; also over adjacent regions. Nothing is copied on error.
  MemoryResult<> copy_in(Gpa address, std::span<const std::byte> from) const;

  /// The bytes [address, address + length), which must lie in one region. Zero bytes are fine anywhere in a region and
  /// at its end.
  [[nodiscard]] MemoryResult<GuestSlice> slice(Gpa address, std::uint64_t length_bytes) const;

  /// Appends the slices of [address, address + length) to `out`: one, or several where regions are adjacent. `out` is
  /// unchanged on error.
  MemoryResult<> append_slices(Gpa address, std::uint64_t length_bytes, std::vector<GuestSlice>& out) const;

  [[nodiscard]] std::size_t region_count() const { return regions_.size(); }
  [[nodiscard]] std::uint64_t size_bytes() const;

 private:
  const Region* find(Gpa address) const;
  static void load(const std::byte* from, void* to, std::size_t size);
  static void store(std::byte* to, const void* from, std::size_t size);

  std::vector<Region> regions_;
};

}  // namespace vmm
