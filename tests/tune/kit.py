"""What the tests of lathe tune share: a model to tune, the protocol of tools/runner/protocol.h, and ways to start things."""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys

HELLO, TASK, MEASURE = 1, 2, 3
MAGIC = 0x4E555231
OK, WRONG, BOUNDS, CRASH, HANG, FORBIDDEN, MEMORY, LOAD = range(8)
REFERENCE = 1


# ---- a model: only what ONNX files of these tests need of protobuf ----

def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor_info(name, dims):
    shape = b"".join(field(1, field(1, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def constant(name, dims, seed):
    count = 1
    for dim in dims:
        count *= dim
    source = random.Random(seed)
    data = struct.pack(f"<{count}f", *(source.uniform(-1, 1) for _ in range(count)))
    return b"".join(field(1, dim) for dim in dims) + field(2, 1) + field(8, name) + field(9, data)


def ints(name, values):
    return field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7)


def node(op, inputs, output, *attributes):
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(3, output) + field(4, op) + b"".join(
        field(5, attribute) for attribute in attributes)


def write_model(path, rows=60, columns=80, depth=48, pool=True):
    """A matrix product with a weight, and a pooling between convolutions: three kernels of `contract`, one of `window`."""
    nodes = [node("MatMul", ["x", "w"], "y")]
    outputs, inputs, weights = [tensor_info("y", [rows, columns])], [tensor_info("x", [rows, depth])], [constant("w", [depth, columns], 1)]
    if pool:
        inputs.append(tensor_info("image", [1, 3, 18, 18]))
        weights.append(constant("filter", [20, 3, 3, 3], 2))
        nodes.append(node("Conv", ["image", "filter"], "conv", ints("kernel_shape", [3, 3]), ints("pads", [1, 1, 1, 1])))
        nodes.append(node("MaxPool", ["conv"], "pooled", ints("kernel_shape", [3, 3]), ints("strides", [2, 2])))
        weights.append(constant("last", [8, 20, 1, 1], 3))
        nodes.append(node("Conv", ["pooled", "last"], "found", ints("kernel_shape", [1, 1])))
        outputs.append(tensor_info("found", [1, 8, 8, 8]))
    graph = b"".join(field(1, each) for each in nodes) + field(2, "tuned") + b"".join(field(5, each) for each in weights)
    graph += b"".join(field(11, each) for each in inputs) + b"".join(field(12, each) for each in outputs)
    pathlib.Path(path).write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17)))
    return str(path)


# ---- the protocol ----

def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.read(count - len(data))
        if not more:
            return None
        data += more
    return data


def read_message(stream):
    head = read_exactly(stream, 16)
    if head is None:
        return None, None
    magic, kind, count = struct.unpack("<IIQ", head)
    assert magic == MAGIC
    return kind, read_exactly(stream, count)


def write_message(stream, kind, data):
    stream.write(struct.pack("<IIQ", MAGIC, kind, len(data)) + data)
    stream.flush()


def padded(count):
    return (count + 7) & ~7


def candidates(message):
    """(flags, least, most), [(units, scratch, label, object, near)] of a MEASURE message."""
    count, flags, least, most, _, _ = struct.unpack_from("<IIIIQQ", message)
    found, at = [], 32
    for _ in range(count):
        units, scratch, label_bytes, object_bytes, near = struct.unpack_from("<qQQQQ", message, at)
        at += 40
        label = message[at:at + label_bytes].rstrip(b"\0").decode()
        at += padded(label_bytes)
        found.append((units, scratch, label, message[at:at + object_bytes], near))
        at += padded(object_bytes)
    return (flags, least, most), found


def measure_message(message, found):
    """The same message with other candidates."""
    out = message[:32]
    for units, scratch, label, data, near in found:
        text = label.encode() + b"\0"
        out += struct.pack("<qQQQQ", units, scratch, len(text), len(data), near)
        out += text.ljust(padded(len(text)), b"\0") + data.ljust(padded(len(data)), b"\0")
    return out


def result(status=OK, candidate=0, count=1, rows=(), code=0, detail=""):
    """A RunnerResult; rows: times in nanoseconds, one list per repetition."""
    out = struct.pack("<IIIIiI", status, candidate, len(rows), count, code, 0) + detail.encode().ljust(168, b"\0")
    return out + b"".join(struct.pack(f"<{count}Q", *row) for row in rows)


def hello(confined=1):
    return struct.pack("<IIII", 2, 4, confined, 0) + b"a made-up machine".ljust(112, b"\0")


# ---- running ----

class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


class Place:
    """A folder with a model, a storage and the program."""

    def __init__(self, lathe, folder, **sizes):
        self.lathe, self.folder = lathe, pathlib.Path(folder)
        self.model = write_model(self.folder / "model.onnx", **sizes)
        self.storage = self.folder / "tune.db"
        self.records = self.folder / "model.tune.jsonl"
        self.environment = dict(os.environ, LATHE_CACHE_DIR=str(self.folder / "cache"), LC_ALL="C")

    def run(self, *arguments, code=0):
        done = subprocess.run([self.lathe, *map(str, arguments)], env=self.environment, cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
        check(code is None or done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def tune_arguments(self, *more):
        return ["tune", self.model, "-o", self.records, "--storage", self.storage, "--threads", "1", "--progress", "none", *more]

    def tune(self, *more, code=0):
        """Runs lathe tune; its events and its result."""
        done = self.run(*self.tune_arguments("--json", *more), code=code)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return [event for event in events if event["event"] == "trial"], next(
            (event for event in events if event["event"] == "result"), None)

    def read_records(self):
        return [json.loads(line) for line in self.records.read_text().splitlines()]


def main(test):
    """test(lathe, folder, *rest); the command line holds the program, a folder that is made anew, and the rest."""
    import shutil
    folder = pathlib.Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        test(sys.argv[1], folder, *sys.argv[3:])
    except Failed as failure:
        print(f"FAIL: {failure}")
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)
