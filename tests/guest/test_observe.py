"""What the kernel observes of itself: the trace, the performance monitors and the benchmarks, on one CPU and on several."""

import itertools
import re
import unittest

import guest_image
from guest_image import Guest

IMAGE = guest_image.KERNEL.with_name("observe_test.Image")
ONE_THREAD = ("-accel", "tcg,thread=single")
ICOUNT = ("-icount", "shift=0,sleep=off")
CHECKS = 3


class EveryMachine(unittest.TestCase):
    def check(self, **options):
        with self.subTest(**options), Guest(image=IMAGE, **options) as guest:
            output = guest.wait_for_exit()
            self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
            self.assertEqual(output.count(" ok\n"), CHECKS, output)
            return output

    def test_every_check_passes(self):
        for cpus in (1, 4):
            for gic in (2, 3):
                self.check(cpus=cpus, machine=f"gic-version={gic}", extra=ONE_THREAD)

    def test_every_check_passes_with_cpus_that_run_at_once(self):
        self.check(cpus=2, machine="gic-version=3", extra=("-accel", "tcg,thread=multi"))


    def test_instructions_are_counted_where_the_cpu_does(self):
        # QEMU counts instructions only where its clock does; shift=1 so that they are not as many as cycles.
        for cpu, el2 in itertools.product(("cortex-a53", "cortex-a72", "max"), ("off", "on")):
            output = self.check(cpu=cpu, cpus=2, machine=f"virtualization={el2}", extra=("-icount", "shift=1"))
            self.assertEqual(output.count("METRIC pmu=1\n"), 2, output)
            self.assertEqual(output.count("METRIC pmu_inst_retired="), 2, output)
        self.assertNotIn("pmu_inst_retired", self.check(cpu="cortex-a72", extra=ONE_THREAD))

    def test_a_cpu_without_performance_monitors_says_so(self):
        self.assertIn("METRIC pmu=0\n", self.check(cpu="cortex-a72,pmu=off", extra=ONE_THREAD))


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


class Bench(unittest.TestCase):
    """That everything is measured; what it costs is ./sis bench's."""
    ROW = re.compile(r"^([a-z0-9-]+) +(\d+\.\d) +(\d+\.\d) +(\d+\.\d) +(\d+\.\d) +(\d+\.\d) +\d+ +\d+  \S", re.MULTILINE)
    LONELY = re.compile(r"^([a-z-]+) +not measured: there is only one CPU$", re.MULTILINE)
    OF_EVERY_MACHINE = {"clock-read", "spin-lock", "heap-64", "work", "irq-entry", "timer", "thread-switch", "event",
                        "timer-thread", "npu-control", "npu-job", "npu-jobs"}
    OF_TWO_CPUS = {"ipi", "ipi-answer", "call"}

    def bench(self, cpus, gic):
        with Guest(cpus=cpus, machine=f"gic-version={gic}", extra=(*ONE_THREAD, "-icount", "shift=0")) as guest:
            guest.wait_for(guest_image.PROMPT)
            guest.send("bench")
            output = guest.wait_for(guest_image.PROMPT, occurrences=2)
            guest.shut_down()
            return output

    def test_everything_is_measured_or_says_why_not(self):
        for cpus in (1, 2):
            for gic in (2, 3):
                with self.subTest(cpus=cpus, gic=gic):
                    output = self.bench(cpus, gic)
                    rows = {name: [float(figure) for figure in figures] for name, *figures in self.ROW.findall(output)}
                    self.assertTrue(self.OF_EVERY_MACHINE <= rows.keys(), output)
                    for name, figures in rows.items():
                        self.assertEqual(figures, sorted(figures), name)
                        # An instruction takes a nanosecond here; none of these is done without any, or takes long.
                        self.assertTrue(0 < figures[1] < 20_000, (name, figures))
                    self.assertEqual(self.OF_TWO_CPUS <= rows.keys(), cpus == 2, output)
                    self.assertEqual(set(self.LONELY.findall(output)), self.OF_TWO_CPUS if cpus == 1 else set())


class Locks(unittest.TestCase):
    """Spin locks are measured by the image of `./sis build guest-debug` only."""
    MEASURING = guest_image.KERNEL.parents[1] / "guest-debug" / "sis.Image"
    ROW = re.compile(r"^  name=([a-z ]+)  acquisitions=(\d+)  contended=(\d+)  held_ns=(\d+)  max_held_ns=(\d+)$",
                     re.MULTILINE)

    def locks(self, image, line="locks"):
        with Guest(image=image, cpus=2, extra=ONE_THREAD) as guest:
            guest.wait_for(guest_image.PROMPT)
            guest.send(line)
            output = guest.wait_for(guest_image.PROMPT, occurrences=2)
            guest.shut_down()
        return output

    def test_an_image_that_does_not_measure_says_which_one_does(self):
        output = self.locks(guest_image.KERNEL)
        self.assertIn("\nlocks: this kernel does not measure its locks: './sis build guest-debug' makes one that "
                      "does\n", output)
        self.assertEqual(self.ROW.findall(output), [])

    @unittest.skipUnless(MEASURING.exists(), "no image that measures its locks: ./sis build guest-debug")
    def test_an_image_that_measures_lists_each_lock_once_with_what_was_added_since(self):
        output = self.locks(self.MEASURING, "locks; selftest; locks")
        rows = [(name, *map(int, figures)) for name, *figures in self.ROW.findall(output)]
        for name, acquisitions, contended, held_ns, max_held_ns in rows:
            self.assertTrue(contended <= acquisitions and max_held_ns <= held_ns, (name, output))
        first, second = (dict((row[0], row[1:]) for row in half) for half in (
            self.ROW.findall(part) for part in output.split("\nblocks: ")))
        for figures in (first, second):
            self.assertTrue({"heap", "pages", "log", "threads"} <= figures.keys(), output)
        self.assertEqual(len(rows), len(first) + len(second), output)
        taken = {name: int(second[name][0]) - int(first.get(name, ["0"])[0]) for name in second}
        self.assertGreater(taken["heap"], 100, output)  # the self-test allocates and frees
        self.assertEqual(taken["threads"], 0, output)


if __name__ == "__main__":
    unittest.main()
