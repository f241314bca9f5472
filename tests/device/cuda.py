#!/usr/bin/env python3
"""On a machine with an NVIDIA GPU and its driver: what only a GPU can tell about compiled models, in one command.

  tests/device/cuda.py LATHE [MODEL.onnx [IN=DIMS ...]] ...

Without models it takes those of the tree. Each is compiled for this GPU and for this processor and runs on both with the same random
inputs. With the exact schedules every byte must be equal; with --math fast (matrix instructions) the largest difference relative to
the output's range is printed and must stay below 2 %. It runs twice from machine code and once from PTX alone, and again under
compute-sanitizer where that is installed. The last line says how many comparisons failed; the exit code is 1 if any did, 77 when
there is no driver. Needs NumPy for --math fast alone."""
import filecmp, glob, os, re, shutil, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TREE = [
    ("examples/digits/digits.onnx", []),
    ("examples/shakespeare/shakespeare.onnx", ["tokens=1x64"]),
    ("examples/shakespeare/shakespeare.onnx", ["tokens=3x17"]),
    ("tests/data/onnx/good/types.onnx", []),
    ("tests/data/onnx/good/dense.onnx", ["x=5x3"]),
    ("tests/data/onnx/good/loop_numbers.onnx", []),
]
failures = []


def run(*command, **environment):
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def capability():
    said = run("nvidia-smi", "--query-gpu=compute_cap,name,driver_version", "--format=csv,noheader") if shutil.which("nvidia-smi") else None
    match = said and re.match(r"(\d+)\.(\d+), (.*)", said.stdout)
    return (int(match[1]) * 10 + int(match[2]), match[3]) if match else (None, "unknown")


def level_for(lathe, sm):
    """The best level at or below the GPU's capability."""
    names = [int(name) for name in re.findall(r"\bsm_(\d+)\b", run(lathe, "targets").stdout)]
    fitting = [name for name in names if sm is None or name <= sm]
    return f"sm_{max(fitting)}" if fitting else None


def outputs(lathe, library, shapes, folder, model, *wrapper):
    """Runs a library; the folder of its outputs, or None."""
    os.makedirs(folder)
    arguments = [argument for shape in shapes for argument in ("--shape", shape)]
    said = run(*wrapper, lathe, "run", library, "-i", "random:1", *arguments, "-o", folder, "--quiet")
    if said.returncode:
        failures.append(f"{model}: {' '.join(wrapper[:1])} run ended with {said.returncode}: {(said.stderr + said.stdout).strip()[-400:]}")
        return None
    return folder


def same_files(model, what, expected, got):
    names = sorted(os.path.basename(name) for name in glob.glob(expected + "/output_*"))
    different = [name for name in names if not filecmp.cmp(f"{expected}/{name}", f"{got}/{name}", shallow=False)]
    print(f"  {what}: {len(names) - len(different)} of {len(names)} outputs equal to the bit")
    if different or not names:
        failures.append(f"{model}: {what}: {', '.join(different) or 'no outputs'}")


def near_files(model, expected, got):
    import numpy
    for name in sorted(glob.glob(expected + "/output_*.npy")):
        want, have = numpy.load(name).astype("f8"), numpy.load(f"{got}/{os.path.basename(name)}").astype("f8")
        span = (want.max() - want.min()) or 1.0
        worst = abs(want - have).max() / span
        print(f"  --math fast: {os.path.basename(name)} differs by {worst:.2e} of its range")
        if not worst < 0.02:
            failures.append(f"{model}: --math fast: {worst}")


def check(lathe, level, model, shapes, folder):
    print(f"{os.path.relpath(model, ROOT)} {' '.join(shapes)}")
    made = {}
    for name, target, math, environment in (("host", "x86-64-v3", "default", {}), ("gpu", level, "default", {}),
                                            ("text", level, "default", {"LATHE_PTXAS": "/nowhere"}), ("fast", level, "fast", {})):
        made[name] = f"{folder}/{name}.so"
        said = run(lathe, "compile", model, "-o", made[name], "--target", target, "--math", math, "--quiet", **environment)
        if said.returncode:
            failures.append(f"{model}: compiling for {target}: {said.stderr.strip()[-400:]}")
            return
    expected = outputs(lathe, made["host"], shapes, f"{folder}/host", model)
    if not expected:
        return
    for name, what in (("gpu", "machine code"), ("gpu", "again"), ("text", "PTX alone")):
        got = outputs(lathe, made[name], shapes, f"{folder}/{what}", model)
        if got:
            same_files(model, what, expected, got)
    fast = outputs(lathe, made["fast"], shapes, f"{folder}/fast", model)
    if fast:
        near_files(model, expected, fast)
    if shutil.which("compute-sanitizer"):
        for tool in ("memcheck", "racecheck", "synccheck"):
            for name in ("gpu", "fast"):
                outputs(lathe, made[name], shapes, f"{folder}/{tool}-{name}", model, "compute-sanitizer", "--error-exitcode", "9",
                        "--tool", tool)
        print("  compute-sanitizer: memcheck, racecheck and synccheck were run")
    arguments = [argument for shape in shapes for argument in ("--shape", shape)]
    for name in ("gpu", "fast"):
        said = run(lathe, "bench", made[name], "-i", "random:1", *arguments)
        print(f"  {name}: " + " ".join(said.stdout.split())[:200])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    lathe = os.path.abspath(sys.argv[1])
    doctor = run(lathe, "doctor").stdout
    print(doctor, end="")
    if re.search(r"driver +none", doctor):
        print("skipped: there is no CUDA driver")
        sys.exit(77)
    models = []
    for argument in sys.argv[2:]:
        if argument.endswith(".onnx"):
            models.append((argument, []))
        else:
            models[-1][1].append(argument)
    models = models or [(os.path.join(ROOT, name), shapes) for name, shapes in TREE]
    sm, name = capability()
    level = level_for(lathe, sm)
    print(f"GPU: {name}, sm_{sm}; compiled for {level}")
    for model, shapes in models:
        with tempfile.TemporaryDirectory() as folder:
            check(lathe, level, model, shapes, folder)
    for failure in failures:
        print("FAIL", failure)
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


main()
