// The guest's RAM: a memory file, or one of a snapshot, mapped once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "vmm/base/result.hpp"
#include "vmm/base/unique_fd.hpp"
#include "vmm/machine/board/address_map.hpp"
#include "vmm/memory/guest_memory.hpp"

namespace vmm::machine_kvm {

class GuestRam {
 public:
  /// Zeroed memory at board::kRamBase, of which the host gives pages as they are touched.
  /// @param size_bytes a multiple of 2 MiB
  /// @param huge_pages in pages of 2 MiB, reserved now: HostLacks where the host has too few
  static Result<GuestRam> create(std::uint64_t size_bytes, bool huge_pages);

  /// The memory that save() wrote. The file is read as pages are touched and never written; it must stay as it is for
  /// as long as the machine runs. With `huge_pages` it is copied now.
  /// @return an error (ExitCode::Usage) if the file is not of that size
  static Result<GuestRam> restore(const std::filesystem::path& path, std::uint64_t size_bytes, bool huge_pages);

  /// Writes all of it into an empty file, with holes where it is zero. No virtual CPU may run.
  [[nodiscard]] Result<> save(const UniqueFd& file) const;

  [[nodiscard]] const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  [[nodiscard]] board::AddressRange range() const { return range_; }
  /// All of it, for a memory slot.
  [[nodiscard]] GuestSlice all() const;

  /// Gives all pages back: it reads as zero again. No virtual CPU may run.
  Result<> clear();

 private:
  static Result<GuestRam> over(UniqueFd file, MappedRegion mapping);
  GuestRam(UniqueFd file, std::shared_ptr<const GuestMemory> memory, board::AddressRange range)
      : file_(std::move(file)), memory_(std::move(memory)), range_(range) {}

  UniqueFd file_;  ///< shared with the mapping; none if what the guest writes is in the mapping only
  std::shared_ptr<const GuestMemory> memory_;
  board::AddressRange range_;
};

}  // namespace vmm::machine_kvm
