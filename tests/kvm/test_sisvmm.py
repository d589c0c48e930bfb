"""sisvmm's KVM back end on a real KVM: tests of the list that the QEMU back end has to pass, too,
and the vsock driver of Debian's kernel.

Emulation is slow, so only a part of the list runs; with SIS_KVM_ALL=1 in the environment (`./sis soak kvm`) all of it does.
"""

import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nested_host  # noqa: E402
import python_layer  # noqa: E402

sys.path.insert(0, str(HERE.parent / "linux"))
import linux_guest  # noqa: E402

ROOT = nested_host.ROOT
LIST = ("test_run.Outcomes.test_hello_scenario_passes_and_is_recorded",
        "test_run.Outcomes.test_guest_shutdown_with_a_code_gives_1",
        "test_run.Outcomes.test_reboot_comes_back",
        "test_run.Outcomes.test_every_cpu_comes_up_also_after_a_reboot",
        "test_run.Deaths.test_name_of_a_killed_machine_can_be_used_again",
        "test_run.Panics",
        "test_run.Interactive.test_console_attaches_to_the_shell",
        "test_graph.Runs.test_a_pipeline_over_two_cpus",
        "test_legacy.UnixSocket.test_a_client_builds_and_runs_a_graph_that_everybody_sees",
        "test_npu", "test_streams", "test_sisctl.Commands", "test_sisctl.Watch", "test_user_tasks")
WHOLE_LIST = ("test_run", "test_control", "test_graph", "test_legacy", "test_llm", "test_llm_graph", "test_llm_service",
              "test_llm_storm", "test_llm_trace", "test_npu", "test_npu_guest", "test_run_files", "test_streams", "test_sisctl",
              "test_terminal", "test_monitor", "test_user_tasks", "test_vision")
ENVIRONMENT = ("export SIS_BUILD=$PWD/build SIS_KERNEL=$PWD/sis.Image SIS_LINUX=$PWD/linux SIS_INJECT=$PWD/inject_call "
               "SIS_HOSTILE=$PWD/hostile.Image SIS_BACKEND=kvm SIS_PROGRAMS=$PWD/programs SIS_SHARED_MODELS=$PWD/shared_models "
               "PYTHONDONTWRITEBYTECODE=1; ")


def guest_files():
    """What the tests with the SIS guest need on the host."""
    return {"build/tools/sisctl": nested_host.stripped(ROOT / "build/vmm-arm64/tools/sisctl"),
            "sis.Image": ROOT / "build/guest/sis.Image", "npu_test.Image": ROOT / "build/guest/npu_test.Image",
            "llm_test.Image": ROOT / "build/guest/llm_test.Image",
            **{f"shared_models/{path.name}": path for path in (ROOT.parent / "shared" / "models").glob("*.gguf")},
            "configs": ROOT / "configs", "tools/examples": ROOT / "tools/examples", "models": ROOT / "models",
            "tools/models/gguf.py": ROOT / "tools/models/gguf.py",
            **{f"programs/{path.name}": path for path in sorted((ROOT / "build/guest/user").glob("*.elf"))}}


def linux_files(folder):
    """What the tests with the Linux guest need; `folder` stays until they have run."""
    kernel, initramfs = linux_guest.make_initramfs(folder, linux_guest.SHELL)
    return {"linux/kernel": kernel, "linux/initramfs": initramfs}


class OnKvm(unittest.TestCase):
    def run_tests(self, folder, names, files, at_least, environment=None, **host):
        """Runs Python tests on the host with KVM: all must pass, and there must be at least so many."""
        layers = () if nested_host.has_kvm() else (python_layer.layer(),)
        files = {**nested_host.monitor("build/vmm/cli/"), "tests": ROOT / "tests", **files}
        more = "".join(f"export {name}={value}; " for name, value in (environment or {}).items())
        command = ENVIRONMENT + more + f"python3 tests/run_unittest.py {folder} {' '.join(names)}"
        # Time that counts instructions: limits hold however loaded the machine is that emulates, and nobody idles.
        host = {"icount": not nested_host.has_kvm(), "layers": layers, "forward": True, "limit_s": 580, **host}
        options = nested_host.Options(**host)
        with nested_host.run(["sh", "-c", command], files, options) as done:
            self.assertEqual(done.code, 0, done.console[-2000:])
            passed = int(re.search(r"(\d+) passed, 0 failed, \d+ skipped\n$", done.stdout)[1])
            self.assertGreaterEqual(passed, at_least)


class Sisvmm(OnKvm):
    def test_integration_list(self):
        if os.environ.get("SIS_KVM_ALL"):
            # A guest that loops for some seconds, and 3,000 lines of console output, are many emulated instructions.
            return self.run_tests("tests/integration", WHOLE_LIST, guest_files(), 165, limit_s=2400)
        return self.run_tests("tests/integration", LIST, guest_files(), 40)

    def test_stolen_time(self):
        # On a real host not everybody may provoke it.
        self.run_tests("tests/kvm/inside", ("test_stolen_time",), guest_files(), 0 if nested_host.has_kvm() else 1)

    def test_vsock_of_a_linux_guest(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-linux-"))
        self.addCleanup(shutil.rmtree, folder)
        self.run_tests("tests/kvm/inside", ("test_linux_guest",), linux_files(folder), 4)


if __name__ == "__main__":
    unittest.main()
