"""Packages of models from sis-model into a machine: what is accepted, what is refused and how, and what the audit log says."""

import json
import struct
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools" / "models"))

import gguf  # noqa: E402
from gguf import Kind, Type  # noqa: E402

SIS_MODEL = harness.BUILD / "tools/model/sis-model"
STORIES = harness.ROOT.parent / "shared/models/stories260K.q8_0.gguf"


def tiny_model():
    writer = gguf.Writer()
    writer.put("general.architecture", "llama")
    writer.put("llama.context_length", 16, Kind.U32)
    writer.put_array("tokenizer.ggml.tokens", ["<unk>", "a", "b"], Kind.STRING)
    writer.put_tensor("token_embd.weight", [32, 3], Type.Q8_0, [0.5] * 96)
    return writer.bytes()


class Models(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.model("keygen", "ours")
        self.public_key = (self.folder / "ours.pub").read_text().strip()

    def model(self, *words):
        done = harness.run(SIS_MODEL, *words, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def signed(self, name, data, revision=3):
        (self.folder / f"{name}.gguf").write_bytes(data)
        self.model("sign", f"{name}.gguf", "--key", "ours.key", "--revision", revision, "--wcet-cycles", "1200")

    def scenario(self, llm):
        return f"apiVersion: sis/v1\nllm: {json.dumps(llm)}\n"

    def verify(self, machine, name, code=0):
        done = machine.ctl("--json", "call", "llmverify", "--args", json.dumps({"model": name}))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        answer = json.loads(done.stdout)
        return answer["error"]["code"] if code else answer

    def test_packages_are_accepted_or_refused_by_name_and_audited(self):
        self.signed("good", tiny_model())
        self.signed("old", tiny_model(), revision=1)
        self.signed("changed", tiny_model())
        self.signed("stripped", tiny_model())
        data = bytearray(tiny_model())
        data[-1] ^= 1
        (self.folder / "changed.gguf").write_bytes(data)
        text = (self.folder / "stripped.sig").read_text()
        (self.folder / "stripped.sig").write_text(text.replace("wcet-cycles: 1200\n", ""))
        self.signed("forged", tiny_model())
        text = (self.folder / "forged.sig").read_text()
        (self.folder / "forged.sig").write_text(text.replace("revision: 3", "revision: 9"))
        names = ("good", "old", "changed", "stripped", "forged")
        models = [{"file": f"{name}.gguf", **({"min_revision": 2} if name == "old" else {})} for name in names]
        machine = self.machine(self.scenario({"public_key_file": "ours.pub", "models": models})).wait_ready()
        self.assertIn(self.public_key, (machine.run_dir / "scenario.yaml").read_text())

        answer = self.verify(machine, "good")
        self.assertEqual((answer["id"], answer["revision"], answer["key"]), ("good", 3, self.public_key))
        self.assertEqual(answer["checks"]["signature"], "ok")
        hashed = json.loads(machine.ctl("--json", "call", "llmhash", "--args", '{"file": "models/good.gguf"}').stdout)
        self.assertEqual(hashed["sha256"], answer["sha256"])
        refused = {"old": "package-replayed", "changed": "package-wrong-hash", "stripped": "package-missing-wcet",
                   "forged": "package-wrong-signature", "none": "not-found"}
        for name, reason in refused.items():
            self.assertEqual(self.verify(machine, name, code=1), reason)
        records = json.loads(machine.ctl("--json", "audit").stdout)["records"]
        seen = [(record["event"], record["code"]) for record in records if record["op"] == "llmverify"]
        self.assertEqual(seen, [("call-done", ""), *(("call-refused", code) for code in refused.values())])
        counters = json.loads(machine.ctl("--json", "counters").stdout)
        self.assertEqual(counters["control_error_package"], 4)
        shown = machine.ctl("shell", "llmverify good").stdout
        self.assertIn("quantisation: Q8_0\n", shown)
        self.assertIn("signature: ok\n", shown)

    def test_unsigned_models_need_the_scenarios_leave(self):
        (self.folder / "tiny.gguf").write_bytes(tiny_model())
        models = [{"file": "tiny.gguf"}]
        done, _ = self.run_scenario(self.scenario({"public_key": self.public_key, "models": models}))
        self.assertEqual(done.returncode, 2)
        self.assertIn("llm.models[0].file: found no manifest", done.stderr)
        machine = self.machine(self.scenario({"allow_unsigned": True, "models": models})).wait_ready()
        self.assertEqual(self.verify(machine, "tiny")["checks"]["signature"], "none, which the scenario allows")

    def test_a_model_of_others_is_verified(self):
        if not STORIES.exists():
            self.skipTest(f"no {STORIES}")
        self.signed("stories", STORIES.read_bytes())
        machine = self.machine(self.scenario({"public_key": self.public_key, "models": [{"file": "stories.gguf"}]}))
        answer = self.verify(machine.wait_ready(), "stories")
        self.assertEqual((answer["vocabulary"], answer["quantisation"], answer["size"]), (512, "Q8_0", 454400))

    def test_a_key_that_is_none_ends_the_boot(self):
        """The monitor refuses it already: here it is put into the archive behind its back."""
        machine = self.machine(self.scenario({"public_key": self.public_key})).wait_ready()
        archive = (machine.run_dir / "boot.cpio").read_bytes()
        key = bytes.fromhex(self.public_key)
        self.assertEqual(archive.count(key), 1)
        machine.stop()
        changed = self.folder / "changed.cpio"
        changed.write_bytes(archive.replace(key, struct.pack("<4Q", 2, 0, 0, 0)))
        done = harness.run("qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-m", "256", "-nic", "none",
                           "-nographic", "-no-reboot", "-kernel", harness.KERNEL, "-initrd", changed)
        self.assertIn("BOOT CONFIG ERROR: llm-bad-key: 0200000000000000", done.stdout)


if __name__ == "__main__":
    import unittest
    unittest.main()
