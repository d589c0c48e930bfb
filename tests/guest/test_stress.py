"""200 threads that do everything at random on 4 CPUs (guest/arch/aarch64/tests/guest/stress_test.cpp); and the end of a
semaphore while its signaller is still at it.

SIS_STRESS_SECONDS: guest seconds of each run (default 10); SIS_STRESS_SEEDS: how many seeds (default 1).
`./sis soak stress` runs ten guest minutes of each, and the same on KVM.
"""

import os
import re
import unittest

import guest_image
from guest_image import Guest

IMAGE = guest_image.KERNEL.with_name("stress_test.Image")
SECONDS = int(os.environ.get("SIS_STRESS_SECONDS", "10"))
SEEDS = int(os.environ.get("SIS_STRESS_SEEDS", "1"))
# 64 ns for an instruction, so that ten minutes take one or two; idle time takes none.
COUNTED = ("-icount", "shift=6,sleep=off")
AT_ONCE = ("-accel", "tcg,thread=multi")
FIGURES = ("threads", "kills", "actions", "locks", "waits", "timeouts", "sleeps", "ipis", "allocations")


class Stress(unittest.TestCase):
    def output(self, how, arguments, seconds):
        with Guest(image=IMAGE, cpus=4, memory="256M", extra=(*how, "-append", arguments)) as guest:
            return guest.wait_for_exit(limit_s=120 + 4 * seconds)

    def run_image(self, how, seed):
        """Returns the line with the figures."""
        output = self.output(how, f"seed={seed} seconds={SECONDS}", SECONDS)
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
        summary = re.search(rf"(?m)^STRESS ok (seed={seed} .*)$", output)
        self.assertTrue(summary, output)
        print(summary[1], flush=True)
        figures = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", summary[1])}
        self.assertGreaterEqual(figures["guest_seconds"], SECONDS)
        for name in FIGURES:
            self.assertGreater(figures[name], 0, name)
        return summary[1]

    def test_nothing_is_lost_and_everything_comes_back(self):
        for seed in range(1, SEEDS + 1):
            with self.subTest(seed=seed):
                self.run_image(COUNTED, seed)

    def test_with_cpus_that_run_at_once(self):
        self.run_image(AT_ONCE, 2)

    def test_a_wake_up_that_is_lost_is_found_and_named(self):
        output = self.output(COUNTED, "seed=1 seconds=20 limit_s=2 lose=1", 20)
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 1), output)
        self.assertRegex(output, r"(?m)^STRESS FAILED seed=1, at \d+ ms, after \d+ actions, in thread slot \d+ thread "
                                 r"\d+: LOST WAKE-UP: noticed gate \d after \d+ ms$")

    def test_a_semaphore_may_end_as_soon_as_its_wait_is_over(self):
        with Guest(image=IMAGE, cpus=2, memory="256M", extra=(*AT_ONCE, "-append", "passing=5000")) as guest:
            output = guest.wait_for_exit()
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
        self.assertIn("\nPASSING ok seed=1 rounds=5000\n", output)


if __name__ == "__main__":
    unittest.main()
