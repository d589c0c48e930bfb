"""Starts real machines for the integration tests and takes them down again.

Environment: SIS_BUILD, the folder with the host programs (default build/host-debug: with ASan and UBSan);
SIS_KERNEL, the guest image; SIS_BACKEND, passed on as --backend (default: qemu).
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import protocol

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SIS_BUILD", ROOT / "build/host-debug"))
SISVMM = BUILD / "vmm/cli/sisvmm"
SISCTL = BUILD / "tools/sisctl"
KERNEL = pathlib.Path(os.environ.get("SIS_KERNEL", ROOT / "build/guest/sis.Image"))
BACKEND = os.environ.get("SIS_BACKEND", "qemu")
# Emulation and the sanitisers are slow on a loaded machine; no test measures time, so limits are generous.
LIMIT_S = 120

IDLE = "apiVersion: sis/v1\nname: idle\n"

about_qemu = unittest.skipUnless(BACKEND == "qemu", "about QEMU, which this back end does without")


def environment(**extra):
    return {**os.environ, "SIS_KERNEL": str(KERNEL), **extra}


def run(*arguments, timeout=LIMIT_S, **options):
    """Runs a program to its end; returns the CompletedProcess with text output."""
    options.setdefault("env", environment())
    return subprocess.run([str(a) for a in arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, errors="replace", **options)


def children_of(pid):
    """Ids of the direct child processes."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def is_running(pid):
    """True unless the process is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, what, timeout=LIMIT_S):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for: {what}")
        time.sleep(0.02)


class Machine:
    """`sisvmm run` of a scenario in the background, or `sisvmm restore` of a snapshot's folder."""

    def __init__(self, folder, scenario=IDLE, name="m", arguments=(), env=None, restore=None):
        folder = pathlib.Path(folder)
        self.run_dir = folder / f"run-{name}"
        self.scenario = folder / f"{name}.yaml"
        self.scenario.write_text(scenario)
        what = ["restore", restore] if restore else ["run", self.scenario, "--backend", BACKEND]
        # Names are global to the user: keep parallel tests apart.
        self.name = f"{name}-{os.getpid()}-{folder.name}"
        self.output_path = folder / f"{name}.out"
        self.output_file = open(self.output_path, "w")
        self.process = subprocess.Popen(
            [str(a) for a in (SISVMM, *what, "--name", self.name, "--run-dir", self.run_dir, *arguments)],
            stdin=subprocess.DEVNULL, stdout=self.output_file, stderr=self.output_file,
            env=env or environment())

    @property
    def socket(self):
        return self.run_dir / "vsock.sock"

    @property
    def key(self):
        """The machine's key as bytes; the file holds it in hexadecimal or raw."""
        data = (self.run_dir / "control.key").read_bytes()
        return bytes.fromhex(data.decode()) if len(data) != 32 else data

    def output(self):
        return self.output_path.read_text(errors="replace")

    def summary(self):
        return json.loads((self.run_dir / "summary.json").read_text())

    def console(self):
        return (self.run_dir / "console.log").read_text(errors="replace")

    def wait_for_socket(self):
        def there():
            if self.process.poll() is not None:
                raise AssertionError(f"sisvmm exited with {self.process.returncode}:\n{self.output()}")
            # The socket of a monitor that was killed stays until the next one replaces it: nobody listens on it.
            return (self.run_dir / "control.key").exists() and protocol.listens(self.socket)
        wait_until(there, "vsock.sock")
        return self

    def wait_ready(self):
        """Waits until the guest answers."""
        with self.session() as connection:
            command, _, body = connection.call(2, "ping")
            assert command == protocol.REPLY, body
        return self

    def session(self, rights=protocol.ALL):
        self.wait_for_socket()
        return protocol.session(self.socket, self.key, rights, timeout=LIMIT_S)

    def connect(self, port=5000):
        self.wait_for_socket()
        return protocol.Connection(self.socket, port, timeout=LIMIT_S)

    def guest_pid(self):
        """The process that runs the guest: QEMU, or sisvmm-kvm."""
        program = b"qemu" if BACKEND == "qemu" else b"sisvmm-kvm"
        pids = [pid for pid in children_of(self.process.pid)
                if program in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(pids) == 1, f"children of sisvmm: {pids}"
        return pids[0]

    def ctl(self, *arguments, **options):
        return run(SISCTL, "--socket", self.socket, *arguments, **options)

    def stop(self):
        """Ends the machine in order; returns sisvmm's exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout=LIMIT_S):
        code = self.process.wait(timeout)
        self.output_file.close()
        return code

    def destroy(self):
        """Leaves nothing behind, whatever the test did."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output_file.close()


class MachineTest(unittest.TestCase):
    """A test with a folder of its own, removed when it passes."""

    def setUp(self):
        # Unix socket paths are short: keep the folder's path short too.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def machine(self, scenario=IDLE, name="m", arguments=(), env=None, restore=None):
        machine = Machine(self.folder, scenario, name, arguments, env, restore)
        self.addCleanup(machine.destroy)
        return machine

    def run_scenario(self, text, *arguments, name="s", **options):
        """Runs a scenario to its end; returns (CompletedProcess, run folder)."""
        path = self.folder / f"{name}.yaml"
        path.write_text(text)
        run_dir = self.folder / f"run-{name}"
        done = run(SISVMM, "run", path, "--run-dir", run_dir, "--name", f"{name}-{os.getpid()}-{self.folder.name}",
                   "--backend", BACKEND, *arguments, **options)
        return done, run_dir

    def assert_alive(self, machine):
        """The machine still serves requests."""
        self.assertIsNone(machine.process.poll(), machine.output())
        with machine.session() as connection:
            self.assertEqual(connection.call(7, "ping", {"payload": "still here"})[:2], (protocol.REPLY, 7))
