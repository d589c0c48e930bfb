// What critical.hpp and cpu.hpp declare, in the guest: a few instructions each, in the way of every lock and of every
// switch of threads, so they are inline.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guest::kernel {

/// Of the CpuData in what TPIDR_EL1 points to (struct CpuLocal of guest_arch, which checks it).
inline constexpr std::size_t kCpuDataOffset = 24;

inline InterruptState mask_interrupts() {
  std::uint64_t before;
  asm volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(before) : : "memory");
  return InterruptState{before};
}
inline void restore_interrupts(InterruptState state) {
  asm volatile("msr daif, %0" : : "r"(static_cast<std::uint64_t>(state)) : "memory");
}
inline void enable_interrupts() { asm volatile("msr daifclr, #2" : : : "memory"); }
inline bool interrupts_were_on(InterruptState state) {
  constexpr std::uint64_t kI = std::uint64_t{1} << 7;  // DAIF.I
  return (static_cast<std::uint64_t>(state) & kI) == 0;
}

inline CpuData& cpu_data() {
  // Neither volatile nor a barrier: it never changes for whoever asks.
  std::uint64_t local;
  asm("mrs %0, tpidr_el1" : "=r"(local));
  return *reinterpret_cast<CpuData*>(local + kCpuDataOffset);  // a CpuLocal is there, and this in it
}
inline std::uint32_t cpu_index() { return cpu_data().index; }

/// The virtual counter. The isb keeps it from being read ahead of what it is to be read after.
inline std::uint64_t tick_count() {
  std::uint64_t ticks;
  asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
  return ticks;
}

/// A hint for cores that share their pipelines; an emulator takes it as a reason to run another CPU.
inline void spin_pause() { asm volatile("yield" : : : "memory"); }

}  // namespace guest::kernel
