#!/usr/bin/env python3
"""Writes small models that are wrong, greedy or odd, and what `lathe run MODEL -i ones` must answer.   make.py [OUT, default: the folder of this script]

OUT/CLASS-NAME.onnx and OUT/cases.tsv: file, exit code, words of the message (empty for those that must run). tests/hostile.sh goes through them.
Needs onnx and numpy; not part of the build, since the models are committed.
"""
import os
import sys

import numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper as nh

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
RUNS, UNSUPPORTED, MALFORMED, INPUT_OUTPUT, LIMIT = 0, 3, 4, 5, 8
INT_MIN, INT_MAX = -2**63, 2**63 - 1
N = h.make_node
cases = []


def value(name, shape=(4, 4), dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def open_value(name):
    """A value of which the model says nothing but the name."""
    return h.make_empty_tensor_value_info(name)


def ints(name, values, dtype="i8"):
    return nh.from_array(np.array(values, dtype), name)


def graph(nodes, inputs, outputs, inits=(), name="g"):
    return h.make_graph(nodes, name, inputs, outputs, list(inits))


def model(nodes, inits=(), inputs=None, outputs=None, opset=17, ir=8, functions=()):
    domains = [h.make_opsetid("", opset)] + ([h.make_opsetid("loc", 1)] if functions else [])
    made = h.make_model(graph(nodes, [value("x")] if inputs is None else inputs, [open_value("y")] if outputs is None else outputs, inits),
                        opset_imports=domains, functions=list(functions), producer_name="")
    made.ir_version = ir
    return made


def case(name, code, words, made):
    data = made if isinstance(made, bytes) else made.SerializeToString()
    with open(os.path.join(OUT, name + ".onnx"), "wb") as file:
        file.write(data)
    cases.append((name + ".onnx", str(code), words))


def function(name, nodes):
    """f(a, x) -> b over nodes of opset 17 and functions of this model."""
    return h.make_function("loc", name, ["a", "x"], ["b"], nodes, [h.make_opsetid("", 17), h.make_opsetid("loc", 1)])


def doubled(depth):
    """A chain of 2^depth times two nodes from functions that call the one before twice."""
    made = [function("f0", [N("Add", ["a", "x"], ["t"]), N("Mul", ["t", "x"], ["b"])])]
    for i in range(1, depth + 1):
        made.append(function(f"f{i}", [N(f"f{i - 1}", ["a", "x"], ["t"], domain="loc"), N(f"f{i - 1}", ["t", "x"], ["b"], domain="loc")]))
    return model([N(f"f{depth}", ["x", "x"], ["y"], domain="loc", name="n")], functions=made)


def nested(depth):
    nodes = [N("Relu", ["x"], ["v"])]
    for _ in range(depth):
        other = graph([N("Neg", ["x"], ["v"])], [], [open_value("v")])
        nodes = [N("If", ["c"], ["v"], then_branch=graph(nodes, [], [open_value("v")]), else_branch=other)]
    nodes[0].output[0] = "y"
    return model(nodes, inputs=[value("x"), value("c", [], T.BOOL)])


def loop(trips, inits=()):
    body = graph([N("Identity", ["c"], ["d"]), N("Add", ["a", "a"], ["b"])], [value("i", [], T.INT64), value("c", [], T.BOOL), value("a")],
                 [value("d", [], T.BOOL), value("b")])
    return model([N("Loop", ["n" if trips is not None else "", "k", "x"], ["y"], name="n", body=body)],
                 [ints("k", True, "?")] + ([ints("n", trips)] if trips is not None else []))


def external(location):
    made = model([N("Add", ["x", "w"], ["y"])])
    tensor = made.graph.initializer.add(name="w", dims=[4, 4], data_type=T.FLOAT, data_location=T.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return made


def with_bytes():
    whole = model([N("Relu", ["x"], ["y"])]).SerializeToString()
    case("bytes-nul", MALFORMED, "not a valid ONNX file", b"\0")
    case("bytes-cut", MALFORMED, "a length reaches past the end", whole[:len(whole) // 2])
    case("bytes-long-field", MALFORMED, "a length reaches past the end", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
    case("bytes-text", MALFORMED, "not a valid ONNX file", b"graph g { y = Relu(x) }\n" * 8)


def with_shapes():
    case("shapes-negative", MALFORMED, "negative dim -3", model([N("Relu", ["x"], ["y"])], inputs=[value("x", [-3, 4])]))
    case("shapes-product", MALFORMED, "more bytes than 63 bits", model([N("Relu", ["x"], ["y"])], inputs=[value("x", [2**40, 2**40])]))
    case("shapes-eight-gib", LIMIT, "take 17180393472 bytes, the limit is", model([N("Relu", ["x"], ["y"])], inputs=[value("x", [65536, 32769])]))
    case("shapes-concat-doubles", LIMIT, "larger than the limit of 256 GiB",
         model([N("Concat", [f"t{i}" if i else "x"] * 2, [f"t{i + 1}" if i < 59 else "y"], axis=0) for i in range(60)]))


def with_graphs():
    case("graph-cycle", MALFORMED, "cycle", model([N("Add", ["x", "t"], ["u"]), N("Relu", ["u"], ["t"]), N("Neg", ["t"], ["y"])]))
    case("graph-ghost", MALFORMED, '"ghost" is made by no node', model([N("Add", ["x", "ghost"], ["y"])]))
    case("graph-made-twice", MALFORMED, "is made twice", model([N("Relu", ["x"], ["y"]), N("Neg", ["x"], ["y"])]))
    case("graph-inputs-2049", LIMIT, "the node has 2049 inputs, the limit is 2048", model([N("Sum", ["x"] * 2049, ["y"])]))
    case("graph-chain-8192", RUNS, "", doubled(12))
    case("graph-if-20-deep", RUNS, "", nested(20))


def with_constants():
    at = [value("y", [2, 4])]
    case("constants-gather", MALFORMED, "index 9 is outside axis 0 of f32[4,4]", model([N("Gather", ["x", "i"], ["y"])], [ints("i", [0, 9])], outputs=at))
    case("constants-float-shape", MALFORMED, "must be i64", model([N("Reshape", ["x", "s"], ["y"])], [ints("s", [4, 4], "f4")]))
    case("constants-tile", MALFORMED, "more than 63 bits", model([N("Tile", ["x", "r"], ["y"])], [ints("r", [2**62, 2**62])]))
    case("constants-pad", MALFORMED, "outside -2^40..2^40", model([N("Pad", ["x", "p"], ["y"])], [ints("p", [INT_MAX, 0, INT_MAX, 0])]))
    case("constants-range", MALFORMED, "longer than 63 bits", model([N("Range", ["a", "b", "c"], ["y"])], [ints("a", INT_MIN), ints("b", INT_MAX), ints("c", 1)]))
    case("constants-tera", LIMIT, "larger than the limit of 256 GiB",
         model([N("ConstantOfShape", ["s"], ["t"]), N("ReduceSum", ["t"], ["u"], keepdims=0), N("Add", ["x", "u"], ["y"])], [ints("s", [10**6, 10**6])]))
    case("constants-minimum-by-minus-one", RUNS, "",
         model([N("Div", ["a", "b"], ["q"]), N("Mod", ["a", "b"], ["r"]), N("Div", ["i", "b"], ["t"]), N("Add", ["q", "t"], ["u"]), N("Add", ["u", "r"], ["y"])],
               [ints("a", [INT_MIN] * 4), ints("b", [-1, 1, -1, 0])], inputs=[value("i", [4], T.INT64)]))


def with_attributes():
    weight = nh.from_array(np.ones((2, 3, 3, 3), "f4"), "w")
    picture = [value("x", [1, 3, 8, 8])]
    case("attributes-stride-0", MALFORMED, "strides[0] is 0", model([N("Conv", ["x", "w"], ["y"], strides=[0, 1])], [weight], picture))
    case("attributes-group", MALFORMED, "group is 4611686018427387904", model([N("Conv", ["x", "w"], ["y"], group=2**62)], [weight], picture))
    case("attributes-axis", MALFORMED, "axis -9223372036854775808 is outside", model([N("Softmax", ["x"], ["y"], axis=INT_MIN)]))
    case("attributes-unknown", MALFORMED, "Relu has no attribute 'banana'", model([N("Relu", ["x"], ["y"], banana=1)]))


def with_control():
    case("control-loop-3", RUNS, "", loop(3))
    case("control-loop-long", UNSUPPORTED, "Loop has 4611686018427387904 iterations", loop(2**62))
    case("control-loop-endless", UNSUPPORTED, "Loop never ends", loop(None))
    case("control-if-half", MALFORMED, "If has no else_branch",
         model([N("If", ["c"], ["y"], then_branch=graph([N("Relu", ["x"], ["v"])], [], [open_value("v")]))], inputs=[value("x"), value("c", [], T.BOOL)]))


def with_functions():
    case("functions-endless", MALFORMED, "calls itself", model([N("f", ["x", "x"], ["y"], domain="loc")], functions=[function("f", [N("f", ["a", "x"], ["b"], domain="loc")])]))
    case("functions-2-to-40", LIMIT, "more than 1000000 nodes", doubled(40))


def with_names():
    odd = ["a\nb", "$(touch x)`id`", "%n%s%p", "main", "../../y", "malloc", "a.b", "a_b", '"];\\']
    case("names-odd", RUNS, "", model([N("Relu", [f"{name}{i}" if i else name], [odd[i + 1] + (str(i + 1))], name=name) for i, name in enumerate(odd[:-1])],
                                      inputs=[value(odd[0])], outputs=[open_value(odd[-1] + str(len(odd) - 1))]))


def with_files():
    case("external-above", MALFORMED, '"../hostile/make.py" leaves the model\'s folder', external("../hostile/make.py"))
    case("external-absolute", MALFORMED, '"/dev/zero" is not relative', external("/dev/zero"))
    case("external-missing", INPUT_OUTPUT, '"nobody.bin" cannot be opened: ', external("nobody.bin"))
    case("versions-opset-99", UNSUPPORTED, "99", model([N("Relu", ["x"], ["y"])], opset=99))
    case("versions-opset-0", MALFORMED, "0", model([N("Relu", ["x"], ["y"])], opset=0))


for write in (with_bytes, with_shapes, with_graphs, with_constants, with_attributes, with_control, with_functions, with_names, with_files):
    write()
with open(os.path.join(OUT, "cases.tsv"), "w") as table:
    table.writelines("\t".join(row) + "\n" for row in cases)
