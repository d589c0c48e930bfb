"""sisvmm and sisctl at a terminal: `run -i`, `console` and `top` on a pseudo-terminal of its own."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
import unittest

import harness

LEAVE = b"\x1d"  # Ctrl-]


class Terminal:
    """A program with a pseudo-terminal as its standard streams; `controlling`: Ctrl-C typed there is a SIGINT."""

    def __init__(self, arguments, env, controlling=False):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave  # kept open: the settings are looked at when the program has gone
        take = (lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=slave, stdout=slave, stderr=slave, env=env,
                                        start_new_session=True, preexec_fn=take)
        self.output = b""

    def type(self, data):
        os.write(self.master, data)

    def wait_for(self, text):
        deadline = time.monotonic() + harness.LIMIT_S
        while text not in self.output:
            ready, _, _ = select.select([self.master], [], [], 0.2)
            if ready:
                self.output += os.read(self.master, 4096)
            elif time.monotonic() > deadline or self.process.poll() is not None:
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
    """`sisctl top` on a terminal, which goes on until it is ended."""
    REDRAWN = b"\x1b[H\x1b[J"

    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def top(self, *options):
        terminal = Terminal([harness.SISCTL, "--socket", self.subject.socket, *options, "top"], harness.environment(),
                            controlling=True)
        self.addCleanup(terminal.close)
        return terminal

    def wait_for_picture(self, terminal):
        """Waits until a picture has been drawn and the next one has begun."""
        terminal.wait_for(self.REDRAWN)
        _, _, terminal.output = terminal.output.partition(self.REDRAWN)
        terminal.wait_for(self.REDRAWN)
        picture = terminal.output.partition(self.REDRAWN)[0]
        for name in (b"cpus ", b"interval_ns ", b"threads "):
            self.assertEqual(picture.count(b"\n" + name) + picture.startswith(name), 1, terminal.output)

    def test_it_is_drawn_again_and_again_until_control_c(self):
        terminal = self.top()
        for _ in range(2):
            self.wait_for_picture(terminal)
        terminal.type(b"\x03")
        # Killed by the signal, which a shell shows as 130.
        self.assertEqual(terminal.wait(), -signal.SIGINT)
        self.assertTrue(terminal.settings_are_back())
        self.assert_alive(self.subject)

    def test_it_ends_with_4_and_the_reason_when_the_machine_ends(self):
        terminal = self.top()
        self.wait_for_picture(terminal)
        self.subject.stop()
        terminal.wait_for(b"sisctl: ")
        self.assertEqual(terminal.wait(), 4)
        self.assertTrue(terminal.settings_are_back())

    def test_it_ends_with_4_and_the_reason_when_the_guest_stands_still(self):
        terminal = self.top("--timeout", "3")
        self.wait_for_picture(terminal)
        guest = self.subject.guest_pid()
        os.kill(guest, signal.SIGSTOP)
        try:
            terminal.wait_for(b"sisctl: ")
            self.assertEqual(terminal.wait(), 4)
        finally:
            os.kill(guest, signal.SIGCONT)
        self.assert_alive(self.subject)

    def test_no_terminal_means_one_picture(self):
        done = self.subject.ctl("top")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(done.stdout.count("interval_ns "), 1)


if __name__ == "__main__":
    unittest.main()
