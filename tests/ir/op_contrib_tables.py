"""Writes tests/ir/op_contrib_tables.h: operators of com.microsoft and ai.onnx.ml. What must come out is what ONNX Runtime says (1.31, CPU).

Run from the root, where onnxruntime is installed: python3 tests/ir/op_contrib_tables.py > tests/ir/op_contrib_tables.h
"""
import numpy as np
import onnxruntime
from onnx import ValueInfoProto, helper

import family_cases
from family_cases import K, ints, whole, write

MICROSOFT, ML = "com.microsoft", "ai.onnx.ml"


def real(*shape, low=-2.0, high=2.0):
    """Numbers of few digits, so that the table stays small."""
    return (np.round(family_cases.real(*shape, low=low, high=high) * 64) / 64 + (1 / 64 if low > 0 else 0)).astype(np.float32)


def attribute_text(value):
    if isinstance(value, list) and value and isinstance(value[0], str):
        return "[" + " ".join(f'"{v}"' for v in value) + "]"
    return plain_text(value)


plain_text, family_cases.attribute_text = family_cases.attribute_text, attribute_text


def judged(name, domain, op, *inputs, outputs=1, version=1, tolerance=None, **attributes):
    arrays = [None if i is None else i.value if isinstance(i, K) else np.asarray(i) for i in inputs]
    names = ["" if a is None else f"i{k}" for k, a in enumerate(arrays)]
    results = [f"o{k}" for k in range(outputs)]
    values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in zip(names, arrays) if a is not None]
    graph = helper.make_graph([helper.make_node(op, names, results, domain=domain, **attributes)], "g", values, [ValueInfoProto(name=r) for r in results])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)] + ([helper.make_opsetid(domain, version)] if domain else []))
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {n: a for n, a in zip(names, arrays) if a is not None})
    text = (domain.replace(".", "_") + "_" if domain else "") + op
    family_cases.case(name, text, *inputs, outputs=outputs, expected=expected, tolerance=tolerance, **attributes)


def microsoft(name, op, *inputs, **rest):
    judged(name, MICROSOFT, op, *inputs, **rest)


# ---- fused forms ----
X, W = real(2, 3, 5, 6), K(real(4, 3, 3, 3))
microsoft("fused-conv-leaky", "FusedConv", X, W, K(real(4)), pads=[1, 1, 1, 1], activation="LeakyRelu", activation_params=[0.3], tolerance=1e-5)
microsoft("fused-conv-clip-z", "FusedConv", X, W, K(real(4)), real(2, 4, 5, 6), pads=[1, 1, 1, 1], activation="Relu", tolerance=1e-5)
microsoft("fused-matmul-turned", "FusedMatMul", real(2, 5, 3), real(2, 4, 5), transA=1, transB=1, alpha=0.5, tolerance=1e-5)
microsoft("fused-matmul-batch", "FusedMatMul", real(5, 2, 3), real(4, 2, 5), transA=1, transB=1, transBatchA=1, transBatchB=1, tolerance=1e-5)
microsoft("fused-gemm", "FusedGemm", real(3, 5), K(real(5, 4)), K(real(4)), activation="LeakyRelu", activation_alpha=0.25, alpha=0.5, beta=0.25, tolerance=1e-5)
microsoft("gelu", "Gelu", real(3, 5), tolerance=1e-5)
microsoft("fast-gelu", "FastGelu", real(3, 5), real(5), tolerance=1e-5)
microsoft("quick-gelu", "QuickGelu", real(3, 5), alpha=1.5, tolerance=1e-5)
microsoft("bias-gelu", "BiasGelu", real(3, 5), real(5), tolerance=1e-5)
microsoft("skip-layer-norm", "SkipLayerNormalization", real(2, 3, 8), real(3, 8), K(real(8)), K(real(8)), K(real(8)), epsilon=1e-5, tolerance=1e-4)
microsoft("skip-rms-norm", "SkipSimplifiedLayerNormalization", real(2, 3, 8), real(2, 3, 8), K(real(8)), tolerance=1e-4)
judged("rms-norm", "", "SimplifiedLayerNormalization", real(2, 3, 8), K(real(8)), outputs=2, tolerance=1e-4)
microsoft("embed-layer-norm", "EmbedLayerNormalization", whole(2, 6, low=0, high=10), whole(2, 6, low=0, high=2), K(real(10, 8)), K(real(12, 8)),
          K(real(2, 8)), K(real(8)), K(real(8)), whole(2, 6, low=0, high=2), outputs=2, epsilon=1e-6, tolerance=1e-4)

# ---- quantised ----
for dtype, low, high in ((np.uint8, 0, 255), (np.int8, -128, 127)):
    def bytes_(*shape):
        return whole(*shape, dtype=dtype, low=low, high=high)
    S, Z = (lambda v: K(np.float32(v))), (lambda v: K(dtype(v)))
    kind = dtype.__name__
    microsoft(f"qlinear-add-{kind}", "QLinearAdd", bytes_(2, 3, 4), S(0.11), Z(3), bytes_(2, 1, 4), S(0.23), Z(5), S(0.17), Z(7))
    microsoft(f"qlinear-mul-{kind}", "QLinearMul", bytes_(2, 3, 4), S(0.1), Z(3), bytes_(4), S(0.2), Z(5), S(0.95), Z(7))
    microsoft(f"qlinear-sigmoid-{kind}", "QLinearSigmoid", bytes_(3, 9), S(0.05), Z(100), S(1 / 256), Z(0))
    microsoft(f"qlinear-leaky-relu-{kind}", "QLinearLeakyRelu", bytes_(3, 9), S(0.05), Z(100), S(0.04), Z(20), alpha=0.2)
    microsoft(f"qlinear-global-average-{kind}", "QLinearGlobalAveragePool", bytes_(2, 3, 5, 4), S(0.0517), Z(100), S(0.0413), Z(20))
    microsoft(f"qlinear-concat-{kind}", "QLinearConcat", S(0.1), Z(2), bytes_(2, 3), S(0.05), Z(100), bytes_(2, 4), S(0.04), Z(20), axis=1)
    microsoft(f"dynamic-quantize-matmul-{kind}", "DynamicQuantizeMatMul", real(2, 3, 8), K(bytes_(8, 5)), K(real(5, low=0.1)),
              K(bytes_(5)), K(real(5)), tolerance=1e-4)
    microsoft(f"matmul-integer-to-float-{kind}", "MatMulIntegerToFloat", bytes_(2, 3, 8), K(bytes_(8, 5)), S(0.01), K(real(5, low=0.01, high=0.1)), Z(3),
              K(bytes_(5)), K(real(5)), tolerance=1e-4)
for bits in (2, 4, 8):
    for zeros in (False, True):
        per, blocks = 8 // bits, 3
        packed = whole(6, blocks, 16 // per, dtype=np.uint8, low=0, high=256)
        microsoft(f"matmul-{bits}-bits{'-zeros' * zeros}", "MatMulNBits", real(2, 40), K(packed), K(real(6 * blocks, low=0.01)),
                  K(whole(6 * (-(-blocks // per)), dtype=np.uint8, low=0, high=256)) if zeros else None, None, K(real(6)),
                  K=40, N=6, bits=bits, block_size=16, tolerance=1e-4)

# ---- attention ----
B, S, D, H = 2, 4, 6, 3
X, W, V = real(B, S, D), K(real(D, 3 * D)), K(real(3 * D))
for name, rest, more in (("plain", [], {}), ("causal", [], {"unidirectional": 1}), ("lengths", [np.array([2, 4], np.int32)], {}),
                         ("marks", [np.array([[1, 1, 0, 0], [1, 1, 1, 0]], np.int32)], {}), ("bias", [None, None, real(1, H, S, S)], {})):
    microsoft(f"attention-{name}", "Attention", X, W, V, *rest, num_heads=H, tolerance=1e-4, **more)
microsoft("attention-past", "Attention", X, W, V, None, real(2, B, H, 5, 2), outputs=2, num_heads=H, unidirectional=1, tolerance=1e-4)
microsoft("multi-head-padding", "MultiHeadAttention", real(B, S, D), real(B, 6, D), real(B, 6, 9), None, whole(B, 6, low=0, high=2), num_heads=H, tolerance=1e-4)
microsoft("multi-head-past", "MultiHeadAttention", real(B, S, D), real(B, S, D), real(B, S, D), None, None, None, real(B, H, 5, 2), real(B, H, 5, 2),
          outputs=3, num_heads=H, unidirectional=1, tolerance=1e-4)
COSINE, SINE = K(real(10, 8)), K(real(10, 8))
microsoft("rotary", "RotaryEmbedding", real(B, S, 48), whole(B, S, dtype=np.int64, low=0, high=10), COSINE, SINE, interleaved=1, num_heads=3, tolerance=1e-5)
microsoft("rotary-offset", "RotaryEmbedding", real(B, 3, S, 16), ints(3), COSINE, SINE, tolerance=1e-5)
for name, new, old, lengths, total, more in (("prompt", 4, 0, [4], 4, {}), ("step", 1, 6, [4, 7], 7, {}), ("room", 1, 9, [7, 6], 7, {}),
                                             ("window", 1, 6, [7, 7], 7, {"local_window_size": 3}), ("softcap", 3, 6, [9], 9, {"softcap": 2.0})):
    n = len(lengths)
    microsoft(f"group-query-{name}", "GroupQueryAttention", real(n, new, 64), real(n, new, 32), real(n, new, 32), real(n, 2, old, 16), real(n, 2, old, 16),
              np.array(lengths, np.int32) - 1, np.int32(total), COSINE, SINE, outputs=3, num_heads=4, kv_num_heads=2, do_rotary=1, tolerance=1e-4, **more)

# ---- ai.onnx.ml ----
def ml(name, op, *inputs, **rest):
    judged(name, ML, op, *inputs, **rest)


def numbers(*shape, low=-1.0, high=1.0):
    return [float(v) for v in real(*shape, low=low, high=high).ravel()]


ml("array-feature-extractor", "ArrayFeatureExtractor", real(3, 5), ints(3, 0))
ml("binarizer", "Binarizer", real(3, 5), threshold=0.25)
ml("feature-vectorizer", "FeatureVectorizer", real(3, 2), real(3, 4), inputdimensions=[2, 4])
holes = real(3, 4)
holes[0, 1] = holes[2, 3] = 0
ml("imputer", "Imputer", holes, imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=0.0)
ml("scaler", "Scaler", whole(4, 5, dtype=np.int64), offset=numbers(5), scale=numbers(5))
for norm in ("MAX", "L1", "L2"):
    ml(f"normalizer-{norm}", "Normalizer", real(4, 5), norm=norm)
ml("linear-regressor", "LinearRegressor", real(4, 5), coefficients=numbers(2, 5), intercepts=numbers(2), targets=2, tolerance=1e-5)
for post in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
    ml(f"linear-classifier-{post}", "LinearClassifier", real(4, 5), outputs=2, coefficients=numbers(3, 5), intercepts=numbers(3),
       classlabels_ints=[4, 2, 9], post_transform=post, tolerance=1e-5)
ml("linear-classifier-of-two", "LinearClassifier", real(4, 5), outputs=2, coefficients=numbers(5), intercepts=[0.25], classlabels_ints=[4, 2],
   post_transform="LOGISTIC", tolerance=1e-5)
for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
    ml(f"svm-regressor-{kernel}", "SVMRegressor", real(4, 5), coefficients=numbers(6), kernel_params=[0.5, 0.25, 3.0], kernel_type=kernel, n_supports=6,
       rho=[0.25], support_vectors=numbers(6, 5), tolerance=1e-4)
for kernel in ("LINEAR", "RBF"):
    for sizes in ([2, 3], [2, 3, 1]):
        n, total = len(sizes), sum(sizes)
        ml(f"svm-classifier-{kernel}-{n}", "SVMClassifier", real(6, 5), outputs=2, coefficients=numbers(total * (n - 1)), kernel_params=[0.5, 0.25, 3.0],
           kernel_type=kernel, rho=numbers(n * (n - 1) // 2), support_vectors=numbers(total, 5), vectors_per_class=sizes,
           classlabels_ints=[3, 5, 6][:n], tolerance=1e-4)
ml("one-hot", "OneHotEncoder", whole(4, 3, dtype=np.int64, low=0, high=5), cats_int64s=[1, 3, 2])
ml("label-encoder", "LabelEncoder", whole(4, 3, dtype=np.int64, low=0, high=5), version=2, keys_int64s=[1, 3, 2], values_floats=[0.5, 0.25, 2.0],
   default_float=-1.0)

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def trees(count, features, depth, modes):
    """Lists of nodes of random trees, and the leaves."""
    lists = {f"nodes_{n}": [] for n in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = []
    for tree in range(count):
        rows = []

        def grow(left):
            me = len(rows)
            rows.append(None)
            if left == 0 or (left < depth and family_cases.rng.random() < 0.2):
                rows[me] = (tree, me, 0, "LEAF", 0.0, 0, 0, 0)
                leaves.append((tree, me))
            else:
                yes, no = grow(left - 1), grow(left - 1)
                rows[me] = (tree, me, int(whole(1, low=0, high=features)[0]), modes[int(whole(1, low=0, high=len(modes))[0])],
                            float(whole(1, low=-3, high=4)[0]) / 2, yes, no, int(whole(1, low=0, high=2)[0]))
            return me

        grow(depth)
        for row in rows:
            for key, value in zip(lists, row):
                lists[key].append(value)
    return lists, leaves


def forest(name, targets, aggregate="SUM", modes=MODES, every=True, **more):
    lists, leaves = trees(4, 3, 3, modes)
    weights = [(t, n, i) for t, n in leaves for i in (range(targets) if every else [int(whole(1, low=0, high=targets)[0])])]
    x = np.round(real(6, 3) * 2) / 2
    x[1, 2] = np.nan
    ml(name, "TreeEnsembleRegressor", x.astype(np.float32), version=3, n_targets=targets, aggregate_function=aggregate, target_treeids=[w[0] for w in weights],
       target_nodeids=[w[1] for w in weights], target_ids=[w[2] for w in weights], target_weights=numbers(len(weights)), **lists, **more)


forest("trees-sum", 2)
forest("trees-base", 2, base_values=[0.5, 1.0])
forest("trees-average", 2, "AVERAGE", ["BRANCH_LEQ"])
forest("trees-min", 3, "MIN", every=False)
forest("trees-max", 2, "MAX")
forest("trees-many-targets", 9, every=False)
forest("trees-softmax", 3, post_transform="SOFTMAX", tolerance=1e-5)
for labels, ids in ((3, None), (2, 0)):
    lists, leaves = trees(4, 3, 3, ["BRANCH_LEQ"])
    weights = [(t, n, i) for t, n in leaves for i in (range(labels) if ids is None else [ids])]
    ml(f"trees-classes-{labels}", "TreeEnsembleClassifier", real(6, 3), outputs=2, version=3, classlabels_int64s=[5, 3, 8][:labels], post_transform="LOGISTIC",
       class_treeids=[w[0] for w in weights], class_nodeids=[w[1] for w in weights], class_ids=[w[2] for w in weights],
       class_weights=numbers(len(weights)), tolerance=1e-5, **lists)

# ---- n-grams ----
WORDS = np.array([[1, 1, 3, 3, 3, 7], [8, 6, 7, 5, 6, 8]], np.int32)
for mode, skip, indexes in (("TF", 0, [0, 1, 2, 3, 4, 5, 6]), ("IDF", 1, [6, 2, 4, 0, 1, 3, 5]), ("TFIDF", 5, [0, 1, 2, 3, 4, 5, 8])):
    judged(f"n-grams-{mode}", "", "TfIdfVectorizer", WORDS, mode=mode, min_gram_length=1, max_gram_length=2, max_skip_count=skip, ngram_counts=[0, 4],
           ngram_indexes=indexes, pool_int64s=[2, 3, 5, 4, 5, 6, 7, 8, 6, 7], weights=[0.5, 2.0, 3.0, 0.25, 1.5, 0.75, 4.0])
write(__file__)
