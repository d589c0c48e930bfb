"""A machine with an NPU: it boots with one, reboots with one, runs jobs on it, survives what goes wrong with it, and has
its counters in the run's summary."""

import unittest

import harness

WITH = "apiVersion: sis/v1\nnpu: {threads: 2, timing: modelled, faults: [{fault: delay-job, number: 7, delay: 5ms}]}\n"
WITHOUT = "apiVersion: sis/v1\nnpu: off\n"
# Of 1064 empty jobs, one after the other, one by one: its interrupt is lost; it takes longer; it never ends by itself.
FAULTS = """apiVersion: sis/v1
npu:
  faults:
    - {fault: drop-interrupt, number: 30}
    - {fault: delay-job, number: 500, delay: 100ms}
    - {fault: delay-job, number: 900, delay: 60s}
"""


class Npu(harness.MachineTest):
    def counters(self, machine):
        """The NPU's, once the machine has ended."""
        machine.stop()
        counters = machine.summary()["device_counters"]
        return {name: value for name, value in counters.items() if name.startswith("npu_")}

    def test_machine_with_an_npu_boots_and_comes_back(self):
        machine = self.machine(WITH).wait_ready()
        with machine.session() as connection:
            connection.call(2, "reboot")
        harness.wait_until(lambda: machine.console().count("LAUNCHING SHELL") == 2, "the second boot")
        self.assert_alive(machine.wait_ready())
        counters = self.counters(machine)
        self.assertEqual(counters["npu_queue_errors"], 0)
        self.assertEqual(counters["npu_jobs_in_flight"], 0)
        self.assertNotIn("npu", machine.output(), "a warning")
        self.assertEqual((machine.run_dir / "backend.log").read_text(), "")

    def run_jobs(self, connection, number):
        """1064 jobs without commands, one after the other, unless one does not end well. The benchmark's row."""
        return connection.call(number, "bench", {"name": "npu-job"})[2]["result"]["benchmarks"][0]

    def guest_counters(self, connection, number):
        counters = connection.call(number, "counters")[2]["result"]
        return {name.removeprefix("npu_"): value for name, value in counters.items() if name.startswith("npu_")}

    def test_device_runs_the_jobs(self):
        machine = self.machine(WITH.replace("timing: modelled, ", "")).wait_ready()
        with machine.session() as connection:
            self.assertGreater(self.run_jobs(connection, 2)["median_ns"], 0)
            counters = self.guest_counters(connection, 3)
        self.assertEqual(counters["jobs"], 1064)
        for name in ("lost_interrupts", "overdue_jobs", "resets", "job_faults"):
            self.assertEqual(counters[name], 0, name)
        device = self.counters(machine)
        self.assertEqual(device["npu_jobs_ok"], 1064)
        self.assertEqual(device["npu_queue_errors"], 0)

    def test_faults_are_survived_and_told(self):
        machine = self.machine(FAULTS).wait_ready()
        with machine.session() as connection:
            self.assertIn("why_not", self.run_jobs(connection, 2), "job 900 was aborted")
            counters = self.guest_counters(connection, 3)
            self.assertGreater(self.run_jobs(connection, 4)["median_ns"], 0, "the next ones run")
        self.assertEqual(counters["jobs"], 900)
        self.assertEqual([counters[name] for name in ("lost_interrupts", "overdue_jobs", "resets")], [1, 1, 0])
        self.assertEqual(machine.console().count("npu: an interrupt was lost"), 1)
        self.assertEqual(machine.console().count("npu: job 900 makes no progress and is aborted"), 1)
        device = self.counters(machine)
        self.assertEqual(device["npu_interrupts_dropped"], 1)
        self.assertEqual(device["npu_jobs_aborted"], 1)
        self.assertEqual(device["npu_jobs_ok"], 899 + 1064)

    def test_machine_without_an_npu_has_no_counters_of_one(self):
        machine = self.machine(WITHOUT).wait_ready()
        with machine.session() as connection:
            self.assertGreater(self.run_jobs(connection, 2)["median_ns"], 0)
            counters = self.guest_counters(connection, 3)
        self.assertEqual((counters["jobs"], counters["interrupts"]), (1064, 0), "the CPU has run them")
        self.assertNotIn("npu", machine.console())
        self.assertEqual(self.counters(machine), {})


if __name__ == "__main__":
    unittest.main()
