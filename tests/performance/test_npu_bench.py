"""`./sis bench npu` in its short form: every command is measured in every way, with small tensors, and what is made of
that has all rows. How fast anything is does not matter."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import npu_guest  # noqa: E402
import npu_host  # noqa: E402

ROOT = HERE.parents[1]
PROGRAM = pathlib.Path(os.environ["SIS_BUILD"]) / "tests/performance/npu/npu_bench"


def opcodes():
    """Their names, as the contract has them."""
    body = re.search(r"enum class Opcode .*?\{(.*?)\};", (ROOT / "abi/include/abi/npu.hpp").read_text(), re.DOTALL)[1]
    return re.findall(r"^\s*(\w+) = \d+,", body, re.MULTILINE)


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


class Short(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            output = pathlib.Path(folder) / "out.json"
            done = run("--short", "--benchmark_min_time=0.00001", f"--benchmark_out={output}",
                       "--benchmark_out_format=json")
            if done.returncode != 0:
                raise RuntimeError(f"npu_bench exited with {done.returncode}: {done.stderr[-3000:]}")
            cls.report = json.loads(output.read_text())
        cls.rows = npu_host.rows_of(cls.report)
        cls.results = {result["name"]: result for result in npu_host.results_of(cls.report)}

    def cases(self):
        return list(dict.fromkeys(row.case for row in self.rows.values() if row.case != "machine"))

    def test_each_command_has_a_case(self):
        commands = [command.replace("_", "") for command in npu_host.COMMANDS]
        self.assertEqual(commands, [opcode.lower() for opcode in opcodes()])
        for command in npu_host.COMMANDS:
            self.assertTrue([case for case in self.cases() if case.startswith(command)], command)

    def test_each_case_is_measured_on_one_thread_and_two_and_beside_a_plain_loop(self):
        for case in self.cases():
            kernels = {(row.kernels, row.threads) for row in self.rows.values() if row.case == case}
            self.assertLessEqual({("scalar", "1"), ("scalar", "2")}, kernels, case)
            self.assertIn((npu_host.device_kernels(self.rows), "2"), kernels, case)
            self.assertTrue(case == "nop" or ("plain", "1") in kernels, case)
            self.assertEqual(case.startswith("gemm_f32"), ("eigen", "1") in kernels, case)
            for found, threads in kernels:
                self.assertGreater(self.results[f"npu_{case}_{found}_{threads}"]["value"], 0)

    def test_the_machine_is_measured(self):
        for what in ("peak_f32_1", "peak_i8_1", *(f"read_{size}_{threads}" for threads in (1, 2) for size in
                     ("f32_large", "f32_small", "q8_0_large", "q8_0_small", "memory"))):
            self.assertGreater(self.results[f"npu_{what}"]["value"], 0, what)
        self.assertGreater(self.results["npu_clock_resolution"]["value"], 0)

    def test_each_target_is_said_to_be_met_or_not(self):
        targets = [result for name, result in self.results.items() if name.startswith("npu_target_")]
        self.assertEqual(len(targets), len(npu_host.RATIO_TARGETS) + len(npu_host.RATE_TARGETS))
        for target in targets:
            self.assertRegex(target["target"], r"^at least [0-9.]+: ((not )?met|unsure, the machine was busy)$")

    def test_a_kernel_that_beats_the_machine_is_no_proof(self):
        for value, verdict in ((0.89, "not met"), (0.9, "met"), (1.1, "met"), (1.11, "unsure, the machine was busy")):
            self.assertEqual(npu_host.target_result("x", value, "", 0.9, 1.1)["target"], f"at least 0.9: {verdict}")

    def test_each_case_and_each_command_has_a_cost(self):
        for what, names in (("cases", [f"case_{case}" for case in self.cases()]), ("commands", npu_host.COMMANDS)):
            costs = [self.results[f"npu_cost_{name}"] for name in names]
            for cost in costs:
                self.assertEqual("OUTSIDE" in cost["unit"], not 0.5 <= cost["of_median"] <= 2, cost)
            self.assertEqual(self.results[f"npu_cost_{what}_outside"]["value"], sum(cost["outside"] for cost in costs))


class FakeMachine:
    """Replies to `bench` and `counters` as a guest does."""

    def __init__(self, interrupts, times):
        self.interrupts, self.times = interrupts, times

    def ctl(self, *arguments):
        args = json.loads(arguments[-1])
        if "name" not in args:
            return json.dumps({"npu_interrupts": self.interrupts})
        median = self.times[args["name"]]
        return json.dumps({"benchmarks": [{"name": args["name"], "measures": "m", "median_ns": median,
                                           "min_ns": median // 2, "operations": 16 if args["name"] == "npu-jobs" else 1}
                                          if median else {"name": args["name"], "why_not": "refused"}]})


class FromGuest(unittest.TestCase):
    TIMES = {"npu-control": 20_000, "npu-job": 30_000, "npu-jobs": 160_000}

    def test_times_are_of_one_operation_and_compared(self):
        results = {each["name"]: each for each in npu_guest.measure(FakeMachine(9, self.TIMES), True)}
        self.assertEqual(results["npu_guest_npu-jobs"]["value"], 10_000)
        self.assertEqual(results["npu_guest_jobs_per_second"]["value"], 100_000)
        self.assertEqual(results["npu_target_empty_job_to_empty_request"]["value"], 1.5)
        self.assertEqual(results["npu_target_empty_job_to_empty_request"]["target"], "at most 3: met")

    def test_instructions_are_the_least(self):
        times = {**self.TIMES, "npu-job": 80_000}
        results = {each["name"]: each for each in npu_guest.measure_instructions(FakeMachine(9, times), True)}
        self.assertEqual(results["npu_guest_npu-job_instructions"]["value"], 40_000)
        self.assertEqual(results["npu_target_empty_job_to_empty_request_instructions"]["target"], "at most 3: not met")

    def test_jobs_that_the_guest_ran_itself_are_no_figure(self):
        with self.assertRaisesRegex(RuntimeError, "did not use the NPU's device"):
            npu_guest.measure(FakeMachine(0, self.TIMES), True)

    def test_what_the_guest_cannot_measure_is_said(self):
        with self.assertRaisesRegex(RuntimeError, "npu-job: refused"):
            npu_guest.measure(FakeMachine(9, {**self.TIMES, "npu-job": 0}), True)


class Refusals(unittest.TestCase):
    def test_unknown_word_is_refused(self):
        self.assertEqual(run("--shorter").returncode, 2)
        self.assertEqual(run("--short", "word").returncode, 2)

    def test_a_wrong_result_is_no_figure(self):
        wrong = {"benchmarks": [{"name": "add/plain/1/manual_time", "family_index": 0, "run_type": "iteration",
                                 "error_occurred": True, "error_message": "its result is wrong"}]}
        with self.assertRaisesRegex(RuntimeError, "add/plain/1: its result is wrong"):
            npu_host.rows_of(wrong)


if __name__ == "__main__":
    unittest.main()
