#!/usr/bin/env python3
"""Between lathe tune and a real runner: every second candidate's machine code is replaced by one that misbehaves.

    plant_runner.py RUNNER FOLDER       FOLDER: what to plant, *.so in order of their names"""
import pathlib
import subprocess
import sys

import kit

PLANTS = sorted(pathlib.Path(sys.argv[2]).glob("*.so"))


def main():
    runner = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    planted, met = {}, 0
    while True:
        kind, message = kit.read_message(sys.stdin.buffer)
        if kind is None:
            return
        if kind == kit.MEASURE:
            (flags, _, _), found = kit.candidates(message)
            if not flags & kit.REFERENCE and len(found) > 1:
                units, scratch, label, _, near = found[-1]
                if label not in planted:
                    met += 1
                    planted[label] = PLANTS[met // 2 % len(PLANTS)] if met % 2 else None
                if planted[label]:
                    with open(pathlib.Path(sys.argv[2]) / "planted", "a") as log:
                        log.write(f"{planted[label].stem}\t{label}\n")
                    found[-1] = (units, scratch, label, planted[label].read_bytes(), near)
                    message = kit.measure_message(message, found)
        kit.write_message(runner.stdin, kind, message)
        kit.write_message(sys.stdout.buffer, *kit.read_message(runner.stdout))


main()
