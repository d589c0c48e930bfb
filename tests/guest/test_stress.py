"""200 threads that do everything at random on 4 CPUs (guest/arch/aarch64/tests/guest/stress_test.cpp).

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
# 64 ns for an instruction, so that ten minutes take one; idle time takes none. Not the same run for one seed: QEMU goes
# from CPU to CPU by the host's time.
COUNTED = ("-icount", "shift=6,sleep=off")
AT_ONCE = ("-accel", "tcg,thread=multi")


class Stress(unittest.TestCase):
    def run_image(self, seed, how):
        with Guest(image=IMAGE, cpus=4, memory="256M",
                   extra=(*how, "-append", f"seed={seed} seconds={SECONDS}")) as guest:
            output = guest.wait_for_exit(limit_s=120 + 4 * SECONDS)
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
        summary = re.search(rf"(?m)^STRESS (seed={seed} seconds={SECONDS} .*)$", output)
        self.assertTrue(summary, output)
        print(summary[1], flush=True)
        figures = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", summary[1])}
        # It did work: some of everything in each second.
        for name in ("threads", "kills", "locks", "blocks", "bells", "sleeps", "calls", "children"):
            self.assertGreaterEqual(figures[name], SECONDS, name)
        return summary[1]

    def test_nothing_is_lost_and_no_memory_is_missing(self):
        for seed in range(1, SEEDS + 1):
            with self.subTest(seed=seed):
                self.run_image(seed, COUNTED)

    def test_with_cpus_that_run_at_once(self):
        self.run_image(2, AT_ONCE)


if __name__ == "__main__":
    unittest.main()
