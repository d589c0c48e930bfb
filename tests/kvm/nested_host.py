#!/usr/bin/env python3
"""Runs a command on an ARM64 Linux host with KVM: this one if it is one, else Debian's arm64 kernel under QEMU.

QEMU emulates EL2, so the kernel in it offers a working /dev/kvm (DESIGN, "Testing ARM64 KVM without an ARM machine").
The machine boots from an initramfs of busybox and the given files in a few seconds and ends with the command.

    with nested_host.run(["./prog", "7"], files={"prog": path, "input": b"bytes"}) as done:
        done.code, done.stdout, done.stderr, done.out      # `out`: the folder with what the command left in ./out

The command starts in a folder that holds only the files and an empty folder `out`. Its standard output, its standard
error, its exit code and the contents of `out` leave the machine through one virtio-serial port each, so that nothing
that it prints, and nothing that the kernel says on the console, can be taken for something else.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import fcntl
import functools
import hashlib
import os
import pathlib
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "linux"))
import linux_guest  # noqa: E402

CACHE = ROOT / "build" / "kvm"
MODULES = ("virtio_mmio", "virtio_console")
PORTS = ("stdout", "stderr", "out", "code")
LIMIT_S = 300
KVM_GET_API_VERSION = 0xAE00
PR_SET_PDEATHSIG = 1
# Exit codes of this program where the command has none of its own, as timeout(1) and env(1) use them.
EXIT_TIME_LIMIT = 124
EXIT_NO_HOST = 125

# The ports appear one after the other, and their names later than they. `tar` before the exit code: whoever sees the
# code has the files. The ports' files are written when write() returns.
MAIN = f"""
mkdir -p /tmp /run /root /dev/shm /dev/pts /port /cwd/out
mount -t tmpfs none /tmp
mount -t tmpfs none /dev/shm
mount -t devpts none /dev/pts
export HOME=/root LANG=C.UTF-8 PATH=/bin:/usr/bin
ip link set lo up
for name in {' '.join(PORTS)}; do
  until port=$(grep -lsx $name /sys/class/virtio-ports/*/name); do sleep 0.01; done
  port=${{port%/name}}
  ln -s /dev/${{port##*/}} /port/$name
done
cd /cwd
(. /command) </dev/null >/port/stdout 2>/port/stderr
code=$?
tar -cf /port/out -C /cwd out
echo "code $code" >/port/code
"""


class HostError(Exception):
    """There is no host to run the command on, or it ended without an exit code."""


class TimeLimit(HostError):
    """The command did not end in time."""


@dataclasses.dataclass
class Options:
    """How the nested host is made; a real host has what it has."""
    cpus: int = 2
    memory_mib: int = 1024
    gic: int = 3            # version of the nested host's interrupt controller: 2 has no vGICv3
    icount: bool = False    # guest time is the count of executed instructions, one a nanosecond
    limit_s: float = LIMIT_S
    layers: tuple = ()      # further cpio archives, with what a real host has installed
    forward: bool = False   # standard output and error are also passed on while the command runs


class Done(contextlib.AbstractContextManager):
    """What a command left; the folder goes with the end of the `with` block."""

    def __init__(self, folder, code, console):
        self.folder = folder
        self.code = code
        self.stdout = (folder / "stdout").read_text(errors="replace")
        self.stderr = (folder / "stderr").read_text(errors="replace")
        self.out = folder / "cwd" / "out"
        self.console = console

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def has_kvm():
    """True if this is an ARM64 host whose /dev/kvm this user may use."""
    if platform.machine() not in ("aarch64", "arm64"):
        return False
    try:
        with open("/dev/kvm", "rb") as device:
            return fcntl.ioctl(device, KVM_GET_API_VERSION) == 12
    except OSError:
        return False


def end_with(parent):
    """In the child: SIGKILL when the process `parent`, which started it, is gone."""
    # The parent may have gone before the signal was asked for.
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0 or os.getppid() != parent:
        os._exit(EXIT_NO_HOST)


def cached(name, inputs, make):
    """Path of the file that `make(path)` makes, again when `inputs`, a list of bytes, are others than last time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in inputs)).hexdigest()[:16]
    path = CACHE / f"{name}-{digest}.cpio"
    if not path.exists():
        for old in CACHE.glob(f"{name}-*.cpio"):
            old.unlink(missing_ok=True)
        work = pathlib.Path(f"{path}.{os.getpid()}")
        make(work)
        work.rename(path)
    return path


def stripped(program):
    """The program's bytes without what only a debugger needs: less to unpack."""
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["aarch64-linux-gnu-strip", "-o", copy.name, program], check=True)
        return pathlib.Path(copy.name).read_bytes()


def monitor(folder=""):
    """sisvmm and the program that runs its machines, beside each other, as files for run()."""
    return {f"{folder}{name}": stripped(ROOT / "build/vmm-arm64/vmm/cli" / name) for name in ("sisvmm", "sisvmm-kvm")}


def base_layer():
    """The initramfs without the files of a run."""
    def make(path):
        with tempfile.NamedTemporaryFile("w") as main:
            main.write(MAIN)
            main.flush()
            subprocess.run([linux_guest.HERE / "make_initramfs", linux_guest.PACKAGES, main.name, path, *MODULES],
                           check=True)
    kernel = linux_guest.unpack()
    maker = (linux_guest.HERE / "make_initramfs").read_bytes()
    return kernel, cached("base", [MAIN.encode(), maker, kernel.name.encode(), " ".join(MODULES).encode()], make)


def put_files(folder, files):
    """Puts the files of a run, {name: path or bytes}, into the folder."""
    for name, content in files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"file name '{name}' leaves the command's folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
            target.chmod(0o755)
        elif pathlib.Path(content).is_dir():
            shutil.copytree(content, target)
        else:
            shutil.copy(content, target)


def write_initrd(path, layers, folder):
    """The kernel unpacks one archive after the other; each begins at a multiple of four bytes."""
    with open(path, "wb") as initrd:
        for layer in layers:
            with open(layer, "rb") as archive:
                shutil.copyfileobj(archive, initrd)
            initrd.write(bytes(-initrd.tell() % 4))
        initrd.flush()
        names = subprocess.run(["find", "cwd", "command", "-print0"], cwd=folder, check=True, stdout=subprocess.PIPE)
        subprocess.run(["cpio", "--null", "--quiet", "-o", "-H", "newc"], cwd=folder, input=names.stdout, stdout=initrd,
                       check=True)


class Pump:
    """Passes on what a file has grown by."""

    def __init__(self, path, stream):
        self.file = open(path, "rb")
        self.stream = stream

    def __call__(self):
        while data := self.file.read(65536):
            self.stream.buffer.write(data)
            self.stream.flush()


def wait(process, options, folder):
    """Waits until the process has ended; returns its exit code or raises TimeLimit."""
    pumps = []
    if options.forward:
        pumps = [Pump(folder / "stdout", sys.stdout), Pump(folder / "stderr", sys.stderr)]
    deadline = time.monotonic() + options.limit_s
    try:
        while True:
            try:
                return process.wait(0.05 if pumps else options.limit_s)
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    raise TimeLimit(f"the command ran for more than {options.limit_s} s") from None
            for pump in pumps:
                pump()
    finally:
        # The command may have started others that hold on to its folder.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pump in pumps:
            pump()
            pump.file.close()


def run_here(command, options, folder):
    """On this host's own KVM. Returns (exit code, console)."""
    if options.icount:
        raise HostError("instructions are counted in the nested host only; this host has its own KVM")
    with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
        process = subprocess.Popen(command, cwd=folder / "cwd", stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                   start_new_session=True, preexec_fn=functools.partial(end_with, os.getpid()))
        code = wait(process, options, folder)
    return (code if code >= 0 else 128 - code), ""


def qemu_command(options, folder, kernel):
    # The machine may not hang on a panic, and a kernel at a random address would execute other numbers of instructions.
    arguments = ["qemu-system-aarch64", "-M", f"virt,virtualization=on,gic-version={options.gic}", "-cpu", "cortex-a76",
                 "-smp", str(options.cpus), "-m", str(options.memory_mib), "-accel", "tcg", "-nodefaults",
                 "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{folder / 'console'}",
                 "-kernel", str(kernel), "-initrd", str(folder / "initrd"),
                 "-append", "console=ttyAMA0 quiet panic=-1 nokaslr", "-global", "virtio-mmio.force-legacy=false",
                 "-device", "virtio-serial-device"]
    if options.icount:
        arguments += ["-icount", "shift=0,sleep=off"]
    for port in PORTS:
        path = folder / ("out.tar" if port == "out" else port)
        path.touch()
        arguments += ["-chardev", f"file,id={port},path={path}",
                      "-device", f"virtserialport,chardev={port},name={port}"]
    return arguments


def run_nested(command, options, folder):
    """On Debian's arm64 kernel under QEMU. Returns (exit code, console)."""
    kernel, base = base_layer()
    (folder / "command").write_text(shlex.join(str(word) for word in command) + "\n")
    write_initrd(folder / "initrd", [base, *options.layers], folder)
    arguments = qemu_command(options, folder, kernel)
    with open(folder / "qemu", "wb") as log:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   preexec_fn=functools.partial(end_with, os.getpid()))
        try:
            status = wait(process, options, folder)
        except TimeLimit as error:
            raise TimeLimit(f"{error}; {tail(folder)}") from None
    word = (folder / "code").read_text().split()
    if len(word) != 2:
        raise HostError(f"the nested host ended without the command's exit code, QEMU with {status}; {tail(folder)}")
    shutil.rmtree(folder / "cwd")
    (folder / "cwd").mkdir()
    subprocess.run(["tar", "-x", "--no-same-owner", "-f", folder / "out.tar", "-C", folder / "cwd"], check=True)
    return int(word[1]), (folder / "console").read_text(errors="replace")


def tail(folder):
    """The end of everything that was said, for an error's text."""
    parts = []
    for name in ("console", "qemu", "stdout", "stderr"):
        with contextlib.suppress(FileNotFoundError):
            parts.append(f"{name}: ...{(folder / name).read_text(errors='replace')[-1500:]}")
    return "\n".join(parts)


def run(command, files=None, options=None):
    """Runs the command; returns Done, or raises TimeLimit or HostError."""
    options = options or Options()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-kvm-"))
    try:
        (folder / "cwd" / "out").mkdir(parents=True)
        put_files(folder / "cwd", files or {})
        (folder / "stdout").touch()
        (folder / "stderr").touch()
        code, console = (run_here if has_kvm() else run_nested)([str(word) for word in command], options, folder)
        return Done(folder, code, console)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], metavar="PATH[:NAME]",
                        help="a file or folder for the command's folder, under its own or another name")
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER",
                        help="where to put what the command leaves in ./out")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS",
                        help="time limit (default %(default)s)")
    nested = parser.add_argument_group("the nested host")
    nested.add_argument("--cpus", type=int, default=2)
    nested.add_argument("--memory", type=int, default=1024, metavar="MIB")
    nested.add_argument("--gic", type=int, choices=(2, 3), default=3, help="version of its interrupt controller")
    nested.add_argument("--icount", action="store_true", help="its time is the count of executed instructions, in ns")
    nested.add_argument("--console", action="store_true", help="print its kernel's console at the end")
    parser.add_argument("command", nargs="+", help="after --")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    files = {}
    for word in arguments.file:
        path, _, name = word.partition(":")
        files[name or pathlib.Path(path).name] = pathlib.Path(path)
    options = Options(cpus=arguments.cpus, memory_mib=arguments.memory, gic=arguments.gic, icount=arguments.icount,
                      limit_s=arguments.limit, forward=True)
    try:
        with run(arguments.command, files, options) as done:
            if arguments.out:
                shutil.copytree(done.out, arguments.out, dirs_exist_ok=True)
            if arguments.console:
                sys.stderr.write(done.console)
            return done.code
    except (HostError, OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"nested_host: {error}", file=sys.stderr)
        return EXIT_TIME_LIMIT if isinstance(error, TimeLimit) else EXIT_NO_HOST


if __name__ == "__main__":
    sys.exit(main())
