"""The sandbox on a real KVM: it confines every thread, it refuses what it has to, and it has no rule too many."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402
import python_layer  # noqa: E402
from test_sisvmm import ENVIRONMENT, OnKvm, guest_files, linux_files  # noqa: E402

BUILD = nested_host.ROOT / "build/vmm-arm64"
# Machines as the tests of everything else run them, and what these leave out.
WHAT_MACHINES_DO = {
    "tests/integration": (
        "test_terminal", "test_npu", "test_monitor.RunDirectory",
        "test_monitor.Sockets.test_nonsense_is_refused_and_the_machine_goes_on",
        "test_monitor.Sockets.test_stop_gives_the_guest_its_time_and_reports_the_end",
        "test_run.Outcomes.test_hello_scenario_passes_and_is_recorded",
        "test_run.Outcomes.test_json_prints_the_summary_and_nothing_else",
        "test_run.Outcomes.test_parallel_steps_overlap", "test_run.Outcomes.test_reboot_comes_back",
        "test_streams.Streams.test_half_close_still_delivers_the_rest"),
    "tests/kvm/inside": (
        "test_snapshot.Refusals", "test_snapshot.Snapshots.test_snapshot_serves_several_machines_and_stays_as_it_is",
        "test_linux_guest.LinuxGuest.test_guest_connects_to_a_service_of_the_host_by_a_long_path",
        "test_sandbox.RareCalls"),
}
TRACED = """#!/bin/sh
exec /cwd/rule_tracer /cwd/out/rules /cwd/traced/sisvmm "$@"
"""


def program(name):
    return nested_host.stripped(BUILD / name)


class Sandbox(OnKvm):
    def test_threads_are_confined_and_calls_refused(self):
        files = {**guest_files(), "inject_call": program("tests/kvm/sandbox/inject_call")}
        self.run_tests("tests/kvm/inside", ("test_sandbox",), files, 19)

    @unittest.skipUnless(os.environ.get("SIS_KVM_ALL"), "runs machines for some minutes: ./sis soak kvm")
    @unittest.skipIf(nested_host.has_kvm(), "the paths of the script are those of the nested host")
    def test_every_rule_is_used(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-linux-"))
        self.addCleanup(shutil.rmtree, folder)
        files = {"build/vmm/cli/sisvmm": TRACED.encode(), "traced/sisvmm": program("vmm/cli/traced/sisvmm"),
                 "traced/sisvmm-kvm": program("vmm/cli/traced/sisvmm-kvm"),
                 "rule_tracer": program("tests/kvm/sandbox/rule_tracer"), "tests": nested_host.ROOT / "tests",
                 **guest_files(), **linux_files(folder)}
        command = ENVIRONMENT + " && ".join(f"python3 tests/run_unittest.py {where} {' '.join(names)}"
                                            for where, names in WHAT_MACHINES_DO.items())
        options = nested_host.Options(icount=True, layers=(python_layer.layer(),), forward=True, limit_s=580)
        with nested_host.run(["sh", "-c", command], files, options) as done:
            self.assertEqual(done.code, 0, done.console[-2000:])
            used = {int(number) for number in (done.out / "rules").read_text().split()}
        rules = subprocess.run([BUILD / "vmm/sandbox/make_filters", "rules"], check=True, capture_output=True, text=True)
        unused = []
        for line in rules.stdout.splitlines():
            rule, _, excuse = line.partition(" | ")
            number, _, name = rule.partition(" ")
            if int(number) not in used and not excuse:
                unused.append(name)
        self.assertEqual(unused, [], "no test makes use of these rules: remove them, add a test, or say why they stay")


del OnKvm  # its own tests are test_sisvmm's

if __name__ == "__main__":
    unittest.main()
