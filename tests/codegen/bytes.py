#!/usr/bin/env python3
"""A product of bytes in one library for several levels: the same sums on each that this machine runs, and levels of byte instructions for
models that multiply bytes alone.

    bytes.py LATHE"""
import ast
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tools"))
import onnxfile
from onnxfile import field

U8, I8, I32 = 2, 3, 6
ROWS, DEPTH, COLUMNS = 9, 70, 37
LEVELS = ["x86-64-v4-vnni", "x86-64-v4", "x86-64-v3-vnni", "x86-64-v3"]
lathe = sys.argv[1]


def constant(name, dtype, dims, data):
    return b"".join(field(1, dim) for dim in dims) + field(2, dtype) + field(8, name) + field(9, data)


def write_npy(path, dims, data):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {dims!r}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def read_npy(path):
    data = path.read_bytes()
    length = struct.unpack_from("<H", data, 8)[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    assert header["descr"] == "<i4", header
    return list(struct.unpack(f"<{(len(data) - 10 - length) // 4}i", data[10 + length:]))


def levels_of(work, model, name):
    model_path, library = work / f"{name}.onnx", work / f"{name}.so"
    model_path.write_bytes(model)
    subprocess.run([lathe, "compile", str(model_path), "--target", "x86-64", "-o", str(library)], check=True, capture_output=True)
    text = library.read_bytes()
    return library, [level for level in LEVELS if level.encode() + b"\0" in text]


source = random.Random(1)
a = bytes(source.randrange(256) for _ in range(ROWS * DEPTH))
b = [source.randrange(-128, 128) for _ in range(DEPTH * COLUMNS)]
b_zero = [source.randrange(-128, 128) for _ in range(COLUMNS)]
wanted = [sum((a[m * DEPTH + k] - 77) * (b[k * COLUMNS + n] - b_zero[n]) for k in range(DEPTH)) for m in range(ROWS) for n in range(COLUMNS)]
tensors = [constant("b", I8, (DEPTH, COLUMNS), struct.pack(f"{len(b)}b", *b)), constant("za", U8, (), b"M"),
           constant("zb", I8, (COLUMNS,), struct.pack(f"{COLUMNS}b", *b_zero))]
product = onnxfile.model([onnxfile.node("MatMulInteger", ["a", "b", "za", "zb"], ["y"])], [onnxfile.value("a", (ROWS, DEPTH), U8)],
                         [onnxfile.value("y", (ROWS, COLUMNS), I32)], tensors)
floats = onnxfile.model([onnxfile.node("MatMul", ["x", "w"], ["y"])], [onnxfile.value("x", (4, 20))], [onnxfile.value("y", (4, 20))],
                        [onnxfile.tensor("w", (20, 20), [0.5] * 400)])
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    library, levels = levels_of(work, product, "product")
    assert levels == LEVELS, levels
    _, levels = levels_of(work, floats, "floats")
    assert levels == ["x86-64-v4", "x86-64-v3"], levels
    write_npy(work / "a.npy", (ROWS, DEPTH), a)
    for level in LEVELS:
        ran = subprocess.run([lathe, "run", str(library), "-i", str(work / "a.npy"), "-o", str(work / level)],
                             env={**os.environ, "LATHE_CPU_LEVEL": level}, capture_output=True, text=True)
        if ran.returncode and "needs a CPU" in ran.stderr:
            print(level, "does not run here")
            continue
        assert ran.returncode == 0, ran.stderr
        assert read_npy(work / level / "output_0.npy") == wanted, level
        print(level, "gives the sums")
