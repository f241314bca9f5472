"""How a legal node of each operator is drawn: inputs of the right types and shapes, attributes within what the specification allows.

Operators with the form "elementwise" in `lathe operators --json`, and those in SAME, need nothing here: what the schema says is enough.
The others have a function NAME(g), which calls g.node(...) or gives up by returning. g is a model.Model."""
import numpy as np

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64")

# Elementwise in all but form: broadcasting inputs of one type, attributes that are free numbers.
SAME = {"Max", "Min", "Sum", "Mean", "Gelu", "Identity", "Swish"}
# Results jump where the input hardly changes: these take exact values only, so that rounding elsewhere does not count.
JUMPS = {"Floor", "Ceil", "Round", "Sign", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Cast", "CastLike", "ArgMax", "ArgMin", "TopK", "Hardmax",
         "IsInf", "IsNaN", "Mod", "ThresholdedRelu", "Shrink", "QuantizeLinear", "DynamicQuantizeLinear", "NonZero", "Unique", "Compress", "NonMaxSuppression",
         "Not", "Resize", "BitCast", "MaxPool", "MaxRoiPool", "Div", "Reciprocal", "Tan", "Log", "Pow", "Acos", "Asin", "Acosh", "Atanh", "Sqrt", "Det",
         "ReduceLogSum", "GridSample", "RoiAlign", "LpNormalization", "CumProd", "ReduceProd", "Sin", "Cos", "QLinearMatMul", "QLinearConv", "PRelu", "Selu"}
# Results are exact when the inputs are.
EXACT = {"Identity", "Neg", "Abs", "Relu", "Max", "Min", "Floor", "Ceil", "Round", "Sign", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Concat", "Split",
         "Slice", "Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Expand", "Tile", "Pad", "Trilu", "Where", "Clip", "MaxPool", "GlobalMaxPool",
         "ReduceMax", "ReduceMin", "DepthToSpace", "SpaceToDepth", "ReverseSequence", "TopK", "Hardmax", "Equal", "Greater", "Less", "Not", "And", "Or", "Xor", "OneHot",
         "EyeLike", "Shape", "Size", "ArgMax", "ArgMin", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitShift", "CenterCropPad", "GreaterOrEqual", "LessOrEqual",
         "IsInf", "IsNaN", "ConstantOfShape", "Compress", "NonZero", "Unique", "TensorScatter"}
# Results can be far larger than the inputs: not one behind the other.
GROWS = {"Exp", "Sinh", "Cosh", "Pow", "Mul", "CumProd", "ReduceProd", "ReduceSumSquare", "Elu", "Celu", "Selu", "Softplus", "Div", "Reciprocal", "Tan", "MatMul", "Gemm",
         "ReduceLogSumExp", "Det", "Einsum"}

# Supported operators that are not drawn, and why.
NOT_DRAWN = {
    "If": "bodies: control flow has tests of its own", "Loop": "bodies", "Scan": "bodies", "SequenceMap": "bodies",
    "Bernoulli": "random numbers are nobody else's", "RandomNormal": "random", "RandomNormalLike": "random", "RandomUniform": "random",
    "RandomUniformLike": "random", "Multinomial": "random", "Constant": "the initialisers are constants",
    "Affine": "not of the standard", "ImageScaler": "not of the standard", "Crop": "not of the standard", "Scatter": "older name", "Upsample": "older name",
    "Optional": "no tensor", "OptionalGetElement": "no tensor", "OptionalHasElement": "no tensor", "SequenceAt": "no tensor", "SequenceConstruct": "no tensor",
    "SequenceEmpty": "no tensor", "SequenceErase": "no tensor", "SequenceInsert": "no tensor", "SequenceLength": "no tensor", "SplitToSequence": "no tensor",
    "ConcatFromSequence": "no tensor", "StringConcat": "strings", "StringNormalizer": "strings", "StringSplit": "strings", "RegexFullMatch": "strings",
    "TfIdfVectorizer": "a table of n-grams; tests of its own", "ImageDecoder": "refused",
    "SimplifiedLayerNormalization": "not of the standard", "ParametricSoftplus": "not of the standard", "Scale": "not of the standard", "ScaledTanh": "not of the standard", "LinearAttention": "its inputs hang together; tests of its own", "CausalConvWithState": "tests of its own",
}


def axis_of(g, value):
    return g.integer(-len(value.shape), len(value.shape) - 1)


def some_axes(g, value, least=0):
    rank = len(value.shape)
    axes = sorted(g.draw.sample(range(rank), g.integer(min(least, rank), rank)))
    return [axis - rank if g.chance(0.3) else axis for axis in axes]


def reduction(g, name, types=FLOATS):
    x = g.pick(types, name, rank=(1, 4), empty=name not in ("ReduceMax", "ReduceMin", "ReduceMean", "ReduceLogSumExp", "ReduceLogSum"))
    axes = some_axes(g, x)
    inputs = [x] + ([g.ints(axes)] if axes and g.chance(0.8) else [])
    g.node(name, inputs, keepdims=g.integer(0, 1), noop_with_empty_axes=g.integer(0, 1) if len(inputs) == 1 else 0)


# Where the function has a value: what comes of NaN in maxima and comparisons the specification does not say.
DOMAINS = {"Acos": (-0.95, 0.95), "Asin": (-0.95, 0.95), "Atanh": (-0.95, 0.95), "Acosh": (1.05, 4), "Log": (0.1, 4), "Sqrt": (0, 4), "Reciprocal": (0.25, 4), "Tan": (-1.2, 1.2)}


def in_domain(g, name):
    low, high = DOMAINS[name]
    dtype = g.draw.choice(["float32", "float32", "float64", "float16"])
    g.node(name, [g.value_of(g.generator.uniform(low, high, g.shape(0, 4)).astype(dtype))])


def ReduceLogSum(g):
    x = g.value_of(g.array("float32", g.shape(1, 4, empty=False), positive=True) + np.float32(0.25))
    g.node("ReduceLogSum", [x, g.ints(some_axes(g, x, 1))], keepdims=g.integer(0, 1))


def make_reductions():
    for name in DOMAINS:
        globals()[name] = lambda g, name=name: in_domain(g, name)
    for name in ("L1", "L2", "LogSumExp", "Mean", "Prod", "Sum", "SumSquare"):
        globals()["Reduce" + name] = lambda g, name="Reduce" + name: reduction(g, name, FLOATS + ("int32", "int64") if name not in ("ReduceLogSumExp", "ReduceL2", "ReduceMean") else FLOATS)
    for name in ("Max", "Min"):
        globals()["Reduce" + name] = lambda g, name="Reduce" + name: reduction(g, name, FLOATS + INTEGERS)
    for name in ("ArgMax", "ArgMin"):
        def arg(g, name=name):
            x = g.pick(FLOATS + INTEGERS, name, rank=(1, 4), empty=False)
            g.node(name, [x], axis=axis_of(g, x), keepdims=g.integer(0, 1), select_last_index=g.integer(0, 1))
        globals()[name] = arg
    for name in ("Softmax", "LogSoftmax", "Hardmax"):
        def soft(g, name=name):
            x = g.pick(FLOATS, name, rank=(1, 4), empty=False)
            g.node(name, [x], axis=axis_of(g, x))
        globals()[name] = soft
    for name in ("CumSum", "CumProd"):
        def cumulate(g, name=name):
            x = g.pick(FLOATS + ("int32", "int64"), name, rank=(1, 4))
            g.node(name, [x, g.constant(np.array(axis_of(g, x), np.int64))], exclusive=g.integer(0, 1), reverse=g.integer(0, 1))
        globals()[name] = cumulate
    for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        def pool(g, name=name):
            x = g.pick(FLOATS, name, rank=(3, 5), empty=False)
            g.node(name, [x], **({"p": g.integer(1, 3)} if "Lp" in name else {}))
        globals()[name] = pool
    for name in ("AveragePool", "MaxPool", "LpPool"):
        globals()[name] = lambda g, name=name: window_pool(g, name)
    for name in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        globals()[name] = lambda g, name=name: g.node(name, [g.constant(np.array(g.integer(1, 20), np.int64))], periodic=g.integer(0, 1), output_datatype=1)


def windows(g, x, kernel, **more):
    """kernel_shape, strides, pads, dilations that leave at least one place for each spatial axis; None when there is none."""
    spatial = x.shape[2:]
    dilations = [g.integer(1, 2) for _ in spatial]
    strides = [g.integer(1, 2) for _ in spatial]
    begins = [g.integer(0, (k - 1) * d // 2 if g.chance(0.5) else 0) if k > 1 else 0 for k, d in zip(kernel, dilations)]
    ends = [g.integer(0, (k - 1) * d // 2) if k > 1 else 0 for k, d in zip(kernel, dilations)]
    for extent, k, d, b, e in zip(spatial, kernel, dilations, begins, ends):
        if extent + b + e < (k - 1) * d + 1 or b >= k or e >= k:
            return None
    return dict(kernel_shape=list(kernel), strides=strides, pads=begins + ends, dilations=dilations, **more)


def window_pool(g, name):
    x = g.pick(("float32", "float64") if name == "MaxPool" else ("float32",), name, rank=(3, 5), empty=False)
    window = windows(g, x, [g.integer(1, 3) for _ in x.shape[2:]])
    if not window:
        return
    if max(window["dilations"]) > 1 or window.get("ceil_mode"):
        window["pads"] = [0] * len(window["pads"])  # a window that holds nothing but padding has no defined maximum
        if any(extent < (k - 1) * d + 1 for extent, k, d in zip(x.shape[2:], window["kernel_shape"], window["dilations"])):
            return
    if name == "LpPool":
        g.node(name, [x], p=g.integer(1, 3), **window)
    elif name == "AveragePool":
        g.node(name, [x], count_include_pad=g.integer(0, 1), ceil_mode=g.integer(0, 1), **window)
    else:
        g.node(name, [x], ceil_mode=g.integer(0, 1), **window)


def Conv(g, name="Conv"):
    x = g.pick(("float32", "float64"), name, rank=(3, 5), empty=False)
    channels = x.shape[1]
    group = g.draw.choice([d for d in range(1, channels + 1) if channels % d == 0])
    kernel = [g.integer(1, 3) for _ in x.shape[2:]]
    window = windows(g, x, kernel)
    if window:
        out = group * g.integer(1, 3)
        weights = g.array(x.dtype, [out, channels // group] + kernel)
        g.node(name, [x, g.constant(weights)] + ([g.constant(g.array(x.dtype, [out]))] if g.chance(0.5) else []), group=group, **window)


def ConvTranspose(g):
    x = g.pick(("float32",), "ConvTranspose", rank=(3, 4), empty=False)
    channels = x.shape[1]
    group = g.draw.choice([d for d in range(1, channels + 1) if channels % d == 0])
    kernel = [g.integer(1, 3) for _ in x.shape[2:]]
    strides = [g.integer(1, 2) for _ in kernel]
    if any((extent - 1) * s + k < 1 for extent, s, k in zip(x.shape[2:], strides, kernel)):
        return
    out = g.integer(1, 3)
    weights = g.array(x.dtype, [channels, out] + kernel)
    g.node("ConvTranspose", [x, g.constant(weights)] + ([g.constant(g.array(x.dtype, [out * group]))] if g.chance(0.5) else []), group=group, kernel_shape=kernel,
           strides=strides, output_padding=[g.integer(0, s - 1) for s in strides])


def ConvInteger(g):
    x = g.pick(("uint8",), "ConvInteger", rank=(4, 4), empty=False)
    kernel = [g.integer(1, 3) for _ in x.shape[2:]]
    window = windows(g, x, kernel)
    if window:
        g.node("ConvInteger", [x, g.constant(g.array("uint8", [2, x.shape[1]] + kernel)), g.constant(np.array(g.integer(0, 255), np.uint8))], **window)


def MatMul(g):
    x = g.pick(("float32", "float64", "int32", "float16"), "MatMul", rank=(1, 4))
    shape = [x.shape[-1], g.integer(1, 5)] if g.chance(0.8) else [x.shape[-1]]
    if len(x.shape) > 2 and len(shape) == 2 and g.chance(0.5):
        shape = list(x.shape[:-2]) + shape
    g.node("MatMul", [x, g.constant(g.array(x.dtype, shape))])


def MatMulInteger(g):
    x = g.pick(("uint8", "int8"), "MatMulInteger", rank=(2, 4), empty=False)  # ONNX Runtime leaves sums of nothing unwritten
    y = g.constant(g.array(g.draw.choice(["uint8", "int8"]) if x.dtype == "uint8" else "int8", [x.shape[-1], g.integer(1, 5)]))
    g.node("MatMulInteger", [x, y] + ([g.constant(g.array(x.dtype, []))] if g.chance(0.6) else []))


def Gemm(g):
    x = g.pick(("float32", "float64"), "Gemm", rank=(2, 2))
    turn_a, turn_b = g.integer(0, 1), g.integer(0, 1)
    m, k = (x.shape[1], x.shape[0]) if turn_a else x.shape
    n = g.integer(1, 5)
    inputs = [x, g.constant(g.array(x.dtype, [n, k] if turn_b else [k, n]))]
    if g.chance(0.6):
        inputs.append(g.constant(g.array(x.dtype, g.draw.choice([[n], [m, n], [1, n], [m, 1], []]))))
    g.node("Gemm", inputs, transA=turn_a, transB=turn_b, alpha=g.real(), beta=g.real())


def Einsum(g):
    x = g.pick(("float32",), "Einsum", rank=(2, 3))
    rank = len(x.shape)
    left = "abc"[:rank]
    right = left[-1] + "d"
    y = g.constant(g.array(x.dtype, [x.shape[-1], g.integer(1, 4)]))
    result = "".join(g.draw.sample(left[:-1] + "d", rank)) if g.chance(0.7) else left[0] + "d"
    g.node("Einsum", [x, y], equation=f"{left},{right}->{result}")


def QuantizeLinear(g):
    x = g.pick(("float32",), "QuantizeLinear", rank=(1, 4))
    axis = axis_of(g, x)
    shape = [x.shape[axis]] if g.chance(0.5) else []
    dtype = g.draw.choice(["uint8", "int8", "uint16", "int16"])
    scale = np.abs(g.array("float32", shape)) * np.float32(0.05) + np.float32(0.01)
    g.node("QuantizeLinear", [x, g.constant(scale), g.constant(g.array(dtype, shape, small=True))], axis=axis)


def DequantizeLinear(g):
    x = g.pick(("uint8", "int8", "int32"), "DequantizeLinear", rank=(1, 4))
    axis = axis_of(g, x)
    shape = [x.shape[axis]] if g.chance(0.5) else []
    inputs = [x, g.constant(np.abs(g.array("float32", shape)) * np.float32(0.05) + np.float32(0.01))]
    if x.dtype != "int32":
        inputs.append(g.constant(g.array(x.dtype, shape, small=True)))
    g.node("DequantizeLinear", inputs, axis=axis)


def DynamicQuantizeLinear(g):
    g.node("DynamicQuantizeLinear", [g.pick(("float32",), "DynamicQuantizeLinear", rank=(1, 4), empty=False)], outputs=3)


# ---- normalisations ----
def LayerNormalization(g, name="LayerNormalization"):
    x = g.pick(("float32", "float64"), name, rank=(2, 4), empty=False)
    axis = axis_of(g, x)
    shape = list(x.shape[axis:]) if axis < 0 else list(x.shape[axis:])
    inputs = [x, g.constant(g.array(x.dtype, shape))]
    if name == "LayerNormalization" and g.chance(0.5):
        inputs.append(g.constant(g.array(x.dtype, shape)))
    g.node(name, inputs, axis=axis, epsilon=0.01)


def RMSNormalization(g):
    LayerNormalization(g, "RMSNormalization")


def BatchNormalization(g):
    x = g.pick(("float32",), "BatchNormalization", rank=(2, 4), empty=False)
    c = [x.shape[1]]
    vectors = [g.constant(g.array(x.dtype, c)) for _ in range(3)] + [g.constant(np.abs(g.array(x.dtype, c)) + np.array(0.1, x.dtype))]
    g.node("BatchNormalization", [x] + vectors, epsilon=1e-3)


def InstanceNormalization(g):
    x = g.pick(("float32",), "InstanceNormalization", rank=(3, 4), empty=False)
    c = [x.shape[1]]
    g.node("InstanceNormalization", [x, g.constant(g.array(x.dtype, c)), g.constant(g.array(x.dtype, c))], epsilon=1e-2)


def GroupNormalization(g):
    x = g.pick(("float32",), "GroupNormalization", rank=(3, 4), empty=False)
    channels = x.shape[1]
    groups = g.draw.choice([d for d in range(1, channels + 1) if channels % d == 0])
    g.node("GroupNormalization", [x, g.constant(g.array(x.dtype, [channels])), g.constant(g.array(x.dtype, [channels]))], num_groups=groups, epsilon=1e-2)


def LRN(g):
    x = g.pick(("float32",), "LRN", rank=(4, 4), empty=False)
    g.node("LRN", [x], size=g.draw.choice([1, 3, 5]), alpha=g.real() / 10, beta=0.75, bias=1.0)


def LpNormalization(g):
    x = g.pick(("float32",), "LpNormalization", rank=(1, 4), empty=False)
    g.node("LpNormalization", [x], axis=axis_of(g, x), p=g.integer(1, 2))


def MeanVarianceNormalization(g):
    x = g.pick(("float32",), "MeanVarianceNormalization", rank=(4, 4), empty=False)
    g.node("MeanVarianceNormalization", [x], axes=[0, 2, 3])


# ---- where elements go ----
def Transpose(g):
    x = g.pick(g.any, "Transpose", rank=(0, 5))
    g.node("Transpose", [x], perm=g.draw.sample(range(len(x.shape)), len(x.shape)))


def Reshape(g):
    x = g.pick(g.any, "Reshape", rank=(0, 5))
    dims, rest = [], int(np.prod(x.shape))
    while rest > 1 and len(dims) < 4:
        d = g.draw.choice([d for d in range(1, rest + 1) if rest % d == 0])
        dims.append(d)
        rest //= d
    dims.append(rest)
    g.draw.shuffle(dims)
    if 0 not in x.shape and g.chance(0.5):
        dims[g.integer(0, len(dims) - 1)] = -1
    g.node("Reshape", [x, g.ints(dims)], allowzero=int(0 in x.shape))


def Flatten(g):
    x = g.pick(g.any, "Flatten", rank=(0, 4))
    g.node("Flatten", [x], axis=g.integer(-len(x.shape), len(x.shape)))


def Squeeze(g):
    x = g.pick(g.any, "Squeeze", rank=(1, 5))
    axes = [i for i, d in enumerate(x.shape) if d == 1]
    if axes:
        g.node("Squeeze", [x] + ([g.ints(g.draw.sample(axes, g.integer(1, len(axes))))] if g.chance(0.7) else []))


def Unsqueeze(g):
    x = g.pick(g.any, "Unsqueeze", rank=(0, 3))
    count = g.integer(1, 2)
    g.node("Unsqueeze", [x, g.ints(g.draw.sample(range(len(x.shape) + count), count))])


def Concat(g):
    x = g.pick(g.any, "Concat", rank=(1, 4))
    axis = axis_of(g, x)
    parts = [x]
    for _ in range(g.integer(0, 2)):
        shape = list(x.shape)
        shape[axis] = g.integer(0 if g.chance(0.1) else 1, 3)
        parts.append(g.value(x.dtype, shape))
    g.draw.shuffle(parts)
    g.node("Concat", parts, axis=axis)


def Split(g):
    x = g.pick(g.any, "Split", rank=(1, 4), empty=False)
    axis = axis_of(g, x)
    extent = x.shape[axis]
    if g.chance(0.5):
        count = g.integer(1, min(3, extent))
        cuts = sorted(g.integer(0, extent) for _ in range(count - 1))
        sizes = [b - a for a, b in zip([0] + cuts, cuts + [extent])]
        g.node("Split", [x, g.ints(sizes)], outputs=count, axis=axis)
    else:
        count = g.integer(1, min(3, extent))
        if -(-extent // count) * (count - 1) < extent:
            g.node("Split", [x], outputs=count, axis=axis, num_outputs=count)


def Slice(g):
    x = g.pick(g.any, "Slice", rank=(1, 4))
    axes = some_axes(g, x, 1)
    starts, ends, steps = [], [], []
    for axis in axes:
        extent = x.shape[axis]
        starts.append(g.integer(-extent - 1, extent + 1))
        ends.append(g.draw.choice([g.integer(-extent - 1, extent + 1), 2 ** 31]))
        steps.append(g.draw.choice([1, 1, 2, -1, -2]))
    g.node("Slice", [x, g.ints(starts), g.ints(ends), g.ints(axes), g.ints(steps)])


def Expand(g):
    x = g.pick(g.any, "Expand", rank=(0, 4))
    shape = [d if d != 1 or g.chance(0.4) else g.integer(1, 3) for d in x.shape]
    shape = [d if g.chance(0.8) else 1 for d in shape]
    if g.chance(0.3):
        shape = [2] + shape
    g.node("Expand", [x, g.ints(shape)])


def Tile(g):
    x = g.pick(g.any, "Tile", rank=(1, 4))
    g.node("Tile", [x, g.ints([g.integer(1, 2) for _ in x.shape])])


def Pad(g):
    x = g.pick(("float32", "float64", "int32", "int64", "uint8", "bool"), "Pad", rank=(1, 4), empty=False)
    mode = g.draw.choice(["constant", "edge", "reflect", "wrap"]) if x.dtype != "bool" else "constant"
    pads = []
    for _ in range(2):
        pads += [g.integer(0, 2 if mode != "reflect" else max(0, min(2, d - 1))) for d in x.shape]
    if mode == "wrap" and any(p > d for p, d in zip(pads, list(x.shape) * 2)):
        return
    g.node("Pad", [x, g.ints(pads)] + ([g.constant(g.array(x.dtype, []))] if mode == "constant" and g.chance(0.6) else []), mode=mode)


def DepthToSpace(g):
    n, c, h, w = g.integer(1, 2), g.integer(1, 2), g.integer(1, 3), g.integer(1, 3)
    b = g.integer(1, 2)
    g.node("DepthToSpace", [g.value("float32", [n, c * b * b, h, w])], blocksize=b, mode=g.draw.choice(["DCR", "CRD"]))


def SpaceToDepth(g):
    b = g.integer(1, 2)
    g.node("SpaceToDepth", [g.value("float32", [g.integer(1, 2), g.integer(1, 3), b * g.integer(1, 2), b * g.integer(1, 2)])], blocksize=b)


def indices(g, shape, extent):
    found = g.draw_array(lambda: g.integer(-extent, extent - 1), shape)
    return g.value_of(found.astype(g.draw.choice([np.int64, np.int32])))


def Gather(g):
    x = g.pick(g.any, "Gather", rank=(1, 4), empty=False)
    axis = axis_of(g, x)
    g.node("Gather", [x, indices(g, g.shape(0, 2), x.shape[axis])], axis=axis)


def GatherElements(g):
    x = g.pick(g.any, "GatherElements", rank=(1, 4), empty=False)
    axis = axis_of(g, x)
    shape = [g.integer(1, d) for d in x.shape]
    g.node("GatherElements", [x, indices(g, shape, x.shape[axis])], axis=axis)


def tuples(g, x, lead, size):
    columns = [g.draw_array(lambda d=d: g.integer(-d, d - 1), lead + [1]) for d in x.shape[:size]]
    return np.concatenate(columns, -1).astype(np.int64)


def GatherND(g):
    x = g.pick(g.any, "GatherND", rank=(1, 4), empty=False)
    g.node("GatherND", [x, g.value_of(tuples(g, x, g.shape(1, 2, empty=False), g.integer(1, len(x.shape))))])


def ScatterElements(g):
    x = g.pick(("float32", "int64", "int32"), "ScatterElements", rank=(1, 4), empty=False)
    axis = axis_of(g, x)
    shape = [g.integer(1, d) for d in x.shape]
    picks = np.argsort(g.generator.random(shape), axis=axis)  # no two go to one place
    g.node("ScatterElements", [x, g.value_of(picks.astype(np.int64)), g.value(x.dtype, shape)], axis=axis, reduction=g.draw.choice(["none", "add", "mul", "max", "min"]))


def ScatterND(g):
    x = g.pick(("float32", "int64"), "ScatterND", rank=(1, 4), empty=False)
    size = g.integer(1, len(x.shape))
    places = [np.unravel_index(i, x.shape[:size]) for i in g.draw.sample(range(int(np.prod(x.shape[:size]))), g.integer(1, int(np.prod(x.shape[:size]))))]
    where = np.array(places, np.int64).reshape(len(places), size)
    g.node("ScatterND", [x, g.value_of(where), g.value(x.dtype, [len(places)] + list(x.shape[size:]))], reduction=g.draw.choice(["none", "add", "mul", "max", "min"]))


def Trilu(g):
    x = g.pick(("float32", "float64", "int64", "bool"), "Trilu", rank=(2, 4))
    g.node("Trilu", [x] + ([g.constant(np.array(g.integer(-3, 3), np.int64))] if g.chance(0.7) else []), upper=g.integer(0, 1))


def ReverseSequence(g):
    x = g.pick(("float32", "int64"), "ReverseSequence", rank=(2, 4), empty=False)
    time = g.integer(0, 1)
    lengths = g.draw_array(lambda: g.integer(1, x.shape[time]), [x.shape[1 - time]]).astype(np.int64)
    g.node("ReverseSequence", [x, g.value_of(lengths)], time_axis=time, batch_axis=1 - time)


def CenterCropPad(g):
    x = g.pick(("float32",), "CenterCropPad", rank=(1, 4), empty=False)
    g.node("CenterCropPad", [x, g.ints([g.integer(1, 6) for _ in x.shape])])


def Where(g):
    x = g.pick(("float32", "int64", "float64", "uint8"), "Where", rank=(0, 4))
    g.node("Where", [g.broadcast("bool", x), x, g.broadcast(x.dtype, x)])


def OneHot(g):
    x = g.value_of(g.draw_array(lambda: g.integer(-4, 4), g.shape(0, 3)).astype(np.int64))
    g.node("OneHot", [x, g.constant(np.array(g.integer(1, 5), np.int64)), g.constant(g.array("float32", [2]))], axis=g.integer(-1, len(x.shape)))


def EyeLike(g):
    g.node("EyeLike", [g.pick(("float32", "int32"), "EyeLike", rank=(2, 2))], k=g.integer(-2, 2))


def Shape(g):
    x = g.pick(g.any, "Shape", rank=(0, 5))
    g.node("Shape", [x], start=g.integer(-6, 6))


def Size(g):
    g.node("Size", [g.pick(g.any, "Size", rank=(0, 5))])


def Range(g):
    start, delta = g.integer(-5, 5), g.draw.choice([-2, -1, 1, 2, 3])
    dtype = g.draw.choice([np.int64, np.int32, np.float32])
    g.node("Range", [g.constant(np.array(v, dtype)) for v in (start, start + delta * g.integer(0, 5), delta)])


def ConstantOfShape(g):
    g.node("ConstantOfShape", [g.ints(g.shape(0, 3))])


def TopK(g):
    x = g.pick(("float32", "int64"), "TopK", rank=(1, 4), empty=False, distinct=True)
    axis = axis_of(g, x)
    g.node("TopK", [x, g.ints([g.integer(0 if g.chance(0.1) else 1, x.shape[axis])])], outputs=2, axis=axis, largest=g.integer(0, 1), sorted=1)


def Cast(g):
    x = g.pick(("float32", "float64", "int64", "int32", "bool", "uint8", "float16"), "Cast", rank=(0, 4), positive=True)
    to = g.draw.choice(["float32", "float64", "int64", "int32", "bool", "uint8", "float16"])
    g.node("Cast", [x], to=g.number(to))


def CastLike(g):
    x = g.pick(("float32", "int64", "int32"), "CastLike", rank=(0, 4), positive=True)
    g.node("CastLike", [x, g.pick(("float32", "float64", "int64", "int32"), "CastLike", rank=(0, 4))])


def Clip(g):
    x = g.pick(FLOATS[:2] + ("int32", "int64", "uint8"), "Clip", rank=(0, 4))
    low, high = sorted(np.atleast_1d(g.array(x.dtype, [2])))
    inputs = [x, g.constant(np.array(low, x.dtype)) if g.chance(0.7) else None, g.constant(np.array(high, x.dtype))]
    g.node("Clip", inputs)


def Mod(g):
    x = g.pick(("int32", "int64"), "Mod", rank=(0, 4))
    g.node("Mod", [x, g.constant(g.draw_array(lambda: g.draw.choice([-3, -2, 2, 3, 5]), []).astype(x.dtype))], fmod=g.integer(0, 1))


def Div(g):
    x = g.pick(("float32", "float64", "int32", "int64"), "Div", rank=(0, 4))
    y = g.array(x.dtype, list(x.shape))
    y = np.where(np.abs(y.astype(np.float64)) < 0.5, np.array(2, x.dtype), y).astype(x.dtype)
    g.node("Div", [x, g.constant(y)])


def Pow(g):
    x = g.pick(("float32", "float64"), "Pow", rank=(0, 4), positive=True)
    g.node("Pow", [x, g.constant(np.array(g.draw.choice([0, 1, 2, 3, 0.5, 1.5]), x.dtype))])


def BitShift(g):
    x = g.pick(("uint8", "uint16", "uint32", "uint64"), "BitShift", rank=(0, 4))
    g.node("BitShift", [x, g.constant(g.draw_array(lambda: g.integer(0, 7), []).astype(x.dtype))], direction=g.draw.choice(["LEFT", "RIGHT"]))


def BitCast(g):
    x, to = g.draw.choice([("float32", "int32"), ("int32", "float32"), ("uint8", "int8"), ("int64", "float64")])
    if x == "int32" or x == "int64":
        return
    g.node("BitCast", [g.pick((x,), "BitCast", rank=(0, 4))], to=g.number(to))


def Dropout(g):
    g.node("Dropout", [g.pick(("float32",), "Dropout", rank=(0, 4))])


def Compress(g):
    x = g.pick(("float32", "int64"), "Compress", rank=(1, 4), empty=False)
    axis = axis_of(g, x)
    g.node("Compress", [x, g.value("bool", [g.integer(1, x.shape[axis])])], axis=axis)


def NonZero(g):
    g.node("NonZero", [g.pick(("float32", "int64", "bool"), "NonZero", rank=(1, 4))])


def Unique(g):
    g.node("Unique", [g.pick(("float32", "int64"), "Unique", rank=(1, 3), empty=False)], outputs=4, sorted=1)


def NonMaxSuppression(g):
    n, boxes, classes = g.integer(1, 2), g.integer(1, 8), g.integer(1, 2)
    corner = g.generator.random([n, boxes, 2]).astype(np.float32)
    size = g.generator.random([n, boxes, 2]).astype(np.float32) * 0.5 + 0.05
    g.node("NonMaxSuppression", [g.value_of(np.concatenate([corner, corner + size], -1)), g.value_of(g.generator.random([n, classes, boxes]).astype(np.float32)),
                                 g.ints([g.integer(1, 5)]), g.constant(np.array([0.4], np.float32)), g.constant(np.array([0.2], np.float32))])


def Resize(g):
    x = g.pick(("float32",), "Resize", rank=(4, 4), empty=False)
    mode = g.draw.choice(["nearest", "linear", "cubic"])
    sizes = list(x.shape[:2]) + [g.integer(1, 7), g.integer(1, 7)]
    g.node("Resize", [x, None, None, g.ints(sizes)], mode=mode, coordinate_transformation_mode=g.draw.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]),
           nearest_mode=g.draw.choice(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]) if mode == "nearest" else "round_prefer_floor")


def GridSample(g):
    x = g.pick(("float32",), "GridSample", rank=(4, 4), empty=False)
    grid = g.value_of((g.generator.random([x.shape[0], g.integer(1, 3), g.integer(1, 3), 2]) * 2.4 - 1.2).astype(np.float32))
    g.node("GridSample", [x, grid], mode=g.draw.choice(["linear", "nearest"]), padding_mode=g.draw.choice(["zeros", "border"]), align_corners=g.integer(0, 1))


def recurrent(g, name, gates, outputs):
    steps, batch, size, hidden = g.integer(1, 4), g.integer(1, 3), g.integer(1, 4), g.integer(1, 4)
    direction = g.draw.choice(["forward", "reverse", "bidirectional"])
    two = 2 if direction == "bidirectional" else 1
    inputs = [g.value("float32", [steps, batch, size]), g.constant(g.array("float32", [two, gates * hidden, size])), g.constant(g.array("float32", [two, gates * hidden, hidden]))]
    if g.chance(0.5):
        inputs.append(g.constant(g.array("float32", [two, 2 * gates * hidden])))
    g.node(name, inputs, outputs=outputs, hidden_size=hidden, direction=direction, **({"linear_before_reset": g.integer(0, 1)} if name == "GRU" else {}))


def LSTM(g):
    recurrent(g, "LSTM", 4, 3)


def GRU(g):
    recurrent(g, "GRU", 3, 2)


def RNN(g):
    recurrent(g, "RNN", 1, 2)


def Det(g):
    n = g.integer(1, 4)
    g.node("Det", [g.value("float32", g.shape(0, 2) + [n, n])])


def AffineGrid(g):
    n, two = g.integer(1, 2), g.integer(2, 3)
    g.node("AffineGrid", [g.value("float32", [n, two, two + 1]), g.ints([n, 1] + [g.integer(1, 4) for _ in range(two)])], align_corners=g.integer(0, 1))


def Col2Im(g):
    n, c, k = g.integer(1, 2), g.integer(1, 2), [g.integer(1, 2), g.integer(1, 2)]
    image = [k[0] + g.integer(0, 3), k[1] + g.integer(0, 3)]
    blocks = (image[0] - k[0] + 1) * (image[1] - k[1] + 1)
    g.node("Col2Im", [g.value("float32", [n, c * k[0] * k[1], blocks]), g.ints(image), g.ints(k)])


def RoiAlign(g):
    x = g.pick(("float32",), "RoiAlign", rank=(4, 4), empty=False)
    rois = g.integer(1, 3)
    corner = g.generator.random([rois, 2]).astype(np.float32) * 2
    boxes = np.concatenate([corner, corner + 1 + g.generator.random([rois, 2]).astype(np.float32)], -1)
    g.node("RoiAlign", [x, g.value_of(boxes), g.value_of(g.draw_array(lambda: g.integer(0, x.shape[0] - 1), [rois]).astype(np.int64))], output_height=g.integer(1, 3),
           output_width=g.integer(1, 3), sampling_ratio=g.integer(1, 2), mode="avg")


def MaxUnpool(g):
    n, c, w = g.integer(1, 2), g.integer(1, 2), g.integer(1, 4)
    where = np.stack([np.stack([np.array(g.draw.sample(range(2 * w), w)) + 2 * w * (j + c * i) for j in range(c)]) for i in range(n)])
    g.node("MaxUnpool", [g.value("float32", [n, c, w]), g.value_of(where.astype(np.int64))], kernel_shape=[2], strides=[2])


def NegativeLogLikelihoodLoss(g, name="NegativeLogLikelihoodLoss"):
    n, c = g.integer(1, 4), g.integer(1, 4)
    target = g.value_of(g.draw_array(lambda: g.integer(0, c - 1), [n]).astype(np.int64))
    inputs = [g.value("float32", [n, c]), target] + ([g.constant(np.abs(g.array("float32", [c])) + np.float32(0.1))] if g.chance(0.5) else [])
    g.node(name, inputs, reduction=g.draw.choice(["none", "sum", "mean"]))


def SoftmaxCrossEntropyLoss(g):
    NegativeLogLikelihoodLoss(g, "SoftmaxCrossEntropyLoss")


def DFT(g):
    n = g.integer(1, 8)
    x = g.value("float32", [g.integer(1, 2), n, g.integer(1, 2)])
    g.node("DFT", [x, None, g.constant(np.array(1, np.int64))], inverse=g.integer(0, 1) if x.shape[-1] == 2 else 0, onesided=g.integer(0, 1) if x.shape[-1] == 1 else 0)


def Attention(g):
    b, h, s, t, d = g.integer(1, 2), g.integer(1, 2), g.integer(1, 4), g.integer(1, 4), g.integer(1, 4)
    g.node("Attention", [g.value("float32", [b, h, s, d]), g.value("float32", [b, h, t, d]), g.value("float32", [b, h, t, d])], is_causal=g.integer(0, 1))


def RotaryEmbedding(g):
    b, h, s, d = g.integer(1, 2), g.integer(1, 2), g.integer(1, 4), 2 * g.integer(1, 3)
    g.node("RotaryEmbedding", [g.value("float32", [b, h, s, d]), g.constant(g.array("float32", [b, s, d // 2])), g.constant(g.array("float32", [b, s, d // 2]))],
           interleaved=g.integer(0, 1))


def PRelu(g):
    x = g.pick(("float32",), "PRelu", rank=(1, 4))
    g.node("PRelu", [x, g.constant(g.array(x.dtype, [x.shape[-1]] if g.chance(0.5) else []))])


def IsInf(g):
    g.node("IsInf", [g.pick(("float32", "float64"), "IsInf", rank=(0, 4))], detect_negative=g.integer(0, 1), detect_positive=g.integer(0, 1))


def SwiGLU(g):
    x = g.pick(("float32",), "SwiGLU", rank=(1, 4))
    g.node("SwiGLU", [x, g.value(x.dtype, list(x.shape))])


def Gelu(g):
    g.node("Gelu", [g.pick(("float32", "float64"), "Gelu", rank=(0, 4))], approximate=g.draw.choice(["none", "tanh"]))


def scale(g):
    return g.constant(np.array(abs(g.real()) / 20, np.float32))


def QLinearMatMul(g):
    m, k, n = g.integer(1, 4), g.integer(1, 4), g.integer(1, 4)
    zero = lambda: g.constant(g.array("uint8", [], small=True))
    g.node("QLinearMatMul", [g.value("uint8", [m, k]), scale(g), zero(), g.constant(g.array("uint8", [k, n])), scale(g), zero(), scale(g), zero()])


def QLinearConv(g):
    n, c, h, w = g.integer(1, 2), g.integer(1, 3), g.integer(1, 5), g.integer(1, 5)
    x = Value_like([n, c, h, w])
    window = windows(g, x, [g.integer(1, 3), g.integer(1, 3)])
    if window:
        zero = lambda: g.constant(g.array("uint8", [], small=True))
        weights = g.constant(g.array("int8", [2, c] + window["kernel_shape"]))
        inputs = [g.value("uint8", x.shape), scale(g), zero(), weights, scale(g), g.constant(np.array(0, np.int8)), scale(g), zero()]
        g.node("QLinearConv", inputs + ([g.constant(g.array("int32", [2]))] if g.chance(0.5) else []), **window)


class Value_like:
    def __init__(self, shape):
        self.shape = shape


def DeformConv(g):
    n, c, h, w, k = g.integer(1, 2), g.integer(1, 2), g.integer(2, 4), g.integer(2, 4), g.integer(1, 2)
    oh, ow = h - k + 1, w - k + 1
    offset = g.value_of((g.generator.random([n, 2 * k * k, oh, ow]) - 0.5).astype(np.float32))
    inputs = [g.value("float32", [n, c, h, w]), g.constant(g.array("float32", [2, c, k, k])), offset]
    g.node("DeformConv", inputs + ([g.constant(g.array("float32", [2]))] if g.chance(0.5) else []), kernel_shape=[k, k])


def MaxRoiPool(g):
    h, w = g.integer(2, 5), g.integer(2, 5)
    rois = np.array([[0, 0, 0, w - 1, h - 1], [0, 0, 0, 1, 1]], np.float32)
    g.node("MaxRoiPool", [g.value("float32", [1, g.integer(1, 2), h, w]), g.value_of(rois)], pooled_shape=[g.integer(1, 2), g.integer(1, 2)], spatial_scale=1.0)


def MelWeightMatrix(g):
    g.node("MelWeightMatrix", [g.constant(np.array(v, t)) for v, t in ((g.integer(2, 8), np.int64), (g.draw.choice([16, 32]), np.int64), (8000, np.int64), (0.0, np.float32), (4000.0, np.float32))])


def STFT(g):
    frame = g.draw.choice([4, 6, 8])
    g.node("STFT", [g.value("float32", [g.integer(1, 2), frame * g.integer(1, 3), 1]), g.constant(np.array(g.integer(1, frame), np.int64)), None,
                    g.constant(np.array(frame, np.int64))], onesided=g.integer(0, 1))


def TensorScatter(g):
    b, s, d, t = g.integer(1, 2), g.integer(2, 5), g.integer(1, 3), g.integer(1, 2)
    where = g.value_of(g.draw_array(lambda: g.integer(0, s - t), [b]).astype(np.int64))
    g.node("TensorScatter", [g.value("float32", [b, 1, s, d]), g.value("float32", [b, 1, t, d]), where], mode=g.draw.choice(["linear", "circular"]))


make_reductions()
