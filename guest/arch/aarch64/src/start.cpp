// From the MMU being on to kernel_main: a C++ environment.
#include "guest/arch/cpu.hpp"
#include "guest/arch/early_boot.hpp"
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
namespace {

void enable_cpu_features() {
  sysreg::CpacrEl1::write(cpacr_el1::FpenBits::encode(cpacr_el1::Fpen::NoTrap));
  if (id_aa64mmfr1_el1::Pan::decode(sysreg::IdAa64Mmfr1El1::read()) != 0) {
    asm volatile(".inst 0xd500419f" : : : "memory");  // msr pan, #1: the kernel does not touch user memory by accident
  }
  // SError, masked since reset: one that is pending is reported now. FIQ stays masked: nothing raises it.
  asm volatile("msr daifclr, #4" : : : "memory");
  isb();
}

}  // namespace

/// From head.S, on the boot stack. Never returns, so it may change the stack protector's value.
extern "C" [[noreturn, gnu::no_stack_protector]] void arch_start() {
  __builtin_memset(_bss_start, 0, static_cast<std::size_t>(_bss_end - _bss_start));
  enable_cpu_features();
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
