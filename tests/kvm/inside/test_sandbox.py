"""The sandbox: every thread of a running machine is confined, and a filter refuses what it has to refuse.

Runs on the ARM64 host itself, real or nested; tests/kvm/test_sandbox.py brings it there. Environment: as harness.py says,
and SIS_INJECT, the program inject_call.
"""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
import harness  # noqa: E402

SCENARIO = "apiVersion: sis/v1\nname: confined\nmachine: {cpus: 2}\ncontrol: {test_services: true}\nnpu: {threads: 2}\n"
# Names of the threads of both processes; a main thread has the name of its program.
KINDS = ["control", "control", "npu", "npu", "output", "sisvmm", "sisvmm-kvm", "vcpu", "vcpu"]
KIND_OF = {"sisvmm": "main", "sisvmm-kvm": "machine"}
PIPE_BYTES = 4096
# Numbers of ARM64 Linux.
PTRACE, SOCKET, OPENAT, EXECVE, IOCTL, MPROTECT, MMAP, CLONE, WRITE = 117, 198, 56, 221, 29, 226, 222, 220, 64
KVM_CREATE_VM, KVM_RUN, TIOCSTI = 0xae01, 0xae80, 0x5412
PROT_READ, PROT_WRITE, PROT_EXEC, MAP_PRIVATE_ANONYMOUS = 1, 2, 4, 0x22
AF_INET, SOCK_STREAM, AT_FDCWD, O_RDWR, SIGCHLD = 2, 1, -100, 2, 17


def threads(pid):
    """Of each thread: its name, its id, and the lines of its status as a dictionary. Nothing of one that has ended."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
                found.append((status["Name"], int(task.name), status))
    return sorted(found, key=lambda thread: thread[:2])


def threads_of(machine):
    """The same of sisvmm and of the process that runs its machine."""
    found = threads(machine.process.pid)
    for child in harness.children_of(machine.process.pid):
        found += threads(child)
    return sorted(found, key=lambda thread: thread[:2])


class Confinement(harness.MachineTest):
    def assert_confined(self, machine, kinds=None):
        if kinds:
            harness.wait_until(lambda: [name for name, _, _ in threads_of(machine)] == kinds, f"threads {kinds}")
        for name, _, status in threads_of(machine):
            told = {key: status[key].strip() for key in ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp",
                                                         "Seccomp_filters")}
            self.assertEqual(told, {"CapInh": "0" * 16, "CapPrm": "0" * 16, "CapEff": "0" * 16, "CapAmb": "0" * 16,
                                    "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1"}, name)

    def test_every_thread_is_confined_by_one_filter_for_as_long_as_the_machine_lives(self):
        machine = self.machine(SCENARIO).wait_ready()
        # The runner of a scenario without steps ends.
        kinds = [kind for kind in KINDS if kind != "control"] + ["control"]
        self.assert_confined(machine, sorted(kinds))
        self.assertEqual(machine.ctl("shell", "reboot").returncode, 0)
        harness.wait_until(lambda: machine.console().count("LAUNCHING SHELL") == 2, "the shell after the reboot")
        self.assert_confined(machine, sorted(kinds))
        self.assertEqual(machine.ctl("snapshot", self.folder / "saved").returncode, 0)
        self.assert_confined(machine, sorted(kinds))
        self.assertEqual(machine.stop(), 130, machine.output())
        restored = self.machine(name="restored", restore=self.folder / "saved").wait_ready()
        self.assert_confined(restored)
        self.assertEqual(restored.ctl("shutdown").returncode, 0)
        self.assertEqual(restored.wait(), 0, restored.output())

    def test_threads_of_parallel_steps_and_of_a_stop_are_confined(self):
        steps = "".join("      - {op: sleep, args: {ms: 4000}}\n" for _ in range(3))
        machine = self.machine(SCENARIO + "steps:\n  - parallel:\n" + steps)
        self.assert_confined(machine, sorted([*KINDS, "control", "control"]))
        machine.process.send_signal(signal.SIGTERM)
        while machine.process.poll() is None:
            self.assert_confined(machine)
        self.assertEqual(machine.wait(), 130, machine.output())

    def test_without_the_sandbox_nothing_is_confined(self):
        machine = self.machine(SCENARIO, arguments=["--no-sandbox"]).wait_ready()
        for name, _, status in threads_of(machine):
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("0", "0"), name)

    @unittest.skipUnless(os.geteuid() == 0, "about root, who needs no permissions before the sandbox takes that away")
    def test_root_is_told_of_a_run_directory_that_it_may_not_write_to(self):
        run_dir = self.folder / "run-m"
        run_dir.mkdir(0o755)
        os.chown(run_dir, 65534, 65534)
        machine = self.machine(SCENARIO)
        self.assertEqual(machine.wait(), 2, machine.output())
        self.assertIn("cannot write to the run directory", machine.output())


class Refusals(harness.MachineTest):
    """A thread makes a call that its kind may not make: the process ends, and says which call it was."""

    def inject(self, machine, kind, number, *arguments):
        arguments = [a & 0xffff_ffff_ffff_ffff for a in arguments]
        for _ in range(10):
            thread = next(tid for name, tid, _ in threads_of(machine) if name == kind)
            done = harness.run(os.environ["SIS_INJECT"], thread, number, *arguments)
            # It had ended meanwhile, or is about to: a thread lives as long as its request.
            if "No such process" not in done.stderr and "blocks signals" not in done.stderr:
                break
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def assert_refused(self, kind, call, number, *arguments):
        machine = self.machine(SCENARIO, name=f"{kind}-{call}-{len(arguments)}").wait_ready()
        self.assertEqual(self.inject(machine, kind, number, *arguments), "refused")
        self.assertEqual(machine.wait(), 7, machine.output())
        self.assertIn(f"the {KIND_OF.get(kind, kind)} thread made a system call that its sandbox refuses: {call}(", machine.output())

    def test_injected_call_that_is_allowed_changes_nothing(self):
        machine = self.machine(SCENARIO).wait_ready()
        for kind in sorted(set(KINDS)):
            self.assertEqual(self.inject(machine, kind, WRITE, -1), "returned -9", kind)  # EBADF
        self.assert_alive(machine)

    def test_virtual_cpus_open_nothing_and_make_no_machines(self):
        self.assert_refused("vcpu", "openat", OPENAT, AT_FDCWD)
        self.assert_refused("vcpu", "ioctl", IOCTL, -1, KVM_CREATE_VM)

    def test_npu_threads_open_nothing_and_map_nothing(self):
        self.assert_refused("npu", "openat", OPENAT, AT_FDCWD)
        self.assert_refused("npu", "mmap", MMAP, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1)

    def test_request_with_more_bits_than_the_kernel_looks_at_is_refused_too(self):
        self.assert_refused("sisvmm-kvm", "ioctl", IOCTL, -1, KVM_RUN)
        self.assert_refused("vcpu", "ioctl", IOCTL, -1, TIOCSTI | KVM_RUN << 32)

    def test_machine_opens_no_internet_sockets(self):
        self.assert_refused("sisvmm-kvm", "socket", SOCKET, AF_INET, SOCK_STREAM)

    def test_nobody_gets_executable_memory(self):
        self.assert_refused("sisvmm-kvm", "mmap", MMAP, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE_ANONYMOUS, -1)
        self.assert_refused("control", "mprotect", MPROTECT, 0, 0, PROT_EXEC)

    def test_nobody_makes_a_process(self):
        self.assert_refused("control", "clone", CLONE, SIGCHLD)
        self.assert_refused("sisvmm", "execve", EXECVE)
        self.assert_refused("sisvmm-kvm", "execve", EXECVE)

    def test_main_and_output_threads_are_refused_what_they_do_not_need(self):
        self.assert_refused("sisvmm", "socket", SOCKET, 1, SOCK_STREAM)
        self.assert_refused("output", "ptrace", PTRACE)

    def test_machine_opens_no_files(self):
        self.assert_refused("sisvmm-kvm", "openat", OPENAT, AT_FDCWD, 0, O_RDWR)
        self.assert_refused("control", "openat", OPENAT, AT_FDCWD, 0, O_RDWR)



# A kernel that makes its clock (PL031) ring a second later and waits.
ALARM = (0xd2a12021,  # movz x1, #0x0901, lsl #16
         0xb9400022,  # ldr  w2, [x1]           the time
         0x11000442,  # add  w2, w2, #1
         0xb9000422,  # str  w2, [x1, #4]       the match register
         0x52800023,  # movz w3, #1
         0xb9001023,  # str  w3, [x1, #0x10]    the interrupt mask
         0xd503207f,  # wfi
         0x17ffffff)  # b    .-4
# A kernel that reads with write-back where nothing is, gets an abort for it, and powers off in its handler.
ABORTED = (0x10004002,  # adr  x2, .+0x800
           0xd518c002,  # msr  vbar_el1, x2
           0xd2820001,  # movz x1, #0x1000
           0xf8408420,  # ldr  x0, [x1], #8
           *[0x14000000] * (0xa00 // 4 - 4),  # b .
           0x52800100,  # movz w0, #8           current EL with SPx, synchronous
           0x72b08000,  # movk w0, #0x8400, lsl #16
           0xd4000002)  # hvc  #0               PSCI SYSTEM_OFF


def suspend_and_resume(process):
    """What Ctrl-Z and `fg` do."""
    status = pathlib.Path(f"/proc/{process.pid}/status")
    process.send_signal(signal.SIGTSTP)
    # "t": stopped under the tracer that learns which rules are used.
    harness.wait_until(lambda: re.search("^State:\t[Tt]", status.read_text(), re.M), "the stop")
    process.send_signal(signal.SIGCONT)


class RareCalls(harness.MachineTest):
    """What other tests do not bring about: every rule of the sandbox shall be made use of."""

    def boot(self, words, *arguments):
        kernel = self.folder / "kernel"
        kernel.write_bytes(b"".join(word.to_bytes(4, "little") for word in words))
        return [str(word) for word in (harness.SISVMM, "boot", kernel, "--format", "flat", *arguments)]

    def test_access_that_cannot_be_emulated(self):
        vsock = self.folder / "vsock.sock"
        done = harness.run(*self.boot(ABORTED, "--vsock", vsock))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("cannot be emulated", done.stderr)
        self.assertFalse(vsock.exists())

    def test_machine_that_hangs_is_killed_when_its_user_insists(self):
        machine = self.machine(SCENARIO).wait_ready()
        os.kill(machine.guest_pid(), signal.SIGSTOP)
        machine.process.send_signal(signal.SIGTERM)
        harness.wait_until(lambda: "stopping" in machine.output(), "the first to be heeded")
        machine.process.send_signal(signal.SIGTERM)
        self.assertEqual(machine.wait(), 130, machine.output())

    def test_alarm_and_suspension(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with subprocess.Popen(self.boot(ALARM, "--timeout", "3"), stdin=theirs) as process:
            os.close(theirs)
            harness.wait_until(lambda: "vcpu" in [name for name, _, _ in threads(process.pid)], "the machine")
            time.sleep(0.2)
            suspend_and_resume(process)
            self.assertEqual(process.wait(harness.LIMIT_S), 6)

    def test_suspension_of_an_interactive_run(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        (self.folder / "m.yaml").write_text(SCENARIO)
        command = [str(word) for word in (harness.SISVMM, "run", "-i", "--backend", harness.BACKEND, "--name",
                                          self.folder.name, "--run-dir", self.folder / "run", self.folder / "m.yaml")]
        with subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, env=harness.environment()) as process:
            self.addCleanup(process.kill)
            os.close(theirs)
            log = self.folder / "run" / "console.log"
            harness.wait_until(lambda: log.exists() and b"LAUNCHING SHELL" in log.read_bytes(), "the shell")
            suspend_and_resume(process)
            os.write(ours, b"shutdown\r")
            self.assertEqual(process.wait(harness.LIMIT_S), 0)

    def test_terminal_that_is_slow_and_does_not_block(self):
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        command = [str(word) for word in (harness.SISVMM, "run", "--backend", harness.BACKEND, "--name", self.folder.name,
                                          "--run-dir", self.folder / "run", self.folder / "m.yaml")]
        (self.folder / "m.yaml").write_text(SCENARIO)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, env=harness.environment()) as process:
            self.addCleanup(process.kill)
            os.close(theirs)
            log = self.folder / "run" / "console.log"
            harness.wait_until(lambda: log.exists() and b"LAUNCHING SHELL" in log.read_bytes(), "the shell")
            with socket.socket(socket.AF_UNIX) as console:
                console.connect(str(self.folder / "run" / "console.sock"))
                harness.wait_until(lambda: console.sendall(b"help\n") or log.stat().st_size > 2 * PIPE_BYTES,
                                   "more than the pipe holds")
            process.send_signal(signal.SIGTERM)
            with open(ours, "rb") as output:
                self.assertGreater(len(output.read()), 2 * PIPE_BYTES)
            self.assertEqual(process.wait(harness.LIMIT_S), 130)

    def test_list_of_machines_that_was_opened_to_others_is_closed(self):
        machine = self.machine(SCENARIO, env=harness.environment(XDG_RUNTIME_DIR=str(self.folder))).wait_ready()
        machines = self.folder / "sis" / "machines"
        machines.chmod(0o755)
        machine.stop()
        self.assertEqual(machines.stat().st_mode & 0o777, 0o700)
        self.assertEqual(list(machines.glob("m-*")), [])


if __name__ == "__main__":
    unittest.main()
