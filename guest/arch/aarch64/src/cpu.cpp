#include "guest/arch/cpu.hpp"

#include "guest/arch/clock.hpp"
#include "guest/arch/cpu_local.hpp"
#include "guest/arch/user.hpp"
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

void clean_to_coherency(const void* data, std::uint64_t bytes) {
  const std::uint64_t line = std::uint64_t{4} << ctr_el0::DminLine::decode(sysreg::CtrEl0::read());
  const auto begin = reinterpret_cast<std::uint64_t>(data);  // cache maintenance takes the number
  for (std::uint64_t at = begin - begin % line; at < begin + bytes; at += line) {
    asm volatile("dc cvac, %0" : : "r"(at) : "memory");
  }
  dsb_sy();  // complete before whoever reads past the caches is told to
}

void enable_cpu_features() {
  sysreg::CpacrEl1::write(cpacr_el1::FpenBits::encode(cpacr_el1::Fpen::NoTrap));
  if (id_aa64mmfr1_el1::Pan::decode(sysreg::IdAa64Mmfr1El1::read()) != 0) {
    asm volatile(".inst 0xd500419f" : : : "memory");  // msr pan, #1: the kernel does not touch user memory by accident
  }
  prepare_for_users();
  // SError, masked since reset: one that is pending is reported now. FIQ stays masked: nothing raises it.
  asm volatile("msr daifclr, #4" : : : "memory");
  isb();
}

std::uint32_t cpu_index() { return this_cpu().data.index; }

}  // namespace guest::arch

namespace guest::kernel {

std::uint64_t tick_frequency_hz() { return arch::clock_frequency_hz(); }

}  // namespace guest::kernel
