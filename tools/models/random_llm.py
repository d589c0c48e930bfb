#!/usr/bin/env python3
"""Writes language models of random weights: those that `./sis bench llm` measures with (docs/llm-bench.md).

usage: random_llm.py FOLDER [SHAPE...]        writes FOLDER/SHAPE-f32.gguf and FOLDER/SHAPE-q8_0.gguf

Shapes are those of the small stories models of the llama family: small, middle, large. Such a model has nothing to say, and
no tokenizer; what it takes to say it is what a trained model of its shape takes. The bytes depend on the seed alone. A file
that is there and has the size that it should have is left as it is.

Matrices whose rows are no whole number of blocks stay f32 in a file of Q8_0, as converters of models do it.
"""

import dataclasses
import math
import pathlib
import random
import struct
import sys

import gguf
from gguf import Type

SEED = 1
CONTEXT = 256
# Of a uniform i8, and of numbers of 1 to 2 with both signs: root of the mean square.
I8_SIZE = 73.9
F32_SIZE = math.sqrt(7 / 3)


@dataclasses.dataclass(frozen=True)
class Shape:
    embedding: int
    layers: int
    feed_forward: int
    heads: int
    key_heads: int
    vocabulary: int


SHAPES = {"small": Shape(64, 5, 172, 8, 4, 512), "middle": Shape(288, 6, 768, 6, 6, 32000),
          "large": Shape(768, 12, 2048, 12, 12, 32000)}


def random_f32(numbers, count, columns):
    """Both signs, magnitudes from s to 2 s, where s is a power of two, so that a row's squares add up to about 1."""
    exponent = 127 + round(math.log2(1 / math.sqrt(columns) / F32_SIZE))
    size = 4 * count
    bits = int.from_bytes(numbers.randbytes(size), "little")
    mask = int.from_bytes(struct.pack("<I", 0x807FFFFF) * count, "little")
    ones = int.from_bytes(struct.pack("<I", exponent << 23) * count, "little")
    return (bits & mask | ones).to_bytes(size, "little")


def random_q8_0(numbers, count, columns):
    """As above: numbers of -128 to 127, and one scale for all blocks."""
    blocks = count // gguf.BLOCK
    width = Type.Q8_0.layout()[1]
    scale = struct.pack("<e", 1 / math.sqrt(columns) / I8_SIZE)
    values = numbers.randbytes(count)
    out = bytearray(width * blocks)
    for i in range(2):
        out[i::width] = scale[i:i + 1] * blocks
    for i in range(gguf.BLOCK):
        out[2 + i::width] = values[i::gguf.BLOCK]
    return bytes(out)


def put_matrix(writer, numbers, name, rows, columns, kind):
    fits = kind == Type.F32 or columns % gguf.BLOCK == 0
    make = random_q8_0 if kind == Type.Q8_0 and fits else random_f32
    writer.put_encoded(name, [columns, rows], kind if fits else Type.F32, make(numbers, rows * columns, columns))


def model(shape, kind, seed=SEED):
    """The gguf.Writer of one."""
    numbers = random.Random(seed)
    writer = gguf.Writer()
    writer.put("general.architecture", "llama")
    for key, value in {"context_length": CONTEXT, "embedding_length": shape.embedding, "block_count": shape.layers,
                       "feed_forward_length": shape.feed_forward, "vocab_size": shape.vocabulary,
                       "attention.head_count": shape.heads, "attention.head_count_kv": shape.key_heads,
                       "attention.layer_norm_rms_epsilon": 1e-5}.items():
        writer.put(f"llama.{key}", value)
    embedding, keys = shape.embedding, shape.embedding // shape.heads * shape.key_heads

    def put_norm(name):
        writer.put_tensor(name, [embedding], Type.F32, [1.0] * embedding)
    put_matrix(writer, numbers, "token_embd.weight", shape.vocabulary, embedding, kind)
    put_norm("output_norm.weight")
    for layer in range(shape.layers):
        for name in ("attn_norm", "ffn_norm"):
            put_norm(f"blk.{layer}.{name}.weight")
        for name, rows, columns in (("attn_q", embedding, embedding), ("attn_k", keys, embedding),
                                    ("attn_v", keys, embedding), ("attn_output", embedding, embedding),
                                    ("ffn_gate", shape.feed_forward, embedding),
                                    ("ffn_up", shape.feed_forward, embedding),
                                    ("ffn_down", embedding, shape.feed_forward)):
            put_matrix(writer, numbers, f"blk.{layer}.{name}.weight", rows, columns, kind)
    return writer


def write(folder, name, kind):
    """The path of the model of that shape, which is there afterwards."""
    path = pathlib.Path(folder) / f"{name}-{kind.name.lower()}.gguf"
    marker = path.with_suffix(".whole")  # says the size of the file that was written to its end
    if path.exists() and marker.exists() and marker.read_text() == f"{SEED} {path.stat().st_size}":
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    model(SHAPES[name], kind).save(path)
    marker.write_text(f"{SEED} {path.stat().st_size}")
    return path


def main():
    names = sys.argv[2:] or list(SHAPES)
    if len(sys.argv) < 2 or not set(names) <= set(SHAPES):
        sys.exit(__doc__)
    for name in names:
        for kind in (Type.F32, Type.Q8_0):
            print(write(sys.argv[1], name, kind))


if __name__ == "__main__":
    main()
