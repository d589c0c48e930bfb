/* Virtual memory layout of the kernel, shared with assembly and the linker script (docs/ARCHITECTURE.md).
 *
 *   0xffff'0000'0000'0000  every byte of RAM, at its physical address (direct map; image text and rodata read-only)
 *   0xffff'8000'0000'0000  the kernel image, per section
 *   0xffff'8000'1000'0000  stacks: a slot is SIS_STACK_SLOT bytes, its lower half is the stack, its upper half unmapped
 *   0xffff'8000'2000'0000  the device tree as the boot loader gave it, read-only
 *   0xffff'8000'3000'0000  devices
 *
 * TTBR0 has the tables of the user task that the CPU runs (guest/process/user_space.hpp), else an empty one: every
 * address below 2^48 faults. Null always does.
 */
#pragma once

#define SIS_DIRECT_MAP_BASE 0xffff000000000000
#define SIS_IMAGE_BASE 0xffff800000000000
#define SIS_STACK_BASE 0xffff800010000000
#define SIS_DTB_BASE 0xffff800020000000
#define SIS_DEVICE_BASE 0xffff800030000000
#define SIS_DEVICE_END 0xffff800040000000

/* A valid stack pointer has bit SIS_STACK_SHIFT clear once something was pushed; below the stack the bit is set. The
 * exception entry tests that one bit to detect an overflow without using the stack. */
#define SIS_STACK_SHIFT 16
#define SIS_STACK_SIZE 0x10000
#define SIS_STACK_SLOT 0x20000

/* CPU n has slot 1 + 2n for its stack and slot 2 + 2n for what its exceptions use when that stack is full. The slots
 * from SIS_STACK_SLOT_THREADS on are those of threads. */
#define SIS_STACK_SLOT_BOOT 1
#define SIS_STACK_SLOT_OVERFLOW 2
#define SIS_STACK_SLOTS_PER_CPU 2
#define SIS_STACK_SLOT_THREADS 32
#define SIS_STACK_TOP(slot) (SIS_STACK_BASE + (slot) * SIS_STACK_SLOT + SIS_STACK_SIZE)

/* struct CpuLocal (cpu_local.hpp), which TPIDR_EL1 points to. */
#define SIS_CPU_OVERFLOW_TOP 0x00
#define SIS_CPU_STACK_BOTTOM 0x08

/* struct Context (context.hpp). */
#define SIS_CONTEXT_SP 0x00
#define SIS_CONTEXT_STACK_BOTTOM 0x08

/* struct SecondaryStart (secondary.cpp): what a CPU reads before its MMU is on. */
#define SIS_START_TTBR1 0x00
#define SIS_START_TTBR0 0x08
#define SIS_START_CPU_LOCAL 0x10
#define SIS_START_STACK_TOP 0x18

/* struct ExceptionFrame (exception.hpp). */
#define SIS_FRAME_SIZE 0x140
#define SIS_FRAME_X(n) ((n) * 8)
#define SIS_FRAME_SP 0xf8
#define SIS_FRAME_ELR 0x100
#define SIS_FRAME_SPSR 0x108
#define SIS_FRAME_ESR 0x110
#define SIS_FRAME_FAR 0x118
#define SIS_FRAME_RECORD 0x120
#define SIS_FRAME_VECTOR 0x130

/* struct FpState (fp.hpp): V0 to V31, then FPSR and FPCR at SIS_FP_STATUS. */
#define SIS_FP_STATE_SIZE 0x210
#define SIS_FP_STATUS 0x200

/* struct UserFrame (user.hpp): an exception frame, then what else a user task has. */
#define SIS_USER_FRAME_SIZE 0x150
#define SIS_USER_FRAME_TPIDR 0x140
