"""The kernel's stress image on a real KVM; SIS_STRESS_SECONDS (5) of the guest's time, `./sis soak stress`: 600."""

import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402
from test_sisvmm import OnKvm  # noqa: E402

SECONDS = int(os.environ.get("SIS_STRESS_SECONDS", "5"))


class Stress(OnKvm):
    def test_stress(self):
        self.run_tests("tests/kvm/inside", ("test_stress",),
                       {"stress_test.Image": nested_host.ROOT / "build/guest/stress_test.Image"}, 1,
                       environment={"SIS_STRESS": "$PWD/stress_test.Image", "SIS_STRESS_SECONDS": SECONDS,
                                    "SIS_TEST_LIMIT_S": 300 + 4 * SECONDS},  # inside, it would be 600 s
                       icount=False,  # guest seconds are seconds then; counted, each would take ten
                       limit_s=400 + 4 * SECONDS)


del OnKvm  # its own tests are test_sisvmm's

if __name__ == "__main__":
    unittest.main()
