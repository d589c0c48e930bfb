"""Debian's kernel as a guest of `sisvmm boot`: its drivers, which we did not write, are the judges of our devices.

Runs on the ARM64 host itself, real or nested; test_sisvmm.py brings it there. Environment: SIS_BUILD, SIS_LINUX: the
folder with `kernel` and `initramfs`.
"""

import hashlib
import itertools
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import unittest

SISVMM = pathlib.Path(os.environ["SIS_BUILD"]) / "vmm/cli/sisvmm"
LINUX = pathlib.Path(os.environ["SIS_LINUX"])
ARGUMENTS = "console=ttyAMA0 quiet panic=-1"
LIMIT_S = 240
ECHO = 7
CONNECTS_BACK = 1024
HOST_PORT = 7000
BYTES = 64 << 20


class Guest:
    """`sisvmm boot` of the Linux guest, with a shell on its console."""

    def __init__(self, folder, *arguments):
        self.socket = f"{folder}/vsock.sock"
        self.process = subprocess.Popen(
            [SISVMM, "boot", LINUX / "kernel", "--initrd", LINUX / "initramfs", "--append", ARGUMENTS, "--vsock",
             self.socket, "--memory", "256MiB", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.console = b""
        self.seen = 0
        self.grown = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self.grown:
                self.console += data
                self.grown.notify_all()

    def wait_for(self, text):
        """Waits until the console has said the text, after what was waited for before; returns what came before it."""
        deadline = time.monotonic() + LIMIT_S
        with self.grown:
            while (place := self.console.find(text, self.seen)) < 0:
                if not self.grown.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise AssertionError(f"no {text!r} on the console: {self.console[-2000:]!r}")
            before = self.console[self.seen:place]
            self.seen = place + len(text)
            return before

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def shell(self, command):
        """What the command prints."""
        self.type(f"echo be''gin; {command}; echo e''nd")
        self.wait_for(b"begin\r\n")
        return self.wait_for(b"end\r\n").decode().replace("\r\n", "\n")

    def connect(self, port):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LIMIT_S)
        connection.connect(self.socket)
        connection.sendall(f"CONNECT {port}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            byte = connection.recv(1)
            assert byte, f"the connection was closed after {answer!r}"
            answer += byte
        assert answer.startswith(b"OK "), answer
        return connection

    def end(self):
        self.process.kill()
        self.process.wait()


class LinuxGuest(unittest.TestCase):
    def boot(self, *arguments):
        folder = tempfile.TemporaryDirectory(prefix="linux-")
        self.addCleanup(folder.cleanup)
        guest = Guest(folder.name, *arguments)
        self.addCleanup(guest.end)
        guest.wait_for(b"SHELL READY")
        return guest

    def echo(self, guest, size):
        """Sends and receives at the same time; the checksums of both ways must be the same."""
        block = os.urandom(1 << 20)
        sent, received = hashlib.sha256(), hashlib.sha256()
        with guest.connect(ECHO) as connection:
            def send():
                for _ in range(size // len(block)):
                    sent.update(block)
                    connection.sendall(block)
                connection.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            count = 0
            while data := connection.recv(1 << 18):
                received.update(data)
                count += len(data)
            sender.join()
        self.assertEqual((count, received.hexdigest()), (size, sent.hexdigest()))

    def test_vsock_carries_both_ways_also_after_a_reboot(self):
        guest = self.boot("--cpus", "2")
        self.assertEqual(guest.shell("nproc"), "2\n")
        self.assertEqual(guest.shell("cat /proc/cmdline"), ARGUMENTS + "\n")
        # More than the receive FIFO holds.
        self.assertEqual(guest.shell(f"echo {'x' * 1000} | wc -c"), "1001\n")
        self.echo(guest, BYTES)
        guest.type("reboot -f")
        guest.wait_for(b"SHELL READY")
        self.echo(guest, 1 << 20)
        guest.type("poweroff -f")
        self.assertEqual(guest.process.wait(LIMIT_S), 0, guest.console[-2000:])

    def traffic(self, guest):
        """Echoes through one connection until told to stop or the guest resets it; what comes back must be what was sent."""
        connection = guest.connect(ECHO)
        stop, wrong = threading.Event(), []

        def exchange():
            count = 0
            try:
                while not stop.is_set():
                    block = os.urandom(10_000)
                    connection.sendall(block)
                    back = b""
                    while len(back) < len(block):
                        data = connection.recv(len(block) - len(back))
                        if not data:
                            return
                        back += data
                    if back != block:
                        wrong.append(f"block {count}")
                    count += 1
            except ConnectionError:
                pass

        thread = threading.Thread(target=exchange, daemon=True)
        thread.start()

        def end(of_itself):
            if not of_itself:
                stop.set()
            thread.join(LIMIT_S)
            self.assertFalse(thread.is_alive(), "the connection is neither served nor reset")
            self.assertEqual(wrong, [])
            connection.close()
        return end

    def test_device_that_is_reset_in_traffic_is_set_up_again(self):
        guest = self.boot("--cpus", "2")
        driver = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"
        device = guest.shell(f"cd {driver}; ls -d virtio*").strip()
        for _ in range(3):
            ends = [self.traffic(guest) for _ in range(4)]
            self.assertEqual(guest.shell(f"echo {device} >unbind"), "")
            for end in ends:
                end(of_itself=True)
            self.assertEqual(guest.shell(f"echo {device} >bind"), "")
            self.echo(guest, 1 << 20)
        guest.type("poweroff -f")
        self.assertEqual(guest.process.wait(LIMIT_S), 0, guest.console[-2000:])

    def test_cpus_go_off_and_on_in_any_order_in_traffic(self):
        guest = self.boot("--cpus", "4")
        end = self.traffic(guest)
        online = "/sys/devices/system/cpu/cpu{}/online"
        for order in itertools.permutations((1, 2, 3)):
            off = "; ".join(f"echo 0 >{online.format(cpu)}" for cpu in order)
            self.assertEqual(guest.shell(f"{off}; nproc"), "1\n")
            on = "; ".join(f"echo 1 >{online.format(cpu)}" for cpu in reversed(order[1:] + order[:1]))
            self.assertEqual(guest.shell(f"{on}; nproc"), "4\n")
        # The first CPU, too.
        self.assertEqual(guest.shell(f"echo 0 >{online.format(0)}; nproc; echo 1 >{online.format(0)}; nproc"), "3\n4\n")
        end(of_itself=False)
        guest.type("poweroff -f")
        self.assertEqual(guest.process.wait(LIMIT_S), 0, guest.console[-2000:])

    def test_guest_connects_to_a_service_of_the_host_by_a_long_path(self):
        folder = tempfile.TemporaryDirectory(prefix="linux-")
        self.addCleanup(folder.cleanup)
        # Longer than an address of a Unix socket; the test itself goes by the link.
        long_folder = pathlib.Path(folder.name, *["long" * 25] * 2)
        long_folder.mkdir(parents=True)
        link = pathlib.Path(folder.name, "link")
        link.symlink_to(long_folder)
        guest = Guest(long_folder)
        guest.socket = f"{link}/vsock.sock"
        self.addCleanup(guest.end)
        guest.wait_for(b"SHELL READY")
        with socket.socket(socket.AF_UNIX) as service:
            service.settimeout(LIMIT_S)
            service.bind(f"{guest.socket}_{HOST_PORT}")
            service.listen()
            with guest.connect(CONNECTS_BACK):
                connection, _ = service.accept()
                with connection:
                    connection.settimeout(LIMIT_S)
                    self.assertEqual(connection.makefile("rb").read(), b"hello from the guest")


if __name__ == "__main__":
    unittest.main()
