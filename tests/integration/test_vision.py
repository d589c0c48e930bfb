"""Networks in graphs: the same classes and scores with an NPU and without one, and most of them right."""

import json
import re
import shutil
import sys
import unittest

import harness

sys.path.insert(0, str(harness.ROOT / "tools/models"))
import gguf  # noqa: E402

IMAGES = 16
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
# A model and a matrix of the scenario's own.
FILES = """apiVersion: sis/v1
boot: {verbosity: info}
graphs:
  - name: images
    steps: 3
    channels: [{id: 1, capacity: 4}, {id: 2, capacity: 4}, {id: 3, capacity: 4}]
    operators:
      - id: 1
        name: camera
        kind: image-source
        stage: acquire
        out: [1, 2]
        parameters: {pattern: shapes, width: 32, height: 32, noise: 12, seed: 2}
      - {id: 2, name: classify, kind: npu.conv, stage: model, in: [1], out: [3], parameters: {file: own.gguf}}
      - {id: 3, name: judge, kind: sink, stage: explain, in: [2, 3], parameters: {check: equal}}
  - name: numbers
    steps: 2
    channels: [{id: 1, capacity: 4}, {id: 2, capacity: 4}]
    operators:
      - id: 1
        name: numbers
        kind: synthetic-source
        stage: acquire
        out: [1]
        parameters: {dtype: f32, elements: 2, pattern: ramp}
      - {id: 2, name: times, kind: npu.gemm, stage: model, in: [1], out: [2], parameters: {file: w.gguf, tensor: w}}
      - {id: 3, name: products, kind: log-sink, stage: explain, in: [2]}
steps:
  - {op: graph wait, args: {graph: images}, timeout: 1m, expect: {reply: {result.end: finished}}}
  - {op: graph wait, args: {graph: numbers}, timeout: 1m, expect: {reply: {result.end: finished}}}
expect:
  # (0, 1) and (1, 2), times (1, 2) and (3, 4): 2 and 4, 5 and 11.
  console:
    - {contains: "tensor 0 of operator 2: f32 [2] 00 00 00 40 00 00 80 40"}
    - {contains: "tensor 1 of operator 2: f32 [2] 00 00 a0 40 00 00 30 41"}
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

    @unittest.skipIf(harness.BACKEND == "qemu", "test_scenarios runs it")
    def test_scenario_of_both_networks_passes(self):
        done = harness.run(harness.SISVMM, "run", harness.ROOT / "configs/vision-npu.yaml", "--run-dir",
                           self.folder / "vision", "--name", f"vision-{self.folder.name}", "--backend", harness.BACKEND)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_files_of_the_scenario_are_models_and_matrices(self):
        shutil.copy(harness.ROOT / "models/shapes.gguf", self.folder / "own.gguf")
        writer = gguf.Writer()
        writer.put_tensor("v", [1], gguf.Type.F32, [1.0])
        writer.put_tensor("w", [2, 2], gguf.Type.F32, [1.0, 2.0, 3.0, 4.0])
        writer.save(self.folder / "w.gguf")
        done, _ = self.run_scenario(FILES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
