"""`sisvmm run` from start to end: outcomes, exit codes, the run directory, and what is left when a process dies."""

import json
import os
import pathlib
import re
import signal
import subprocess
import unittest
import xml.etree.ElementTree

import harness
import protocol
from protocol import CALL, request

SHORT = """apiVersion: sis/v1
name: short
steps:
  - {name: greet, op: ping, args: {payload: hi}, expect: {reply: {result.payload: hi}}}
"""


class Outcomes(harness.MachineTest):
    def test_hello_scenario_passes_and_is_recorded(self):
        run_dir = self.folder / "run"
        done = harness.run(harness.SISVMM, "run", harness.ROOT / "configs/hello.yaml", "--run-dir", run_dir,
                           "--name", f"hello-{self.folder.name}", "--backend", harness.BACKEND)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        summary = json.loads((run_dir / "summary.json").read_text())
        self.assertEqual((summary["outcome"], summary["exit_code"]), ("passed", 0))
        self.assertTrue(summary["steps"])
        self.assertTrue(all(step["status"] == "passed" and step["duration_ns"] > 0 for step in summary["steps"]))
        self.assertGreater(summary["metrics"]["boot_to_control_ready_ns"], 0)
        suite = xml.etree.ElementTree.parse(run_dir / "junit.xml").getroot()
        self.assertGreaterEqual(len(suite.findall(".//testcase")), len(summary["steps"]))
        self.assertEqual(suite.findall(".//failure"), [])
        for name in ("console.log", "scenario.yaml"):
            self.assertTrue((run_dir / name).stat().st_size > 0, name)
        again = harness.run(harness.SISVMM, "check", run_dir / "scenario.yaml")
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_markers_come_in_order(self):
        done, run_dir = self.run_scenario(SHORT)
        self.assertEqual(done.returncode, 0, done.stderr)
        console = (run_dir / "console.log").read_text(errors="replace")
        markers = ["STACK OK", "VECTORS OK", "MMU ON", "UART: READY", "HEAP: READY", "GIC: READY", "LAUNCHING SHELL",
                   "sis> "]
        places = [console.find(marker) for marker in markers]
        self.assertNotIn(-1, places, console)
        self.assertEqual(places, sorted(places))

    @unittest.skipUnless(harness.BACKEND == "qemu", "counting instructions takes an emulated CPU")
    def test_counted_instructions_are_the_same_in_every_run(self):
        consoles = set()
        for number in range(4):
            run_dir = self.folder / f"count-{number}"
            done = harness.run(harness.SISVMM, "run", harness.ROOT / "configs/deterministic.yaml", "--run-dir", run_dir,
                               "--name", f"count-{number}-{self.folder.name}")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            consoles.add((run_dir / "console.log").read_bytes())
        self.assertEqual(len(consoles), 1, consoles)

    def test_servers_that_do_not_fit_are_refused_at_boot_with_the_arithmetic(self):
        done, run_dir = self.run_scenario(SHORT + """scheduler:
  servers:
    - {name: first, budget: 6ms, period: 10ms}
    - {name: second, budget: 3ms, period: 10ms}
""")
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assertIn("scheduler-refused: server 'second' does not fit on CPU 0: it needs 300000 ppm, 600000 are promised "
                      "of at most 850000", (run_dir / "console.log").read_text())

    def test_a_server_on_a_cpu_that_is_not_there_is_refused_at_boot(self):
        scenario = SHORT + "machine: {cpus: 2}\nscheduler:\n  servers:\n    - {name: a, budget: 1ms, period: 9ms, cpu: 1}\n"
        done, run_dir = self.run_scenario(scenario, "--cpus", "1")
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assertRegex((run_dir / "console.log").read_text(),
                         r"(?m)^BOOT CONFIG ERROR: scheduler-refused: server 'a': there is no CPU 1, or it is off\r?$")

    def test_a_graph_that_cannot_be_built_is_refused_at_boot_with_the_reason(self):
        done, run_dir = self.run_scenario(SHORT + """graphs:
  - name: vision
    channels: [{id: 1, capacity: 1}]
    operators:
      - {id: 1, name: camera, kind: image-source, stage: acquire, out: [1], parameters: {pattern: spots}}
      - {id: 2, name: end, kind: sink, stage: explain, in: [1]}
""")
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assertRegex((run_dir / "console.log").read_text(),
                         r"(?m)^BOOT CONFIG ERROR: graph-refused: graph 'vision': graph-bad-parameter: operator 'camera' "
                         r"\(image-source\): parameter 'pattern' is 'spots': expected gradient\|")

    def test_a_scenario_s_graphs_start_with_the_machine_and_have_their_files(self):
        (self.folder / "eight.pgm").write_bytes(b"P5\n4 2\n255\nabcdefgh")
        done, _ = self.run_scenario("""apiVersion: sis/v1
boot: {verbosity: info}
schemas: [{name: picture, id: 4000}]
graphs:
  - name: show
    steps: 3
    server: {budget: 5ms, period: 10ms}
    channels: [{id: 1, capacity: 1, schema: 4000}]
    operators:
      - {id: 1, name: file, kind: image-source, stage: acquire, out: [1], parameters: {file: eight.pgm}}
      - {id: 2, name: log, kind: log-sink, stage: explain, in: [1], in_schema: picture}
steps:
  - {op: graph wait, args: {graph: show}, expect: {reply: {result.runs: 1, result.end: finished}}}
  - {op: graph show, args: {graph: show}, expect: {reply: {result.operators.0.parameters.file: files/eight.pgm}}}
expect:
  console: [{contains: "tensor 2 of operator 1: u8 [2, 4] 61 62 63 64 65 66 67 68"}, {absent: tensor 3}]
""")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_scenario_s_tasks_start_with_the_machine(self):
        done, _ = self.run_scenario("""apiVersion: sis/v1
machine: {cpus: 2}
scheduler:
  servers:
    - {name: promised, budget: 5ms, period: 20ms, cpu: 1}
tasks:
  - {name: jobs, server: promised, periodic: {period: 20ms, work: 1ms}}
  - {name: hog, cpu: 1, greedy: {}}
steps:
  - {op: sleep, args: {ms: 300}}
  - name: measured
    op: sched
    expect:
      reply:
        result.state: "on"
        result.servers.0.cpu: 1
        result.servers.0.response.count: {min: 5}
        result.tasks.1.name: hog
  - {name: listed, op: ps, expect: {reply: {result.threads.2.name: hog, result.threads.2.cpu: 1}}}
  - {name: watched, op: top, args: {ms: 100}, expect: {reply: {result.threads.0.name: hog, result.cpus.1.busy_permille: {min: 900}}}}
  - {name: off, op: det, args: {action: "off"}}
  - {op: sleep, args: {ms: 100}}
  - {name: state, op: det, expect: {reply: {result.state: "off", result.cpus.1.admitted_ppm: 0}}}
""")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_json_prints_the_summary_and_nothing_else(self):
        done, run_dir = self.run_scenario(SHORT, "--json")
        self.assertEqual(json.loads(done.stdout), json.loads((run_dir / "summary.json").read_text()))

    def test_failed_step_gives_1_with_wanted_and_actual(self):
        done, run_dir = self.run_scenario(SHORT.replace("result.payload: hi", "result.payload: ho"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("ho", done.stdout + done.stderr)
        summary = json.loads((run_dir / "summary.json").read_text())
        self.assertEqual((summary["outcome"], summary["exit_code"]), ("failed", 1))
        suite = xml.etree.ElementTree.parse(run_dir / "junit.xml").getroot()
        self.assertEqual(len(suite.findall(".//failure")), 1)

    def test_failed_expectation_gives_1(self):
        done, run_dir = self.run_scenario(SHORT + "expect:\n  metrics: {boot_to_control_ready_ns: {max: 1}}\n")
        self.assertEqual(done.returncode, 1, done.stderr)
        expectation = json.loads((run_dir / "summary.json").read_text())["expectations"][0]
        self.assertNotEqual(expectation["status"], "passed")

    def test_expected_refusal_passes_and_unexpected_fails(self):
        refused = "apiVersion: sis/v1\nsteps:\n  - {name: r, op: no-such-op"
        self.assertEqual(self.run_scenario(refused + ", expect: {status: error, code: unknown-op}}\n")[0].returncode, 0)
        self.assertEqual(self.run_scenario(refused + "}\n")[0].returncode, 1)
        self.assertEqual(self.run_scenario(refused + ", expect: {status: error, code: busy}}\n")[0].returncode, 1)

    def test_guest_shutdown_with_a_code_gives_1(self):
        steps = "apiVersion: sis/v1\nsteps:\n  - {name: off, op: shutdown, args: {code: 3}}\n"
        done, run_dir = self.run_scenario(steps)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(self.run_scenario(steps + "expect: {guest_exit_code: 3}\n")[0].returncode, 0)

    def test_bad_scenario_and_usage_give_2(self):
        done, _ = self.run_scenario("apiVersion: sis/v1\nmachine: {cpus: 99}\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("cpus", done.stderr)
        self.assertIn("99", done.stderr)
        for arguments in (["run"], ["run", "/no/such/file.yaml"], ["frobnicate"], ["run", "--cpus", "x", "f.yaml"]):
            done = harness.run(harness.SISVMM, *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertTrue(done.stderr, arguments)

    def test_missing_qemu_gives_3_and_says_so(self):
        path = self.folder / "s.yaml"
        path.write_text(SHORT)
        done = harness.run(harness.SISVMM, "run", path, "--run-dir", self.folder / "run", "--backend", "qemu",
                           env=harness.environment(PATH=str(self.folder)))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("qemu-system-aarch64", done.stderr)

    @harness.about_qemu
    def test_boot_without_kvm_gives_3_and_says_so(self):
        done = harness.run(harness.SISVMM, "boot", harness.KERNEL)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertRegex(done.stderr, "KVM back end runs on ARM64 Linux hosts|/dev/kvm")

    def test_missing_kernel_is_named(self):
        done, _ = self.run_scenario(SHORT, "--kernel", "/no/such/sis.Image")
        self.assertIn(done.returncode, (2, 3))
        self.assertIn("/no/such/sis.Image", done.stderr)

    def test_image_that_never_answers_gives_6(self):
        # An endless loop behind a valid header: `b .` at the entry point.
        image = bytearray(4096)
        image[0:4] = (0x14000000).to_bytes(4, "little")
        image[16:24] = (4096).to_bytes(8, "little")
        image[24:32] = (0xA).to_bytes(8, "little")
        image[56:60] = b"ARM\x64"
        path = self.folder / "loop.Image"
        path.write_bytes(image)
        done, run_dir = self.run_scenario(SHORT + "timeouts: {boot: 2s}\n", "--kernel", path)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertEqual(json.loads((run_dir / "summary.json").read_text())["exit_code"], 6)

    def test_step_without_reply_in_time_is_a_failed_step(self):
        step = "apiVersion: sis/v1\nsteps:\n  - {name: slow, op: sleep, args: {ms: 60000}, timeout: 500ms}\n"
        done, run_dir = self.run_scenario(step)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("slow", done.stdout + done.stderr)

    def test_run_timeout_gives_6(self):
        done, _ = self.run_scenario("apiVersion: sis/v1\n", "--timeout", "3")
        self.assertEqual(done.returncode, 6, done.stderr)

    def test_parallel_steps_overlap(self):
        nap = "{{name: {}, op: sleep, args: {{ms: 3000}}, timeout: 60s}}"
        text = "apiVersion: sis/v1\nsteps:\n  - parallel:\n" + "".join(
            f"      - {nap.format(name)}\n" for name in "abcdefgh")
        done, run_dir = self.run_scenario(text)
        self.assertEqual(done.returncode, 0, done.stderr)
        steps = json.loads((run_dir / "summary.json").read_text())["steps"]
        self.assertEqual(len(steps), 8)
        self.assertTrue(all(step["duration_ns"] >= 3_000_000_000 for step in steps))

    def test_machines_of_every_shape_answer(self):
        shapes = [(1, "64MiB", "gic_version: 3, cpu: cortex-a53"), (8, "4GiB", "gic_version: 2, cpu: cortex-a72"),
                  (2, "512MiB", "gic_version: 2, cpu: cortex-a53"), (4, "1GiB", "gic_version: 3, cpu: max")]
        if harness.BACKEND == "kvm":  # whose CPU and interrupt controller are the host's
            shapes = [(cpus, memory, "cpu: host") for cpus, memory, _ in shapes]
        for cpus, memory, rest in shapes:
            with self.subTest(cpus=cpus, memory=memory, rest=rest):
                size = int(memory[:-3]) << {"MiB": 20, "GiB": 30}[memory[-3:]]
                done, _ = self.run_scenario(
                    f"apiVersion: sis/v1\nmachine: {{cpus: {cpus}, memory: {memory}, {rest}}}\n"
                    "steps:\n  - {name: shape, op: info, expect: {reply: "
                    f"{{result.cpus: {cpus}, result.memory_bytes: {size}}}}}}}\n", name=f"shape{cpus}")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_reboot_comes_back(self):
        machine = self.machine().wait_ready()
        with machine.session() as connection:
            connection.call(2, "reboot")
        # Until the reset, connections still reach the guest that is about to end, and end with it.
        harness.wait_until(lambda: machine.console().count("LAUNCHING SHELL") == 2, "the second boot")
        machine.wait_ready()

    def test_every_cpu_comes_up_also_after_a_reboot(self):
        machine = self.machine("apiVersion: sis/v1\nmachine: {cpus: 4}\n").wait_ready()
        for boot in (1, 2):
            with self.subTest(boot=boot), machine.session() as connection:
                body = connection.call(2, "cpus")[2]
                self.assertEqual([cpu["state"] for cpu in body["result"]["cpus"]], ["online"] * 4, body)
                connection.call(3, "reboot")
            harness.wait_until(lambda boots=boot + 1: machine.console().count("LAUNCHING SHELL") == boots, "the next boot")
            machine.wait_ready()


class Panics(harness.MachineTest):
    """A guest that dies says why; the monitor keeps the report and exits with 4."""

    def panic(self, kind):
        done, run_dir = self.run_scenario(
            f"apiVersion: sis/v1\nsteps:\n  - {{name: die, op: panic, args: {{kind: '{kind}'}}}}\n", name=kind)
        self.assertEqual(done.returncode, 4, f"{kind}: {done.stdout}{done.stderr}")
        report = (run_dir / "panic.txt").read_text(errors="replace")
        self.assertIn("PANIC", done.stdout + done.stderr)
        self.assertEqual(json.loads((run_dir / "summary.json").read_text())["exit_code"], 4)
        return report

    def test_assert_names_file_and_line(self):
        self.assertRegex(self.panic("assert"), r"[\w/]+\.cpp:\d+")

    def test_faults_are_decoded_with_registers_and_backtrace(self):
        wanted = {"null": "Data Abort", "write-code": "Data Abort", "exec-data": "Instruction Abort",
                  "undefined": "Unknown"}
        for kind, words in wanted.items():
            with self.subTest(kind=kind):
                report = self.panic(kind)
                self.assertRegex(report.lower(), words.lower())
                for name in ("ESR", "ELR", "FAR", "SPSR"):
                    self.assertIn(name, report.upper())
                self.assertRegex(report.lower(), r"x30|lr")
                self.assertRegex(report, r"provoke|panic")

    def test_stack_overflow_is_called_so(self):
        self.assertRegex(self.panic("stack-overflow").lower(), "stack overflow")


class Deaths(harness.MachineTest):
    """Nothing is left behind when one of the processes dies."""

    def test_killed_monitor_takes_the_guest_along(self):
        machine = self.machine().wait_ready()
        guest = machine.guest_pid()
        machine.process.send_signal(signal.SIGKILL)
        machine.wait()
        harness.wait_until(lambda: not harness.is_running(guest), "the guest's process to die with sisvmm")

    def test_monitor_ended_by_each_signal_takes_the_guest_along(self):
        for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                machine = self.machine(name=f"s{number.value}").wait_ready()
                guest = machine.guest_pid()
                machine.process.send_signal(number)
                machine.wait()
                harness.wait_until(lambda pid=guest: not harness.is_running(pid), "the guest's process to die with sisvmm")

    def test_killed_process_of_the_guest_gives_7_with_a_message(self):
        machine = self.machine().wait_ready()
        os.kill(machine.guest_pid(), signal.SIGKILL)
        self.assertEqual(machine.wait(), 7)
        self.assertRegex(machine.output(), "(QEMU|the machine's process) was killed by signal 9")
        self.assertEqual(machine.summary()["outcome"], "error")
        self.assertFalse(machine.socket.exists())

    def test_interrupt_gives_130_and_a_summary(self):
        machine = self.machine().wait_ready()
        machine.process.send_signal(signal.SIGINT)
        self.assertEqual(machine.wait(), 130)
        self.assertEqual(machine.summary()["exit_code"], 130)
        self.assertFalse(machine.socket.exists())

    def test_name_of_a_killed_machine_can_be_used_again(self):
        first = self.machine().wait_ready()
        first.process.kill()
        first.wait()
        # What serves the socket ends just after, thread by thread, the leader first: while one of them is left, the
        # socket still accepts, and wait_ready() would take it for the second machine's.
        harness.wait_until(lambda: not protocol.listens(first.socket), "the guest's process to die with sisvmm")
        second = self.machine().wait_ready()
        self.assertEqual(second.stop(), 130)


class Several(harness.MachineTest):
    def listing(self):
        return json.loads(harness.run(harness.SISVMM, "ls", "--json").stdout)

    def test_two_machines_are_listed_and_stopped_apart(self):
        machines = [self.machine(name=name).wait_ready() for name in ("one", "two")]
        names = [machine.name for machine in machines]
        live = {entry["name"] for entry in self.listing()}
        self.assertTrue(set(names) <= live, live)
        done = harness.run(harness.SISVMM, "stop", names[0])
        self.assertEqual(done.returncode, 0, done.stderr)
        machines[0].wait()
        with machines[1].session() as connection:
            self.assertEqual(connection.call(2, "ping")[1], 2)

    def test_same_name_twice_is_refused(self):
        machine = self.machine().wait_ready()
        done = harness.run(harness.SISVMM, "run", machine.scenario, "--name", machine.name, "--run-dir",
                           self.folder / "other", "--backend", harness.BACKEND)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(machine.name, done.stderr)

    def test_stop_of_an_unknown_machine_fails(self):
        done = harness.run(harness.SISVMM, "stop", "no-such-machine")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no-such-machine", done.stderr)


# Becomes QEMU with a broken copy of the boot archive; sisvmm itself makes none, so SIS_QEMU names this instead.
BREAKING_QEMU = """#!/usr/bin/env python3
import os, sys
arguments = sys.argv[1:]
if "-initrd" in arguments:
    place = arguments.index("-initrd") + 1
    good = open(arguments[place], "rb").read()
    tree = good.index(bytes.fromhex("d00dfeed"))
    arguments[place] = {copy!r}
    open({copy!r}, "wb").write({broken})
os.execvp("qemu-system-aarch64", ["qemu-system-aarch64"] + arguments)
"""


@harness.about_qemu
class BrokenBootConfiguration(harness.MachineTest):
    """A corrupt archive or tree: a named error on the console and on the terminal, exit code 5."""

    BROKEN = {
        "empty-file": 'b"\\0" * 512',
        "bad-magic": 'b"X" + good[1:]',
        "cut-short": "good[:tree + 100]",
        "no-trailer": 'good[:good.rindex(b"TRAILER") - 110]',
        "tree-magic": 'good[:tree] + b"\\0\\0\\0\\0" + good[tree + 4:]',
        "tree-size": 'good[:tree + 4] + b"\\xff\\xff\\xff\\xff" + good[tree + 8:]',
        "structure-offset": 'good[:tree + 8] + b"\\x7f\\xff\\xff\\xff" + good[tree + 12:]',
        "unknown-node": 'good.replace(b"control\\0", b"kontrol\\0")',
        "name-size": 'good[:94] + b"FFFFFFFF" + good[102:]',
        "noise": "good[:110] + os.urandom(len(good) - 110)",
    }

    def test_each_is_refused_by_name_with_code_5(self):
        for name, broken in self.BROKEN.items():
            with self.subTest(broken=name):
                wrapper = self.folder / f"qemu-{name}"
                wrapper.write_text(BREAKING_QEMU.format(copy=str(self.folder / f"{name}.cpio"), broken=broken))
                wrapper.chmod(0o755)
                done, run_dir = self.run_scenario(SHORT, name=name, env=harness.environment(SIS_QEMU=str(wrapper)))
                self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
                console = (run_dir / "console.log").read_bytes()
                error = re.search(rb"BOOT CONFIG ERROR: [a-z-]+: [^\r\n]+", console)
                self.assertTrue(error, console)
                self.assertIn(error.group(0).decode().partition(": ")[2], done.stdout + done.stderr)
                self.assertEqual(json.loads((run_dir / "summary.json").read_text())["exit_code"], 5)


class Interactive(harness.MachineTest):
    def test_console_attaches_to_the_shell(self):
        machine = self.machine().wait_ready()
        attached = subprocess.Popen([str(harness.SISVMM), "console", machine.name], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=harness.environment())
        attached.stdin.write(b"echo over the console\r")
        attached.stdin.flush()
        harness.wait_until(lambda: machine.console().count("over the console") >= 2, "the echo in console.log")
        attached.terminate()
        attached.communicate()
        with machine.session() as connection:
            connection.send(request(CALL, 5, {"op": "ping"}))
            self.assertEqual(connection.receive_frame()[1], 5)


if __name__ == "__main__":
    unittest.main()
