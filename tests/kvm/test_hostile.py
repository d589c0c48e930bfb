"""A hostile guest of the KVM back end, on a real KVM."""

import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402
from test_sisvmm import OnKvm, guest_files  # noqa: E402


class Hostile(OnKvm):
    def test_hostile_guest(self):
        image = nested_host.ROOT / "build/vmm-arm64/tests/kvm/hostile/hostile.Image"
        self.run_tests("tests/kvm/inside", ("test_hostile_guest",), {"hostile.Image": image}, 1,
                       icount=False)  # CPUs and threads that really run at once; no limit here is tight

    @unittest.skipUnless(os.environ.get("SIS_KVM_ALL"), "takes a minute: ./sis soak kvm")
    def test_hostile_driver_of_the_npu(self):
        files = guest_files() | {"npu_hostile.Image": nested_host.ROOT / "build/guest/npu_hostile.Image"}
        self.run_tests("tests/integration", ("test_npu_hostile",), files, 1, icount=False)


del OnKvm  # its own tests are test_sisvmm's

if __name__ == "__main__":
    unittest.main()
