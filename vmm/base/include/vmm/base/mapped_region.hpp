// Ownership of a memory mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"

namespace vmm {

/// Owns one mmap()ed range; unmaps it once. Move only.
/// Invariant: data() is null exactly when size() is 0, else [data(), data() + size()) is mapped.
class MappedRegion {
 public:
  MappedRegion() = default;
  MappedRegion(MappedRegion&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedRegion& operator=(MappedRegion&& other) noexcept;
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;
  ~MappedRegion() { reset(); }

  /// Maps `size_bytes` of the file behind `fd`, readable, writable and shared, from `offset_bytes` (a multiple of the
  /// page size). The mapping outlives the descriptor. A file that is shorter is an error here, because touching the
  /// missing part would be a SIGBUS later.
  static Result<MappedRegion> map_shared(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes);

  /// The same, but what is written to the mapping stays there and never reaches the file, which may be read-only.
  static Result<MappedRegion> map_private(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes);

  /// Maps the first `size_bytes`, shared, of what is known to have so many: a device, or a memory file that the caller
  /// has just made so large.
  static Result<MappedRegion> map_sized(const UniqueFd& fd, std::size_t size_bytes);

  /// Maps `size_bytes` of zeroed private memory.
  static Result<MappedRegion> anonymous(std::size_t size_bytes);

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void reset();

 private:
  static Result<MappedRegion> map(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes, int flags);
  static Result<MappedRegion> map_file(const UniqueFd& fd, std::size_t size_bytes, std::uint64_t offset_bytes,
                                       int flags);
  MappedRegion(std::byte* data, std::size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vmm
