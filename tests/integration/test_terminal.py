"""sisvmm and sisctl at a terminal: `run -i`, `console` and `top` on a pseudo-terminal of its own."""

import fcntl
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import harness

LEAVE = b"\x1d"  # Ctrl-]

# A server, and a graph that runs for ever.
GRAPH = """apiVersion: sis/v1
name: live
scheduler:
  servers:
    - {name: hard-one, budget: 2ms, period: 20ms}
graphs:
  - name: demo
    channels:
      - {id: 1, capacity: 4}
    operators:
      - {id: 1, name: source, kind: synthetic-source, stage: acquire, out: [1], parameters: {period_us: 5000}}
      - {id: 2, name: end, kind: sink, stage: explain, in: [1]}
"""


class Terminal:
    """A program with a pseudo-terminal as its standard streams; `controlling`: Ctrl-C typed there is a SIGINT."""

    def __init__(self, arguments, env, controlling=False, size=None):
        self.master, slave = pty.openpty()
        if size:
            self.resize(*size)
        self.before = termios.tcgetattr(slave)
        self.slave = slave  # kept open: the settings are looked at when the program has gone
        take = (lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=slave, stdout=slave, stderr=slave, env=env,
                                        start_new_session=True, preexec_fn=take)
        self.output = b""
        self.all = b""  # also what was forgotten

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def state(self):
        """The letter that /proc has for it: T is stopped."""
        return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def read(self, timeout_s):
        """False: there was nothing."""
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        if ready:
            data = os.read(self.master, 4096)
            self.output += data
            self.all += data
        return bool(ready)

    def drain(self):
        """Takes what the program has written before it ended."""
        while self.read(0):
            pass

    def type(self, data):
        os.write(self.master, data)

    def wait_for(self, text):
        deadline = time.monotonic() + harness.LIMIT_S
        while text not in self.output:
            if self.read(0.2):
                continue
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"waited in vain for {text!r}; so far:\n{self.output.decode(errors='replace')}")

    def forget(self):
        self.output = b""

    def wait(self):
        return self.process.wait(harness.LIMIT_S)

    def settings_are_back(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Interactive(harness.MachineTest):
    def run_interactive(self, text=harness.IDLE):
        path = self.folder / "i.yaml"
        path.write_text(text)
        terminal = Terminal([harness.SISVMM, "run", path, "-i", "--run-dir", self.folder / "run", "--name",
                             f"i-{os.getpid()}-{self.folder.name}", "--backend", harness.BACKEND], harness.environment())
        self.addCleanup(terminal.close)
        return terminal

    def test_shell_answers_and_its_shutdown_code_is_told(self):
        terminal = self.run_interactive()
        terminal.wait_for(b"sis> ")
        terminal.type(b"echo typed by hand\r")
        terminal.wait_for(b"\ntyped by hand")
        terminal.type(b"shutdown 3\r")
        self.assertEqual(terminal.wait(), 1)
        self.assertTrue(terminal.settings_are_back())

    def test_shutdown_from_the_shell_passes(self):
        terminal = self.run_interactive()
        terminal.wait_for(b"sis> ")
        terminal.type(b"shutdown\r")
        self.assertEqual(terminal.wait(), 0)
        self.assertTrue(terminal.settings_are_back())

    def test_control_c_goes_to_the_guest_not_to_the_monitor(self):
        terminal = self.run_interactive()
        terminal.wait_for(b"sis> ")
        terminal.type(b"half a line\x03")
        terminal.type(b"echo still here\r")
        terminal.wait_for(b"\nstill here")
        self.assertIsNone(terminal.process.poll())

    def test_top_goes_on_in_place_until_q(self):
        terminal = self.run_interactive()
        terminal.wait_for(b"sis> ")
        terminal.type(b"top\r")
        for _ in range(2):
            terminal.wait_for(b"\x1b[H\x1b[Jinterval_ns: ")
            terminal.wait_for(b"q ends this")
            terminal.forget()
        terminal.type(b"q")
        terminal.wait_for(b"sis> ")
        terminal.type(b"echo still here\r")
        terminal.wait_for(b"\nstill here")

    def test_terminal_is_restored_when_the_monitor_is_ended(self):
        terminal = self.run_interactive()
        terminal.wait_for(b"sis> ")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.wait(), 130)
        self.assertTrue(terminal.settings_are_back())

    def test_panic_shows_the_report_and_restores_the_terminal(self):
        terminal = self.run_interactive()
        terminal.wait_for(b"sis> ")
        terminal.type(b"panic assert\r")
        terminal.wait_for(b"PANIC")
        self.assertEqual(terminal.wait(), 4)
        self.assertTrue(terminal.settings_are_back())


class Console(harness.MachineTest):
    def attach(self, machine):
        terminal = Terminal([harness.SISVMM, "console", machine.name], harness.environment())
        self.addCleanup(terminal.close)
        return terminal

    def test_two_attach_and_leave_while_the_machine_goes_on(self):
        machine = self.machine().wait_ready()
        first, second = self.attach(machine), self.attach(machine)
        first.wait_for(b"attached")
        second.wait_for(b"attached")
        first.type(b"echo for both\r")
        first.wait_for(b"\nfor both")
        second.wait_for(b"\nfor both")
        first.type(LEAVE)
        self.assertEqual(first.wait(), 0)
        self.assertTrue(first.settings_are_back())
        second.forget()
        second.type(b"echo one is left\r")
        second.wait_for(b"\none is left")
        self.assert_alive(machine)

    def test_end_of_the_machine_ends_the_console(self):
        machine = self.machine().wait_ready()
        terminal = self.attach(machine)
        terminal.wait_for(b"attached")
        machine.stop()
        terminal.wait()
        self.assertTrue(terminal.settings_are_back())

    def test_unknown_machine_is_named(self):
        done = harness.run(harness.SISVMM, "console", "no-such-machine")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no-such-machine", done.stderr)


class Top(harness.MachineTest):
    """`sisctl top` on a terminal: full screen, until it is ended."""
    TAKEN, GIVEN_BACK = b"\x1b[?1049h", b"\x1b[?1049l"

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.subject = harness.Machine(folder, GRAPH, "top")
        cls.addClassCleanup(cls.subject.destroy)
        cls.subject.wait_ready()

    def top(self, *options, size=(30, 120), subject=None, **extra):
        terminal = Terminal([harness.SISCTL, "--socket", (subject or self.subject).socket, *options, "top"],
                            {"TERM": "xterm", **harness.environment(), **extra}, controlling=True, size=size)
        self.addCleanup(terminal.close)
        return terminal

    def assert_given_back(self, terminal):
        terminal.drain()
        self.assertTrue(terminal.settings_are_back())
        self.assertEqual((terminal.all.count(self.TAKEN), terminal.all.count(self.GIVEN_BACK)), (1, 1))
        self.assertLess(terminal.all.index(self.TAKEN), terminal.all.index(self.GIVEN_BACK))

    def test_it_shows_all_again_and_again_until_q(self):
        terminal = self.top()
        for text in (self.TAKEN, b"CPU", b"hard-one", b"demo", b"source", b"RUNS/S", b"DEPTH", b"THREAD"):
            terminal.wait_for(text)
        terminal.forget()
        terminal.wait_for(b"THREAD")
        terminal.type(b"q")
        self.assertEqual(terminal.wait(), 0)
        self.assert_given_back(terminal)
        self.assert_alive(self.subject)

    def test_keys_choose_and_a_small_screen_scrolls(self):
        terminal = self.top(size=(8, 100))
        terminal.wait_for(b"lines 1 to 6 of ")
        terminal.type(b"\x1b[B")
        terminal.wait_for(b"lines 2 to 7 of ")
        terminal.type(b"4")
        terminal.wait_for(b"[4 channels]")
        terminal.wait_for(b"STALLS")
        terminal.type(b"\x1b[D")
        terminal.wait_for(b"[3 operators]")
        terminal.wait_for(b"RUNS/S")

    def test_a_new_size_is_taken_at_once(self):
        terminal = self.top()
        terminal.wait_for(b"THREAD")
        terminal.resize(3, 30)
        terminal.wait_for(b"too small: 30x3, needs 40x5")
        terminal.forget()
        terminal.resize(40, 100)
        terminal.wait_for(b"\x1b[40;1H")

    def test_colours_are_for_those_who_want_them(self):
        coloured, plain = self.top(), self.top(NO_COLOR="1")
        for terminal in (coloured, plain):
            terminal.wait_for(b"THREAD")
        self.assertIn(b"\x1b[32m", coloured.output)
        self.assertNotRegex(plain.output, rb"\x1b\[[0-9]+m")

    def test_control_c_and_signals_give_the_screen_back(self):
        for number, end in ((signal.SIGINT, lambda t: t.type(b"\x03")),
                            (signal.SIGTERM, lambda t: t.process.send_signal(signal.SIGTERM)),
                            (signal.SIGHUP, lambda t: t.process.send_signal(signal.SIGHUP)),
                            (signal.SIGABRT, lambda t: t.process.send_signal(signal.SIGABRT))):
            with self.subTest(number):
                terminal = self.top()
                terminal.wait_for(b"THREAD")
                end(terminal)
                # Ended by the signal, which a shell shows as 128 and its number.
                self.assertEqual(terminal.wait(), -number)
                self.assert_given_back(terminal)
        self.assert_alive(self.subject)

    def test_it_can_be_suspended_and_goes_on(self):
        terminal = self.top()
        terminal.wait_for(b"THREAD")
        terminal.type(b"\x1a")
        terminal.wait_for(self.GIVEN_BACK)
        harness.wait_until(lambda: terminal.state() == "T", "sisctl to be suspended")
        self.assertTrue(terminal.settings_are_back())
        terminal.forget()
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for(self.TAKEN)
        terminal.wait_for(b"THREAD")
        terminal.type(b"q")
        self.assertEqual(terminal.wait(), 0)
        self.assertTrue(terminal.settings_are_back())

    def test_it_ends_with_4_and_the_reason_when_the_machine_ends(self):
        subject = self.machine().wait_ready()
        terminal = self.top(subject=subject)
        terminal.wait_for(b"THREAD")
        subject.stop()
        terminal.wait_for(b"sisctl: ")
        self.assertEqual(terminal.wait(), 4)
        self.assert_given_back(terminal)
        self.assertLess(terminal.all.index(self.GIVEN_BACK), terminal.all.index(b"sisctl: "))

    def test_it_ends_with_4_and_the_reason_when_the_guest_stands_still(self):
        terminal = self.top("--timeout", "5")
        terminal.wait_for(b"THREAD")
        guest = self.subject.guest_pid()
        os.kill(guest, signal.SIGSTOP)
        try:
            terminal.wait_for(b"no answer for ")
            # Keys are served all the same.
            terminal.type(b"2")
            terminal.wait_for(b"[2 servers]")
            terminal.wait_for(b"sisctl: ")
            self.assertEqual(terminal.wait(), 4)
        finally:
            os.kill(guest, signal.SIGCONT)
        self.assert_given_back(terminal)
        self.assert_alive(self.subject)

    def test_q_does_not_wait_for_a_guest_that_stands_still(self):
        terminal = self.top("--timeout", "100")
        terminal.wait_for(b"THREAD")
        guest = self.subject.guest_pid()
        os.kill(guest, signal.SIGSTOP)
        try:
            terminal.wait_for(b"no answer for ")
            terminal.type(b"q")
            self.assertEqual(terminal.process.wait(20), 0)
        finally:
            os.kill(guest, signal.SIGCONT)

    def test_no_terminal_or_a_dumb_one_means_one_picture(self):
        done = self.subject.ctl("top")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        for name in ("BUSY", "hard-one", "RUNS/S", "DEPTH", "THREAD"):
            self.assertEqual(done.stdout.count(name), 1, done.stdout)
        figures = json.loads(self.subject.ctl("--json", "top", "200").stdout)
        self.assertEqual([each["name"] for each in figures["operators"]], ["source", "end"])
        self.assertEqual(len(figures["cpus"]), 1)
        self.assertGreater(figures["operators"][1]["runs_per_s"], 0)
        terminal = self.top(TERM="dumb")
        self.assertEqual(terminal.wait(), 0)
        terminal.drain()
        self.assertNotIn(b"\x1b", terminal.all)


class Progress(harness.MachineTest):
    """What is told on a terminal, and nowhere else, of what takes its time."""

    NAP = (f"apiVersion: sis/v1\nmachine: {{backend: {harness.BACKEND}}}\n"
           "steps:\n  - {name: a long nap, op: sleep, args: {ms: 1300}}\n")

    def at_a_terminal(self, *arguments, **env):
        path = self.folder / "nap.yaml"
        path.write_text(self.NAP)
        terminal = Terminal([harness.SISVMM, *arguments, path, "--run-dir", self.folder / "run"],
                            {**harness.environment(), "TERM": "xterm", "NO_COLOR": "", **env})
        self.addCleanup(terminal.close)
        while terminal.process.poll() is None:
            terminal.read(0.05)
        terminal.drain()
        self.assertEqual(terminal.wait(), 0, terminal.all)
        return terminal.all.decode(errors="replace")

    def run_named(self, *more, **env):
        return self.at_a_terminal("run", "--name", f"nap-{os.getpid()}-{self.folder.name}", *more, **env)

    def test_a_run_tells_its_step_and_leaves_no_trace_of_that(self):
        shown = self.run_named()
        self.assertRegex(shown, r"step a long nap: [01] s, [0-9]+ s in all")
        self.assertIn("\x1b[32m", shown)
        # What follows a status stands in its line.
        for rest in shown.split("step a long nap: ")[1:]:
            self.assertRegex(rest, r"^[^\n]*\x1b\[\?7h\r\x1b\[K")

    def test_no_color_has_progress_without_colours(self):
        shown = self.run_named(NO_COLOR="1")
        self.assertIn("step a long nap: ", shown)
        self.assertNotIn("\x1b[32m", shown)

    def test_a_dumb_terminal_has_neither(self):
        shown = self.run_named(TERM="dumb")
        self.assertNotIn("\x1b", shown)
        self.assertNotIn("in all", shown)

    def test_stop_tells_how_long_it_waits(self):
        machine = self.machine().wait_ready()
        os.kill(machine.guest_pid(), signal.SIGSTOP)
        terminal = Terminal([harness.SISVMM, "stop", machine.name, "--timeout", "2"],
                            {**harness.environment(), "TERM": "xterm", "NO_COLOR": "1"})
        self.addCleanup(terminal.close)
        terminal.wait_for(f"{machine.name} stops: ".encode())
        terminal.wait_for(f"\r\x1b[K{machine.name} stopped (it had to be killed), exit code 6".encode())
        self.assertEqual(terminal.wait(), 0)

    def test_a_suite_tells_what_runs(self):
        shown = self.at_a_terminal("test")
        self.assertRegex(shown, r"0 of 1 done; nap [0-9] s")
        self.assertRegex(shown, r"\x1b\[32mok     \x1b\[0m nap ")

    def test_a_repetition_tells_how_far_it_is(self):
        shown = self.run_named("--repeat", "2")
        self.assertRegex(shown, r"run 2 of 2; 1 passed; [0-9]+ s")
        self.assertIn("2 runs: 2 passed in ", shown)


if __name__ == "__main__":
    unittest.main()
