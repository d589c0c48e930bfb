"""The raw-KVM program of the measurements: it runs guests on the vGIC of both versions, so KVM itself works here."""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402

FLOOR = nested_host.ROOT / "build/vmm-arm64/tests/kvm/floor"
FILES = {name: FLOOR / name for name in ("raw_kvm", "cost", "guest_0.Image", "guest_2000.Image")}


class Floor(unittest.TestCase):
    def test_guest_powers_off_on_the_vgic_of_each_version(self):
        for version in (2, 3):
            with self.subTest(version=version):
                options = nested_host.Options(gic=version)
                with nested_host.run(["./raw_kvm", "guest_0.Image", version], FILES, options) as done:
                    if nested_host.has_kvm() and "KVM_CREATE_DEVICE" in done.stderr:
                        self.skipTest(f"this host has no vGICv{version}")
                    self.assertEqual((done.code, done.stdout, done.stderr), (0, "", ""))

    def test_services_of_the_kernel_change_nothing_for_the_guest(self):
        with nested_host.run(["./raw_kvm", "guest_2000.Image", 3, "services"], FILES) as done:
            if nested_host.has_kvm() and "KVM_" in done.stderr:
                self.skipTest(f"this host's KVM lacks a service: {done.stderr}")
            self.assertEqual((done.code, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^[0-9a-f]{16}\n$")

    def test_guest_reports_its_accesses_and_cost_the_exit_code(self):
        script = "./cost 2 out/raw ./raw_kvm guest_2000.Image && ./cost 1 out/false false && ./raw_kvm none"
        with nested_host.run(["sh", "-c", script], FILES) as done:
            self.assertEqual(done.code, 1)
            self.assertIn("none: No such file", done.stderr)
            lines = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
            self.assertEqual([line[0] for line in lines], [0, 0, 1])
            for _, begin_ns, wall_ns, rss_kib in lines:
                self.assertTrue(begin_ns > 0 and wall_ns > 1000 and rss_kib > 100, done.stdout)
            self.assertRegex((done.out / "raw").read_text(), r"^([0-9a-f]{16}\n){2}$")


if __name__ == "__main__":
    unittest.main()
