"""Writes tests/ir/op_family_tables.h: operators by family, with what ONNX's reference evaluator or a few lines of NumPy say about them.

Run from the root: python3 tests/ir/op_family_tables.py > tests/ir/op_family_tables.h
"""
import numpy as np
from family_cases import K, case, cases, ints, real, whole, write

# ---- bits and remainders ----
SIGNED = np.array([5, -5, 5, -5, 7, -128, 0, 3], np.int8)
DIVISORS = np.array([3, 3, -3, -3, 7, -1, 5, 4], np.int8)
case("mod", "Mod", SIGNED, DIVISORS)
case("mod-fmod", "Mod", SIGNED, DIVISORS, fmod=1)
case("mod-u16", "Mod", np.array([60000, 5, 9], np.uint16), np.array([7, 9, 3], np.uint16))
case("mod-real", "Mod", np.array([5.5, -5.5, 5.5, -5.5, 0.0], np.float32), np.array([3, 3, -3, -3, 2], np.float32), fmod=1)
case("mod-broadcast", "Mod", whole(3, 4, low=-20, high=20), np.array([3, -4, 5, 7], np.int32))
case("bitshift-left", "BitShift", np.array([1, 2, 255, 1], np.uint8), np.array([1, 7, 4, 9], np.uint8), direction="LEFT", expected=[np.array([2, 0, 240, 0], np.uint8)])
case("bitshift-right", "BitShift", np.array([-8, -8, 64, -1], np.int32), np.array([1, 40, 3, 31], np.int32), direction="RIGHT",
     expected=[np.array([-4, -1, 8, -1], np.int32)])
case("bitcast", "BitCast", np.array([1.0, -2.0, 0.5], np.float32), to=6, expected=[np.array([1.0, -2.0, 0.5], np.float32).view(np.int32)])
INFINITE = np.array([1.0, np.inf, -np.inf, np.nan, 0.0], np.float32)
case("isinf", "IsInf", INFINITE)
case("isinf-positive", "IsInf", INFINITE, detect_negative=0)
case("isinf-negative", "IsInf", INFINITE, detect_positive=0)
case("castlike", "CastLike", np.array([1.7, -1.7, 300.0], np.float32), np.array([1], np.int32))
GATE, VALUE = real(3, 4), real(3, 4)
case("swiglu", "SwiGLU", GATE, VALUE, alpha=1.5, expected=[(GATE / (1 + np.exp(-1.5 * GATE)) * VALUE).astype(np.float32)])

# ---- generators ----
for k in (-1, 0, 2):
    case(f"trilu-{k}", "Trilu", real(2, 3, 4), np.array(k, np.int64))
    case(f"trilu-lower-{k}", "Trilu", whole(3, 3, dtype=np.int64), np.array(k, np.int64), upper=0)
case("eyelike", "EyeLike", whole(3, 5), k=1, dtype=1)
case("onehot", "OneHot", ints(0, 2, -1, 9), np.array(4, np.int64), np.array([2, 5], np.int32))
HOT = whole(2, 3, dtype=np.int64, low=0, high=3)
case("onehot-axis", "OneHot", HOT, np.array([3], np.float32), np.array([0, 1], np.float32), axis=0,
     expected=[np.stack([HOT == k for k in range(3)]).astype(np.float32)])
for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    case(op.lower(), op, np.array(8, np.int64))
    case(op.lower() + "-symmetric", op, np.array(9, np.int64), periodic=0)
case("mel", "MelWeightMatrix", np.array(6, np.int64), np.array(16, np.int64), np.array(8192, np.int64), np.array(20.0, np.float32), np.array(4096.0, np.float32))

# ---- moving elements ----
for mode in ("DCR", "CRD"):
    case("depth-to-space-" + mode.lower(), "DepthToSpace", real(2, 8, 2, 3), blocksize=2, mode=mode)
case("space-to-depth", "SpaceToDepth", real(2, 3, 4, 6), blocksize=2)
case("tile", "Tile", real(2, 3), ints(3, 2))
case("center-crop", "CenterCropPad", real(7, 6), ints(4, 9))
case("center-axes", "CenterCropPad", real(7, 6, 3), ints(2), axes=[1])
case("gather-elements", "GatherElements", real(2, 4), ints(0, -1, 2, 1, 1, 0).reshape(2, 3), axis=1)
case("gather-elements-0", "GatherElements", whole(3, 4, dtype=np.int8), ints(0, 2, -3, 1).reshape(1, 4), axis=0)
case("gather-nd", "GatherND", real(2, 3, 4), ints(0, 1, 1, 2, -1, 0).reshape(3, 2))
case("gather-nd-batch", "GatherND", real(2, 3, 4), ints(2, 0).reshape(2, 1), batch_dims=1)
case("reverse-sequence", "ReverseSequence", real(4, 3), ints(4, 1, 3), batch_axis=1, time_axis=0)
case("reverse-sequence-batch", "ReverseSequence", real(3, 5, 2), ints(2, 5, 0), batch_axis=0, time_axis=1)
case("slice-any", "Slice", real(5, 6), ints(4, 1), ints(-9, 5), ints(0, 1), ints(-2, 2))
case("slice-axes", "Slice", real(5, 6), ints(1), ints(100), ints(-1))
case("pad-axes", "Pad", real(2, 3), ints(1, 2), np.array(0.5, np.float32), ints(1))
case("squeeze-any", "Squeeze", real(1, 3, 1), ints(2))
case("unsqueeze-any", "Unsqueeze", real(2, 3), ints(-1, 0))
case("expand-ones", "Expand", real(2, 1, 3), ints(1, 4, 1))

# ---- updates ----
DATA = real(3, 4)
for reduction in ("none", "add", "mul", "max", "min"):
    where = ints(1, 0, 2, 2).reshape(1, 4) if reduction == "none" else ints(1, 0, 2, 2, 1, 1, 2, 0).reshape(2, 4)
    case("scatter-elements-" + reduction, "ScatterElements", DATA, where, real(*where.shape), axis=0, reduction=reduction)
case("scatter-elements-axis", "ScatterElements", whole(2, 5), ints(4, -5, 1, 2).reshape(2, 2), whole(2, 2), axis=1)
case("scatter-nd", "ScatterND", real(4, 3), ints(3, 0).reshape(2, 1), real(2, 3))
case("scatter-nd-add", "ScatterND", real(2, 3, 2), ints(0, 1, 0, 1, 1, -1).reshape(3, 2), real(3, 2), reduction="add")
case("tensor-scatter", "TensorScatter", real(2, 2, 5, 3), real(2, 2, 2, 3), ints(1, 3))
case("tensor-scatter-circular", "TensorScatter", real(2, 5, 3), real(2, 3, 3), ints(4, 0), axis=1, mode="circular")
case("max-unpool", "MaxUnpool", real(1, 1, 2, 2), ints(5, 7, 13, 15).reshape(1, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2])

# ---- running sums ----
for exclusive in (0, 1):
    for reverse in (0, 1):
        case(f"cumsum-{exclusive}{reverse}", "CumSum", real(3, 5), K(1, np.int64), exclusive=exclusive, reverse=reverse)
        case(f"cumprod-{exclusive}{reverse}", "CumProd", real(3, 5), K(-2, np.int64), exclusive=exclusive, reverse=reverse)
case("cumsum-any", "CumSum", real(2, 3, 4), np.array(-2, np.int32))
case("cumsum-i64", "CumSum", whole(7, dtype=np.int64), np.array(0, np.int64))

# A row's sums may share a kernel with what reads them; what runs in order may not.
ROWS = real(4, 20)
SOFT = np.exp(ROWS) / np.exp(ROWS).sum(1, keepdims=True)
cases.append(("cumsum-of-softmax", "(CumSum (Softmax x) y)", [(ROWS, False), (np.array(1, np.int64), True)], [np.cumsum(SOFT, 1).astype(np.float32)], 2e-5))
cases.append(("scatter-of-cumsum", "(ScatterElements (CumSum x y) z w :axis 1 :reduction \"add\")",
              [(ROWS, False), (np.array(0, np.int64), True), (ints(3, 3, 1, 0).reshape(4, 1), False), (np.ones((4, 1), np.float32), False)],
              [np.cumsum(ROWS, 0).astype(np.float32) + np.eye(20, dtype=np.float32)[[3, 3, 1, 0]]], None))

# ---- reductions along axes that a run gives ----
for keep in (0, 1):
    case(f"reduce-sum-{keep}", "ReduceSum", real(3, 2, 4), ints(1), keepdims=keep)
    case(f"reduce-max-{keep}", "ReduceMax", real(3, 2, 4), ints(-1, 0), keepdims=keep)
    case(f"reduce-mean-{keep}", "ReduceMean", real(3, 2, 4), ints(0, 2), keepdims=keep)
case("reduce-log-sum-exp-any", "ReduceLogSumExp", real(3, 5), ints(1))
case("reduce-l2-any", "ReduceL2", real(3, 5), ints(0))

# ---- norms and losses ----
X = real(2, 4, 3, 3)
case("rms", "RMSNormalization", X, real(3), axis=-1)
case("rms-axis", "RMSNormalization", X, real(4, 3, 3), axis=1, epsilon=1e-3)
case("instance", "InstanceNormalization", X, real(4), real(4))
case("group", "GroupNormalization", X, real(4), real(4), num_groups=2)
MEAN = X.mean((0, 2, 3), keepdims=True)
case("mean-variance", "MeanVarianceNormalization", X, expected=[((X - MEAN) / (np.sqrt(((X - MEAN) ** 2).mean((0, 2, 3), keepdims=True)) + 1e-9)).astype(np.float32)])
N = real(3, 4)
case("lp-norm-1", "LpNormalization", N, axis=0, p=1, expected=[(N / np.abs(N).sum(0)).astype(np.float32)])
case("lp-norm-2", "LpNormalization", N, axis=0, p=2)
ZERO = real(2, 3)
ZERO[1] = 0
case("lp-norm-zero", "LpNormalization", ZERO, expected=[np.array([ZERO[0] / np.sqrt((ZERO[0] ** 2).sum()), ZERO[1]], np.float32)])
for axis in (0, 1, -1):
    case(f"hardmax-{axis}", "Hardmax", whole(2, 3, 4, low=0, high=4).astype(np.float32), axis=axis)


def lrn(x, size, alpha=1e-4, beta=0.75, bias=1.0):
    total = np.zeros_like(x)
    for c in range(x.shape[1]):
        low, high = max(0, c - (size - 1) // 2), min(x.shape[1] - 1, c + size // 2)
        total[:, c] = (x[:, low:high + 1] ** 2).sum(1)
    return (x / (bias + alpha / size * total) ** beta).astype(np.float32)


for size in (3, 4):
    case(f"lrn-{size}", "LRN", X, size=size, alpha=0.5, expected=[lrn(X, size, alpha=0.5)])
LABELS = ints(1, 0, 3, 2, 2, 1).reshape(2, 3)
for reduction in ("none", "sum", "mean"):
    case("nll-" + reduction, "NegativeLogLikelihoodLoss", real(2, 4, 3), LABELS, real(4, low=0.5), reduction=reduction)
    case("nll-ignore-" + reduction, "NegativeLogLikelihoodLoss", real(2, 4, 3), LABELS, None, reduction=reduction, ignore_index=2)
    case("softmax-loss-" + reduction, "SoftmaxCrossEntropyLoss", real(2, 4, 3), LABELS, real(4, low=0.5), outputs=2, reduction=reduction, ignore_index=1)

# ---- windows ----
case("lp-pool", "LpPool", X, kernel_shape=[2, 2], pads=[1, 0, 0, 1], p=2)
case("lp-pool-3", "LpPool", X, kernel_shape=[2, 2], strides=[2, 1], p=3)
case("global-lp-pool", "GlobalLpPool", X, p=2, expected=[np.sqrt((X ** 2).sum((2, 3), keepdims=True)).astype(np.float32)])
case("col2im", "Col2Im", real(1, 8, 4), ints(3, 3), ints(2, 2))
case("col2im-strides", "Col2Im", real(2, 6, 9), ints(5, 7), ints(2, 3), strides=[2, 2], pads=[0, 1, 1, 0], dilations=[1, 1])

# ---- transposed convolutions: the reference knows groups of one channel only ----
for name, shape, attributes in [
    ("plain", (1, 2, 3, 3), {}), ("strides", (1, 2, 3, 4), dict(strides=[2, 3])), ("pads", (1, 2, 3, 3), dict(pads=[1, 0, 0, 1], strides=[2, 1])),
    ("dilations", (1, 2, 3, 3), dict(dilations=[2, 3], strides=[2, 1])), ("output-padding", (1, 2, 3, 3), dict(strides=[3, 2], output_padding=[1, 1])),
]:
    case("conv-transpose-" + name, "ConvTranspose", real(*shape), real(2, 3, 3, 2), real(3), **attributes)


def conv_transpose(x, w, group, stride):
    """By definition: every input element adds its kernel."""
    batch, channels, length = x.shape
    outputs, taps = w.shape[1], w.shape[2]
    y = np.zeros((batch, group * outputs, (length - 1) * stride + taps), np.float64)
    for n in range(batch):
        for c in range(channels):
            g = c // (channels // group)
            for i in range(length):
                for o in range(outputs):
                    y[n, g * outputs + o, i * stride:i * stride + taps] += x[n, c, i] * w[c, o]
    return y.astype(np.float32)


XT, WT = real(2, 4, 5), real(4, 3, 2)
case("conv-transpose-groups", "ConvTranspose", XT, WT, group=2, strides=[2], expected=[conv_transpose(XT, WT, 2, 2)])

# ---- Einsum: NumPy's own ----
for name, equation, *shapes in [
    ("matmul", "ij,jk->ik", (3, 4), (4, 2)), ("diagonal", "...ii->...i", (2, 3, 3)), ("trace", "ii", (4, 4)), ("sum", "ij->j", (3, 4)),
    ("batch", "...ij,...jk->...ik", (2, 1, 3, 4), (3, 4, 2)), ("outer", "i,j->ij", (3,), (2,)), ("chain", "ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("attention", "b q h d, b k h d -> b h q k", (2, 3, 2, 4), (2, 5, 2, 4)), ("implicit", "ba,cb", (2, 3), (4, 2)),
]:
    operands = [real(*s) for s in shapes]
    case("einsum-" + name, "Einsum", *operands, equation=equation, expected=[np.asarray(np.einsum(equation.replace(" ", ""), *operands), np.float32)])

# ---- sampling ----
for mode in ("linear", "nearest", "cubic"):
    for padding in ("zeros", "border", "reflection"):
        for corners in (0, 1):
            case(f"grid-{mode}-{padding}-{corners}", "GridSample", real(1, 2, 3, 4), real(1, 2, 3, 2, low=-1.6, high=1.6), mode=mode, padding_mode=padding,
                 align_corners=corners, tolerance=2e-5)
case("grid-volume", "GridSample", real(1, 1, 2, 3, 2), real(1, 2, 1, 2, 3, low=-1.2, high=1.2), tolerance=2e-5)
for corners in (0, 1):
    case(f"affine-grid-{corners}", "AffineGrid", real(2, 2, 3), ints(2, 1, 3, 4), align_corners=corners)
    case(f"affine-grid-3d-{corners}", "AffineGrid", real(1, 3, 4), ints(1, 1, 2, 3, 2), align_corners=corners)
case("resize-scales", "Resize", real(1, 1, 4, 4), None, np.array([1, 1, 0.6, 1.7], np.float32), mode="linear", tolerance=2e-5)
case("resize-nearest-scales", "Resize", real(1, 1, 2, 3), None, np.array([1, 1, 2, 3], np.float32), mode="nearest")
case("resize-roi", "Resize", real(1, 1, 4, 4), np.array([0, 0, 0.4, 0.6, 1, 1, 0.6, 0.8], np.float32), None, ints(1, 1, 3, 3), mode="linear",
     coordinate_transformation_mode="tf_crop_and_resize", tolerance=2e-5)

# ---- quantised ----
case("quantize", "QuantizeLinear", real(3, 4, high=400.0), np.array(1.5, np.float32), np.array(7, np.uint8))
case("quantize-axis", "QuantizeLinear", real(2, 3, 2, high=90.0), np.array([1.5, 0.7, 3], np.float32), np.array([7, -3, 0], np.int8), axis=1)
case("quantize-blocked", "QuantizeLinear", real(2, 6), real(2, 2, low=0.1), np.array([[1, 2], [3, 4]], np.uint8), axis=1, block_size=3)
case("quantize-u16", "QuantizeLinear", real(5, low=-9.0, high=9.0), np.array(0.001, np.float32), np.array(30000, np.uint16))
case("dequantize", "DequantizeLinear", whole(3, 4, dtype=np.uint8, low=0, high=255), np.array(0.5, np.float32), np.array(9, np.uint8))
case("dequantize-axis", "DequantizeLinear", whole(3, 4, dtype=np.int8, low=-128, high=127), real(3, low=0.1), np.array([1, -2, 3], np.int8), axis=0)
case("dequantize-blocked", "DequantizeLinear", whole(2, 6, dtype=np.int16), real(2, 3, low=0.1), None, axis=1, block_size=2)
case("dynamic-quantize", "DynamicQuantizeLinear", real(3, 4, low=-1.0, high=4.0), outputs=3)
case("matmul-integer", "MatMulInteger", whole(3, 4, dtype=np.uint8, low=0, high=255), whole(4, 2, dtype=np.int8), np.array(12, np.uint8), np.array(-3, np.int8))
A8, B8 = whole(2, 3, 4, dtype=np.int8), whole(2, 4, 3, dtype=np.int8)
SUM = np.matmul(A8.astype(np.int32) - 1, B8.astype(np.int32) + 2)
case("qlinear-matmul", "QLinearMatMul", A8, np.array(0.13, np.float32), np.array(1, np.int8), B8, np.array(0.27, np.float32), np.array(-2, np.int8),
     np.array(0.9, np.float32), np.array(5, np.int8),
     expected=[np.clip(np.rint(SUM * (np.float32(0.13) * np.float32(0.27) / np.float32(0.9))) + 5, -128, 127).astype(np.int8)])
case("conv-integer", "ConvInteger", whole(1, 2, 4, 4, dtype=np.uint8, low=0, high=255), whole(3, 2, 2, 2, dtype=np.uint8, low=0, high=9), np.array(100, np.uint8), pads=[1, 0, 0, 1])

# ---- attention ----
Q, KEY, V = real(2, 4, 3, 8), real(2, 2, 5, 8), real(2, 2, 5, 6)
case("attention-groups", "Attention", Q, KEY, V)
case("attention-causal", "Attention", Q, KEY, V, is_causal=1)
case("attention-mask", "Attention", Q, KEY, V, real(3, 5), softcap=2.0, scale=0.2)
case("attention-bool-mask", "Attention", Q, KEY, V, np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], np.bool_))
case("attention-past", "Attention", real(2, 2, 1, 4), real(2, 2, 1, 4), real(2, 2, 1, 4), None, real(2, 2, 3, 4), real(2, 2, 3, 4), outputs=3, is_causal=1)
case("attention-lengths", "Attention", Q, KEY, V, None, None, None, ints(3, 5), is_causal=1)
case("attention-flat", "Attention", real(2, 3, 8), real(2, 5, 8), real(2, 5, 8), q_num_heads=2, kv_num_heads=2)
for mode in (1, 2, 3):
    case(f"attention-scores-{mode}", "Attention", Q, real(2, 4, 5, 8), real(2, 4, 5, 6), real(3, 5), outputs=4, softcap=1.5, qk_matmul_output_mode=mode)
case("attention-window", "Attention", Q, KEY, V, left_window_size=1, right_window_size=1)
COS, SIN = real(10, 4), real(10, 4)
case("rotary", "RotaryEmbedding", real(2, 3, 5, 8), COS, SIN, whole(2, 5, dtype=np.int64, low=0, high=10))
case("rotary-interleaved", "RotaryEmbedding", real(2, 3, 5, 8), COS, SIN, whole(2, 5, dtype=np.int64, low=0, high=10), interleaved=1)
case("rotary-part", "RotaryEmbedding", real(2, 5, 24), real(2, 5, 2), real(2, 5, 2), num_heads=3, rotary_embedding_dim=4)

# ---- sizes that a run gives ----
case("range-real", "Range", np.array(0.5, np.float32), np.array(4.0, np.float32), np.array(0.75, np.float32))
case("range-down", "Range", np.array(7, np.int64), np.array(-2, np.int64), np.array(-3, np.int64))

# ---- slices that go down, of an axis that may be empty ----
case("slice-empty-down", "Slice", real(2, 0), ints(0, -1), ints(2147483648, 0), ints(0, -1), ints(1, -2))
case("slice-down-far", "Slice", real(5, 3), ints(99, -1), ints(-99, -99), ints(0, 1), ints(-2, -1))


# ---- the header ----

write(__file__)
