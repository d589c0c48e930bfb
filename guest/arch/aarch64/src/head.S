// The first instructions. Linux Documentation/arch/arm64/booting.rst, "Call the kernel image": MMU off, data cache off
// or on, interrupts masked, EL1 or EL2, x0 = physical address of the device tree.
//
// Every CPU passes here: the boot CPU from the boot loader, the others from PSCI CPU_ON (Arm DEN 0022, "CPU_ON": MMU
// and data cache off, interrupts masked, x0 = context id, the exception level of the caller's firmware interface).
//
// Registers that live until the MMU is on: x19 = device tree or struct SecondaryStart, x20 = exception level at entry,
// x21, x22 = TTBR1, TTBR0, x23 = where to go then; x24, x25 = a secondary CPU's struct CpuLocal and stack.

#include "guest/arch/layout.h"

.section .head.text, "ax"

.global _image_start_header
_image_start_header:
  b       entry                   // code0
  .long   0                       // code1
  .quad   0                       // text_offset
  .quad   _image_memory_size      // image_size, .bss and stacks included
  .quad   0b1010                  // flags: little-endian, 4 KiB pages, anywhere in physical memory
  .quad   0
  .quad   0
  .quad   0
  .ascii  "ARM\x64"
  .long   0                       // no PE header

// The MMU is switched on in this page, the only one with an identity mapping.
entry:
  mov     x19, x0
  bl      enter_el1
  // What the early code writes goes past the caches: nothing of the region may be left in them, before (a dirty line
  // would be written over it later) and after (a stale line would be read in its place).
  bl      flush_early_region
  adrp    x0, _early_stack_top
  add     x0, x0, :lo12:_early_stack_top
  mov     sp, x0
  mov     x29, xzr
  mov     x0, x19
  mov     x1, x20
  bl      early_map               // x0 = TTBR1, x1 = TTBR0
  cbz     x0, power_off_blind
  mov     x21, x0
  mov     x22, x1
  bl      flush_early_region
  ldr     x23, =high_entry

// On with the MMU. x21, x22 = TTBR1, TTBR0, x23 = where to go.
mmu_on:
  ldr     x0, =0x4404ff           // mair_el1::kKernel
  msr     mair_el1, x0
  ldr     x0, =0xb5103510         // tcr_el1::kKernel
  mrs     x1, id_aa64mmfr0_el1
  and     x1, x1, #0xf            // PARange
  mov     x2, #5                  // 48 bits: more needs LPA
  cmp     x1, x2
  csel    x1, x1, x2, lo
  orr     x0, x0, x1, lsl #32     // IPS
  msr     tcr_el1, x0
  msr     ttbr0_el1, x22
  msr     ttbr1_el1, x21
  isb
  tlbi    vmalle1
  dsb     nsh
  ic      iallu
  dsb     nsh
  isb
  ldr     w0, =0x345dd81d         // sctlr_el1::kKernel
  mrs     x1, id_aa64mmfr1_el1
  ubfx    x1, x1, #20, #4         // PAN: with it, SPAN = 0 sets PAN at every exception; without, SPAN is RES1
  cbnz    x1, 2f
  orr     w0, w0, #(1 << 23)
2:
  msr     sctlr_el1, x0
  isb
  br      x23

// PSCI CPU_ON enters here, with the physical address of a struct SecondaryStart in x0. It is read with the caches off:
// the starting CPU has cleaned it to the point of coherency. The tables need no cleaning: walks are cacheable, and the
// early ones were cleaned anyway.
.global secondary_entry
secondary_entry:
  mov     x19, x0
  bl      enter_el1
  ldp     x21, x22, [x19, #SIS_START_TTBR1]
  ldp     x24, x25, [x19, #SIS_START_CPU_LOCAL]
  ldr     x23, =secondary_high_entry
  b       mmu_on

  .ltorg

// From EL1 or EL2 to EL1 with a known SCTLR and vectors. Returns x20 = exception level at entry.
enter_el1:
  mov     x26, x30
  msr     daifset, #0xf
  mrs     x20, CurrentEL
  lsr     x20, x20, #2
  cmp     x20, #2
  b.ne    1f
  bl      drop_to_el1
1:
  ldr     w0, =0x30d00800         // sctlr_el1::kMmuOff
  msr     sctlr_el1, x0
  adr     x0, early_vectors
  msr     vbar_el1, x0
  isb
  ret     x26

// Cleans and invalidates [_early_start, _early_end) to the point of coherency. Clobbers x0 to x3.
flush_early_region:
  adrp    x0, _early_start
  add     x0, x0, :lo12:_early_start
  adrp    x1, _early_end
  add     x1, x1, :lo12:_early_end
  mrs     x2, ctr_el0
  ubfx    x2, x2, #16, #4         // DminLine, log2 of words
  mov     x3, #4
  lsl     x2, x3, x2
  dsb     sy
1:
  dc      civac, x0
  add     x0, x0, x2
  cmp     x0, x1
  b.lo    1b
  dsb     sy
  ret

// Leaves EL2 for EL1h with interrupts masked; "returns" to the caller at EL1. Everything that EL1 may touch must not
// trap: no hypervisor stays behind. Clobbers x0, x1.
drop_to_el1:
  mov     x0, #(1 << 31)          // HCR_EL2.RW: EL1 is AArch64
  orr     x0, x0, #(3 << 40)      // API, APK: no traps of pointer authentication; RES0 without it
  msr     hcr_el2, x0
  isb
  mov     x0, #3                  // EL1PCTEN, EL1PCEN: no traps of the physical counter and timer
  msr     cnthctl_el2, x0
  msr     cntvoff_el2, xzr
  mrs     x0, midr_el1
  msr     vpidr_el2, x0
  mrs     x0, mpidr_el1
  msr     vmpidr_el2, x0
  mov     x0, #0x33ff             // CPTR_EL2 RES1 bits; TFP = 0: no traps of FP and SIMD
  msr     cptr_el2, x0
  msr     hstr_el2, xzr
  msr     vttbr_el2, xzr

  // All PMU counters belong to EL1.
  mov     x1, xzr
  mrs     x0, id_aa64dfr0_el1
  ubfx    x0, x0, #8, #4          // PMUVer
  cbz     x0, 1f
  cmp     x0, #0xf
  b.eq    1f
  mrs     x1, pmcr_el0
  ubfx    x1, x1, #11, #5         // N
1:
  msr     mdcr_el2, x1            // HPMN

  mrs     x0, id_aa64pfr0_el1
  ubfx    x0, x0, #24, #4         // GIC: system registers
  cbz     x0, 2f
  mrs     x0, S3_4_C12_C9_5       // ICC_SRE_EL2
  orr     x0, x0, #1              // SRE
  orr     x0, x0, #8              // Enable: EL1 may set its own
  msr     S3_4_C12_C9_5, x0
  isb
  mrs     x0, S3_4_C12_C9_5
  tbz     x0, #0, 2f              // the machine has no GICv3 after all
  msr     S3_4_C12_C11_0, xzr     // ICH_HCR_EL2
2:
  mrs     x0, id_aa64mmfr0_el1
  ubfx    x0, x0, #56, #4         // FGT
  cbz     x0, 3f
  msr     S3_4_C1_C1_4, xzr       // HFGRTR_EL2
  msr     S3_4_C1_C1_5, xzr       // HFGWTR_EL2
  msr     S3_4_C1_C1_6, xzr       // HFGITR_EL2
  msr     S3_4_C3_C1_4, xzr       // HDFGRTR_EL2
  msr     S3_4_C3_C1_5, xzr       // HDFGWTR_EL2
3:
  mrs     x0, id_aa64mmfr1_el1
  ubfx    x0, x0, #40, #4         // HCX
  cbz     x0, 4f
  msr     S3_4_C1_C2_2, xzr       // HCRX_EL2
4:
  mov     x0, #0x3c5              // EL1h, DAIF masked
  msr     spsr_el2, x0
  msr     elr_el2, x30
  eret

// Nothing is known of the machine, so nothing can be said. PSCI's conduit is smc where EL2 was ours, else hvc.
power_off_blind:
  ldr     w0, =0x84000008         // PSCI SYSTEM_OFF
  cmp     x20, #2
  b.eq    1f
  hvc     #0
1:
  smc     #0
2:
  wfi
  b       2b
  .ltorg

// An exception before the MMU is on.
  .balign 2048
early_vectors:
  .rept   16
  .balign 128
  b       power_off_blind
  .endr

.section .text.high_entry, "ax"
high_entry:
  ldr     x0, =SIS_STACK_TOP(SIS_STACK_SLOT_BOOT)
  mov     sp, x0
  adrp    x0, cpu_locals          // the first is the boot CPU's
  add     x0, x0, :lo12:cpu_locals
  msr     tpidr_el1, x0
  bl      leave_identity
  mov     x30, xzr
  b       arch_start

secondary_high_entry:
  mov     sp, x25
  msr     tpidr_el1, x24
  bl      leave_identity
  mov     x30, xzr
  b       secondary_start

// Vectors, the end of the frame records, and no identity mapping any more: EPD0 stops walks through TTBR0 until
// prepare_for_users() gives it an empty table.
leave_identity:
  mov     x29, xzr
  adrp    x0, vectors
  add     x0, x0, :lo12:vectors
  msr     vbar_el1, x0
  mrs     x0, tcr_el1
  orr     x0, x0, #(1 << 7)
  msr     tcr_el1, x0
  msr     ttbr0_el1, xzr
  isb
  tlbi    vmalle1
  dsb     nsh
  isb
  ret
