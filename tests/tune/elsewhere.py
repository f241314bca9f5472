#!/usr/bin/env python3
"""Measuring on another machine: lathe-runner, built by a cross compiler in one command, in an emulator that stands for a board.

    elsewhere.py LATHE FOLDER SOURCES TARGET EMULATOR GNU"""
import pathlib
import shutil
import subprocess
import sys

import kit

SKIPPED = 77


def test(lathe, folder, sources, target, emulator, gnu):
    compiler, root = f"{gnu}-gcc", pathlib.Path(f"/usr/{gnu}")
    for program in emulator, compiler:
        if not shutil.which(program):
            print(f"SKIPPED: {program} is not installed")
            sys.exit(SKIPPED)
    place = kit.Place(lathe, folder)
    runner = folder / "lathe-runner"
    subprocess.run([compiler, "-O2", "-I", sources, *sorted((pathlib.Path(sources) / "tools/runner").glob("*.c")), "-o", runner, "-ldl",
                    "-lpthread"], check=True)
    trials, result = place.tune("--target", target, "--runner", f"{emulator} -L {root} {runner}", "--trials", "12", "--timeout", "10m")
    kit.check(len(trials) >= 12 and all(trial["state"] == "ok" for trial in trials), f"{trials}")
    kit.check(result["machine"].startswith({"aarch64": "aarch64", "armv7-neon": "arm"}[target]), result["machine"])
    header, *kernels = place.read_records()
    kit.check(header["target"] == target and len(kernels) == 4, f"{header}")
    done = place.run("compile", place.model, "--target", target, "-o", "model.so", "--tuning", place.records)
    kit.check("warning" not in done.stderr, done.stderr)
    done = place.run("compile", place.model, "--cpu", "x86-64-v3", "-o", "model.so", "--tuning", place.records)
    kit.check("4 of 4 tuning records do not apply: 4 for other targets" in done.stderr, done.stderr)


kit.main(test)
