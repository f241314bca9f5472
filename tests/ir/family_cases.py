"""What the scripts that write tables for family.h share: cases, and the table as C.

A script makes cases with `case` and ends with `write(__file__)`. Each case is one node as text of the IR, x, y, z, w, v, u, t, s, r being its inputs
in order. Inputs marked K are constants at compile time, all others are inputs of the graph: also axes, shapes and scales. Without `expected`
ONNX's reference evaluator says what comes out.
"""
import os

import numpy as np
from onnx import ValueInfoProto, defs, helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(11)
NAMES = {"float32": ("f32", "float"), "float64": ("f64", "double"), "float16": ("f16", "uint16_t"), "int64": ("i64", "int64_t"),
         "int32": ("i32", "int32_t"), "int16": ("i16", "int16_t"), "uint16": ("u16", "uint16_t"), "int8": ("i8", "int8_t"),
         "uint8": ("u8", "uint8_t"), "uint32": ("u32", "uint32_t"), "uint64": ("u64", "uint64_t"), "bool": ("bool", "uint8_t")}
LETTERS = "xyzwvutsr"
cases = []


class K:
    def __init__(self, value, dtype=None):
        self.value = np.asarray(value, dtype=dtype)


def real(*shape, dtype=np.float32, low=-2.0, high=2.0):
    return rng.uniform(low, high, shape).astype(dtype)


def whole(*shape, dtype=np.int32, low=-9, high=9):
    return rng.integers(low, high, shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


def attribute_text(value):
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(attribute_text(v) for v in value) + "]"
    return repr(value)


def case(name, op, *inputs, outputs=1, expected=None, tolerance=None, **attributes):
    arrays = [None if i is None else i.value if isinstance(i, K) else np.asarray(i) for i in inputs]
    names = ["" if a is None else LETTERS[i] for i, a in enumerate(arrays)]
    results = [f"o{i}" for i in range(outputs)]
    if expected is None:
        node = helper.make_node(op, names, results, **attributes)
        values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in zip(names, arrays) if a is not None]
        graph = helper.make_graph([node], "g", values, [ValueInfoProto(name=r) for r in results])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", defs.onnx_opset_version())])
        with np.errstate(all="ignore"):
            expected = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, arrays) if a is not None})
    text = "(" + " ".join([op] + [n or "_" for n in names] + [f":{k} {attribute_text(v)}" for k, v in attributes.items()]) + ")"
    cases.append((name, text, [(a, isinstance(i, K)) for a, i in zip(arrays, inputs)], [np.asarray(e) for e in expected], tolerance))


def element(value, dtype):
    if dtype.kind == "f":
        value = float(value)
        if np.isnan(value):
            return "NAN"
        if np.isinf(value):
            return "INFINITY" if value > 0 else "-INFINITY"
        return repr(value) if dtype == np.float64 else f"{np.format_float_positional(np.float32(value), trim='0')}f"
    if dtype == np.int64 and value == np.iinfo(np.int64).min:
        return "INT64_MIN"
    if dtype == np.uint64:
        return f"{int(value)}u"
    return str(int(value))


def write(script):
    print(f"/* Written by {os.path.basename(script)}: operators, and what ONNX's reference evaluator or NumPy say about them. */")
    number = 0
    rows = []

    def tensor(array, constant):
        nonlocal number
        if array is None:
            return "{0}"
        name, ctype = NAMES[array.dtype.name]
        flat = array.ravel()
        if array.dtype == np.float16:
            flat = flat.view(np.uint16)
        values = ", ".join(element(v, flat.dtype) for v in flat) or "0"
        print(f"static const {ctype} family{number}[] = {{{values}}};")
        number += 1
        dims = ", ".join(str(d) for d in array.shape) or "0"
        return f'{{"{name}", {array.ndim}, {{{dims}}}, family{number - 1}, {"true" if constant else "false"}}}'

    for name, text, inputs, outputs, tolerance in cases:
        ins = ", ".join(tensor(a, k) for a, k in inputs)
        outs = ", ".join(tensor(o, False) for o in outputs)
        quoted = text.replace('"', '\\"')
        rows.append(f'    {{"{name}", "{quoted}", {len(inputs)}, {{{ins}}}, {len(outputs)}, {{{outs}}}, {tolerance or 0}}},')
    print("static const FamilyCase family_cases[] = {")
    print("\n".join(rows))
    print("};")
