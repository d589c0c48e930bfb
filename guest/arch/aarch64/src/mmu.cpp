#include "guest/arch/mmu.hpp"

#include <algorithm>

#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "image.hpp"

namespace guest::arch {
namespace {

constexpr std::uint64_t round_up(std::uint64_t value) { return (value + kPageBytes - 1) / kPageBytes * kPageBytes; }
constexpr std::uint64_t round_down(std::uint64_t value) { return value / kPageBytes * kPageBytes; }

/// One past the largest physical address of this CPU that the tables can hold.
std::uint64_t physical_limit() {
  // Arm DDI 0487, ID_AA64MMFR0_EL1, PARange.
  constexpr unsigned kBits[] = {32, 36, 40, 42, 44, kAddressBits};
  const std::uint64_t range = id_aa64mmfr0_el1::PaRange::decode(sysreg::IdAa64Mmfr0El1::read());
  return std::uint64_t{1} << kBits[std::min(range, id_aa64mmfr0_el1::kPaRange48)];
}

/// A device window, or one of shared memory among them, that exists.
struct Window {
  std::uint64_t pa;
  std::uint64_t bytes;
  std::uint64_t va;
  Attributes attributes;
};

constexpr std::size_t kMaxWindows = 64;
constinit Window windows[kMaxWindows] = {};
constinit std::size_t window_count = 0;
constinit std::uint64_t next_device_va = kDeviceBase;

/// New tables come from the page allocator, not from the image any more.
constinit bool tables_from_pages = false;

/// The tables lie in the image, which is mapped at a constant distance. From when some do not, all of RAM is.
TableSpace table_space() {
  const EarlyBoot& boot = early_boot();
  return {.next_pa = boot.tables_next_pa,
          .end_pa = boot.tables_end_pa,
          .offset = tables_from_pages ? kDirectMapBase : kImageBase - boot.image_pa};
}

/// Of the tables and of the device windows.
constinit kernel::SpinLock lock{"address space", kernel::LockRank::AddressSpace};

/// Under the lock.
MapStatus map(std::uint64_t va, std::uint64_t pa, std::uint64_t bytes, Attributes attributes) {
  TableSpace space = table_space();
  const MapStatus status = map_range(early_boot().root_pa, space, va, pa, bytes, attributes);
  early_boot().tables_next_pa = space.next_pa;
  // The table walker sees the entries before any access through them.
  dsb_ishst();
  isb();
  return status;
}

/// What one mapping takes at most, a table of each level but the root's, on every CPU at a time.
constexpr std::uint64_t kSpareTables = std::uint64_t{kLastLevel} * kernel::kMaxCpus;
constexpr unsigned kNewTablesOrder = 5;
static_assert(kSpareTables <= (1U << kNewTablesOrder));

/// Under the lock.
bool has_spare_tables() {
  return (early_boot().tables_end_pa - early_boot().tables_next_pa) / kPageBytes >= kSpareTables;
}

/// Sees to it that there are tables for one mapping. False: there is no memory for them.
bool provide_tables() {
  {
    const kernel::SpinGuard guard(lock);
    if (has_spare_tables()) {
      return true;
    }
  }
  // Not under the lock: it comes after the page allocator's.
  const auto block = kernel::kernel_pages().allocate(kNewTablesOrder);
  if (!block) {
    return false;
  }
  {
    const kernel::SpinGuard guard(lock);
    if (!has_spare_tables()) {
      // The few that are left of the last ones are not used any more.
      early_boot().tables_next_pa = kernel::raw(*block);
      early_boot().tables_end_pa = kernel::raw(*block) + (kPageBytes << kNewTablesOrder);
      tables_from_pages = true;
      return true;
    }
  }
  kernel::kernel_pages().free(*block);  // another CPU was faster
  return true;
}

std::byte* map_window(std::uint64_t pa, std::uint64_t bytes, Attributes attributes, MapStatus& status) {
  status = MapStatus::OutOfRange;
  const std::uint64_t limit = physical_limit();
  if (bytes == 0 || bytes > kDeviceEnd - kDeviceBase || pa >= limit || bytes > limit - pa) {
    return nullptr;
  }
  const std::uint64_t first = round_down(pa);
  const std::uint64_t size = round_up(pa + bytes) - first;
  const kernel::SpinGuard guard(lock);
  for (std::size_t i = 0; i < window_count; ++i) {
    const Window& window = windows[i];
    if (window.attributes == attributes && first >= window.pa && first - window.pa <= window.bytes &&
        size <= window.bytes - (first - window.pa)) {
      status = MapStatus::Ok;
      return reinterpret_cast<std::byte*>(window.va + (pa - window.pa));  // inside a window
    }
  }
  // Large windows keep their place in a 2 MiB block, so that blocks map them.
  std::uint64_t va = next_device_va;
  if (size >= level_bytes(2)) {
    va += (first - va) % level_bytes(2);
  }
  if (window_count == kMaxWindows || va > kDeviceEnd || size > kDeviceEnd - va) {
    status = MapStatus::OutOfTables;
    return nullptr;
  }
  status = map(va, first, size, attributes);
  if (status != MapStatus::Ok) {
    return nullptr;
  }
  windows[window_count++] = {.pa = first, .bytes = size, .va = va, .attributes = attributes};
  // One page stays unmapped between windows.
  next_device_va = va + size + kPageBytes;
  return reinterpret_cast<std::byte*>(va + (pa - first));  // inside the window just mapped
}

}  // namespace

std::span<const std::byte> dtb() {
  const EarlyBoot& boot = early_boot();
  // Mapped by early_map(), read-only, whole pages from the one that holds the first byte.
  const auto* const base = reinterpret_cast<const std::byte*>(kDtbBase + boot.dtb_pa % kPageBytes);
  return {base, boot.dtb_bytes};
}

MapStatus map_ram(std::uint64_t pa, std::uint64_t bytes) {
  const std::uint64_t limit = physical_limit();
  if (pa >= limit || bytes > limit - pa) {
    return MapStatus::OutOfRange;
  }
  const kernel::SpinGuard guard(lock);
  std::uint64_t at = round_up(pa);
  const std::uint64_t end = round_down(pa + bytes);
  const std::uint64_t image = early_boot().image_pa;
  const std::uint64_t read_only_end = image + static_cast<std::uint64_t>(_rodata_end - _image_start);
  // Up to the image, its read-only part, the rest.
  const struct {
    std::uint64_t end;
    Attributes attributes;
  } parts[] = {{image, kReadWrite}, {read_only_end, kReadOnly}, {end, kReadWrite}};
  for (const auto& part : parts) {
    const std::uint64_t stop = std::min(part.end, end);
    if (stop <= at) {
      continue;
    }
    if (const MapStatus status = map(kDirectMapBase + at, at, stop - at, part.attributes); status != MapStatus::Ok) {
      return status;
    }
    at = stop;
  }
  return MapStatus::Ok;
}

std::byte* map_device(std::uint64_t pa, std::uint64_t bytes, MapStatus& status) {
  return map_window(pa, bytes, kDevice, status);
}

const void* map_shared(std::uint64_t pa, std::uint64_t bytes, MapStatus& status) {
  return map_window(pa, bytes, kReadOnly, status);
}

MapStatus map_stack(StackSlot slot, std::uint64_t pa) {
  if (!provide_tables()) {
    return MapStatus::OutOfTables;
  }
  const kernel::SpinGuard guard(lock);
  return map(stack_bottom(slot), pa, kStackSize, kReadWrite);
}

void unmap_stack(StackSlot slot) {
  const kernel::SpinGuard guard(lock);
  const std::uint64_t bottom = stack_bottom(slot);
  kernel::require(unmap_pages(early_boot().root_pa, table_space(), bottom, kStackSize), "a stack is not mapped");
  // Arm DDI 0487, "TLB maintenance instructions": the walkers see the entries before the TLBs are asked to forget.
  dsb_ishst();
  for (std::uint64_t va = bottom; va < bottom + kStackSize; va += kPageBytes) {
    tlbi_va_all_cpus(va);
  }
  dsb_ish();
  isb();
}

bool physical(const void* pointer, std::uint64_t& pa) {
  const auto va = reinterpret_cast<std::uint64_t>(pointer);  // only the number is used
  const EarlyBoot& boot = early_boot();
  if (va >= kImageBase && va - kImageBase < boot.image_bytes) {
    pa = boot.image_pa + (va - kImageBase);
    return true;
  }
  if (va >= kDirectMapBase && va - kDirectMapBase < kImageBase - kDirectMapBase) {
    pa = va - kDirectMapBase;
    return true;
  }
  return false;
}

Translation kernel_translation(std::uint64_t va) { return translate(early_boot().root_pa, table_space(), va); }

}  // namespace guest::arch
