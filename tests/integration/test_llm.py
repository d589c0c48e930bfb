"""A language model in the guest, before there is a service for it: an image that tells a story, on the NPU and on the
CPU (guest/arch/aarch64/tests/guest/llm_test.cpp).

Stories need the models of ../shared/models beside the repository, where that is there, or of SIS_SHARED_MODELS. A model
of random numbers, made here, has nothing to say, but says the same everywhere.
"""

import pathlib
import re
import tempfile
import unittest

import harness
from gguf_models import MODELS, gguf, random_model

IMAGE = harness.KERNEL.parent / "llm_test.Image"
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


class Told(harness.MachineTest):
    def tell(self, model, npu):
        """(what ran it, positions, text)"""
        machine = self.machine(SCENARIO.format(npu=npu, image=IMAGE, model=model))
        self.assertEqual(machine.wait(), 0, machine.output())
        told = TOLD.search(machine.console())
        self.assertIsNotNone(told, machine.console())
        return told.groups()


class Noise(Told):
    def test_is_the_same_from_the_cpu_and_from_the_device(self):
        with tempfile.TemporaryDirectory() as folder:
            for kind in (gguf.Type.F32, gguf.Type.Q8_0):
                model = pathlib.Path(folder) / f"{kind.name}.gguf"
                random_model(kind).save(model)
                cpu, device = self.tell(model, "off"), self.tell(model, "{threads: 2}")
                self.assertEqual((cpu[0], device[0]), ("cpu", "device"))
                self.assertEqual(cpu[1:], device[1:])
                self.assertEqual(cpu[1], "128")
                self.assertGreater(len(set(cpu[2])), 8, cpu)


class Stories(Told):
    def story(self, kind, npu):
        model = MODELS / f"stories260K.{kind}.gguf"
        if not model.exists():
            self.skipTest(f"no {model}")
        return self.tell(model, npu)

    def test_is_told_by_the_cpu(self):
        self.assertEqual(self.story("f32", "off"), ("cpu", "128", STORY + ENDS["f32"]))

    def test_is_told_by_the_device(self):
        self.assertEqual(self.story("q8_0", "{threads: 1}"), ("device", "128", STORY + ENDS["q8_0"]))


if __name__ == "__main__":
    unittest.main()
