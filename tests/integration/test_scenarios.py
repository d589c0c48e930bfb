"""Many scenarios at once: every one in configs/ as a suite of `sisvmm test`, and what it says of those that do not pass. One many
times, and what scenarios expect of a run."""

import json
import os
import re
import signal
import subprocess
import sys
import unittest
import xml.etree.ElementTree

import harness

sys.path.insert(0, str(harness.ROOT / "tests/report"))
import chromium  # noqa: E402

HEAD = f"apiVersion: sis/v1\nmachine: {{backend: {harness.BACKEND}}}\n"
GOOD = HEAD + "steps:\n  - {name: greet, op: ping}\n"
BAD = HEAD + "steps:\n  - {name: greet, op: ping, expect: {reply: {result.payload: other}}}\n"
PANICS = HEAD + "steps:\n  - {name: die, op: panic, args: {kind: 'null'}}\n"
WAITS = HEAD + "steps:\n  - {name: nap, op: sleep, args: {ms: 100000}, timeout: 2m}\n"
LACKS = "apiVersion: sis/v1\nmachine: {backend: qemu, accel: hvf}\n"  # macOS alone has it


class Configs(harness.MachineTest):
    @harness.about_qemu
    def test_every_one_passes_as_a_suite(self):
        configs = sorted((harness.ROOT / "configs").glob("*.yaml"))
        done = harness.run(harness.SISVMM, "test", harness.ROOT / "configs", "--run-dir", self.folder / "suite", "--junit",
                           self.folder / "junit.xml", "--jobs", os.environ.get("SIS_TEST_JOBS", "2"), timeout=500)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{len(configs)} scenarios: {len(configs)} passed in ", done.stdout)
        self.assertNotIn("\x1b", done.stdout, "no colours and no progress where there is no terminal")
        rows = json.loads((self.folder / "suite/suite.json").read_text())["scenarios"]
        self.assertEqual([row["name"] for row in rows], [path.stem for path in configs])
        exit_codes = {row["name"]: row["exit_code"] for row in rows if row["exit_code"]}
        self.assertEqual(exit_codes, {"panic": 4})
        suites = xml.etree.ElementTree.parse(self.folder / "junit.xml").getroot()
        self.assertEqual([suite.get("name") for suite in suites], [path.stem for path in configs])
        self.assertEqual((suites.get("failures"), suites.get("errors")), ("0", "0"))
        # What runs until it is stopped was stopped in order.
        endless = json.loads((self.folder / "suite/interactive/summary.json").read_text())
        self.assertEqual((endless["guest_exit"]["kind"], endless["killed"]), ("shutdown", False))
        self.check_reports([self.folder / "suite" / path.stem / "report.html" for path in configs])

    def check_reports(self, pages):
        if not chromium.PROGRAM:
            self.skipTest("all passed, but there is no Chromium to open their reports")
        browser = chromium.Chromium()
        self.addCleanup(browser.close)
        for page in pages:
            with self.subTest(page=page.parent.name):
                browser.open(page.as_uri())
                self.assertEqual(browser.complaints, [])
                self.assertEqual(browser.requests, [page.as_uri()], "it needs no other file")
                self.assertIn(page.parent.name, browser.evaluate("document.querySelector('main').innerText"))


class Suites(harness.MachineTest):
    def write(self, **scenarios):
        (self.folder / "s").mkdir(exist_ok=True)
        for name, text in scenarios.items():
            (self.folder / f"s/{name}.yaml").write_text(text)

    def arguments(self, *more):
        return [str(word) for word in (harness.SISVMM, "test", self.folder / "s", "--run-dir", self.folder / "r", *more)]

    def test_worst_outcome_is_the_exit_code_and_each_is_told(self):
        self.write(good=GOOD, bad=BAD, lacks=LACKS, wrong=HEAD + "step: []\n", dies=PANICS,
                   meant=PANICS + "expect: {end: panic}\n", lives=GOOD + "expect: {end: panic}\n")
        done = harness.run(*self.arguments("--junit", self.folder / "j.xml"))
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        self.assertIn("7 scenarios: 2 passed, 2 failed, 2 errors, 1 skipped in ", done.stdout)
        outcomes = {row["name"]: (row["outcome"], row["exit_code"])
                    for row in json.loads((self.folder / "r/suite.json").read_text())["scenarios"]}
        self.assertEqual(outcomes, {"good": ("passed", 0), "meant": ("passed", 4), "bad": ("failed", 1), "lives": ("failed", 1),
                                    "lacks": ("skipped", 3), "wrong": ("error", 2), "dies": ("error", 4)})
        self.assertRegex(done.stdout, r'(?m)^FAILED  bad +\S+ \S+ +step greet: result.payload: wanted "other"')
        self.assertRegex(done.stdout, r"(?m)^skipped lacks .*hvf")
        self.assertRegex(done.stdout, r'(?m)^ERROR   wrong .*found the unknown key "step"')
        self.assertRegex(done.stdout, r"(?m)^ok      meant .*as expected: the guest panicked")
        suites = {suite.get("name"): suite for suite in xml.etree.ElementTree.parse(self.folder / "j.xml").getroot()}
        self.assertEqual(len(suites["bad"].findall(".//failure")), 1)
        self.assertIn("hvf", suites["lacks"].find(".//skipped").get("message"))
        self.assertIsNone(suites["meant"].find(".//failure"))

    def test_nothing_to_run_names_what_was_given(self):
        self.write(good=GOOD)
        for arguments, named in ((["--filter", "x*"], "--filter 'x*'; there are good"), ([self.folder / "none"], "/none: No such"),
                                 (["--junit", self.folder / "none/j.xml"], "--junit ")):
            done = harness.run(*self.arguments(*arguments))
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(named, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_interrupt_ends_what_runs_in_order_and_starts_no_more(self):
        self.write(a=WAITS, b=WAITS, c=GOOD)
        process = subprocess.Popen(self.arguments("--jobs", "2", "--json"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env=harness.environment(), text=True)
        try:
            for name in "ab":
                harness.wait_until(lambda path=self.folder / f"r/{name}/console.log":
                                   path.exists() and "LAUNCHING SHELL" in path.read_text(errors="replace"), f"machine {name}")
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=harness.LIMIT_S)
        finally:
            process.kill()
            process.wait()
        self.assertEqual(process.returncode, 130)
        rows = json.loads(output)["scenarios"]
        self.assertEqual([(row["outcome"], row["exit_code"]) for row in rows], [("error", 130), ("error", 130), ("skipped", 0)])
        for name in "ab":
            self.assertEqual(json.loads((self.folder / f"r/{name}/summary.json").read_text())["killed"], False)


class Repetitions(harness.MachineTest):
    def test_options_reach_each_run_and_figures_are_of_all(self):
        path = self.folder / "s.yaml"
        path.write_text(GOOD)
        done = harness.run(harness.SISVMM, "run", path, "--repeat", "2", "--json", "--observe", "--run-dir", self.folder / "r",
                           "--name", f"repeat-{self.folder.name}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told, json.loads((self.folder / "r/repeat.json").read_text()))
        self.assertEqual((told["outcomes"]["passed"], told["steps_ns"]["greet"]["count"]), (2, 2))
        self.assertEqual(told["metrics"]["boot_to_control_ready_ns"]["count"], 2)
        self.assertTrue((self.folder / "r/run/metrics.json").exists())


class Expectations(harness.MachineTest):
    GRAPH = """control: {audit: true}
observe: {}
graphs:
  - name: demo
    start: manual
    channels: [{id: 1, capacity: 4}]
    operators:
      - {id: 1, name: from, kind: image-source, stage: acquire, out: [1], parameters: {width: 16, height: 16}}
      - {id: 2, name: to, kind: sink, stage: explain, in: [1]}
steps:
  - {op: graph start, args: {graph: demo, steps: 5}}
  - {op: graph wait, args: {graph: demo}}
"""

    def expectations_of(self, text):
        """The exit code, and (kind, subject, passed, actual) of each."""
        done, run_dir = self.run_scenario(text)
        summary = json.loads((run_dir / "summary.json").read_text())
        return done.returncode, [(row["kind"], row["subject"], row["status"] == "passed", row["actual"])
                                 for row in summary["expectations"]]

    def test_examples_of_the_documentation_hold(self):
        section = (harness.ROOT / "docs/scenario.md").read_text().split("## What is expected of a run\n")[1].split("\n## ")[0]
        examples = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
        self.assertEqual(len(examples), 2)
        for number, text in enumerate(examples):
            with self.subTest(number):
                code, rows = self.expectations_of(text)
                self.assertEqual((code, [row for row in rows if not row[2]]), (0, []))

    def test_each_says_what_was_there_instead(self):
        code, rows = self.expectations_of(HEAD + self.GRAPH + """expect:
  metrics: {op_demo_to_p95_ns: {max: 1}, op_demo_to_p50_ns: {min: 1}, op_demo_to_runs: 6, no_such_metric: 1}
  console_order: [LAUNCHING SHELL, MMU ON]
  audit: [{op: graph start, event: call-done, count: 2}, {op: sleep}]
  trace: {op-end: {min: 11}, npu-end: 0}
  trace_order: [op-end, npu-end]
""")
        self.assertEqual(code, 1)
        median = next(row for row in rows if row[1] == "op_demo_to_p50_ns")
        self.assertTrue(median[2] and median[3] > 0, median)
        self.assertEqual([row for row in rows if row is not median], [
            ("metric", "op_demo_to_p95_ns", False, "absent: 5 samples, and it takes 20"),
            ("metric", "op_demo_to_runs", False, 5),
            ("metric", "no_such_metric", False, None),
            ("console_order", "", False, 'no "MMU ON" after number 1'),
            ("audit", 'event "call-done", op "graph start"', False, 1),
            ("audit", 'op "sleep"', False, 0),
            ("trace", "op-end", False, 10),
            ("trace", "npu-end", True, 0),
            ("trace_order", "", False, 'no "npu-end" after number 1')])

    def test_of_a_guest_that_a_step_shuts_down_there_is_what_it_told_before(self):
        code, rows = self.expectations_of(HEAD + self.GRAPH + """  - {op: metrics, args: {prefix: op_demo_to_runs, console: true}}
  - {op: shutdown}
expect:
  metrics: {op_demo_to_runs: 5, op_demo_from_runs: {exists: false}}
  audit: [{op: shutdown}]
  trace: {npu-end: 0}
""")
        self.assertEqual(code, 1)
        self.assertEqual([row for row in rows if not row[2]], [("trace", "npu-end", False, "0 in a trace that is not whole")])


if __name__ == "__main__":
    unittest.main()
