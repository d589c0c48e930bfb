// Entry of the hostile guest: an arm64 Linux Image (Linux, Documentation/arch/arm64/booting.rst), MMU off.
        .section .text.start, "ax"
        .globl  image, start_other
image:
        b       1f
        .long   0
        .quad   0                       // text_offset
        .quad   image_end - image       // image_size
        .quad   0xa                     // flags: little endian, 4 KiB pages, anywhere in memory
        .globl  seed
seed:   .quad   1                       // res2: the test puts another number here
        .quad   0, 0
        .ascii  "ARM\x64"
        .long   0

1:      adrp    x1, stack_0
        add     x1, x1, :lo12:stack_0
        mov     sp, x1
        bl      run_first
2:      b       2b

// The other CPU, by PSCI CPU_ON.
start_other:
        adrp    x1, stack_1
        add     x1, x1, :lo12:stack_1
        mov     sp, x1
        bl      run_other
3:      b       3b

        .bss
        .balign 16
        .skip   16384
stack_0:
        .skip   16384
stack_1:
