"""The parts of `./sis bench llm`: models of random weights, the plain engine, and what is made of their figures. How fast
anything is does not matter."""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tools" / "models")]
import gguf  # noqa: E402
import llm_bench  # noqa: E402
import random_llm  # noqa: E402

PLAIN = pathlib.Path(os.environ["SIS_BUILD"]) / "tests/performance/llm/llm_plain"
# Heads share keys, and the inner side of a layer is no whole number of blocks.
TINY = random_llm.Shape(embedding=32, layers=2, feed_forward=44, heads=4, key_heads=2, vocabulary=40)


def multiply(matrix, x):
    rows = matrix.values()
    return [math.fsum(w * v for w, v in zip(rows[at:at + len(x)], x)) for at in range(0, len(rows), len(x))]


def norm(x, epsilon):
    factor = 1 / math.sqrt(math.fsum(v * v for v in x) / len(x) + epsilon)
    return [v * factor for v in x]  # its weights are 1


def turned(heads, shape, position):
    size = shape.embedding // shape.heads
    out = list(heads)
    for at in range(0, len(heads), 2):
        angle = position * 10000 ** (-(at % size) / size)
        a, b = heads[at], heads[at + 1]
        out[at] = a * math.cos(angle) - b * math.sin(angle)
        out[at + 1] = a * math.sin(angle) + b * math.cos(angle)
    return out


def attended(query, keys, values, shape):
    size = shape.embedding // shape.heads
    out = []
    for head in range(shape.heads):
        first = head // (shape.heads // shape.key_heads) * size
        q = query[head * size:(head + 1) * size]
        scores = [math.exp(math.fsum(a * b for a, b in zip(q, key[first:])) / math.sqrt(size)) for key in keys]
        out += [math.fsum(s * value[first + i] for s, value in zip(scores, values)) / sum(scores) for i in range(size)]
    return out


def reference(file, shape, tokens):
    """The logits behind the tokens, in the plainest way."""
    tensor = file.tensors
    caches = [([], []) for _ in range(shape.layers)]
    for position, token in enumerate(tokens):
        n = shape.embedding
        x = list(tensor["token_embd.weight"].values()[token * n:(token + 1) * n])
        for layer, (keys, values) in enumerate(caches):
            def by(name, what, layer=layer):
                return multiply(tensor[f"blk.{layer}.{name}.weight"], what)
            normed = norm(x, 1e-5)
            keys.append(turned(by("attn_k", normed), shape, position))
            values.append(by("attn_v", normed))
            query = turned(by("attn_q", normed), shape, position)
            x = [a + b for a, b in zip(x, by("attn_output", attended(query, keys, values, shape)))]
            normed = norm(x, 1e-5)
            inner = [g / (1 + math.exp(-g)) * u for g, u in zip(by("ffn_gate", normed), by("ffn_up", normed))]
            x = [a + b for a, b in zip(x, by("ffn_down", inner))]
    return multiply(tensor["token_embd.weight"], norm(x, 1e-5))


def prompt_of(count, vocabulary):
    return [(i * 7919 + 1) % vocabulary for i in range(count)]


class Models(unittest.TestCase):
    def test_the_bytes_depend_on_the_seed_alone(self):
        first = random_llm.model(TINY, gguf.Type.Q8_0).bytes()
        self.assertEqual(first, random_llm.model(TINY, gguf.Type.Q8_0).bytes())
        self.assertNotEqual(first, random_llm.model(TINY, gguf.Type.Q8_0, seed=2).bytes())

    def test_rows_have_a_length_of_about_one(self):
        for kind in (gguf.Type.F32, gguf.Type.Q8_0):
            matrix = gguf.read(random_llm.model(TINY, kind).bytes()).tensors["blk.0.attn_q.weight"]
            self.assertEqual(matrix.kind, kind)
            mean = math.fsum(v * v for v in matrix.values()) / TINY.embedding
            self.assertTrue(0.4 < mean < 2.5, mean)

    def test_rows_that_are_no_blocks_stay_real(self):
        tensors = gguf.read(random_llm.model(TINY, gguf.Type.Q8_0).bytes()).tensors
        self.assertEqual(tensors["blk.0.ffn_down.weight"].kind, gguf.Type.F32)

    def test_a_file_that_was_not_written_to_its_end_is_written_anew(self):
        with tempfile.TemporaryDirectory() as folder:
            path = random_llm.write(folder, "small", gguf.Type.Q8_0)
            whole = path.read_bytes()
            path.write_bytes(whole[:100])
            self.assertEqual(random_llm.write(folder, "small", gguf.Type.Q8_0).read_bytes(), whole)
            before = path.stat().st_mtime_ns
            random_llm.write(folder, "small", gguf.Type.Q8_0)
            self.assertEqual(path.stat().st_mtime_ns, before)


class PlainEngine(unittest.TestCase):
    def run_plain(self, file, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.gguf"
            path.write_bytes(file)
            return subprocess.run([PLAIN, path, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=120)

    def test_its_logits_are_those_of_the_reference(self):
        for kind, allowed in ((gguf.Type.F32, 1e-4), (gguf.Type.Q8_0, 0.05)):  # activations of i8 are rounded
            data = random_llm.model(TINY, kind).bytes()
            done = self.run_plain(data, 5, 2, 1, "--logits")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            said = found["samples"][0]["tokens"]
            expected = reference(gguf.read(data), TINY, prompt_of(5, TINY.vocabulary) + said[:-1])
            for a, b in zip(found["logits"], expected, strict=True):
                self.assertAlmostEqual(a, b, delta=allowed * max(map(abs, expected)))

    def test_all_figures_are_there(self):
        found = json.loads(self.run_plain(random_llm.model(TINY, gguf.Type.Q8_0).bytes(), 4, 3, 2).stdout)
        self.assertEqual([len(each["token_ns"]) for each in found["samples"]], [3, 3])
        self.assertEqual([len(each["tokens"]) for each in found["samples"]], [4, 4])
        elements = 40 * 32 + 2 * (2 * 32 * 32 + 2 * 16 * 32 + 2 * 44 * 32)
        self.assertEqual(found["weight_bytes"], elements * 34 // 32 + 2 * 44 * 32 * 4)

    def test_what_cannot_be_measured_is_refused(self):
        data = random_llm.model(TINY, gguf.Type.F32).bytes()
        for arguments, why in (((200, 100, 1), "expected at most 256"), ((0, 1, 1), "no whole number"),
                               ((1, "x", 1), "no whole number")):
            done = self.run_plain(data, *arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn(why, done.stderr)
        self.assertIn("model.gguf", self.run_plain(data[:5000], 1, 1, 1).stderr)
        self.assertEqual(self.run_plain(data, 1, 1).returncode, 2)


CONSOLE = """[    0.5] BENCH job npu=device best_ns=20000 median_ns=30000
[    0.6] BENCH sample prompt=64 first_ns=5000000 ns=4000000 waited_ns=3000000 ran_ns=1000000
[    0.6] BENCH tokens_ns 1500000 2500000
[    0.6] BENCH said 4 5 6
SIS-EXIT kind=shutdown code=0
"""


class Figures(unittest.TestCase):
    def subject(self, shape="middle"):
        subject = llm_bench.Subject.__new__(llm_bench.Subject)  # without a model
        subject.shape, subject.kind, subject.path = shape, "q8_0", pathlib.Path(__file__)
        subject.plain = [{"first_ns": 9_000_000, "tokens_ns": [1_000_000, 1_200_000], "said": [4, 5, 7]}]
        subject.npu, subject.cpu, subject.jobs = [], [], []
        subject.read_ns, subject.weight_bytes, subject.instructions = [500_000], 10_000_000, None
        subject.take_guest(lambda text: CONSOLE, npu=True)
        return subject

    def results(self, subject):
        return {result["name"]: result for result in llm_bench.results_of(subject)}

    def test_the_guest_says_who_ran_what(self):
        found = llm_bench.parse(CONSOLE)
        self.assertEqual((found["npu"], found["job"]["best_ns"], found["instructions"]), ("device", 20000, None))
        self.assertEqual(found["samples"][0]["said"], [4, 5, 6])
        with self.assertRaisesRegex(RuntimeError, "run by device"):
            self.subject().take_guest(lambda text: CONSOLE, npu=False)

    def test_a_guest_that_failed_is_no_figure(self):
        for console in (CONSOLE.replace("code=0", "code=1"), "SIS-EXIT kind=shutdown code=0\n"):
            with self.assertRaisesRegex(RuntimeError, "did not measure"):
                llm_bench.parse(console)

    def test_instructions_are_kept_apart(self):
        subject = self.subject()
        console = "BENCH instructions first=9 token=8 job=7\nSIS-EXIT kind=shutdown code=0\n"
        subject.take_guest(lambda text: console, npu=True, icount=True)
        self.assertEqual(len(subject.npu), 1)
        self.assertEqual([each["value"] for each in llm_bench.instruction_results([subject])], [8, 9])

    def test_rates_are_of_tokens_and_targets_of_the_best(self):
        results = self.results(self.subject())
        self.assertAlmostEqual(results["llm_middle_q8_0_npu"]["max"], 1e9 / 1_500_000)
        self.assertAlmostEqual(results["llm_middle_q8_0_read"]["value"], 2000)
        target = results["llm_target_middle_q8_0_npu_to_plain"]
        self.assertAlmostEqual(target["value"], 1 / 1.5)
        self.assertEqual(target["target"], "at least 0.8: not met")
        self.assertEqual(results["llm_target_middle_q8_0_peak"]["target"], "at least 1200: not met")
        self.assertNotIn("llm_target_middle_q8_0_npu_to_cpu", results)

    def test_the_cpu_is_compared_where_it_was_measured(self):
        cpu = [{"first_ns": 1, "tokens_ns": [45_000_000], "said": []}]
        subject = self.subject()
        subject.cpu = cpu
        self.assertEqual(self.results(subject)["llm_target_middle_q8_0_npu_to_cpu"]["target"], "at least 30: met")

    def test_the_smallest_shape_has_no_targets(self):
        subject = self.subject("small")
        subject.cpu = [{"first_ns": 1, "tokens_ns": [45_000_000], "said": []}]
        results = self.results(subject)
        self.assertAlmostEqual(results["llm_small_q8_0_npu_to_cpu"]["value"], 30)
        self.assertFalse([name for name in results if "target" in name])

    def test_a_token_is_shared_out(self):
        results = self.results(self.subject())
        self.assertEqual([results[f"llm_middle_q8_0_share_{part}"]["value"] for part in ("commands", "job", "guest")],
                         [0.25, 0.5, 0.25])
        self.assertEqual(results["llm_middle_q8_0_tokens_alike"]["value"], 2)

    def test_the_scenario_has_room_for_the_model(self):
        self.assertIn("memory: 512MiB}", llm_bench.scenario(pathlib.Path(__file__), "on"))
        self.assertIn("icount_shift: 0", llm_bench.scenario(pathlib.Path(__file__), "on", icount=True))


if __name__ == "__main__":
    unittest.main()
