"""Linux as guest: its own vsock driver, which we did not write, is the judge of our device."""

import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import harness
import test_streams

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "linux"))
import linux_guest  # noqa: E402

# Linux has no control server of ours: the monitor waits for it as long as the tests take.
SCENARIO = "apiVersion: sis/v1\nname: linux\ntimeouts: {boot: 20m, run: 20m}\n"
BACK_PORT = 7000
CONNECT_BACK = 1024


class LinuxStreams(test_streams.Echoes, harness.MachineTest):
    """The list of the SIS guest's streams, where it makes sense, on Linux."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        image_folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-linux-"))
        cls.addClassCleanup(shutil.rmtree, image_folder, ignore_errors=True)
        try:
            cls.kernel, cls.wrapper = linux_guest.prepare(image_folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise unittest.SkipTest(f"no Linux guest on this host: {error}") from error

    def setUp(self):
        super().setUp()
        self.subject = self.machine(SCENARIO, arguments=("--kernel", self.kernel),
                                    env=harness.environment(SIS_QEMU=str(self.wrapper)))
        self.addCleanup(self.tell_console)

    def tell_console(self):
        outcome = self._outcome.result
        if any(test is self for test, _ in outcome.failures + outcome.errors):
            print(self.subject.console()[-2000:] + self.subject.output()[-2000:])

    def assert_alive(self, machine):
        self.assertIsNone(machine.process.poll(), machine.output())
        self.assertEqual(self.echo(1000, seed=9), 1000)

    def test_guest_connects_to_the_host(self):
        with socket.socket(socket.AF_UNIX) as listener:
            self.subject.wait_for_socket()
            listener.bind(f"{self.subject.socket}_{BACK_PORT}")
            listener.listen()
            listener.settimeout(harness.LIMIT_S)
            with self.subject.connect(CONNECT_BACK) as asking:
                incoming, _ = listener.accept()
                with incoming:
                    self.assertEqual(incoming.recv(100), b"hello from the guest")
                self.assertEqual(asking.receive_line(), b"connected\n")

    def test_port_on_which_the_host_does_not_listen_is_refused(self):
        with self.subject.connect(CONNECT_BACK) as asking:
            self.assertEqual(asking.receive_line(), b"refused\n")

    def test_port_on_which_linux_does_not_listen_is_refused(self):
        self.echo(1, seed=1)
        with self.assertRaises(ConnectionRefusedError):
            self.subject.connect(4242)


if __name__ == "__main__":
    unittest.main()
