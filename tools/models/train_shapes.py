#!/usr/bin/env python3
"""Trains the model "shapes" (docs/ml.md): which of six shapes lies in a cluttered image of 32 by 32.

Needs Debian's python3-numpy. Takes some minutes. Draws its images itself; the same seeds each time, but sums of f32
depend on the machine's matrix products, so a model that is trained anew differs in its last bits.

usage: train_shapes.py FILE            trains, and writes for example models/shapes.gguf
       train_shapes.py --check FILE    how many images of another seed the file's model knows
"""

import sys

import nets
import numpy as np
import shapes

SIDE = 32
MAX_NOISE = 20
TRAINING, TRAINING_SEED = 60000, 1
CALIBRATION = 1000
HELD_OUT, HELD_OUT_SEED = 2000, 999
EPOCHS = 16


def examples(seed, count):
    """Images u8 [count, SIDE, SIDE], each with a noise of its own, and their labels."""
    numbers = np.arange(count)
    noise = (shapes.random_at(np.uint64(seed + 77), numbers) % np.uint64(MAX_NOISE + 1)).astype(np.int64)
    parts = [shapes.draw(np.uint64(seed), n, SIDE, noise[n]) for n in np.array_split(numbers, max(count // 500, 1))]
    return np.concatenate(parts), numbers % len(shapes.CLASSES)


def to_f32(images):
    return (images.astype(np.float32) / np.float32(255))[..., None]


def to_i8(images):
    return images.astype(np.int64) - 128


def network(chance):
    return [
        nets.Conv2d(chance, 1, 16, kernel=3, step=2),
        nets.Conv2d(chance, 16, 24, kernel=3),
        nets.MaxPool(),
        nets.Depthwise(chance, 24),
        nets.Conv2d(chance, 24, 48),
        nets.MaxPool(),
        nets.Depthwise(chance, 48),
        nets.Conv2d(chance, 48, 96),
        nets.AveragePool(4),
        nets.Dense(chance, 96, len(shapes.CLASSES), rectified=False),
    ]


def make():
    images, labels = examples(TRAINING_SEED, TRAINING)
    chance = np.random.default_rng(0)
    layers = network(chance)
    nets.train(layers, to_f32(images), labels, chance=chance, epochs=EPOCHS, batch=32, rate=2e-3, say=print)
    model = nets.rounded("shapes", shapes.CLASSES, (SIDE, SIDE, 1), layers, to_f32(images[:CALIBRATION]))
    return layers, to_f32, model


def held_out():
    images, labels = examples(HELD_OUT_SEED, HELD_OUT)
    return images, to_i8, labels


if __name__ == "__main__":
    nets.main(sys.argv, document=__doc__, make=make, held_out=held_out)
