// The first instruction of a program: sp points to argc, argv, 0, envp, 0, auxv, as on Linux.
.section .text._start, "ax"
.global _start
.type _start, %function
_start:
  mov     x29, xzr                // backtraces end here
  mov     x30, xzr
  mov     x0, sp
  b       sis_start
.section .note.GNU-stack, "", %progbits
