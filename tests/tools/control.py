#!/usr/bin/env python3
"""Models whose course a run decides, run as machine code and interpreted: what branches and loops give is computed here once more.

    control.py LATHE MODELS    MODELS: tests/data/onnx/good"""
import ast
import pathlib
import struct
import subprocess
import sys
import tempfile

lathe, models = sys.argv[1], pathlib.Path(sys.argv[2])
CODES = {"f4": "f", "i8": "q", "b1": "?"}


def write(path, code, shape, values):
    header = repr({"descr": ("|" if code == "b1" else "<") + code, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{CODES[code]}", *values))


def read(path):
    data = path.read_bytes()
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode())
    code = CODES[header["descr"][1:]]
    count = (len(data) - 10 - length) // struct.calcsize("<" + code)
    return header["shape"], list(struct.unpack(f"<{count}{code}", data[10 + length:]))


def run(model, inputs, *options):
    """Outputs in order as (shape, values); the message when the run is refused."""
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        arguments = []
        for i, given in enumerate(inputs):
            write(folder / f"in{i}.npy", *given)
            arguments += ["-i", str(folder / f"in{i}.npy")]
        ran = subprocess.run([lathe, "run", str(models / (model + ".onnx")), *arguments, *options, "-o", str(folder / "out")], capture_output=True, text=True)
        if ran.returncode:
            assert ran.returncode < 70, ran.stderr
            return ran.stderr
        return [read(path) for path in sorted((folder / "out").glob("output_*.npy"))]


X = [float(i) - 5 for i in range(16)]
x = ("f4", (4, 4), X)
rows = [X[4 * i:4 * i + 4] for i in range(4)]
relu = [max(v, 0) for v in X]


def number(value, code="i8"):
    return (code, (), [value])


def grown(trips):
    sums = [[sum(row) * (t + 2) for row in rows] for t in range(trips)]
    return [((4, 4 * (trips + 1)), [v for row in rows for v in row * (trips + 1)]), ((trips, 4), [v for part in sums for v in part])]


def appended(trips):
    """Rows below rows, and at the beginning of each turn the greatest of every column."""
    parts = [X] + [[v + t for v in X] for t in range(trips)]
    highest = [[max(v for part in parts[:t + 1] for v in part[column::4]) for column in range(4)] for t in range(trips)]
    return [((4 * (trips + 1), 4), sum(parts, [])), ((trips, 4), sum(highest, []))]


def scanned(length):
    """Backwards over the columns of x[3, length]; the parts stand in the order of the columns."""
    value, parts = [1.0, 2.0, 3.0], [None] * length
    table = [[float(10 * i + t) for t in range(length)] for i in range(3)]
    for t in reversed(range(length)):
        value = [value[i] + table[i][t] for i in range(3)]
        parts[t] = [-v for v in value]
    given = [("f4", (3,), [1.0, 2.0, 3.0]), ("f4", (3, length), sum(table, []))]
    return given, [((3,), value), ((3, length), [parts[t][i] for i in range(3) for t in range(length)])]


def condition(value):
    return ("b1", (1,), [value])


cases = [("if_shapes", [x, condition(True)], [((4, 4), relu)]), ("if_shapes", [x, condition(False)], [((8, 4), X + X)]),
         ("if_ranks", [x, condition(True)], [((4, 4), relu)]), ("if_ranks", [x, condition(False)], [((), [sum(X)])]),
         ("if_checked", [x, condition(True), ("i8", (4,), [0, 99, 0, 0])], [((4, 4), relu)]),
         ("if_checked", [x, condition(False), ("i8", (4,), [3, 0, -1, 1])], [((4, 4), rows[3] + rows[0] + rows[3] + rows[1])]),
         ("if_checked", [x, condition(False), ("i8", (4,), [0, 99, 0, 0])], "index"),
         ("if_squeeze", [("f4", (2, 1), [1.0, 2.0]), ("f4", (3,), [3.0, 4.0, 5.0])], [((5,), [1.0, 2.0, 3.0, 4.0, 5.0])]),
         ("if_squeeze", [("f4", (1, 2), [1.0, 2.0]), ("f4", (3,), [3.0, 4.0, 5.0])], "the branches give tensors of different ranks"),
         ("loop_condition", [x, number(False, "b1")], [((4, 4), X)]), ("loop_65", [x], [((4, 4), X)])]
cases += [("loop_unknown", [x, number(n)], [((4, 4), X)]) for n in (0, 7, -1)]
cases += [("loop_grows", [x, number(n)], grown(n)) for n in (1, 2, 9)]
cases += [("loop_appends", [x, number(n)], appended(n)[:1]) for n in (0, 1, 2, 9, 40)]
cases += [("loop_appends_and_reads", [x, number(n)], appended(n)) for n in (1, 2, 9, 40)]
cases += [("loop_in_loop", [x, number(n)], [((4, 4), [v * (1 + n * (n - 1) // 2) for v in X])]) for n in (0, 1, 6)]
cases += [("scan_open", *scanned(length)) for length in (1, 2, 70)]
for options in ((), ("-O0",), ("--backend", "interpreter")):
    for model, inputs, wanted in cases:
        got = run(model, inputs, *options)
        right = isinstance(got, str) and wanted in got if isinstance(wanted, str) else got == wanted
        assert right, (model, options, inputs[1:], got, wanted)
