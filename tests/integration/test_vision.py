"""Networks in graphs: the same classes and scores with an NPU and without one, and most of them right."""

import json
import re
import unittest

import harness

IMAGES = 24
# The images, their labels, and what the network says of them, line by line in the kernel's log.
SCENARIO = """apiVersion: sis/v1
npu: {npu}
boot: {{verbosity: info}}
graphs:
  - name: look
    start: manual
    channels: [{{id: 1, capacity: 4}}, {{id: 2, capacity: 8}}, {{id: 3, capacity: 4}}, {{id: 4, capacity: 4}}]
    operators:
      - id: 1
        name: camera
        kind: image-source
        stage: acquire
        out: [1, 2]
        parameters: {{pattern: shapes, width: 32, height: 32, noise: 20, seed: 5}}
      - {{id: 2, name: classify, kind: npu.conv, stage: model, in: [1], out: [3, 4]}}
      - {{id: 3, name: labels, kind: log-sink, stage: explain, in: [2], parameters: {{per_second: 0}}}}
      - {{id: 4, name: classes, kind: log-sink, stage: explain, in: [3], parameters: {{per_second: 0}}}}
      - {{id: 5, name: scores, kind: log-sink, stage: explain, in: [4], parameters: {{per_second: 0}}}}
steps:
  - {{op: graph start, args: {{graph: look, steps: {images}}}}}
  - {{op: graph wait, args: {{graph: look}}, timeout: 1m, expect: {{reply: {{result.end: finished}}}}}}
"""
LABEL = re.compile(r"tensor (\d+) of operator (\d+): u32 \[1\] (.*)")
SCORES = re.compile(r"tensor (\d+) of operator 2: f32 \[6\] (.*)")


class Vision(harness.MachineTest):
    def look(self, npu):
        """Labels, classes and scores of the images, in their order, as the log shows their bytes."""
        done, run_dir = self.run_scenario(SCENARIO.format(npu=npu, images=IMAGES), name=f"npu-{npu}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        console = (run_dir / "console.log").read_text(errors="replace").replace("\r", "")
        named = {(origin, int(number)): shown for number, origin, shown in LABEL.findall(console)}
        scores = dict(SCORES.findall(console))
        counters = json.loads((run_dir / "summary.json").read_text())["device_counters"]
        self.assertEqual(counters.get("npu_jobs_submitted", 0), IMAGES if npu == "on" else 0)
        return ([named["1", n] for n in range(IMAGES)], [named["2", n] for n in range(IMAGES)],
                [scores[str(n)] for n in range(IMAGES)])

    def test_npu_and_cpu_say_the_same(self):
        labels, classes, scores = self.look("off")
        self.assertEqual(self.look("on"), (labels, classes, scores))
        right = sum(label == found for label, found in zip(labels, classes))
        self.assertGreaterEqual(right, IMAGES * 85 // 100, (labels, classes))
        self.assertGreater(len(set(scores)), IMAGES // 2)

    def test_scenario_of_both_networks_passes(self):
        done = harness.run(harness.SISVMM, "run", harness.ROOT / "configs/vision-npu.yaml", "--run-dir",
                           self.folder / "vision", "--name", f"vision-{self.folder.name}", "--backend", harness.BACKEND)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
