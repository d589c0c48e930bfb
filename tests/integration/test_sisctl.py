"""sisctl: what it prints and how it exits."""

import json
import os
import signal
import socket
import unittest

import harness


class Commands(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def test_ping_counts_and_reports(self):
        done = self.subject.ctl("ping", "-n", "100", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        reply = json.loads(done.stdout)
        self.assertEqual((reply["sent"], reply["received"]), (100, 100))
        self.assertLessEqual(reply["rtt_ns"]["min"], reply["rtt_ns"]["median"])

    def test_info_shell_and_call(self):
        for arguments in (["info"], ["shell", "version"], ["call", "ping", "--args", '{"payload": "x"}']):
            done = self.subject.ctl(*arguments)
            self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
            self.assertTrue(done.stdout, arguments)
        self.assertEqual(json.loads(self.subject.ctl("info", "--json").stdout)["cpus"], 1)

    def test_machine_is_found_by_name(self):
        done = harness.run(harness.SISCTL, "--machine", self.subject.name, "ping")
        self.assertEqual(done.returncode, 0, done.stderr)

    @harness.about_qemu
    def test_snapshot_of_a_machine_of_qemu_is_refused(self):
        folder = self.folder / "saved"
        done = self.subject.ctl("snapshot", folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("machine.backend: kvm", done.stderr)
        self.assertFalse(folder.exists() or folder.with_suffix(".partial").exists())
        self.assert_alive(self.subject)

    def test_refusal_gives_1_with_the_reason(self):
        done = self.subject.ctl("call", "no-such-op")
        self.assertEqual(done.returncode, 1)
        self.assertIn("unknown-op", done.stderr)

    def test_failed_shell_command_gives_1(self):
        self.assertEqual(self.subject.ctl("shell", "no-such-command").returncode, 1)

    def test_no_reply_in_time_gives_4(self):
        done = self.subject.ctl("--timeout", "1", "call", "sleep", "--args", '{"ms": 60000}')
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assert_alive(self.subject)

    def test_shutdown_ends_the_machine(self):
        self.assertEqual(self.subject.ctl("shutdown").returncode, 0)
        self.assertEqual(self.subject.wait(), 0)

    def test_stopped_guest_gives_4_not_a_false_success(self):
        guest = self.subject.guest_pid()
        os.kill(guest, signal.SIGSTOP)
        try:
            self.assertEqual(self.subject.ctl("--timeout", "1", "ping").returncode, 4)
        finally:
            os.kill(guest, signal.SIGCONT)
        self.assert_alive(self.subject)


class WithoutMachine(harness.MachineTest):
    def test_usage_gives_2(self):
        for arguments in ([], ["frob"], ["ping", "-n", "0"], ["ping", "-n", "x"], ["call"],
                          ["call", "ping", "--args", "{not json"]):
            done = harness.run(harness.SISCTL, *arguments)
            self.assertEqual(done.returncode, 2, f"{arguments}: {done.stdout}{done.stderr}")

    def test_unknown_machine_gives_3(self):
        done = harness.run(harness.SISCTL, "--machine", "no-such-machine", "ping")
        self.assertEqual(done.returncode, 3)
        self.assertIn("no-such-machine", done.stderr)

    def test_socket_without_listener_gives_3(self):
        path = self.folder / "dead.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        key = self.folder / "key"
        key.write_bytes(bytes(32))
        done = harness.run(harness.SISCTL, "--socket", path, "--key", key, "ping")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("refused", done.stderr.lower())

    def test_socket_without_permission_gives_3(self):
        path = self.folder / "private.sock"
        with socket.socket(socket.AF_UNIX) as private:
            private.bind(str(path))
            private.listen()
            path.chmod(0)
            # Root may open every socket: be nobody.
            self.folder.chmod(0o755)
            user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
            done = harness.run(harness.SISCTL, "--socket", path, "ping", **user)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("permission", done.stderr.lower())

    def test_peer_that_speaks_another_protocol_gives_5(self):
        path = self.folder / "http.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            key = self.folder / "key"
            key.write_bytes(bytes(32))
            pid = os.fork()
            if pid == 0:
                peer, _ = server.accept()
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                peer.recv(1000)
                os._exit(0)
            done = harness.run(harness.SISCTL, "--socket", path, "--key", key, "ping")
            os.waitpid(pid, 0)
            self.assertEqual(done.returncode, 5, done.stderr)


if __name__ == "__main__":
    unittest.main()
