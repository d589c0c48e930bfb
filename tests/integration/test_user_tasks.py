"""User programs in the kernel: each in a thread of its own, with others, and with a task that has deadlines.

The programs are those of guest/user; SIS_PROGRAMS names the folder with them (default build/guest/user).
"""

import json
import os
import pathlib
import tempfile
import unittest

import harness

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
