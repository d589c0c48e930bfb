// Single instructions that C++ has no words for.
#pragma once

#include <cstdint>

#include "guest/arch/model/registers.hpp"
#include "guest/arch/sysreg.hpp"

namespace guest::arch {

/// Later instructions see the effect of earlier system register writes.
inline void isb() { asm volatile("isb" : : : "memory"); }
/// Earlier stores (page tables) are visible to the table walkers of this inner-shareable domain.
inline void dsb_ishst() { asm volatile("dsb ishst" : : : "memory"); }
/// Earlier stores and TLB maintenance are complete in the inner-shareable domain, where all CPUs are.
inline void dsb_ish() { asm volatile("dsb ish" : : : "memory"); }
/// No CPU remembers the translation of the page at `va`, of any address space, after the next dsb_ish().
inline void tlbi_va_all_cpus(std::uint64_t va) {
  constexpr std::uint64_t kVaMask = (std::uint64_t{1} << 44) - 1;  // TLBI VAAE1IS: bits 55 to 12 in 43 to 0
  asm volatile("tlbi vaae1is, %0" : : "r"((va >> 12) & kVaMask) : "memory");
}
/// Earlier accesses, to devices too, are complete.
inline void dsb_sy() { asm volatile("dsb sy" : : : "memory"); }
/// Waits for an interrupt, masked or not.
inline void wfi() { asm volatile("wfi" : : : "memory"); }
inline void mask_irq() { asm volatile("msr daifset, #2" : : : "memory"); }
inline void unmask_irq() { asm volatile("msr daifclr, #2" : : : "memory"); }

/// Virtual counter. The isb keeps the read from being done ahead of what it is to be after.
inline std::uint64_t counter() {
  isb();
  return sysreg::CntvctEl0::read();
}

/// A word from the CPU's random number generator. False: it has none, or it failed for now.
bool random_word(std::uint64_t& out);

/// Arm DDI 0487, MIDR_EL1.
struct CpuId {
  std::uint8_t implementer;
  std::uint16_t part;
  std::uint8_t variant;
  std::uint8_t revision;
};
CpuId cpu_id();

/// Writes what the caches hold of [data, data + bytes) to where every observer sees it, caches off included.
void clean_to_coherency(const void* data, std::uint64_t bytes);

/// What a CPU needs of its own before it runs C++ code at length: FP not trapped, PAN, what EL0 may do, SError
/// unmasked.
void enable_cpu_features();

/// Number of this CPU; 0 is the boot CPU. From any context.
std::uint32_t cpu_index();

}  // namespace guest::arch
