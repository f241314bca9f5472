#!/usr/bin/env python3
"""lathe reduce shrinks models of 200 nodes in which a fault was planted to the nodes of the fault.

    reduce.py LATHE"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import onnxfile

lathe = sys.argv[1]
NODES = 200


def graph(seed, plant):
    """A random graph of one-input and two-input operators over [2,8,8]; `plant` adds nodes after half of them and gives a value."""
    draw = random.Random(seed)
    values, nodes, used = ["x", "y"], [], set()

    def add(op, inputs, **attributes):
        name = f"v{len(nodes)}"
        nodes.append(onnxfile.node(op, inputs, [name], **attributes))
        used.update(inputs)
        values.append(name)
        return name
    planted = None
    while len(nodes) < NODES:
        if len(nodes) >= NODES // 2 and planted is None:
            planted = plant(add, values[-1])
        op, count = draw.choice([("Relu", 1), ("Sigmoid", 1), ("Neg", 1), ("Add", 2), ("Mul", 2), ("Max", 2), ("Abs", 1)])
        add(op, [draw.choice(values[-12:]) for _ in range(count)])
        if len(nodes) == NODES - 20:
            add("Add", [planted, values[-1]])
    outputs = [name for name in values if name not in used and name.startswith("v")]
    return nodes, outputs


def reduce(work, name, nodes, outputs, *arguments, tensors=(), inputs=("x", "y")):
    path, small = work / f"{name}.onnx", work / f"{name}.small.onnx"
    path.write_bytes(onnxfile.model(nodes, [onnxfile.value(i, (2, 8, 8)) for i in inputs], [onnxfile.value(o, (2, 8, 8)) for o in outputs], tensors))
    ran = subprocess.run([lathe, "reduce", str(path), "-o", str(small), "--json", "--progress", "none", *arguments], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["complete"] and answer["nodes_before"] == len(nodes), answer
    survey = json.loads(subprocess.run([lathe, "inspect", "--ops", "--json", str(small)], check=True, capture_output=True, text=True).stdout)
    print(name, answer["nodes"], "nodes after", answer["checks"], "checks")
    return answer, small, survey


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)

    # A node that no compiler takes: one node is left, and it is refused with the same words.
    nodes, outputs = graph(1, lambda add, x: add("Softmax", [x], axis=7))
    answer, small, _ = reduce(work, "refused", nodes, outputs, "--check", f"{lathe} compile {{model}} --emit ir -o -", "--match", "(Softmax, opset")
    assert answer["nodes"] == 1 and answer["status"] == 4, answer
    said = subprocess.run([lathe, "compile", str(small), "--emit", "ir", "-o", "-"], capture_output=True, text=True)
    assert said.returncode == 4 and "Softmax" in said.stderr

    # The check that reduce makes by itself.
    answer, small, _ = reduce(work, "own", nodes, outputs)
    assert answer["nodes"] == 1 and "Softmax" in answer["match"]

    # A fault of three nodes together, as a program finds it: each of them is needed, nothing else is, and the model still compiles.
    def chain(add, x):
        return add("Floor", [add("Tanh", [add("Sinh", [x])])])
    nodes, outputs = graph(2, chain)
    finder = work / "finder.py"
    finder.write_text("import sys\ndata = open(sys.argv[1], 'rb').read()\nsys.exit(9 if all(op in data for op in (b'Sinh', b'Tanh', b'Floor')) else 0)\n")
    answer, small, survey = reduce(work, "chain", nodes, outputs, "--check", f"{sys.executable} {finder} {{model}} && {lathe} compile {{model}} --emit ir -o -", "--timeout", "5m")
    assert answer["nodes"] == 3 and answer["status"] == 9, answer
    subprocess.run([lathe, "run", str(small), "-i", "random:1", "-o", str(work / "out")], check=True, capture_output=True)

    # Weights and dims shrink too: a convolution whose kernel_shape is wrong, behind another.
    def convolution(add, x):
        return add("Conv", [add("Conv", [x, "w1"], pads=(1, 1)), "w2"], kernel_shape=(5,), pads=(2, 2))
    weights = [0.5] * (8 * 8 * 3)
    nodes, outputs = graph(3, convolution)
    tensors = [onnxfile.tensor("w1", (8, 8, 3), weights), onnxfile.tensor("w2", (8, 8, 3), weights, packed=True)]
    before = len(onnxfile.model(nodes, [], [], tensors))
    first = next(i for i, item in enumerate(nodes) if b"Conv" in item)
    answer, small, survey = reduce(work, "dims", nodes[:first + 2], ["v%d" % (first + 1)], "--check",
                                   f"{lathe} compile {{model}} --emit ir -o -", "--match", "(Conv, opset", tensors=tensors)
    assert answer["nodes"] == 1 and small.stat().st_size < 400 < before, small.stat().st_size

    # Nothing to reduce is said, and time is kept.
    good = work / "good.onnx"
    good.write_bytes(onnxfile.model([onnxfile.node("Relu", ["x"], ["z"])], [onnxfile.value("x", (2,))], [onnxfile.value("z", (2,))]))
    ran = subprocess.run([lathe, "reduce", str(good), "-o", str(work / "none.onnx")], capture_output=True, text=True)
    assert ran.returncode == 1 and "nothing to reduce" in ran.stderr and not (work / "none.onnx").exists(), ran
    ran = subprocess.run([lathe, "reduce", str(good), "-o", str(work / "none.onnx"), "--check", "sleep 60; :", "--timeout", "1s"], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 8 and "--timeout" in ran.stderr, ran
