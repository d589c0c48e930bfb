"""Questions about a machine that its own model answers (docs/explain.md): each part of an answer is held against the
figures, and a signed package is accepted. test_scenarios runs configs/explain.yaml, in which the slow operator is named."""

import json
import shutil

import harness

SIS_MODEL = harness.BUILD / "tools/model/sis-model"
MODEL = harness.ROOT / "models/sis-explain.gguf"
GRAPH = """
graphs:
  - name: g
    start: manual
    channels: [{id: 7, capacity: 4}, {id: 9, capacity: 4}]
    operators:
      - {id: 1, name: in, kind: synthetic-source, stage: acquire, priority: 1, out: [7], parameters: {period_us: 1000}}
      - {id: 2, name: x7-late, kind: load, stage: explore, in: [7], out: [9], parameters: {us: 5000}}
      - {id: 3, name: a, kind: sink, stage: explain, in: [9]}
"""


class Explain(harness.MachineTest):
    def test_the_committed_package_is_accepted(self):
        done = harness.run(SIS_MODEL, "verify", MODEL, "--public-key", f"@{MODEL.with_suffix('.pub')}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_signed_model_answers_shell_and_sisctl(self):
        shutil.copy(MODEL, self.folder / "sis-explain.gguf")
        for words in (("keygen", "ours"), ("sign", "sis-explain.gguf", "--key", "ours.key", "--revision", "1", "--wcet-cycles", "100000")):
            self.assertEqual(harness.run(SIS_MODEL, *words, cwd=self.folder).returncode, 0)
        llm = {"public_key_file": "ours.pub", "models": [{"file": "sis-explain.gguf"}]}
        machine = self.machine(f"apiVersion: sis/v1\nmachine: {{icount_shift: 3}}\nllm: {json.dumps(llm)}\n{GRAPH}").wait_ready()
        self.assertEqual(machine.ctl("graph", "start", "g", "50").returncode, 0)
        self.assertEqual(machine.ctl("graph", "wait", "g").returncode, 0)
        asked = machine.ctl("--json", "ask", "Why was op x7-late slower than op a?")
        self.assertEqual(asked.returncode, 0, asked.stdout + asked.stderr)
        answer = json.loads(asked.stdout)
        self.assertIn("'x7-late' is slower", answer["answer"])
        self.assertIn("'a' a run takes", answer["answer"])
        self.assertTrue(answer["holds"], answer)
        stats = json.loads(machine.ctl("--json", "graph", "stats", "g").stdout)
        runs = {part["of"]: part["value"] for part in answer["figures"] if part.get("figure") == "run_ns" and "value" in part}
        self.assertEqual(set(runs), {"'x7-late'", "'a'"})
        self.assertLessEqual(runs["'x7-late'"], stats["operators"][1]["execution_time"]["max_ns"])
        self.assertGreaterEqual(runs["'x7-late'"], 5_000_000)
        shown = machine.ctl("shell", "ask 'is channel 7 full'").stdout
        self.assertIn("channel 7 is saturated", shown)
        self.assertIn("channel 7 hits", shown)
        refused = machine.ctl("shell", "ask 'why' --graph none")
        self.assertIn("there is no graph 'none'", refused.stdout + refused.stderr)
        refused = machine.ctl("ask", "why", "--model", "none")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("llm-no-model", refused.stdout + refused.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
