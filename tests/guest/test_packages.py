"""SHA-256 and Ed25519 in the guest: published vectors (guest/arch/aarch64/tests/guest/package_test.cpp)."""

import unittest

import guest_image


class Vectors(unittest.TestCase):
    def test_published_vectors_are_right_on_every_kind_of_cpu(self):
        image = guest_image.KERNEL.with_name("package_test.Image")
        for cpu in guest_image.CPUS:
            with self.subTest(cpu=cpu), guest_image.Guest(image=image, cpu=cpu) as guest:
                output = guest.wait_for_exit()
                self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
                self.assertEqual(output.count(" ok\n"), 2, output)


if __name__ == "__main__":
    unittest.main()
