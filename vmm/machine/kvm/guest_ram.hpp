// The guest's RAM: a memory file, mapped once.
#pragma once

#include <cstdint>
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

  [[nodiscard]] const std::shared_ptr<const GuestMemory>& memory() const { return memory_; }
  [[nodiscard]] board::AddressRange range() const { return range_; }
  /// All of it, for a memory slot.
  [[nodiscard]] GuestSlice all() const;

  /// Gives all pages back: it reads as zero again. No virtual CPU may run.
  Result<> clear();

 private:
  GuestRam(UniqueFd file, std::shared_ptr<const GuestMemory> memory, board::AddressRange range)
      : file_(std::move(file)), memory_(std::move(memory)), range_(range) {}

  UniqueFd file_;
  std::shared_ptr<const GuestMemory> memory_;
  board::AddressRange range_;
};

}  // namespace vmm::machine_kvm
