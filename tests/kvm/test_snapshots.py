"""`sisctl snapshot` and `sisvmm restore` on a real KVM, with a GICv3 and with a GICv2."""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402
from test_sisvmm import OnKvm, guest_files  # noqa: E402


class Snapshots(OnKvm):
    def test_snapshots(self):
        self.run_tests("tests/kvm/inside", ("test_snapshot",), guest_files(), 8)

    @unittest.skipIf(nested_host.has_kvm(), "this host has the GIC that it has")
    def test_snapshots_with_a_gicv2(self):
        names = ("test_snapshot.Snapshots.test_timer_that_ran_when_the_guest_was_saved_ends_in_both",
                 "test_snapshot.Snapshots.test_connections_survive_in_the_source_and_end_in_the_restored_guest")
        self.run_tests("tests/kvm/inside", names, guest_files(), 2, gic=2)


del OnKvm  # its own tests are test_sisvmm's

if __name__ == "__main__":
    unittest.main()
