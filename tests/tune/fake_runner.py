#!/usr/bin/env python3
"""A runner that measures nothing: times follow from the schedule's text, so that tests of the search are the same each time.

    fake_runner.py hidden       a schedule that the cost model thinks bad is the fastest
    fake_runner.py window       the same, and only kernels of `window` take time worth a trial
    fake_runner.py noise        all take the same time, within 30 per cent
    fake_runner.py slow MS      like hidden, but each answer takes so long"""
import random
import re
import sys
import time

import kit

MODE = sys.argv[1]
NOISE = random.Random(7)
BASE = 1_000_000


def number(label, name):
    found = re.search(rf"\b{name}=(\d+)", label)
    return int(found.group(1)) if found else 0


def nanoseconds(label):
    """The fastest: tiles of 3 rows and 1 vector; columns 2 and band 3. What the cost model takes is far from there."""
    if MODE == "window" and label.startswith("contract"):
        return 1000
    if label.startswith("contract"):
        return BASE + 60_000 * abs(number(label, "rows") - 3) + 90_000 * abs(number(label, "vectors") - 1)
    if label.startswith("window"):
        return BASE + 40_000 * abs(number(label, "columns") - 2) + 30_000 * abs(number(label, "band") - 3)
    return 4 * BASE


def times(found, most):
    for _ in range(most):
        if MODE == "noise":
            yield [int(BASE * NOISE.uniform(1, 1.3)) for _ in found]
        else:
            yield [nanoseconds(label) for _, _, label, _, _ in found]


def main():
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while True:
        kind, message = kit.read_message(stdin)
        if kind is None:
            return
        if MODE == "slow":
            time.sleep(float(sys.argv[2]) / 1000)
        if kind == kit.HELLO:
            kit.write_message(stdout, kind, kit.hello())
        elif kind == kit.TASK:
            kit.write_message(stdout, kind, kit.result())
        else:
            (_, least, most), found = kit.candidates(message)
            rows = list(times(found, most if MODE == "noise" else least))
            kit.write_message(stdout, kind, kit.result(count=len(found), rows=rows))


main()
