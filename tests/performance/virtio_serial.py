"""Throughput of a virtio-serial port of QEMU, with Debian's arm64 kernel as guest: what vsock is compared with."""

import pathlib
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINUX = ROOT / "build" / "linux-arm64"

# The port is a byte stream. "ready" tells that the guest's end is open, since bytes sent before that are lost;
# the guest then reads exactly the host's bytes, says so, and sends as many.
MAIN = """
while ! ls /dev/vport*p1 >/dev/null 2>&1; do sleep 0.01; done
port=$(echo /dev/vport*p1)
blocks={blocks}
exec 3<>$port
echo ready >&3
dd bs=65536 count=$blocks iflag=fullblock of=/dev/null <&3 2>/dev/null
echo taken >&3
dd bs=65536 count=$blocks if=/dev/zero >&3 2>/dev/null
exec 3>&-
"""


def prepare(folder, blocks):
    """Fetches the kernel where it is missing and makes the initramfs; returns (kernel, initramfs)."""
    subprocess.run([ROOT / "tools/setup/unpack_arm64", LINUX, "linux-image-arm64", "busybox-static"], check=True)
    kernel = next((LINUX / "boot").glob("vmlinuz-*"))
    main = folder / "virtio-serial-main"
    main.write_text(MAIN.format(blocks=blocks))
    initramfs = folder / "virtio-serial.cpio.gz"
    subprocess.run([ROOT / "tests/linux/make_initramfs", LINUX, main, initramfs, "virtio_mmio", "virtio_console"],
                   check=True)
    return kernel, initramfs


def receive_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise RuntimeError("the guest closed the virtio-serial port")
        line += byte
    return line.strip()


def measure(folder, blocks, cpu):
    """Bytes a second (to the guest, from the guest) for `blocks` of 64 KiB each way."""
    kernel, initramfs = prepare(folder, blocks)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        qemu = subprocess.Popen(
            ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", cpu, "-m", "512", "-accel", "tcg", "-nodefaults",
             "-display", "none", "-no-reboot", "-global", "virtio-mmio.force-legacy=false",
             "-kernel", kernel, "-initrd", initramfs, "-append", "quiet panic=-1",
             "-device", "virtio-serial-device", "-chardev", f"socket,id=port,fd={theirs.fileno()}",
             "-device", "virtserialport,chardev=port,name=bench"],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        try:
            ours.settimeout(120)
            assert receive_line(ours) == b"ready"
            total = blocks * 65536
            block = bytes(65536)
            start = time.perf_counter()
            for _ in range(blocks):
                ours.sendall(block)
            assert receive_line(ours) == b"taken"
            to_guest = total / (time.perf_counter() - start)
            start = time.perf_counter()
            left = total
            while left:
                left -= len(ours.recv(min(left, 1 << 18)))
            from_guest = total / (time.perf_counter() - start)
        finally:
            qemu.kill()
            qemu.wait()
    return to_guest, from_guest
