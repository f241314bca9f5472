#!/usr/bin/env python3
"""Trains the digits model and writes everything in this folder that is not source text: digits.onnx and the samples.

    pip install numpy onnx scikit-learn && python3 train.py

A convolutional network of 6,090 weights, trained with plain NumPy on the 8x8 handwritten digits that scikit-learn carries
(E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, CC BY 4.0). The last 450 of
its 1,797 images are kept for the test, and the samples are taken from those. Takes ten seconds."""
import pathlib
import struct
import zlib

import numpy as np
import onnx
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).resolve().parent
TEST_IMAGES = 450
EPOCHS = 60
BATCH = 64
# Held-out images that are written beside the model, one for each file name.
SAMPLES = {"three": 3, "five": 5, "seven": 7}


def columns(x):
    """Every 3x3 window of a zero-padded NCHW tensor: (N, C * 9, H * W)."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = [padded[:, :, i:i + h, j:j + w] for i in range(3) for j in range(3)]
    return np.stack(windows, axis=2).reshape(n, c * 9, h * w)


def columns_back(grad, shape):
    """What columns() read, added up where it was read from."""
    n, c, h, w = shape
    padded = np.zeros((n, c, h + 2, w + 2), grad.dtype)
    grad = grad.reshape(n, c, 9, h, w)
    for i in range(3):
        for j in range(3):
            padded[:, :, i:i + h, j:j + w] += grad[:, :, i * 3 + j]
    return padded[:, :, 1:-1, 1:-1]


class Conv:
    def __init__(self, rng, inputs, outputs):
        self.weights = [rng.normal(0, np.sqrt(2 / (inputs * 9)), (outputs, inputs, 3, 3)), np.zeros(outputs)]

    def forward(self, x):
        self.shape, self.columns = x.shape, columns(x)
        weight, bias = self.weights
        self.y = weight.reshape(len(weight), -1) @ self.columns + bias[:, None]
        return np.maximum(self.y, 0).reshape(len(x), len(weight), *x.shape[2:])

    def backward(self, grad):
        weight = self.weights[0]
        grad = grad.reshape(self.y.shape) * (self.y > 0)
        self.grads = [np.einsum("nop,nkp->ok", grad, self.columns).reshape(weight.shape), grad.sum((0, 2))]
        return columns_back(weight.reshape(len(weight), -1).T @ grad, self.shape)


class MaxPool:
    weights = []

    def forward(self, x):
        n, c, h, w = x.shape
        self.shape = x.shape
        cells = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        self.chosen = cells.argmax(-1)
        return cells.max(-1)

    def backward(self, grad):
        n, c, h, w = self.shape
        cells = np.zeros((n, c, h // 2, w // 2, 4))
        np.put_along_axis(cells, self.chosen[..., None], grad[..., None], -1)
        return cells.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(self.shape)


class Dense:
    def __init__(self, rng, inputs, outputs):
        self.weights = [rng.normal(0, np.sqrt(1 / inputs), (inputs, outputs)), np.zeros(outputs)]

    def forward(self, x):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        return self.x @ self.weights[0] + self.weights[1]

    def backward(self, grad):
        self.grads = [self.x.T @ grad, grad.sum(0)]
        return (grad @ self.weights[0].T).reshape(self.shape)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def forward(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x


def train(images, labels):
    rng = np.random.default_rng(1)
    layers = [Conv(rng, 1, 16), MaxPool(), Conv(rng, 16, 32), MaxPool(), Dense(rng, 128, 10)]
    learning = [layer for layer in layers if layer.weights]
    mean = [[np.zeros_like(w) for w in layer.weights] for layer in learning]
    square = [[np.zeros_like(w) for w in layer.weights] for layer in learning]
    step = 0
    for epoch in range(EPOCHS):
        rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = rng.permutation(len(images))
        for first in range(0, len(order), BATCH):
            chosen = order[first:first + BATCH]
            # Digits are not always in the middle: shifted by at most one pixel.
            batch = np.roll(images[chosen], tuple(rng.integers(-1, 2, 2)), (2, 3))
            grad = softmax(forward(layers, batch))
            grad[np.arange(len(chosen)), labels[chosen]] -= 1
            grad /= len(chosen)
            for layer in reversed(layers):
                grad = layer.backward(grad)
            step += 1
            for layer, first_moment, second_moment in zip(learning, mean, square):  # Adam
                for weight, g, m, v in zip(layer.weights, layer.grads, first_moment, second_moment):
                    g = g + 1e-4 * weight
                    m += 0.1 * (g - m)
                    v += 0.001 * (g * g - v)
                    weight -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return layers


def export(layers, path):
    conv1, _, conv2, _, dense = layers
    constants = {"conv1.weight": conv1.weights[0], "conv1.bias": conv1.weights[1], "conv2.weight": conv2.weights[0],
                 "conv2.bias": conv2.weights[1], "dense.weight": dense.weights[0], "dense.bias": dense.weights[1],
                 "scale": np.array(1 / 255)}
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    half = {"kernel_shape": [2, 2], "strides": [2, 2]}
    steps = [("Mul", ["image", "scale"], {}), ("Conv", ["conv1.weight", "conv1.bias"], same), ("Relu", [], {}),
             ("MaxPool", [], half), ("Conv", ["conv2.weight", "conv2.bias"], same), ("Relu", [], {}), ("MaxPool", [], half),
             ("Flatten", [], {}), ("Gemm", ["dense.weight", "dense.bias"], {}), ("Softmax", [], {"axis": 1})]
    nodes, value = [], None
    for i, (op, inputs, attributes) in enumerate(steps):
        result = "scores" if i == len(steps) - 1 else f"{op.lower()}{i}"
        nodes.append(helper.make_node(op, ([value] if value else []) + inputs, [result], name=f"{op}_{i}", **attributes))
        value = result
    graph = helper.make_graph(
        nodes, "digits", [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()])
    model = helper.make_model(graph, producer_name="examples/digits/train.py", opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def write_png(path, pixels):
    """8-bit grey."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16)[:, None]  # 0 to 255, as in an image file
    images, labels = pixels / 255, digits.target
    layers = train(images[:-TEST_IMAGES], labels[:-TEST_IMAGES])
    answers = forward(layers, images[-TEST_IMAGES:]).argmax(1)
    right = int((answers == labels[-TEST_IMAGES:]).sum())
    print(f"{right} of {TEST_IMAGES} held-out digits are right ({100 * right / TEST_IMAGES:.1f} %)")
    export(layers, HERE / "digits.onnx")
    for name, digit in SAMPLES.items():
        sample = pixels[-TEST_IMAGES:][np.flatnonzero(labels[-TEST_IMAGES:] == digit)[0]]
        np.save(HERE / f"{name}.npy", sample[None].astype(np.float32))
        write_png(HERE / f"{name}.png", sample[0].astype(np.uint8))
    # For the test of lathe_add_model: what this program itself says of the three.
    data = HERE / "test_data"
    data.mkdir(exist_ok=True)
    three = np.load(HERE / "three.npy")
    np.save(data / "input_0.npy", three)
    np.save(data / "output_0.npy", softmax(forward(layers, three / 255.0)).astype(np.float32))


if __name__ == "__main__":
    main()
