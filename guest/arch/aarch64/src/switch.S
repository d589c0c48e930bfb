// Threads change places.

#include "guest/arch/layout.h"

.section .text.switch_context, "ax"

// switch_context(x0 = Context& from, x1 = Context& to), interrupts masked. What the procedure call standard lets a
// function change is saved by the caller: AAPCS64, "General-purpose Registers". The frame record on top of the saved
// registers lets a backtrace of a thread that does not run begin here.
// The name is guest::threads::switch_context(Context&, Context&)'s (Itanium C++ ABI, "Mangling").
.global _ZN5guest7threads14switch_contextERNS0_7ContextES2_
_ZN5guest7threads14switch_contextERNS0_7ContextES2_:
  bti     c
  stp     x29, x30, [sp, #-96]!
  stp     x19, x20, [sp, #16]
  stp     x21, x22, [sp, #32]
  stp     x23, x24, [sp, #48]
  stp     x25, x26, [sp, #64]
  stp     x27, x28, [sp, #80]
  mov     x9, sp
  str     x9, [x0, #SIS_CONTEXT_SP]
  ldr     x9, [x1, #SIS_CONTEXT_SP]
  ldp     x10, x11, [x1, #SIS_CONTEXT_STACK_BOTTOM]
  mrs     x12, tpidr_el1
  stp     x10, x11, [x12, #SIS_CPU_STACK_BOTTOM]
  mov     sp, x9
  ldp     x19, x20, [sp, #16]
  ldp     x21, x22, [sp, #32]
  ldp     x23, x24, [sp, #48]
  ldp     x25, x26, [sp, #64]
  ldp     x27, x28, [sp, #80]
  ldp     x29, x30, [sp], #96
  ret

// Where the first switch to a thread returns to: x19 = the function it begins with. Nobody called it.
.global thread_start
thread_start:
  mov     x29, xzr
  mov     x30, xzr
  br      x19
