"""200 threads that do everything at random on 4 virtual CPUs (guest/arch/aarch64/tests/guest/stress_test.cpp).

Runs on the ARM64 host itself, real or nested; ../test_stress_kvm.py brings it there. Environment: SIS_BUILD; SIS_STRESS: the
guest's image; SIS_STRESS_SECONDS: guest seconds.
"""

import os
import pathlib
import re
import subprocess
import unittest

SISVMM = pathlib.Path(os.environ["SIS_BUILD"]) / "vmm/cli/sisvmm"
IMAGE = os.environ["SIS_STRESS"]
SECONDS = int(os.environ["SIS_STRESS_SECONDS"])


class Stress(unittest.TestCase):
    def test_nothing_is_lost_and_everything_comes_back(self):
        # A machine in an emulated host is slow: the threads pause longer.
        done = subprocess.run([SISVMM, "boot", IMAGE, "--memory", "256MiB", "--cpus", "4", "--timeout",
                               str(120 + 4 * SECONDS), "--append", f"seed=4 seconds={SECONDS} pause_us=200000"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = re.search(r"(?m)^STRESS ok (seed=4 .*?)\r?$", done.stdout)
        self.assertTrue(summary, done.stdout + done.stderr)
        print(summary[1], flush=True)
        figures = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", summary[1])}
        self.assertGreaterEqual(figures["guest_seconds"], SECONDS)
        for name, value in figures.items():
            if name != "starved":
                self.assertGreater(value, 0, name)


if __name__ == "__main__":
    unittest.main()
