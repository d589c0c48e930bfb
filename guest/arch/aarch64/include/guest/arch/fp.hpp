// FP and SIMD registers of threads, saved lazily: a CPU keeps those of the thread that used them last until another one
// uses them. So threads that never do cost nothing, and neither does one that finds its own still there.
//
// Every thread may use them, kernel threads too: code that does is built without -mgeneral-regs-only. Interrupt
// handlers may not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "guest/arch/layout.h"
#include "guest/kernel/threads/context.hpp"

namespace guest::arch {

/// Arm DDI 0487, "SIMD and floating-point registers": V0 to V31, FPSR, FPCR.
struct alignas(16) FpState {
  std::uint64_t v[32][2];
  std::uint64_t fpsr;
  std::uint64_t fpcr;
};
static_assert(sizeof(FpState) == SIS_FP_STATE_SIZE && offsetof(FpState, fpsr) == SIS_FP_STATUS);
static_assert(std::is_standard_layout_v<FpState>);

/// Bit of threads::Context::extras: the CPU's FP registers are this thread's.
inline constexpr std::uint32_t kExtraFp = 1;

/// The registers of a new thread, all zero, at the top of its stack.
FpState* make_fp_state(std::uint64_t stack_top);

/// The caller has used this CPU's registers so far and goes on as `context`, its idle thread.
void adopt_fp(threads::Context& context);

/// The running thread uses the registers although they are not its own: now they are. Not in interrupt handlers.
void take_fp();

/// Parts of switch_extras() and drop_extras(). Who has written to CPACR_EL1 needs an ISB before FP code.
void switch_fp(const threads::Context& from, const threads::Context& to);
void drop_fp(threads::Context& context);

/// The running thread uses the registers no more: switches from and to it need not look after them.
void drop_fp_here();

/// While it lives, code in a user task's thread may use the registers, which are the task's, as libraries do that were
/// not built for kernels: afterwards they are as before. On the stack of the running thread.
class FpKeeper {
 public:
  FpKeeper();
  ~FpKeeper();
  FpKeeper(const FpKeeper&) = delete;
  FpKeeper& operator=(const FpKeeper&) = delete;

 private:
  FpState kept_;
};

/// Uses of the registers that found another thread's there, on this CPU.
[[nodiscard]] std::uint64_t fp_traps();

}  // namespace guest::arch
