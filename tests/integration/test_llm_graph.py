"""Language models in graphs: llm.generate says what the service says, in parts; a run that is stopped leaves no request;
llmgraph makes such a graph and takes it down again."""

import re
import unittest

import gguf_models
import harness
import protocol

SCENARIO = """apiVersion: sis/v1
machine: {memory: 256MiB}
boot: {verbosity: info}
llm:
  allow_unsigned: true
  models: [{file: m.gguf}]
  classes: [{name: all, members: [control]}, {name: graphs, members: [graphs]}]
graphs:
  - name: talk
    start: manual
    channels:
      - {id: 1, capacity: 2, schema: text}
      - {id: 2, capacity: 2, schema: tokens}
      - {id: 3, capacity: 2, schema: text}
    operators:
      - {id: 1, name: ask, kind: control-source, stage: acquire, out: [1]}
      - id: 2
        name: model
        kind: llm.generate
        stage: model
        in: [1]
        out: [2, 3]
        parameters: {model: m, max_tokens: 100, temperature_milli: 3000, pattern: "[a-f]{9,60}."}
      - {id: 3, name: tokens, kind: sink, stage: explain, in: [2]}
      - {id: 4, name: say, kind: log-sink, stage: explain, in: [3], parameters: {per_second: 0}}
"""


class Graphs(harness.MachineTest):
    def setUp(self):
        super().setUp()
        gguf_models.put(self.folder / "m.gguf", False)
        self.running = self.machine(SCENARIO).wait_ready()
        self.connection = self.running.session()
        self.addCleanup(self.connection.close)

    def ask(self, op, **arguments):
        command, _, body = self.connection.call(2, op, arguments)
        self.assertEqual(command, protocol.REPLY, body)
        return body["result"]

    def refusal(self, op, **arguments):
        command, _, body = self.connection.call(2, op, arguments)
        self.assertEqual(command, protocol.ERROR, body)
        return body

    def test_texts_are_answered_and_a_run_that_is_stopped_leaves_nothing(self):
        self.ask("graph feed", graph="talk", operator="ask", data="Once")
        self.ask("graph feed", graph="talk", operator="ask", data="upon a time", end=True)
        self.ask("graph start", graph="talk")
        self.assertEqual(self.ask("graph wait", graph="talk")["end"], "finished")
        stats = self.ask("graph stats", graph="talk")
        self.assertEqual(stats["tensors"]["live"], 0)
        self.assertEqual(stats["operators"][0]["executions"], 3)  # two texts and their end
        self.assertGreater(stats["operators"][1]["executions"], 6)
        said = "".join(re.findall(r"graph: (.*)", self.running.console()))
        self.assertGreaterEqual(len(re.findall("[a-f]", said)), 18, self.running.console()[-2000:])
        served = self.ask("llmstats")
        self.assertEqual((served["requests"], served["finished"], served["failed"]), (2, 2, 0))
        self.ask("graph feed", graph="talk", operator="ask", data="Once")
        self.ask("graph start", graph="talk")
        harness.wait_until(lambda: self.ask("llmstats")["requests"] == 3, "the graph's request")
        self.ask("graph stop", graph="talk")
        self.assertEqual(self.ask("graph wait", graph="talk")["end"], "stopped")
        harness.wait_until(lambda: self.ask("llmctl status")["running"] == 0, "the end of its request")
        self.assertEqual(self.ask("llmctl status")["kept"], 0)

    def test_llmgraph_says_what_llminfer_says(self):
        alone = self.ask("llminfer", model="m", prompt="Once", max_tokens=40)
        for _ in range(2):
            said = self.ask("llmgraph", model="m", prompt="Once", max_tokens=40)
            self.assertEqual((said["text"], said["tokens"], said["lost"]), (alone["text"], 40, 0))
            self.assertEqual(said["end"], "finished")
        held = self.ask("llminfer", model="m", prompt="Once", choices="left|right")
        self.assertIn(held["text"], ("left", "right"))
        self.assertEqual(self.ask("llmgraph", model="m", prompt="Once", pattern="left|right")["text"], held["text"])
        refused = self.refusal("llmgraph", model="none", prompt="Once")
        self.assertEqual(refused["code"], "graph-failed")
        self.assertIn("llm-no-model", refused["message"])
        self.assertEqual([graph["graph"] for graph in self.ask("graph list")["graphs"]], ["talk"])


if __name__ == "__main__":
    unittest.main()
