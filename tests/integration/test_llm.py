"""A language model in the guest, before there is a service for it: an image that tells a story, on the NPU and on the
CPU (guest/arch/aarch64/tests/guest/llm_test.cpp).

The models are those of ../shared/models beside the repository, where that is there, or of SIS_SHARED_MODELS.
"""

import os
import pathlib
import re
import unittest

import harness

IMAGE = harness.KERNEL.parent / "llm_test.Image"
MODELS = pathlib.Path(os.environ.get("SIS_SHARED_MODELS", harness.ROOT.parent / "shared" / "models"))
# What comes into the boot archive as a file is what an operator reads.
SCENARIO = """apiVersion: sis/v1
machine: {{cpus: 1, memory: 256MiB}}
npu: {npu}
boot: {{kernel: {image}}}
graphs:
  - name: files
    start: manual
    channels: [{{id: 1, capacity: 2}}]
    operators:
      - {{id: 1, name: reader, stage: acquire, kind: image-source, out: [1], parameters: {{file: {model}}}}}
      - {{id: 2, name: end, stage: explain, kind: sink, in: [1]}}
"""
STORY = ("Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a "
         "big, red ball. She wanted to play with it, but it was too high.\\nLily's mom said, \"Lily, let's go to the "
         "park.\" Lily was sad and didn't know what to do. She said, \"I want to play with")
ENDS = {"f32": " your ball, but I can't find", "q8_0": ' my ball." Her mom said, "I want'}
TOLD = re.compile(r'LLM npu=(\w+) positions=(\d+) ns=\d+ cycles=\d+ text="(.*)"')


class Stories(harness.MachineTest):
    def tell(self, kind, npu):
        """(what ran it, positions, text)"""
        model = MODELS / f"stories260K.{kind}.gguf"
        if not model.exists():
            self.skipTest(f"no {model}")
        machine = self.machine(SCENARIO.format(npu=npu, image=IMAGE, model=model))
        self.assertEqual(machine.wait(), 0, machine.output())
        told = TOLD.search(machine.console())
        self.assertIsNotNone(told, machine.console())
        return told.groups()

    def test_is_told_by_the_cpu(self):
        self.assertEqual(self.tell("f32", "off"), ("cpu", "128", STORY + ENDS["f32"]))

    def test_is_told_by_the_device(self):
        self.assertEqual(self.tell("q8_0", "{threads: 1}"), ("device", "128", STORY + ENDS["q8_0"]))


if __name__ == "__main__":
    unittest.main()
