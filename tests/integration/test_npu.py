"""A machine with an NPU: it boots with one, reboots with one, and its counters are in the run's summary."""

import unittest

import harness

WITH = "apiVersion: sis/v1\nnpu: {threads: 2, timing: modelled, faults: [{fault: delay-job, number: 7, delay: 5ms}]}\n"
WITHOUT = "apiVersion: sis/v1\nnpu: off\n"


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

    def test_machine_without_an_npu_has_no_counters_of_one(self):
        machine = self.machine(WITHOUT).wait_ready()
        self.assertEqual(self.counters(machine), {})


if __name__ == "__main__":
    unittest.main()
