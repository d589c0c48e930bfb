// Exceptions of user tasks, and the kernel's own synchronous ones, which may be its accesses to a task's memory. The
// vectors have made room for the frame and saved x0 and x1.

#include "guest/arch/layout.h"

.macro save_x2_to_x29
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
.endm

.macro restore_x0_to_x17
  ldp     x16, x17, [sp, #SIS_FRAME_X(16)]
  ldp     x14, x15, [sp, #SIS_FRAME_X(14)]
  ldp     x12, x13, [sp, #SIS_FRAME_X(12)]
  ldp     x10, x11, [sp, #SIS_FRAME_X(10)]
  ldp     x8, x9, [sp, #SIS_FRAME_X(8)]
  ldp     x6, x7, [sp, #SIS_FRAME_X(6)]
  ldp     x4, x5, [sp, #SIS_FRAME_X(4)]
  ldp     x2, x3, [sp, #SIS_FRAME_X(2)]
  ldp     x0, x1, [sp, #SIS_FRAME_X(0)]
.endm

// The rest of a UserFrame. The frame record of zeros ends backtraces of what the kernel does for the task.
.macro save_user_frame
  save_x2_to_x29
  mrs     x0, sp_el0
  stp     x30, x0, [sp, #SIS_FRAME_X(30)]
  mrs     x0, elr_el1
  mrs     x1, spsr_el1
  stp     x0, x1, [sp, #SIS_FRAME_ELR]
  mrs     x0, tpidr_el0
  str     x0, [sp, #SIS_USER_FRAME_TPIDR]
  stp     xzr, xzr, [sp, #SIS_FRAME_RECORD]
  add     x29, sp, #SIS_FRAME_RECORD
.endm

.section .text.user_entry, "ax"

.global user_synchronous
user_synchronous:
  save_user_frame
  mrs     x0, esr_el1
  mrs     x1, far_el1
  stp     x0, x1, [sp, #SIS_FRAME_ESR]
  msr     daifclr, #6             // SError and interrupts, now that ESR and FAR are read
  mov     x0, sp
  bl      user_exception
  b       return_to_user

.global user_interrupt
user_interrupt:
  save_user_frame
  bl      interrupt_entry
  mov     x0, sp
  bl      user_interrupted
  b       return_to_user

// [[noreturn]] void enter_user(UserFrame& x0)
.global enter_user
.type enter_user, %function
enter_user:
  msr     daifset, #2             // on this stack a handler would be in the way of the frame
  mov     sp, x0

// sp = a UserFrame at the top of the task's kernel stack.
return_to_user:
  msr     daifset, #2             // ELR and SPSR are this CPU's only ones
  ldp     x0, x1, [sp, #SIS_FRAME_ELR]
  msr     elr_el1, x0
  msr     spsr_el1, x1
  ldr     x0, [sp, #SIS_USER_FRAME_TPIDR]
  msr     tpidr_el0, x0
  ldp     x30, x0, [sp, #SIS_FRAME_X(30)]
  msr     sp_el0, x0
  ldp     x28, x29, [sp, #SIS_FRAME_X(28)]
  ldp     x26, x27, [sp, #SIS_FRAME_X(26)]
  ldp     x24, x25, [sp, #SIS_FRAME_X(24)]
  ldp     x22, x23, [sp, #SIS_FRAME_X(22)]
  ldp     x20, x21, [sp, #SIS_FRAME_X(20)]
  ldp     x18, x19, [sp, #SIS_FRAME_X(18)]
  restore_x0_to_x17
  add     sp, sp, #SIS_USER_FRAME_SIZE
  eret

// A synchronous exception of the kernel, with an ExceptionFrame. kernel_exception() reports it as vectors.S' report does,
// or it is an access to a task's memory: then the frame says where to go on. x19 to x28 the C++ code keeps itself.
.global kernel_synchronous
kernel_synchronous:
  save_x2_to_x29
  add     x0, sp, #SIS_FRAME_SIZE
  stp     x30, x0, [sp, #SIS_FRAME_X(30)]
  mrs     x0, elr_el1
  mrs     x1, spsr_el1
  stp     x0, x1, [sp, #SIS_FRAME_ELR]
  stp     x29, x0, [sp, #SIS_FRAME_RECORD]
  mrs     x0, esr_el1
  mrs     x1, far_el1
  stp     x0, x1, [sp, #SIS_FRAME_ESR]
  mov     x0, #4
  str     x0, [sp, #SIS_FRAME_VECTOR]
  add     x29, sp, #SIS_FRAME_RECORD
  mov     x0, sp
  bl      kernel_exception
  ldp     x0, x1, [sp, #SIS_FRAME_ELR]
  msr     elr_el1, x0
  msr     spsr_el1, x1
  ldp     x29, x30, [sp, #SIS_FRAME_X(29)]
  ldr     x18, [sp, #SIS_FRAME_X(18)]
  restore_x0_to_x17
  add     sp, sp, #SIS_FRAME_SIZE
  eret
