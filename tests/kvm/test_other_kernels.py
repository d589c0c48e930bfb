"""`sisvmm boot`: kernels that are not ours on the KVM machine; Linux's drivers judge its devices."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402
import linux_guest  # noqa: E402

ROOT = nested_host.ROOT
MODULES = ("virtio_mmio", "vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport")

# In the Linux guest: it says what it found, then does what its console is told.
GUEST = """
echo "CPUS $(nproc)"
echo "YEAR $(date +%Y)"
echo "ARGUMENTS $(cat /proc/cmdline)"
for device in /sys/bus/virtio/devices/*; do echo "VIRTIO $(cat $device/device) $(cat $device/status)"; done
dmesg | grep -i -e 'psci' -e 'gicv' -e 'pl031' -e 'PMU driver'
echo "MEMORY $(grep MemTotal /proc/meminfo)"
echo READY
while read word rest; do
  case $word in
  echo) echo "TOLD $rest" ;;
  online) echo $rest; for cpu in 3 1 2; do echo 0 >/sys/devices/system/cpu/cpu$cpu/online; done
    for cpu in 2 3 1; do echo 1 >/sys/devices/system/cpu/cpu$cpu/online; done; echo "CPUS AGAIN $(nproc)" ;;
  reboot) reboot -f ;;
  poweroff) poweroff -f ;;
  esac
done
"""

# On the host: types each line when `ready N` has seen the guest say READY for the Nth time.
HOST = """
mkfifo input
timeout 280 ./sisvmm boot vmlinuz --initrd guest.cpio --append "console=ttyAMA0 quiet panic=-1 word=17" {options} \
  <input >out/console 2>out/errors &
exec 3>input
ready() {{ until [ "$(grep -c READY out/console)" -ge $1 ]; do kill -0 $! || exit 99; sleep 0.05; done; }}
{script}
wait $!
"""


class Boot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kernel = linux_guest.unpack()
        folder = tempfile.TemporaryDirectory(prefix="sis-kvm-boot-")
        cls.addClassCleanup(folder.cleanup)
        main = pathlib.Path(folder.name) / "main"
        main.write_text(GUEST)
        cls.initramfs = pathlib.Path(folder.name) / "guest.cpio"
        subprocess.run([linux_guest.HERE / "make_initramfs", linux_guest.PACKAGES, main, cls.initramfs, *MODULES],
                       check=True)

    def boot(self, options, script, **host):
        files = {**nested_host.monitor(), "vmlinuz": self.kernel, "guest.cpio": self.initramfs}
        # Time that counts instructions: with the real clock an overloaded machine made Linux give up in mid-boot.
        host = nested_host.Options(icount=not nested_host.has_kvm(), **host)
        with nested_host.run(["sh", "-c", HOST.format(options=options, script=script)], files, host) as done:
            console = (done.out / "console").read_text(errors="replace").replace("\r", "")
            errors = (done.out / "errors").read_text()
            self.assertEqual(done.code, 0, console + errors + done.stderr)
            self.assertEqual(errors, "")
            return console

    def test_linux_with_one_cpu_finds_everything(self):
        console = self.boot("--memory 256MiB --vsock v.sock", "ready 1; echo 'echo some words' >&3; echo poweroff >&3")
        self.assertIn("CPUS 1\n", console)
        self.assertIn("word=17\n", console)
        self.assertIn("TOLD some words\n", console)
        self.assertIn("VIRTIO 0x0013 0x0000000f\n", console)
        self.assertRegex(console, r"psci: PSCIv1\.\d detected in firmware")
        self.assertRegex(console, r"GICv3: .*SPIs")
        self.assertRegex(console, r"rtc-pl031 9010000\.pl031: registered as rtc0")
        self.assertRegex(console, r"YEAR 20[2-9]\d\n")

    def test_linux_with_four_cpus_takes_them_down_and_up_in_any_order(self):
        console = self.boot("--cpus 4", "ready 1; echo online >&3; echo poweroff >&3")
        self.assertIn("CPUS 4\n", console)
        self.assertIn("CPUS AGAIN 4\n", console)

    def test_linux_reboots_and_finds_its_devices_again(self):
        console = self.boot("--cpus 2 --vsock v.sock", "ready 1; echo reboot >&3; ready 2; echo poweroff >&3")
        self.assertEqual(console.count("CPUS 2\n"), 2)
        self.assertEqual(console.count("VIRTIO 0x0013 0x0000000f\n"), 2)

    @unittest.skipIf(nested_host.has_kvm(), "this host has the GIC that it has")
    def test_host_without_gicv3_gets_a_gicv2(self):
        console = self.boot("--cpus 2", "ready 1; echo poweroff >&3", gic=2)
        self.assertIn("CPUS 2\n", console)
        self.assertNotIn("GICv3:", console)

    @unittest.skipIf(nested_host.has_kvm(), "reserves huge pages of the host")
    def test_memory_in_huge_pages_is_taken_from_the_reserved_ones_or_refused(self):
        # That a reserve which is one page too small is refused tells that the memory comes from there.
        script = ("reserve() { grep HugePages_$1 /proc/meminfo | tr -dc 0-9; echo; };"
                  "boot='./sisvmm boot guest --memory 64MiB --huge-pages'; echo 40 >/proc/sys/vm/nr_hugepages;"
                  "$boot true; echo \"code $?\"; $boot false; echo \"code $?\"; echo 31 >/proc/sys/vm/nr_hugepages;"
                  "$boot true; echo \"code $?\"; reserve Total; reserve Free")
        files = {**nested_host.monitor(),
                 "guest": ROOT / "build/vmm-arm64/tests/kvm/floor/guest_0.Image"}
        with nested_host.run(["sh", "-c", script], files) as done:
            self.assertEqual(done.stdout, "code 0\ncode 0\ncode 3\n31\n31\n", done.stderr)
            self.assertRegex(done.stderr, "memory of 64 MiB from 32 huge pages .*: Cannot allocate memory")

    def test_kernel_that_cannot_be_booted_is_refused_by_name(self):
        script = ("for file in sh guest.cpio missing; do ./sisvmm boot $file; echo \"code $?\"; done;"
                  "./sisvmm boot guest.cpio --format image; echo \"code $?\"")
        files = {**nested_host.monitor(), "guest.cpio": self.initramfs, "sh": b"\x7fELF" + bytes(100)}
        with nested_host.run(["sh", "-c", script], files) as done:
            self.assertEqual(done.stdout, "code 2\n" * 4)
            self.assertRegex(done.stderr, "cannot boot sh: ELF header: EI_CLASS is 0, expected 2")
            self.assertRegex(done.stderr, "cannot boot guest.cpio: neither an ELF file .* compressed by gzip")
            self.assertRegex(done.stderr, "cannot open missing: No such file")
            self.assertRegex(done.stderr, r"cannot boot guest.cpio: arm64 Image header: magic \(offset 56\) is 0x")


if __name__ == "__main__":
    unittest.main()
