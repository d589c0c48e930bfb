"""Boots guest images under plain QEMU, without the monitor.

Environment: SIS_KERNEL, the guest image (default build/guest/sis.Image); other images lie in the same folder.
"""

import os
import pathlib
import re
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNEL = pathlib.Path(os.environ.get("SIS_KERNEL", ROOT / "build/guest/sis.Image"))
QEMU = "qemu-system-aarch64"
# No test measures time; emulation on a loaded machine is slow.
LIMIT_S = 60

CPUS = ("cortex-a53", "cortex-a72", "cortex-a76", "max")
MARKERS = ("STACK OK", "VECTORS OK", "MMU ON", "UART: READY", "HEAP: READY", "GIC: READY", "LAUNCHING SHELL")
PROMPT = "sis> "
EXIT = re.compile(r"^\x1eSIS-EXIT kind=([a-z-]+) code=(\d+)$", re.MULTILINE)


def command(image=KERNEL, cpu="cortex-a72", memory="512M", cpus=1, machine="", extra=(), reboot=False):
    """image None: `extra` loads one."""
    return [QEMU, "-M", "virt" + ("," + machine if machine else ""), "-cpu", cpu, "-m", memory, "-smp", str(cpus),
            "-nographic", "-nic", "none", *(() if reboot else ("-no-reboot",)), *(("-kernel", str(image)) if image else ()), *extra]


# ldr x0, tree; ldr x1, image; br x1; nop; tree: .quad; image: .quad
STUB = (0x58000080, 0x580000A1, 0xD61F0020, 0xD503201F)


def boot_stub(tree_address, image_address):
    """A boot loader of four instructions, for places and trees that QEMU's own does not offer."""
    return (b"".join(word.to_bytes(4, "little") for word in STUB) + tree_address.to_bytes(8, "little") +
            image_address.to_bytes(8, "little"))


def loader(*files, start):
    """QEMU arguments that put (path, address) pairs into memory and start the CPU at `start`."""
    arguments = []
    for path, address in files:
        arguments += ["-device", f"loader,file={path},addr={address:#x},force-raw=on"]
    return arguments + ["-device", f"loader,addr={start:#x},cpu-num=0"]


class Guest:
    """One QEMU process; its output is read as it comes."""

    def __init__(self, **options):
        self.process = subprocess.Popen(command(**options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self._output = bytearray()
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while block := os.read(self.process.stdout.fileno(), 4096):
            with self._changed:
                self._output += block
                self._changed.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def output(self):
        with self._changed:
            return self._output.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, text, limit_s=LIMIT_S, occurrences=1):
        """Waits until `text` was printed so many times; returns the output."""
        deadline = time.monotonic() + limit_s
        while (output := self.output()).count(text) < occurrences:
            if self.process.poll() is not None and not self._reader.is_alive():
                raise AssertionError(f"QEMU exited with {self.process.returncode}, {text!r} never came:\n{output}")
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {limit_s} s in vain for {text!r}:\n{output}")
            with self._changed:
                self._changed.wait(0.05)
        return output

    def send(self, line):
        self.process.stdin.write(line.encode() + b"\r")
        self.process.stdin.flush()

    def shut_down(self, limit_s=LIMIT_S):
        """Waits until the guest powered off, with "shutdown" as soon as there is a prompt; returns the output."""
        deadline = time.monotonic() + limit_s
        while self.process.poll() is None and time.monotonic() < deadline:
            if PROMPT in self.output():
                self.send("shutdown")
                break
            with self._changed:
                self._changed.wait(0.05)
        return self.wait_for_exit(limit_s)

    def wait_for_exit(self, limit_s=LIMIT_S):
        """Waits until the guest powered off; returns the output."""
        try:
            status = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the guest did not power off within {limit_s} s:\n{self.output()}") from None
        self._reader.join()
        if status != 0:
            raise AssertionError(f"QEMU exited with {status}:\n{self.output()}")
        return self.output()


def exit_record(output):
    """(kind, code) of the exit record, which must be the last line and the only one."""
    records = EXIT.findall(output)
    # Not splitlines(): it takes the record mark for the end of a line.
    if len(records) != 1 or not EXIT.match(output.rstrip("\n").split("\n")[-1]):
        raise AssertionError(f"expected one exit record as the last line:\n{output}")
    return records[0][0], int(records[0][1])
