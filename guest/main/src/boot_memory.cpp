#include "boot_memory.hpp"

#include "boot_error.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/layout.hpp"
#include "guest/arch/mmu.hpp"
#include "guest/kernel/heap.hpp"
#include "guest/kernel/page_allocator.hpp"

namespace guest {
namespace {

constinit kernel::PageAllocator pages{kernel::DirectMap(arch::kDirectMapBase)};
constinit kernel::Heap heap{pages};

constexpr unsigned kSelfTestRounds = 1;

void map_all(const kernel::MachineInfo& info) {
  for (const kernel::PhysRange& range : info.memory) {
    if (arch::map_ram(range.begin(), range.size) != arch::MapStatus::Ok) {
      refuse_boot(kernel::fail("machine-bad-memory", "memory at {:#x}, {:#x} bytes: it cannot be mapped", range.begin(),
                               range.size)
                      .error());
    }
  }
}

}  // namespace

void start_memory(const kernel::MachineInfo& info) {
  map_all(info);
  const arch::EarlyBoot& boot = arch::early_boot();
  kernel::BoundedArray<kernel::PhysRange, kernel::MachineInfo::kMaxReserved + 3> reserved;
  bool fits = reserved.push_back({.base = kernel::PhysAddr{boot.image_pa}, .size = boot.image_bytes}) &&
              reserved.push_back({.base = kernel::PhysAddr{boot.dtb_pa}, .size = boot.dtb_bytes}) &&
              reserved.push_back(info.initrd);
  for (const kernel::PhysRange& range : info.reserved) {
    fits = fits && reserved.push_back(range);
  }
  kernel::require(fits, "the table of reserved memory is too small");
  if (pages.add_memory({info.memory.begin(), info.memory.size()}, {reserved.begin(), reserved.size()}) !=
      kernel::Status::Ok) {
    refuse_boot(
        kernel::fail("machine-bad-memory", "{} bytes of memory, none of it usable", info.memory_bytes()).error());
  }
  kernel::set_kernel_memory(pages, heap);
  const kernel::HeapSelfTest test = kernel::heap_self_test(heap, kSelfTestRounds);
  if (!test.passed) {
    kernel::panic_at(kernel::here(), "heap self-test: {}", test.failure);
  }
  kernel::log().error("HEAP: READY");
}

}  // namespace guest
