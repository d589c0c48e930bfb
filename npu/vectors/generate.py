#!/usr/bin/env python3
"""Test vectors of the NPU's commands (docs/npu.md, Vectors), worked out from the manual's formulas alone.

Nothing here is shared with the implementation: integers are Python's, sums are math.fsum()'s, numbers of fewer bits come
from struct. Writes one JSON file for each group of commands.

usage: generate.py FOLDER            writes the files
       generate.py --check FOLDER    exit 1 and a line for each file that is not what would be written
"""

import json
import math
import pathlib
import random
import struct
import sys

F32, F16, I8, I32, Q8_0, Q4_0, U8 = range(7)
TYPE_NAMES = ("f32", "f16", "i8", "i32", "q8_0", "q4_0", "u8")
FORMATS = {F32: "f", F16: "e", I8: "b", I32: "i", U8: "B"}
(GEMM, RMS_NORM, LAYER_NORM, SOFTMAX, ROPE, ATTENTION, SWIGLU, SILU, GELU, RELU, ADD, MUL, SCALE, EMBED_ROWS, ARG_MAX, TOP_K,
 CONV2D, DEPTHWISE, MAX_POOL, AVG_POOL, COPY) = range(1, 22)
CLAMP, HALF_SPLIT, BROADCAST_ROW, PER_TENSOR = 1, 2, 4, 8
EPSILON = 2.0**-24  # half a unit in the last place of an f32, relative


def f32(x):
    """The f32 next to a number, ties to even."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def bits(x):
    """A float as a parameter."""
    return struct.unpack("<I", struct.pack("<f", x))[0]


class Tensor:
    """Elements, row by row, and how they lie in memory."""

    def __init__(self, type_, rows, gap=0):
        self.type, self.rows, self.gap = type_, rows, gap
        self.numbers = [decode_blocks(type_, row) if type_ in (Q8_0, Q4_0) else list(row) for row in rows]

    def row_bytes(self, row):
        if self.type in (Q8_0, Q4_0):
            return b"".join(row)
        return struct.pack(f"<{len(row)}{FORMATS[self.type]}", *row)

    def memory(self):
        return (b"\xA5" * self.gap).join(self.row_bytes(row) for row in self.rows)

    def stride(self):
        return len(self.row_bytes(self.rows[0])) + self.gap if self.gap else 0


def decode_blocks(type_, blocks):
    """The numbers of a row of blocks."""
    numbers = []
    for block in blocks:
        scale = struct.unpack_from("<e", block)[0]
        if type_ == Q8_0:
            integers = struct.unpack_from("<32b", block, 2)
        else:
            integers = [(byte & 15) - 8 for byte in block[2:]] + [(byte >> 4) - 8 for byte in block[2:]]
        numbers += [scale * q for q in integers]
    return numbers


class Vectors:
    """One file."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.list = []

    def reals(self, rows, columns, type_=F32, gap=0, limit=2.0):
        pack = FORMATS[type_]
        draw = lambda: struct.unpack("<" + pack, struct.pack("<" + pack, self.random.uniform(-limit, limit)))[0]
        return Tensor(type_, [[draw() for _ in range(columns)] for _ in range(rows)], gap)

    def integers(self, rows, columns, low=-128, high=127, type_=I8, gap=0):
        return Tensor(type_, [[self.random.randint(low, high) for _ in range(columns)] for _ in range(rows)], gap)

    def blocks(self, rows, columns, type_, gap=0):
        size = 32 if type_ == Q8_0 else 16
        draw = lambda: struct.pack("<e", self.random.uniform(-0.1, 0.1)) + self.random.randbytes(size)
        return Tensor(type_, [[draw() for _ in range(columns // 32)] for _ in range(rows)], gap)

    def add(self, name, opcode, dims, operands, outputs, params=(), flags=0):
        """Adds a command that runs. `outputs`: operand -> (type, rows of numbers, rows of tolerances or None, gap)."""
        operands = dict(operands)
        for index, (type_, rows, _, gap) in outputs.items():
            operands[index] = Tensor(type_, [[0] * len(row) for row in rows], gap)
        expected = []
        for index, (type_, rows, tolerances, _) in outputs.items():
            entry = {"operand": index, "type": TYPE_NAMES[type_], "values": [[plain(x) for x in row] for row in rows]}
            if tolerances:
                entry["tolerances"] = [[plain(x) for x in row] for row in tolerances]
            expected.append(entry)
        self.list.append(self.vector(name, command(opcode, flags, dims, params, operands), operands,
                                     {"status": 0, "reason": 0, "outputs": expected}))

    @staticmethod
    def vector(name, packed, operands, expect):
        regions = [{"handle": index + 1, "flags": 3, "bytes": operands[index].memory().hex()} for index in sorted(operands)]
        return {"name": name, "command": packed.hex(), "regions": regions, "expect": expect}


def plain(x):
    """JSON has no infinities."""
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    return x


def command(opcode, flags, dims, params, operands, region_of=lambda index: index + 1):
    """The 192 bytes. Operand n is region n + 1, from its first byte."""
    types = [operands[i].type if i in operands else 0 for i in range(6)]
    packed = struct.pack("<HH6B6x", opcode, flags, *types)
    for i in range(6):
        packed += struct.pack("<QII", 0, region_of(i), operands[i].stride()) if i in operands else bytes(16)
    packed += struct.pack("<12I", *(list(dims) + [0] * (12 - len(dims))))
    return packed + struct.pack("<8I", *[p & 0xFFFFFFFF for p in list(params) + [0] * (8 - len(params))])


def clamp(x, low, high):
    return low if x < low else high if x > high else x


def requantise(total, multiplier, shift):
    """total * multiplier / 2^31 * 2^shift: the product to the nearest, ties up; the quotient, ties away from 0."""
    saturate = lambda x: clamp(x, -2**31, 2**31 - 1)
    shifted = saturate(total << max(shift, 0))
    high = saturate((shifted * multiplier + 2**30) // 2**31)
    divisor = 2**max(-shift, 0)
    magnitude = (2 * abs(high) + divisor) // (2 * divisor)
    return magnitude if high >= 0 else -magnitude


def in_blocks(row):
    """A row of f32 as numbers of blocks: what the device multiplies weights of blocks with."""
    numbers = []
    for i in range(0, len(row), 32):
        scale = f32(max(abs(x) for x in row[i:i + 32]) / 127)
        numbers += [scale * round(f32(x / scale)) if scale else 0.0 for x in row[i:i + 32]]
    return numbers


# ---- the files ----


def gemm_file():
    v = Vectors(1)
    for type_ in (F32, F16, Q8_0, Q4_0):
        m, n, k = 2, 3, 64
        x = v.reals(m, k)
        w = v.blocks(n, k, type_) if type_ in (Q8_0, Q4_0) else v.reals(n, k, type_, gap=4)
        b = v.reals(1, n)
        rows = [in_blocks(row) for row in x.numbers] if type_ in (Q8_0, Q4_0) else x.numbers
        terms = [[[a * c for a, c in zip(row, w.numbers[j])] + [b.numbers[0][j]] for j in range(n)] for row in rows]
        out = [[f32(math.fsum(t)) for t in row] for row in terms]
        tolerance = [[(k + 3) * EPSILON * math.fsum(abs(t) for t in each) for each in row] for row in terms]
        v.add(f"f32 times {TYPE_NAMES[type_]}", GEMM, (m, n, k), {1: x, 2: w, 3: b}, {0: (F32, out, tolerance, 4)})
    for per_tensor in (False, True):
        m, n, k, zero_in, zero_out, low, high = 2, 4, 9, -5, 7, -90, 100
        x, w, b = v.integers(m, k), v.integers(n, k, gap=1), v.integers(1, n, -3000, 3000, I32)
        channels = 1 if per_tensor else n
        multipliers = v.integers(1, channels, 2**30, 2**31 - 1, I32)
        shifts = v.integers(1, channels, -9, -6, I32)
        out = []
        for row in x.numbers:
            out.append([])
            for j in range(n):
                total = sum((a - zero_in) * c for a, c in zip(row, w.numbers[j])) + b.numbers[0][j]
                channel = 0 if per_tensor else j
                value = requantise(total, multipliers.numbers[0][channel], shifts.numbers[0][channel]) + zero_out
                out[-1].append(clamp(value, low, high))
        v.add("i8 per tensor" if per_tensor else "i8", GEMM, (m, n, k),
              {1: x, 2: w, 3: b, 4: multipliers, 5: shifts}, {0: (I8, out, None, 0)}, (zero_in, zero_out, low, high),
              PER_TENSOR if per_tensor else 0)
    x, w = v.integers(2, 5), v.integers(3, 5)
    out = [[sum((a - 3) * c for a, c in zip(row, weights)) for weights in w.numbers] for row in x.numbers]
    v.add("i8 to i32", GEMM, (2, 3, 5), {1: x, 2: w}, {0: (I32, out, None, 0)}, (3,))
    return v


def requantise_file():
    """Products of one number, so that the sum is the bias: every case of the requantisation."""
    v = Vectors(2)
    cases = [(s, m, e) for s in (-2**31, -1001, -3, -1, 0, 1, 3, 1000, 2**31 - 1)
             for m in (-2**31, 0, 2**30, 2**31 - 1) for e in (-31, -8, -1, 0, 1, 30)]
    biases, multipliers, shifts = (Tensor(I32, [list(column)]) for column in zip(*cases))
    count = len(cases)
    x, w = Tensor(I8, [[0]]), Tensor(I8, [[0]] * count)
    out = [[clamp(requantise(*case) - 2, -128, 127) for case in cases]]
    v.add("requantisation", GEMM, (1, count, 1), {1: x, 2: w, 3: biases, 4: multipliers, 5: shifts},
          {0: (I8, out, None, 0)}, (0, -2, -128, 127))
    return v


def norm_file():
    v = Vectors(3)
    m, d, epsilon = 2, 7, f32(1e-5)
    x, w, b = v.reals(m, d, gap=4), v.reals(1, d), v.reals(1, d)
    out, tolerance = [], []
    for row in x.numbers:
        factor = 1 / math.sqrt(math.fsum(a * a for a in row) / d + epsilon)
        out.append([f32(a * factor * c) for a, c in zip(row, w.numbers[0])])
        tolerance.append([(d + 8) * EPSILON * abs(y) for y in out[-1]])
    v.add("rms norm", RMS_NORM, (m, d), {1: x, 2: w}, {0: (F32, out, tolerance, 0)}, (bits(epsilon),))
    out, tolerance = [], []
    for row in x.numbers:
        mean = math.fsum(row) / d
        factor = 1 / math.sqrt(math.fsum((a - mean)**2 for a in row) / d + epsilon)
        away = math.fsum(abs(a) for a in row) / d
        out.append([f32((a - mean) * factor * c + e) for a, c, e in zip(row, w.numbers[0], b.numbers[0])])
        tolerance.append([(d + 8) * EPSILON * ((abs(a) + away) * factor * abs(c) + abs(e))
                          for a, c, e in zip(row, w.numbers[0], b.numbers[0])])
    v.add("layer norm", LAYER_NORM, (m, d), {1: x, 2: w, 3: b}, {0: (F32, out, tolerance, 0)}, (bits(epsilon),))
    x = Tensor(F32, [[f32(a) for a in row] for row in ([0.5, -1.25, 3, 0.1, 2], [-40, 40, 39, -3e38, -math.inf])])
    out, tolerance = [], []
    for row in x.numbers:
        scores = [a * 0.5 for a in row]
        weights = [math.exp(s - max(scores)) for s in scores]
        out.append([f32(a / math.fsum(weights)) for a in weights])
        tolerance.append([y * (13 + 4 * (abs(s) + abs(max(scores)))) * EPSILON if y else 2.0**-126
                          for y, s in zip(out[-1], scores)])
    v.add("softmax", SOFTMAX, (2, 5), {1: x}, {0: (F32, out, tolerance, 0)}, (bits(0.5),))
    nan_row = Tensor(F32, [[1.0, math.nan, 2.0], [0.0, math.inf, 1.0]])
    v.add("softmax of a nan and of an infinity", SOFTMAX, (2, 3), {1: nan_row},
          {0: (F32, [[math.nan] * 3] * 2, None, 0)}, (bits(1.0),))
    return v


def attention_file():
    v = Vectors(4)
    rows, heads, elements, rotated, base = 3, 2, 6, 4, 10000.0
    x = v.reals(rows, heads * elements)
    positions = Tensor(I32, [[0, 1, 2047]])
    for flags in (0, HALF_SPLIT):
        out, tolerance = [list(row) for row in x.numbers], []
        for m, row in enumerate(x.numbers):
            for h in range(heads):
                for i in range(rotated // 2):
                    angle = positions.numbers[0][m] * base**(-2 * i / rotated)
                    a = h * elements + (i if flags else 2 * i)
                    b = h * elements + (i + rotated // 2 if flags else 2 * i + 1)
                    out[m][a] = f32(row[a] * math.cos(angle) - row[b] * math.sin(angle))
                    out[m][b] = f32(row[a] * math.sin(angle) + row[b] * math.cos(angle))
            tolerance.append([4 * EPSILON * 4 for _ in row])
        v.add("rope half split" if flags else "rope", ROPE, (rows, heads, elements, rotated), {1: x, 2: positions},
              {0: (F32, out, tolerance, 0)}, (bits(base), bits(1.0)), flags)
    for type_ in (F32, F16):
        rows, query_heads, key_heads, elements, past, scale = 2, 4, 2, 3, 2, 0.5
        q = v.reals(rows, query_heads * elements)
        k = v.reals(rows + past, key_heads * elements, type_, gap=4)
        values = v.reals(rows + past, key_heads * elements, type_)
        out, tolerance = [], []
        for m in range(rows):
            out.append([])
            tolerance.append([])
            for h in range(query_heads):
                first = h // (query_heads // key_heads) * elements
                query = q.numbers[m][h * elements:(h + 1) * elements]
                seen = range(past + m + 1)
                products = [[a * c * scale for a, c in zip(query, k.numbers[t][first:])] for t in seen]
                scores = [math.fsum(each) for each in products]
                away = max(math.fsum(abs(p) for p in each) for each in products)
                weights = [math.exp(s - max(scores)) for s in scores]
                for i in range(elements):
                    column = [values.numbers[t][first + i] for t in seen]
                    out[-1].append(f32(math.fsum(a * c for a, c in zip(weights, column)) / math.fsum(weights)))
                    tolerance[-1].append(max(map(abs, column)) * EPSILON * (len(seen) + 8 + 2 * (elements + 2) * away))
        v.add(f"attention over {TYPE_NAMES[type_]}", ATTENTION, (rows, query_heads, key_heads, elements, past),
              {1: q, 2: k, 3: values}, {0: (F32, out, tolerance, 0)}, (bits(scale),))
    return v


def elementwise_file():
    v = Vectors(5)
    silu = lambda x: x / (1 + math.exp(-x)) if x > -700 else 0.0
    inner = lambda x: math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    row = [f32(x) for x in (0, 0.5, -0.5, 1, -1, 3.7, -3.7, 10, -10, 1e-20, 60, -60)]
    a = Tensor(F32, [row])
    b = v.reals(1, len(row))
    # Below 2^-126 a result may be 0.
    close = lambda ys, each: [[each * EPSILON * abs(y) + 2.0**-126 for y in ys]]
    out = [f32(silu(x)) for x in row]
    v.add("silu", SILU, (1, len(row)), {1: a}, {0: (F32, [out], close(out, 8), 0)})
    # Not with tanh, which has no digits left near -1: (1 + tanh u) / 2 = 1 / (1 + e^-2u).
    out = [f32(x / (1 + math.exp(min(-2 * inner(x), 700)))) for x in row]
    v.add("gelu", GELU, (1, len(row)), {1: a},
          {0: (F32, [out], [[(8 + 8 * abs(inner(x))) * EPSILON * abs(y) + 2.0**-126 for x, y in zip(row, out)]], 0)})
    out = [f32(silu(x) * y) for x, y in zip(row, b.numbers[0])]
    v.add("swiglu", SWIGLU, (1, len(row)), {1: a, 2: b}, {0: (F32, [out], close(out, 9), 0)})
    special = Tensor(F32, [[-2.0, 0.0, 5.0, math.nan, -math.inf, math.inf]])
    v.add("relu", RELU, (1, 6), {1: special}, {0: (F32, [[0.0, 0.0, 5.0, math.nan, 0.0, math.inf]], None, 0)})
    one = Tensor(F32, [[1.0] * 6])
    v.add("mul, clamped", MUL, (1, 6), {1: special, 2: one}, {0: (F32, [[-1.0, 0.0, 3.0, math.nan, -1.0, 3.0]], None, 0)},
          (0, 0, bits(-1.0), bits(3.0)), CLAMP)
    x, row = v.reals(3, 5, gap=4), v.reals(1, 5)
    out = [[f32(p + q) for p, q in zip(each, row.numbers[0])] for each in x.numbers]
    v.add("add a row", ADD, (3, 5), {1: x, 2: row}, {0: (F32, out, None, 0)}, (), BROADCAST_ROW)
    out = [[f32(p * 1.5 + 0.25) for p in each] for each in x.numbers]
    v.add("scale", SCALE, (3, 5), {1: x},
          {0: (F32, out, [[2 * EPSILON * (abs(p) * 1.5 + 0.25) for p in each] for each in x.numbers], 0)},
          (bits(1.5), bits(0.25)))
    return v


def rows_file():
    v = Vectors(6)
    for type_ in (F32, F16, Q8_0, Q4_0):
        table = v.blocks(5, 32, type_) if type_ in (Q8_0, Q4_0) else v.reals(5, 32, type_)
        ids = Tensor(I32, [[4, 0, 2]])
        v.add(f"embed rows of {TYPE_NAMES[type_]}", EMBED_ROWS, (3, 5, 32), {1: table, 2: ids},
              {0: (F32, [table.numbers[i] for i in ids.numbers[0]], None, 0)})
    table, ids = v.reals(5, 2), Tensor(I32, [[0, 5]])
    operands = {0: Tensor(F32, [[0, 0]] * 2), 1: table, 2: ids}
    v.list.append(v.vector("an id out of range", command(EMBED_ROWS, 0, (2, 5, 2), (), operands), operands,
                           {"status": 2, "reason": 19}))
    x = Tensor(F32, [[1.0, 7.0, math.nan, 7.0], [math.nan, -math.inf, -3.0, -3.0], [math.nan] * 4])
    v.add("arg max", ARG_MAX, (3, 4), {1: x}, {0: (I32, [[1, 2, 0]], None, 0)})
    v.add("top k", TOP_K, (3, 4, 3), {1: x},
          {0: (F32, [[7.0, 7.0, 1.0], [-3.0, -3.0, -math.inf], [math.nan] * 3], None, 0),
           2: (I32, [[1, 3, 0], [2, 3, 1], [0, 1, 2]], None, 4)})
    return v


class Window:
    """A window's shape: 1 image of 4 by 5; a kernel of 3 by 2, steps of 2 and 1."""

    batch, height, width, channels, kernel_height, kernel_width = 1, 4, 5, 2, 3, 2
    stride_height, stride_width, pad_top, pad_left, out_height, out_width = 2, 1, 1, 1, 2, 5

    def __init__(self, out_channels, dilation):
        self.out_channels, self.dilation = out_channels, dilation

    def dims(self):
        return (self.batch, self.height, self.width, self.channels, self.out_height, self.out_width, self.out_channels,
                self.kernel_height, self.kernel_width, self.stride_height, self.stride_width, self.dilation)

    def taps(self, oy, ox):
        """(y, x, tap) of those inside of the image."""
        for ky in range(self.kernel_height):
            for kx in range(self.kernel_width):
                y = oy * self.stride_height + ky * max(self.dilation, 1) - self.pad_top
                x = ox * self.stride_width + kx * max(self.dilation, 1) - self.pad_left
                if 0 <= y < self.height and 0 <= x < self.width:
                    yield y, x, ky * self.kernel_width + kx

    def each(self, channels, compute):
        return [[compute(y, x, c) for x in range(self.out_width) for c in range(channels)]
                for y in range(self.out_height)]


def image_file():
    v = Vectors(7)
    for opcode, name in ((CONV2D, "conv2d"), (DEPTHWISE, "depthwise conv2d")):
        for type_ in (F32, I8):
            s = Window(4, 2 if type_ == F32 else 1)
            zero = -3 if type_ == I8 else 0
            make = v.integers if type_ == I8 else v.reals
            x = make(s.height, s.width * s.channels)
            w = make(4, 6 * s.channels) if opcode == CONV2D else make(6, 4)
            b = v.integers(1, 4, -500, 500, I32) if type_ == I8 else v.reals(1, 4)

            def terms(oy, ox, c):
                found = [b.numbers[0][c]]
                for y, column, tap in s.taps(oy, ox):
                    for i in range(s.channels) if opcode == CONV2D else (c // (4 // s.channels),):
                        weight = w.numbers[c][tap * s.channels + i] if opcode == CONV2D else w.numbers[tap][c]
                        found.append((x.numbers[y][column * s.channels + i] - zero) * weight)
                return found

            if type_ == F32:
                out = s.each(4, lambda *at: f32(clamp(math.fsum(terms(*at)), -2.0, 3.0)))
                tolerance = s.each(4, lambda *at: 16 * EPSILON * math.fsum(map(abs, terms(*at))))
                v.add(f"{name} f32", opcode, s.dims(), {1: x, 2: w, 3: b}, {0: (F32, out, tolerance, 0)},
                      (0, 0, bits(-2.0), bits(3.0), s.pad_top, s.pad_left), CLAMP)
            else:
                multipliers, shifts = v.integers(1, 4, 2**30, 2**31 - 1, I32), v.integers(1, 4, -9, -7, I32)
                out = s.each(4, lambda oy, ox, c: clamp(
                    requantise(sum(terms(oy, ox, c)), multipliers.numbers[0][c], shifts.numbers[0][c]) + 4, -128, 127))
                v.add(f"{name} i8", opcode, s.dims(), {1: x, 2: w, 3: b, 4: multipliers, 5: shifts},
                      {0: (I8, out, None, 0)}, (zero, 4, -128, 127, s.pad_top, s.pad_left))
    for type_ in (F32, I8):
        s = Window(0, 0)
        x = v.integers(s.height, s.width * s.channels) if type_ == I8 else v.reals(s.height, s.width * s.channels)
        params = (0, 0, -100 if type_ == I8 else 0, 90 if type_ == I8 else 0, s.pad_top, s.pad_left)
        inside = lambda oy, ox, c: [x.numbers[y][column * s.channels + c] for y, column, _ in s.taps(oy, ox)]
        bounded = lambda value: clamp(value, -100, 90) if type_ == I8 else value

        def mean(*at):
            values = inside(*at)
            if type_ == F32:
                return f32(math.fsum(values) / len(values))
            magnitude = (2 * abs(sum(values)) + len(values)) // (2 * len(values))  # ties away from 0
            return bounded(magnitude if sum(values) >= 0 else -magnitude)

        v.add(f"max pool {TYPE_NAMES[type_]}", MAX_POOL, s.dims(), {1: x},
              {0: (type_, s.each(s.channels, lambda *at: bounded(max(inside(*at)))), None, 0)}, params)
        tolerance = s.each(s.channels, lambda *at: 8 * EPSILON * max(map(abs, inside(*at)))) if type_ == F32 else None
        v.add(f"avg pool {TYPE_NAMES[type_]}", AVG_POOL, s.dims(), {1: x},
              {0: (type_, s.each(s.channels, mean), tolerance, 0)}, params)
    return v


def copy_file():
    v = Vectors(8)
    x = Tensor(F32, [[0.0, 0.25, 0.75, -0.25, 1e30, -math.inf, math.nan, 100.0]])
    for type_, low, high in ((I8, -128, 127), (U8, 0, 255), (I32, -2**31, 2**31 - 1)):
        quantise = lambda a: clamp(3 + (0 if math.isnan(a) else round(clamp(f32(a / 0.5), -1e12, 1e12))), low, high)
        v.add(f"f32 to {TYPE_NAMES[type_]}", COPY, (1, 8), {1: x},
              {0: (type_, [[quantise(a) for a in x.numbers[0]]], None, 0)}, (bits(0.5), 3))
        q = v.integers(2, 6, low, high, type_, gap=4)
        out = [[f32((a - 3) * f32(0.1)) for a in row] for row in q.numbers]
        tolerance = [[2 * EPSILON * abs(y) for y in row] for row in out] if type_ == I32 else None
        v.add(f"{TYPE_NAMES[type_]} to f32", COPY, (2, 6), {1: q}, {0: (F32, out, tolerance, 0)}, (bits(f32(0.1)), 3))
    half = Tensor(F32, [[f32(a) for a in (1.0, 1 + 2**-11, 1 + 3 * 2**-11, 65519.0, 65520.0, 2.0**-25, 1e-7, -0.3)]])
    to_half = lambda a: math.inf if a >= 65520 else struct.unpack("<e", struct.pack("<e", a))[0]
    v.add("f32 to f16", COPY, (1, 8), {1: half}, {0: (F16, [[to_half(a) for a in half.numbers[0]]], None, 0)})
    for type_ in (F16, Q8_0, Q4_0):
        x = v.reals(2, 32, F16) if type_ == F16 else v.blocks(2, 32, type_)
        v.add(f"{TYPE_NAMES[type_]} to f32", COPY, (2, 32), {1: x}, {0: (F32, x.numbers, None, 0)})
    u = v.integers(1, 6, 0, 255, U8)
    v.add("u8 to i8", COPY, (1, 6), {1: u}, {0: (I8, [[a - 128 for a in u.numbers[0]]], None, 0)})
    return v


def refused_file():
    """What must be refused before it runs: name, reason, where, and what is changed in a good product."""
    v = Vectors(9)
    operands = {0: Tensor(F32, [[0.0] * 3] * 2), 1: v.reals(2, 4), 2: v.reals(3, 4)}
    good = command(GEMM, 0, (2, 3, 4), (), operands)
    put = lambda offset, form, *values: (lambda packed: packed[:offset] + struct.pack(form, *values) +
                                         packed[offset + struct.calcsize(form):])
    # status, reason, field_offset: docs/npu.md, Faults
    cases = [
        ("an opcode that does not exist", 1, 3, 0, put(0, "<H", 22)),
        ("a flag that it does not have", 1, 5, 2, put(2, "<H", 2)),
        ("a reserved byte", 1, 4, 13, put(13, "<B", 1)),
        ("a dimension that it does not have", 1, 4, 124, put(124, "<I", 1)),
        ("a dimension of 0", 3, 17, 112, put(112, "<I", 0)),
        ("a dimension of 2^31", 3, 17, 120, put(120, "<I", 2**31)),
        ("the largest dimensions", 2, 11, 16, put(112, "<III", *[2**31 - 1] * 3)),
        ("limits without the flag", 1, 4, 168, put(168, "<I", 1)),
        ("limits in the wrong order", 3, 18, 168, lambda p: put(2, "<H", 1)(put(168, "<II", bits(2.0), bits(1.0))(p))),
        ("a type that does not exist", 3, 16, 5, put(5, "<B", 7)),
        ("types that do not go together", 3, 16, 5, put(5, "<B", I8)),
        ("no weights", 2, 9, 56, put(48, "<QII", 0, 0, 0)),
        ("an operand too many", 1, 4, 88, put(80, "<QII", 0, 1, 0)),
        ("a region that does not exist", 2, 10, 40, put(40, "<I", 9)),
        ("an offset beyond the region", 2, 11, 32, put(32, "<Q", 4)),
        ("an offset that wraps", 2, 11, 32, put(32, "<Q", 2**64 - 4)),
        ("an address that is not aligned", 2, 13, 48, lambda p: put(48, "<Q", 2)(put(116, "<II", 1, 4)(p))),
        ("a row stride below a row", 2, 14, 44, put(44, "<I", 12)),
        ("an output over an input", 2, 15, 32, lambda p: put(40, "<I", 1)(put(120, "<I", 3)(p))),
    ]
    for name, status, reason, field, change in cases:
        v.list.append(v.vector(name, change(good), operands, {"status": status, "reason": reason, "field_offset": field}))
    return v


FILES = {"gemm": gemm_file, "requantise": requantise_file, "norm": norm_file, "attention": attention_file,
         "elementwise": elementwise_file, "rows": rows_file, "image": image_file, "copy": copy_file, "refused": refused_file}


def main():
    check = sys.argv[1] == "--check"
    folder = pathlib.Path(sys.argv[-1])
    wrong = 0
    for name, make in FILES.items():
        lines = ",\n".join(json.dumps(vector) for vector in make().list)
        text = '{"format": 1, "vectors": [\n' + lines + "\n]}\n"
        path = folder / f"{name}.json"
        if not check:
            path.write_text(text)
        elif path.read_text() != text:
            print(f"{path} is not what generate.py writes")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
