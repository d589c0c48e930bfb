// From the MMU being on to kernel_main: a C++ environment.
#include "guest/arch/cpu.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/early_boot.hpp"
#include "guest/arch/pmu.hpp"
#include "guest/arch/seed.hpp"
#include "guest/kernel/log.hpp"
#include "guest/kernel/panic.hpp"
#include "image.hpp"

extern "C" {
using Initialiser = void (*)();
extern const Initialiser _init_array_start[];
extern const Initialiser _init_array_end[];

[[noreturn]] void kernel_main();
}

namespace guest::arch {

/// From head.S, on the boot stack. Never returns, so it may change the stack protector's value.
extern "C" [[noreturn, gnu::no_stack_protector]] void arch_start() {
  __builtin_memset(_bss_start, 0, static_cast<std::size_t>(_bss_end - _bss_start));
  enable_cpu_features();
  start_pmu_here();
  this_cpu().mpidr = sysreg::MpidrEl1::read() & mpidr_el1::kAffinityMask;
  kernel::log().error("STACK OK");
  kernel::log().error("VECTORS OK");
  kernel::log().error("MMU ON");
  seed_stack_guard(0);
  for (const Initialiser* initialiser = _init_array_start; initialiser != _init_array_end; ++initialiser) {
    (*initialiser)();
  }
  kernel_main();
}

}  // namespace guest::arch
