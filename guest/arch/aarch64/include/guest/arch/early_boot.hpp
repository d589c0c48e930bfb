// What the code before the MMU found.
#pragma once

#include <cstdint>

namespace guest::arch {

struct EarlyBoot {
  std::uint64_t image_pa;
  std::uint64_t image_bytes;
  std::uint64_t dtb_pa;            ///< as the boot loader gave it
  std::uint64_t dtb_bytes;         ///< 0: no usable header; else the tree is mapped, see dtb()
  std::uint64_t entry_el;          ///< 1 or 2
  std::uint64_t root_pa;           ///< TTBR1
  std::uint64_t identity_root_pa;  ///< TTBR0 of a CPU whose MMU is being switched on
  std::uint64_t tables_next_pa;
  std::uint64_t tables_end_pa;
};

EarlyBoot& early_boot();

}  // namespace guest::arch
