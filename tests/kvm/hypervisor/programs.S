// Guest programs of hypervisor_test.cpp. Each is copied to the start of a machine's memory and entered there at EL1 with
// the MMU off. They report by writes to the test's device, whose address they have in x20, and never by memory: the
// guest's accesses are uncached, the test's are not.
#define REPORT 0x100 /* a register of the test's device */
#define READY 0x200  /* another */
#define PSCI_CPU_OFF 0x84000002
#define PSCI_CPU_ON 0xc4000003
#define PSCI_AFFINITY_INFO 0xc4000004
#define PSCI_SYSTEM_OFF 0x84000008
#define PSCI_SYSTEM_RESET 0x84000009
#define PV_TIME_FEATURES 0xc5000020 /* Arm DEN0057, "Stolen time" */
#define PV_TIME_ST 0xc5000021

// Vectors must lie at a multiple of 2 KiB (Arm DDI 0487, VBAR_EL1).
.macro program name
        .section .rodata.guest, "a"
        .balign 2048
        .global guest_\name
guest_\name:
.endm

.macro end name
        .ltorg
        .global guest_\name\()_end
guest_\name\()_end:
.endm

.macro power_off
        ldr     w0, =PSCI_SYSTEM_OFF
        hvc     #0
        b       .
.endm

        program power_off
        power_off
        end     power_off

        program reset
        ldr     w0, =PSCI_SYSTEM_RESET
        hvc     #0
        b       .
        end     reset

        program spin
        b       .
        end     spin

// Loads and stores of every size; what was loaded is reported. None that extends a sign: KVM does that, by a bit of the
// syndrome that QEMU 7.2 does not set.
        program accesses
        ldr     x2, =0x1122334455667788
        strb    w2, [x20]
        strh    w2, [x20, #2]
        str     w2, [x20, #4]
        str     x2, [x20, #8]
        str     wzr, [x20, #16]
        ldr     xzr, [x20, #24]
        ldrb    w3, [x20, #32]
        str     x3, [x20, #REPORT]
        ldrh    w3, [x20, #32]
        str     x3, [x20, #REPORT]
        ldr     w3, [x20, #32]
        str     x3, [x20, #REPORT]
        ldr     x3, [x20, #32]
        str     x3, [x20, #REPORT]
        power_off
        end     accesses

// A load of a pair has no syndrome. An external abort is reported by ESR_EL1.
        program undecodable
        adr     x0, 1f
        msr     vbar_el1, x0
        isb
        ldp     x2, x3, [x20, #64]
        b       .
        .balign 2048
1:      .skip   0x200
        mrs     x0, esr_el1
        str     x0, [x20, #REPORT]
        power_off
        end     undecodable

        program doorbell
        mov     w2, #5
        str     w2, [x20, #0x50]
        mov     w2, #6
        str     w2, [x20, #0x50]
        power_off
        end     doorbell

// Takes x21 times the interrupt 72 (shared peripheral interrupt 40) by a GICv3 at x22; x23 is 2 << 16 for an edge, 0 for a
// level. Says when it is ready, and reports what it acknowledged. Arm IHI 0069, "GICD register map".
        program interrupts
        adr     x0, 2f
        msr     vbar_el1, x0
        mov     w0, #0x12               // GICD_CTLR: ARE, EnableGrp1
        str     w0, [x22]
        mov     w0, #0x100              // bit 8 of the third word: interrupt 72
        str     w0, [x22, #0x88]        // GICD_IGROUPR
        mov     x1, #0xc10              // GICD_ICFGR
        str     w23, [x22, x1]
        str     w0, [x22, #0x108]       // GICD_ISENABLER
        mov     x0, #0xff
        msr     S3_0_C4_C6_0, x0        // ICC_PMR_EL1
        mov     x0, #1
        msr     S3_0_C12_C12_7, x0      // ICC_IGRPEN1_EL1
        isb
        msr     daifclr, #2
        str     x0, [x20, #READY]
1:      wfi
        b       1b
        .balign 2048
2:      .skip   0x280
        mrs     x1, S3_0_C12_C12_0      // ICC_IAR1_EL1
        str     x1, [x20, #REPORT]
        msr     S3_0_C12_C12_1, x1      // ICC_EOIR1_EL1
        subs    x21, x21, #1
        b.eq    3f
        eret
3:      power_off
        end     interrupts

// Starts the second CPU, which reports what it was started with and goes off, and powers off after it.
        program second_cpu
        ldr     x0, =PSCI_CPU_ON
        mov     x1, #1                  // its affinity
        adr     x2, 1f
        mov     x3, x20
        hvc     #0
        str     x0, [x20, #READY]
2:      ldr     x0, =PSCI_AFFINITY_INFO
        mov     x1, #1
        mov     x2, #0
        hvc     #0
        cmp     x0, #1                  // off
        b.ne    2b
        power_off
1:      mrs     x1, mpidr_el1
        and     x1, x1, #0xff
        str     x1, [x0, #REPORT]
        ldr     w0, =PSCI_CPU_OFF
        hvc     #0
        b       .
        end     second_cpu

// Reports what the cycle counter counts over a loop.
        program pmu
        mov     x0, #0x80000000         // the cycle counter
        msr     pmcntenset_el0, x0
        mov     x0, #5                  // E, C
        msr     pmcr_el0, x0
        isb
        mov     x1, #1000
1:      subs    x1, x1, #1
        b.ne    1b
        isb
        mrs     x0, pmccntr_el0
        str     x0, [x20, #REPORT]
        power_off
        end     pmu

// Asks for stolen time, and where it is.
        program stolen_time
        ldr     x0, =PV_TIME_FEATURES
        ldr     x1, =PV_TIME_ST
        hvc     #0
        str     x0, [x20, #REPORT]
        ldr     x0, =PV_TIME_ST
        hvc     #0
        str     x0, [x20, #REPORT]
        power_off
        end     stolen_time
