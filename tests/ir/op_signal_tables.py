"""Writes tests/ir/op_signal_tables.h: signals, regions of images, random numbers, training.

Run from the root: python3 tests/ir/op_signal_tables.py > tests/ir/op_signal_tables.h
"""
import numpy as np
from family_cases import K, case, cases, ints, real, whole, write

# ---- random numbers: Philox4x32-10 written down once more, with the test vector that its authors publish ----
def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        low, high = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(high >> 32) ^ c[1] ^ k[0], high & 0xFFFFFFFF, (low >> 32) ^ c[3] ^ k[1], low & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


assert philox([0, 0, 0, 0], [0, 0]) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def uniform(shape, key, dtype=np.float32):
    words = [philox([i, 0, 0, 0], key) for i in range(int(np.prod(shape)))]
    if dtype == np.float64:
        return np.array([(w[0] << 32 | w[1]) >> 11 for w in words], np.float64).reshape(shape) * 2.0**-53
    bits = 11 if dtype == np.float16 else 24
    return np.array([w[0] >> (32 - bits) for w in words], np.float32).reshape(shape) * np.float32(2.0**-bits)


def normal(shape, key):
    words = [philox([i, 0, 0, 0], key) for i in range(int(np.prod(shape)))]
    u = np.array([(w[0] >> 1) + 0.5 for w in words]) * 2.0**-31
    v = np.array([w[1] >> 8 for w in words]) * 2.0**-24
    return (np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)).reshape(shape)


def seed(value):
    return [int(np.float32(value).view(np.uint32)), 0]


case("random-uniform", "RandomUniform", shape=[3, 5], low=-1.0, high=3.0, seed=7.5,
     expected=[(-1 + 4 * uniform((3, 5), seed(7.5))).astype(np.float32)])
case("random-uniform-f64", "RandomUniform", shape=[4], dtype=11, seed=1.0, expected=[uniform((4,), seed(1), np.float64)])
case("random-uniform-f16", "RandomUniform", shape=[4], dtype=10, seed=1.0, expected=[uniform((4,), seed(1), np.float16).astype(np.float16)])
case("random-uniform-without-seed", "RandomUniform", shape=[4], expected=[uniform((4,), [0, 0])])
case("random-uniform-like", "RandomUniformLike", whole(2, 3, dtype=np.int32), dtype=1, seed=2.0, expected=[uniform((2, 3), seed(2))])
case("random-normal", "RandomNormal", shape=[2, 9], mean=1.0, scale=2.0, seed=3.0, expected=[(1 + 2 * normal((2, 9), seed(3))).astype(np.float32)])
case("random-normal-like", "RandomNormalLike", real(3, 4), seed=0.0, expected=[normal((3, 4), [0, 0]).astype(np.float32)])
CHANCE = real(4, 9, low=0, high=1)
case("bernoulli", "Bernoulli", CHANCE, seed=5.0, dtype=7, expected=[(uniform((4, 9), seed(5)) < CHANCE).astype(np.int64)])

# ---- training ----
X = real(3, 20)
KEPT = uniform((3, 20), [9, 3]) >= np.float32(0.3)
case("dropout-training", "Dropout", X, np.float32(0.3), K(True), outputs=2, seed=(3 << 32) + 9,
     expected=[np.where(KEPT, X / np.float32(0.7), 0).astype(np.float32), KEPT])
case("dropout-training-as-input", "Dropout", X, np.float32(0.3), np.bool_(True), outputs=2, seed=(3 << 32) + 9,
     expected=[np.where(KEPT, X / np.float32(0.7), 0).astype(np.float32), KEPT])
case("dropout-not-training", "Dropout", X, np.float32(0.3), np.bool_(False), outputs=2, seed=1, expected=[X, np.ones((3, 20), bool)])
for shape in [(4, 3), (2, 3, 4, 5)]:
    case(f"batch-norm-training-{len(shape)}d", "BatchNormalization", real(*shape), real(3), real(3), real(3), real(3, low=0.1), outputs=3, training_mode=1,
         momentum=0.75)

write(__file__)
