#!/usr/bin/env python3
"""One engine, one model, one number of threads, in a process of its own, so that engines cannot disturb each other.

    worker.py ENGINE MODEL THREADS DATA_FOLDER

ENGINE is lathe, onnxruntime or openvino. DATA_FOLDER holds index.json, {"inputs": [{"name", "file"}], "outputs": [...]}, and the .npy
files it names. The protocol is one JSON object per line:

    out  {"ready": 1, "err": largest difference from the outputs given / their largest element, "create_s": ..., ...} or {"fail": why}
    in   "run SECONDS FEWEST"      out  {"ns": [wall time of each run], "cpu": [CPU time of the process of each run], ...}
    in   "quit"

LATHE names the compiler (else PATH), LATHE_OPTIONS further options of `lathe compile`. Needs numpy."""
import json
import os
import pathlib
import shlex
import sys
import tempfile
import time
import traceback

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/python"))


def lathe_engine(model, threads, inputs, expected):
    import lathe
    with tempfile.TemporaryDirectory() as folder:
        options = shlex.split(os.environ.get("LATHE_OPTIONS", "--cpu native"))
        loaded = lathe.compile(model, pathlib.Path(folder) / "model.so", options=options).load()
    session = loaded.session(threads)
    for tensor, value in zip(loaded.inputs, inputs.values()):
        session.bind(tensor.name, value)
    return session.run, lambda result: list(result.values())


def onnxruntime_engine(model, threads, inputs, expected):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    feed = dict(zip((i.name for i in session.get_inputs()), inputs.values()))
    return lambda: session.run(names, feed), list


def openvino_engine(model, threads, inputs, expected):
    import openvino
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    request = compiled.create_infer_request()
    for i, value in enumerate(inputs.values()):
        request.set_input_tensor(i, openvino.Tensor(value))
    return request.infer, lambda _: [request.get_output_tensor(i).data for i in range(len(compiled.outputs))]


ENGINES = {"lathe": lathe_engine, "onnxruntime": onnxruntime_engine, "openvino": openvino_engine}


def read_data(folder):
    index = json.loads((folder / "index.json").read_text())
    return [{entry["name"]: numpy.load(folder / entry["file"]) for entry in index.get(kind, [])} for kind in ("inputs", "outputs")]


def difference(expected, got):
    """The worst output; 9.9 where type, shape or number is another, or where one is NaN or infinite and the other is not."""
    if len(expected) != len(got):
        return 9.9
    worst = 0.0
    for a, b in zip(expected, got):
        b = numpy.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype:
            return 9.9
        if a.size == 0:
            continue
        if a.dtype.kind != "f":
            worst = max(worst, 0.0 if numpy.array_equal(a, b) else 9.9)
            continue
        a, b, finite = a.astype("f8"), b.astype("f8"), numpy.isfinite(a)
        if not numpy.array_equal(a[~finite], b[~finite], equal_nan=True) or not numpy.isfinite(b[finite]).all():
            return 9.9
        if finite.any():
            worst = max(worst, float(abs(a[finite] - b[finite]).max() / max(abs(a[finite]).max(), 1e-30)))
    return worst


def memory_mb(key):
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(key)), 0)


def bursts(run, say):
    for line in sys.stdin:
        words = line.split()
        if words[:1] != ["run"]:
            return
        wall, cpu, run_until, fewest = [], [], time.perf_counter_ns() + int(float(words[1]) * 1e9), int(words[2])
        run()  # one that is not timed, after the pause
        while len(wall) < fewest or time.perf_counter_ns() < run_until:
            cpu_before, before = time.process_time_ns(), time.perf_counter_ns()
            run()
            wall.append(time.perf_counter_ns() - before)
            cpu.append(time.process_time_ns() - cpu_before)
        say({"ns": wall, "cpu": cpu, "hwm_mb": memory_mb("VmHWM"), "rss_mb": memory_mb("VmRSS")})


def main():
    engine, model, threads, folder = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is not protocol

    def say(answer):
        print(json.dumps(answer), file=out, flush=True)

    try:
        inputs, expected = read_data(folder)
        start = time.monotonic()
        run, outputs = ENGINES[engine](model, threads, inputs, expected)
        created = time.monotonic()
        result = run()
        first = time.monotonic()
        error = difference(list(expected.values()), outputs(result)) if expected else None
        say({"ready": 1, "t_first": first, "import_s": 0, "create_s": created - start, "first_s": first - created,
             "err": error, "cmp": [], "boxes": None, "hwm_mb": memory_mb("VmHWM"), "rss_mb": memory_mb("VmRSS")})
    except Exception as error:
        traceback.print_exc()
        say({"fail": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})
        return 1
    bursts(run, say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
