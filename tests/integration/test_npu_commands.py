"""Commands about the NPU, on the device and on the CPU; what the guest reports of faults; and that the important go first.

Jobs of `npu bench` stand for load: `gemm` with a size of 256 takes a good part of a second on a sanitised monitor.
"""

import json
import unittest

import harness
import protocol

ON = "apiVersion: sis/v1\nnpu: on\n"
OFF = "apiVersion: sis/v1\nnpu: off\n"

LOAD = {"command": "gemm", "size": 256, "count": 15, "depth": 15}
OK, BUDGET, ABORTED = 0, 4, 6  # abi::npu::Status
CRITICAL = 3


class Commands(harness.MachineTest):
    def ctl(self, machine, *words):
        done = machine.ctl("--json", *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def look_around(self, machine, accelerator):
        status = self.ctl(machine, "npu", "status")
        self.assertEqual((status["accelerator"], status["power"]), (accelerator, "on"))
        steps = {step["step"]: step["what"] for step in self.ctl(machine, "npudemo")["steps"]}
        self.assertEqual(steps["check"], "512 numbers, 0 are not what the CPU finds")
        results = self.ctl(machine, "npu", "bench", "--size", "32", "--count", "2")["results"]
        self.assertEqual(len({each["command"] for each in results}), 28)
        jobs = self.ctl(machine, "npu", "jobs", "3")["jobs"]
        self.assertEqual([job["status"] for job in jobs], ["ok"] * 3)
        return steps, self.ctl(machine, "npu", "counters")

    def test_on_the_device(self):
        machine = self.machine(ON).wait_ready()
        steps, counters = self.look_around(machine, "device")
        self.assertTrue(steps["interrupt"].startswith("1 taken"), steps)
        self.assertGreater(counters["driver"]["interrupts"], 0)
        self.assertEqual(counters["device"]["jobs_ok"], counters["device"]["jobs_submitted"])
        self.assertEqual(counters["device"]["jobs_in_flight"], 0)

    def test_on_the_cpu(self):
        machine = self.machine(OFF).wait_ready()
        steps, counters = self.look_around(machine, "cpu")
        self.assertTrue(steps["interrupt"].startswith("0 taken"), steps)
        self.assertEqual(counters["driver"]["interrupts"], 0)

    def test_networks(self):
        machine = self.machine(ON).wait_ready()
        demo = self.ctl(machine, "mldemo", "20")
        self.assertEqual((demo["accelerator"], demo["images"]), ("device", 20))
        self.assertGreaterEqual(demo["right"], 18)
        one = self.ctl(machine, "infdemo", "--model", "shapes", "--number", "5")
        self.assertEqual(one["cycles"], sum(layer["cycles"] for layer in one["layers"]))
        self.assertTrue(one["right"], one["scores"])
        self.assertIn("class: bar, right", machine.ctl("shell", "infdemo --number 5").stdout)
        results = self.ctl(machine, "ai_bench", "--model", "patterns", "--count", "3")["results"]
        self.assertEqual([each["accelerator"] for each in results], ["device", "cpu"])
        self.assertEqual(results[0]["cycles"], results[1]["cycles"])
        self.assertGreater(results[0]["cpu_to_npu_permille"], 0)

    def test_from_the_shell_and_with_other_rights(self):
        machine = self.machine(ON).wait_ready()
        with machine.session() as connection:
            _, _, body = connection.call(2, "shell", {"line": "npu bench nop; npu bench fft"})
        self.assertIn("cycles", body["result"]["output"])
        self.assertIn("no command 'fft'", body["result"]["output"])
        self.assertEqual(body["result"]["status"], 1)
        with machine.session(protocol.OBSERVE) as connection:
            for number, op in enumerate(("npu status", "npu jobs", "npu counters"), 2):
                self.assertEqual(connection.call(number, op)[0], protocol.REPLY, op)
            for number, op in enumerate(("npu bench", "npudemo", "npu reset"), 10):
                command, _, body = connection.call(number, op)
                self.assertEqual((command, body["code"]), (protocol.ERROR, "forbidden"), op)

    def test_reset_and_power(self):
        machine = self.machine(ON).wait_ready()
        self.assertEqual(self.ctl(machine, "npu", "power", "off")["power"], "off")
        refused = machine.ctl("npudemo")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("power-off", refused.stderr)
        self.assertEqual(self.ctl(machine, "npu", "reset")["power"], "on")
        self.assertTrue(self.ctl(machine, "npudemo")["right"])


class Order(harness.MachineTest):
    """What the trace of the kernel says of jobs."""

    def setUp(self):
        super().setUp()
        self.subject = self.machine(ON).wait_ready()
        self.connection = self.subject.session()
        self.addCleanup(self.connection.close)
        self.number = 1
        self.call("trace", action="on")

    def call(self, op, **args):
        self.number += 1
        command, number, body = self.connection.call(self.number, op, args)
        self.assertEqual((command, number), (protocol.REPLY, self.number), body)
        return body["result"]

    def start(self, op, **args):
        """Another connection, over which a request is sent that nobody waits for."""
        connection = self.subject.session()
        self.addCleanup(connection.close)
        connection.send(protocol.request(protocol.CALL, 2, {"op": op, "args": args}))
        return connection

    def wait_for_jobs(self, count):
        harness.wait_until(lambda: self.call("npu jobs", count=1)["in_flight"] == count, f"{count} jobs in flight")

    def events(self):
        """The NPU's, oldest first."""
        self.call("trace", action="off")
        events, skip = [], 0
        while True:
            dump = self.call("trace", action="dump", count=256, skip=skip)
            events = [each for each in dump["events"] if each["event"].startswith("npu-")] + events
            if dump["left_off"] == 0 or not dump["events"]:
                return events
            skip += len(dump["events"])

    def test_critical_job_behind_fifteen_low_ones_waits_for_one_command_at_most(self):
        self.start("npu bench", **LOAD, priority="low")
        self.wait_for_jobs(15)
        self.call("npu bench", command="nop", count=1, priority="critical")
        self.assertGreater(self.call("npu jobs", count=1)["in_flight"], 5, "the others are over: nothing was shown")
        events = self.events()
        submitted = next(i for i, each in enumerate(events)
                         if each["event"] == "npu-submit" and each["priority"] == CRITICAL)
        ended = next(i for i, each in enumerate(events)
                     if each["event"] == "npu-end" and each["job"] == events[submitted]["job"])
        between = [each for each in events[submitted:ended] if each["event"] == "npu-end"]
        # A job of the load is one command. The end of the one before may have been on its way.
        self.assertLessEqual(len(between), 2, events[submitted:ended + 1])

    def test_abort_ends_jobs_within_one_command(self):
        load = self.start("npu bench", **LOAD, priority="low")
        self.wait_for_jobs(15)
        load.send(protocol.request(protocol.CANCEL, 3, {"id": 2}))
        self.wait_for_jobs(0)
        ends = [each["status"] for each in self.events() if each["event"] == "npu-end"]
        first = ends.index(ABORTED)
        self.assertGreater(ends.count(ABORTED), 5, "the others were over: nothing was shown")
        self.assertLessEqual(ends[first:].count(OK), 1, ends)

    def test_job_over_its_limit_is_refused_without_running(self):
        before = self.call("npu counters")["device"]
        self.number += 1
        command, _, body = self.connection.call(self.number, "npu bench", {"command": "gemm", "cycle_limit": 100})
        self.assertEqual((command, body["code"]), (protocol.ERROR, "failed"))
        self.assertRegex(body["message"], "ended with status budget, cycle-limit")
        after = self.call("npu counters")["device"]
        self.assertEqual(after["commands"], before["commands"])
        self.assertEqual(after["jobs_budget"], before["jobs_budget"] + 1)
        end = [each for each in self.events() if each["event"] == "npu-end"][-1]
        self.assertEqual((end["status"], end["cycles"]), (BUDGET, 0))


if __name__ == "__main__":
    unittest.main()
