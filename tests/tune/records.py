#!/usr/bin/env python3
"""Records in a compilation: those of other targets, other kernels and outside of the space are passed over with one warning, files count
as inputs.

    records.py LATHE FOLDER"""
import json
import pathlib
import sys

import kit

FAKE = f"{sys.executable} {pathlib.Path(__file__).parent / 'fake_runner.py'}"


def compiled(place, *more):
    """The schedules, and what was said."""
    done = place.run("compile", place.model, "--cpu", "native", "--emit", "kernels", "-o", "-", *more)
    return done.stdout, [line for line in done.stderr.splitlines() if "warning:" in line]


def changed(place, name, change):
    """A copy of the records, each line changed."""
    path = place.folder / name
    lines = place.read_records()
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test(lathe, folder):
    place = kit.Place(lathe, folder)
    place.tune("--runner", f"{FAKE} hidden", "--trials", "40", "--timeout", "10m")
    count = len(place.read_records()) - 1
    plain, warnings = compiled(place)
    kit.check(not warnings, f"{warnings}")
    tuned, warnings = compiled(place, "--tuning", place.records)
    kit.check(tuned != plain and not warnings, f"the record changes nothing, or: {warnings}")

    def passed_over(name, change, others, unknown, outside):
        said = f"{others + unknown + outside} of {count} tuning records do not apply: {others} for other targets, {unknown} of kernels"
        text, heard = compiled(place, "--tuning", changed(place, name, change))
        kit.check(len(heard) == 1 and said in heard[0] and f"{outside} outside" in heard[0], f"{name}: {heard}, not {said}")
        kit.check(text == plain, f"{name}: what does not apply changed the schedules")

    passed_over("target.jsonl", lambda line: line.update(target="another") if "target" in line else None, count, 0, 0)
    passed_over("features.jsonl", lambda line: line.update(features="+odd") if "features" in line else None, count, 0, 0)
    passed_over("kernels.jsonl", lambda line: line.update(kernel="0" * 32) if "kernel" in line else None, 0, count, 0)
    passed_over("versions.jsonl", lambda line: line.update(space=99) if "space" in line else None, 0, 0, count)
    passed_over("values.jsonl", lambda line: line["values"].update(rows=99, columns=99, lanes="99") if "values" in line else None, 0, 0, count)
    passed_over("names.jsonl", lambda line: line["values"].update(colour=1) if "values" in line else None, 0, 0, count)

    both = place.folder / "both.jsonl"
    both.write_text((place.folder / "target.jsonl").read_text() + place.records.read_text())
    text, heard = compiled(place, "--tuning", both)
    kit.check(text == tuned and len(heard) == 1, f"two sections: {heard}")

    files = place.run("compile", place.model, "--tuning", place.records, "--print-deps").stdout.split()
    kit.check(files == [place.model, str(place.records)], f"{files}")
    place.run("compile", place.model, "--tuning", place.records, "-q", "-o", "m.so", "--depfile", "m.d")
    kit.check(str(place.records) in (place.folder / "m.d").read_text(), "the depfile leaves the records out")

    broken = place.folder / "broken.jsonl"
    broken.write_text(place.records.read_text() + "{\n")
    done = place.run("compile", place.model, "--tuning", broken, "-o", "x.so", code=4)
    kit.check(f"broken.jsonl:{count + 2}:" in done.stderr, done.stderr)
    place.run("compile", place.model, "--tuning", "nowhere.jsonl", "-o", "x.so", code=5)

    place.run("tune", place.model, "-o", "x.jsonl", "--cpu", "x86-64-v3,x86-64-v4", code=2)
    place.run("tune", place.model, code=2)
    done = place.run("tune", place.model, "-o", "x.jsonl", "--storage", place.folder / "s.db", "--runner", "false", code=7)
    kit.check("does not answer" in done.stderr, done.stderr)
    kit.check("kernel" in place.run("tune", place.model, "--dry-run").stdout, "a dry run says nothing")


kit.main(test)
