// Exception vectors. Arm DDI 0487, "AArch64 Exception vectors". The kernel runs at EL1h. Every vector but the kernel's
// synchronous exceptions and interrupts and those of user tasks ends in exception_report(), which does not return.

#include "guest/arch/layout.h"

#define OVERFLOWED 0x100

// Makes room for a frame, tests the stack without touching it: x0 and sp swap places by arithmetic, so that the one
// bit (layout.h) can be tested while no register is lost.
.macro enter_frame vector
  sub     sp, sp, #SIS_FRAME_SIZE
  add     sp, sp, x0              // sp = frame + x0
  sub     x0, sp, x0              // x0 = frame
  tbnz    x0, #SIS_STACK_SHIFT, .Loverflow_\vector
  sub     x0, sp, x0              // x0 = x0
  sub     sp, sp, x0              // sp = frame
  stp     x0, x1, [sp, #SIS_FRAME_X(0)]
.endm

// The stack is full: go on with this CPU's overflow stack. The thread registers are free until there are user tasks, and
// then the task that they belong to is lost anyway.
.macro overflow_frame vector
.Loverflow_\vector:
  msr     tpidr_el0, x0
  sub     x0, sp, x0
  msr     tpidrro_el0, x0
  mrs     x0, tpidr_el1           // struct CpuLocal, in mapped data
  ldr     x0, [x0, #SIS_CPU_OVERFLOW_TOP]
  sub     x0, x0, #SIS_FRAME_SIZE
  mov     sp, x0
  mrs     x0, tpidrro_el0
  stp     x0, x1, [sp, #SIS_FRAME_X(0)]
  mov     x0, #(\vector | OVERFLOWED)
  b       report
.endm

.macro fatal_vector vector
  .balign 128
  enter_frame \vector
  mov     x0, #\vector
  b       report
  overflow_frame \vector
.endm

.section .text.vectors, "ax"
  .balign 2048
.global vectors
vectors:
  // Current EL, SP_EL0: the kernel never runs so.
  fatal_vector 0
  fatal_vector 1
  fatal_vector 2
  fatal_vector 3
  // Current EL, SP_EL1.
  .balign 128
  enter_frame 4
  b       kernel_synchronous
  overflow_frame 4
  .balign 128
  enter_frame 5
  b       interrupt
  overflow_frame 5
  fatal_vector 6
  fatal_vector 7
  // Lower EL, AArch64: user tasks (user_entry.S). The stack is empty, so it has room.
  .balign 128
  sub     sp, sp, #SIS_USER_FRAME_SIZE
  stp     x0, x1, [sp, #SIS_FRAME_X(0)]
  b       user_synchronous
  .balign 128
  sub     sp, sp, #SIS_USER_FRAME_SIZE
  stp     x0, x1, [sp, #SIS_FRAME_X(0)]
  b       user_interrupt
  fatal_vector 10
  fatal_vector 11
  // Lower EL, AArch32.
  fatal_vector 12
  fatal_vector 13
  fatal_vector 14
  fatal_vector 15
  .balign 128

// x0 = vector, x0 and x1 are saved. Saves the rest, builds a frame record so that backtraces pass, reports.
report:
  stp     x2, x3, [sp, #SIS_FRAME_X(2)]
  stp     x4, x5, [sp, #SIS_FRAME_X(4)]
  stp     x6, x7, [sp, #SIS_FRAME_X(6)]
  stp     x8, x9, [sp, #SIS_FRAME_X(8)]
  stp     x10, x11, [sp, #SIS_FRAME_X(10)]
  stp     x12, x13, [sp, #SIS_FRAME_X(12)]
  stp     x14, x15, [sp, #SIS_FRAME_X(14)]
  stp     x16, x17, [sp, #SIS_FRAME_X(16)]
  stp     x18, x19, [sp, #SIS_FRAME_X(18)]
  stp     x20, x21, [sp, #SIS_FRAME_X(20)]
  stp     x22, x23, [sp, #SIS_FRAME_X(22)]
  stp     x24, x25, [sp, #SIS_FRAME_X(24)]
  stp     x26, x27, [sp, #SIS_FRAME_X(26)]
  stp     x28, x29, [sp, #SIS_FRAME_X(28)]
  add     x1, sp, #SIS_FRAME_SIZE
  tbz     x0, #8, 1f              // OVERFLOWED
  mrs     x1, tpidr_el0
  add     x1, x1, #SIS_FRAME_SIZE
1:
  stp     x30, x1, [sp, #SIS_FRAME_X(30)]
  mrs     x2, elr_el1
  mrs     x3, spsr_el1
  stp     x2, x3, [sp, #SIS_FRAME_ELR]
  mrs     x4, esr_el1
  mrs     x5, far_el1
  stp     x4, x5, [sp, #SIS_FRAME_ESR]
  stp     x29, x2, [sp, #SIS_FRAME_RECORD]
  str     x0, [sp, #SIS_FRAME_VECTOR]
  add     x29, sp, #SIS_FRAME_RECORD
  mov     x0, sp
  bl      exception_report
  brk     #1                      // it does not return

// An interrupt of the kernel. The handlers are C++ built with general registers only, which keeps x19 to x28 itself.
interrupt:
  stp     x2, x3, [sp, #SIS_FRAME_X(2)]
  stp     x4, x5, [sp, #SIS_FRAME_X(4)]
  stp     x6, x7, [sp, #SIS_FRAME_X(6)]
  stp     x8, x9, [sp, #SIS_FRAME_X(8)]
  stp     x10, x11, [sp, #SIS_FRAME_X(10)]
  stp     x12, x13, [sp, #SIS_FRAME_X(12)]
  stp     x14, x15, [sp, #SIS_FRAME_X(14)]
  stp     x16, x17, [sp, #SIS_FRAME_X(16)]
  str     x18, [sp, #SIS_FRAME_X(18)]
  stp     x29, x30, [sp, #SIS_FRAME_X(29)]
  mrs     x0, elr_el1
  mrs     x1, spsr_el1
  stp     x0, x1, [sp, #SIS_FRAME_ELR]
  stp     x29, x0, [sp, #SIS_FRAME_RECORD]
  add     x29, sp, #SIS_FRAME_RECORD
  bl      interrupt_entry
  ldp     x0, x1, [sp, #SIS_FRAME_ELR]
  msr     elr_el1, x0
  msr     spsr_el1, x1
  ldp     x29, x30, [sp, #SIS_FRAME_X(29)]
  ldr     x18, [sp, #SIS_FRAME_X(18)]
  ldp     x16, x17, [sp, #SIS_FRAME_X(16)]
  ldp     x14, x15, [sp, #SIS_FRAME_X(14)]
  ldp     x12, x13, [sp, #SIS_FRAME_X(12)]
  ldp     x10, x11, [sp, #SIS_FRAME_X(10)]
  ldp     x8, x9, [sp, #SIS_FRAME_X(8)]
  ldp     x6, x7, [sp, #SIS_FRAME_X(6)]
  ldp     x4, x5, [sp, #SIS_FRAME_X(4)]
  ldp     x2, x3, [sp, #SIS_FRAME_X(2)]
  ldp     x0, x1, [sp, #SIS_FRAME_X(0)]
  add     sp, sp, #SIS_FRAME_SIZE
  eret
