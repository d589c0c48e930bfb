"""Graphs in a running guest: made by requests and from files, run, ended, refused."""

import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from protocol import CALL, CANCEL, ERROR, EVENT, REPLY, request

SCENARIO = "apiVersion: sis/v1\nname: graphs\nmachine:\n  cpus: 2\n"
SOURCE, SINK = "synthetic-source", "sink"


class GraphTest(unittest.TestCase):
    """All tests of a class share a machine; each leaves no graph."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.subject = harness.Machine(cls.folder, SCENARIO, "g")
        cls.addClassCleanup(cls.subject.destroy)
        cls.subject.wait_ready()

    def setUp(self):
        self.connection = self.subject.session()
        self.addCleanup(self.connection.close)
        self.number = 10

    def tearDown(self):
        for graph in self.call("graph list")["graphs"]:
            if graph["state"] != "idle":
                self.call("graph stop", graph=graph["graph"])
                self.call("graph wait", graph=graph["graph"])
            self.call("graph destroy", graph=graph["graph"])
        self.assertEqual(self.call("sched")["servers"], [])

    def ask(self, op, **args):
        self.number += 1
        command, answered, body = self.connection.call(self.number, op, args)
        self.assertEqual(answered, self.number)
        return command, body

    def call(self, op, **args):
        command, body = self.ask(op, **args)
        self.assertEqual(command, REPLY, f"{op} {args}: {body}")
        return body["result"]

    def refused(self, op, **args):
        command, body = self.ask(op, **args)
        self.assertEqual(command, ERROR, f"{op} {args}: {body}")
        return body["code"]

    def make(self, graph, channels, operators, **options):
        """channels: {id: capacity}; operators: (name, kind, inputs, outputs, {more})."""
        self.call("graph create", graph=graph, **options)
        for number, capacity in channels.items():
            self.call("graph add-channel", graph=graph, id=number, capacity=capacity)
        for number, (name, kind, inputs, outputs, more) in enumerate(operators, 1):
            self.call("graph add-operator", graph=graph, id=number, name=name, kind=kind, inputs=inputs,
                      outputs=outputs, **more)

    def make_pipeline(self, graph, parameters="", **options):
        self.make(graph, {1: 4}, [("in", SOURCE, "", "1", {"parameters": parameters}), ("out", SINK, "1", "", {})],
                  **options)

    def run_to_its_end(self, graph, **steps):
        self.call("graph start", graph=graph, **steps)
        ended = self.call("graph wait", graph=graph)
        self.assertEqual(ended["state"], "idle")
        return ended

    def ctl(self, *arguments):
        done = self.subject.ctl(*arguments)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def executions(self, graph):
        return {each["name"]: each["executions"] for each in self.call("graph stats", graph=graph)["operators"]}


class Structure(GraphTest):
    def large_requests(self):
        """32 operators and 64 channels in 97 requests: four parts of 8 and 16."""
        requests = [("graph create", {})]
        for channel in range(64):
            requests.append(("graph add-channel", {"id": channel, "capacity": channel % 7 + 1, "policy": "block",
                                                   **({"schema": "tokens"} if channel == 0 else {})}))
        for part in range(4):
            ids = [str(16 * part + i) for i in range(16)]
            # 0: in -> fork; 1 to 8: fork -> three loads, fork2, and 5 to 8 the sink; 9 to 11 from the loads, 12 to 15
            # from fork2, to the sinks.
            operators = [("in", SOURCE, [], ids[:1], {"parameters": "dtype=i32,elements=8", "stage": "acquire"}),
                         ("fork", "split", ids[:1], ids[1:9], {"stage": "clean", "priority": 3}),
                         ("load1", "load", ids[1:2], ids[9:10], {"parameters": "us=1", "wcet_ns": 1000}),
                         ("load2", "load", ids[2:3], ids[10:11], {"parameters": "us=0", "cpu": 1}),
                         ("load3", "load", ids[3:4], ids[11:12], {"parameters": "us=2", "stage": "model"}),
                         ("fork2", "split", ids[4:5], ids[12:16], {"parameters": "mode=share"}),
                         ("sink1", SINK, ids[5:9] + ids[9:12], [], {"parameters": "check=sequence"}),
                         ("sink2", SINK, ids[12:16], [], {"stage": "explain"})]
            for i, (name, kind, inputs, outputs, more) in enumerate(operators):
                args = {"id": 8 * part + i + 1, "name": f"{name}.{part}", "kind": kind, "inputs": ",".join(inputs),
                        "outputs": ",".join(outputs), **more}
                requests.append(("graph add-operator", args))
        return requests

    def make_large(self):
        for op, args in self.large_requests():
            self.call(op, graph="large", **args)

    def large_scenario(self):
        """The same graph as a scenario."""
        lines = ["apiVersion: sis/v1", "name: large", "machine: {cpus: 2}", "graphs:",
                 "  - name: large", "    start: manual", "    channels:"]
        requests = self.large_requests()
        lines += [f"      - {json.dumps(args)}" for op, args in requests if op == "graph add-channel"]
        lines += ["    operators:"]
        for args in (args for op, args in requests if op == "graph add-operator"):
            operator = {key: args[key] for key in ("id", "name", "kind", "priority", "stage", "cpu") if key in args}
            operator |= {"stage": args.get("stage", "acquire")} | {key: [int(each) for each in args[of].split(",")]
                         for key, of in (("in", "inputs"), ("out", "outputs")) if args[of]}
            if "wcet_ns" in args:
                operator["wcet"] = f"{args['wcet_ns'] // 1000}us"
            if "parameters" in args:
                operator["parameters"] = dict(each.split("=") for each in args["parameters"].split(","))
            lines.append(f"      - {json.dumps(operator)}")
        return "\n".join(lines) + "\n"

    def test_a_large_graph_of_a_scenario_is_the_same_as_by_requests(self):
        self.make_large()
        exported = json.loads(self.ctl("graph", "export", "large"))
        other = harness.Machine(self.folder, self.large_scenario(), "yaml")
        self.addCleanup(other.destroy)
        other.wait_ready()
        self.assertEqual(json.loads(other.ctl("graph", "export", "large").stdout), exported)

    def test_a_large_graph_by_requests_and_from_its_export_is_the_same(self):
        before = self.number
        self.make_large()
        self.assertEqual(self.number - before, 97)
        exported = json.loads(self.ctl("graph", "export", "large"))
        self.assertEqual((len(exported["operators"]), len(exported["channels"])), (32, 64))
        self.assertEqual(exported, self.call("graph export", graph="large")["structure"])
        again = self.folder / "again.json"
        again.write_text(json.dumps({**exported, "name": "again"}))
        self.assertEqual(json.loads(self.ctl("--json", "graph", "import", again)), {"graph": "again", "requests": 97})
        second = json.loads(self.ctl("graph", "export", "again", "--json"))
        self.assertEqual(second, {**exported, "name": "again"})
        # What the shell prints is the same, too.
        self.assertEqual(json.loads(self.ctl("shell", "graph export large")), exported)
        for graph in ("large", "again"):
            self.assertEqual(self.run_to_its_end(graph, steps=10)["end"], "finished")
            self.assertEqual(set(self.executions(graph).values()), {10})

    def test_dot_is_for_graphviz(self):
        self.make_pipeline("g")
        drawn = self.ctl("graph", "export", "g", "--dot")
        self.assertTrue(drawn.startswith('digraph "g" {\n'), drawn)
        self.assertIn('op1 -> op2 [label="1: block 4"];\n', drawn)
        self.assertTrue(drawn.endswith("}\n"), drawn)

    def test_an_import_that_fails_leaves_nothing(self):
        self.make_pipeline("g", "elements=3")
        exported = json.loads(self.ctl("graph", "export", "g"))
        exported["name"] = "h"
        exported["operators"][1]["kind"] = "drain"
        exported["schemas"] = [{"name": "spare"}]
        file = self.folder / "bad.json"
        file.write_text(json.dumps(exported))
        done = self.subject.ctl("--json", "graph", "import", file)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "graph-unknown-kind")
        self.assertIn("; these schemas stay registered: spare", done.stderr)
        self.assertEqual([each["graph"] for each in self.call("graph list")["graphs"]], ["g"])
        # A graph of that name is not the import's to destroy.
        exported["name"] = "g"
        file.write_text(json.dumps(exported))
        done = self.subject.ctl("--json", "graph", "import", file)
        self.assertEqual(json.loads(done.stdout)["error"]["code"], "graph-duplicate-name")
        self.assertEqual([each["graph"] for each in self.call("graph list")["graphs"]], ["g"])
        file.write_text('{"name": "h", "size": 3}')
        done = self.subject.ctl("--json", "graph", "import", file)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(json.loads(done.stdout)["error"]["message"], f"{file}: graph: unknown key 'size'")

    def test_eight_graphs_at_a_time(self):
        for i in range(8):
            self.make_pipeline(f"g{i}")
        self.assertEqual(self.refused("graph create", graph="g8"), "graph-full")
        for i in range(8):
            self.call("graph start", graph=f"g{i}", steps=20)
        for i in range(8):
            self.assertEqual(self.call("graph wait", graph=f"g{i}")["end"], "finished")
            self.assertEqual(self.executions(f"g{i}"), {"in": 20, "out": 20})
        self.call("graph destroy", graph="g3")
        self.call("graph create", graph="g8")


class Runs(GraphTest):
    def test_a_deadlock_names_who_waits_for_whom(self):
        # 'few' makes one of four, and until then nobody takes what 'fork' sends to 'end' directly.
        self.make("g", {1: 2, 2: 2, 3: 2, 4: 2},
                  [("in", SOURCE, "", "1", {}), ("fork", "split", "1", "2,3", {}),
                   ("few", "window", "2", "4", {"parameters": "size=4,step=4"}), ("end", SINK, "4,3", "", {})])
        ended = self.run_to_its_end("g", steps=9)
        self.assertEqual(ended["end"], "deadlock")
        for words in ("'end' waits for a tensor in channel 4", "'few' waits for a tensor in channel 2",
                      "'fork' waits for room in channel 3"):
            self.assertIn(words, ended["why"])

    def test_starvation_names_who_will_not_come(self):
        self.make("g", {1: 2, 2: 2}, [("often", SOURCE, "", "1", {}),
                                      ("once", SOURCE, "", "2", {"parameters": "count=1"}),
                                      ("both", SINK, "1,2", "", {})])
        ended = self.run_to_its_end("g", steps=5)
        self.assertEqual((ended["end"], ended["why"]),
                         ("starved", "operator 'both' waits for channel 2, which 'once' will not fill"))

    def test_a_failure_is_told_in_the_operators_words(self):
        self.make("g", {1: 2, 2: 2, 3: 2},
                  [("in", SOURCE, "", "1", {}), ("turns", "split", "1", "2,3", {"parameters": "mode=round-robin"}),
                   ("end", SINK, "2,3", "", {"parameters": "check=sequence"})])
        ended = self.run_to_its_end("g", steps=5)
        self.assertEqual((ended["end"], ended["why"]),
                         ("failed", "operator 'end': graph-sequence-gap: input 0: expected tensor 1 of operator 1, "
                                    "given 2 of 1"))
        self.assertEqual(self.call("graph stats", graph="g")["operators"][2]["failures"], 1)
        # It runs again, and fails again.
        self.assertEqual(self.run_to_its_end("g", steps=5)["runs"], 2)

    def test_a_budget_is_kept(self):
        self.make("g", {1: 4, 2: 4}, [("in", SOURCE, "", "1", {}),
                                      ("work", "load", "1", "2", {"parameters": "us=1000", "wcet_ns": 500000}),
                                      ("out", SINK, "2", "", {})], budget_us=2000, period_us=10000)
        ended = self.run_to_its_end("g", steps=40)
        self.assertEqual(ended["end"], "finished")
        # At least 40 ms of work at 2 in 10 ms: 20 periods, of which the first budget comes at once.
        self.assertGreaterEqual(ended["ran_ns"], 180_000_000)
        self.assertLess(ended["ran_ns"], 4_000_000_000)  # twenty times as much, for a machine that is loaded
        work = self.call("graph stats", graph="g")["operators"][1]
        self.assertEqual((work["executions"], work["overruns"]), (40, 40))
        self.assertGreaterEqual(work["execution_time"]["min_ns"], 1_000_000)

    def test_a_pipeline_over_two_cpus(self):
        self.make("g", {1: 3, 2: 2}, [("in", SOURCE, "", "1", {"parameters": "period_us=200"}),
                                      ("work", "load", "1", "2", {"cpu": 1, "parameters": "us=10"}),
                                      ("out", SINK, "2", "", {"parameters": "check=sequence"})],
                  budget_us=3000, period_us=10000)
        self.call("graph start", graph="g")
        servers = {each["name"]: each["cpu"] for each in self.call("sched")["servers"]}
        self.assertEqual(servers, {"g.cpu0": 0, "g.cpu1": 1})
        self.assertEqual(self.refused("det", action="remove", name="g.cpu1"), "busy")
        self.call("sleep", ms=50)
        self.call("graph drain", graph="g")
        self.assertEqual(self.call("graph wait", graph="g")["end"], "finished")
        executions = self.executions("g")
        self.assertGreater(executions["in"], 0)
        self.assertEqual(set(executions.values()), {executions["in"]})
        self.assertEqual(self.run_to_its_end("g", steps=300)["end"], "finished")
        self.assertEqual(set(self.executions("g").values()), {executions["in"] + 300})
        tensors = self.call("graph stats", graph="g")["tensors"]
        self.assertEqual((tensors["live"], tensors["bytes_copied"]), (0, 0))

    def test_no_wake_up_is_lost_between_two_cpus(self):
        # Regression test: with room for one tensor each side sleeps all the time; a source slept for ever then.
        self.make("g", {1: 1, 2: 1}, [("in", SOURCE, "", "1", {}),
                                      ("work", "load", "1", "2", {"cpu": 1, "parameters": "us=1"}),
                                      ("out", SINK, "2", "", {"parameters": "check=sequence"})])
        self.assertEqual(self.run_to_its_end("g", steps=20000)["end"], "finished")

    def test_pause_resume_stop_by_sisctl(self):
        self.make_pipeline("g", "period_us=1000")
        self.ctl("graph", "start", "g")
        self.assertIn("paused", self.ctl("graph", "pause", "g"))
        held = self.executions("g")
        self.call("sleep", ms=20)
        self.assertEqual(self.executions("g"), held)
        self.ctl("graph", "resume", "g")
        self.ctl("graph", "stop", "g")
        ended = json.loads(self.ctl("--json", "graph", "wait", "g"))
        self.assertEqual((ended["state"], ended["end"]), ("idle", "stopped"))

    def test_a_line_that_waits_and_then_destroys(self):
        self.make_pipeline("g")
        output = self.ctl("shell", "graph start g 50; graph wait g; graph start g 7; graph wait g; graph destroy g")
        self.assertIn("end: finished\nruns: 2\n", output)
        self.assertEqual(self.call("graph list")["graphs"], [])

    def test_a_client_that_is_killed_while_it_waits(self):
        self.make_pipeline("g", "period_us=1000")
        self.call("graph start", graph="g")
        before = self.call("counters")
        waiting = subprocess.Popen([harness.SISCTL, "--socket", self.subject.socket, "--timeout", "600", "graph", "wait",
                                    "g"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Its Hello, help and wait have come; the last one is not answered.
        harness.wait_until(lambda: self.call("counters")["control_connections_open"] ==
                           before["control_connections_open"] + 1 and self.unanswered() == 1, "graph wait")
        waiting.send_signal(signal.SIGKILL)
        waiting.wait()
        harness.wait_until(lambda: self.call("counters")["control_connections_open"] ==
                           before["control_connections_open"], "the end of its connection")
        self.assertEqual(self.call("counters")["control_unanswered"], before["control_unanswered"] + 1)
        self.assertEqual(self.call("graph show", graph="g")["state"], "running")
        self.call("graph stop", graph="g")
        self.assertEqual(self.call("graph wait", graph="g")["end"], "stopped")

    def unanswered(self):
        """Requests that wait: but for the one that asks, which is counted as come and not as answered."""
        now = self.call("counters")
        return now["control_requests"] - 1 - sum(
            now[name] for name in ("control_replies_ok", "control_replies_error", "control_unanswered"))


class Errors(GraphTest):
    def error(self, *words):
        """What `sisctl --json graph WORDS` reports: code and field."""
        done = self.subject.ctl("--json", "graph", *words)
        self.assertEqual(done.returncode, 1, f"{words}: {done.stdout}{done.stderr}")
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["kind"], "refused")
        self.assertIn(error["message"], done.stderr)
        self.assertIn(f"[{error['code']}", error["message"])
        return error["code"] + (" " + error["field"] if "field" in error else "")

    def test_every_code_of_structure(self):
        self.make("g", {1: 1, 2: 1}, [("in", SOURCE, "", "1", {"out_schema": "text"})])
        before = self.call("graph show", graph="g")
        add = ("add-operator", "g")
        for words, expected in (
                (("show", "none"), "graph-unknown graph"),
                (("create", "g"), "graph-duplicate-name"),
                (("create", "a b"), "graph-bad-name"),
                (("create", "h", "4096"), "graph-bad-memory"),
                (("create", "h", "1073741824"), "graph-no-memory"),
                (("create", "h", "--budget_us", "9", "--period_us", "8"), "graph-bad-server"),
                (("create", "h", "--budget_us", "9"), "missing-argument period_us"),
                (("create", "h", "--memory", "1"), "bad-argument memory"),
                (("add-channel", "g", "1", "1"), "graph-duplicate-id"),
                (("add-channel", "g", "3", "1", "block", "none"), "graph-unknown-schema schema"),
                (("add-channel", "g", "3"), "missing-argument capacity"),
                ((*add, "1", "a", SOURCE, "", "2"), "graph-duplicate-id"),
                ((*add, "2", "in", SOURCE, "", "2"), "graph-duplicate-name"),
                ((*add, "2", "a", "none", "", "2"), "graph-unknown-kind"),
                ((*add, "2", "a", SOURCE, "", "9"), "graph-unknown-channel"),
                ((*add, "2", "a", SOURCE, "", "1"), "graph-channel-taken"),
                ((*add, "2", "a", SOURCE), "graph-bad-operator"),
                ((*add, "2", "a", "load", "1", "2"), "graph-bad-parameter"),
                ((*add, "2", "a", SINK, "1", "", "--in_schema", "tokens"), "graph-schema-mismatch"),
                ((*add, "2", "a", SINK, "1,x"), "bad-argument inputs"),
                ((*add, "2", "a", SINK, "1", "", "--parameters", "x"), "bad-argument parameters"),
                (("schema", "text", "7"), "graph-duplicate-schema id"),
                (("schema", "T"), "graph-bad-name name"),
                (("frob",), "not-found command")):
            with self.subTest(words=words):
                self.assertEqual(self.error(*words), expected)
        self.assertEqual(self.call("graph show", graph="g"), before)
        self.assertEqual(len(self.call("graph list")["graphs"]), 1)

    def test_every_code_of_running(self):
        self.make("g", {1: 1}, [("in", SOURCE, "", "1", {"parameters": "period_us=1000"})])
        self.assertEqual(self.error("start", "g"), "graph-incomplete")
        self.call("graph add-operator", graph="g", id=2, name="out", kind=SINK, inputs="1", cpu=5)
        self.assertEqual(self.error("start", "g"), "graph-bad-cpu")
        self.make_pipeline("h", budget_us=9000, period_us=10000)
        self.assertEqual(self.error("start", "h"), "graph-not-admitted")
        self.make_pipeline("i", "period_us=1000")
        self.assertEqual(self.error("stop", "i"), "graph-not-running")
        self.assertEqual(self.error("resume", "i"), "graph-not-paused")
        self.call("graph start", graph="i")
        self.assertEqual(self.error("start", "i"), "graph-busy")
        self.assertEqual(self.error("destroy", "i"), "graph-busy")
        self.assertEqual(self.error("add-channel", "i", "9", "1"), "graph-busy graph")

    def test_words_that_are_wrong_here_give_2(self):
        for words, message in ((("start", "g", "1", "2"), "'2' is one argument too many: 'graph start' has graph, steps"),
                               (("start", "g", "-1"), "steps: found '-1', allowed: an integer from 0 to "),
                               (("start", "--frob", "1"), "--frob: 'graph start' has no such argument")):
            done = self.subject.ctl("--json", "graph", *words)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, json.loads(done.stdout)["error"]["message"])

    def test_other_commands_in_words(self):
        name = "a" * 32
        self.assertEqual(json.loads(self.ctl("--json", "det", "admit", name, "1000", "10000"))["density_ppm"], 100000)
        self.assertEqual(json.loads(self.ctl("--json", "sched", name))["servers"][0]["budget_ns"], 1000000)
        self.ctl("det", "remove", name)


class Watch(GraphTest):
    """Into a graph through a control-source, and back through a control-sink."""

    def make_loop(self, graph="g", **options):
        # The sink is on another CPU than the loop that answers.
        self.make(graph, {1: 8}, [("in", "control-source", "", "1", {"parameters": "depth=8"}),
                                  ("out", "control-sink", "1", "", {"cpu": 1, **options})])

    def subscribe(self, **args):
        """The id of a subscription on a connection of its own."""
        watcher = self.subject.session()
        self.addCleanup(watcher.close)
        watcher.send(request(CALL, 7, {"op": "watch channel", "args": args}))
        return watcher

    def next_event(self, watcher):
        command, answered, body = watcher.receive_frame()
        self.assertEqual((command, answered), (EVENT, 7), body)
        return body

    def test_what_is_fed_comes_to_the_subscriber(self):
        self.make_loop()
        watcher = self.subscribe(graph="g", channel=1, interval_ms=0)
        self.call("graph start", graph="g")
        for number in range(200):
            data = f"tensor {number}".encode()
            self.call("graph feed", graph="g", operator="in", data=data)
            event = self.next_event(watcher)
            self.assertEqual((event["kind"], event["index"], event["data"]), ("tensor", number, data))
            self.assertEqual((event["dtype"], event["shape"], event["origin"]), ("u8", [len(data)], 1))
            self.assertNotIn("lost", event)
        self.call("graph feed", graph="g", operator="in", end=True)
        self.assertEqual(self.call("graph wait", graph="g")["end"], "finished")
        self.assertEqual(self.call("graph stats", graph="g")["tensors"]["live"], 0)
        self.call("graph destroy", graph="g")
        self.assertEqual(watcher.receive_frame(),
                         (REPLY, 7, {"status": "ok", "result": {"events": 200, "lost": 0, "end": "gone"}}))

    def test_figures_are_those_of_the_channel(self):
        self.make_pipeline("g", "period_us=1000")
        watcher = self.subscribe(graph="g", channel=1, interval_ms=50)
        self.call("graph start", graph="g")
        figures = [self.next_event(watcher) for _ in range(4)]
        self.assertEqual({each["kind"] for each in figures}, {"figures"})
        self.assertLess(figures[0]["sent"], figures[-1]["sent"])
        for before, after in zip(figures, figures[1:]):
            self.assertLess(before["time_ns"], after["time_ns"])
            self.assertLessEqual(before["received"], after["received"])
            self.assertLessEqual(after["depth"], after["high_water"])
        watcher.send(request(CANCEL, 8, {"id": 7}))
        while (frame := watcher.receive_frame())[0] == EVENT:
            pass
        self.assertEqual((frame[0], frame[1], frame[2]["code"]), (ERROR, 7, "cancelled"))
        self.assertEqual(watcher.receive_frame()[:2], (REPLY, 8))

    def test_connections_that_come_and_go_while_tensors_flow_leave_the_graph_whole(self):
        self.make("g", {1: 8}, [("in", SOURCE, "", "1", {"parameters": "elements=64"}),
                                ("out", "control-sink", "1", "", {"cpu": 1})])
        self.call("graph start", graph="g")
        lost = 0
        for _ in range(20):
            watcher = self.subscribe(graph="g", channel=1, interval_ms=0)
            lost += sum(self.next_event(watcher).get("lost", 0) for _ in range(50))
            watcher.close()
            harness.wait_until(lambda: self.call("counters")["control_connections_open"] == 1, "its end")
        self.assertGreater(lost, 0)
        self.call("graph stop", graph="g")
        self.call("graph wait", graph="g")
        stats = self.call("graph stats", graph="g")
        # All but what the sink keeps have been let go of.
        self.assertLessEqual(stats["tensors"]["live"], 16)

    def test_sisctl_feeds_and_watches(self):
        self.make_loop()
        self.call("graph start", graph="g")
        file = self.folder / "bytes"
        file.write_bytes(bytes(range(256)))
        watch = subprocess.Popen([harness.SISCTL, "--json", "--socket", self.subject.socket, "watch", "channel", "g",
                                  "1", "0", "3"], stdout=subprocess.PIPE, text=True, env=harness.environment())
        self.ctl("graph", "feed", "g", "in", "hello")
        self.ctl("graph", "feed", "g", "in", f"@{file}")
        fed = json.loads(self.ctl("--json", "graph", "feed", "g", "in", "--hex", "00ff", "--end"))
        self.assertTrue(fed["ended"])
        lines = [json.loads(line) for line in watch.communicate(timeout=30)[0].splitlines()]
        self.assertEqual(watch.returncode, 0)
        self.assertEqual([line.get("data") for line in lines],
                         [b"hello".hex(), bytes(range(256)).hex(), "00ff", None])
        self.assertEqual(lines[-1], {"events": 3, "lost": 0, "end": "count"})
        done = self.subject.ctl("graph", "feed", "g", "in", "late")
        self.assertIn(done.returncode, (0, 1))  # the end may have been taken already
        refused = self.subject.ctl("graph", "feed", "g", "out", "x")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("operator 'out' is of kind control-sink", refused.stderr)

    def test_a_shell_line_takes_a_count(self):
        self.make_loop()
        self.call("graph feed", graph="g", operator="in", data="abc")
        self.call("graph start", graph="g")
        self.assertEqual(self.ctl("shell", "watch channel g 1 --interval_ms 0 --count 1").splitlines()[0],
                         "0: u8[3]  616263")
        done = self.subject.ctl("shell", "watch channel g 1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("watch channel: without a count it does not end: give one", done.stdout)


if __name__ == "__main__":
    unittest.main()
