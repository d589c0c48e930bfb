"""Small networks: trained in f32, rounded to int8 as TFLite defines it, computed in integers as the NPU does
(docs/npu.md), written and read as GGUF files of the architecture "sis.net" (docs/ml.md). Needs numpy.

An image is [height, width, channels]; a batch has one more dimension in front.
"""

import sys

import gguf
import numpy as np

EPSILON = 1e-8


def windows(x, layer, filler):
    """Every tap of a window as a view: [(row, column, [batch, out height, out width, channels])]."""
    top, left, bottom, right = layer.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=filler)
    height = (padded.shape[1] - layer.kernel[0]) // layer.step[0] + 1
    width = (padded.shape[2] - layer.kernel[1]) // layer.step[1] + 1
    for i in range(layer.kernel[0]):
        for j in range(layer.kernel[1]):
            rows = slice(i, i + (height - 1) * layer.step[0] + 1, layer.step[0])
            columns = slice(j, j + (width - 1) * layer.step[1] + 1, layer.step[1])
            yield i, j, rows, columns, padded[:, rows, columns, :]


class Layer:
    """What all kinds have. `weights`: the arrays that are trained, [weight, bias]."""

    kind = ""
    outputs = 0
    kernel = step = (0, 0)
    padding = (0, 0, 0, 0)
    rectified = False

    def __init__(self):
        self.weights = []

    def rectify(self, y):
        return np.maximum(y, 0, out=y) if self.rectified else y

    def through_rectifier(self, dy):
        return dy * (self.y > 0) if self.rectified else dy


class Dense(Layer):
    kind = "dense"

    def __init__(self, chance, inputs, outputs, rectified):
        super().__init__()
        self.outputs, self.rectified = outputs, rectified
        deviation = np.sqrt((2 if rectified else 1) / inputs)
        self.weights = [
            (chance.standard_normal((outputs, inputs)) * deviation).astype(np.float32),
            np.zeros(outputs, np.float32),
        ]

    def forward(self, x):
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        self.y = self.rectify(self.x @ self.weights[0].T + self.weights[1])
        return self.y

    def backward(self, dy):
        dy = self.through_rectifier(dy)
        self.gradients = [dy.T @ self.x, dy.sum(0)]
        return (dy @ self.weights[0]).reshape(self.shape)


class Conv2d(Layer):
    """weight [outputs, kernel height, kernel width, channels]"""

    kind = "conv2d"

    def __init__(self, chance, channels, outputs, kernel=1, step=1):
        super().__init__()
        self.outputs, self.rectified = outputs, True
        self.kernel, self.step, self.padding = (kernel, kernel), (step, step), (kernel // 2,) * 4
        shape = (outputs, kernel, kernel, channels)
        deviation = np.sqrt(2 / (kernel * kernel * channels))
        self.weights = [(chance.standard_normal(shape) * deviation).astype(np.float32), np.zeros(outputs, np.float32)]

    def forward(self, x):
        self.shape = x.shape
        taps = [view for _, _, _, _, view in windows(x, self, 0)]
        self.x = taps[0] if len(taps) == 1 else np.concatenate(taps, -1)
        flat = self.weights[0].reshape(self.outputs, -1)
        self.y = self.rectify(self.x @ flat.T + self.weights[1])
        return self.y

    def backward(self, dy):
        dy = self.through_rectifier(dy)
        rows = dy.reshape(-1, self.outputs)
        self.gradients = [
            (rows.T @ self.x.reshape(len(rows), -1)).reshape(self.weights[0].shape),
            rows.sum(0),
        ]
        dx = dy @ self.weights[0].reshape(self.outputs, -1)
        return spread(dx, self, self.shape, lambda i, j: (i * self.kernel[1] + j) * self.shape[3])


class Depthwise(Layer):
    """weight [kernel height, kernel width, channels]"""

    kind = "depthwise_conv2d"

    def __init__(self, chance, channels, kernel=3):
        super().__init__()
        self.outputs, self.rectified = channels, True
        self.kernel, self.step, self.padding = (kernel, kernel), (1, 1), (kernel // 2,) * 4
        deviation = np.sqrt(2 / (kernel * kernel))
        self.weights = [
            (chance.standard_normal((kernel, kernel, channels)) * deviation).astype(np.float32),
            np.zeros(channels, np.float32),
        ]

    def forward(self, x):
        self.x = x
        y = np.broadcast_to(self.weights[1], x.shape).copy()
        for i, j, _, _, view in windows(x, self, 0):
            y += view * self.weights[0][i, j]
        self.y = self.rectify(y)
        return self.y

    def backward(self, dy):
        dy = self.through_rectifier(dy)
        weight = np.zeros_like(self.weights[0])
        top, left, bottom, right = self.padding
        batch, height, width, channels = self.x.shape
        dx = np.zeros((batch, height + top + bottom, width + left + right, channels), np.float32)
        for i, j, rows, columns, view in windows(self.x, self, 0):
            weight[i, j] = np.einsum("bhwc,bhwc->c", view, dy)
            dx[:, rows, columns, :] += dy * self.weights[0][i, j]
        self.gradients = [weight, dy.sum((0, 1, 2))]
        return dx[:, top : top + height, left : left + width, :]


class MaxPool(Layer):
    kind = "max_pool"

    def __init__(self, side=2):
        super().__init__()
        self.kernel = self.step = (side, side)
        self.gradients = []

    def forward(self, x):
        self.x = x
        self.y = np.maximum.reduce([view for *_, view in windows(x, self, 0)])
        return self.y

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        left = dy.copy()
        for _, _, rows, columns, view in windows(self.x, self, 0):
            here = np.where(view == self.y, left, 0)  # the first of those that are equal
            dx[:, rows, columns, :] += here
            left -= here
        return dx


class AveragePool(Layer):
    """Over all of an image."""

    kind = "average_pool"

    def __init__(self, side):
        super().__init__()
        self.kernel = self.step = (side, side)
        self.gradients = []

    def forward(self, x):
        self.shape = x.shape
        self.y = x.mean((1, 2), keepdims=True)
        return self.y

    def backward(self, dy):
        return np.broadcast_to(dy / (self.shape[1] * self.shape[2]), self.shape)


def spread(dx, layer, shape, place):
    """The gradient of an image from those of its windows' taps."""
    top, left, bottom, right = layer.padding
    batch, height, width, channels = shape
    image = np.zeros((batch, height + top + bottom, width + left + right, channels), np.float32)
    for i in range(layer.kernel[0]):
        for j in range(layer.kernel[1]):
            rows = slice(i, i + (dx.shape[1] - 1) * layer.step[0] + 1, layer.step[0])
            columns = slice(j, j + (dx.shape[2] - 1) * layer.step[1] + 1, layer.step[1])
            image[:, rows, columns, :] += dx[..., place(i, j) : place(i, j) + channels]
    return image[:, top : top + height, left : left + width, :]


# ---- training


class Adam:
    """Kingma and Ba, arXiv:1412.6980, with weight decay apart from the gradient (arXiv:1711.05101)."""

    def __init__(self, layers, decay):
        self.layers, self.decay, self.turn = layers, decay, 0
        self.moments = [[(np.zeros_like(w), np.zeros_like(w)) for w in layer.weights] for layer in layers]

    def step(self, rate):
        self.turn += 1
        for layer, moments in zip(self.layers, self.moments):
            for weight, gradient, (first, second) in zip(layer.weights, layer.gradients, moments):
                first += 0.1 * (gradient - first)
                second += 0.001 * (gradient * gradient - second)
                move = (first / (1 - 0.9**self.turn)) / (np.sqrt(second / (1 - 0.999**self.turn)) + EPSILON)
                weight -= rate * (move + (self.decay * weight if weight.ndim > 1 else 0))


def forward(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x.reshape(len(x), -1)


def train(layers, x, labels, *, chance, epochs, batch, rate, decay=0.01, say=None):
    """Cross entropy; the rate falls to a 50th along a cosine."""
    adam = Adam(layers, decay)
    for epoch in range(epochs):
        order = chance.permutation(len(x))
        loss = 0.0
        for first in range(0, len(x) - batch + 1, batch):
            chosen = order[first : first + batch]
            scores = forward(layers, x[chosen])
            powers = np.exp(scores - scores.max(1, keepdims=True))
            dy = powers / powers.sum(1, keepdims=True)
            loss -= np.log(dy[np.arange(batch), labels[chosen]] + 1e-30).sum()
            dy[np.arange(batch), labels[chosen]] -= 1
            dy = (dy / batch).astype(np.float32)
            for layer in reversed(layers):
                dy = layer.backward(dy)
            progress = (epoch * len(x) + first) / (epochs * len(x))
            adam.step(rate * (0.02 + 0.98 * (1 + np.cos(np.pi * progress)) / 2))
        if say:
            say(f"epoch {epoch + 1} of {epochs}: loss {loss / len(x):.4f}")


def right(scores, labels):
    """How many rows have their largest score (the first of equal ones) at their label."""
    return int((scores.argmax(1) == labels).sum())


def in_parts(run, x, part=500):
    return np.concatenate([run(x[first : first + part]) for first in range(0, len(x), part)])


# ---- int8


class Rounded:
    """A layer in integers. scale, zero: of its result. weight i8, bias and multiplier and shift i32, or None."""

    def __init__(self, kind, outputs=0, kernel=(0, 0), step=(0, 0), padding=(0, 0, 0, 0)):
        self.kind, self.outputs, self.kernel, self.step, self.padding = kind, outputs, kernel, step, padding
        self.scale, self.zero, self.min, self.max = np.float32(1), 0, -128, 127
        self.weight = self.bias = self.multiplier = self.shift = None


class Model:
    """`shape`: of an input [height, width, channels]; scale and zero: what the input's i8 stand for."""

    def __init__(self, name, classes, shape, scale, zero):
        self.name, self.classes, self.shape, self.scale, self.zero = name, classes, shape, np.float32(scale), zero
        self.layers = []


def quantisation_of(values):
    """Scale and zero point of i8 for numbers from the least to the largest of `values`, 0 among them."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = np.float32((high - low) / 255)
    return scale, int(np.clip(np.rint(-128 - low / float(scale)), -128, 127))


def fixed_point(factor):
    """`factor` = multiplier * 2^(shift - 31), the multiplier of 2^30 to 2^31 - 1."""
    fraction, shift = np.frexp(factor)
    multiplier = np.rint(fraction * 2.0**31).astype(np.int64)
    shift = np.where(multiplier == 2**31, shift + 1, shift)
    return np.where(multiplier == 2**31, 2**30, multiplier).astype(np.int32), shift.astype(np.int32)


def rounded(name, classes, shape, layers, x):
    """The trained `layers` in integers, with the ranges of what they compute of `x`, in 0..1."""
    model = Model(name, classes, shape, np.float32(1) / np.float32(255), -128)
    scale, zero = model.scale, model.zero
    for layer in layers:
        x = layer.forward(x)
        new = Rounded(layer.kind, layer.outputs, layer.kernel, layer.step, layer.padding)
        if layer.weights:
            new.scale, new.zero = quantisation_of(x)
            round_weights(new, layer, scale)
            new.min = new.zero if layer.rectified else -128
        else:
            new.scale, new.zero = scale, zero
        scale, zero = new.scale, new.zero
        model.layers.append(new)
    return model


def round_weights(new, layer, scale_in):
    weight, bias = (w.astype(np.float64) for w in layer.weights)
    axis = 2 if layer.kind == "depthwise_conv2d" else 0
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scales = np.maximum(np.abs(weight).max(others), 1e-6) / 127
    along = scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    new.weight = np.clip(np.rint(weight / along), -127, 127).astype(np.int8)
    new.bias = np.clip(np.rint(bias / (float(scale_in) * scales)), -(2**30), 2**30).astype(np.int32)
    new.multiplier, new.shift = fixed_point(float(scale_in) * scales / float(new.scale))


def requantise(sums, layer):
    """docs/npu.md, Requantisation: i8 of i32 sums [..., outputs]."""
    limits = np.iinfo(np.int32)
    shift = layer.shift.astype(np.int64)
    a = np.clip(sums << np.maximum(shift, 0), limits.min, limits.max)
    b = np.clip((a * layer.multiplier.astype(np.int64) + 2**30) >> 31, limits.min, limits.max)
    down = np.maximum(-shift, 0)
    c = np.sign(b) * ((np.abs(b) + ((1 << down) >> 1)) >> down)
    return np.clip(c + layer.zero, layer.min, layer.max)


def run_rounded(layer, x, zero_in):
    """i64 of i8 values to the same."""
    if layer.kind == "dense":
        sums = (x.reshape(len(x), -1) - zero_in) @ layer.weight.astype(np.int64).T + layer.bias
        return requantise(sums, layer)
    if layer.kind == "max_pool":
        taps = [view for *_, view in windows(x, layer, -128)]
        return np.clip(np.maximum.reduce(taps), layer.min, layer.max)
    if layer.kind == "average_pool":
        total = sum(view for *_, view in windows(x, layer, 0))
        count = sum(view for *_, view in windows(np.ones_like(x), layer, 0))
        return np.clip(np.sign(total) * ((2 * np.abs(total) + count) // (2 * count)), layer.min, layer.max)
    weight = layer.weight.astype(np.int64)
    sums = layer.bias.astype(np.int64)
    for i, j, _, _, view in windows(x - zero_in, layer, 0):
        # Products and sums of so few i8 are exact in f64, whose matrix product is quick.
        if layer.kind == "conv2d":
            sums = sums + (view.astype(float) @ weight[:, i, j, :].T.astype(float)).astype(np.int64)
        else:
            sums = sums + view * weight[i, j]
    return requantise(sums, layer)


def scores(model, x):
    """i8 scores [batch, classes] of i8 inputs, as the NPU computes them."""
    x = x.astype(np.int64).reshape(-1, *model.shape)
    zero = model.zero
    for layer in model.layers:
        x = run_rounded(layer, x, zero)
        zero = layer.zero
    return x.reshape(len(x), -1)


# ---- files

VERSION = 1
# Tensors of a layer: the part of the name behind its number, the attribute, the type.
PARTS = (
    ("weight", "weight", gguf.Type.I8),
    ("bias", "bias", gguf.Type.I32),
    ("multiplier", "multiplier", gguf.Type.I32),
    ("shift", "shift", gguf.Type.I32),
)


def write(path, model):
    """docs/ml.md, Model files."""
    writer = gguf.Writer()
    writer.put("general.architecture", "sis.net")
    writer.put("general.name", model.name)
    writer.put("sis.net.version", VERSION)
    writer.put_array("sis.net.classes", model.classes, gguf.Kind.STRING)
    writer.put_array("sis.net.input.shape", model.shape, gguf.Kind.I32)
    writer.put("sis.net.input.scale", float(model.scale))
    writer.put("sis.net.input.zero", model.zero, gguf.Kind.I32)
    layers = model.layers
    writer.put_array("sis.net.layers", [layer.kind for layer in layers], gguf.Kind.STRING)
    for key in ("outputs", "zero", "min", "max"):
        writer.put_array(f"sis.net.{key}", [getattr(layer, key) for layer in layers], gguf.Kind.I32)
    for key in ("kernel", "step", "padding"):
        writer.put_array(f"sis.net.{key}", [n for layer in layers for n in getattr(layer, key)], gguf.Kind.I32)
    writer.put_array("sis.net.scale", [float(layer.scale) for layer in layers], gguf.Kind.F32)
    for number, layer in enumerate(layers):
        for part, attribute, kind in PARTS:
            values = getattr(layer, attribute)
            if values is not None:
                writer.put_tensor(f"{number}.{part}", values.shape[::-1], kind, values.ravel().tolist())
    writer.save(path)


def read(path):
    """A model that write() has written."""
    with open(path, "rb") as stream:
        file = gguf.read(stream.read())
    keys = {key.removeprefix("sis.net."): value for key, value in file.keys.items()}
    if keys["general.architecture"] != "sis.net" or keys["version"] != VERSION:
        raise gguf.GgufError(f"{path}: not of the architecture sis.net, version {VERSION}")
    shape, scale, zero = tuple(keys["input.shape"]), keys["input.scale"], keys["input.zero"]
    model = Model(keys["general.name"], keys["classes"], shape, scale, zero)
    for i, kind in enumerate(keys["layers"]):
        pairs = [tuple(keys[key][2 * i : 2 * i + 2]) for key in ("kernel", "step")]
        layer = Rounded(kind, keys["outputs"][i], *pairs, tuple(keys["padding"][4 * i : 4 * i + 4]))
        layer.scale = np.float32(keys["scale"][i])
        layer.zero, layer.min, layer.max = keys["zero"][i], keys["min"][i], keys["max"][i]
        for part, attribute, _ in PARTS:
            tensor = file.tensors.get(f"{i}.{part}")
            if tensor is not None:
                setattr(layer, attribute, np.array(tensor.values()).reshape(tensor.extents[::-1]))
        model.layers.append(layer)
    return model


# ---- a program for each model

FIRST = 50  # images that our own kernels are tested with


def main(program, *, document, make, held_out):
    """`PROGRAM FILE` trains and writes; `PROGRAM --check FILE` measures a file. `make()` returns the trained layers, a
    function that makes f32 inputs, and the rounded model; `held_out()` images and labels, and what makes i8 of them."""
    arguments = [a for a in program[1:] if a != "--check"]
    if len(arguments) != 1 or len(program) - len(arguments) > 2:
        sys.exit(document)
    images, to_i8, labels = held_out()
    if "--check" not in program:
        layers, to_f32, model = make()
        known = right(in_parts(lambda x: forward(layers, to_f32(x)), images), labels)
        print(f"f32: {known} of {len(labels)} right, {known / len(labels):.2%}")
        write(arguments[0], model)
    model = read(arguments[0])
    found = in_parts(lambda x: scores(model, to_i8(x)), images)
    for count in (FIRST, len(labels)):
        known = right(found[:count], labels[:count])
        print(f"int8: {known} of the first {count} right, {known / count:.2%}")
