#!/usr/bin/env python3
"""Trains the built-in model of mlp-classifier (docs/graph-operators.md) on test patterns, and writes it as a source file.

256 inputs (16 by 16, in 0..1), a hidden layer of 16 that is rectified, 4 classes. Adam with weight decay on the cross
entropy, then each layer's weights are rounded to i8 with a scale. The accuracy that is reported is that of the rounded
model on images of another seed. Needs nothing but Python; the same numbers come out on every machine whose exp() is
rounded alike. Takes a minute.

usage: train_patterns.py OUTPUT        for example guest/graph/operators/src/patterns_model.cpp
"""

import math
import random
import struct
import sys
from operator import mul

from patterns import CLASSES, draw, random_at

SIDE = 16
INPUTS = SIDE * SIDE
HIDDEN = 16
TRAINING = 4000
HELD_OUT = 4000
EPOCHS = 20
BATCH = 32
MAX_NOISE = 32


def examples(seed, count):
    """Images in 0..1 with their classes, each with a noise of its own."""
    made = []
    for number in range(count):
        noise = random_at(seed + 77, number) % (MAX_NOISE + 1)
        values = draw(number % len(CLASSES), seed, number, SIDE, noise)
        low, high = min(values), max(values)
        made.append(([(v - low) / (high - low) for v in values], number % len(CLASSES)))
    return made


class Adam:
    """Kingma and Ba, arXiv:1412.6980, with weight decay apart from the gradient (arXiv:1711.05101)."""

    def __init__(self, size):
        self.first = [0.0] * size
        self.second = [0.0] * size

    def step(self, values, gradient, rate, turn):
        one, two = 1 - 0.9**turn, 1 - 0.999**turn
        self.first = [0.9 * m + 0.1 * g for m, g in zip(self.first, gradient)]
        self.second = [0.999 * v + 0.001 * g * g for v, g in zip(self.second, gradient)]
        return [
            p - rate * ((m / one) / (math.sqrt(v / two) + 1e-8) + 0.01 * p)
            for p, m, v in zip(values, self.first, self.second)
        ]


def forward(layers, x):
    (w1, b1), (w2, b2) = layers
    hidden = [max(sum(map(mul, row, x)) + b, 0.0) for row, b in zip(w1, b1)]
    return hidden, [sum(map(mul, row, hidden)) + b for row, b in zip(w2, b2)]


def gradients(layers, batch):
    w2 = layers[1][0]
    g1 = [[0.0] * INPUTS for _ in range(HIDDEN)]
    gb1, gb2 = [0.0] * HIDDEN, [0.0] * len(CLASSES)
    g2 = [[0.0] * HIDDEN for _ in CLASSES]
    for x, label in batch:
        hidden, out = forward(layers, x)
        top = max(out)
        powers = [math.exp(v - top) for v in out]
        total = sum(powers)
        error = [(p / total - (k == label)) / len(batch) for k, p in enumerate(powers)]
        for k, e in enumerate(error):
            gb2[k] += e
            g2[k] = [g + e * h for g, h in zip(g2[k], hidden)]
        for j, h in enumerate(hidden):
            if h > 0:
                back = sum(e * w2[k][j] for k, e in enumerate(error))
                gb1[j] += back
                g1[j] = [g + back * v for g, v in zip(g1[j], x)]
    return [(g1, gb1), (g2, gb2)]


def train():
    chance = random.Random(0)
    layers = []
    for inputs, outputs, spread in ((INPUTS, HIDDEN, 2.0), (HIDDEN, len(CLASSES), 1.0)):
        deviation = math.sqrt(spread / inputs)
        layers.append(([[chance.gauss(0, deviation) for _ in range(inputs)] for _ in range(outputs)], [0.0] * outputs))
    steps = [([Adam(len(row)) for row in w], Adam(len(b))) for w, b in layers]
    data = examples(1, TRAINING)
    turn = 0
    for epoch in range(EPOCHS):
        chance.shuffle(data)
        rate = 3e-3 * 0.02 ** (epoch / EPOCHS)
        for first in range(0, len(data), BATCH):
            turn += 1
            for i, (gw, gb) in enumerate(gradients(layers, data[first : first + BATCH])):
                weights = [s.step(row, g, rate, turn) for s, row, g in zip(steps[i][0], layers[i][0], gw)]
                layers[i] = (weights, steps[i][1].step(layers[i][1], gb, rate, turn))
    return layers


def rounded_to_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def quantised(layers):
    """The file's bytes, and the layers as they are read back."""
    file = b"SISMLP1\n" + struct.pack("<I", len(layers))
    read = []
    for weights, biases in layers:
        scale = rounded_to_f32(max(abs(w) for row in weights for w in row) / 127)
        numbers = [[round(w / scale) for w in row] for row in weights]
        file += struct.pack("<IIf", len(weights[0]), len(weights), scale)
        file += b"".join(struct.pack(f"<{len(row)}b", *row) for row in numbers)
        file += struct.pack(f"<{len(biases)}f", *biases)
        read.append(([[n * scale for n in row] for row in numbers], [rounded_to_f32(b) for b in biases]))
    return file, read


def accuracy(layers, data):
    right = 0
    for x, label in data:
        out = forward(layers, x)[1]
        right += out.index(max(out)) == label
    return right / len(data)


def write_source(path, file, reached):
    columns = 30
    with open(path, "w", encoding="ascii") as output:
        output.write(
            "// Written by tools/models/train_patterns.py, not by hand: the model \"patterns\" of mlp-classifier.\n"
            f"// Right for {reached:.2%} of {HELD_OUT} images that it was not trained with.\n"
            '#include "patterns_model.hpp"\n\nnamespace guest::graph {\n\n// clang-format off\n'
            f"const std::uint8_t kPatternsModel[kPatternsModelBytes] = {{\n"
        )
        for first in range(0, len(file), columns):
            output.write("".join(f"{byte}," for byte in file[first : first + columns]) + "\n")
        output.write("};\n// clang-format on\n\n}  // namespace guest::graph\n")


def main():
    layers = train()
    file, read = quantised(layers)
    reached = accuracy(read, examples(999, HELD_OUT))
    write_source(sys.argv[1], file, reached)
    print(f"{len(file)} bytes, right for {reached:.2%} of {HELD_OUT} images of another seed")


if __name__ == "__main__":
    main()
