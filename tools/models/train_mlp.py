#!/usr/bin/env python3
"""Trains the model "patterns" (docs/ml.md): which of the four test patterns of image-source an image of 16 by 16 shows.

256 numbers in 0..1, as the operator normalise makes them of an image, two rectified layers of 32 and 16, 4 classes.
Needs Debian's python3-numpy. Takes a minute. Sums of f32 depend on the machine's matrix products, so a model that is
trained anew differs in its last bits.

usage: train_mlp.py FILE            trains, and writes for example models/patterns.gguf
       train_mlp.py --check FILE    how many images of another seed the file's model knows
"""

import sys

import nets
import numpy as np
import patterns

SIDE = 16
MAX_NOISE = 32
TRAINING, TRAINING_SEED = 6000, 1
CALIBRATION = 1000
HELD_OUT, HELD_OUT_SEED = 2000, 999
EPOCHS = 30


def examples(seed, count):
    """Images u8 [count, SIDE * SIDE], each with a noise of its own, and their labels."""
    labels = np.arange(count) % len(patterns.CLASSES)
    images = [
        patterns.draw(label, seed, number, SIDE, patterns.random_at(seed + 77, number) % (MAX_NOISE + 1))
        for number, label in enumerate(labels.tolist())
    ]
    return np.array(images, np.uint8), labels


def to_f32(images):
    """As normalise (range) does it: rounded once from binary64."""
    low, high = images.min(1, keepdims=True).astype(float), images.max(1, keepdims=True).astype(float)
    return ((images - low) / (high - low)).astype(np.float32)


def to_i8(images):
    """As the NPU's Copy does it: divided in f32, to the nearest even integer."""
    quantised = np.rint(to_f32(images) / (np.float32(1) / np.float32(255))) - 128
    return np.clip(quantised, -128, 127).astype(np.int64)


def make():
    images, labels = examples(TRAINING_SEED, TRAINING)
    chance = np.random.default_rng(0)
    layers = [
        nets.Dense(chance, SIDE * SIDE, 32, rectified=True),
        nets.Dense(chance, 32, 16, rectified=True),
        nets.Dense(chance, 16, len(patterns.CLASSES), rectified=False),
    ]
    nets.train(layers, to_f32(images), labels, chance=chance, epochs=EPOCHS, batch=32, rate=3e-3, say=print)
    model = nets.rounded("patterns", patterns.CLASSES, (1, 1, SIDE * SIDE), layers, to_f32(images[:CALIBRATION]))
    return layers, to_f32, model


def held_out():
    images, labels = examples(HELD_OUT_SEED, HELD_OUT)
    return images, to_i8, labels


if __name__ == "__main__":
    nets.main(sys.argv, document=__doc__, make=make, held_out=held_out)
