// The kernel's address space after the early code: the direct map of RAM, device windows, stacks, address conversions.
// From any CPU: a lock protects the tables. All but the stacks of threads stays mapped for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/arch/layout.hpp"
#include "guest/arch/model/page_table.hpp"

namespace guest::arch {

/// The boot loader's device tree, mapped read-only; empty when its header was unusable.
std::span<const std::byte> dtb();

/// Adds [pa, pa + bytes) of RAM to the direct map; the image's own text and read-only data stay read-only there.
/// Rounded inwards to pages.
MapStatus map_ram(std::uint64_t pa, std::uint64_t bytes);

/// Maps device registers (Device-nGnRE). Pages that were mapped before are shared. Null: `status` says why.
std::byte* map_device(std::uint64_t pa, std::uint64_t bytes, MapStatus& status);

/// The same for memory outside RAM that a hypervisor writes and this kernel only reads.
const void* map_shared(std::uint64_t pa, std::uint64_t bytes, MapStatus& status);

/// Maps [pa, pa + kStackSize) as the stack of `slot`, between pages that stay unmapped.
MapStatus map_stack(StackSlot slot, std::uint64_t pa);

/// Takes the stack of `slot` away again, on all CPUs. Nobody runs on it.
void unmap_stack(StackSlot slot);

/// Where a byte of mapped RAM is in the direct map.
inline std::byte* direct(std::uint64_t pa) {
  // The direct map shows every byte of RAM at a constant distance.
  return reinterpret_cast<std::byte*>(kDirectMapBase + pa);
}

/// The physical address behind a pointer of the direct map or the image; false for any other address.
bool physical(const void* pointer, std::uint64_t& pa);

/// The kernel's tables, for reports and tests.
Translation kernel_translation(std::uint64_t va);

}  // namespace guest::arch
