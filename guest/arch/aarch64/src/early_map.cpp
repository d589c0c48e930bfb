// The kernel's first page tables, built with the MMU off. Runs at the physical address it was loaded at, so that the
// addresses of symbols (PC-relative) are physical here. No absolute addresses in data, no stack protector, strictly
// aligned accesses (memory is Device-nGnRnE with the MMU off).
#include "guest/arch/early_boot.hpp"
#include "guest/arch/layout.hpp"
#include "guest/arch/model/page_table.hpp"
#include "image.hpp"

namespace guest::arch {
namespace {

[[gnu::section(".early_data")]] EarlyBoot early_boot_storage;

std::uint64_t address_of(const char* symbol) { return reinterpret_cast<std::uint64_t>(symbol); }

/// Bytes of the device tree at `pa`, from its header; 0: there is no usable header.
std::uint64_t dtb_bytes(std::uint64_t pa) {
  constexpr std::uint32_t kMagic = 0xd00dfeed;  // Devicetree Specification 0.4, "Header"
  constexpr std::uint64_t kHeaderBytes = 40;
  if (pa == 0 || pa % 8 != 0) {
    return 0;
  }
  // The boot protocol puts the tree at this physical address; volatile: two plain 32-bit loads.
  const auto* const words = reinterpret_cast<const volatile std::uint32_t*>(pa);
  if (__builtin_bswap32(words[0]) != kMagic) {
    return 0;
  }
  const std::uint64_t size = __builtin_bswap32(words[1]);
  return size >= kHeaderBytes && size <= kMaxDtbBytes ? size : 0;
}

struct Builder {
  TableSpace space;
  std::uint64_t root;
  bool ok;

  void map(std::uint64_t va, std::uint64_t pa, std::uint64_t end_pa, Attributes attributes) {
    ok = ok && map_range(root, space, va, pa, end_pa - pa, attributes) == MapStatus::Ok;
  }
};

}  // namespace

struct Roots {
  std::uint64_t ttbr1;  ///< 0: the tables did not fit
  std::uint64_t ttbr0;
};

extern "C" Roots early_map(std::uint64_t dtb_pa, std::uint64_t entry_el) {
  const std::uint64_t image = address_of(_image_start);
  Builder kernel{{.next_pa = address_of(_early_tables), .end_pa = address_of(_early_tables_end), .offset = 0}, 0, true};
  kernel.root = kernel.space.allocate();
  const std::uint64_t text_end = address_of(_text_end);
  const std::uint64_t rodata_end = address_of(_rodata_end);
  const std::uint64_t stacks = address_of(_boot_stack);
  kernel.map(kImageBase, image, text_end, kText);
  kernel.map(kImageBase + (text_end - image), text_end, rodata_end, kReadOnly);
  kernel.map(kImageBase + (rodata_end - image), rodata_end, stacks, kReadWrite);
  kernel.map(stack_bottom(StackSlot::Boot), stacks, stacks + kStackSize, kReadWrite);
  kernel.map(stack_bottom(StackSlot::Overflow), stacks + kStackSize, stacks + 2 * kStackSize, kReadWrite);

  const std::uint64_t dtb_size = dtb_bytes(dtb_pa);
  const std::uint64_t dtb_page = dtb_pa - dtb_pa % kPageBytes;
  if (dtb_size != 0) {
    const std::uint64_t pages = (dtb_pa - dtb_page + dtb_size + kPageBytes - 1) / kPageBytes;
    kernel.map(kDtbBase, dtb_page, dtb_page + pages * kPageBytes, kReadOnly);
  }

  Builder identity{kernel.space, 0, true};
  identity.root = identity.space.allocate();
  identity.map(image, image, image + kPageBytes, kText);

  early_boot_storage = {.image_pa = image,
                        .image_bytes = address_of(_image_end) - image,
                        .dtb_pa = dtb_pa,
                        .dtb_bytes = dtb_size,
                        .entry_el = entry_el,
                        .root_pa = kernel.root,
                        .identity_root_pa = identity.root,
                        .tables_next_pa = identity.space.next_pa,
                        .tables_end_pa = identity.space.end_pa};
  return kernel.ok && identity.ok ? Roots{kernel.root, identity.root} : Roots{0, 0};
}

EarlyBoot& early_boot() { return early_boot_storage; }

}  // namespace guest::arch
