"""What the kernel observes of itself: the trace, on one CPU and on several."""

import re
import unittest

import guest_image
from guest_image import Guest

IMAGE = guest_image.KERNEL.with_name("observe_test.Image")
ONE_THREAD = ("-accel", "tcg,thread=single")
ICOUNT = ("-icount", "shift=0,sleep=off")
CHECKS = 2


class EveryMachine(unittest.TestCase):
    def check(self, **options):
        with self.subTest(**options), Guest(image=IMAGE, **options) as guest:
            output = guest.wait_for_exit()
            self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
            self.assertEqual(output.count(" ok\n"), CHECKS, output)

    def test_every_check_passes(self):
        for cpus in (1, 4):
            for gic in (2, 3):
                self.check(cpus=cpus, machine=f"gic-version={gic}", extra=ONE_THREAD)

    def test_every_check_passes_with_cpus_that_run_at_once(self):
        self.check(cpus=2, machine="gic-version=3", extra=("-accel", "tcg,thread=multi"))


class Trace(unittest.TestCase):
    EVENT = re.compile(r"^  time_ns=(\d+)  cpu=(\d)  event=([a-z-]+)((?:  [a-z_]+=\S+)+)$", re.MULTILINE)

    def trace(self, cpus):
        with Guest(image=IMAGE, cpus=cpus, extra=(*ICOUNT, "-append", "trace")) as guest:
            output = guest.wait_for_exit()
            events = self.EVENT.findall(output)
            self.assertEqual(len(events), 32, output)
            return events

    def test_the_same_run_has_the_same_trace(self):
        for cpus in (1, 2):
            with self.subTest(cpus=cpus):
                events = self.trace(cpus)
                times = [int(event[0]) for event in events]
                self.assertEqual(times, sorted(times))
                self.assertEqual({event[1] for event in events}, {str(cpu) for cpu in range(cpus)})
                self.assertEqual({event[2] for event in events}, {"irq-enter", "irq-exit", "ipi-send"})
                self.assertEqual(self.trace(cpus), events)


if __name__ == "__main__":
    unittest.main()
