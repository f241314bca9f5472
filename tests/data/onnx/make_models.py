#!/usr/bin/env python3
"""Writes the small models of the importer's tests.   make_models.py [OUT, default: the folder of this script]

good/       must be imported; tests/frontend/test_import.c says what must come out
bad/        must be refused; tests/frontend/test_refuse.c says with which code and words
versions/   NAME.old.onnx in an old opset and NAME.new.onnx written by hand in the newest one: both must give the same graph. The script
            itself checks with the reference evaluator that the two give the same numbers.
external/   external data at locations good and bad; the test makes the files
Needs onnx and numpy; not part of the build, since the models are committed.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnx.reference import ReferenceEvaluator

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
NEWEST = 25  # the newest opset that the reference evaluator and the checker know as released
N = h.make_node


def value(name, shape=(4, 4), dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def tensor(name, array, dtype=None):
    return nh.from_array(np.asarray(array, dtype), name)


def model(nodes, inputs=None, outputs=None, inits=(), opset=17, ir=8, domains=(), functions=(), sparse=()):
    graph = h.make_graph(nodes, "g", [value("x")] if inputs is None else inputs, [value("y")] if outputs is None else outputs, list(inits))
    graph.sparse_initializer.extend(sparse)
    made = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in domains],
                        functions=list(functions), producer_name="")
    made.ir_version = ir
    return made


def write(folder, name, made):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    data = made if isinstance(made, bytes) else made.SerializeToString()
    with open(os.path.join(OUT, folder, name + ".onnx"), "wb") as file:
        file.write(data)


def changed(made, change):
    change(made)
    return made


def relu():
    return model([N("Relu", ["x"], ["y"], name="r")])


def function(name, nodes, inputs=("a",), outputs=("b",), attributes=(), protos=()):
    made = h.make_function("loc", name, list(inputs), list(outputs), nodes, [h.make_opsetid("", 17), h.make_opsetid("loc", 1)], list(attributes))
    made.attribute_proto.extend(protos)
    return made


def refer(node, name, to, kind):
    node.attribute.add(name=name, ref_attr_name=to, type=kind)
    return node


def choose(then, other, inits=(), outputs=None, inputs=()):
    """An If with a condition that only a run knows; the branches are lists of nodes that make v."""
    graphs = [h.make_graph(nodes, "branch", [], [h.make_empty_tensor_value_info("v")]) for nodes in (then, other)]
    return model([N("If", ["c"], ["y"], name="n", then_branch=graphs[0], else_branch=graphs[1])],
                 [value("x"), value("c", [1], T.BOOL), *inputs], outputs or [h.make_empty_tensor_value_info("y")], inits)


def loop(nodes, trips, carried, outputs, condition=True, inputs=(), more=()):
    """A Loop over body inputs i, c and a, body outputs d (condition), b and what the nodes make of `more`."""
    body = h.make_graph(nodes, "body", [value("i", [], T.INT64), value("c", [], T.BOOL), h.make_empty_tensor_value_info("a")],
                        [value("d", [], T.BOOL)] + [h.make_empty_tensor_value_info(n) for n in ["b", *more]])
    inits = [tensor("n", np.int64(trips))] if trips is not None else []
    inits += [tensor("k", np.bool_(True))] if condition is True else []
    inits += [carried] if carried is not None else []
    return model([N("Loop", ["n" if trips is not None or "n" in [i.name for i in inputs] else "", "k", "x"], [o.name for o in outputs], name="n", body=body)],
                 list(inputs), outputs, inits)


def good_bodies():
    """Values are checked by the test: 1 + 0 + 1 + 2 = 4, since the condition i < 2 fails after the third iteration."""
    write("good", "if_run", choose([N("Relu", ["x"], ["v"])], [N("Neg", ["x"], ["v"])]))
    numbers = tensor("x", np.array([1, 10]), "i8")
    counting = [N("Constant", [], ["two"], value_int=2), N("Less", ["i", "two"], ["d"]), N("Add", ["a", "i"], ["b"])]
    write("good", "loop_numbers", loop(counting + [N("Identity", ["b"], ["s"])], 5, numbers, [value("y", [2], T.INT64), value("z", [3, 2], T.INT64)], more=["s"]))
    write("good", "loop_once", loop([N("Not", ["c"], ["d"]), N("Add", ["a", "a"], ["b"])], None, None, [value("y")], inputs=[value("x")]))
    add = h.make_graph([N("Add", ["a", "p"], ["b"]), N("Identity", ["b"], ["s"])], "body", [value("a", [], T.INT64), value("p", [], T.INT64)],
                       [value("b", [], T.INT64), value("s", [], T.INT64)])
    write("good", "scan_backwards", model([N("Scan", ["o", "x"], ["y", "z"], body=add, num_scan_inputs=1, scan_input_directions=[1], scan_output_directions=[1])],
                                          [], [value("y", [], T.INT64), value("z", [3], T.INT64)], [tensor("o", np.int64(0)), tensor("x", np.array([1, 2, 3]), "i8")]))


def run_bodies():
    """What only a run decides: the test compares the imported graphs with the texts beside the models."""
    relu_of_x, same = [N("Relu", ["x"], ["v"])], [N("Identity", ["c"], ["d"]), N("Identity", ["a"], ["b"])]
    x, y, trips = value("x"), value("y"), value("n", [], T.INT64)
    write("good", "if_shapes", choose(relu_of_x, [N("Concat", ["x", "x"], ["v"], axis=0)]))
    write("good", "if_checked", choose(relu_of_x, [N("Gather", ["x", "at"], ["v"])], inputs=[value("at", [4], T.INT64)]))
    write("good", "if_ranks", choose(relu_of_x, [N("Flatten", ["x"], ["f"]), N("ReduceSum", ["f"], ["v"], keepdims=0)]))
    squeezed = [N("Shape", ["x"], ["s"], start=1), N("Equal", ["s", "one"], ["c"]),
                N("If", ["c"], ["v"], name="n", then_branch=h.make_graph([N("Squeeze", ["x", "one"], ["a"])], "narrow", [], [h.make_empty_tensor_value_info("a")]),
                  else_branch=h.make_graph([N("Identity", ["x"], ["a"])], "wide", [], [h.make_empty_tensor_value_info("a")])),
                N("Concat", ["v", "w"], ["y"], axis=0)]
    write("good", "if_squeeze", model(squeezed, [value("x", ["N", "M"]), value("w", [3])], [value("y", [None])], [tensor("one", np.array([1]))]))
    write("good", "if_sequences", choose([N("SequenceConstruct", ["x"], ["v"])], [N("SequenceEmpty", [], ["v"])],
                                         outputs=[h.make_tensor_sequence_value_info("y", T.FLOAT, None)]))
    write("good", "loop_unknown", loop(same, None, None, [y], inputs=[x, trips]))
    write("good", "loop_condition", loop(same, 3, None, [y], False, inputs=[x, value("k", [], T.BOOL)]))
    write("good", "loop_65", loop(same, 65, None, [y], inputs=[x]))
    write("good", "loop_grows", loop([same[0], N("Concat", ["a", "x"], ["b"], axis=1), N("ReduceSum", ["b", "last"], ["s"], keepdims=0)], None, tensor("last", np.array([1])),
                                     [value("y", [4, None]), value("z", [None, 4])], inputs=[x, trips], more=["s"]))
    append = [same[0], N("Cast", ["i"], ["f"], to=T.FLOAT), N("Add", ["x", "f"], ["r"]), N("Concat", ["a", "r"], ["b"], axis=0)]
    write("good", "loop_appends", loop(append, None, None, [value("y", [None, 4])], inputs=[x, trips]))
    write("good", "loop_appends_and_reads", loop([*append, N("ReduceMax", ["a", "last"], ["s"], keepdims=0)], None, tensor("last", np.array([0])),
                                                 [value("y", [None, 4]), value("z", [None, 4])], inputs=[x, trips], more=["s"]))
    loops = loop([same[0], N("Loop", ["i", "", "a"], ["b"], body=h.make_graph([N("Add", ["q", "x"], ["r"]), N("Identity", ["p"], ["u"])], "inner",
                 [value("j", [], T.INT64), value("p", [], T.BOOL), value("q")], [value("u", [], T.BOOL), value("r")]))], None, None, [y], inputs=[x, trips])
    write("good", "loop_in_loop", loops)
    open_scan = h.make_graph([N("Add", ["a", "p"], ["b"]), N("Neg", ["b"], ["s"])], "body", [value("a", [3]), value("p", [3])], [value("b", [3]), value("s", [3])])
    write("good", "scan_open", model([N("Scan", ["o", "x"], ["y", "z"], body=open_scan, num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[1], scan_output_directions=[1])],
                                     [value("o", [3]), value("x", [3, "T"])], [value("y", [3]), value("z", [3, "T"])]))
    write("good", "sequence_known", model([N("SplitToSequence", ["x"], ["s"], axis=0), N("SequenceErase", ["s", "one"], ["t"]), N("SequenceInsert", ["t", "x", "one"], ["u"]),
                                           N("SequenceAt", ["u", "one"], ["v"]), N("ConcatFromSequence", ["u"], ["y"], axis=0), N("SequenceLength", ["u"], ["n"]), N("Optional", ["u"], ["p"]),
                                           N("OptionalGetElement", ["p"], ["q"]), N("SequenceAt", ["q", "last"], ["w"]), N("OptionalHasElement", [""], ["none"])],
                                          outputs=[value("v"), value("y", [7, 4]), value("n", [], T.INT64), value("w", [1, 4]), value("none", [], T.BOOL)],
                                          inits=[tensor("one", np.int64(1)), tensor("last", np.int32(-1))], opset=18))
    mapped = h.make_graph([N("Add", ["a", "e"], ["b"]), N("Shape", ["a"], ["s"])], "body", [value("a", [None]), value("e", ["N"])], [value("b", ["N"]), value("s", [1], T.INT64)])
    write("good", "sequence_map", model([N("SequenceMap", ["q", "e"], ["y", "z"], body=mapped)], [h.make_tensor_sequence_value_info("q", T.FLOAT, ["N"]), value("e", ["N"])],
                                        [h.make_tensor_sequence_value_info("y", T.FLOAT, ["N"]), h.make_tensor_sequence_value_info("z", T.INT64, [1])]))


def after(made, node):
    """The model with a node more, whose value is the output."""
    made.graph.node.append(node)
    made.graph.output[0].CopyFrom(h.make_empty_tensor_value_info(node.output[0]))
    return made


def bad_bodies():
    relu_of_x, same = [N("Relu", ["x"], ["v"])], [N("Identity", ["c"], ["d"]), N("Identity", ["a"], ["b"])]
    x, y = value("x"), value("y")
    write("bad", "if_types", choose(relu_of_x, [N("Shape", ["x"], ["v"])]))
    write("bad", "if_rank_used", after(choose(relu_of_x, [N("ReduceSum", ["x"], ["v"], keepdims=0)]), N("Relu", ["y"], ["w"], name="user")))
    write("bad", "loop_long", loop(same, 2**40, None, [y], inputs=[x]))
    write("bad", "loop_stacks_sequence", loop(same + [N("SequenceConstruct", ["a"], ["s"])], None, None, [y, value("z")], inputs=[x, value("n", [], T.INT64)], more=["s"]))
    write("bad", "sequence_mixed", model([N("Cast", ["x"], ["i"], to=T.INT32), N("SequenceConstruct", ["x", "i"], ["s"], name="n"), N("SequenceLength", ["s"], ["y"])]))
    write("bad", "loop_endless", loop(same, None, None, [y], inputs=[x]))
    write("bad", "loop_type", loop([same[0], N("Cast", ["a"], ["b"], to=T.INT32)], 3, None, [y], inputs=[x]))
    write("bad", "loop_inputs", loop(same, 3, None, [y, value("z")], inputs=[x]))
    write("bad", "scan_rank", model([N("Scan", ["x"], ["y"], name="n", num_scan_inputs=1, scan_input_axes=[2],
                                       body=h.make_graph([N("Relu", ["a"], ["b"])], "body", [value("a", [4])], [value("b", [4])]))]))


def good_procedures():
    """Kernels with bodies of their own, for the proofs that machine code and interpreter agree: heap and radix sort, rows of several types, symbols."""
    def top(number, dtype, dims, k, **attributes):
        nodes.append(N("TopK", [f"x{number}", f"k{number}"], [f"v{number}", f"i{number}"], **attributes))
        inputs.append(value(f"x{number}", dims, dtype))
        inits.append(tensor(f"k{number}", np.array([k], "i8")))
        shape = list(dims)
        shape[attributes.get("axis", -1)] = k
        outputs.extend([value(f"v{number}", shape, dtype), value(f"i{number}", shape, T.INT64)])
    nodes, inputs, outputs, inits = [], [], [], []
    top(0, T.FLOAT, [3, 90], 7)
    top(1, T.FLOAT16, [2, 40, 3], 3, axis=1, largest=0)
    top(2, T.DOUBLE, [2, 300], 300)
    top(3, T.UINT64, ["n", 280], 90)
    top(4, T.INT8, [5, 300], 250, largest=0)
    top(5, T.INT32, ["n", "m"], 2)
    write("good", "topk", model(nodes, inputs, outputs, inits, opset=24, ir=10))
    write("good", "det", model([N("Det", ["x"], ["y"]), N("Det", ["z"], ["w"])], [value("x", ["n", 5, 5]), value("z", [3, 2, 2], T.DOUBLE)],
                               [value("y", ["n"]), value("w", [3], T.DOUBLE)]))
    draws = [N("Multinomial", ["x"], ["y"], sample_size=20, seed=1.0), N("Multinomial", ["z"], ["w"], sample_size=3, seed=2.0, dtype=T.INT64)]
    write("good", "multinomial", model(draws, [value("x", ["n", 9]), value("z", [3, 40], T.DOUBLE)], [value("y", ["n", 20], T.INT32), value("w", [3, 3], T.INT64)]))


def found():
    """Sizes that only a run knows: counting kernels, selecting ones and those that fill."""
    thresholds = [tensor("most", np.array([20], "i8")), tensor("overlap", np.array([.5], "f4")), tensor("least", np.array([.1], "f4"))]
    nodes = [N("NonZero", ["x"], ["a"]), N("Compress", ["x", "c"], ["b"], axis=1), N("Unique", ["u"], ["u0", "u1", "u2", "u3"], axis=0, sorted=0), N("Unique", ["x"], ["u4"]),
             N("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["n0"]),
             N("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["n1"], center_point_box=1)]
    inputs = [value("x", [3, 700]), value("c", [600], T.BOOL), value("u", [90, 3], T.INT16), value("boxes", [2, 60, 4]), value("scores", [2, 3, 60])]
    outputs = [value("a", [2, None], T.INT64), value("b", [3, None]), value("u0", [None, 3], T.INT16), value("u1", [None], T.INT64), value("u2", [90], T.INT64),
               value("u3", [None], T.INT64), value("u4", [None]), value("n0", [None, 3], T.INT64), value("n1", [None, 3], T.INT64)]
    write("found", "found", model(nodes, inputs, outputs, thresholds))


def good():
    good_bodies()
    good_procedures()
    run_bodies()
    w = np.arange(12, dtype="f4").reshape(3, 4)
    write("good", "dense", model(
        [N("MatMul", ["x", "w"], ["m"], name="product"), N("Add", ["m", "b"], ["s"]), N("Relu", ["s"], ["y"])],
        [value("x", ["batch", 3]), value("b", ["batch", 4])], [value("y", ["batch", 4])], [tensor("w", w)]))
    write("good", "unsorted", model([N("Relu", ["a"], ["y"]), N("Neg", ["x"], ["a"])]))
    write("good", "defaults", changed(model([N("Add", ["x", "w"], ["y"])], [value("x"), value("w")], inits=[tensor("w", np.eye(4, dtype="f4"))], ir=3, opset=9),
                                      lambda m: m.metadata_props.add(key="author", value="me")))
    write("good", "dims", model([N("Relu", ["x"], ["y"])], [value("x", [None, "1 x", "x.dim0", 2])], [value("y", [None, None, None, 2])]))
    lists = []
    for number, (dtype, array) in enumerate([(T.FLOAT, [1.5, -2]), (T.DOUBLE, [1.5, -2]), (T.INT32, [1, -2]), (T.INT64, [1, -2]), (T.UINT8, [1, 254]), (T.INT8, [1, -2]),
                                             (T.UINT32, [1, 2**32 - 2]), (T.UINT64, [1, 2**64 - 2]), (T.BOOL, [1, 0]), (T.INT16, [1, -2]), (T.UINT16, [1, 65534])]):
        lists.append(h.make_tensor(f"t{number}", dtype, [2], array))
    lists.append(h.make_tensor("t11", T.FLOAT16, [2], np.array([1.5, -2], "f2")))
    lists.append(h.make_tensor("t12", T.INT4, [3], [1, -2, 7]))
    lists.append(tensor("t13", np.array([1.5, -2], "f4")))
    write("good", "types", model([N("Identity", [t.name], ["y" + t.name[1:]]) for t in lists], [],
                                 [h.make_tensor_value_info("y" + t.name[1:], t.data_type, t.dims) for t in lists], lists, opset=21, ir=10))
    forms = [("value_float", 2.5), ("value_floats", [1.0, 2.0]), ("value_int", 7), ("value_ints", [3, 4, 5])]
    write("good", "constants", model([N("Constant", [], [f"y{i}"], **{k: v}) for i, (k, v) in enumerate(forms)], [],
                                     [value("y0", [], T.FLOAT), value("y1", [2], T.FLOAT), value("y2", [], T.INT64), value("y3", [3], T.INT64)]))
    linear = h.make_sparse_tensor(h.make_tensor("w", T.FLOAT, [2], [1.5, -2]), h.make_tensor("i", T.INT64, [2], [1, 7]), [2, 4])
    paired = h.make_sparse_tensor(h.make_tensor("", T.FLOAT, [2], [1.5, -2]), h.make_tensor("", T.INT64, [2, 2], [0, 1, 1, 3]), [2, 4])
    write("good", "sparse", model([N("Identity", ["w"], ["y"]), N("Constant", [], ["z"], sparse_value=paired)], [], [value("y", (2, 4)), value("z", (2, 4))], sparse=[linear]))
    leaky = refer(N("LeakyRelu", ["a"], ["t"], name="leak"), "alpha", "slope", onnx.AttributeProto.FLOAT)
    inner = function("inner", [leaky, N("Neg", ["t"], ["b"])], attributes=["slope"])
    call = refer(N("inner", ["p"], ["q"], domain="loc", name="again"), "slope", "k", onnx.AttributeProto.FLOAT)
    outer = function("outer", [call, N("Add", ["q", "p"], ["r"])], ["p"], ["r"], protos=[h.make_attribute("k", 0.25)])
    write("good", "functions", model([N("outer", ["x"], ["m"], domain="loc", name="first", k=0.5), N("outer", ["m"], ["y"], domain="loc", name="second")],
                                     domains=["loc"], functions=[inner, outer]))
    then = h.make_graph([N("Relu", ["x"], ["t"])], "then", [], [value("t")])
    other = h.make_graph([N("FrobnicateXYZ", ["x"], ["e"])], "else", [], [value("e")])
    write("good", "if", model([N("If", ["c"], ["y"], then_branch=then, else_branch=other)], inits=[tensor("c", np.bool_(True))]))
    write("good", "names", model([N("Relu", ["a\nb"], ["$(id)"], name="%s%n"), N("Neg", ["$(id)"], ["\u00e9"])], [value("a\nb")], [value("\u00e9")]))
    write("good", "optional", model([N("Clip", ["x", "", "m"], ["y"])], inits=[tensor("m", np.float32(6))]))


def big(**fields):
    made = T(name="w", data_type=T.FLOAT, dims=[4, 4])
    for name, content in fields.items():
        if isinstance(content, list):
            del getattr(made, name)[:]
            getattr(made, name).extend(content)
        else:
            setattr(made, name, content)
    return model([N("Add", ["x", "w"], ["y"])], inits=[made])


def field(number, content):
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(depth):
    """If in If, `depth` deep, all true; by hand, since Python's protobuf stops at 33."""
    output = field(12, value("o").SerializeToString())
    other = h.make_graph([N("Neg", ["x"], ["o"])], "e", [], [value("o")]).SerializeToString()
    graph = field(1, N("Relu", ["x"], ["o"]).SerializeToString()) + output
    for _ in range(depth):
        branches = ((b"then_branch", graph), (b"else_branch", other))
        node = field(1, b"c") + field(2, b"o") + field(4, b"If")
        node += b"".join(field(5, field(1, name) + b"\xa0\x01\x05" + field(6, branch)) for name, branch in branches)
        graph = field(1, node) + output
    graph += field(11, value("x").SerializeToString()) + field(5, tensor("c", np.bool_(True)).SerializeToString())
    return b"\x08\x08" + field(7, graph) + field(8, h.make_opsetid("", 17).SerializeToString())


def chain(calls):
    first = function("f0", [N("Relu", ["a"], ["b"])])
    rest = [function(f"f{i}", [N(f"f{i - 1}", ["a"], ["t"], domain="loc"), N(f"f{i - 1}", ["t"], ["b"], domain="loc")]) for i in range(1, calls + 1)]
    return model([N(f"f{calls}", ["x"], ["y"], domain="loc")], domains=["loc"], functions=[first] + rest)


def line(calls):
    first = function("f1", [N("Relu", ["a"], ["b"])])
    rest = [function(f"f{i}", [N(f"f{i - 1}", ["a"], ["b"], domain="loc")]) for i in range(2, calls + 1)]
    return model([N(f"f{calls}", ["x"], ["y"], domain="loc")], domains=["loc"], functions=[first] + rest)


def bad():
    valid = relu().SerializeToString()
    write("bad", "empty", b"")
    write("bad", "text", b"this is not a model\n" * 5)
    write("bad", "truncated", valid[:-3])
    write("bad", "twice", valid + valid)
    write("bad", "no_graph", changed(relu(), lambda m: m.ClearField("graph")))
    write("bad", "no_opset", changed(relu(), lambda m: m.ClearField("opset_import")))
    write("bad", "opset_twice", changed(relu(), lambda m: m.opset_import.append(h.make_opsetid("ai.onnx", 9))))
    for version in (0, 29):
        write("bad", f"opset_{version}", model([N("Relu", ["x"], ["y"])], opset=version))
    for version in (0, 15):
        write("bad", f"ir_{version}", changed(relu(), lambda m: setattr(m, "ir_version", version)))
    write("bad", "unknown_op", model([N("Relux", ["x"], ["m"], name="one"), N("Relux", ["m"], ["y"], name="two")]))
    write("bad", "unknown_ops", model([N("Bar", ["x"], ["m"], domain="com.foo", name="Bar_1"), N("Baz", ["m"], ["q"]), N("Bar", ["q"], ["y"], domain="com.foo")], domains=["com.foo"]))
    write("bad", "unknown_in_function", model([N("f", ["x"], ["y"], domain="loc")], domains=["loc"], functions=[function("f", [N("Quux", ["a"], ["b"], name="deep")])]))
    write("bad", "empty_op", model([N("", ["x"], ["y"], name="n")]))
    write("bad", "domain_missing", model([N("Relu", ["x"], ["y"], domain="not.imported")]))
    write("bad", "op_too_new", model([N("Gelu", ["x"], ["y"])], opset=13))
    write("bad", "op_removed", model([N("Upsample", ["x", "s"], ["y"])], inits=[tensor("s", [1, 2], "f4")]))
    write("bad", "cycle", model([N("Add", ["x", "b"], ["a"], name="first"), N("Relu", ["a"], ["b"], name="second"), N("Neg", ["b"], ["y"])]))
    write("bad", "self", model([N("Add", ["x", "y"], ["y"], name="n")]))
    write("bad", "dangling", model([N("Add", ["x", "nowhere"], ["y"], name="n")]))
    write("bad", "output_missing", model([N("Relu", ["x"], ["z"])]))
    write("bad", "output_twice", model([N("Relu", ["x"], ["y"])], outputs=[value("y"), value("y")]))
    write("bad", "made_twice", model([N("Relu", ["x"], ["y"]), N("Neg", ["x"], ["y"], name="n")]))
    write("bad", "shadows_input", model([N("Relu", ["x"], ["x"], name="n")], outputs=[value("x")]))
    write("bad", "input_twice", model([N("Relu", ["x"], ["y"])], [value("x"), value("x")]))
    write("bad", "init_twice", model([N("Add", ["x", "w"], ["y"])], inits=[tensor("w", np.zeros((4, 4), "f4"))] * 2))
    write("bad", "no_outputs", model([N("Relu", ["x"], ["y"]), N("Neg", ["x"], [""], name="n")]))
    write("bad", "input_no_type", changed(relu(), lambda m: m.graph.input[0].ClearField("type")))
    write("bad", "input_no_shape", changed(relu(), lambda m: m.graph.input[0].type.tensor_type.ClearField("shape")))
    write("bad", "input_type_99", model([N("Relu", ["x"], ["y"])], [value("x", (4, 4), 99)]))
    write("bad", "input_sequence", model([N("Relu", ["x"], ["y"])], [h.make_tensor_sequence_value_info("x", T.FLOAT, [4])]))
    write("bad", "dim_negative", model([N("Relu", ["x"], ["y"])], [value("x", [-1, 4])]))
    write("bad", "dims_overflow", model([N("Relu", ["x"], ["y"])], [value("x", [2**32, 2**32])]))
    write("bad", "rank_33", model([N("Relu", ["x"], ["y"])], [value("x", [1] * 33)]))
    write("good", "rank_32", model([N("Relu", ["x"], ["y"])], [value("x", [1] * 32)], [value("y", [1] * 32)]))
    write("bad", "out_type", model([N("Relu", ["x"], ["y"])], outputs=[value("y", (4, 4), T.INT64)]))
    write("bad", "out_rank", model([N("Relu", ["x"], ["y"])], outputs=[value("y", (4, 4, 1))]))
    write("bad", "out_dim", model([N("Relu", ["x"], ["y"])], outputs=[value("y", (4, 5))]))
    write("bad", "init_none", big())
    write("bad", "init_short", big(raw_data=bytes(63)))
    write("bad", "init_long", big(raw_data=bytes(65)))
    write("bad", "init_negative", big(dims=[-4, -4], raw_data=bytes(64)))
    write("bad", "init_overflow", big(dims=[2**32, 2**32, 2]))
    write("bad", "init_type_0", big(data_type=0, raw_data=bytes(64)))
    write("bad", "init_complex", big(data_type=T.COMPLEX64, raw_data=bytes(128)))
    write("bad", "init_list_short", big(float_data=[1.0] * 15))
    write("bad", "init_two_places", big(raw_data=bytes(64), float_data=[1.0] * 16))
    write("bad", "init_wrong_list", big(int32_data=[1] * 16))
    write("bad", "init_does_not_fit", big(data_type=T.INT8, int32_data=[300] * 16))
    write("bad", "init_raw_string", big(data_type=T.STRING, raw_data=bytes(16)))
    write("bad", "attr_unknown", model([N("Relu", ["x"], ["y"], name="n", banana=3)]))
    write("bad", "attr_twice", changed(model([N("Softmax", ["x"], ["y"], axis=1)]), lambda m: m.graph.node[0].attribute.append(m.graph.node[0].attribute[0])))
    write("bad", "attr_unnamed", changed(relu(), lambda m: m.graph.node[0].attribute.add()))
    write("bad", "attr_lies", changed(model([N("Softmax", ["x"], ["y"], axis=1)]), lambda m: setattr(m.graph.node[0].attribute[0], "type", 3)))
    write("bad", "attr_kind", model([N("Softmax", ["x"], ["y"], axis=1.5)]))
    write("bad", "attr_reference", model([refer(N("Softmax", ["x"], ["y"]), "axis", "axis", 2)]))
    statistics = [tensor(n, np.ones(4, "f4")) for n in "sbmv"]
    write("bad", "batchnorm_training", model([N("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "p", "q"], name="n")], inits=statistics, opset=9))
    write("bad", "constant_none", model([N("Constant", [], ["y"])]))
    write("bad", "constant_two", model([N("Constant", [], ["y"], value_float=1.0, value_int=1)]))
    write("bad", "sparse_range", model([N("Constant", [], ["y"], sparse_value=h.make_sparse_tensor(h.make_tensor("v", T.FLOAT, [2], [1, 2]), h.make_tensor("i", T.INT64, [2], [3, 10**12]), [4, 4]))]))
    write("bad", "sparse_large", model([N("Constant", [], ["y"], sparse_value=h.make_sparse_tensor(h.make_tensor("v", T.FLOAT, [1], [1]), h.make_tensor("i", T.INT64, [1], [3]), [2**30, 4]))]))
    write("bad", "if_one_branch", model([N("If", ["c"], ["y"], name="n", then_branch=h.make_graph([], "t", [], [value("x")]))], inits=[tensor("c", np.bool_(True))]))
    bad_bodies()
    write("bad", "function_recursive", model([N("f", ["x"], ["y"], domain="loc")], domains=["loc"], functions=[function("f", [N("f", ["a"], ["b"], domain="loc", name="n")])]))
    write("bad", "function_bomb", chain(40))
    write("bad", "function_twice", model([N("f", ["x"], ["y"], domain="loc")], domains=["loc"], functions=[function("f", [N("Relu", ["a"], ["b"])])] * 2))
    write("bad", "function_arguments", model([N("f", ["x", "x"], ["y"], domain="loc", name="n")], domains=["loc"], functions=[function("f", [N("Relu", ["a"], ["b"])])]))
    write("bad", "function_output", model([N("f", ["x"], ["y"], domain="loc", name="n")], domains=["loc"], functions=[function("f", [N("Relu", ["a"], ["z"])])]))
    write("good", "nesting_64", nested(64))
    write("bad", "nesting_65", nested(65))
    write("good", "calls_64", line(64))
    write("bad", "calls_65", line(65))


def pair(name, old, new, inputs, inits=(), outputs=("y",), opset=9, new_inits=(), check=True):
    """old: nodes in `opset`; new: nodes in the newest; inputs: name -> array, whose shapes are the model's."""
    ins = [h.make_tensor_value_info(n, h.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()]
    outs = [h.make_empty_tensor_value_info(o) for o in outputs]
    made = [model(old, ins, outs, inits, opset, 3 if opset < 9 else 4), model(new, ins, outs, list(inits) + list(new_inits), NEWEST, 11)]
    for one in made:
        for info in one.graph.output:
            info.type.tensor_type.elem_type = 0
            info.ClearField("type")
    if opset < 9:  # inputs that are constants had to be listed
        made[0].graph.input.extend([h.make_tensor_value_info(t.name, t.data_type, t.dims) for t in inits])
    if check:
        results = [ReferenceEvaluator(changed(onnx.ModelProto.FromString(m.SerializeToString()), lambda q: [o.type.tensor_type.SetInParent() for o in q.graph.output])).run(None, inputs) for m in made]
        for a, b in zip(*results):
            np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)
    write("versions", name + ".old", made[0])
    write("versions", name + ".new", made[1])


def versions():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 4)).astype("f4")
    x4 = rng.standard_normal((1, 3, 4, 4)).astype("f4")
    i8 = lambda name, *v: tensor(name, np.array(v, "i8"))
    f4 = lambda name, v: tensor(name, np.array(v, "f4"))
    pair("squeeze", [N("Squeeze", ["x"], ["y"], axes=[0])], [N("Squeeze", ["x", "a"], ["y"])], {"x": x4}, new_inits=[i8("a", 0)], opset=11)
    pair("unsqueeze", [N("Unsqueeze", ["x"], ["y"], axes=[0, 2])], [N("Unsqueeze", ["x", "a"], ["y"])], {"x": x}, new_inits=[i8("a", 0, 2)], opset=11)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"):
        data = np.abs(x)
        pair(op.lower(), [N(op, ["x"], ["y"], axes=[1], keepdims=0)], [N(op, ["x", "a"], ["y"], keepdims=0)], {"x": data}, new_inits=[i8("a", 1)], opset=11)
    pair("reduce_all", [N("ReduceSum", ["x"], ["y"], keepdims=0)], [N("ReduceSum", ["x"], ["y"], keepdims=0)], {"x": x}, opset=11)
    pair("split_sizes", [N("Split", ["x"], ["y", "z"], axis=2, split=[1, 3])], [N("Split", ["x", "s"], ["y", "z"], axis=2)], {"x": x}, outputs=("y", "z"), new_inits=[i8("s", 1, 3)])
    pair("split_equal", [N("Split", ["x"], ["y", "z"], axis=2)], [N("Split", ["x"], ["y", "z"], axis=2, num_outputs=2)], {"x": x}, outputs=("y", "z"))
    pair("clip", [N("Clip", ["x"], ["y"], min=0.0, max=6.0)], [N("Clip", ["x", "l", "h"], ["y"])], {"x": x}, new_inits=[f4("l", 0), f4("h", 6)], opset=6, check=False)
    pair("clip_low", [N("Clip", ["x"], ["y"], min=-1.0)], [N("Clip", ["x", "l"], ["y"])], {"x": x}, new_inits=[f4("l", -1)], opset=6, check=False)
    pair("pad", [N("Pad", ["x"], ["y"], pads=[0, 0, 1, 0, 0, 2], value=1.5)], [N("Pad", ["x", "p", "v"], ["y"])], {"x": x}, new_inits=[i8("p", 0, 0, 1, 0, 0, 2), f4("v", 1.5)], check=False)
    pair("pad_1", [N("Pad", ["x"], ["y"], paddings=[0, 0, 1, 0, 0, 2], mode="reflect")], [N("Pad", ["x", "p"], ["y"], mode="reflect")], {"x": x}, new_inits=[i8("p", 0, 0, 1, 0, 0, 2)], opset=1, check=False)
    pair("slice", [N("Slice", ["x"], ["y"], starts=[1], ends=[3], axes=[2])], [N("Slice", ["x", "s", "e", "a"], ["y"])], {"x": x}, new_inits=[i8("s", 1), i8("e", 3), i8("a", 2)])
    pair("dropout", [N("Dropout", ["x"], ["y"], ratio=0.3)], [N("Dropout", ["x"], ["y"])], {"x": x})
    pair("dropout_6", [N("Dropout", ["x"], ["y"], is_test=1)], [N("Dropout", ["x"], ["y"])], {"x": x}, opset=6, check=False)
    pair("reshape", [N("Reshape", ["x"], ["y"], shape=[3, 8])], [N("Reshape", ["x", "s"], ["y"])], {"x": x}, new_inits=[i8("s", 3, 8)], opset=1, check=False)
    channels = [f4(n, v) for n, v in (("s", [1, 2, 3]), ("b", [0, 1, 2]), ("m", [0, .5, 1]), ("v", [1, 2, 3]))]
    pair("batchnorm", [N("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], is_test=1, spatial=1, epsilon=1e-4)], [N("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=1e-4)],
         {"x": x4}, channels, opset=6, check=False)
    pair("softmax_last", [N("Softmax", ["x"], ["y"], axis=2)], [N("Softmax", ["x"], ["y"], axis=-1)], {"x": x}, opset=11, check=False)
    for op in ("Softmax", "LogSoftmax"):
        pair(op.lower() + "_flat", [N(op, ["x"], ["y"])], [N("Shape", ["x"], ["q"]), N("Flatten", ["x"], ["f"], axis=1), N(op, ["f"], ["s"], axis=-1), N("Reshape", ["s", "q"], ["y"])],
             {"x": x}, opset=11, check=False)
    pair("cast", [N("Cast", ["x"], ["y"], to="INT32")], [N("Cast", ["x"], ["y"], to=T.INT32)], {"x": x}, opset=1, check=False)
    bias = f4("b", [1, 2, 3])
    for op in ("Add", "Sub", "Mul", "Div"):
        pair(op.lower() + "_axis", [N(op, ["x", "b"], ["y"], broadcast=1, axis=1)], [N("Unsqueeze", ["b", "a"], ["c"]), N(op, ["x", "c"], ["y"])], {"x": x}, [bias], new_inits=[i8("a", 1)], opset=6, check=False)
    for op, dtype in (("Equal", "i4"), ("Greater", "f4"), ("Less", "f4"), ("And", "?"), ("Or", "?"), ("Xor", "?")):
        pair(op.lower() + "_axis", [N(op, ["x", "b"], ["y"], broadcast=1, axis=1)], [N("Unsqueeze", ["b", "a"], ["c"]), N(op, ["x", "c"], ["y"])], {"x": x.astype(dtype)},
             [tensor("b", [1, 0, 1], dtype)], new_inits=[i8("a", 1)], opset=6, check=False)
    pair("pow_suffix", [N("Pow", ["x", "b"], ["y"], broadcast=1)], [N("Pow", ["x", "b"], ["y"])], {"x": np.abs(x)}, [f4("b", [1, 2, 3, 4])], opset=1, check=False)
    pair("add_same", [N("Add", ["x", "x"], ["y"], consumed_inputs=[0, 0])], [N("Add", ["x", "x"], ["y"])], {"x": x}, opset=1, check=False)
    pair("gemm", [N("Gemm", ["x", "w", "b"], ["y"], broadcast=1, transB=1)], [N("Gemm", ["x", "w", "b"], ["y"], transB=1)], {"x": x[0]}, [f4("w", np.ones((5, 4))), f4("b", np.arange(5))], opset=6, check=False)
    pair("prelu", [N("PRelu", ["x", "b"], ["y"])], [N("Unsqueeze", ["b", "a"], ["c"]), N("PRelu", ["x", "c"], ["y"])], {"x": x4}, [bias], new_inits=[i8("a", 1, 2)], opset=6, check=False)
    pair("selu", [N("Selu", ["x"], ["y"])], [N("Selu", ["x"], ["y"], alpha=float(np.float32(1.6732)), gamma=float(np.float32(1.0507)))], {"x": x}, opset=1, check=False)
    pair("concat", [N("Concat", ["x", "x"], ["y"])], [N("Concat", ["x", "x"], ["y"], axis=1)], {"x": x}, opset=1, check=False)
    resized = [N("Resize", ["x", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")]
    pair("upsample_9", [N("Upsample", ["x", "s"], ["y"])], resized, {"x": x4}, [f4("s", [1, 1, 2, 3])], check=False)
    pair("upsample_7", [N("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 3.0], mode="nearest")], resized, {"x": x4}, new_inits=[f4("s", [1, 1, 2, 3])], opset=7, check=False)
    pair("upsample_1", [N("Upsample", ["x"], ["y"], height_scale=2.0, width_scale=3.0)], resized, {"x": x4}, new_inits=[f4("s", [1, 1, 2, 3])], opset=6, check=False)
    pair("resize_10", [N("Resize", ["x", "s"], ["y"])], resized, {"x": x4}, [f4("s", [1, 1, 2, 3])], opset=10, check=False)
    pair("averagepool", [N("AveragePool", ["x"], ["y"], kernel_shape=[2, 2])], [N("AveragePool", ["x"], ["y"], kernel_shape=[2, 2])], {"x": x4}, opset=7)


def external():
    def at(name, location, **keys):
        made = T(name="w", data_type=T.FLOAT, dims=[4, 4], data_location=1)
        if location is not None:
            made.external_data.add(key="location", value=location)
        for key, content in keys.items():
            made.external_data.add(key=key, value=str(content))
        if name == "key_twice":
            made.external_data.append(made.external_data[0])
        write("external", name, model([N("Add", ["x", "w"], ["y"])], inits=[made]))
    at("plain", "w.bin")
    at("part", "sub/w.bin", offset=8, length=64, checksum="00")
    at("parent", "../w.bin")
    at("hidden_parent", "sub/../w.bin")
    at("absolute", "/etc/passwd")
    at("empty", "")
    at("none", None)
    at("nul", "w.bin\0x")
    at("unknown_key", "w.bin", evil=1)
    at("key_twice", "w.bin")
    at("length_short", "w.bin", length=60)
    at("length_huge", "w.bin", length=2**62)
    at("offset_past", "w.bin", offset=4096)
    at("offset_wrap", "w.bin", offset=2**64 - 32)
    at("offset_huge", "w.bin", offset=2**70)
    at("offset_negative", "w.bin", offset=-8)
    at("offset_word", "w.bin", offset="banana")
    at("folder", ".")


if __name__ == "__main__":
    good()
    found()
    bad()
    versions()
    external()
