"""sisctl: what it prints and how it exits."""

import json
import os
import signal
import socket
import subprocess
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


class Watch(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def watch(self, *arguments):
        process = subprocess.Popen([harness.SISCTL, "--socket", self.subject.socket, *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=harness.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def test_log_shows_the_newest_lines_and_a_count_ends_it(self):
        done = self.subject.ctl("watch", "log", "--last", "1000", "--count", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 2)
        lines = [json.loads(line) for line in
                 self.subject.ctl("--json", "watch", "log", "--last", "1000", "--count", "2").stdout.splitlines()]
        self.assertEqual([line.get("line") for line in lines], done.stdout.splitlines() + [None])
        self.assertEqual(lines[-1], {"events": 2, "lost": 0, "end": "count"})

    def test_lines_come_until_ctrl_c_which_is_no_failure(self):
        self.assertEqual(self.subject.ctl("shell", "trace on").returncode, 0)
        process = self.watch("watch", "trace")
        for _ in range(100):
            self.assertTrue(process.stdout.readline().startswith("time_ns="))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        self.assertEqual((process.returncode, errors), (0, ""))
        # It was ended by a Cancel, not by the end of the connection alone.
        self.assertEqual(json.loads(self.subject.ctl("--json", "counters").stdout)["control_error_cancelled"], 1)

    def test_machine_that_goes_away_gives_4(self):
        process = self.watch("watch", "log")
        harness.wait_until(lambda: json.loads(self.subject.ctl("--json", "counters").stdout)[
            "control_connections_open"] == 2, "the subscription")
        self.assertEqual(self.subject.ctl("shutdown").returncode, 0)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 4, errors)

    def test_refusals_give_1_and_wrong_words_2(self):
        done = self.subject.ctl("watch", "trace")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the trace is off; 'trace on' begins it", done.stderr)
        self.assertEqual(self.subject.ctl("watch", "log", "--every", "1").returncode, 2)
        self.assertEqual(self.subject.ctl("watch", "nothing").returncode, 1)
        self.assertEqual(self.subject.ctl("watch").returncode, 1)


class Batch(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def batch(self, text, *options, json_lines=True, name="requests"):
        path = self.folder / name
        path.write_text(text)
        return self.subject.ctl(*(["--json"] if json_lines else []), "batch", *options, path)

    def results(self, done):
        """[(line, op, result or error code)]"""
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [(line["line"], line.get("op"), line.get("result", line.get("error", {}).get("code"))) for line in lines]

    def test_each_line_is_answered_in_order(self):
        done = self.batch("# makes and looks\n\ngraph create g --tensors 16\r\n"
                          '{"op": "graph list"}\n  echo "a  b" c # words\ngraph destroy g')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        results = self.results(done)
        self.assertEqual([result[:2] for result in results],
                         [(3, "graph create"), (4, "graph list"), (5, "echo"), (6, "graph destroy")])
        self.assertEqual(results[1][2]["graphs"][0]["graph"], "g")
        self.assertEqual(results[2][2], {"text": "a  b c"})
        done = self.batch("echo x\nuptime\n", json_lines=False)
        self.assertRegex(done.stdout, r'^1 echo: ok \{"text":"x"\}\n2 uptime: ok \{"uptime_ns":\d+\}\n$')

    def test_one_that_fails_ends_it_unless_it_is_to_go_on(self):
        text = "echo 1\ngraph destroy none\necho 3\nsleep x\necho 5\nno-such-command\n"
        done = self.batch(text)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.results(done), [(1, "echo", {"text": "1"}), (2, "graph destroy", "graph-unknown")])
        self.assertIn("stopped at line 2; what is behind it was not sent", done.stderr)
        done = self.batch(text, "--keep-going")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertEqual(self.results(done), [(1, "echo", {"text": "1"}), (2, "graph destroy", "graph-unknown"),
                                              (3, "echo", {"text": "3"}), (4, None, None), (5, "echo", {"text": "5"}),
                                              (6, None, "not-found")])
        self.assertIn("ms: found 'x', allowed: an integer", done.stdout)
        done = self.batch("watch log\n{\"op\": \"watch metrics\"}\n", "--keep-going")
        self.assertEqual((done.returncode, done.stdout.count("sends events")), (2, 2))

    def test_a_file_with_bad_lines_is_refused_before_anything_is_sent(self):
        done = self.batch("graph create g\necho 'x\nmem; irq\n{\"op\": 1}\n", name="bad.txt")
        self.assertEqual(done.returncode, 2)
        for place in ("bad.txt:2: byte 5", "bad.txt:3: byte 3", "bad.txt:4: 'op'", "nothing was sent"):
            self.assertIn(place, done.stderr)
        self.assertEqual(json.loads(self.subject.ctl("--json", "graph", "list").stdout)["graphs"], [])
        self.assertEqual(self.subject.ctl("batch", self.folder / "missing").returncode, 2)

    def test_several_may_be_on_their_way_and_results_stay_in_order(self):
        # The second is answered before the first, in the guest.
        text = "sleep 1500\nuptime\n" + "".join(f"echo {i}\n" for i in range(200))
        done = self.batch(text, "--pipeline", "32")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([result[0] for result in self.results(done)], list(range(1, 203)))
        # What was sent behind one that fails is answered, and nothing more is sent.
        done = self.batch("no-such\n" + "echo x\n" * 10, "--pipeline", "4")
        self.assertEqual(len(done.stdout.splitlines()), 1)
        done = self.batch("graph destroy none\n" + "echo x\n" * 10, "--pipeline", "4")
        self.assertEqual(len(done.stdout.splitlines()), 4)
        self.assertIn("stopped at line 1; what is behind line 4 was not sent", done.stderr)

    def test_a_program_can_write_a_line_and_read_its_result(self):
        with subprocess.Popen([harness.SISCTL, "--socket", self.subject.socket, "--json", "batch", "-"], text=True,
                              env=harness.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            for number in (1, 2, 3):
                process.stdin.write(f"echo {number}\n")
                process.stdin.flush()
                self.assertEqual(json.loads(process.stdout.readline()),
                                 {"line": number, "op": "echo", "result": {"text": str(number)}})
            process.stdin.write("echo 'open\n")
            process.stdin.flush()
            self.assertIn("quote", json.loads(process.stdout.readline())["error"]["message"])
            self.assertEqual(process.wait(harness.LIMIT_S), 2)

    def test_a_machine_that_ends_gives_4_and_says_where(self):
        done = self.batch("echo 1\nshutdown\nsleep 3000\necho 4\n", "--keep-going")
        self.assertEqual(done.returncode, 4)
        self.assertEqual([result[0] for result in self.results(done)], [1, 2, 3])
        self.assertIn("stopped at line 3", done.stderr)


class Metrics(harness.MachineTest):
    SCENARIO = """apiVersion: sis/v1
name: metrics
graphs:
  - name: Demo.1
    start: manual
    channels:
      - {id: 1, capacity: 4}
    operators:
      - {id: 1, name: source, kind: synthetic-source, stage: acquire, out: [1]}
      - {id: 2, name: end, kind: sink, stage: explain, in: [1]}
"""

    def test_they_are_what_the_graph_s_stats_say_and_all_of_them(self):
        subject = self.machine(self.SCENARIO).wait_ready()
        subject.ctl("graph", "start", "Demo.1", "150")
        subject.ctl("graph", "wait", "Demo.1")
        stats = json.loads(subject.ctl("--json", "graph", "stats", "Demo.1").stdout)
        values = json.loads(subject.ctl("--json", "metrics", "--graph", "Demo.1").stdout)
        end, channel = stats["operators"][1], stats["channels"][0]
        self.assertEqual(values["op_demo_1_end_runs"], 150)
        for name in ("p50_ns", "p95_ns", "p99_ns", "max_ns"):
            self.assertEqual(values[f"op_demo_1_end_{name}"], end["execution_time"][name])
        self.assertEqual((values["ch_demo_1_1_depth_max"], values["ch_demo_1_1_stalls"]),
                         (channel["high_water"], channel["stalls"]))
        self.assertEqual((values["graph_stats_ops"], values["graph_stats_channels"]), (2, 1))
        # More than one answer holds.
        for i in range(1, 6):
            lines = "".join(f"graph add-channel big{i} {n} 1\n"
                            f"graph add-operator big{i} {n} operator{n} synthetic-source '' {n}\n"
                            for n in range(1, 41))
            done = subprocess.run(
                [harness.SISCTL, "--socket", subject.socket, "batch", "--pipeline", "16", "-"], text=True,
                env=harness.environment(), input=f"graph create big{i}\n{lines}", capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        values = json.loads(subject.ctl("--json", "metrics").stdout)
        self.assertEqual(values["graph_stats_ops"], 202)
        self.assertEqual(sum(name.endswith("_runs") and name.startswith("op_big") for name in values), 200)
        self.assertIn("control_requests", values)
        self.assertEqual(subject.ctl("metrics", "--graph", "none").returncode, 1)
        self.assertRegex(subject.ctl("metrics", "op_demo_1_end_r").stdout, r"^op_demo_1_end_runs +150\n$")

    def test_changes_are_watched(self):
        subject = self.machine(self.SCENARIO).wait_ready()
        subject.ctl("graph", "start", "Demo.1")
        done = subject.ctl("--json", "metrics", "op_demo_1_end", "--watch", "--interval", "200ms", "-n", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        sets = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(sets), 3)
        for one, (before, after) in zip(sets[1:], zip(sets, sets[1:])):
            runs = one["changes"]["op_demo_1_end_runs"]
            self.assertEqual(runs["value"] - before["changes"]["op_demo_1_end_runs"]["value"], runs["by"])
            seconds = (after["time_ns"] - before["time_ns"]) / 1e9
            self.assertAlmostEqual(runs["per_s"], runs["by"] / seconds, delta=runs["per_s"] / 1000)
        done = subject.ctl("metrics", "op_demo_1_end_runs", "--watch", "-n", "1", "--interval", "100ms")
        self.assertRegex(done.stdout, r"^at [\d.]+ m?s:\nop_demo_1_end_runs +\d+ +\+\d+ +\+\d+\.\d/s\n$")
        self.assertEqual(subject.ctl("metrics", "--interval", "1").returncode, 2)
        done = subject.ctl("metrics", "--watch", "--interval", "50ms")
        self.assertEqual(done.returncode, 1)
        self.assertIn("interval_ms: found 50, allowed: an integer from 100", done.stderr)

    def test_a_scenario_expects_what_is_printed(self):
        text = self.SCENARIO + """steps:
  - {op: graph start, args: {graph: Demo.1, steps: 150}}
  - {op: graph wait, args: {graph: Demo.1}}
  - {op: metrics, args: {graph: Demo.1, console: true}}
expect:
  metrics: {graph_demo_1_runs: 1, op_demo_1_end_runs: 150, ch_demo_1_1_drops: {max: 0}, graph_stats_ops: 2}
"""
        done, run_dir = self.run_scenario(text)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads((run_dir / "summary.json").read_text())["metrics"]["op_demo_1_source_runs"], 150)


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

    def test_key_that_cannot_be_read_gives_3(self):
        self.folder.chmod(0o755)
        path, key = self.folder / "open.sock", self.folder / "key"
        # Root may read every file: be nobody.
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            path.chmod(0o777)

            def ping():
                pid = os.fork()
                if pid == 0:
                    peer, _ = server.accept()
                    peer.sendall(b"OK 1\n")
                    peer.recv(1000)
                    os._exit(0)
                done = harness.run(harness.SISCTL, "--socket", path, "--key", key, "ping", **user)
                os.waitpid(pid, 0)
                return done.returncode, done.stderr

            self.assertEqual(ping(), (3, f"sisctl: cannot read the machine's key {key}: No such file or directory; "
                                         "give --key FILE or --token\n"))
            key.write_bytes(bytes(32))
            key.chmod(0)
            self.assertEqual(ping(), (3, f"sisctl: no permission to read the machine's key {key}: Permission denied; "
                                         "give --key FILE or --token\n"))

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


class Registry(harness.MachineTest):
    """Which machine is meant where none is named; in a registry of the test's own."""

    def setUp(self):
        super().setUp()
        self.environment = harness.environment(XDG_RUNTIME_DIR=str(self.folder))

    def ping(self, *arguments):
        done = harness.run(harness.SISCTL, *arguments, "ping", env=self.environment)
        return done.returncode, done.stderr

    def test_the_only_machine_that_lives_is_meant(self):
        self.assertEqual(self.ping(), (3, "sisctl: no machine runs; start one with `sisvmm run FILE`, or give --socket "
                                          "PATH\n"))
        one = self.machine(name="one", env=self.environment).wait_ready()
        self.assertEqual(self.ping(), (0, ""))
        two = self.machine(name="two", env=self.environment).wait_ready()
        self.assertEqual(self.ping(), (2, "sisctl: several machines run, say which with --machine NAME: "
                                          f"{one.name}, {two.name}\n"))
        one.process.kill()
        one.process.wait()
        self.assertEqual(self.ping(), (0, ""))
        self.assertEqual(self.ping("--machine", one.name),
                         (3, f"sisctl: machine '{one.name}' does not run any more; its files are in {one.run_dir}\n"))


if __name__ == "__main__":
    unittest.main()
