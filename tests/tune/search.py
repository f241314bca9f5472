#!/usr/bin/env python3
"""The search, with times that are made up: what the cost model hides is found, noise is not taken for gain, the same seed asks the same.

    search.py LATHE FOLDER"""
import pathlib
import sys

import kit

FAKE = f"{sys.executable} {pathlib.Path(__file__).parent / 'fake_runner.py'}"


def by_template(place):
    return {(record["template"], record["name"]): record for record in place.read_records()[1:]}


def asked(trials):
    return [(trial["name"], trial["number"], trial["schedule"]) for trial in trials]


def hidden(place):
    """On every kernel the fastest schedule is one that the cost model ranks low."""
    trials, result = place.tune("--runner", f"{FAKE} hidden", "--trials", "300", "--timeout", "10m", "--seed", "5")
    kit.check(len(trials) >= 300, f"{len(trials)} trials")
    for (template, name), record in by_template(place).items():
        if template not in ("contract", "window"):
            continue
        gain = record["ns"] / record["default_ns"]
        nearest = 1_000_000 / record["default_ns"]  # what the best of all would give
        kit.check(gain < 0.98 and gain < nearest + 0.4 * (1 - nearest),
                  f"{name}: {record['values']} takes {gain:.2f} of the default's time, the best would take {nearest:.2f}")
    kit.check(result["time_ratio"] < 0.9, f"whole model {result['time_ratio']}")
    return asked(trials)


def exhaustive(place):
    """Nothing is left out: of the window kernel's space the very best is found."""
    place.tune("--runner", f"{FAKE} window", "--trials", "400", "--timeout", "10m", "--search", "exhaustive")
    windows = [record for (template, _), record in by_template(place).items() if template == "window"]
    kit.check(len(windows) == 1 and windows[0]["values"].items() >= {"columns": 2, "band": 3}.items(), f"{windows}")


def noise(place):
    """Where all candidates are alike, the cost model's choice stays."""
    trials, result = place.tune("--runner", f"{FAKE} noise", "--trials", "60", "--timeout", "10m")
    kit.check(result["time_ratio"] == 1 and not any(trial["best"] for trial in trials), f"noise was chosen: {result}")
    for record in place.read_records()[1:]:
        kit.check(record["ns"] == record["default_ns"], f"{record}")


def standard_is_itself(place):
    """The record of what the cost model takes compiles to the same bytes as no record; two builds are alike."""
    plain, again, tuned = (place.folder / name for name in ("plain/m.so", "again/m.so", "tuned/m.so"))
    for path in (plain, again, tuned):
        path.parent.mkdir(exist_ok=True)
    place.run("compile", place.model, "-o", plain, "-q")
    place.run("compile", place.model, "-o", again, "-q", "--no-cache", "--tuning", place.records)
    kit.check(plain.read_bytes() == again.read_bytes(), "the cost model's choice, recorded, gives other bytes")
    place.tune("--runner", f"{FAKE} hidden", "--trials", "40", "--timeout", "10m")
    place.run("compile", place.model, "-o", again, "-q", "--no-cache", "--tuning", place.records)
    place.run("compile", place.model, "-o", tuned, "-q", "-j", "2", "--tuning", place.records)
    kit.check(tuned.read_bytes() == again.read_bytes(), "two builds with one record differ")
    kit.check(tuned.read_bytes() != plain.read_bytes(), "the record changes nothing")


def test(lathe, folder):
    place = kit.Place(lathe, folder)
    first = hidden(place)
    again = asked(place.tune("--runner", f"{FAKE} hidden", "--trials", "40", "--timeout", "10m", "--seed", "5")[0])
    kit.check(again == first[:len(again)], "the same seed asked for other candidates")
    noise(place)
    standard_is_itself(place)
    exhaustive(place)


kit.main(test)
