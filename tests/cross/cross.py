#!/usr/bin/env python3
"""Models compiled for another machine, run there in an emulator: the same bits as x86-64-v3 gives here, and the results that the
model's own folder states. Needs a cross compiler for the host program and the emulator, else leaves with 77, saying which.

    cross.py LATHE SOURCE_FOLDER TARGET EMULATOR CROSS_COMPILER SYSROOT"""
import math
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

LATHE, SOURCE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
TARGET, EMULATOR, COMPILER, SYSROOT = sys.argv[3:]
BOUND = 1e-5  # of the largest value of an output: between results of other software and ours

DIGITS, GOOD = SOURCE / "examples/digits", SOURCE / "tests/data/onnx/good"


def skip(what):
    print(f"skipped: {what}")
    sys.exit(77)


def run(*command, expect=0, environment=None):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **(environment or {})})
    if done.returncode != expect:
        sys.exit(f"{' '.join(map(str, command))}\nexit status {done.returncode}, not {expect}\n{done.stdout}")
    return done.stdout


def compile_model(folder, model, target, *options, environment=None):
    made = folder / f"{model.stem}-{target}.so"
    run(LATHE, "compile", "--quiet", model, "--target", target, "-o", made, *options, environment=environment)
    return made


# NumPy's name of a type, struct's letter.
LETTERS = {"<f4": "f", "<f8": "d", "<f2": "e", "<i8": "q", "<u8": "Q", "<i4": "i", "|i1": "b", "|b1": "B"}


class Array:
    """A file of NumPy, without NumPy."""

    def __init__(self, descr, shape, data):
        self.descr, self.shape, self.data = descr, shape, data

    @staticmethod
    def load(path):
        raw = path.read_bytes()
        length = struct.unpack("<H", raw[8:10])[0]
        descr, shape = re.search(r"'descr': '(.*?)'.*'shape': \((.*?)\)", raw[10 : 10 + length].decode()).groups()
        return Array(descr, [int(d) for d in shape.split(",") if d.strip()], raw[10 + length :])

    def save(self, path):
        text = f"{{'descr': '{self.descr}', 'fortran_order': False, 'shape': ({''.join(f'{d},' for d in self.shape)}), }}"
        text += " " * (-(10 + len(text) + 1) % 64) + "\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + self.data)

    def values(self):
        return [value for (value,) in struct.iter_unpack("<" + LETTERS[self.descr], self.data)]

    def same(self, other):
        """The same bits, NaN being NaN."""
        if (self.descr, self.shape) != (other.descr, other.shape) or len(self.data) != len(other.data):
            return False
        if self.data == other.data or "f" not in self.descr:
            return self.data == other.data
        return all(
            (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
            for a, b in zip(self.values(), other.values())
        )


def outputs(folder):
    return [Array.load(folder / name) for name in sorted(os.listdir(folder))]


class Hosts:
    """The host program here and there."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        source = SOURCE / "tests/cross/host.c"
        flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE}", source]
        run("cc", *flags, "-o", folder / "host-here", "-ldl")
        run(COMPILER, *flags, "-o", folder / "host-there", "-ldl")

    def run(self, library, inputs, there, threads=1):
        self.count += 1
        into = self.folder / f"out{self.count}"
        into.mkdir()
        command = [EMULATOR, "-L", SYSROOT, self.folder / "host-there"] if there else [self.folder / "host-here"]
        said = run(*command, library, into, threads, *inputs)
        return outputs(into), said


TYPES = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "i64": "<i8", "u64": "<u8", "i32": "<i4", "i8": "|i1", "bool": "|b1"}


OPEN = {"if_squeeze": 1}  # sizes of dims that a model leaves open, where it does not take every one


def inputs_of(folder, model, seed=7):
    """Random inputs for a model, by what `lathe inspect` says of it; open sizes are 3, but for what OPEN says. None: not all are tensors
    of numbers."""
    generator = random.Random(seed)
    files = []
    said = run(LATHE, "inspect", model)
    if re.search(r"^input .*: (sequence|optional|string)", said, re.MULTILINE):
        return None  # the host reads tensors of numbers
    for dtype, dims in re.findall(r"^input .*: (\w+)\[(.*)\]", said, re.MULTILINE):
        shape = [int(d) if d.isdigit() else OPEN.get(model.stem, 3) for d in dims.split(",") if d]
        count, descr = math.prod(shape), TYPES[dtype]
        values = [generator.uniform(-2, 2) if dtype[0] == "f" else generator.randrange(2) for _ in range(count)]
        files.append(folder / f"{model.stem}-{len(files)}.npy")
        Array(descr, shape, struct.pack(f"<{count}{LETTERS[descr]}", *values)).save(files[-1])
    return files


def check_model(hosts, folder, model, inputs, expected=None, options=()):
    here, there = compile_model(folder, model, "x86-64-v3", *options), compile_model(folder, model, TARGET, *options)
    ours, _ = hosts.run(here, inputs, there=False)
    theirs, said = hosts.run(there, inputs, there=True)
    threaded, _ = hosts.run(there, inputs, there=True, threads=3)
    assert TARGET in said, said
    for i, (a, b, c) in enumerate(zip(ours, theirs, threaded)):
        assert a.same(b), f"{model.name}: output {i} differs from x86-64-v3"
        assert b.same(c), f"{model.name}: output {i} differs with threads"
    if expected:
        want = Array.load(expected).values()
        assert len(want) == len(theirs[0].values()), model.name
        most = max(abs(a - b) for a, b in zip(theirs[0].values(), want))
        assert most <= BOUND * max(map(abs, want)), f"{model.name}: {most} from what {expected} says"
    print(f"{model.name}: {len(ours)} outputs, the same bits")


def check_needs(folder):
    """The library needs libc alone, asks for no versions, shows its entries alone; an archive of two models links there."""
    library = compile_model(folder, DIGITS / "digits.onnx", TARGET)
    text = run("readelf", "--wide", "--dynamic", "--version-info", "--dyn-syms", library)
    assert re.findall(r"NEEDED.*\[(.*)\]", text) == ["libc.so.6"], text
    assert "No version information" in text, text
    shown = set(re.findall(r" GLOBAL +DEFAULT +\d+ (\S+)$", text, re.MULTILINE))
    assert shown == {f"digits_{what}" for what in ("open", "close", "run", "model")} | {"lathe_model_v1"}, shown
    message = run(LATHE, "run", library, "-i", DIGITS / "three.npy", expect=7)
    assert "is for another machine" in message, message
    message = run(LATHE, "run", DIGITS / "digits.onnx", "--target", TARGET, "-i", DIGITS / "three.npy", expect=7)
    assert "the model with this --target is for another machine" in message, message


def check_linkers(hosts, folder):
    """GNU's cross tools do as well as lld; with this machine's linker alone, the message says what is missing."""
    model, gnu = DIGITS / "digits.onnx", COMPILER.removesuffix("-gcc")
    for linker in (f"{gnu}-ld", COMPILER):
        made = compile_model(folder, model, TARGET, environment={"LATHE_LINKER": linker})
        outputs_made, _ = hosts.run(made, [DIGITS / "three.npy"], there=True)
        assert len(outputs_made) == 1
    alone = folder / "bin"
    alone.mkdir()
    (alone / "ld").symlink_to(shutil.which("ld"))
    message = run(LATHE, "compile", model, "--target", TARGET, "-o", folder / "none.so", environment={"PATH": str(alone)}, expect=6)
    assert f"no linker for this target was found: looked for ld.lld, mold and {gnu}-ld" in message, message


def check_runtime(folder):
    """The runtime by another compiler than the one that makes the bitcode: many contexts in many threads."""
    family = {"aarch64": "aarch64", "armv7-neon": "armv7"}[TARGET]
    flags = {"aarch64": [], "armv7": ["-march=armv7-a", "-mfpu=neon-vfpv4"]}[family]
    sources = [p for p in (SOURCE / "runtime").glob("*.c") if "_" not in p.stem or p.stem.endswith(f"_{family}")]
    run(COMPILER, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", *flags, f"-I{SOURCE}", SOURCE / "tests/runtime/stress.c", *sources,
        "-pthread", "-o", folder / "stress")
    assert run(EMULATOR, "-L", SYSROOT, folder / "stress") == "0 failures\n"


def check_old_processor(folder):
    """A processor below the level is an error with words, not an illegal instruction."""
    library = compile_model(folder, DIGITS / "digits.onnx", TARGET)
    said = run(EMULATOR, "-cpu", "cortex-a8", "-L", SYSROOT, folder / "host-there", library, folder, 1, DIGITS / "three.npy", expect=1)
    assert f"needs a CPU with {TARGET} or better" in said, said


def check_archives(folder):
    """Two models as static libraries in one program: nothing of them meets."""
    program = folder / "two.c"
    program.write_text("""
#include "one.h"
#include "two.h"
#include <stdio.h>
#include <string.h>
static float image[64], scores[10], again[10];
int main(void)
{
    int error = 0;
    for (int i = 0; i < 64; i++)
        image[i] = (float)(i % 17) / 16;
    lathe_context *const one = one_open(NULL, &error), *const two = two_open(NULL, &error);
    if (!one || !two || one_run(one, image, scores) != 0 || two_run(two, image, again) != 0)
        return 1;
    printf("%s\\n", memcmp(scores, again, sizeof scores) ? "differ" : "equal");
    one_close(one);
    two_close(two);
    return 0;
}
""")
    objects = []
    for name, suffix in (("one", "a"), ("two", "o")):
        objects.append(folder / f"{name}.{suffix}")
        run(LATHE, "compile", "--quiet", DIGITS / "digits.onnx", "--target", TARGET, "--prefix", name, "-o", objects[-1])
    run(COMPILER, "-I", folder, program, *objects, "-pthread", "-lm", "-o", folder / "two")
    assert run(EMULATOR, "-L", SYSROOT, folder / "two") == "equal\n"


def main():
    for tool in (EMULATOR, COMPILER, "readelf", "cc"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        hosts = Hosts(folder)
        check_needs(folder)
        check_archives(folder)
        for model in (DIGITS / "digits.onnx", SOURCE / "examples/shakespeare/shakespeare.onnx", *sorted(GOOD.glob("*.onnx"))):
            inputs = inputs_of(folder, model)
            if inputs is not None:
                check_model(hosts, folder, model, inputs)
        data = DIGITS / "test_data"
        check_model(hosts, folder, DIGITS / "digits.onnx", [data / "input_0.npy"], data / "output_0.npy")


main()
