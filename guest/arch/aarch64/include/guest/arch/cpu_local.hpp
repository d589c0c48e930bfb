// What belongs to one CPU. TPIDR_EL1 of each CPU points to its own, from before its first C++ instruction.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "guest/arch/layout.hpp"
#include "guest/arch/sysreg.hpp"
#include "guest/kernel/cpu.hpp"

namespace guest::arch {

enum class CpuState : std::uint8_t {
  Off,       ///< never started, or it did not come: CpuLocal::why_off
  Starting,  ///< asked to start
  Online,    ///< takes interrupts
  Stopped,   ///< by another CPU's panic
};

struct alignas(kernel::kCacheLineBytes) CpuLocal {
  explicit constexpr CpuLocal(std::uint32_t number)
      : overflow_stack_top(arch::stack_top(overflow_stack_slot(number))),
        stack_bottom(arch::stack_bottom(cpu_stack_slot(number))),
        stack_top(arch::stack_top(cpu_stack_slot(number))),
        data{.index = number},
        state(number == 0 ? CpuState::Online : CpuState::Off) {}

  std::uint64_t overflow_stack_top;  ///< vectors.S
  /// The stack that this CPU runs on, of the thread that runs; for reports.
  std::uint64_t stack_bottom;
  std::uint64_t stack_top;
  kernel::CpuData data;
  std::atomic<CpuState> state;
  std::uint64_t mpidr = 0;   ///< affinity fields
  std::string_view why_off;  ///< static storage; written before `state` says Off
  /// Only this CPU counts, anyone reads: relaxed.
  std::atomic<std::uint64_t> ipis_sent{0};
};
static_assert(offsetof(CpuLocal, overflow_stack_top) == SIS_CPU_OVERFLOW_TOP);
static_assert(offsetof(CpuLocal, stack_bottom) == SIS_CPU_STACK_BOTTOM);
static_assert(offsetof(CpuLocal, stack_top) == SIS_CPU_STACK_BOTTOM + 8);
static_assert(offsetof(CpuLocal, data) == kernel::kCpuDataOffset);
static_assert(std::is_standard_layout_v<CpuLocal> && alignof(CpuLocal) == kernel::kCacheLineBytes);

/// By CPU number. The first cpu_count() are in use.
extern "C" CpuLocal cpu_locals[kernel::kMaxCpus];

inline CpuLocal& this_cpu() {
  // head.S has set the register on every CPU that runs C++ code with the MMU on.
  return *reinterpret_cast<CpuLocal*>(sysreg::TpidrEl1::read());
}

}  // namespace guest::arch
