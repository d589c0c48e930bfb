/* Every register of FP and SIMD and the general ones keep their values while others run: "registers SEED" fills them
 * with values of its own, lets others run, and compares, again and again. Several of these at once, on one CPU, with
 * different seeds are the test. */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vectors.h"

/* Fills the registers, spins or yields, and stores what is in them then. sched_yield is number 124. */
static void pass(const struct vectors* in, struct vectors* out, uint64_t spins, uint64_t yield) {
  __asm__ volatile(PAIRS("ldp", "%0") "msr fpcr, %4\n"
                   "cbz %3, 1f\n"
                   "mov x8, #124\n"
                   "svc #0\n"
                   "1: subs %2, %2, #1\n"
                   "b.hs 1b\n" PAIRS("stp", "%1")
                   : "+r"(in), "+r"(out), "+r"(spins)
                   : "r"(yield), "r"((uint64_t)0)
                   : "x0", "x8", "cc", "memory", VECTOR_CLOBBERS);
}

#define GENERAL_FILL                                                                                         \
  "mov x1, #1\n mov x2, #2\n mov x3, #3\n mov x4, #4\n mov x5, #5\n mov x6, #6\n mov x7, #7\n mov x9, #9\n"  \
  "mov x10, #10\n mov x11, #11\n mov x12, #12\n mov x13, #13\n mov x14, #14\n mov x15, #15\n mov x16, #16\n" \
  "mov x17, #17\n mov x18, #18\n mov x19, #19\n mov x20, #20\n mov x21, #21\n mov x22, #22\n mov x23, #23\n" \
  "mov x24, #24\n mov x25, #25\n mov x26, #26\n mov x27, #27\n mov x28, #28\n mov x30, #30\n"

/* x0 gets ones where a register has lost its number. */
#define CHECK(n) "mov x8, #" #n "\n eor x8, x8, x" #n "\n orr x0, x0, x8\n"
#define GENERAL_CHECK                                                                                                 \
  CHECK(1)                                                                                                            \
  CHECK(2)                                                                                                            \
  CHECK(3)                                                                                                            \
  CHECK(4)                                                                                                            \
  CHECK(5) CHECK(6) CHECK(7) CHECK(9) CHECK(10) CHECK(11) CHECK(12) CHECK(13) CHECK(14) CHECK(15) CHECK(16) CHECK(17) \
      CHECK(18) CHECK(19) CHECK(20) CHECK(21) CHECK(22) CHECK(23) CHECK(24) CHECK(25) CHECK(26) CHECK(27) CHECK(28)   \
          CHECK(30)

#define GENERAL_CLOBBERS                                                                                               \
  "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", \
      "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "cc", "memory"

/* The general registers while interrupts come. */
static uint64_t general_while_spinning(uint64_t spins) {
  register uint64_t x0 __asm__("x0") = spins;
  __asm__ volatile(GENERAL_FILL
                   "1: subs x0, x0, #1\n"
                   "b.ne 1b\n" GENERAL_CHECK
                   : "+r"(x0)
                   :
                   : GENERAL_CLOBBERS);
  return x0;
}

/* The same across a call: all but x0 stay. Emulation takes interrupts between blocks only, where the loop above does
 * not care for the flags; here they are looked at behind the call. */
static uint64_t general_across_a_call(void) {
  register uint64_t x0 __asm__("x0");
  __asm__ volatile(GENERAL_FILL
                   "mov x8, #124\n"
                   "cmp x8, #124\n"
                   "svc #0\n"
                   "csinc x0, x0, xzr, eq\n"
                   "sub x8, x8, #124\n"
                   "orr x0, x0, x8\n" GENERAL_CHECK
                   : "=r"(x0)
                   :
                   : GENERAL_CLOBBERS);
  return x0;
}

int main(int argc, char** argv) {
  const uint64_t seed = argc == 2 ? strtoul(argv[1], NULL, 0) : 1;
  static struct vectors in;
  static struct vectors out;
  unsigned wrong = 0;
  for (unsigned round = 0; round < 200; ++round) {
    for (unsigned i = 0; i < 64; ++i) {
      in.half[i] = (seed * 1000003 + round * 64 + i) * UINT64_C(0x9e3779b97f4a7c15);
    }
    pass(&in, &out, 20000, round % 2);
    for (unsigned i = 0; i < 64; ++i) {
      wrong += in.half[i] != out.half[i];
    }
    wrong += general_while_spinning(20000) != 0;
    wrong += general_across_a_call() != 0;
  }
  printf("TEST registers_%lu %s\n", (unsigned long)seed, wrong == 0 ? "ok" : "FAILED");
  return wrong != 0;
}
