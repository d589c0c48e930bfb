"""A ring of handles between two CPUs, every element checked (guest/arch/aarch64/tests/guest/ring_test.cpp).

SIS_RING_ELEMENTS: elements of the longest run (default 200,000; `./sis soak ring`: 100,000,000); the others are shorter in
proportion.
"""

import os
import re
import unittest

import guest_image
from guest_image import Guest

IMAGE = guest_image.KERNEL.with_name("ring_test.Image")
ELEMENTS = int(os.environ.get("SIS_RING_ELEMENTS", "200000"))
# (policy, capacity, part of the elements). The less fits into a ring the more often both sides sleep and take locks; where the
# emulator's CPUs share one of the host's, each of these may cost some milliseconds, for a ticket lock waits for its next holder
# while that is not running.
RUNS = (("block", 4096, 1), ("block", 65535, 1), ("block", 64, 20), ("block", 3, 200), ("block", 1, 1000), ("drop-oldest", 1, 2),
        ("drop-oldest", 64, 1), ("drop-newest", 1, 2), ("drop-newest", 64, 1), ("tensors", 5, 500), ("tensors", 64, 100))
LINE = re.compile(r"(?m)^RING ok (\S+):(\d+):(\d+) received=(\d+) dropped=(\d+) wrong=0 .*$")
LIMIT_S = 120 + ELEMENTS // 50_000


def arguments(runs):
    return " ".join(f"{policy}:{capacity}:{ELEMENTS // part}" for policy, capacity, part in runs)


class Ring(unittest.TestCase):
    def run_image(self, how, runs):
        with Guest(image=IMAGE, cpus=2, memory="256M", extra=(*how, "-append", arguments(runs))) as guest:
            output = guest.wait_for_exit(limit_s=LIMIT_S)
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
        found = [(policy, *map(int, figures)) for policy, *figures in LINE.findall(output)]
        print(*(match[0] for match in LINE.finditer(output)), sep="\n", flush=True)
        self.assertEqual([line[:3] for line in found], [(policy, capacity, ELEMENTS // part) for policy, capacity, part in runs])
        for policy, _, elements, received, dropped in found:
            self.assertEqual(received + dropped, elements)
            if policy in ("block", "tensors"):
                self.assertEqual(dropped, 0)

    def test_every_element_is_accounted_for_with_cpus_that_run_at_once(self):
        self.run_image(("-accel", "tcg,thread=multi"), RUNS)

    def test_every_element_is_accounted_for_with_cpus_that_take_turns(self):
        self.run_image(("-icount", "shift=6,sleep=off"), RUNS)


if __name__ == "__main__":
    unittest.main()
