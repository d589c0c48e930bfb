// System register accessors, one generator: SystemReg<"name">-like types with read() and write().
#pragma once

#include <cstdint>

namespace guest::arch {

// The register's name must be in the instruction's text, so the generator is a macro; it is undefined below.
// Volatile and a memory clobber keep an access in its place among others and among memory accesses. Whoever needs the
// effect to be visible at once calls isb() after write().
#define SIS_SYSTEM_REGISTER(type, text)                                                                    \
  struct type {                                                                                            \
    static std::uint64_t read() {                                                                          \
      std::uint64_t value;                                                                                 \
      asm volatile("mrs %0, " text : "=r"(value) : : "memory");                                            \
      return value;                                                                                        \
    }                                                                                                      \
    static void write(std::uint64_t value) { asm volatile("msr " text ", %0" : : "r"(value) : "memory"); } \
  }

namespace sysreg {
SIS_SYSTEM_REGISTER(AmuserenrEl0, "S3_3_C13_C2_3");
SIS_SYSTEM_REGISTER(CntfrqEl0, "cntfrq_el0");
SIS_SYSTEM_REGISTER(CntkctlEl1, "cntkctl_el1");
SIS_SYSTEM_REGISTER(CntvCtlEl0, "cntv_ctl_el0");
SIS_SYSTEM_REGISTER(CntvCvalEl0, "cntv_cval_el0");
SIS_SYSTEM_REGISTER(CntvctEl0, "cntvct_el0");
SIS_SYSTEM_REGISTER(CpacrEl1, "cpacr_el1");
SIS_SYSTEM_REGISTER(CurrentEl, "CurrentEL");
SIS_SYSTEM_REGISTER(CtrEl0, "ctr_el0");
SIS_SYSTEM_REGISTER(Daif, "daif");
SIS_SYSTEM_REGISTER(EsrEl1, "esr_el1");
SIS_SYSTEM_REGISTER(FarEl1, "far_el1");
SIS_SYSTEM_REGISTER(IccBpr1El1, "S3_0_C12_C12_3");
SIS_SYSTEM_REGISTER(IccCtlrEl1, "S3_0_C12_C12_4");
SIS_SYSTEM_REGISTER(IccEoir1El1, "S3_0_C12_C12_1");
SIS_SYSTEM_REGISTER(IccIar1El1, "S3_0_C12_C12_0");
SIS_SYSTEM_REGISTER(IccIgrpen1El1, "S3_0_C12_C12_7");
SIS_SYSTEM_REGISTER(IccPmrEl1, "S3_0_C4_C6_0");
SIS_SYSTEM_REGISTER(IccSgi1rEl1, "S3_0_C12_C11_5");
SIS_SYSTEM_REGISTER(IccSreEl1, "S3_0_C12_C12_5");
SIS_SYSTEM_REGISTER(IdAa64Dfr0El1, "id_aa64dfr0_el1");
SIS_SYSTEM_REGISTER(IdAa64Isar0El1, "id_aa64isar0_el1");
SIS_SYSTEM_REGISTER(IdAa64Mmfr0El1, "id_aa64mmfr0_el1");
SIS_SYSTEM_REGISTER(IdAa64Mmfr1El1, "id_aa64mmfr1_el1");
SIS_SYSTEM_REGISTER(IdAa64Pfr0El1, "id_aa64pfr0_el1");
SIS_SYSTEM_REGISTER(MdscrEl1, "mdscr_el1");
SIS_SYSTEM_REGISTER(MidrEl1, "midr_el1");
SIS_SYSTEM_REGISTER(MpidrEl1, "mpidr_el1");
SIS_SYSTEM_REGISTER(ParEl1, "par_el1");
SIS_SYSTEM_REGISTER(PmccfiltrEl0, "pmccfiltr_el0");
SIS_SYSTEM_REGISTER(PmccntrEl0, "pmccntr_el0");
SIS_SYSTEM_REGISTER(Pmceid0El0, "pmceid0_el0");
SIS_SYSTEM_REGISTER(Pmceid1El0, "pmceid1_el0");
SIS_SYSTEM_REGISTER(PmcntenclrEl0, "pmcntenclr_el0");
SIS_SYSTEM_REGISTER(PmcntensetEl0, "pmcntenset_el0");
SIS_SYSTEM_REGISTER(PmcrEl0, "pmcr_el0");
SIS_SYSTEM_REGISTER(PmintenclrEl1, "pmintenclr_el1");
SIS_SYSTEM_REGISTER(PmovsclrEl0, "pmovsclr_el0");
SIS_SYSTEM_REGISTER(PmselrEl0, "pmselr_el0");
SIS_SYSTEM_REGISTER(PmuserenrEl0, "pmuserenr_el0");
SIS_SYSTEM_REGISTER(PmxevcntrEl0, "pmxevcntr_el0");
SIS_SYSTEM_REGISTER(PmxevtyperEl0, "pmxevtyper_el0");
SIS_SYSTEM_REGISTER(Rndr, "S3_3_C2_C4_0");
SIS_SYSTEM_REGISTER(SpsrEl1, "spsr_el1");
SIS_SYSTEM_REGISTER(TcrEl1, "tcr_el1");
SIS_SYSTEM_REGISTER(TpidrroEl0, "tpidrro_el0");
SIS_SYSTEM_REGISTER(TpidrEl1, "tpidr_el1");
SIS_SYSTEM_REGISTER(Ttbr0El1, "ttbr0_el1");
SIS_SYSTEM_REGISTER(Ttbr1El1, "ttbr1_el1");
SIS_SYSTEM_REGISTER(VbarEl1, "vbar_el1");
}  // namespace sysreg

#undef SIS_SYSTEM_REGISTER

}  // namespace guest::arch
