#!/usr/bin/env python3
"""Operators of a user's own: the example is compiled, interpreted and compared with what its definitions say in Python, and wrong
definitions and nodes that do not suit them are refused with their places.

    custom.py LATHE EXAMPLE_FOLDER"""
import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import onnxfile

lathe, example = sys.argv[1], pathlib.Path(sys.argv[2])


def npy_write(path, shape, numbers):
    head = ("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }" % "".join(f"{dim}, " for dim in shape)).ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(numbers)}f", *numbers))


def npy_read(path):
    data = path.read_bytes()
    body = data[10 + struct.unpack("<H", data[8:10])[0]:]
    return list(struct.unpack(f"<{len(body) // 4}f", body))


def near(got, wanted):
    return len(got) == len(wanted) and all(abs(a - b) <= 1e-5 * max(1, abs(b)) for a, b in zip(got, wanted))


def run(work, model, *arguments, inputs):
    for i, (shape, numbers) in enumerate(inputs):
        npy_write(work / f"in{i}.npy", shape, numbers)
    out = work / "out"
    ran = subprocess.run([lathe, "run", str(model), *sum((["-i", str(work / f"in{i}.npy")] for i in range(len(inputs))), []), "-o", str(out), *arguments],
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return [npy_read(path) for path in sorted(out.glob("output_*.npy"))]


def refused(work, definition, node, words, code=4, value=("x", (2, 3)), line=None):
    file, model = work / "wrong.custom", work / "wrong.onnx"
    file.write_text(definition)
    model.write_bytes(onnxfile.model([node], [onnxfile.value(*value)], [onnxfile.value("y", (2, 3))], domains=("d",)))
    ran = subprocess.run([lathe, "compile", str(model), "--custom", str(file), "-o", str(work / "x.so")], capture_output=True, text=True)
    assert ran.returncode == code and words in ran.stderr, (words, ran.returncode, ran.stderr)
    assert line is None or f"wrong.custom:{line}" in ran.stderr, ran.stderr
    assert not (work / "x.so").exists()


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    custom = str(example / "operators.custom")
    model = work / "model.onnx"
    model.write_bytes(onnxfile.model(
        [onnxfile.node("Swoosh", ["x"], ["s"], domain="com.example", alpha=2.0), onnxfile.node("CentreRows", ["s"], ["y", "m"], domain="com.example", scale=3.0)],
        [onnxfile.value("x", ("N", 40))], [onnxfile.value("y", ("N", 40)), onnxfile.value("m", ("N",))], domains=("com.example",)))
    draw = random.Random(1)
    for rows in (1, 5):
        x = [draw.uniform(-4, 4) for _ in range(rows * 40)]
        s = [v / (1 + math.exp(-2 * v)) for v in x]
        mean = [sum(s[40 * i:40 * i + 40]) / 40 for i in range(rows)]
        y = [3 * (s[i] - mean[i // 40]) for i in range(rows * 40)]
        for options in ([], ["-O0"], ["--backend", "interpreter"]):
            got = run(work, model, "--custom", custom, *options, inputs=[((rows, 40), x)])
            assert near(got[0], y) and near(got[1], mean), (rows, options)
    # A function in C, linked with an archive by its user, and named as an object file for a shared library.
    sorted_model = work / "sorted" / "model.onnx"
    sorted_model.parent.mkdir()
    sorted_model.write_bytes(onnxfile.model(
        [onnxfile.node("Swoosh", ["x"], ["s"], domain="com.example", alpha=2.0), onnxfile.node("SortedRows", ["s"], ["t"], domain="com.example", descending=1),
         onnxfile.node("Neg", ["t"], ["y"])], [onnxfile.value("x", ("N", 7))], [onnxfile.value("y", ("N", 7))], domains=("com.example",)))
    archive = sorted_model.parent / "model.a"
    subprocess.run([lathe, "compile", str(sorted_model), "--custom", custom, "-o", str(archive)], check=True, capture_output=True)
    where = ["-I", str(sorted_model.parent), "-c", str(example / "sorted.c"), "-o", str(sorted_model.parent / "sorted.o")]
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", *where], check=True)
    own = sorted_model.parent / "own.custom"
    own.write_text((example / "operators.custom").read_text().replace("external sorted_rows\n", 'external sorted_rows "sorted.o"\n'))

    def swoosh(v):
        return v / (1 + math.exp(-2 * v))
    x = [draw.uniform(-4, 4) for _ in range(3 * 7)]
    y = [-v for i in range(3) for v in sorted(map(swoosh, x[7 * i:7 * i + 7]), reverse=True)]
    assert near(run(work, sorted_model, "--custom", str(own), inputs=[((3, 7), x)])[0], y)
    main = sorted_model.parent / "main.c"
    main.write_text("""#include "model.h"
#include <stdio.h>
int main(void)
{
    float x[7] = {3, 1, 2, 5, 4, 7, 6}, y[7];
    int error = 0;
    lathe_context *context = model_open(NULL, &error);
    const model_dims dims = {.N = 1};
    if (!context || model_run(context, &dims, x, y))
        return 1;
    for (int i = 0; i < 7; i++)
        printf("%.9g ", (double)y[i]);
    model_close(context);
    return 0;
}
""")
    program = sorted_model.parent / "main"
    subprocess.run(["cc", "-std=c11", str(main), str(archive), str(sorted_model.parent / "sorted.o"), "-o", str(program), "-lm", "-lpthread"], check=True)
    printed = [float(v) for v in subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.split()]
    assert near(printed, [-swoosh(v) for v in (7, 6, 5, 4, 3, 2, 1)]), printed
    ran = subprocess.run([lathe, "compile", str(sorted_model), "--custom", custom, "-o", str(work / "x.so")], capture_output=True, text=True)
    assert ran.returncode == 6 and "sorted_rows" in ran.stderr, ran
    ran = subprocess.run([lathe, "compile", str(sorted_model), "--custom", custom, "--dim", "N=1", "--target", "cortex-m4f", "-o", str(work / "x.a")], capture_output=True, text=True)
    assert ran.returncode == 3 and "SortedRows" in ran.stderr, ran
    # A microcontroller, and the rule for make.
    subprocess.run([lathe, "compile", str(model), "--custom", custom, "--dim", "N=2", "--target", "cortex-m4f", "-o", str(work / "model.a")], check=True, capture_output=True)
    deps = subprocess.run([lathe, "compile", str(model), "--custom", custom, "--print-deps", "-o", str(work / "m.so")], check=True, capture_output=True, text=True).stdout
    assert custom in deps.split(), deps
    # Without the file the operators are unknown; the user's go before Lathe's own.
    ran = subprocess.run([lathe, "compile", str(model), "-o", str(work / "x.so")], capture_output=True, text=True)
    assert ran.returncode == 3 and "com.example:Swoosh" in ran.stderr
    own = work / "own.custom"
    own.write_text("operator ai.onnx Relu { input %x output (Neg %x) }")
    relu = work / "relu.onnx"
    relu.write_bytes(onnxfile.model([onnxfile.node("Relu", ["x"], ["y"])], [onnxfile.value("x", (3,))], [onnxfile.value("y", (3,))]))
    assert run(work, relu, "--custom", str(own), inputs=[((3,), [1, -2, 3])])[0] == [-1, 2, -3]
    # Several results, values of an attribute, dims that must hold.
    own.write_text("operator d Halves {\n input %x\n attribute axis int\n let %a %b = (Split %x :axis @axis :num_outputs 2)\n output %b\n output %a\n}")
    model.write_bytes(onnxfile.model([onnxfile.node("Halves", ["x"], ["y", "z"], domain="d", axis=0)], [onnxfile.value("x", (4,))],
                                     [onnxfile.value("y", (2,)), onnxfile.value("z", (2,))], domains=("d",)))
    assert run(work, model, "--custom", str(own), inputs=[((4,), [1, 2, 3, 4])]) == [[3, 4], [1, 2]]

    node = onnxfile.node("Wrong", ["x"], ["y"], domain="d")
    head = "operator d Wrong {\n input %x : T[N,M]\n output %y : T[N,M]\n"
    stage = " stage %y[%i,%j] over (%i in N, %j in M) = "
    refused(work, "operator d Wrong {\n input %x\n output (Nothing %x)\n}", node, "Nothing", line=3)
    refused(work, "operator d Wrong {\n input %x\n output (Relu %z)\n}", node, "%z", line=3)
    refused(work, "operator d Wrong {\n input %x\n result (Relu %x)\n}", node, "is expected here", line=3)
    refused(work, "operator d Wrong {\n input %x\n output (MatMul %x %x)\n}", node, 'node "y_node" (Wrong', line=3)
    refused(work, "operator d Wrong {\n input %x\n}", node, "1 to 32 outputs", line=1)
    refused(work, "operator d Wrong {\n input %x\n output (Relu %x)\n", node, "closed", line=1)
    refused(work, head + stage + "(add (at %x %i %j) %k)\n}", node, "%k", line=4)
    refused(work, head + stage + "(at %x %i (add %j 1))\n}", node, "outside", line=4)
    refused(work, head + stage + "(at %x %i %j)\n output %z : U[N]\n}", onnxfile.node("Wrong", ["x"], ["y", "z"], domain="d"), "U is no element type", line=5)
    refused(work, head.replace("N,M", "N,N", 1) + stage + "(at %x %i %i)\n}", node, "3, where the definition wants 2", line=2)
    refused(work, head.replace("T[N,M]", "f64[N,M]", 1) + stage + "(at %x %i %j)\n}", node, "f32[2,3], where the definition wants f64", line=2)
    refused(work, head + stage + "(at %x %i %j)\n}", onnxfile.node("Wrong", ["x"], ["y"], domain="d", beta=1.0), "no attribute 'beta'")
    refused(work, head + " attribute beta float\n" + stage + "(at %x %i %j)\n}", node, "no attribute 'beta'")
    refused(work, head + " attribute beta 1.0\n" + stage + "(at %x %i %j)\n}", onnxfile.node("Wrong", ["x"], ["y"], domain="d", beta=1), "wrong type")
    refused(work, head + " external 1x\n}", node, "name of a C function", line=4)
    refused(work, head + stage + "(at %x %i %j)\n}", onnxfile.node("Wrong", ["x", "x"], ["y"], domain="d"), "1 inputs")
print("operators of the user's own: as they are defined")
