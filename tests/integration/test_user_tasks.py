"""User programs in the kernel: each in a thread of its own, with others, and with a task that has deadlines.

The programs are those of guest/user; SIS_PROGRAMS names the folder with them (default build/guest/user).
"""

import json
import os
import pathlib
import re
import tempfile
import unittest

import harness
import test_llm

PROGRAMS = pathlib.Path(os.environ.get("SIS_PROGRAMS", harness.ROOT / "build/guest/user"))

# What "crash KIND" is killed for, as `sched` tells it.
FAULTS = {
    "null-read": "data abort: read at 0x0: translation fault",
    "null-write": "data abort: write at 0x10: translation fault",
    "null-call": "instruction abort: execution at 0x0: translation fault",
    "kernel-read": "data abort: read at 0xffff800000000000: permission fault",
    "kernel-write": "data abort: write at 0xffff800000000000: permission fault",
    "kernel-call": "instruction abort: execution at 0xffff800000000000: permission fault",
    "code-write": "data abort: write at 0x4",
    "data-call": "instruction abort: execution at 0x4",
    "odd-call": "PC alignment fault",
    "guard": "data abort: write at 0x7ffffffcfff8: translation fault",
    "undefined": "undefined instruction or unknown reason",
    "breakpoint": "BRK instruction",
    "privileged": "",
    "timer": "",
    "stack-overflow": "data abort: write at 0x7ffffffc",
    "memory": "data abort: write at 0x",
}


def task(name, program, *arguments, place="", memory="2MiB"):
    words = ", ".join(f'"{word}"' for word in arguments)
    return (f"  - {{name: {name}, {place}program: {{file: {PROGRAMS / program}.elf, arguments: [{words}], "
            f"memory: {memory}}}}}\n")


HEAD = """apiVersion: sis/v1
machine: {cpus: 2}
scheduler:
  start: manual
  servers:
    - {name: promised, budget: 10ms, period: 50ms, cpu: 0}
    - {name: runaway, budget: 5ms, period: 50ms, cpu: 0}
tasks:
"""


class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sis-user-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_scenario(self, text):
        file = self.folder / "user.yaml"
        file.write_text(text)
        run_dir = self.folder / "run"
        done = harness.run(harness.SISVMM, "run", file, "--backend", harness.BACKEND, "--run-dir", run_dir,
                           "--name", f"user-{self.folder.name}")
        console = run_dir / "console.log"
        return done, console.read_text(errors="replace") if console.exists() else ""

    def test_what_a_task_does_wrong_ends_that_task_and_nothing_else(self):
        tasks = "  - {name: witness, server: promised, periodic: {period: 50ms, work: 1ms, jobs: 15}}\n"
        tasks += task("runaway", "crash", "loop", place="server: runaway, ")
        tasks += task("loop", "crash", "loop")
        for number, kind in enumerate(FAULTS):
            tasks += task(kind, "crash", kind, place="cpu: %d, " % (number % 2))
        tasks += task("after", "hello", "still", "here")
        expect = "".join(f"        result.tasks.{3 + number}.killed_for: {{contains: \"{what}\"}}\n"
                         for number, what in enumerate(FAULTS.values()))
        done, console = self.run_scenario(HEAD + tasks + f"""steps:
  - {{name: start, op: det, args: {{action: "on"}}}}
  - {{name: meanwhile, op: ping, args: {{payload: hello}}, repeat: 20}}
  - {{name: a second, op: sleep, args: {{ms: 1000}}, timeout: 1m}}
  - {{name: and then, op: ping, args: {{payload: hello}}, repeat: 20}}
  - name: each
    op: sched
    expect:
      reply:
        result.servers.0.response.count: 15
        result.servers.1.throttles: {{min: 5}}
        result.tasks.1.program: running
        result.tasks.2.program: running
{expect}        result.tasks.{3 + len(FAULTS)}.exit_status: 0
  - {{name: counted, op: counters, expect: {{reply: {{result.user_tasks_killed: {len(FAULTS)}}}}}}}
  - {{name: stop, op: det, args: {{action: "off"}}}}
  - {{name: until they have ended, op: sleep, args: {{ms: 2000}}, timeout: 1m}}
  - {{name: stopped, op: sched, expect: {{reply: {{result.tasks.1.program: stopped, result.tasks.2.program: stopped, result.state: "off"}}}}}}
  - {{op: shutdown}}
""")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for kind in FAULTS:
            self.assertRegex(console, rf"task \d+ \({kind}\) killed: ")
        self.assertNotIn("survived", console)

    def test_registers_of_tasks_that_share_a_cpu_are_their_own(self):
        tasks = "".join(task(f"r{seed}", "registers", str(seed)) for seed in (1, 2, 3))
        tasks += task("primes", "primes") + task("selftest", "selftest", "argument", memory="1200KiB")
        expect = "".join(f"        result.tasks.{number}.exit_status: 0\n" for number in range(5))
        done, console = self.run_scenario(HEAD + tasks + f"""steps:
  - {{op: det, args: {{action: "on"}}}}
  - {{op: sleep, args: {{ms: 4000}}, timeout: 1m}}
  - op: sched
    expect:
      reply:
{expect}  - {{op: shutdown}}
""")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for seed in (1, 2, 3):
            self.assertRegex(console, rf"(?m)^(?:sis> )?r{seed}: TEST registers_{seed} ok\r?$")
        # The self-tests that earlier kernels had at boot, as a program's.
        for test in ("write", "getpid", "fork"):
            self.assertRegex(console, rf"(?m)selftest: TEST {test} ok\r?$")

    def test_set_that_is_started_again_runs_its_programs_again_and_leaves_no_memory_behind(self):
        tasks = task("hello", "hello") + task("crash", "crash", "null-read") + task("loop", "crash", "loop")
        machine = harness.Machine(self.folder, HEAD + tasks)
        self.addCleanup(machine.stop)
        machine.wait_ready()
        used = []
        for _ in range(6):
            done = machine.ctl("shell", "det on; sleep 200; det off; sleep 100")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            memory = json.loads(machine.ctl("--json", "call", "mem").stdout)
            used.append((memory["pages_used_bytes"], memory["heap_live_blocks"]))
        machine.ctl("shutdown")
        machine.wait()
        self.assertEqual(machine.console().count("hello: hello from pid"), 6)
        self.assertEqual(len(set(used[1:])), 1, used)  # the first start also makes what stays

    def test_handles_to_models_give_what_the_scenario_says_and_end_with_their_task(self):
        (self.folder / "tiny.gguf").write_bytes(test_llm.random_model(test_llm.gguf.Type.F32).bytes())
        handles = {"answer": "", "cancel": "", "limits": "", "crash": "", "observe": ", rights: observe", "without": None}
        tasks = ""
        for way, more in handles.items():
            handle = "" if more is None else f", llm: {{model: tiny, max_tokens: 100{more}}}"
            tasks += (f"  - {{name: {way}, program: {{file: {PROGRAMS / 'llm.elf'}, arguments: [{way}]{handle}}}}}\n")
        tasks += (f"  - {{name: ask, program: {{file: {PROGRAMS / 'ask.elf'}, arguments: [Once], "
                  "llm: {model: tiny, max_tokens: 3}}}\n")
        tasks += (f"  - {{name: nobody, program: {{file: {PROGRAMS / 'ask.elf'}, "
                  "llm: {model: another, max_tokens: 3}}}\n")
        machine = harness.Machine(self.folder, "apiVersion: sis/v1\nmachine: {cpus: 2}\ncontrol: {audit: true}\n"
                                  "llm: {allow_unsigned: true, models: [{file: tiny.gguf, load: true}]}\n"
                                  f"tasks:\n{tasks}")
        self.addCleanup(machine.stop)
        machine.wait_ready()

        def states():
            tasks = json.loads(machine.ctl("--json", "sched").stdout)["tasks"]
            return {task["name"]: (task.get("program"), task.get("exit_status")) for task in tasks}

        harness.wait_until(lambda: all(state in ("exited", "killed") for state, _ in states().values()), "their ends")
        ended = states()
        wanted = {way: ("exited", 0) for way in handles} | {"crash": ("killed", None), "ask": ("exited", 0),
                                                          "nobody": ("exited", 1)}
        self.assertEqual(ended, wanted, machine.console())
        self.assertNotIn("FAILED", machine.console())
        self.assertIn("nobody: not answered: error 19", machine.console())
        self.assertRegex(machine.console(), r"ask: ended: [12]")
        file = machine.run_dir / "audit.jsonl"
        # Of the task that was killed, and of the one that cancelled.
        harness.wait_until(lambda: file.read_text().count('"code":"cancelled"') == 2, "the ends of their requests")
        machine.ctl("shutdown")
        self.assertEqual(machine.wait(), 0)

        verified = harness.run(harness.SISCTL, "audit", "verify", file)
        self.assertEqual(verified.returncode, 0, verified.stderr)
        records = [json.loads(line) for line in file.read_text().splitlines()]
        records = [record for record in records if record.get("event") == "llm"]
        self.assertEqual((records[0]["op"], records[0]["caller"], records[0]["model"]), ("load", "kernel", "tiny"))
        told = [(record["op"], record["code"]) for record in records if record["caller"] == "task"]
        self.assertIn(("refuse", "llm-no-model"), told)
        self.assertEqual(told.count(("end", "cancelled")), 2)
        submitted = {record["request"] for record in records if record["op"] == "submit"}
        self.assertEqual(submitted, {record["request"] for record in records if record["op"] == "end"})
        self.assertTrue(all(re.fullmatch("[0-9a-f]{64}", record["prompt_sha256"]) for record in records))

    def test_program_that_the_guest_refuses_ends_the_boot_with_the_reason(self):
        whole = (PROGRAMS / "hello.elf").read_bytes()
        (self.folder / "cut.elf").write_bytes(whole[:2000])
        done, console = self.run_scenario("apiVersion: sis/v1\ntasks: [{name: cut, program: {file: cut.elf}}]\n")
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assertRegex(console, r"(?m)^BOOT CONFIG ERROR: scheduler-refused: task 'cut': elf-truncated: ")

    def test_file_that_is_no_program_is_refused_before_anything_is_started(self):
        (self.folder / "text.elf").write_text("#!/bin/sh\n" * 10)
        scenario = self.folder / "s.yaml"
        scenario.write_text("apiVersion: sis/v1\ntasks: [{name: t, program: {file: text.elf}}]\n")
        for command in ("run", "check"):
            done = harness.run(harness.SISVMM, command, scenario, cwd=self.folder)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(f"{scenario}:2:35: tasks[0].program.file: found no program ({self.folder / 'text.elf'}: it is no "
                          "ELF file), allowed: an ELF executable for AArch64", done.stderr)


if __name__ == "__main__":
    unittest.main()
