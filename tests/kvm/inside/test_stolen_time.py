"""Time that the host's scheduler gives to others is charged to nobody in the guest.

Runs on the ARM64 host itself, real or nested; test_sisvmm.py brings it there. Environment: as harness.py says.
"""

import json
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
import harness  # noqa: E402

# One percent of a CPU, of which each job takes half. It takes three of the times that the host leaves between thefts.
SCENARIO = """
apiVersion: sis/v1
name: robbed
scheduler:
  start: manual
  servers:
    - {name: small, budget: 2ms, period: 200ms}
tasks:
  - {name: small, server: small, periodic: {period: 200ms, work: 1ms, jobs: 4}}
"""
TAKEN_S, LEFT_S = 0.009, 0.0005


def may_rob():
    """Whether this user may have a process that comes before all ordinary ones."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def rob(cpu):
    """Takes the CPU from everybody on it, again and again."""
    os.sched_setaffinity(0, {cpu})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while True:
        end = time.monotonic() + TAKEN_S
        while time.monotonic() < end:
            pass
        time.sleep(LEFT_S)


@unittest.skipUnless(may_rob(), "needs the right to a real-time process on the host")
@unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "needs a CPU for the guest's and one for everything else")
class StolenTime(harness.MachineTest):
    def setUp(self):
        super().setUp()
        own, self.shared = sorted(os.sched_getaffinity(0))[:2]
        os.sched_setaffinity(0, {own})  # and all that it starts

    def start_robber(self):
        """Returns a function that ends it."""
        robber = os.fork()
        if robber == 0:
            rob(self.shared)

        def end():
            os.kill(robber, signal.SIGKILL)
            os.waitpid(robber, 0)
        return end

    def vcpu(self, machine):
        """The thread of the guest's CPU."""
        threads = pathlib.Path(f"/proc/{machine.guest_pid()}/task")
        for thread in threads.iterdir():
            if (thread / "comm").read_text().strip() == "vcpu":
                return int(thread.name)
        self.fail([(thread / "comm").read_text() for thread in threads.iterdir()])

    def stolen_ns(self, machine):
        cpu, = json.loads(machine.ctl("call", "cpus", "--json").stdout)["cpus"]
        self.assertIn("stolen_ns", cpu)
        return cpu["stolen_ns"]

    def test_budgets_are_of_time_that_the_cpu_had(self):
        machine = self.machine(SCENARIO).wait_ready()
        before = self.stolen_ns(machine)
        os.sched_setaffinity(self.vcpu(machine), {self.shared})
        end_robber = self.start_robber()
        try:
            done = machine.ctl("shell", "det on; sleep 1000")
        finally:
            end_robber()
        self.assertEqual(done.returncode, 0, done.stderr)
        stolen = self.stolen_ns(machine) - before
        server, = json.loads(machine.ctl("call", "sched", "--json").stdout)["servers"]
        print(f"stolen {stolen} ns, server {server}", flush=True)
        self.assertEqual(server["response"]["count"], 4)
        self.assertGreater(server["response"]["max_ns"], 2 * TAKEN_S * 1e9)  # two thefts in a job
        self.assertGreater(stolen, 4 * TAKEN_S * 1e9)
        self.assertEqual(server["misses"], 0)
        # Charged with what was stolen, each job would overrun its budget and be repaid in the next second.
        self.assertEqual(server["throttles"], 0)
        self.assertEqual(server["max_overrun_ns"], 0)


if __name__ == "__main__":
    unittest.main()
