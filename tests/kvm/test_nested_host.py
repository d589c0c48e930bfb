"""The nested host itself: what goes in comes out unchanged, and nothing of it outlives its run."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402

sys.path.insert(0, str(HERE.parent / "integration"))
import harness  # noqa: E402


class NestedHost(unittest.TestCase):
    def test_files_output_and_exit_code_come_back_as_they_were(self):
        data = random.Random(1).randbytes(3 << 20)
        script = "cat folder/data >out/copy; echo text; echo 'code 0'; echo other >&2; cat data; exit 7"
        files = {"folder/data": data, "data": b"no newline at the end", "script": script.encode()}
        with nested_host.run(["sh", "./script"], files) as done:
            self.assertEqual(done.code, 7)
            self.assertEqual(done.stdout, "text\ncode 0\nno newline at the end")
            self.assertEqual(done.stderr, "other\n")
            self.assertEqual((done.out / "copy").read_bytes(), data)
            folder = done.folder
        self.assertFalse(folder.exists())

    def test_words_of_the_command_stay_words(self):
        words = ["two words", "a'quote", "$HOME", ""]
        with nested_host.run(["sh", "-c", 'printf "%s|" "$@"', "sh", *words]) as done:
            self.assertEqual(done.stdout, "two words|a'quote|$HOME||")

    def test_command_that_does_not_end_is_ended(self):
        begin = time.monotonic()
        with self.assertRaises(nested_host.TimeLimit):
            nested_host.run(["sleep", "1000"], options=nested_host.Options(limit_s=2))
        self.assertLess(time.monotonic() - begin, 100)

    @unittest.skipIf(nested_host.has_kvm(), "this host is not to crash")
    def test_crash_of_the_nested_host_is_an_error_that_shows_its_console(self):
        with self.assertRaisesRegex(nested_host.HostError, "sysrq triggered crash"):
            nested_host.run(["sh", "-c", "echo c >/proc/sysrq-trigger"])

    def test_ends_with_the_process_that_started_it(self):
        program = [sys.executable, HERE / "nested_host.py", "--", "sleep", "1000"]
        folder = tempfile.TemporaryDirectory(prefix="sis-kvm-test-")  # what a killed process leaves
        self.addCleanup(folder.cleanup)

        def machine():
            # The program that makes the initramfs is a child for a moment, too, but has no session of its own.
            return [child for child in harness.children_of(parent.pid) if os.getsid(child) == child]
        with subprocess.Popen(program, stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": folder.name}) as parent:
            harness.wait_until(machine, "the machine")
            child = machine()[0]
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            harness.wait_until(lambda: not harness.is_running(child), "the machine's end", 20)

    def test_file_outside_the_folder_of_the_command_is_refused(self):
        with self.assertRaisesRegex(ValueError, "leaves"):
            nested_host.run(["true"], {"../stray": b""})


if __name__ == "__main__":
    unittest.main()
