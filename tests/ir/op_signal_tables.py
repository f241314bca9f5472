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

# ---- Fourier transforms: NumPy's, in f64 ----
def pairs(z):
    return np.stack([z.real, z.imag], -1)


def dft(name, x, axis, length=None, inverse=0, onesided=0, tolerance=None, known=True):
    z = x[..., 0].astype(np.complex128) if x.shape[-1] == 1 else x[..., 0] + 1j * x[..., 1].astype(np.float64)
    along = axis if axis >= 0 else axis + 1  # the parts are an axis of x
    if inverse and onesided:
        y = np.fft.irfft(z, n=length, axis=along)[..., None]
    else:
        y = np.fft.ifft(z, n=length, axis=along) if inverse else np.fft.fft(z, n=length, axis=along)
        y = pairs(np.take(y, range(y.shape[along] // 2 + 1), along) if onesided else y)
    fixed = K if known else np.asarray
    case("dft-" + name, "DFT", x, None if length is None else fixed(np.int64(length)), fixed(np.int64(axis)), inverse=inverse, onesided=onesided,
         expected=[y.astype(x.dtype)], tolerance=tolerance or (1e-5 if x.dtype == np.float32 else None))


dft("real", real(2, 6, 1), 1)
dft("complex", real(2, 7, 2), 1)
dft("factors", real(1, 60, 2), 1)
dft("three-factors", real(140, 1), 0)
dft("prime", real(1, 37, 1), 1)
dft("two-primes", real(1, 22, 3, 2), 1, inverse=1)
dft("large-prime", real(1, 67, 2, dtype=np.float64), 1)
dft("chirp", real(139, 2, dtype=np.float64), 0)
dft("chirp-real", real(2, 137, 1, dtype=np.float64), 1, onesided=1)
dft("chirp-half", real(68, 2, dtype=np.float64), 0, inverse=1, onesided=1, length=134)
dft("first-axis", real(9, 2, 2), 0, inverse=1)
dft("padded", real(2, 5, 1), 1, length=12)
dft("cut", real(2, 15, 2), 1, length=6)
dft("half", real(2, 10, 1), 1, onesided=1)
dft("half-odd", real(2, 9, 3, 1), 1, onesided=1)
dft("whole-from-half", real(2, 6, 2), 1, inverse=1, onesided=1)
dft("whole-from-half-odd", real(1, 9, 2), 1, inverse=1, onesided=1, length=17)
dft("whole-from-half-cut", real(1, 9, 2), 1, inverse=1, onesided=1, length=8)
dft("f16", real(2, 8, 1, dtype=np.float16), 1, tolerance=4e-3)
dft("axis-as-input", real(3, 4, 6, 2), 1, known=False)
dft("axis-and-length-as-inputs", real(3, 4, 6, 2), -2, length=5, inverse=1, known=False)
dft("half-with-axis-as-input", real(3, 4, 1), 0, onesided=1, known=False)


def stft(name, x, step, window=None, length=None, onesided=1, known=True):
    size = length if length is not None else len(window) if window is not None else x.shape[1]
    z = x[..., 0] if x.shape[-1] == 1 else x[..., 0] + 1j * x[..., 1]
    frames = [z[:, t:t + size] * (1 if window is None else window) for t in range(0, x.shape[1] - size + 1, step)]
    y = np.fft.fft(np.stack(frames, 1).astype(np.complex128), axis=-1)
    y = y[..., :size // 2 + 1] if onesided else y
    fixed = K if known else np.asarray
    case("stft-" + name, "STFT", x, fixed(np.int64(step)), window, None if length is None else fixed(np.int64(length)), onesided=onesided,
         expected=[pairs(y).astype(x.dtype)], tolerance=1e-5)


stft("window", real(2, 40, 1), 5, np.hanning(16).astype(np.float32))
stft("length", real(1, 30, 1), 4, length=12)
stft("both", real(1, 31, 1), 7, real(10), 10, onesided=0)
stft("complex", real(2, 20, 2), 3, real(9), onesided=0)
stft("whole-signal", real(2, 18, 1), 3)
stft("as-inputs", real(1, 30, 1), 4, length=12, known=False)

# ---- regions of images ----
IMAGES = real(2, 3, 6, 7)
BOXES = np.array([[0.5, 1.0, 4.5, 5.0], [-3.0, -2.0, 2.0, 2.5], [2.0, 2.0, 2.2, 2.1], [5.0, 4.0, 40.0, 30.0]], np.float32)
PLACES = ints(0, 1, 1, 0)
for mode in ["avg", "max"]:
    for transform in ["half_pixel", "output_half_pixel"]:
        for ratio in [0, 2]:
            case(f"roi-align-{mode}-{transform}-{ratio}", "RoiAlign", IMAGES, BOXES, PLACES, mode=mode, coordinate_transformation_mode=transform,
                 sampling_ratio=ratio, output_height=2, output_width=3, spatial_scale=0.75)
case("roi-align-one-value", "RoiAlign", real(1, 1, 6, 7), BOXES, ints(0, 0, 0, 0))
case("roi-align-f64", "RoiAlign", real(1, 2, 6, 7, dtype=np.float64), BOXES.astype(np.float64), ints(0, 0, 0, 0), output_height=2)
# Reductions of ragged extents move into what reads them: as they did wrong once.
case("roi-align-alone", "RoiAlign", IMAGES, BOXES, PLACES, output_height=2, output_width=2)
ALONE = cases[-1]
cases.append(("tanh-of-roi-align", "(Tanh " + ALONE[1] + ")", ALONE[2], [np.tanh(ALONE[3][0])], None))
cases.append(("transpose-of-roi-align", "(Transpose " + ALONE[1] + " :perm [2 0 3 1])", ALONE[2], [ALONE[3][0].transpose(2, 0, 3, 1)], None))
# A region far larger than the image: 6 x 6 of its points count (as far as a pixel outside), all others are 0.
case("roi-align-huge", "RoiAlign", np.full((1, 1, 4, 4), 1e12, np.float32), np.array([[-1e6, -1e6, 1e6, 1e6]], np.float32), ints(0), sampling_ratio=0,
     expected=[np.full((1, 1, 1, 1), 9, np.float32)])


def max_roi_pool(x, rois, shape, scale):
    def halves_away(v):
        return int(np.copysign(np.floor(abs(v) + 0.5), v))

    y = np.zeros((len(rois), x.shape[1], *shape), x.dtype)
    for r, roi in enumerate(rois):
        left, top, right, bottom = [halves_away(v * scale) for v in roi[1:]]
        bins = max(bottom - top + 1, 1) / shape[0], max(right - left + 1, 1) / shape[1]
        for i in range(shape[0]):
            for j in range(shape[1]):
                rows = [np.clip(v + top, 0, x.shape[2]) for v in (int(np.floor(i * bins[0])), int(np.ceil((i + 1) * bins[0])))]
                columns = [np.clip(v + left, 0, x.shape[3]) for v in (int(np.floor(j * bins[1])), int(np.ceil((j + 1) * bins[1])))]
                part = x[int(roi[0]), :, rows[0]:rows[1], columns[0]:columns[1]]
                y[r, :, i, j] = part.max((1, 2)) if part.size else 0
    return y


POOLED = np.concatenate([PLACES[:, None].astype(np.float32), BOXES], 1)
case("max-roi-pool", "MaxRoiPool", IMAGES, POOLED, pooled_shape=[3, 2], spatial_scale=0.5, expected=[max_roi_pool(IMAGES, POOLED, (3, 2), 0.5)])
case("max-roi-pool-one-value", "MaxRoiPool", IMAGES[:, :1], POOLED, pooled_shape=[1, 1], expected=[max_roi_pool(IMAGES[:, :1], POOLED, (1, 1), 1)])


def deform(name, x, w, offset_group=1, group=1, mask=False, bias=False, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), reach=1.0):
    out = [(x[2 + d] + pads[d] + pads[2 + d] - (w[2 + d] - 1) * dilations[d] - 1) // strides[d] + 1 for d in range(2)]
    taps = w[2] * w[3] * offset_group
    case("deform-conv-" + name, "DeformConv", real(*x), real(*w), real(x[0], 2 * taps, *out, low=-reach, high=reach), real(w[0]) if bias else None,
         real(x[0], taps, *out) if mask else None, group=group, offset_group=offset_group, strides=list(strides), dilations=list(dilations), pads=list(pads),
         kernel_shape=[w[2], w[3]], tolerance=1e-5)


deform("plain", (1, 2, 5, 5), (3, 2, 2, 2))
deform("mask-and-bias", (2, 2, 6, 5), (2, 2, 3, 2), mask=True, bias=True, pads=(1, 0, 1, 1))
deform("groups", (1, 4, 5, 6), (6, 2, 2, 2), group=2, offset_group=2, mask=True, strides=(2, 1))
deform("far", (1, 1, 7, 7), (1, 1, 3, 3), dilations=(2, 1), reach=9.0)

# ---- Resize with a filter as wide as the run's scale asks for ----
for mode in ["linear", "cubic"]:
    case(f"resize-antialias-scales-{mode}", "Resize", real(1, 1, 7, 9), None, np.array([1, 1, 0.6, 0.4], np.float32), mode=mode, antialias=1, tolerance=2e-5)
    case(f"resize-antialias-sizes-{mode}", "Resize", real(1, 2, 8, 5), None, None, ints(1, 2, 3, 7), mode=mode, antialias=1, exclude_outside=1, tolerance=2e-5)
case("resize-bool", "Resize", np.array([[True, False, True]]), None, K([1, 2], np.float32), mode="nearest", coordinate_transformation_mode="asymmetric",
     nearest_mode="floor", expected=[np.array([[True, True, False, False, True, True]])])
case("col2im-bool", "Col2Im", np.array([[[True, False], [False, False]]]), K([1, 3], np.int64), K([1, 2], np.int64),
     expected=[np.array([[[[True, False, False]]]])])


# ---- FlexAttention: its definition ----
def flex(name, q, k, v, **attributes):
    scale = attributes.get("scale", 1 / np.sqrt(q.shape[-1]))
    share = q.shape[1] // k.shape[1]
    scores = np.einsum("bhle,bhse->bhls", q.astype(np.float64), np.repeat(k, share, 1)) * scale
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = np.einsum("bhls,bhse->bhle", weights / weights.sum(-1, keepdims=True), np.repeat(v, share, 1))
    case("flex-" + name, "ai_onnx_preview_FlexAttention", q, k, v, expected=[y.astype(q.dtype)], tolerance=1e-5, **attributes)


flex("plain", real(2, 3, 4, 8), real(2, 3, 5, 8), real(2, 3, 5, 6))
flex("shared", real(1, 4, 3, 4), real(1, 2, 6, 4), real(1, 2, 6, 4), scale=0.5)
flex("f64", real(1, 2, 3, 4, dtype=np.float64), real(1, 2, 3, 4, dtype=np.float64), real(1, 2, 3, 4, dtype=np.float64))

write(__file__)
