// Code that an interrupt handler must not interleave with.
#pragma once

#include <cstdint>

#include "guest/kernel/cpu.hpp"  // which the platform's definitions need

namespace guest::kernel {

/// Opaque previous state of this CPU's interrupt mask.
enum class InterruptState : std::uint64_t {};

/// Masks interrupts on this CPU and returns what was before. Nests.
InterruptState mask_interrupts();
/// Puts back what mask_interrupts() returned.
void restore_interrupts(InterruptState state);
/// Interrupts come from now on.
void enable_interrupts();
/// Interrupts were not masked.
bool interrupts_were_on(InterruptState state);

}  // namespace guest::kernel

#include "guest/kernel/platform.hpp"  // defines them, where they are inline

namespace guest::kernel {

/// Interrupts are masked on this CPU while one of these lives. Keep it to a few instructions.
class CriticalSection {
 public:
  CriticalSection() : state_(mask_interrupts()) {}
  ~CriticalSection() { restore_interrupts(state_); }
  CriticalSection(const CriticalSection&) = delete;
  CriticalSection& operator=(const CriticalSection&) = delete;

 private:
  InterruptState state_;
};

}  // namespace guest::kernel
