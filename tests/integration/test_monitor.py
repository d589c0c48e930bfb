"""The sockets of a monitor that other processes use: monitor.sock and console.sock; `ls` and `stop`."""

import json
import socket
import unittest

import harness


class Sockets(harness.MachineTest):
    def connect(self, machine, name):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(harness.LIMIT_S)
        client.connect(str(machine.run_dir / name))
        return client

    def test_client_that_does_not_read_hinders_nobody(self):
        machine = self.machine().wait_ready()
        self.connect(machine, "console.sock")
        # What the shell prints for 3,000 lines is more than a socket and the monitor hold for one client.
        typist = self.connect(machine, "console.sock")
        seen = 0
        for number in range(3000):
            typist.sendall(b"echo " + b"x" * 100 + b"\r")
            while number % 50 == 49 and seen < (number + 1) * 100:
                seen += typist.recv(65536).count(b"x")
        self.assert_alive(machine)

    def test_nonsense_is_refused_and_the_machine_goes_on(self):
        machine = self.machine().wait_ready()
        texts = (b"\n", b"{}\n", b"x" * 100000, b'{"op":"stop","timeout_ms":-5}\n', b"\xff\xfe\n", b"[" * 4000 + b"\n")
        for text in texts:
            client = self.connect(machine, "monitor.sock")
            try:
                client.sendall(text)
                self.assertIn(b"error", client.recv(65536))
            except (BrokenPipeError, ConnectionResetError):
                pass  # closed with bytes of ours still unread
        self.assert_alive(machine)

    def test_status_tells_what_runs(self):
        machine = self.machine(arguments=["--cpus", "2", "--memory", "128MiB"]).wait_ready()
        entries = [entry for entry in json.loads(harness.run(harness.SISVMM, "ls", "--json").stdout)
                   if entry["name"] == machine.name]
        self.assertEqual(len(entries), 1)
        entry = entries[0]
        self.assertEqual((entry["cpus"], entry["memory_bytes"]), (2, 128 << 20))
        self.assertEqual(entry["state"], "running")
        self.assertEqual(entry["pid"], machine.process.pid)
        self.assertEqual(entry["run_dir"], str(machine.run_dir))

    def test_stop_gives_the_guest_its_time_and_reports_the_end(self):
        machine = self.machine().wait_ready()
        done = harness.run(harness.SISVMM, "stop", machine.name, "--timeout", "60")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("exit code 0", done.stdout)
        self.assertEqual(machine.wait(), 0)
        self.assertFalse(machine.summary()["killed"])

    def test_stop_before_the_steps_are_done_is_no_success(self):
        machine = self.machine("apiVersion: sis/v1\nsteps:\n  - {name: nap, op: sleep, args: {ms: 60000}, timeout: 90s}\n")
        machine.wait_ready()
        self.assertEqual(harness.run(harness.SISVMM, "stop", machine.name).returncode, 0)
        self.assertEqual(machine.wait(), 130)
        self.assertEqual(machine.summary()["steps"][0]["status"], "failed")

    def test_dead_machine_is_listed_as_dead_and_stop_removes_it(self):
        machine = self.machine().wait_ready()
        machine.process.kill()
        machine.wait()
        states = {entry["name"]: entry["state"]
                  for entry in json.loads(harness.run(harness.SISVMM, "ls", "--json").stdout)}
        self.assertEqual(states[machine.name], "dead")
        self.assertEqual(harness.run(harness.SISVMM, "stop", machine.name).returncode, 0)
        self.assertNotIn(machine.name, harness.run(harness.SISVMM, "ls").stdout)


@harness.about_qemu
class RefusedByQemu(harness.MachineTest):
    def test_unknown_cpu_model_gives_3_with_what_qemu_says(self):
        done, run_dir = self.run_scenario("apiVersion: sis/v1\nmachine: {cpu: no-such-cpu}\n")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("no-such-cpu", done.stderr)
        self.assertEqual(json.loads((run_dir / "summary.json").read_text())["exit_code"], 3)

    def test_accelerator_that_is_not_there_gives_3(self):
        done, _ = self.run_scenario("apiVersion: sis/v1\n", "--accel", "hvf")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("hvf", done.stderr)


class RunDirectory(harness.MachineTest):
    def test_folder_with_other_files_is_refused_and_untouched(self):
        folder = self.folder / "mine"
        folder.mkdir()
        (folder / "scenario.yaml").write_text(harness.IDLE)
        done = harness.run(harness.SISVMM, "run", folder / "scenario.yaml", "--run-dir", folder)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual((folder / "scenario.yaml").read_text(), harness.IDLE)

    def test_long_path_works(self):
        run_dir = self.folder / ("d" * 100) / "run"
        path = self.folder / "s.yaml"
        path.write_text("apiVersion: sis/v1\nsteps:\n  - {name: a, op: ping}\n")
        done = harness.run(harness.SISVMM, "run", path, "--run-dir", run_dir, "--name", f"long-{self.folder.name}")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
