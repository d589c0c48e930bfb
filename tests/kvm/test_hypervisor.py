"""The GoogleTest program of the KVM wrappers, on each version of the virtual interrupt controller."""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402

PROGRAM = nested_host.ROOT / "build/vmm-arm64/tests/kvm/hypervisor/kvm_hypervisor_test"


class Hypervisor(unittest.TestCase):
    def run_on(self, options):
        files = {"test": nested_host.stripped(PROGRAM)}
        with nested_host.run(["./test", "--gtest_color=no"], files, options) as done:
            self.assertEqual(done.code, 0, done.stdout[-8000:] + done.stderr)
            self.assertRegex(done.stdout, r"\[  PASSED  \] \d+ tests")

    def test_wrappers_work_on_this_hosts_interrupt_controller(self):
        self.run_on(nested_host.Options())

    @unittest.skipIf(nested_host.has_kvm(), "this host has the interrupt controller that it has")
    def test_wrappers_work_on_gicv2(self):
        self.run_on(nested_host.Options(gic=2))


if __name__ == "__main__":
    unittest.main()
