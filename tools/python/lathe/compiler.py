"""The compiler, called as a program."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from .model import load


class CompileError(Exception):
    """What the compiler said; `status` is its exit status (docs/cli.md lists them)."""

    def __init__(self, text, status):
        super().__init__(text)
        self.status = status


class Artifact(os.PathLike):
    """A library that was compiled."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def __fspath__(self):
        return str(self.path)

    def load(self):
        return load(self.path)

    def __repr__(self):
        return f"lathe.Artifact({str(self.path)!r})"


def find_program():
    """$LATHE, else the program that travels in the package, else the one in PATH."""
    carried = pathlib.Path(__file__).parent / "bin" / "lathe"
    found = os.environ.get("LATHE") or (str(carried) if carried.exists() else shutil.which("lathe"))
    if not found:
        raise FileNotFoundError("the program lathe was not found: install it, or set LATHE to its path")
    return found


def _dim(value):
    """8, (1, 32) or (1, 32, 8): fixed, a range, a range with the value to be best for."""
    if isinstance(value, (tuple, list)):
        return f"{value[0]}..{value[1]}" + (f"@{value[2]}" if len(value) > 2 else "")
    return str(value)


def compile(model, output=None, *, shapes=None, dims=None, target=None, cpu=None, options=(), program=None):
    """Compiles an ONNX file, or an onnx.ModelProto, to a shared library; returns an Artifact, which load() takes.

    output   the library; initially the model's name with .so (an onnx.ModelProto needs one)
    shapes   {"image": (1, 3, 224, 224)} fixes the shapes of inputs
    dims     {"batch": 8} or {"batch": (1, 32)} binds or bounds symbolic dimensions
    options  further words of the command line, such as ["-O3", "--math", "fast"]"""
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(model, "SerializeToString"):
            if output is None:
                raise TypeError("a model that is no file needs output=...")
            path = pathlib.Path(folder) / (pathlib.Path(output).stem + ".onnx")
            path.write_bytes(model.SerializeToString())
        else:
            path = pathlib.Path(model)
        output = pathlib.Path(output) if output is not None else path.with_suffix(".so")
        command = [program or find_program(), "compile", "--quiet", "--emit", "so", "-o", str(output)]
        for name, shape in (shapes or {}).items():
            command += ["--shape", f"{name}={'x'.join(map(str, shape))}"]
        for name, value in (dims or {}).items():
            command += ["--dim", f"{name}={_dim(value)}"]
        if target:
            command += ["--target", target]
        if cpu:
            command += ["--cpu", cpu if isinstance(cpu, str) else ",".join(cpu)]
        done = subprocess.run([*command, *options, "--", str(path)], capture_output=True, text=True)
    if done.returncode:
        raise CompileError(done.stderr.strip() or f"lathe ended with status {done.returncode}", done.returncode)
    return Artifact(output)
