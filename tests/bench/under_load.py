#!/usr/bin/env python3
"""How much slower is a compiled library while another process spins on every core?

    under_load.py [--lathe build/lathe] [--rounds N] [--seconds S] LIB.so...

Runs of `lathe bench`, quiet and loaded in turn, all libraries in each round; of the rounds the median counts. Spinning processes and runs
belong to one session: Linux shares cores between sessions first, so that spinners in another terminal would not compete fairly.

The scheduler's tick decides what can come out: whoever loses a core loses it for a tick (4 ms at 250 Hz), and half of all time belongs to
the spinners. The mean comes to 2 at best; a run shorter than a tick is either not hit at all or takes a whole tick longer."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def bench(lathe, library, seconds):
    command = [lathe, "bench", library, "--min-time", str(seconds), "--percentiles", "50,99", "--json"]
    times = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"median": times["median_ns"] / 1e6, "mean": times["mean_ns"] / 1e6, "p99": times["percentiles_ns"]["99"] / 1e6}


def loaded(lathe, library, seconds):
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]
    try:
        time.sleep(0.2)
        return bench(lathe, library, seconds)
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
    results = {library: ([], []) for library in options.libraries}
    for _ in range(options.rounds):
        for kind, measure in enumerate((bench, loaded)):
            for library in options.libraries:
                results[library][kind].append(measure(options.lathe, library, options.seconds))
    for library, kinds in results.items():
        quiet, busy = ({key: statistics.median(run[key] for run in runs) for key in runs[0]} for runs in kinds)
        print(f"{library}: median {quiet['median']:.2f} -> {busy['median']:.2f} ms ({busy['median'] / quiet['median']:.2f}x), "
              f"mean {quiet['mean']:.2f} -> {busy['mean']:.2f} ({busy['mean'] / quiet['mean']:.2f}x), "
              f"p99 {quiet['p99']:.2f} -> {busy['p99']:.2f} ({busy['p99'] / busy['median']:.2f} times the median)")


if __name__ == "__main__":
    main()
