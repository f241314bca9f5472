#!/usr/bin/env python3
"""Random models over the table of operators: compiled, interpreted, and by ONNX Runtime where it is installed.

    random_models.py LATHE [--count N] [--seed N] [-j N] [--keep DIR] [--operators A,B]
    random_models.py LATHE --check MODEL        one model on random inputs: exit status 3 when it fails, which `lathe reduce` asks for

Each model is a random graph of up to 12 nodes with legal attributes, shapes and types. It must compile; the compiled model must give what
the interpreter gives at -O0 (lathe validate, its bounds); and both what ONNX Runtime gives, within rounding. A model that fails is shrunk by
lathe reduce and kept. differences.tsv explains where ONNX Runtime is known to differ, with the words of the specification: a failure whose
smallest model has such an operator is counted apart. Exit status 77: the onnx package is not there."""
import argparse
import collections
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [path for path in (os.environ.get("LATHE_TEST_PACKAGES"), "/usr/local/share/lathe-tests", str(HERE)) if path]
try:
    import ml_dtypes
    import numpy as np
    import onnx
    from onnx import numpy_helper
except ImportError as error:
    print(f"skipped: {error}; .ci/onnx installs it")
    sys.exit(77)
try:
    import onnxruntime
except ImportError:
    onnxruntime = None

import model as random_model
import operators

Outcome = collections.namedtuple("Outcome", "seed kind detail operators")  # kind: pass, refused, crash, compiled (differs from interpreted), runtime
LIMIT = 120


# ---- making ----
def drawable(lathe):
    """Operator name -> function of a Model; and the supported ones that cannot be drawn."""
    table = json.loads(subprocess.run([lathe, "operators", "--json"], check=True, capture_output=True, text=True).stdout)["operators"]
    schemas = {schema.name: schema for schema in (onnx.defs.get_schema(row["name"], random_model.NEWEST, "") for row in table
                                                   if not row["domain"] and row["supported"] and onnx.defs.has(row["name"], random_model.NEWEST, ""))}
    found, missing = {}, []
    for row in table:
        name = row["name"]
        if row["domain"] or not row["supported"] or name in operators.NOT_DRAWN:
            continue
        if hasattr(operators, name):
            found[name] = getattr(operators, name)
        elif name in schemas and (row["form"] == "elementwise" or name in operators.SAME):
            found[name] = lambda g, schema=schemas[name]: random_model.elementwise(g, schema, types_of(schema))
        else:
            missing.append(name)
    return found, missing


def types_of(schema):
    allowed = next((c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == schema.inputs[0].type_str), [])
    names = {"float": "float32", "double": "float64"}
    found = [names.get(t[7:-1], t[7:-1]) for t in allowed if t.startswith("tensor(")]
    return tuple(t for t in found if t in operators.FLOATS + operators.INTEGERS + ("bool",))


def make(seed, makers, only=None):
    for attempt in range(20):
        opset = 28 if seed % 4 == 3 else random_model.OPSET
        made = random_model.Model(seed * 1000 + attempt, opset)
        names = list(makers)
        for _ in range(60):
            if len(made.nodes) >= 3 + seed % 10:
                break
            name = made.draw.choice(only or names)
            if onnx.defs.has(name, opset, ""):
                makers[name](made)
        if made.nodes:
            return made.finish()
    raise RuntimeError(f"seed {seed} gives no model")


# ---- judging ----
def inputs_write(folder, inputs):
    arguments = []
    for name, array in inputs.items():
        path = os.path.join(folder, f"{name}.pb")
        with open(path, "wb") as file:
            file.write(numpy_helper.from_array(array, name).SerializeToString())
        arguments += ["-i", f"{name}={path}"]
    return arguments


def outputs_read(folder, model):
    for output in model.graph.output:
        base = os.path.join(folder, output.name)
        if os.path.exists(base + ".npy"):
            yield np.load(base + ".npy")
        else:
            with open(base + ".pb", "rb") as file:
                yield numpy_helper.to_array(onnx.TensorProto.FromString(file.read()))


def close(got, wanted):
    """Within rounding of a chain of a dozen operators; None, or what is wrong."""
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return f"{got.dtype}{list(got.shape)} for {wanted.dtype}{list(wanted.shape)}"
    tolerance = {"float64": 1e-6, "float32": 2e-3, "float16": 2e-2, "bfloat16": 1e-1}.get(wanted.dtype.name, 0)
    a, b = (got.astype(np.float64), wanted.astype(np.float64)) if tolerance else (got, wanted)
    if not tolerance:
        return None if np.array_equal(a, b) else f"{int((a != b).sum())} of {a.size} differ"
    finite = np.abs(b[np.isfinite(b)])
    with np.errstate(invalid="ignore"):
        good = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= tolerance * (np.abs(b) + (finite.max() if finite.size else 0) / 4 + 1e-3))
    return None if good.all() else f"{int((~good).sum())} of {a.size} differ: {a[~good].flat[0]:.7g} for {b[~good].flat[0]:.7g}"


def runtime_outputs(model, inputs):
    """ONNX Runtime's answer; None when it does not take the model."""
    if onnxruntime is None or any(a.dtype.name == "bfloat16" for a in inputs.values()):
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run([output.name for output in model.graph.output], inputs)
    except Exception:  # its own refusals are many
        return None


def judge(lathe, cache, path, model, inputs):
    """(kind, detail)"""
    with tempfile.TemporaryDirectory(prefix="lathe-random-") as folder:
        out = os.path.join(folder, "out")
        command = [lathe, "validate", path, *inputs_write(folder, inputs), "-o", out, "--progress", "none", "-j", "1", "--threads", "2"]
        command += ["--cache-dir", cache] if cache else []
        try:
            ran = subprocess.run(command, capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "crash", f"no answer within {LIMIT} s"
        said = (ran.stdout + ran.stderr).decode("utf-8", "replace").strip().replace("\n", "; ")
        if ran.returncode == 1:
            return "compiled", said
        if ran.returncode < 0 or ran.returncode >= 64 or "internal error" in said or "left with exit code" in said:
            return "crash", said
        if ran.returncode:
            return "refused", said
        wanted = runtime_outputs(model, inputs)
        if wanted is None:
            return "pass", "not by ONNX Runtime"
        for output, reference in zip(model.graph.output, wanted):
            dims = [d.dim_value for d in output.type.tensor_type.shape.dim if d.HasField("dim_value")]
            if len(dims) == np.ndim(reference) and dims != list(np.shape(reference)):
                return "pass", "ONNX Runtime's result has not the shape that the model has"
        for output, got, reference in zip(model.graph.output, outputs_read(out, model), wanted):
            what = close(got, np.asarray(reference))
            if what:
                return "runtime", f"{output.name}: {what}"
    return "pass", ""


def signature(kind, detail):
    """What must stay the same of a failure when the model shrinks: names of files and numbers differ."""
    said = detail[detail.index("error: "):] if "error: " in detail else ""
    return kind + " " + re.sub(r"[0-9]+.*", "", said)[:60].strip()


def check(lathe, path):
    """What reduce asks: random inputs of the model's types, those of the file beside it where names fit."""
    model = onnx.load(path)
    kept = np.load(os.environ["LATHE_RANDOM_INPUTS"], allow_pickle=True) if "LATHE_RANDOM_INPUTS" in os.environ else {}
    draw = random_model.Model(1)
    inputs = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else 2 for d in tensor.shape.dim]
        same = value.name in kept and list(kept[value.name].shape) == shape
        dtype = "bfloat16" if tensor.elem_type == onnx.TensorProto.BFLOAT16 else onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        inputs[value.name] = kept[value.name] if same else draw.array(dtype, shape, small=True)
    kind, detail = judge(lathe, None, path, model, inputs)
    print(signature(kind, detail))
    return 0 if kind == "pass" else 3


def shrink(lathe, path, inputs, kind, detail):
    """The operators of the smallest model that fails the same way; the model lies beside `path`."""
    small = path[:-5] + ".small.onnx"
    kept = path[:-5] + ".npz"
    np.savez(kept, **{name: array for name, array in inputs.items() if array.dtype.name != "bfloat16"})
    environment = {**os.environ, "LATHE_RANDOM_INPUTS": kept}
    subprocess.run([lathe, "reduce", path, "-o", small, "--progress", "none", "--timeout", "60s", "--match", signature(kind, detail), "--check",
                    f"'{sys.executable}' '{__file__}' '{lathe}' --check {{model}}"], env=environment, capture_output=True)
    if not os.path.exists(small):
        return None
    graph = onnx.shape_inference.infer_shapes(onnx.load(small)).graph
    empty = {tensor.name for tensor in graph.initializer if 0 in tensor.dims}
    for value in [*graph.input, *graph.value_info]:
        if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in value.type.tensor_type.shape.dim):
            empty.add(value.name)
    return [node.op_type for node in graph.node] + [f"{node.op_type} of nothing" for node in graph.node if empty & set(node.input)]


def differences_read():
    rows = [line.rstrip("\n").split("\t") for line in open(HERE / "differences.tsv") if line.strip() and not line.startswith("#")]
    return {row[0]: row[1:] for row in rows}


STATE = {}


def one(seed):
    arguments, makers = STATE["arguments"], STATE["makers"]
    model, inputs = make(seed, makers, arguments.operators.split(",") if arguments.operators else None)
    ops = [node.op_type for node in model.graph.node]
    path = os.path.join(STATE["folder"], f"{seed}.onnx")
    onnx.save(model, path)
    kind, detail = judge(arguments.lathe, arguments.cache, path, model, inputs)
    if kind == "pass":
        os.unlink(path)
        return Outcome(seed, kind, detail, ops)
    small = shrink(arguments.lathe, path, inputs, kind, detail) if not arguments.no_shrink else None
    return Outcome(seed, kind, detail, small or ops)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lathe")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-j", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="folder for models that fail")
    parser.add_argument("--cache")
    parser.add_argument("--operators", help="only these")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--check")
    arguments = parser.parse_args()
    if onnx.defs.onnx_opset_version() < random_model.NEWEST:
        print(f"skipped: onnx {onnx.__version__} is older than the operators that are tested; .ci/onnx installs a newer one")
        return 77
    if arguments.check:
        return check(arguments.lathe, arguments.check)
    makers, missing = drawable(arguments.lathe)
    STATE.update(arguments=arguments, makers=makers, folder=arguments.keep or tempfile.mkdtemp(prefix="lathe-random-"))
    os.makedirs(STATE["folder"], exist_ok=True)
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    with concurrent.futures.ProcessPoolExecutor(arguments.j, mp_context=multiprocessing.get_context("fork")) as pool:
        outcomes = list(pool.map(one, seeds, chunksize=2))
    explained = differences_read()
    wrong = 0
    for outcome in outcomes:
        note = next((op for op in outcome.operators if op in explained and outcome.kind == "runtime"), None)
        if outcome.kind != "pass" and not note:
            wrong += 1
            print(f"seed {outcome.seed}: {outcome.kind}: {' '.join(outcome.operators)}: {outcome.detail[:400]}")
    counts = collections.Counter(outcome.kind for outcome in outcomes)
    used = collections.Counter(op for outcome in outcomes for op in set(outcome.operators) if " of nothing" not in op)
    noted = sum(outcome.kind == "runtime" and any(op in explained for op in outcome.operators) for outcome in outcomes)
    alone = sum(bool(outcome.detail) for outcome in outcomes if outcome.kind == "pass")
    print(f"{len(outcomes)} models of {len(used)} operators ({len(makers)} can be drawn): {dict(counts)}; {noted} differences are explained; "
          f"{alone} passed without ONNX Runtime")
    if missing:
        print("operators that nobody draws: " + " ".join(missing))
    if wrong:
        print(f"the models lie in {STATE['folder']}; --seed N --count 1 makes one of them again")
    elif not arguments.keep:
        for name in os.listdir(STATE["folder"]):
            os.unlink(os.path.join(STATE["folder"], name))
        os.rmdir(STATE["folder"])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
