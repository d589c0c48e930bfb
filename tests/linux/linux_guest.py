"""Debian's arm64 kernel as the guest of sisvmm: its drivers were written by others and judge our devices.

sisvmm makes QEMU's command line for the SIS guest. A wrapper script, named by SIS_QEMU, puts the Linux initramfs and
command line into it and becomes QEMU; nothing of sisvmm knows of it.
"""

import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = ROOT / "build" / "linux-arm64"
COMPILER = "aarch64-linux-gnu-g++"

# The services listen before the driver starts: connections that the monitor holds for it are delivered at once.
MODULES = ("virtio_mmio", "vsock", "vmw_vsock_virtio_transport_common")
DRIVER = "vmw_vsock_virtio_transport"
MAIN = f"""
vsock_peer >/dev/peer &
while ! grep -q READY /dev/peer 2>/dev/null; do sleep 0.01; done
insmod /modules/{DRIVER}.ko
wait
"""

# With a shell on the console. Its errors go to a pipe, so it takes itself for a script's: no prompts, no line editor.
SHELL = MAIN.replace("wait\n", "echo SHELL READY\nsh 2>&1 | cat\n")

WRAPPER = """#!/bin/sh
# QEMU with the Linux initramfs instead of the boot archive.
for argument; do
  shift
  if [ "$previous" = -initrd ]; then argument={initramfs}; fi
  previous=$argument
  set -- "$@" "$argument"
done
[ "$previous" = "--version" ] || set -- "$@" -append "console=ttyAMA0 quiet panic=-1"
exec {qemu} "$@"
"""


def unpack():
    """Fetches kernel and busybox where they are missing; returns the kernel's path."""
    subprocess.run([ROOT / "tools/setup/unpack_arm64", PACKAGES, "linux-image-arm64", "busybox-static"], check=True)
    return next((PACKAGES / "boot").glob("vmlinuz-*"))


def make_initramfs(folder, main=MAIN):
    """Makes the initramfs with the services of vsock_peer in `folder`; returns (kernel, initramfs)."""
    kernel = unpack()
    peer = folder / "vsock_peer"
    subprocess.run([COMPILER, "-std=c++23", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", peer,
                    HERE / "vsock_peer.cpp"], check=True)
    script = folder / "main"
    script.write_text(main)
    initramfs = folder / "linux.cpio.gz"
    subprocess.run([HERE / "make_initramfs", "--add", peer, "--later", DRIVER, PACKAGES, script, initramfs, *MODULES],
                   check=True)
    return kernel, initramfs


def prepare(folder):
    """Makes initramfs and wrapper in `folder`; returns (kernel, wrapper)."""
    kernel, initramfs = make_initramfs(folder)
    wrapper = folder / "qemu-with-linux"
    wrapper.write_text(WRAPPER.format(initramfs=initramfs, qemu=shutil.which("qemu-system-aarch64")))
    wrapper.chmod(0o755)
    return kernel, wrapper
