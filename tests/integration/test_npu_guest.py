"""The NPU as the guest's threads use it: an image of its own checks results, faults, priorities and budgets."""

import re
import unittest

import harness

IMAGE = harness.KERNEL.parent / "npu_test.Image"
SCENARIO = f"""apiVersion: sis/v1
npu: {{threads: 2, faults: [{{fault: fail-command, number: 2, command: 1}}]}}
boot: {{kernel: {IMAGE}}}
"""
CHECKS = 8


class Guest(harness.MachineTest):
    def test_every_check_passes(self):
        machine = self.machine(SCENARIO)
        machine.process.wait(timeout=harness.LIMIT_S)
        console = machine.console()
        self.assertEqual(re.findall("TEST .* FAILED.*", console), [])
        self.assertEqual(len(re.findall("TEST [a-z_]* ok", console)), CHECKS, console)
        timeline = re.findall(r"TIMELINE us=\d+ (npu-submit|npu-end) job=(\d+) \w+=\d+ \w+=(\d+)", console)
        self.assertEqual(len(timeline), 2 * 16, "fifteen low jobs and a critical one")
        critical = next(job for what, job, priority in timeline if what == "npu-submit" and priority == "3")
        ends = [job for what, job, _ in timeline if what == "npu-end"]
        self.assertLessEqual(ends.index(critical), 1, f"it came last and was not among the first: {timeline}")


if __name__ == "__main__":
    unittest.main()
