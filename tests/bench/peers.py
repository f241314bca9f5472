#!/usr/bin/env python3
"""How fast are compiled models, beside ONNX Runtime and OpenVINO where they are installed, and beside what the machine can do?

    peers.py [-t THREADS[,THREADS]] [--rounds N] [--json FILE] MODEL.onnx [DATA_FOLDER] ...

Every engine runs in a process of its own (worker.py); they are asked for short bursts in turn, A B C A B C, so that whatever else the
machine does hits all alike. With one thread the ratio is of CPU time, which other programs disturb least; with more, of wall time.
Inputs are DATA_FOLDER's (see worker.py), else random, with symbolic dimensions set to 1 or by --dim. The error is against the outputs
of the folder, else against ONNX Runtime without optimisations where it is installed.

"% peak" is the arithmetic that the model states (its unoptimised kernels: an engine that computes less does not get more) per second, of
the fp32 peak; "% band" is weights, inputs and outputs, each moved once per run, of the bandwidth from memory: above 100, caches keep them.
Both limits are measured by lathe profile with as many threads (for the summary before and after). The summary has the geometric mean of the ratios to the
faster of the others."""
import argparse
import importlib.util
import json
import os
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


def lathe(*words):
    """The JSON that a command of the compiler writes."""
    command = [os.environ.get("LATHE", "lathe"), *words]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if answer.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {answer.stderr.strip()}")
    return json.loads(answer.stdout)


def work_of(model, dims):
    """What a run must do: operations, and bytes that are read and written at least once. None where sizes are not known before a run."""
    options = [word for name, value in dims.items() for word in ("--dim", f"{name}={value}")]
    report = lathe("compile", model, "-O0", "--math", "exact", "--emit", "report", "-o", "-", "-q", *options)
    operations = [kernel["flops"] for kernel in report["kernels"]]
    tensors = report["inputs"] + report["outputs"]
    known = all(isinstance(count, int) for count in operations) and all(isinstance(d, int) for t in tensors for d in t["shape"])
    if not known or "regions" in report:
        return {"operations": None, "bytes": None}
    bits = [int("".join(c for c in t["type"] if c.isdigit()) or 8) * numpy.prod(t["shape"], dtype=int) for t in tensors]
    return {"operations": sum(operations), "bytes": report["weight_bytes"] + int(sum(bits)) // 8}


def limits_of(model, threads, dims):
    """The fp32 peak and the bandwidth from memory of so many threads, per second."""
    options = [word for name, value in dims.items() for word in ("--dim", f"{name}={value}")]
    profile = lathe("profile", model, "--threads", str(threads), "--warmup", "1", "--json", "-q", *options)
    return {"peak": profile["peak_flops_per_second"], "bandwidth": profile["read_bytes_per_second"]}


def symbols_of(model, dims):
    graph = onnx.load(model, load_external_data=False).graph
    constants = {c.name for c in graph.initializer}
    names = {d.dim_param for v in graph.input if v.name not in constants for d in v.type.tensor_type.shape.dim if d.dim_param}
    return {name: dims.get(name, 1) for name in sorted(names)}


def figure_of(threads):
    return "cpu_ms" if threads == 1 else "median_ms"


def fastest_other(threads, engines):
    times = [row[figure_of(threads)] for name, row in engines.items() if name != "lathe" and "fail" not in row]
    return min(times, default=None)


def share(amount, limit, milliseconds):
    return f"{amount / limit / milliseconds * 1e5:.1f}" if amount and limit else ""


def show(name, threads, result, work, limits):
    figure = figure_of(threads)
    ours = result["lathe"].get(figure)
    print(f"{name}, {threads} thread{'s' if threads > 1 else ''}")
    print(f"  {'':12s} {'median ms':>10s} {'least ms':>10s} {'cpu ms':>10s} {'lathe is':>10s} {'% peak':>7s} {'% band':>7s} {'error':>9s} "
          f"{'runs':>6s} {'MB':>6s}")
    for engine, row in result.items():
        if "fail" in row:
            print(f"  {engine:12s} {row['fail']}")
            continue
        ratio = f"{row[figure] / ours:.2f}x" if ours and engine != "lathe" else ""
        error = "" if row["err"] is None else f"{row['err']:.1e}"
        print(f"  {engine:12s} {row['median_ms']:10.4g} {row['least_ms']:10.4g} {row['cpu_ms']:10.4g} {ratio:>10s} "
              f"{share(work['operations'], limits['peak'], row[figure]):>7s} {share(work['bytes'], limits['bandwidth'], row[figure]):>7s} "
              f"{error:>9s} {row['runs']:6d} {row['memory_mb']:6.0f}", flush=True)


def summary(results, limits):
    """A line per model, and the geometric mean for each number of threads."""
    for threads in sorted(limits):
        rows = []
        for name, one in results:
            other, ours = fastest_other(threads, one[threads]), one[threads]["lathe"].get(figure_of(threads))
            if other and ours:
                rows.append((name, other / ours, ours))
        print(f"\n{threads} thread{'s' if threads > 1 else ''}: peak {limits[threads]['peak'] / 1e9:.1f} GFLOP/s, "
              f"{limits[threads]['bandwidth'] / 1e9:.1f} GB/s from memory")
        for name, ratio, ours in rows:
            print(f"  {name:45s} {ours:10.4g} ms {ratio:7.2f}x the faster other")
        if rows:
            print(f"  {'geometric mean':45s} {'':13s} {statistics.geometric_mean(ratio for _, ratio, _ in rows):7.2f}x, least "
                  f"{min(ratio for _, ratio, _ in rows):.2f}x, over {len(rows)}")


def thread_counts(text):
    counts = [len(os.sched_getaffinity(0)) if word == "all" else int(word) for word in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text}: numbers of threads are at least 1")
    return sorted(set(counts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL [DATA_FOLDER]")
    parser.add_argument("-t", "--threads", type=thread_counts, default=[1], help="such as 1,4 or 1,all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--burst", type=float, default=0.25, help="seconds")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    dims = {name: int(value) for name, value in (d.split("=", 1) for d in arguments.dim)}
    results, limits, words = [], {}, list(arguments.models)
    while words:
        model = pathlib.Path(words.pop(0))
        sizes, measured = symbols_of(model, dims), {}
        for threads in arguments.threads:
            if threads not in limits:
                limits[threads] = limits_of(model, threads, sizes)
        work = work_of(model, sizes)
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            if words and pathlib.Path(words[0]).is_dir():
                folder = pathlib.Path(words.pop(0))
            else:
                random_data(model, folder, dims)
                if importlib.util.find_spec("onnxruntime"):
                    reference_data(model, folder)
            for threads in arguments.threads:
                measured[threads] = measure(model, folder, threads, arguments.rounds, arguments.burst)
                show(model.name, threads, measured[threads], work, limits[threads])
        results.append((model.name, measured))
        if not words:
            for threads in arguments.threads:  # the machine may have been disturbed before
                again = limits_of(model, threads, sizes)
                limits[threads] = {key: max(value, again[key]) for key, value in limits[threads].items()}
    summary(results, limits)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps({"limits": limits, "models": dict(results)}, indent=1) + "\n")
    return any("fail" in one["lathe"] for _, measured in results for one in measured.values())


if __name__ == "__main__":
    sys.exit(main())
