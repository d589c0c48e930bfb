// memcpy, memmove, memset, memcmp, strlen, memchr: the compiler calls them anywhere, interrupt handlers included, so they use general
// registers only. Accesses need not be aligned: the kernel's memory is normal memory.

.macro function name
  .section .text.\name, "ax"
  .balign 16
  .global \name
  .type \name, %function
\name:
.endm

// void* memcpy(void* x0, const void* x1, size_t x2)
function memcpy
  mov     x3, x0
  cmp     x2, #16
  b.lo    2f
  cmp     x2, #64
  b.lo    1f
0:
  ldp     x4, x5, [x1], #16
  ldp     x6, x7, [x1], #16
  ldp     x8, x9, [x1], #16
  ldp     x10, x11, [x1], #16
  stp     x4, x5, [x3], #16
  stp     x6, x7, [x3], #16
  stp     x8, x9, [x3], #16
  stp     x10, x11, [x3], #16
  sub     x2, x2, #64
  cmp     x2, #64
  b.hs    0b
  cmp     x2, #16
  b.lo    2f
1:
  ldp     x4, x5, [x1], #16
  stp     x4, x5, [x3], #16
  sub     x2, x2, #16
  cmp     x2, #16
  b.hs    1b
2:
  tbz     x2, #3, 3f
  ldr     x4, [x1], #8
  str     x4, [x3], #8
3:
  tbz     x2, #2, 4f
  ldr     w4, [x1], #4
  str     w4, [x3], #4
4:
  tbz     x2, #1, 5f
  ldrh    w4, [x1], #2
  strh    w4, [x3], #2
5:
  tbz     x2, #0, 6f
  ldrb    w4, [x1]
  strb    w4, [x3]
6:
  ret
.size memcpy, . - memcpy

// void* memmove(void* x0, const void* x1, size_t x2). Forward unless the destination starts inside the source.
function memmove
  sub     x3, x0, x1
  cmp     x3, x2
  b.hs    memcpy                  // unsigned: also when the destination is below the source
  add     x1, x1, x2
  add     x3, x0, x2
  cmp     x2, #16
  b.lo    2f
1:
  ldp     x4, x5, [x1, #-16]!
  stp     x4, x5, [x3, #-16]!
  sub     x2, x2, #16
  cmp     x2, #16
  b.hs    1b
2:
  tbz     x2, #3, 3f
  ldr     x4, [x1, #-8]!
  str     x4, [x3, #-8]!
3:
  tbz     x2, #2, 4f
  ldr     w4, [x1, #-4]!
  str     w4, [x3, #-4]!
4:
  tbz     x2, #1, 5f
  ldrh    w4, [x1, #-2]!
  strh    w4, [x3, #-2]!
5:
  tbz     x2, #0, 6f
  ldrb    w4, [x1, #-1]
  strb    w4, [x3, #-1]
6:
  ret
.size memmove, . - memmove

// void* memset(void* x0, int w1, size_t x2)
function memset
  mov     x3, x0
  and     x1, x1, #0xff
  orr     x1, x1, x1, lsl #8
  orr     x1, x1, x1, lsl #16
  orr     x1, x1, x1, lsl #32
  cmp     x2, #16
  b.lo    5f
  cmp     x2, #512
  b.lo    3f
  cbnz    x1, 2f
  // Large and zero: whole blocks with dc zva, if it is allowed.
  mrs     x4, dczid_el0
  tbnz    x4, #4, 2f
  mov     x5, #4
  lsl     x4, x5, x4              // block size, at most 2 KiB
  cmp     x2, x4, lsl #1
  b.lo    2f
  sub     x5, x4, #1
0:                                // up to a block boundary, 16 bytes at a time: the first store may be unaligned
  stp     xzr, xzr, [x3]
  add     x6, x3, #16
  and     x6, x6, #~15
  sub     x7, x6, x3
  sub     x2, x2, x7
  mov     x3, x6
  tst     x3, x5
  b.ne    0b
1:
  dc      zva, x3
  add     x3, x3, x4
  sub     x2, x2, x4
  cmp     x2, x4
  b.hs    1b
  cmp     x2, #16
  b.lo    5f
  b       3f
2:
  stp     x1, x1, [x3], #16
  stp     x1, x1, [x3], #16
  stp     x1, x1, [x3], #16
  stp     x1, x1, [x3], #16
  sub     x2, x2, #64
  cmp     x2, #64
  b.hs    2b
  cmp     x2, #16
  b.lo    5f
3:
  stp     x1, x1, [x3], #16
  sub     x2, x2, #16
  cmp     x2, #16
  b.hs    3b
5:
  tbz     x2, #3, 6f
  str     x1, [x3], #8
6:
  tbz     x2, #2, 7f
  str     w1, [x3], #4
7:
  tbz     x2, #1, 8f
  strh    w1, [x3], #2
8:
  tbz     x2, #0, 9f
  strb    w1, [x3]
9:
  ret
.size memset, . - memset

// int memcmp(const void* x0, const void* x1, size_t x2)
function memcmp
1:
  cmp     x2, #8
  b.lo    3f
  ldr     x3, [x0], #8
  ldr     x4, [x1], #8
  sub     x2, x2, #8
  cmp     x3, x4
  b.eq    1b
  rev     x3, x3                  // the first differing byte decides: make it the most significant
  rev     x4, x4
  cmp     x3, x4
2:
  cset    w0, hi
  csinv   w0, w0, wzr, hs         // 1, 0 or -1
  ret
3:
  cbz     x2, 4f
  ldrb    w3, [x0], #1
  ldrb    w4, [x1], #1
  sub     x2, x2, #1
  cmp     w3, w4
  b.eq    3b
  b       2b
4:
  mov     w0, #0
  ret
.size memcmp, . - memcmp

// size_t strlen(const char* x0)
function strlen
  mov     x1, x0
1:
  ldrb    w2, [x1], #1
  cbnz    w2, 1b
  sub     x0, x1, x0
  sub     x0, x0, #1
  ret
.size strlen, . - strlen

// void* memchr(const void* x0, int w1, size_t x2)
function memchr
  and     w1, w1, #0xff
1:
  cbz     x2, 2f
  ldrb    w3, [x0], #1
  sub     x2, x2, #1
  cmp     w3, w1
  b.ne    1b
  sub     x0, x0, #1
  ret
2:
  mov     x0, xzr
  ret
.size memchr, . - memchr

.section .note.GNU-stack, "", %progbits
