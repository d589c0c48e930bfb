"""A guest that writes garbage to every register and queue, while clients of the host come and go.

Runs on the ARM64 host itself, real or nested; test_hostile.py brings it there. Environment: SIS_BUILD; SIS_HOSTILE: the
guest's image.
"""

import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

SISVMM = pathlib.Path(os.environ["SIS_BUILD"]) / "vmm/cli/sisvmm"
IMAGE = pathlib.Path(os.environ["SIS_HOSTILE"])
LIMIT_S = 240
# One for each of 64 addresses and 64 of the device's, and few others.
MOST_WARNINGS = 150
SEED_OFFSET = 32


class HostileGuest(unittest.TestCase):
    def clients(self, path, process):
        """Connects until the machine has ended; returns how many connections there were."""
        count = 0
        while process.poll() is None:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(0.01)
                try:
                    client.connect(path)
                    client.sendall(b"CONNECT 5000\nsome bytes that no guest expects")
                    client.recv(100)
                except OSError:
                    pass
                count += 1
        return count

    def run_guest(self, seed):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-hostile-"))
        image = bytearray(IMAGE.read_bytes())
        image[SEED_OFFSET:SEED_OFFSET + 8] = struct.pack("<Q", seed)
        (folder / "guest").write_bytes(image)
        with (folder / "out").open("wb") as out, (folder / "errors").open("wb") as errors:
            process = subprocess.Popen([SISVMM, "boot", folder / "guest", "--memory", "64MiB", "--cpus", "2",
                                        "--vsock", folder / "v.sock", "--timeout", str(LIMIT_S)],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
            connections = []
            client = threading.Thread(target=lambda: connections.append(self.clients(str(folder / "v.sock"), process)))
            client.start()
            code = process.wait(LIMIT_S + 20)
            client.join()
        warnings = (folder / "errors").read_text().splitlines()
        self.assertEqual(code, 0, warnings[-5:])
        self.assertLess(len(warnings), MOST_WARNINGS)
        for line in warnings:
            self.assertRegex(line, "^sisvmm-kvm: warning: ")
        found = re.search(rb"HOSTILE accesses=(\d+) set_up=(\d+) needs_reset=(\d+)", (folder / "out").read_bytes())
        accesses, set_up, needs_reset = (int(number) for number in found.groups())
        self.assertGreater(accesses, 10_000)
        self.assertGreater(set_up, 100)
        self.assertGreater(needs_reset, 100)
        self.assertGreater(connections[0], 10)

    def test_monitor_survives_and_the_device_asks_for_a_reset(self):
        for seed in (1, 2):
            with self.subTest(seed=seed):
                self.run_guest(seed)


if __name__ == "__main__":
    unittest.main()
