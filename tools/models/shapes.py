"""Shapes in clutter, as guest/graph/operators/src/shapes.hpp describes them: the same images, element for element."""

import numpy as np

CLASSES = ("disc", "ring", "square", "triangle", "cross", "bar")
# 256 * sin(i * pi / 32), rounded, for a quarter of a turn.
QUARTER = (0, 25, 50, 74, 98, 121, 142, 162, 181, 198, 213, 226, 237, 245, 251, 255, 256)
SPOTS = 6


def mix(state):
    """SplitMix64's output for states, u64 of any shape."""
    with np.errstate(over="ignore"):
        z = np.asarray(state, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def random_at(seed, index):
    return mix(mix(seed) ^ np.asarray(index, np.uint64))


def sine(turn):
    """256 * sin of 64ths of a turn."""
    turn = np.asarray(turn) % 64
    quarter = np.array(QUARTER)
    half = turn % 32
    value = quarter[np.where(half <= 16, half, 32 - half)]
    return np.where(turn < 32, value, -value)


class Chance:
    """What is drawn by chance for images `numbers`, in the order of the calls."""

    def __init__(self, seed, numbers):
        self.streams = random_at(seed, numbers)
        self.drawn = 0

    def below(self, count):
        value = (random_at(self.streams, self.drawn) & np.uint64(0xFFFF)).astype(np.int64) * count >> 16
        self.drawn += 1
        return value[:, None]


def inside(label, u, v, radius):
    """Which points (u, v) belong to a figure of this class."""
    away = u * u + v * v
    a, b = np.abs(u), np.abs(v)
    thin = radius // 4
    figures = (
        away <= radius * radius,
        (away <= radius * radius) & (away * 64 >= radius * radius * 25),
        (a * 64 <= radius * 45) & (b * 64 <= radius * 45),
        (2 * v <= radius) & (443 * a <= 256 * (v + radius)),
        ((a <= thin) & (b <= radius)) | ((b <= thin) & (a <= radius)),
        (a <= radius) & (b <= thin),
    )
    return np.choose(label, figures)


def draw(seed, numbers, side, noise):
    """Images `numbers` as u8 [images, side, side]. `noise`: one number, or one for each image."""
    numbers = np.asarray(numbers, np.int64)
    chance = Chance(seed, numbers)
    angle = chance.below(64)
    radius = 56 + chance.below(40)
    centre_x, centre_y = 88 + chance.below(80), 88 + chance.below(80)
    ground = 40 + chance.below(176)
    contrast = 48 + chance.below(80)
    figure = np.where(ground >= 128, ground - contrast, ground + contrast)
    slope_x, slope_y = chance.below(65) - 32, chance.below(65) - 32

    scale = (2 * np.arange(side) + 1) * 128 // side
    x, y = np.tile(scale, side)[None], np.repeat(scale, side)[None]
    values = ground + np.zeros_like(x)

    spots = chance.below(SPOTS + 1)
    for spot in range(SPOTS):
        at_x, at_y, size, level = chance.below(256), chance.below(256), 8 + chance.below(20), chance.below(256)
        covered = ((x - at_x) ** 2 + (y - at_y) ** 2 <= size * size) & (spot < spots)
        values = np.where(covered, level, values)

    right, down = x - centre_x, y - centre_y
    u = (right * sine(angle + 16) + down * sine(angle)) >> 8
    v = (down * sine(angle + 16) - right * sine(angle)) >> 8
    values = np.where(inside((numbers % len(CLASSES))[:, None], u, v, radius), figure, values)

    where, hidden = chance.below(64), radius * chance.below(33) // 80
    cover_x = centre_x + (radius * sine(where + 16) >> 8)
    cover_y = centre_y + (radius * sine(where) >> 8)
    values = np.where((x - cover_x) ** 2 + (y - cover_y) ** 2 < hidden * hidden, ground, values)

    values = values + ((slope_x * (x - 128) + slope_y * (y - 128)) >> 8)
    noise = np.broadcast_to(np.asarray(noise, np.int64), numbers.shape)[:, None]
    noise_seed = mix(np.uint64(seed)) ^ numbers.astype(np.uint64)
    raw = random_at(noise_seed[:, None], np.arange(side * side)[None])
    values = values + (raw % (2 * noise + 1).astype(np.uint64)).astype(np.int64) - noise
    return np.clip(values, 0, 255).astype(np.uint8).reshape(-1, side, side)
