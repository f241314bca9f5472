#!/usr/bin/env python3
"""How much slower is a compiled library while another process spins on every core?

    under_load.py [--lathe build/lathe] [--rounds N] [--seconds S] LIB.so...

Runs of `lathe bench`, quiet and loaded in turn, all libraries in each round; of the rounds the median counts. Spinning processes and runs
belong to one session: Linux shares cores between sessions first, so that spinners in another terminal would not compete fairly.

The scheduler's tick decides what can come out: whoever loses a core loses it for a tick (4 ms at 250 Hz), and half of all time belongs to
the spinners. The mean comes to 2 at best; a run shorter than a tick is either not hit at all or takes a whole tick longer. What that makes
of anything as short comes last: a loop of this script, of one thread and without a wait, that takes as long as the quiet run."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def summary(times):
    times = sorted(times)
    return {"median": statistics.median(times), "mean": statistics.mean(times), "p99": times[len(times) * 99 // 100]}


def spin(count):
    begin = time.perf_counter()
    for _ in range(count):
        pass
    return (time.perf_counter() - begin) * 1e3


def loop(milliseconds, seconds):
    """Times of a loop that takes so long when nothing disturbs it."""
    count = 20000
    count = max(1, int(count * milliseconds / min(spin(count) for _ in range(50))))
    end, times = time.monotonic() + seconds, []
    while time.monotonic() < end:
        times.append(spin(count))
    return summary(times)


def bench(lathe, library, seconds):
    command = [lathe, "bench", library, "--min-time", str(seconds), "--percentiles", "50,99", "--json"]
    times = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"median": times["median_ns"] / 1e6, "mean": times["mean_ns"] / 1e6, "p99": times["percentiles_ns"]["99"] / 1e6}


def loaded(measure, *arguments):
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        time.sleep(0.2)
        return measure(*arguments)
    finally:
        for spinner in spinners:
            spinner.kill()
        for spinner in spinners:
            spinner.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lathe", default="build/lathe")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("libraries", nargs="+", metavar="LIB.so")
    options = parser.parse_args()
    results = {library: ([], [], []) for library in options.libraries}
    for _ in range(options.rounds):
        for library, (quiet, busy, bare) in results.items():
            quiet.append(bench(options.lathe, library, options.seconds))
            busy.append(loaded(bench, options.lathe, library, options.seconds))
            bare.append(loaded(loop, quiet[-1]["median"], options.seconds))
    for library, kinds in results.items():
        quiet, busy, bare = ({key: statistics.median(run[key] for run in runs) for key in runs[0]} for runs in kinds)
        print(f"{library}: median {quiet['median']:.2f} -> {busy['median']:.2f} ms ({busy['median'] / quiet['median']:.2f}x), "
              f"mean {quiet['mean']:.2f} -> {busy['mean']:.2f} ({busy['mean'] / quiet['mean']:.2f}x), "
              f"p99 {quiet['p99']:.2f} -> {busy['p99']:.2f} ({busy['p99'] / busy['median']:.2f} times the median); "
              f"a loop: mean {bare['mean'] / quiet['median']:.2f}x, p99 {bare['p99']:.2f} ({bare['p99'] / bare['median']:.2f})")


if __name__ == "__main__":
    main()
