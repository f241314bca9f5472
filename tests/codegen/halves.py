#!/usr/bin/env python3
"""Functions that compute in f64 inside, one behind the other in f16: every library that is made of them must link, for no rounding may be a call
of the compiler's own library.

    halves.py LATHE"""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tools"))
import onnxfile

lathe = sys.argv[1]
HALF = 10
functions = ["Acos", "Asinh", "Asin", "Atanh", "Acosh", "Sinh", "Cosh", "Sin", "Cos", "Tan", "Atan", "Sigmoid", "Erf"]
nodes = [onnxfile.node(op, [f"v{i}" if i % 3 else "x"], [f"v{i + 1}"]) for i, op in enumerate(functions)]
outputs = [onnxfile.value(f"v{i + 1}", (3, 5), HALF) for i in range(len(nodes)) if (i + 1) % 3 == 0 or i + 1 == len(nodes)]
with tempfile.TemporaryDirectory() as work:
    model = pathlib.Path(work) / "halves.onnx"
    model.write_bytes(onnxfile.model(nodes, [onnxfile.value("x", (3, 5), HALF)], outputs))
    for target in (["--cpu", "x86-64-v3"], ["--cpu", "x86-64-v4"], ["--target", "aarch64"], ["--target", "armv7-neon"]):
        subprocess.run([lathe, "compile", str(model), *target, "--no-cache", "-o", str(pathlib.Path(work) / "halves.so")], check=True, capture_output=True)
        print(*target, "links")
