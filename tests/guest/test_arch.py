"""The hardware layer's own checks (guest/arch/aarch64/tests/guest), on every kind of machine."""

import itertools
import unittest

import guest_image


class ArchChecks(unittest.TestCase):
    def test_every_check_passes_on_every_machine(self):
        image = guest_image.KERNEL.with_name("arch_test.Image")
        for cpu, gic, el2 in itertools.product(guest_image.CPUS, (2, 3), ("off", "on")):
            with self.subTest(cpu=cpu, gic=gic, virtualization=el2), guest_image.Guest(
                    image=image, cpu=cpu, machine=f"gic-version={gic},virtualization={el2}") as guest:
                output = guest.wait_for_exit()
                self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
                self.assertGreaterEqual(output.count(" ok\n"), 12, output)


if __name__ == "__main__":
    unittest.main()
