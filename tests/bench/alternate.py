#!/usr/bin/env python3
"""Is one compiled library of a model faster than another of the same model?

    alternate.py [-t THREADS] [--runs N] [--seconds S] BEFORE.so AFTER.so

Each library runs in a process of its own on the same random inputs; they are asked for short bursts in turn, A B B A A B ..., so that
whatever else the machine does hits both alike. Of each run the ratio before / after is printed: above 1, AFTER is faster. With one
thread it is of CPU time, with more of wall time; of the bursts' medians the lower quartile counts. Exit code 1 when a run gives less
than --least."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/python"))
BURST = 0.15


def serve(path, threads):
    import lathe
    loaded = lathe.load(path)
    session, source = loaded.session(threads), numpy.random.default_rng(1)
    for tensor in loaded.inputs:
        shape = [dim if isinstance(dim, int) and dim > 0 else 1 for dim in tensor.shape]
        kind = numpy.dtype(tensor.dtype)
        made = source.uniform(-1, 1, shape) if kind.kind == "f" else source.integers(0, 2, shape)
        session.bind(tensor.name, made.astype(kind))
    session.run()
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu, end = [], [], time.perf_counter() + BURST
        session.run()
        while len(wall) < 3 or time.perf_counter() < end:
            cpu_before, before = time.process_time_ns(), time.perf_counter_ns()
            session.run()
            wall.append(time.perf_counter_ns() - before)
            cpu.append(time.process_time_ns() - cpu_before)
        print(json.dumps(statistics.median(cpu if threads == 1 else wall)), flush=True)


class Side:
    def __init__(self, path, threads):
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", path, "-t", str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit(f"{path} does not run")

    def burst(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def lower_quartile(values):
    return sorted(values)[len(values) // 4]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="per run")
    parser.add_argument("--least", type=float, default=0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("libraries", nargs="+")
    options = parser.parse_args()
    if options.serve:
        return serve(options.libraries[0], options.threads)
    sides, failed = [Side(path, options.threads) for path in options.libraries[:2]], False
    for run in range(options.runs):
        times, end, turn = ([], []), time.monotonic() + options.seconds, 0
        while time.monotonic() < end or turn < 4:
            for side in ((0, 1), (1, 0))[turn % 2]:
                times[side].append(sides[side].burst())
            turn += 1
        before, after = map(lower_quartile, times)
        failed = failed or before / after < options.least
        print(f"run {run + 1}: {before / 1e6:.3f} ms, {after / 1e6:.3f} ms, ratio {before / after:.3f}", flush=True)
    sys.exit(failed)


main()
