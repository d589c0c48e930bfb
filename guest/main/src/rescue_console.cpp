#include "rescue_console.hpp"

#include <libfdt.h>

namespace guest {

kernel::ConsoleInfo find_rescue_console(std::span<const std::byte> tree) {
  constexpr std::uint64_t kPl011Bytes = 0x1000;
  if (tree.size() < sizeof(fdt_header) || fdt_check_header(tree.data()) != 0 ||
      fdt_totalsize(tree.data()) > tree.size()) {
    return {};
  }
  const int node = fdt_node_offset_by_compatible(tree.data(), -1, "arm,pl011");
  int bytes = 0;
  const void* const reg = node < 0 ? nullptr : fdt_getprop(tree.data(), node, "reg", &bytes);
  std::uint64_t base_be = 0;
  if (reg == nullptr || bytes < static_cast<int>(sizeof(base_be))) {
    return {};
  }
  __builtin_memcpy(&base_be, reg, sizeof(base_be));
  const std::uint64_t base = __builtin_bswap64(base_be);
  if (base % kPl011Bytes != 0) {
    return {};
  }
  kernel::ConsoleInfo console;
  console.kind = kernel::ConsoleKind::Pl011;
  console.registers = {.base = kernel::PhysAddr{base}, .size = kPl011Bytes};
  return console;
}

}  // namespace guest
