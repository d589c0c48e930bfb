"""The same scenario twice under icount: the same trace and the same console, byte for byte.

The machine gets the boot archive that sisvmm makes of the scenario, but no monitor, and its work as a boot argument: a
request of the host finds the guest at another instruction each time.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import guest_image
from guest_image import ROOT, Guest

SISVMM = pathlib.Path(os.environ.get("SIS_BUILD", ROOT / "build/host-debug")) / "vmm/cli/sisvmm"
SCENARIO = ROOT / "configs/edf-overload.yaml"
SHIFT = re.search(r"icount_shift: (\d+)", SCENARIO.read_text()).group(1)
# Everything that the ring of the one CPU keeps, in pieces: 4096 events.
DUMP = "; ".join(f"trace dump 256 {skip}" for skip in range(4096 - 256, -1, -256))
LINE = f"trace on; det on; sleep 60200; trace off; {DUMP}; trace; sched; ps; irq; counters; shutdown"
EVENTS = {"switch", "wake", "block", "irq-enter", "irq-exit", "work-begin", "work-end"}


def boot_archive(folder):
    """sisvmm writes it before it looks for QEMU, of which there is none here."""
    done = subprocess.run([SISVMM, "run", SCENARIO, "--backend", "qemu", "--run-dir", folder / "run"],
                          env={**os.environ, "SIS_KERNEL": str(guest_image.KERNEL), "SIS_QEMU": "/bin/false"},
                          capture_output=True, text=True, timeout=guest_image.LIMIT_S)
    if not (folder / "run/boot.cpio").exists():
        raise AssertionError(f"sisvmm made no boot archive: {done.stderr}")
    return folder / "run/boot.cpio"


def console_of(archive):
    extra = ("-initrd", str(archive), "-icount", f"shift={SHIFT},sleep=off", "-append", f"shell={LINE}")
    with Guest(machine="gic-version=3,dtb-randomness=off", extra=extra) as guest:
        return guest.wait_for_exit(limit_s=300)


class SameTrace(unittest.TestCase):
    def test_overload_twice_has_the_same_trace_and_the_same_console(self):
        with tempfile.TemporaryDirectory(prefix="sis-") as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
            archive = boot_archive(pathlib.Path(folder))
            first, second = pool.map(console_of, (archive, archive))
        self.assertEqual(guest_image.exit_record(first), ("shutdown", 0), first[-2000:])
        events = re.findall(r"^  time_ns=\d+  cpu=0  event=([a-z-]+)  ", first, re.MULTILINE)
        self.assertEqual(len(events), 4096)
        self.assertEqual(set(events), EVENTS)
        self.assertRegex(first, r"kept=4096  overwritten=[1-9]\d{4}")
        for line, (a, b) in enumerate(zip(first.splitlines(), second.splitlines()), 1):
            self.assertEqual(a, b, f"line {line}")
        self.assertEqual(first, second)


if __name__ == "__main__":
    unittest.main()
