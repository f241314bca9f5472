#!/usr/bin/env python3
"""The tests of the installed onnx package, through the lathe program.

    conformance.py LATHE [--part N] [--symbolic] [--match GLOB] [-j N] [--cache DIR] [-- OPTIONS OF lathe run]

Every test must pass, but for those that expected.tsv lists with the words of the refusal: a test that newly fails is an error, and one
that is listed and passes too, so that the list stays true. --part N takes every Nth test, chosen by a hash of its name, and of each
operator that no chosen test has the first test that has it. Outputs are compared by the suite's own rule (rtol and atol of the test);
those of random operators by shape and type. --symbolic makes every dim of the inputs a symbol: lengths of lists, ranks and broadcasts
then come from what a run is given. Exit status 77: the onnx package is not there, or it is too old."""
import argparse
import collections
import concurrent.futures
import fnmatch
import glob
import hashlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [path for path in (os.environ.get("LATHE_TEST_PACKAGES"), "/usr/local/share/lathe-tests") if path]
try:
    import ml_dtypes
    import numpy as np
    import onnx
    import onnx.backend.test
    from onnx import TensorProto, numpy_helper
    from onnx.backend.test.loader import load_model_tests
    from onnx.backend.test.runner import Runner
except ImportError as error:
    print(f"skipped: {error}; .ci/onnx installs it")
    sys.exit(77)

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
# What these give is drawn at random: the suite's values are those of another generator.
RANDOM = ("test_bernoulli*", "test_training_dropout*")
RANDOM_BUT = ("test_training_dropout_zero_ratio*",)
# Types that .npy does not hold.
WIDE = {getattr(TensorProto, name): getattr(ml_dtypes, dtype)
        for name, dtype in (("BFLOAT16", "bfloat16"), ("FLOAT8E4M3FN", "float8_e4m3fn"), ("FLOAT8E4M3FNUZ", "float8_e4m3fnuz"),
                            ("FLOAT8E5M2", "float8_e5m2"), ("FLOAT8E5M2FNUZ", "float8_e5m2fnuz"), ("INT4", "int4"), ("UINT4", "uint4"),
                            ("FLOAT4E2M1", "float4_e2m1fn"), ("INT2", "int2"), ("UINT2", "uint2"), ("FLOAT8E8M0", "float8_e8m0fnu"))
        if hasattr(TensorProto, name) and hasattr(ml_dtypes, dtype)}
WIDE_NAMES = {np.dtype(dtype).name for dtype in WIDE.values()}
LIMIT = 120

Case = collections.namedtuple("Case", "kind name case")
Answer = collections.namedtuple("Answer", "name what detail")  # what: pass, wrong, refused, error, crash


# ---- the tests ----
def cases_load():
    warnings.filterwarnings("ignore")
    np.random.seed(0)
    cases = [Case(kind, case.name, case) for kind in KINDS for case in load_model_tests(kind=kind)]
    return sorted(cases, key=lambda case: (case.kind, case.name))


def case_path(case):
    """The model file of a test that lies on the disk; None for tests made in memory."""
    if case.case.model is not None:
        return None
    if case.case.model_dir:
        return os.path.join(case.case.model_dir, "model.onnx")
    return os.path.join(os.path.dirname(onnx.__file__), "..", case.case.url)


def case_model(case):
    return case.case.model if case.case.model is not None else onnx.load(case_path(case))


def graph_operators(nodes):
    for node in nodes:
        yield f"{node.domain}:{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                yield from graph_operators(graph.node)


def model_operators(model):
    own = {function.name for function in model.functions}
    nodes = [node for part in [model.graph, *model.functions] for node in part.node]
    return {op for op in graph_operators(nodes) if op.split(":")[-1] not in own}


def choose(cases, part):
    chosen = {case.name for case in cases if int(hashlib.sha1(case.name.encode()).hexdigest(), 16) % part == 0}
    # The large models of the suite repeat what others have, and take the time of a hundred.
    chosen -= {case.name for case in cases if case.kind == "real"}
    covered, wanted = set(), {}
    for case in cases:
        for op in model_operators(case_model(case)):
            wanted.setdefault(op, case.name)
            if case.name in chosen:
                covered.add(op)
    chosen |= {name for op, name in wanted.items() if op not in covered}
    return [case for case in cases if case.name in chosen], len(wanted)


# ---- values ----
def value_bytes(value, info):
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    kind = info.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(value, info.name).SerializeToString()
    if kind == "optional_type":
        return numpy_helper.from_optional(value, info.name).SerializeToString()
    if kind == "map_type":
        return numpy_helper.from_dict(value, info.name).SerializeToString()
    return numpy_helper.from_array(np.asarray(value), info.name).SerializeToString()


def value_load(data, kind):
    if kind == "sequence_type":
        return list(numpy_helper.to_list(onnx.SequenceProto.FromString(data)))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    if kind == "map_type":
        return numpy_helper.to_dict(onnx.MapProto.FromString(data))
    return numpy_helper.to_array(TensorProto.FromString(data))


def symbolic(model):
    """The same model with every dim of its inputs and outputs a symbol of its own, and nothing said of the values between."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    constants = {tensor.name for tensor in model.graph.initializer}
    for letter, values in (("i", model.graph.input), ("o", model.graph.output)):
        for i, value in enumerate(values):
            for j, dim in enumerate(value.type.tensor_type.shape.dim if value.name not in constants else ()):
                dim.dim_param = f"{letter}{i}_{j}"
    del model.graph.value_info[:]
    return model


def is_random(name):
    return any(fnmatch.fnmatch(name, glob_) for glob_ in RANDOM) and not any(fnmatch.fnmatch(name, glob_) for glob_ in RANDOM_BUT)


def difference(wanted, got, case, where):
    """None when they are the same by the suite's rule, else why not."""
    if wanted is None or got is None:
        return None if wanted is None and got is None else f"{where}: nothing against a value"
    if isinstance(wanted, dict):
        return None if wanted == got else f"{where}: another map"
    if isinstance(wanted, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(wanted) != len(got):
            return f"{where}: a sequence of another length"
        return next(filter(None, (difference(w, g, case, f"{where}[{i}]") for i, (w, g) in enumerate(zip(wanted, got)))), None)
    wanted, got = np.asarray(wanted), np.asarray(got)
    if wanted.shape != got.shape:
        return f"{where}: shape {got.shape}, not {wanted.shape}"
    if wanted.dtype.kind in "OUS":
        return None if wanted.astype(str).tolist() == got.astype(str).tolist() else f"{where}: other strings"
    if wanted.dtype != got.dtype:
        return f"{where}: type {got.dtype}, not {wanted.dtype}"
    if is_random(case.name):
        return None
    rtol = case.case.rtol
    if wanted.dtype.name in WIDE_NAMES:
        rtol = max(rtol, 2.0 ** -6) if wanted.dtype.name == "bfloat16" else rtol
        wanted, got = wanted.astype(np.float32), got.astype(np.float32)
    try:
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=case.case.atol)
    except AssertionError as error:
        return f"{where}: " + " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:200]
    return None


# ---- one test ----
def data_sets(case, model):
    """Inputs and outputs as serialized values."""
    graph = model.graph
    if case.case.data_sets:
        return [([value_bytes(v, graph.input[i]) for i, v in enumerate(inputs)], [value_bytes(v, graph.output[i]) for i, v in enumerate(outputs)])
                for inputs, outputs in case.case.data_sets]

    def files(folder, what):
        paths = [os.path.join(folder, f"{what}_{i}.pb") for i in range(len(glob.glob(os.path.join(folder, f"{what}_*.pb"))))]
        return [open(path, "rb").read() for path in paths]
    if case.case.model_dir:
        return [(files(folder, "input"), files(folder, "output")) for folder in sorted(glob.glob(os.path.join(case.case.model_dir, "test_data_set_*")))]
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value_bytes(Runner.generate_dummy_data(value), value) for value in graph.input if value.name not in constants]
    outputs = [open(case_path(case)[:-5] + f"_output_{i}.pb", "rb").read() for i in range(len(graph.output))]
    return [(inputs, outputs)]


def outputs_load(folder, kinds):
    for i, kind in enumerate(kinds):
        base = os.path.join(folder, f"output_{i}")
        if os.path.exists(base + ".npy"):
            yield np.load(base + ".npy", allow_pickle=False)
        else:
            with open(base + ".pb", "rb") as file:
                yield value_load(file.read(), kind)


def run_set(arguments, case, model, path, inputs, outputs, folder):
    constants = {tensor.name for tensor in model.graph.initializer}
    free = [value for value in model.graph.input if value.name not in constants]
    infos = free if len(inputs) == len(free) else list(model.graph.input)
    command = [*arguments.command, path]
    for i, data in enumerate(inputs):
        name = os.path.join(folder, f"in_{i}.pb")
        if infos[i].type.HasField("optional_type") and value_load(data, "optional_type") is None:
            name = "none"
        else:
            with open(name, "wb") as file:
                file.write(data)
        command += ["-i", name]
    kinds = [value.type.WhichOneof("value") for value in model.graph.output]
    try:
        ran = subprocess.run([*command, "-o", os.path.join(folder, "out")], capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "crash", f"no answer within {LIMIT} s"
    said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip()
    if ran.returncode:
        what = "crash" if ran.returncode < 0 or ran.returncode >= 128 or ran.returncode == 70 else "refused" if ran.returncode == 3 else "error"
        return what, said or f"exit status {ran.returncode}"
    got = list(outputs_load(os.path.join(folder, "out"), kinds))
    for i, data in enumerate(outputs):
        what = difference(value_load(data, kinds[i]), got[i], case, f"output {i}")
        if what:
            return "wrong", what
    return "pass", ""


def run_case(arguments, case):
    with tempfile.TemporaryDirectory(prefix="lathe-conformance-") as folder:
        model, path = case_model(case), case_path(case)
        if arguments.symbolic:
            model, path = symbolic(model), None
        if not path:
            path = os.path.join(folder, "model.onnx")
            onnx.save(model, path)
        for i, (inputs, outputs) in enumerate(data_sets(case, model)):
            inside = os.path.join(folder, str(i))
            os.mkdir(inside)
            os.mkdir(os.path.join(inside, "out"))
            try:
                what, detail = run_set(arguments, case, model, path, inputs, outputs, inside)
            except Exception as error:  # of what the program wrote: the test fails, the others go on
                what, detail = "wrong", f"{type(error).__name__}: {error}"
            if what != "pass":
                return Answer(case.name, what, detail.replace(folder, "..."))
    return Answer(case.name, "pass", "")


# ---- what is expected ----
def expected_read(name):
    rows = [line.rstrip("\n").split("\t") for line in open(HERE / name) if line.strip() and not line.startswith("#")]
    return {name: words for name, words in rows}


def judge(answer, expected):
    """None when the answer is as it should be, else what to say."""
    words = expected.get(answer.name)
    if answer.what == "pass":
        return f"{answer.name}: passes now: take it out of expected.tsv" if words else None
    if words and answer.what in ("refused", "error") and words in answer.detail:
        return None
    return f"{answer.name}: {answer.what}: {answer.detail}" + (f" (expected: refused, saying \"{words}\")" if words else "")


CASES = []


def run_number(work):
    arguments, number = work
    return run_case(arguments, CASES[number])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lathe")
    parser.add_argument("--part", type=int, default=1)
    parser.add_argument("--match", default="*")
    parser.add_argument("--symbolic", action="store_true", help="make every dim of the inputs a symbol of its own")
    parser.add_argument("--cache")
    parser.add_argument("--json", help="write all answers into this file")
    parser.add_argument("-j", type=int, default=os.cpu_count())
    own = sys.argv[1:sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    arguments = parser.parse_args(own)
    options = sys.argv[len(own) + 2:]
    if onnx.defs.onnx_opset_version() < 28:
        print(f"skipped: onnx {onnx.__version__} is older than the operators that are tested; .ci/onnx installs a newer one")
        return 77
    arguments.command = [arguments.lathe, "run", "--progress", "none", "-j", "1", "--threads", "1", *options]
    if arguments.cache:
        arguments.command += ["--cache-dir", arguments.cache]
    everything = [case for case in cases_load() if fnmatch.fnmatch(case.name, arguments.match)
                  and not (arguments.symbolic and case.kind == "real")]
    chosen, operators = choose(everything, arguments.part)
    CASES.extend(chosen)
    expected = expected_read("expected.tsv")
    if arguments.symbolic:
        expected |= expected_read("expected_symbolic.tsv")
    with concurrent.futures.ProcessPoolExecutor(arguments.j, mp_context=multiprocessing.get_context("fork")) as pool:
        answers = list(pool.map(run_number, [(arguments, i) for i in range(len(CASES))], chunksize=4))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump([answer._asdict() for answer in answers], file, indent=1)
    wrong = list(filter(None, (judge(answer, expected) for answer in answers)))
    wrong += [f"{name} of expected.tsv is no test of the suite" for name in expected
              if arguments.match == "*" and name not in {case.name for case in everything}]
    for line in wrong:
        print(line)
    counts = collections.Counter(answer.what for answer in answers)
    print(f"{len(answers)} of {len(everything)} tests, {operators} operators: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
