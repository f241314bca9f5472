"""Writes tests/ir/op_tables.h: what ONNX's reference evaluator says about operators, as inputs and expected outputs.

Run from the root: python3 tests/ir/op_tables.py > tests/ir/op_tables.h
Each case is one node as text of the IR, x, y, z, w being its inputs in order. Inputs marked K are constants at compile time.
"""
import json

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(7)
NAMES = {np.dtype(np.float32): ("f32", "float"), np.dtype(np.float64): ("f64", "double"), np.dtype(np.float16): ("f16", "uint16_t"),
         np.dtype(np.int64): ("i64", "int64_t"), np.dtype(np.int32): ("i32", "int32_t"), np.dtype(np.int8): ("i8", "int8_t"),
         np.dtype(np.uint8): ("u8", "uint8_t"), np.dtype(np.uint32): ("u32", "uint32_t"), np.dtype(np.bool_): ("bool", "uint8_t")}
LETTERS = "xyzwv"
cases = []


class K:
    def __init__(self, value, dtype=None):
        self.value = np.asarray(value, dtype=dtype)


def real(*shape, dtype=np.float32, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype(dtype)


def whole(*shape, dtype=np.int32, low=-9, high=9):
    return rng.integers(low, high, shape).astype(dtype)


def attribute_text(value):
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(repr(v) for v in value) + "]"
    return repr(value)


def case(name, op, *inputs, outputs=1, expected=None, tolerance=None, **attributes):
    arrays = [None if i is None else i.value if isinstance(i, K) else i for i in inputs]
    names = ["" if a is None else LETTERS[i] for i, a in enumerate(arrays)]
    results = [f"r{i}" for i in range(outputs)]
    if expected is None:
        node = helper.make_node(op, names, results, **attributes)
        values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in zip(names, arrays) if a is not None]
        graph = helper.make_graph([node], "g", values, [onnx.ValueInfoProto(name=r) for r in results])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx.defs.onnx_opset_version())])
        with np.errstate(all="ignore"):
            expected = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, arrays) if a is not None})
    text = "(" + " ".join([op] + [n or "_" for n in names] + [f":{k} {attribute_text(v)}" for k, v in attributes.items()]) + ")"
    cases.append((name, text, [(a, isinstance(i, K)) for a, i in zip(arrays, inputs)], [np.asarray(e) for e in expected], tolerance))


# ---- elementwise ----
SPECIAL = np.array([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -2.5, 3.7, -7.25, 20.0, -20.0, np.inf, -np.inf, np.nan], np.float32)
UNIT = np.array([0.0, 0.3, -0.3, 0.9, -0.9], np.float32)
PLAIN = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -2.5, 3.7, -7.25, 10.0], np.float32)
for op in ["Abs", "Ceil", "Floor", "Exp", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Tanh", "IsNaN", "Erf", "Reciprocal"]:
    case(op.lower(), op, SPECIAL)
for op in ["Cos", "Sin", "Tan", "Atan", "Asinh", "Cosh", "Sinh", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu", "Shrink",
           "Softplus", "Softsign", "Swish", "ThresholdedRelu"]:
    case(op.lower(), op, PLAIN)
for op in ["Acos", "Asin", "Atanh"]:
    case(op.lower(), op, UNIT)
for op in ["Log", "Sqrt", "Acosh"]:
    case(op.lower(), op, np.array([1.0, 1.5, 2.0, 9.0, 1e6], np.float32))
case("gelu-tanh", "Gelu", PLAIN, approximate="tanh")
case("celu-alpha", "Celu", PLAIN, alpha=2.0)
case("elu-alpha", "Elu", PLAIN, alpha=0.5)
case("swish-alpha", "Swish", PLAIN, alpha=0.75)
case("shrink-bias", "Shrink", PLAIN, lambd=1.25, bias=0.75)
case("not", "Not", np.array([True, False]))
case("bitwise-not-u8", "BitwiseNot", np.array([0, 1, 200, 255], np.uint8))
case("abs-i32", "Abs", whole(7))
case("neg-i8", "Neg", np.array([1, -5, 127], np.int8))
case("relu-i32", "Relu", whole(7))
case("sign-i64", "Sign", whole(7, dtype=np.int64))
case("sign-u8", "Sign", np.array([0, 1, 200], np.uint8))
case("softplus-f64", "Softplus", PLAIN.astype(np.float64))
case("tanh-f16", "Tanh", PLAIN.astype(np.float16))
case("add-broadcast", "Add", real(2, 1, 3), real(4, 1))
case("sub-scalar", "Sub", real(2, 3), real())
case("mul-i8-wraps", "Mul", np.array([100, -7, 3], np.int8), np.array([2, 3, -5], np.int8))
case("div", "Div", real(5), real(5, low=1, high=2))
case("div-i32", "Div", np.array([7, -7, 8, -8], np.int32), np.array([2, 2, -3, -3], np.int32), expected=[np.array([3, -3, -2, 2], np.int32)])
case("where", "Where", np.array([[True], [False]]), real(3), real(2, 3))
case("prelu", "PRelu", real(2, 3, 2), real(3, 1))
case("xor", "Xor", np.array([True, False, True]), np.array([True, True, False]))
case("bitwise-and-u8", "BitwiseAnd", np.array([12, 255], np.uint8), np.array([10, 7], np.uint8))
case("less-or-equal", "LessOrEqual", SPECIAL, SPECIAL[::-1].copy())
case("equal-bool", "Equal", np.array([True, False]), np.array([[True], [False]]))
case("max-3", "Max", real(2, 3), real(3), real(2, 1))
case("max-nan", "Max", SPECIAL, np.zeros(1, np.float32), expected=[np.where(np.isnan(SPECIAL), np.nan, np.maximum(SPECIAL, 0)).astype(np.float32)])
case("min-u8", "Min", np.array([1, 200, 30], np.uint8), np.array([100, 100, 7], np.uint8))
case("sum-3", "Sum", real(2, 3), real(3), real(2, 1))
case("mean-3", "Mean", real(2, 3), real(3), real(2, 1))
case("mean-f16", "Mean", real(4, dtype=np.float16), real(4, dtype=np.float16))
case("clip", "Clip", PLAIN, np.float32(-1), np.float32(2))
case("clip-crossed", "Clip", PLAIN, np.float32(3), np.float32(-1), expected=[np.full(PLAIN.shape, -1, np.float32)])
case("clip-low", "Clip", whole(8), np.int32(-2))
case("clip-high", "Clip", PLAIN, None, K(np.float32(1.5)))
case("pow", "Pow", real(6, low=0.1, high=3), real(6))
case("pow-2", "Pow", SPECIAL, K(2.0, np.float32))
case("pow-3-i64", "Pow", PLAIN, K([3], np.int64))
case("pow-minus-1", "Pow", np.array([0.5, -2, 4, np.inf], np.float32), K(-1.0, np.float32))
case("pow-0", "Pow", SPECIAL, K(0.0, np.float32), expected=[np.ones(15, np.float32)])
case("pow-half", "Pow", np.array([0.25, 2, 9], np.float32), K(0.5, np.float32))
case("pow-i32-i32", "Pow", np.array([2, -3, 7, 0, 1, 10], np.int32), np.array([10, 5, 0, 3, 9, 9], np.int32))
case("pow-i32-wraps", "Pow", np.array([3, -3, 2], np.int32), np.array([41, 41, 40], np.int32))
case("pow-i32-negative", "Pow", np.array([1, -1, -1, 5], np.int32), np.array([-3, -3, -4, -1], np.int32), expected=[np.array([1, -1, 1, 0], np.int32)])
case("pow-i64-known", "Pow", np.array([2, -3, 10], np.int64), K([5], np.int64))
case("pow-i32-f32", "Pow", np.array([2, 3, 9], np.int32), np.array([3, 2, 0.5], np.float32), expected=[np.array([8, 9, 3], np.int32)])
FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE = 1, 2, 3, 6, 7, 9, 10, 11
case("cast-f32-i32", "Cast", PLAIN, to=INT32)
case("cast-f32-bool", "Cast", PLAIN, to=BOOL)
case("cast-bool-f32", "Cast", np.array([True, False]), to=FLOAT)
case("cast-f32-f16", "Cast", real(9, low=-1000, high=1000), to=FLOAT16)
case("cast-f64-f16-once", "Cast", np.array([1 + 2.0**-11 + 2.0**-40, 2.0**-25 * 1.0000001], np.float64), to=FLOAT16)
case("cast-i32-i8", "Cast", np.array([200, -129, 5], np.int32), to=INT8)
case("cast-i64-f64", "Cast", np.array([2**53 + 1, -5], np.int64), to=DOUBLE)

# ---- Conv ----
def conv(name, x, w, bias=False, **attributes):
    extra = [real(w[0])] if bias else []
    case("conv-" + name, "Conv", real(*x), real(*w), *extra, **attributes)

conv("1d", (2, 3, 9), (4, 3, 3), bias=True, pads=[1, 1])
conv("2d", (1, 3, 6, 5), (4, 3, 3, 3))
conv("2d-pads", (2, 2, 5, 5), (3, 2, 3, 3), bias=True, pads=[1, 0, 2, 1], strides=[2, 1])
conv("2d-1x1", (1, 4, 3, 3), (2, 4, 1, 1), bias=True)
conv("2d-same-upper", (1, 2, 5, 6), (2, 2, 2, 3), auto_pad="SAME_UPPER", strides=[2, 2])
conv("2d-same-lower", (1, 2, 5, 6), (2, 2, 2, 4), auto_pad="SAME_LOWER")
conv("2d-valid", (1, 2, 5, 6), (2, 2, 2, 3), auto_pad="VALID", kernel_shape=[2, 3])
conv("2d-dilations", (1, 2, 7, 7), (2, 2, 3, 2), dilations=[2, 3], pads=[2, 1, 2, 1])
conv("2d-groups", (2, 4, 4, 4), (6, 2, 3, 3), bias=True, group=2, pads=[1, 1, 1, 1])
conv("2d-depthwise", (1, 4, 5, 5), (4, 1, 3, 3), bias=True, group=4, pads=[1, 1, 1, 1], strides=[2, 2])
conv("2d-depthwise-multiplier", (1, 3, 4, 4), (6, 1, 2, 2), group=3)
conv("3d", (1, 2, 4, 3, 5), (2, 2, 2, 2, 3), bias=True, pads=[1, 0, 1, 0, 1, 1])
case("conv-f64", "Conv", real(1, 2, 4, 4, dtype=np.float64), real(2, 2, 3, 3, dtype=np.float64))
case("conv-f16", "Conv", real(1, 2, 4, 4, dtype=np.float16), real(2, 2, 3, 3, dtype=np.float16))

# ---- pools ----
case("max-pool-1d", "MaxPool", real(1, 2, 7), kernel_shape=[3], strides=[2])
case("max-pool-2d-pads", "MaxPool", real(1, 2, 5, 6), kernel_shape=[3, 2], pads=[1, 1, 1, 0])
case("max-pool-ceil", "MaxPool", real(1, 1, 4, 4), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
case("max-pool-ceil-starts-in-padding", "MaxPool", real(1, 1, 2, 2), kernel_shape=[1, 1], strides=[2, 2], ceil_mode=1, pads=[0, 0, 0, 0])
case("max-pool-dilations", "MaxPool", real(1, 1, 5, 5), kernel_shape=[2, 2], dilations=[2, 2])
case("max-pool-same-lower", "MaxPool", real(1, 1, 5, 5), kernel_shape=[2, 2], auto_pad="SAME_LOWER")
case("max-pool-u8", "MaxPool", whole(1, 1, 4, 4, dtype=np.uint8, low=0, high=255), kernel_shape=[3, 3], pads=[1, 1, 1, 1],)
case("max-pool-indices", "MaxPool", real(2, 2, 5, 5), outputs=2, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 1, 1, 0])
case("average-pool-2d", "AveragePool", real(1, 2, 5, 6), kernel_shape=[3, 2], strides=[2, 1])
case("average-pool-pads", "AveragePool", real(1, 1, 5, 5), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
case("average-pool-count-pads", "AveragePool", real(1, 1, 5, 5), kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
case("average-pool-ceil", "AveragePool", real(1, 1, 4, 4), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
case("average-pool-ceil-count-pads", "AveragePool", real(1, 1, 6, 6), kernel_shape=[3, 3], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)
case("average-pool-dilations", "AveragePool", real(1, 1, 6, 6), kernel_shape=[2, 3], dilations=[2, 1], pads=[1, 1, 1, 1])
case("average-pool-same-upper", "AveragePool", real(1, 1, 5, 5), kernel_shape=[2, 2], auto_pad="SAME_UPPER")
case("average-pool-3d", "AveragePool", real(1, 1, 3, 4, 3), kernel_shape=[2, 2, 2])
case("global-average-pool", "GlobalAveragePool", real(2, 3, 4, 5))
case("global-max-pool", "GlobalMaxPool", real(2, 3, 4, 5))

# ---- contractions ----
for name, a, b in [("2d", (3, 5), (5, 4)), ("batch", (2, 3, 4), (2, 4, 2)), ("broadcast", (2, 1, 3, 4), (3, 4, 2)), ("row", (4,), (2, 4, 3)),
                   ("column", (2, 3, 4), (4,)), ("vectors", (5,), (5,)), ("long", (2, 300), (300, 2))]:
    case("matmul-" + name, "MatMul", real(*a), real(*b))
case("matmul-i32", "MatMul", whole(2, 3), whole(3, 2))
case("matmul-f16", "MatMul", real(2, 40, dtype=np.float16), real(40, 2, dtype=np.float16))
case("gemm", "Gemm", real(3, 4), real(4, 2), real(2))
case("gemm-all", "Gemm", real(4, 3), real(2, 4), real(3, 1), alpha=0.5, beta=0.25, transA=1, transB=1)
case("gemm-no-c", "Gemm", real(2, 4), real(4, 3), alpha=2.0)
case("gemm-beta-0", "Gemm", real(2, 2), real(2, 2), np.full((2, 2), np.nan, np.float32), beta=0.0)
case("gemm-scalar-c", "Gemm", real(2, 2), real(2, 2), real())

# ---- reductions ----
for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"]:
    low = 0.5 if op == "ReduceLogSum" else -2
    name = "reduce-" + op[6:].lower()
    case(name + "-all", op, real(2, 3, 5, low=low))
    case(name + "-last", op, real(3, 37, low=low), K([-1], np.int64), keepdims=0)
    case(name + "-first", op, real(5, 4, low=low), K([0], np.int64))
    case(name + "-outer-inner", op, real(2, 3, 20, low=low), K([0, 2], np.int64), keepdims=0)
case("reduce-sum-noop", "ReduceSum", real(2, 3), noop_with_empty_axes=1)
case("reduce-sumsquare-noop", "ReduceSumSquare", real(2, 3), K([], np.int64), noop_with_empty_axes=1, expected=None)
case("reduce-sum-i32", "ReduceSum", whole(3, 4), K([1], np.int64))
case("reduce-mean-i32", "ReduceMean", np.array([[1, 2], [-1, -2], [2**31 - 1, 2**31 - 1]], np.int32), K([1], np.int64),
     expected=[np.array([[1], [-1], [2**31 - 1]], np.int32)])
case("reduce-l2-i32", "ReduceL2", np.array([[3, 4], [5, 12]], np.int32), K([1], np.int64))
case("reduce-max-bool", "ReduceMax", np.array([[True, False], [False, False]]), K([1], np.int64))
case("reduce-min-bool", "ReduceMin", np.array([[True, False], [True, True]]), K([1], np.int64), keepdims=0)
case("reduce-max-u8", "ReduceMax", whole(3, 4, dtype=np.uint8, low=0, high=255), K([0], np.int64))
case("reduce-sum-empty", "ReduceSum", np.zeros((2, 0, 3), np.float32), K([1], np.int64))
case("reduce-max-empty", "ReduceMax", np.zeros((2, 0), np.float32), K([1], np.int64), expected=[np.full((2, 1), -np.inf, np.float32)])
case("reduce-sum-f16", "ReduceSum", real(300, dtype=np.float16), tolerance=1e-2)
case("reduce-logsumexp-large", "ReduceLogSumExp", np.array([[1000, 1000], [-np.inf, -np.inf], [np.inf, 1]], np.float32), K([1], np.int64),
     expected=[np.array([[1000 + np.log(2)], [-np.inf], [np.inf]], np.float32)])
case("arg-max", "ArgMax", real(3, 7), axis=1)
case("arg-max-ties", "ArgMax", np.array([[2, 1, 2], [0, 0, 0]], np.float32), axis=1, keepdims=0)
case("arg-max-ties-last", "ArgMax", np.array([[2, 1, 2], [0, 0, 0]], np.float32), axis=-1, select_last_index=1)
case("arg-min", "ArgMin", whole(4, 3), axis=0)
case("arg-min-last", "ArgMin", np.array([3, 1, 1, 2], np.int64), keepdims=0, select_last_index=1)

# ---- normalisations ----
case("softmax", "Softmax", real(2, 3, 21))
case("softmax-axis", "Softmax", real(2, 5, 3), axis=1)
case("softmax-large", "Softmax", np.array([[1000, 1001, 1002]], np.float32))
case("softmax-f16", "Softmax", real(2, 9, dtype=np.float16))
case("log-softmax", "LogSoftmax", real(4, 19), axis=-1)
case("log-softmax-0", "LogSoftmax", real(4, 3), axis=0)
case("batch-norm", "BatchNormalization", real(2, 3, 4, 2), real(3), real(3), real(3), real(3, low=0.5), epsilon=1e-3)
case("batch-norm-2d", "BatchNormalization", real(2, 3), real(3), real(3), real(3), real(3, low=0.5))
case("layer-norm", "LayerNormalization", real(2, 3, 20), real(20), real(20))
case("layer-norm-axis", "LayerNormalization", real(2, 3, 5), real(3, 5), real(3, 5), axis=1, epsilon=1e-2)
case("layer-norm-outputs", "LayerNormalization", real(2, 3, 8), real(8), None, outputs=3)
case("layer-norm-f16", "LayerNormalization", real(2, 16, dtype=np.float16), real(16, dtype=np.float16), real(16, dtype=np.float16))

# ---- Resize ----
def resize(name, x, scales=None, sizes=None, roi=None, **attributes):
    if not isinstance(x, np.ndarray):
        x = real(*x)
    inputs = [x, K(roi, np.float32) if roi is not None else None, K(scales, np.float32) if scales is not None else None]
    if sizes is not None:
        inputs.append(K(sizes, np.int64))
    case("resize-" + name, "Resize", *inputs, **attributes)

SQUARE = (1, 1, 4, 4)
resize("nearest-2", (1, 2, 3, 2), scales=[1, 1, 2, 2])
resize("nearest-asymmetric-floor", (1, 1, 3, 3), scales=[1, 1, 2, 3], coordinate_transformation_mode="asymmetric", nearest_mode="floor")
resize("nearest-asymmetric-ceil", SQUARE, sizes=[1, 1, 7, 9], coordinate_transformation_mode="asymmetric", nearest_mode="ceil")
resize("nearest-down", (1, 1, 2, 4), scales=[1, 1, 0.6, 0.6])
resize("nearest-prefer-ceil", SQUARE, sizes=[1, 1, 8, 8], coordinate_transformation_mode="asymmetric", nearest_mode="round_prefer_ceil")
resize("nearest-align-corners", SQUARE, sizes=[1, 1, 8, 8], coordinate_transformation_mode="align_corners", nearest_mode="floor")
resize("nearest-u8", whole(1, 1, 3, 3, dtype=np.uint8, low=0, high=255), scales=[1, 1, 1.5, 2])
resize("nearest-axes", (1, 2, 3, 4), scales=[2, 1.5], axes=[3, 2])
resize("nearest-not-larger", (1, 1, 2, 4), sizes=[7, 8], axes=[2, 3], keep_aspect_ratio_policy="not_larger")
resize("nearest-not-smaller", (1, 1, 2, 4), sizes=[7, 8], axes=[2, 3], keep_aspect_ratio_policy="not_smaller")
resize("linear", (1, 1, 2, 3), scales=[1, 1, 2, 2], mode="linear")
resize("linear-1d", (1, 2, 5), scales=[1, 1, 2.5], mode="linear")
# The reference floors 5 * 2.6f in f64 and gets 12; PyTorch and ONNX Runtime, whose result this is, get 13.
case("resize-linear-rounded-extent", "Resize", np.arange(5, dtype=np.float32).reshape(1, 1, 5), None, K([1, 1, 2.6], np.float32), mode="linear",
     expected=[np.array([[[0, 1 / 13, 6 / 13, 11 / 13, 16 / 13, 21 / 13, 2, 31 / 13, 36 / 13, 41 / 13, 46 / 13, 51 / 13, 4]]], np.float32)])
resize("linear-3d", (1, 2, 3, 2, 3), sizes=[1, 2, 5, 3, 4], mode="linear")
resize("linear-5-axes", (2, 2, 2, 2, 3), sizes=[3, 3, 3, 3, 2], mode="linear")
resize("linear-align-corners", (1, 1, 3, 3), sizes=[1, 1, 5, 1], mode="linear", coordinate_transformation_mode="align_corners")
resize("linear-align-corners-scales", (1, 1, 2, 4), scales=[1, 1, 0.6, 0.6], mode="linear", coordinate_transformation_mode="align_corners")
resize("linear-asymmetric", (1, 1, 3, 3), scales=[1, 1, 1.7, 2], mode="linear", coordinate_transformation_mode="asymmetric")
resize("linear-pytorch", (1, 1, 4, 4), sizes=[1, 1, 3, 1], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
resize("linear-symmetric", (1, 1, 3, 4), scales=[1, 1, 2.3, 0.6], mode="linear", coordinate_transformation_mode="half_pixel_symmetric")
resize("linear-u8", whole(1, 1, 3, 3, dtype=np.uint8, low=0, high=255), scales=[1, 1, 2, 2], mode="linear")
resize("linear-exclude-outside", SQUARE, sizes=[1, 1, 7, 3], mode="linear", exclude_outside=1)
resize("linear-f64", real(1, 1, 3, 3, dtype=np.float64), scales=[1, 1, 2, 2.5], mode="linear")
resize("cubic", SQUARE, scales=[1, 1, 2, 2], mode="cubic")
resize("cubic-down", SQUARE, scales=[1, 1, 0.8, 0.8], mode="cubic")
resize("cubic-a-exclude-outside", SQUARE, scales=[1, 1, 2, 0.8], mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
resize("cubic-3-axes", (1, 3, 3, 4), sizes=[1, 4, 5, 6], mode="cubic", axes=[0, 1, 2, 3])
resize("cubic-align-corners", SQUARE, scales=[1, 1, 2, 2], mode="cubic", coordinate_transformation_mode="align_corners")
resize("linear-antialias", (1, 1, 4, 6), scales=[1, 1, 0.6, 0.45], mode="linear", antialias=1)
resize("linear-antialias-up", SQUARE, sizes=[1, 1, 6, 3], mode="linear", antialias=1)
resize("cubic-antialias", (1, 1, 7, 6), sizes=[1, 1, 3, 4], mode="cubic", antialias=1)
resize("crop", SQUARE, roi=[0, 0, 0.4, 0.6, 1, 1, 0.6, 0.8], sizes=[1, 1, 3, 3], mode="linear", coordinate_transformation_mode="tf_crop_and_resize")
resize("crop-outside", SQUARE, roi=[0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7], sizes=[1, 1, 3, 3], mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
       extrapolation_value=10.0)
resize("crop-axes", (1, 1, 4, 5), roi=[0.4, 0.6, 0.6, 0.8], sizes=[3, 2], axes=[3, 2], mode="nearest", coordinate_transformation_mode="tf_crop_and_resize")


# ---- C ----
def element(value, dtype):
    if dtype == np.float16:
        return str(int(np.float16(value).view(np.uint16)))
    if dtype == np.bool_:
        return str(int(value))
    if dtype in (np.float32, np.float64):
        if np.isnan(value):
            return "NAN"
        if np.isinf(value):
            return "INFINITY" if value > 0 else "-INFINITY"
        text = repr(float(value)) if dtype == np.float64 else np.format_float_positional(value, unique=True, trim="0") if 1e-4 < abs(value) < 1e7 or value == 0 else f"{value:.9g}"
        text = text if "." in text or "e" in text else text + ".0"
        return text + ("f" if dtype == np.float32 else "")
    return str(int(value))


print("/* Written by op_tables.py: what ONNX's reference evaluator says about operators. */")
arrays = 0


def tensor(value, constant):
    global arrays
    if value is None:
        return "{0}"
    name, ctype = NAMES[value.dtype]
    flat = value.reshape(-1)
    print(f"static const {ctype} data{arrays}[] = {{{', '.join(element(v, value.dtype) for v in flat) or '0'}}};")
    arrays += 1
    dims = ", ".join(str(d) for d in value.shape) or "0"
    return f'{{"{name}", {value.ndim}, {{{dims}}}, data{arrays - 1}, {int(constant)}}}'


rows = []
for name, text, inputs, outputs, tolerance in cases:
    ins = [tensor(v, k) for v, k in inputs]
    outs = [tensor(v, False) for v in outputs]
    rows.append(f"    {{{json.dumps(name)}, {json.dumps(text)}, {len(ins)}, {{{', '.join(ins)}}}, {len(outs)}, {{{', '.join(outs)}}}, {tolerance or 0}}},")
print("static const TableCase table_cases[] = {")
print("\n".join(rows))
print("};")
