// Guests of a few instructions, as arm64 Linux Images (Linux Documentation/arm64/booting.rst), for raw_kvm and sisvmm.
//
//   ACCESSES = 0   powers off at once
//   ACCESSES > 0   reads the PL011's flag register that often, prints what one read took in ticks of the virtual counter
//                  times 65536, as 16 hexadecimal digits and a newline on the PL011, and powers off
//
// In the nested host's instruction-counting mode a tick is 16 instructions. The loop has three instructions of its own.
#define UART 0x09000000
#define UART_FLAGS 0x18 /* PrimeCell UART (PL011) TRM, UARTFR */
#define PSCI_SYSTEM_OFF 0x84000008

        .text
        b       start
        .long   0
        .quad   0                       // text_offset
        .quad   image_end - image       // image_size
        .quad   0xa                     // flags: little endian, 4 KiB pages, anywhere in memory
        .quad   0, 0, 0
        .ascii  "ARM\x64"
        .long   0
        .set    image, . - 64

start:
#if ACCESSES > 0
        ldr     x1, =UART
        ldr     x2, =ACCESSES
        // The first read brings what every later one finds: warm caches and translations.
        ldr     w3, [x1, #UART_FLAGS]
        isb
        mrs     x4, cntvct_el0
1:      ldr     w3, [x1, #UART_FLAGS]
        subs    x2, x2, #1
        b.ne    1b
        isb
        mrs     x5, cntvct_el0
        sub     x5, x5, x4
        ldr     x2, =ACCESSES
        lsl     x5, x5, #16
        udiv    x5, x5, x2

        mov     x6, #60                 // the shift of the digit to print
2:      lsr     x7, x5, x6
        and     x7, x7, #15
        cmp     x7, #10
        add     x8, x7, #'0'
        add     x9, x7, #('a' - 10)
        csel    x7, x8, x9, lo
        strb    w7, [x1]
        subs    x6, x6, #4
        b.pl    2b
        mov     w7, #'\n'
        strb    w7, [x1]
#endif
        ldr     w0, =PSCI_SYSTEM_OFF
        hvc     #0
3:      b       3b
        .ltorg
        .set    image_end, .
