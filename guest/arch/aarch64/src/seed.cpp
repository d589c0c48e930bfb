#include "guest/arch/seed.hpp"

#include "guest/arch/cpu.hpp"

extern "C" {
/// What the compiler's stack protector compares with. Not in .bss: it has a value before there is a seed.
std::uintptr_t __stack_chk_guard = 0x5349'5300'0aff'0d00;
}

namespace guest::arch {
namespace {

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014), the finaliser of SplitMix64.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58'476d'1ce4'e5b9;
  value = (value ^ (value >> 27)) * 0x94d0'49bb'1331'11eb;
  return value ^ (value >> 31);
}

}  // namespace

[[gnu::no_stack_protector]] void seed_stack_guard(std::uint64_t entropy) {
  std::uint64_t seed = mix(mix(counter()) ^ entropy);
  if (std::uint64_t word = 0; random_word(word)) {
    seed ^= word;
  }
  // A zero byte stops string functions from reading or writing it.
  __stack_chk_guard = seed & ~std::uintptr_t{0xff};
}

}  // namespace guest::arch
