#!/usr/bin/env python3
"""Writes and reads GGUF files, version 3, little-endian (docs/models.md), with nothing but Python.

    writer = Writer()
    writer.put("general.architecture", "llama")
    writer.put("llama.block_count", 5)                        an int is u32, a float f32, unless `kind` says otherwise
    writer.put_array("tokenizer.ggml.scores", scores, Kind.F32)
    writer.put_tensor("output_norm.weight", [64], Type.F32, values)
    writer.put_tensor("blk.0.attn_q.weight", [64, 64], Type.Q8_0, values)
    writer.save("model.gguf")

    file = read(pathlib.Path("model.gguf").read_bytes())
    file.keys["llama.block_count"], file.tensors["output_norm.weight"].values()

Extents are GGUF's: the first one is along a row. Values are flat, row after row: any sequence of numbers.

usage: gguf.py FILE        prints its keys and tensors
"""

import enum
import math
import struct
import sys
from array import array

MAGIC = b"GGUF"
VERSION = 3
BLOCK = 32  # elements


class Kind(enum.IntEnum):
    """Types of values."""

    U8 = 0
    I8 = 1
    U16 = 2
    I16 = 3
    U32 = 4
    I32 = 5
    F32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    U64 = 10
    I64 = 11
    F64 = 12


FORMATS = {
    Kind.U8: "B",
    Kind.I8: "b",
    Kind.U16: "H",
    Kind.I16: "h",
    Kind.U32: "I",
    Kind.I32: "i",
    Kind.F32: "f",
    Kind.BOOL: "?",
    Kind.U64: "Q",
    Kind.I64: "q",
    Kind.F64: "d",
}


class Type(enum.IntEnum):
    """Types of tensors; elements and bytes of a block."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 8
    I8 = 24
    I16 = 25
    I32 = 26

    def layout(self):
        return {Type.F32: (1, 4), Type.F16: (1, 2), Type.Q4_0: (BLOCK, 18), Type.Q8_0: (BLOCK, 34), Type.I8: (1, 1),
                Type.I16: (1, 2), Type.I32: (1, 4)}[self]


PLAIN = {Type.F32: "f", Type.F16: "e", Type.I8: "b", Type.I16: "h", Type.I32: "i"}


class GgufError(Exception):
    """A file that is not what it should be, or something that cannot be written."""


def quantise_q8_0(values):
    """Blocks of 32: the scale is the largest magnitude / 127, each number x / scale to the nearest integer, ties to even.

    As the NPU's Copy does it (docs/npu.md), but in binary64.
    """
    out = bytearray()
    for at in range(0, len(values), BLOCK):
        block = values[at:at + BLOCK]
        scale = max(map(abs, block)) / 127
        numbers = [round(x / scale) if scale else 0 for x in block]
        out += struct.pack("<e32b", scale, *(min(127, max(-127, q)) for q in numbers))
    return bytes(out)


def quantise_q4_0(values):
    """Blocks of 32: the number of the largest magnitude becomes -8; numbers are 0 to 15 after 8 was added, two in a byte."""
    out = bytearray()
    for at in range(0, len(values), BLOCK):
        block = values[at:at + BLOCK]
        scale = max(block, key=abs) / -8
        numbers = [min(15, max(0, math.floor(x / scale + 8.5))) if scale else 8 for x in block]
        out += struct.pack("<e16B", scale, *(a | b << 4 for a, b in zip(numbers[:16], numbers[16:])))
    return bytes(out)


def dequantise_q8_0(data):
    out = array("f")
    for at in range(0, len(data), 34):
        scale, *numbers = struct.unpack_from("<e32b", data, at)
        out.extend(scale * q for q in numbers)
    return out


def dequantise_q4_0(data):
    out = array("f")
    for at in range(0, len(data), 18):
        scale, *pairs = struct.unpack_from("<e16B", data, at)
        out.extend(scale * ((pair & 15) - 8) for pair in pairs)
        out.extend(scale * ((pair >> 4) - 8) for pair in pairs)
    return out


def encode(values, kind):
    """A tensor's data."""
    if kind == Type.Q8_0:
        return quantise_q8_0(values)
    if kind == Type.Q4_0:
        return quantise_q4_0(values)
    return struct.pack(f"<{len(values)}{PLAIN[kind]}", *values)


def text_bytes(text):
    data = text.encode() if isinstance(text, str) else bytes(text)
    return struct.pack("<Q", len(data)) + data


def value_bytes(value, kind):
    return text_bytes(value) if kind == Kind.STRING else struct.pack("<" + FORMATS[kind], value)


def kind_of(value):
    """What a value is written as unless someone says."""
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int):
        return Kind.U32
    return Kind.F32 if isinstance(value, float) else Kind.STRING


class Writer:
    """A file as it grows. Names are written in the order in which they come; each only once."""

    def __init__(self, alignment=32):
        self.alignment = alignment
        self.keys = {}
        self.tensors = {}
        if alignment != 32:
            self.put("general.alignment", alignment)

    def put(self, key, value, kind=None):
        kind = kind_of(value) if kind is None else kind
        self._add(self.keys, key, struct.pack("<I", kind) + value_bytes(value, kind))

    def put_array(self, key, values, kind):
        elements = b"".join(value_bytes(value, kind) for value in values)
        self._add(self.keys, key, struct.pack("<IIQ", Kind.ARRAY, kind, len(values)) + elements)

    def put_tensor(self, name, extents, kind, values):
        if not 1 <= len(extents) <= 4 or math.prod(extents) != len(values) or extents[0] % kind.layout()[0]:
            raise GgufError(f"{name}: {len(values)} values, extents {list(extents)}: "
                            f"expected 1 to 4 extents of as many, rows of whole blocks of {kind.layout()[0]}")
        self._add(self.tensors, name, (list(extents), kind, encode(values, kind)))

    def put_encoded(self, name, extents, kind, data):
        """A tensor of which the bytes are there already."""
        elements, width = kind.layout()
        if extents[0] % elements or math.prod(extents) // elements * width != len(data):
            raise GgufError(f"{name}: {len(data)} bytes, extents {list(extents)} of {kind.name}: expected "
                            f"{math.prod(extents) // elements * width}, rows of whole blocks of {elements}")
        self._add(self.tensors, name, (list(extents), kind, data))

    @staticmethod
    def _add(table, name, what):
        if not name or name in table:
            raise GgufError(f"'{name}' is empty, or is there already")
        table[name] = what

    def bytes(self):
        head = bytearray(MAGIC + struct.pack("<IQQ", VERSION, len(self.tensors), len(self.keys)))
        for key, value in self.keys.items():
            head += text_bytes(key) + value
        data = bytearray()
        for name, (extents, kind, content) in self.tensors.items():
            data += bytes(-len(data) % self.alignment)
            head += text_bytes(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, len(data))
            data += content
        if data:
            head += bytes(-len(head) % self.alignment)
        return bytes(head + data)

    def save(self, path):
        with open(path, "wb") as file:
            file.write(self.bytes())


class Tensor:
    def __init__(self, extents, kind, data):
        self.extents = extents
        self.kind = kind
        self.data = data

    def values(self):
        """Flat, row after row: floats, or integers of an integer type."""
        if self.kind == Type.Q8_0:
            return dequantise_q8_0(self.data)
        if self.kind == Type.Q4_0:
            return dequantise_q4_0(self.data)
        code = PLAIN[self.kind]
        numbers = struct.unpack(f"<{math.prod(self.extents)}{code}", self.data)
        return array("f" if code == "e" else code, numbers)


class File:
    def __init__(self, keys, kinds, tensors, alignment):
        self.keys = keys  # name: value; text as str where it is UTF-8, else bytes; an array as a list
        self.kinds = kinds  # name: Kind; of an array (Kind.ARRAY, Kind)
        self.tensors = tensors
        self.alignment = alignment


class Reader:
    """What comes next in a file's bytes."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise GgufError(f"{size} bytes at byte {self.at}, {len(self.data) - self.at} are left")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def text(self):
        data = self.take(self.number("Q"))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    def kind(self, kinds):
        number = self.number("I")
        if number not in list(kinds):
            raise GgufError(f"type {number} at byte {self.at - 4}")
        return kinds(number)

    def value(self):
        kind = self.kind(Kind)
        if kind != Kind.ARRAY:
            return kind, self.text() if kind == Kind.STRING else self.number(FORMATS[kind])
        kind = self.kind(Kind)
        size = self.number("Q")
        if kind == Kind.ARRAY:
            raise GgufError(f"an array of arrays at byte {self.at}")
        if kind == Kind.STRING:
            return (Kind.ARRAY, kind), [self.text() for _ in range(size)]
        width = struct.calcsize("<" + FORMATS[kind])
        return (Kind.ARRAY, kind), list(struct.unpack(f"<{size}{FORMATS[kind]}", self.take(size * width)))


def read(data):
    """The File in `data`."""
    reader = Reader(data)
    if reader.take(4) != MAGIC or reader.number("I") != VERSION:
        raise GgufError(f"not GGUF, version {VERSION}, little-endian")
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    keys, kinds, entries = {}, {}, []
    for _ in range(key_count):
        key = reader.text()
        kinds[key], keys[key] = reader.value()
    for _ in range(tensor_count):
        name, dimensions = reader.text(), reader.number("I")
        extents = [reader.number("Q") for _ in range(dimensions)]
        entries.append((name, extents, reader.kind(Type), reader.number("Q")))
    alignment = keys.get("general.alignment", 32)
    begin = -(-reader.at // alignment) * alignment
    tensors = {}
    for name, extents, kind, offset in entries:
        elements, width = kind.layout()
        size = math.prod(extents) // elements * width
        if begin + offset + size > len(data):
            raise GgufError(f"{name} ends at byte {begin + offset + size}, the file at {len(data)}")
        tensors[name] = Tensor(extents, kind, data[begin + offset:begin + offset + size])
    return File(keys, kinds, tensors, alignment)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as stream:
        file = read(stream.read())
    for key, value in file.keys.items():
        text = ascii(value)
        print(f"{key} = {text if len(text) <= 80 else text[:77] + '...'}")
    for name, tensor in file.tensors.items():
        print(f"{name} {tensor.kind.name} {'x'.join(map(str, tensor.extents))} {len(tensor.data)} bytes")


if __name__ == "__main__":
    main()
