"""Two servers share the NPU, of which one floods it: it takes none of the other's, and no more than it was promised."""

import re
import unittest

import harness

IMAGE = harness.KERNEL.parent / "npu_share.Image"
SCENARIO = f"""apiVersion: sis/v1
machine: {{cpus: 2, memory: 256MiB}}
npu: on
boot: {{kernel: {IMAGE}}}
"""
LINE = re.compile(r"SHARE flood=(\w+) elapsed_us=(\d+) flood_us=(\d+) flood_jobs=(\d+) throttled=(\d+) modest_jobs=(\d+) "
                  r"modest_late=(\d+) modest_longest_us=(\d+)")
PROMISED = 0.01  # of the NPU's modelled time, to the flood
PERIOD_US = 400_000
MODEST_JOBS = 50  # in the time that is measured


class Share(harness.MachineTest):
    def test_flood_is_held_to_its_budget_and_the_other_server_has_its_own(self):
        machine = self.machine(SCENARIO).wait_ready()
        harness.wait_until(lambda: machine.console().count("SHARE ") == 2, "both measurements")
        self.assert_alive(machine)
        found = {line[0]: [int(number) for number in line[1:]] for line in LINE.findall(machine.console())}
        free, held = found["free"], found["server"]
        elapsed_us, flood_us, jobs, throttled, modest_jobs, late, _ = held
        # Of periods that have begun all; and a job may overdraw what is left.
        self.assertLess(flood_us, PROMISED * (elapsed_us + PERIOD_US) + 3 * flood_us / jobs, held)
        self.assertGreaterEqual(throttled, 1, held)
        self.assertGreater(free[1] / free[0], 3 * flood_us / elapsed_us, f"no flood without the budget: {found}")
        # The other one has all of its jobs; some are late where the host is busy with something else.
        self.assertGreaterEqual(modest_jobs, MODEST_JOBS - 1, held)
        self.assertLessEqual(late, MODEST_JOBS // 3, held)


if __name__ == "__main__":
    unittest.main()
