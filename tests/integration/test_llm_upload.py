"""Models that come over vsock: `sisctl llm load-pkg`, and clients that go away in the middle; `sisctl llm` besides."""

import json
import signal
import subprocess
import unittest

import gguf_models
import harness
import protocol
from test_models import SIS_MODEL

PIECE = 61440


class Uploads(harness.MachineTest):
    def setUp(self):
        super().setUp()
        gguf_models.put(self.folder / "m.gguf", stories=False)
        for words in (("keygen", "ours"), ("sign", "m.gguf", "--key", "ours.key", "--revision", "1", "--wcet-cycles", "100000000")):
            done = harness.run(SIS_MODEL, *words, cwd=self.folder)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.key = (self.folder / "ours.pub").read_text().strip()

    def boot(self, **llm):
        scenario = f"apiVersion: sis/v1\nmachine: {{memory: 256MiB}}\nllm: {json.dumps(llm)}\n"
        return self.machine(scenario).wait_ready()

    def used_pages(self, machine):
        return json.loads(machine.ctl("--json", "mem").stdout)["pages_used_bytes"]

    def models(self, machine):
        listed = json.loads(machine.ctl("llm", "list", "--json").stdout)["models"]
        return {model["id"]: model["state"] for model in listed}

    def test_signed_package_is_loaded_and_asked(self):
        machine = self.boot(public_key=self.key)
        done = machine.ctl("llm", "load-pkg", self.folder / "m.gguf", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        loaded = json.loads(done.stdout)
        self.assertEqual((loaded["model"], loaded["state"], loaded["size"]),
                         ("m", "loaded", (self.folder / "m.gguf").stat().st_size))
        self.assertEqual(self.models(machine), {"m": "loaded"})
        again = machine.ctl("llm", "load-pkg", self.folder / "m.gguf")
        self.assertEqual(again.returncode, 1)
        self.assertIn("llm-model-exists", again.stderr)
        self.asks(machine)
        records = json.loads(machine.ctl("--json", "audit").stdout)["records"]
        ops = [record["op"] for record in records if record["op"].startswith("llm upload")]
        self.assertEqual(ops, ["llm upload-end", "llm upload", "llm upload"])

    def asks(self, machine):
        whole = json.loads(machine.ctl("llm", "infer", "m", "why", "--max-tokens", "8", "--json").stdout)
        self.assertEqual((whole["stop"], whole["tokens"]), ("length", 8))
        done = machine.ctl("llm", "infer", "--stream", "m", "why", "--max-tokens", "8")
        self.assertEqual((done.returncode, done.stdout), (0, whole["text"] + "\n"))
        done = subprocess.run([harness.SISCTL, "--socket", machine.socket, "llm", "infer", "m", "-", "--max-tokens", "8"],
                              input=b"why\n", capture_output=True, env=harness.environment(), timeout=harness.LIMIT_S)
        self.assertEqual(done.stdout.decode(), whole["text"] + "\n")
        self.assertEqual(machine.ctl("llm", "infer", "m", "why", "--max-tokens", "0").returncode, 1)
        self.assertEqual(machine.ctl("llm", "infer", "m", "why", "--tokens", "8").returncode, 2)
        self.assertEqual(machine.ctl("llm", "explain").returncode, 2)

    def test_refused_packages_leave_nothing(self):
        machine = self.boot(public_key=self.key)
        before = self.used_pages(machine)
        text = (self.folder / "m.sig").read_text()
        (self.folder / "forged.sig").write_text(text.replace("revision: 1", "revision: 9"))
        (self.folder / "other.gguf").write_bytes(bytes((self.folder / "m.gguf").stat().st_size))
        for words, code in ((("m.gguf", "--manifest", "forged.sig"), "package-wrong-signature"),
                            (("other.gguf",), "package-unsigned"), (("other.gguf", "--manifest", "m.sig"), "package-wrong-hash"),
                            (("m.gguf", "--id", "other"), "package-wrong-id")):
            done = harness.run(harness.SISCTL, "--socket", machine.socket, "llm", "load-pkg", *words, cwd=self.folder)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(code, done.stderr)
        self.assertEqual(self.models(machine), {"m": "refused"})
        self.assertLessEqual(self.used_pages(machine), before + 65536)

    def test_clients_that_go_away_leave_nothing(self):
        machine = self.boot(allow_unsigned=True)
        before = self.used_pages(machine)
        size = 32 << 20
        with machine.session() as connection:
            for number, (op, arguments) in enumerate((("llm upload", {"size": size, "id": "a"}),
                                                      ("llm upload-data", {"offset": 0, "bytes": bytes(PIECE)}))):
                connection.send(protocol.request(protocol.CALL, 10 + number, {"op": op, "args": arguments}))
            self.assertEqual(connection.receive_frame()[:2], (protocol.REPLY, 11))
            self.assertGreaterEqual(self.used_pages(machine), before + size)
        harness.wait_until(lambda: self.used_pages(machine) < before + 65536, "the memory of the upload")

        (self.folder / "big.gguf").write_bytes(bytes(size))
        process = subprocess.Popen([harness.SISCTL, "--socket", machine.socket, "llm", "load-pkg", self.folder / "big.gguf"],
                                   stderr=subprocess.PIPE, text=True, env=harness.environment())
        harness.wait_until(lambda: process.poll() is not None or self.used_pages(machine) >= before + size, "the upload")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=harness.LIMIT_S)
        self.assertEqual(process.returncode, 130, errors)
        harness.wait_until(lambda: self.used_pages(machine) < before + 65536, "the memory of the upload")


if __name__ == "__main__":
    unittest.main()
