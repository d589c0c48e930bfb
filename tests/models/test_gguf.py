"""tools/models/gguf.py: what it writes it reads, and so does the kernel (guest_gguf_test reads the same file)."""

import os
import pathlib
import random
import struct
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "models"))

import gguf  # noqa: E402
from gguf import Kind, Type  # noqa: E402

SAMPLE = ROOT / "guest" / "gguf" / "tests" / "data" / "sample.gguf"


def ramp(count):
    """Numbers of both signs, exact in binary16."""
    return [(i - count // 2) / 8 for i in range(count)]


def sample():
    """One of everything. Changed: run `SIS_WRITE_SAMPLE=1 tests/run_unittest.py tests/models`, and guest_gguf_test."""
    writer = gguf.Writer(alignment=64)
    for kind, value in ((Kind.U8, 200), (Kind.I8, -5), (Kind.U16, 60000), (Kind.I16, -300), (Kind.U32, 4000000000),
                        (Kind.I32, -70000), (Kind.F32, 1.5), (Kind.BOOL, True), (Kind.U64, 2**64 - 1),
                        (Kind.I64, -(2**63)), (Kind.F64, -2.25)):
        writer.put(kind.name.lower(), value, kind)
    writer.put("string", "Grüße")
    writer.put("bytes", b"a\xff")
    writer.put_array("strings", ["a", "", b"\xff"], Kind.STRING)
    writer.put_array("floats", [0.5, -1.0], Kind.F32)
    writer.put_tensor("f32", [3, 2], Type.F32, ramp(6))
    writer.put_tensor("f16", [5], Type.F16, ramp(5))
    writer.put_tensor("q8_0", [64, 2], Type.Q8_0, ramp(128))
    writer.put_tensor("q4_0", [32, 1, 2], Type.Q4_0, ramp(64))
    writer.put_tensor("i8", [3], Type.I8, [-128, 0, 127])
    writer.put_tensor("i16", [2], Type.I16, [-32768, 32767])
    writer.put_tensor("i32", [1], Type.I32, [-(2**31)])
    return writer.bytes()


class Files(unittest.TestCase):
    def test_the_sample_that_the_kernel_reads_is_what_is_written(self):
        if os.environ.get("SIS_WRITE_SAMPLE"):
            SAMPLE.write_bytes(sample())
        self.assertEqual(sample(), SAMPLE.read_bytes())

    def test_what_is_written_is_read(self):
        file = gguf.read(sample())
        self.assertEqual(file.alignment, 64)
        self.assertEqual(file.keys["i8"], -5)
        self.assertEqual(file.keys["u64"], 2**64 - 1)
        self.assertEqual(file.keys["bool"], True)
        self.assertEqual(file.keys["string"], "Grüße")
        self.assertEqual(file.keys["bytes"], b"a\xff")
        self.assertEqual(file.keys["strings"], ["a", "", b"\xff"])
        self.assertEqual(file.kinds["floats"], (Kind.ARRAY, Kind.F32))
        self.assertEqual(list(file.tensors["f32"].values()), ramp(6))
        self.assertEqual(list(file.tensors["f16"].values()), ramp(5))
        self.assertEqual(list(file.tensors["i16"].values()), [-32768, 32767])
        self.assertEqual(file.tensors["q4_0"].extents, [32, 1, 2])

    def test_kinds_follow_from_values(self):
        writer = gguf.Writer()
        for key, value in (("b", False), ("i", 3), ("f", 0.25), ("s", "x")):
            writer.put(key, value)
        self.assertEqual(list(gguf.read(writer.bytes()).kinds.values()), [Kind.BOOL, Kind.U32, Kind.F32, Kind.STRING])

    def test_a_file_that_ends_early_is_refused(self):
        data = sample()
        for size in range(len(data)):
            with self.assertRaises(gguf.GgufError):
                gguf.read(data[:size])

    def test_what_cannot_be_written_is_refused(self):
        writer = gguf.Writer()
        writer.put("k", 1)
        with self.assertRaisesRegex(gguf.GgufError, "'k' is empty, or is there already"):
            writer.put("k", 2)
        with self.assertRaisesRegex(gguf.GgufError, "rows of whole blocks of 32"):
            writer.put_tensor("t", [48], Type.Q8_0, [0.0] * 48)
        with self.assertRaisesRegex(gguf.GgufError, "5 values, extents"):
            writer.put_tensor("t", [6], Type.F32, [0.0] * 5)
        with self.assertRaises(struct.error):
            writer.put("n", -1)

    def test_the_program_lists_a_file(self):
        ran = subprocess.run([sys.executable, ROOT / "tools" / "models" / "gguf.py", SAMPLE], capture_output=True,
                             text=True, check=True)
        self.assertIn("u16 = 60000\n", ran.stdout)
        self.assertIn("q8_0 Q8_0 64x2 136 bytes\n", ran.stdout)


class Blocks(unittest.TestCase):
    def setUp(self):
        source = random.Random(7)
        self.values = [source.gauss(0, 1) for _ in range(32 * 200)]

    def error_in_steps(self, kind, dequantise, largest):
        """The largest error of a block, in its steps, which are 1 / `largest` of its largest magnitude."""
        back = dequantise(gguf.encode(self.values, kind))
        worst = 0
        for at in range(0, len(self.values), 32):
            step = max(map(abs, self.values[at:at + 32])) / largest
            worst = max(worst, *(abs(a - b) / step for a, b in zip(self.values[at:at + 32], back[at:at + 32])))
        return worst

    def test_q8_0_is_half_a_step_off_at_most(self):
        # The scale is rounded to 11 bits, which moves the largest number by up to 127 / 2048 steps.
        self.assertLess(self.error_in_steps(Type.Q8_0, gguf.dequantise_q8_0, 127), 0.5 + 127 / 2048)

    def test_q4_0_is_half_a_step_off_at_most_but_for_the_far_end(self):
        # Nothing is at +8: a number near the largest of the other sign is a whole step off.
        self.assertLess(self.error_in_steps(Type.Q4_0, gguf.dequantise_q4_0, 8), 1 + 8 / 2048)

    def test_zeros_stay(self):
        self.assertEqual(set(gguf.dequantise_q8_0(gguf.quantise_q8_0([0.0] * 32))), {0.0})
        self.assertEqual(set(gguf.dequantise_q4_0(gguf.quantise_q4_0([0.0] * 32))), {0.0})

    def test_the_largest_number_is_exact_in_q4_0(self):
        values = [0.0] * 31 + [-4.0]
        self.assertEqual(list(gguf.dequantise_q4_0(gguf.quantise_q4_0(values))), values)


if __name__ == "__main__":
    unittest.main()
