// Copies between the kernel's memory and a task's. LDTR and STTR have EL0's rights. A fault of an instruction between
// `begin` and `end` of a fixup goes on at its `landing` (user_access.cpp): from a block to the bytes, where the same
// fault happens at the very byte, and from there to the end. Both return how many bytes were copied.

.macro function name
  .section .text.\name, "ax"
  .balign 16
  .global \name
  .type \name, %function
\name:
.endm

.macro fixup begin, end, landing
  .pushsection .user_access_fixups, "a"
  .balign 8
  .quad   \begin, \end, \landing
  .popsection
.endm

// size_t user_copy_in(void* x0 to, uint64_t x1 from, size_t x2 bytes)
function user_copy_in
  mov     x3, x0
  cmp     x2, #32
  b.lo    4f
1:
  ldtr    x4, [x1]
  ldtr    x5, [x1, #8]
  ldtr    x6, [x1, #16]
  ldtr    x7, [x1, #24]
2:
  stp     x4, x5, [x0], #16
  stp     x6, x7, [x0], #16
  add     x1, x1, #32
  sub     x2, x2, #32
  cmp     x2, #32
  b.hs    1b
  b       4f
3:
  ldtr    x4, [x1]
30:
  str     x4, [x0], #8
  add     x1, x1, #8
  sub     x2, x2, #8
4:
  cmp     x2, #8
  b.hs    3b
  b       6f
5:
  ldtrb   w4, [x1]
50:
  strb    w4, [x0], #1
  add     x1, x1, #1
  sub     x2, x2, #1
6:
  cbnz    x2, 5b
7:
  sub     x0, x0, x3
  ret
  fixup   1b, 2b, 6b
  fixup   3b, 30b, 6b
  fixup   5b, 50b, 7b
.size user_copy_in, . - user_copy_in

// size_t user_copy_out(uint64_t x0 to, const void* x1 from, size_t x2 bytes)
function user_copy_out
  mov     x3, x0
  cmp     x2, #32
  b.lo    4f
1:
  ldp     x4, x5, [x1]
  ldp     x6, x7, [x1, #16]
10:
  sttr    x4, [x0]
  sttr    x5, [x0, #8]
  sttr    x6, [x0, #16]
  sttr    x7, [x0, #24]
2:
  add     x0, x0, #32
  add     x1, x1, #32
  sub     x2, x2, #32
  cmp     x2, #32
  b.hs    1b
  b       4f
3:
  ldr     x4, [x1]
30:
  sttr    x4, [x0]
31:
  add     x0, x0, #8
  add     x1, x1, #8
  sub     x2, x2, #8
4:
  cmp     x2, #8
  b.hs    3b
  b       6f
5:
  ldrb    w4, [x1]
50:
  sttrb   w4, [x0]
51:
  add     x0, x0, #1
  add     x1, x1, #1
  sub     x2, x2, #1
6:
  cbnz    x2, 5b
7:
  sub     x0, x0, x3
  ret
  fixup   10b, 2b, 6b
  fixup   30b, 31b, 6b
  fixup   50b, 51b, 7b
.size user_copy_out, . - user_copy_out
