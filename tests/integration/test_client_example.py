"""tools/examples/sis_client.py, which was written from docs/control-protocol.md alone, against a real machine."""

import json
import pathlib
import shutil
import sys
import tempfile
import unittest

import harness

EXAMPLES = harness.ROOT / "tools/examples"
sys.path.insert(0, str(EXAMPLES))
import sis_client  # noqa: E402


class ExampleTest(unittest.TestCase):
    """All tests of a class share a machine."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.subject = harness.Machine(cls.folder, name="e")
        cls.addClassCleanup(cls.subject.destroy)
        cls.subject.wait_ready()


class Script(ExampleTest):
    def ask(self, *words):
        done = harness.run(sys.executable, EXAMPLES / "sis_client.py", self.subject.run_dir, *words)
        return done.returncode, done.stdout, done.stderr

    def result(self, *words):
        code, output, complaints = self.ask(*words)
        self.assertEqual((code, complaints), (0, ""), words)
        return json.loads(output)

    def test_results_are_printed_as_json(self):
        self.assertEqual(self.result("ping", '{"payload": "a \\u00fc b"}')["payload"], "a \u00fc b")
        self.assertEqual(self.result("info")["cpus"], 1)
        self.assertGreater(self.result("counters")["control_requests"], 0)
        self.assertEqual(self.result("sleep", '{"ms": 1}'), {})
        self.assertEqual(self.result("shell", '{"line": "echo one; echo two"}'), {"output": "one\ntwo\n", "status": 0})

    def test_a_graph_from_its_first_request_to_its_last(self):
        def graph(op, **arguments):
            return self.result(f"graph {op}", json.dumps({"graph": "g", **arguments}))

        self.assertEqual(graph("create"), {"graph": "g", "channels": 0, "operators": 0})
        graph("add-channel", id=1, capacity=4)
        graph("add-operator", id=1, name="in", kind="synthetic-source", outputs="1")
        graph("add-operator", id=2, name="out", kind="sink", inputs="1")
        self.assertEqual(graph("start", steps=10)["state"], "running")
        self.assertEqual(graph("wait")["end"], "finished")
        self.assertEqual([each["executions"] for each in graph("stats")["operators"]], [10, 10])
        self.assertEqual(graph("destroy"), {"graphs": 0})

    def test_refusals_are_told_on_standard_error(self):
        self.assertEqual(self.ask("no-such-op"), (1, "", "sis_client: unknown-op [op]: no command 'no-such-op'; the "
                                                         "command help lists them\n"))
        self.assertEqual(self.ask("shutdown", '{"code": 256}'),
                         (1, "", "sis_client: bad-argument [code]: code: found 256, allowed: an integer from 0 to "
                                 "255\n"))

    def test_events_have_a_line_each_before_the_result(self):
        self.assertEqual(self.ask("watch trace", '{"count": 3}')[0], 1)
        self.result("trace", '{"action": "on"}')
        try:
            code, output, _ = self.ask("watch trace", '{"count": 3, "interval_ms": 10}')
        finally:
            self.result("trace", '{"action": "off"}')
        self.assertEqual(code, 0)
        *events, result = [json.loads(line) for line in output.splitlines()]
        self.assertEqual((result["events"], result["lost"], result["end"]), (3, 0, "count"))
        seen = [event for each in events for event in each["events"]]
        self.assertEqual(len(seen), 3)
        self.assertIn("time_ns", seen[0])

    def test_what_cannot_be_asked_gives_2(self):
        self.assertEqual(self.ask("ping", "[1]"),
                         (2, "", "sis_client: the arguments must be a JSON object, not [1]\n"))
        for words in ([], ["ping", "{"], ["ping", '{"payload": 1.5}'], ["ping", "{}", "more"]):
            self.assertEqual(self.ask(*words)[0], 2, words)


class Module(ExampleTest):
    def setUp(self):
        self.client = sis_client.Client(self.subject.run_dir)
        self.addCleanup(self.client.close)

    def refused(self, action):
        with self.assertRaises(sis_client.Refused) as caught:
            action()
        return caught.exception.code

    def test_hello_tells_of_the_server(self):
        hello = self.client.hello
        self.assertEqual((hello["server"], hello["protocol"], hello["rights"]), ("sis", 1, 7))

    def test_many_requests_without_waiting_each_have_their_answer(self):
        payloads = ["x" * (37 * number % 3000) for number in range(300)]
        ids = [self.client.start("ping", payload=payload) for payload in payloads]
        for request_id, payload in sorted(zip(ids, payloads), reverse=True):
            self.assertEqual(self.client.receive(request_id)["payload"], payload)
        self.assertEqual(self.client.answers, {})

    def test_answers_overtake_each_other(self):
        slow = self.client.start("sleep", ms=3_600_000)
        self.assertEqual(self.client.call("ping", payload=b"\x00\xff")["payload"], b"\x00\xff")
        self.assertEqual(self.client.cancel(slow), {})
        self.assertEqual(self.refused(lambda: self.client.receive(slow)), "cancelled")
        self.assertEqual(self.refused(lambda: self.client.cancel(slow)), "not-found")

    def test_events_come_beside_answers_until_they_are_cancelled(self):
        events = []
        self.client.on_event = lambda request_id, body: events.append((request_id, body))
        self.client.call("trace", action="on")
        watch = self.client.start("watch trace", interval_ms=10)
        while len(events) < 3:
            self.client.call("sleep", ms=10)
        self.client.cancel(watch)
        self.assertEqual(self.refused(lambda: self.client.receive(watch)), "cancelled")
        self.client.call("trace", action="off")
        self.assertEqual({request_id for request_id, _ in events}, {watch})

    def test_a_token_gives_what_it_says(self):
        observer = sis_client.Client(self.subject.run_dir, rights=1)
        self.addCleanup(observer.close)
        self.assertIn("version", observer.call("info"))
        self.assertEqual(self.refused(lambda: observer.call("sleep", ms=1)), "forbidden")

    def test_a_token_under_another_key_is_refused(self):
        other = self.folder / "other"
        other.mkdir()
        (other / "vsock.sock").symlink_to(self.subject.run_dir / "vsock.sock")
        (other / "control.key").write_bytes(bytes(32))
        self.assertEqual(self.refused(lambda: sis_client.Client(other)), "token-invalid")

    def test_values_of_every_kind_go_there_and_back(self):
        value = {"": [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1, -1, -24, -25, -2**64],
                 "more": {"b": b"\x00" * 300, "t": "\u00fc" * 20, "n": None, "yes": True, "no": False, "none": [],
                          "m": {}}}
        encoded = sis_client.encode(value)
        self.assertEqual(sis_client.decode(encoded), (value, len(encoded)))


if __name__ == "__main__":
    unittest.main()
