#!/usr/bin/env python3
"""How fast are compiled models, beside ONNX Runtime and OpenVINO where they are installed?

    peers.py [-t THREADS] [--rounds N] [--json FILE] MODEL.onnx [DATA_FOLDER] ...

Every engine runs in a process of its own (worker.py); they are asked for short bursts in turn, A B C A B C, so that whatever else the
machine does hits all alike. With one thread the ratio is of CPU time, which other programs disturb least; with more, of wall time.
Inputs are DATA_FOLDER's (see worker.py), else random, with symbolic dimensions set to 1 or by --dim. The error is against the outputs
of the folder, else against ONNX Runtime without optimisations where it is installed."""
import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
import onnx
from onnx import helper

WORKER = pathlib.Path(__file__).with_name("worker.py")
ENGINES = ("lathe", "onnxruntime", "openvino")


class Process:
    def __init__(self, engine, model, threads, folder):
        self.wall, self.cpu = [], []
        self.process = subprocess.Popen([sys.executable, WORKER, engine, model, str(threads), folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"fail": f"the process ended with status {self.process.wait()}"}

    def burst(self, seconds):
        print(f"run {seconds} 1", file=self.process.stdin, flush=True)
        answer = self.read()
        if "fail" in answer:
            self.ready = answer
            return
        self.wall += answer["ns"]
        self.cpu += answer["cpu"]
        self.ready.update(hwm_mb=answer["hwm_mb"])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def random_data(model, folder, dims):
    """Inputs by a fixed seed: floats are normal, integers are 0 or 1."""
    graph, random = onnx.load(model, load_external_data=False).graph, numpy.random.default_rng(0)
    constants, entries = {c.name for c in graph.initializer}, []
    for i, value in enumerate(v for v in graph.input if v.name not in constants):
        tensor = value.type.tensor_type
        shape = [dims.get(d.dim_param, 1) if d.dim_param or not d.HasField("dim_value") else d.dim_value for d in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        data = random.standard_normal(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
        numpy.save(folder / f"in_{i}.npy", data.astype(dtype))
        entries.append({"name": value.name, "file": f"in_{i}.npy"})
    (folder / "index.json").write_text(json.dumps({"inputs": entries, "outputs": []}))


def reference_data(model, folder):
    """Outputs of ONNX Runtime without its optimisations, added to the folder."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    index = json.loads((folder / "index.json").read_text())
    results = session.run(None, {e["name"]: numpy.load(folder / e["file"]) for e in index["inputs"]})
    for i, (output, result) in enumerate(zip(session.get_outputs(), results)):
        numpy.save(folder / f"out_{i}.npy", result)
        index["outputs"].append({"name": output.name, "file": f"out_{i}.npy"})
    (folder / "index.json").write_text(json.dumps(index))


def measure(model, folder, threads, rounds, seconds):
    engines = [e for e in ENGINES if e == "lathe" or importlib.util.find_spec(e)]
    running = {engine: Process(engine, str(model), threads, str(folder)) for engine in engines}
    for _ in range(rounds):
        for process in running.values():
            if "fail" not in process.ready:
                process.burst(seconds)
    result = {}
    for engine, process in running.items():
        process.close()
        if "fail" in process.ready or not process.wall:
            result[engine] = {"fail": process.ready.get("fail", "no runs")}
            continue
        result[engine] = {"median_ms": statistics.median(process.wall) / 1e6, "least_ms": min(process.wall) / 1e6,
                          "cpu_ms": statistics.median(process.cpu) / 1e6, "runs": len(process.wall), "err": process.ready["err"],
                          "memory_mb": process.ready["hwm_mb"]}
    return result


def show(name, threads, result):
    figure = "cpu_ms" if threads == 1 else "median_ms"
    ours = result["lathe"].get(figure)
    print(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
    print(f"  {'':12s} {'median ms':>10s} {'least ms':>10s} {'cpu ms':>10s} {'lathe is':>10s} {'error':>9s} {'runs':>6s} {'MB':>6s}")
    for engine, row in result.items():
        if "fail" in row:
            print(f"  {engine:12s} {row['fail']}")
            continue
        ratio = f"{row[figure] / ours:.2f}x" if ours and engine != "lathe" else ""
        error = "" if row["err"] is None else f"{row['err']:.1e}"
        print(f"  {engine:12s} {row['median_ms']:10.4g} {row['least_ms']:10.4g} {row['cpu_ms']:10.4g} {ratio:>10s} {error:>9s} "
              f"{row['runs']:6d} {row['memory_mb']:6.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL [DATA_FOLDER]")
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--burst", type=float, default=0.25, help="seconds")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    dims = {name: int(value) for name, value in (d.split("=", 1) for d in arguments.dim)}
    results, words = {}, list(arguments.models)
    while words:
        model = pathlib.Path(words.pop(0))
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            if words and pathlib.Path(words[0]).is_dir():
                folder = pathlib.Path(words.pop(0))
            else:
                random_data(model, folder, dims)
                if importlib.util.find_spec("onnxruntime"):
                    reference_data(model, folder)
            result = measure(model, folder, arguments.threads, arguments.rounds, arguments.burst)
        show(model.name, arguments.threads, result)
        results[str(model)] = {"threads": arguments.threads, "engines": result}
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")
    return any("fail" in r["engines"]["lathe"] for r in results.values())


if __name__ == "__main__":
    sys.exit(main())
