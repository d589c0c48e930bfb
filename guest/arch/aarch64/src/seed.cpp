#include "guest/arch/seed.hpp"

#include <libfdt.h>

#include "guest/arch/cpu.hpp"
#include "guest/arch/mmu.hpp"

namespace guest::arch {
namespace {

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014), the finaliser of SplitMix64.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9;
  value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11eb;
  return value ^ (value >> 31);
}

}  // namespace

std::uint64_t boot_seed() {
  std::uint64_t seed = mix(counter());
  if (std::uint64_t word = 0; random_word(word)) {
    seed ^= word;
  }
  const void* const tree = dtb().data();
  if (dtb().empty() || fdt_check_header(tree) != 0) {
    return seed;
  }
  const int chosen = fdt_path_offset(tree, "/chosen");
  for (const char* const name : {"kaslr-seed", "rng-seed"}) {
    int bytes = 0;
    const auto* const property = chosen < 0 ? nullptr : fdt_getprop(tree, chosen, name, &bytes);
    std::uint64_t word = 0;
    if (property != nullptr && bytes >= static_cast<int>(sizeof(word))) {
      __builtin_memcpy(&word, property, sizeof(word));
      seed = mix(seed ^ word);
    }
  }
  return seed;
}

}  // namespace guest::arch
