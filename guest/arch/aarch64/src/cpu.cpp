#include "guest/arch/cpu.hpp"

#include "guest/kernel/cpu.hpp"
#include "guest/kernel/critical.hpp"

namespace guest::arch {

bool random_word(std::uint64_t& out) {
  if (id_aa64isar0_el1::Rndr::decode(sysreg::IdAa64Isar0El1::read()) == 0) {
    return false;
  }
  // Arm DDI 0487, RNDR: PSTATE.NZCV is 0b0000 on success, 0b0100 on failure.
  std::uint64_t value;
  std::uint64_t failed;
  asm volatile("mrs %0, S3_3_C2_C4_0\n\tcset %1, eq" : "=r"(value), "=r"(failed) : : "cc");
  out = value;
  return failed == 0;
}

CpuId cpu_id() {
  using Implementer = Field<31, 24, std::uint8_t>;
  using Variant = Field<23, 20, std::uint8_t>;
  using Part = Field<15, 4, std::uint16_t>;
  using Revision = Field<3, 0, std::uint8_t>;
  const std::uint64_t midr = sysreg::MidrEl1::read();
  return {.implementer = Implementer::decode(midr),
          .part = Part::decode(midr),
          .variant = Variant::decode(midr),
          .revision = Revision::decode(midr)};
}

std::uint32_t cpu_index() { return 0; }

}  // namespace guest::arch

namespace guest::kernel {

InterruptState mask_interrupts() {
  const std::uint64_t before = arch::sysreg::Daif::read();
  arch::mask_irq();
  return InterruptState{before};
}

std::uint32_t cpu_index() { return arch::cpu_index(); }
// A hint for cores that share their pipelines; an emulator takes it as a reason to run another CPU.
void spin_pause() { asm volatile("yield" : : : "memory"); }
std::uint64_t tick_count() { return arch::counter(); }

void restore_interrupts(InterruptState state) { arch::sysreg::Daif::write(static_cast<std::uint64_t>(state)); }

}  // namespace guest::kernel
