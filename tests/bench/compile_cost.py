#!/usr/bin/env python3
"""What compiling costs: time without and with the cache, size of the code.

    compile_cost.py [--cpu LEVELS] [--jobs N] MODEL.onnx ...

Every model is compiled twice into a new file with a cache folder of its own, which is empty the first time. Code is the machine code of
all kernels for all levels and its constants, without weights and without the runtime. LATHE names the compiler (else PATH)."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time


def compile_once(model, folder, name, arguments):
    library = folder / name / "model.so"
    library.parent.mkdir()
    command = [os.environ.get("LATHE", "lathe"), "compile", model, "-o", library, "-q", "--cpu", arguments.cpu,
               "--cache-dir", folder / "cache", "-j", str(arguments.jobs)]
    start = time.monotonic()
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{model}: {done.stderr.strip()}")
    return time.monotonic() - start, json.loads(library.with_suffix(".json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--cpu", default="x86-64-v3,x86-64-v4")
    parser.add_argument("--jobs", type=int, default=0, help="processes, 0: one per core")
    arguments = parser.parse_args()
    print(f"{'':40s} {'cold s':>8s} {'cached s':>8s} {'code KB':>8s} {'launches':>8s} {'kernels':>8s}")
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            cold, report = compile_once(model, folder, "cold", arguments)
            cached, again = compile_once(model, folder, "cached", arguments)
        kernels = len({(kernel.get("region"), kernel["code"]) for kernel in report["kernels"]})
        print(f"{model.name:40s} {cold:8.2f} {cached:8.2f} {report['code_bytes'] / 1e3:8.0f} {len(report['kernels']):8d} {kernels:8d}"
              f"{'' if report == again else '  differs'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
