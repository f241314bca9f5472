#!/usr/bin/env python3
"""Killed with -9 ten times on the way and resumed: no finished trial is lost. Interrupted, the best so far is written.

    kill.py LATHE FOLDER"""
import json
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

import kit

FAKE = f"{sys.executable} {pathlib.Path(__file__).parent / 'fake_runner.py'} slow 4"
KILLS = 10


def rows(place):
    with sqlite3.connect(place.storage) as database:
        kit.check(database.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the storage is damaged")
        return set(database.execute("SELECT task.key, trial.number, state FROM trial JOIN task ON task.id = trial.task"))


def start(place, *more):
    return subprocess.Popen([place.lathe, *map(str, place.tune_arguments("--json", "--runner", FAKE, "--timeout", "10m", *more))],
                            env=place.environment, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def watch(process, events, seen):
    """Reads up to `events` events; `seen` gets them."""
    for _ in range(events):
        line = process.stdout.readline()
        if not line:
            return False
        event = json.loads(line)
        if event["event"] == "trial":
            seen.add((event["kernel"], event["number"], event["state"]))
    return True


def killed(place):
    source, seen, before = random.Random(11), set(), 0
    for turn in range(KILLS):
        process = start(place, *(["--resume"] if turn else []))
        watch(process, source.randrange(1, 24), seen)
        time.sleep(source.uniform(0, 0.05))
        process.kill()
        process.communicate()
        now = rows(place)
        kit.check(seen <= now, f"turn {turn}: {len(seen - now)} trials were told of and are lost")
        kit.check(len(now) >= before, f"turn {turn}: {before} rows became {len(now)}")
        before = len(now)
    finished = sum(number > 0 for _, number, _ in rows(place))
    _, result = place.tune("--runner", FAKE, "--trials", str(finished + 10), "--timeout", "10m", "--resume")
    kit.check(result["resumed"] == finished, f"{finished} trials were there, {result['resumed']} were taken up")
    numbers = {}
    for key, number, _ in rows(place):
        numbers.setdefault(key, []).append(number)
    for key, found in numbers.items():
        kit.check(sorted(found) == list(range(len(found))), f"{key}: numbers {sorted(found)}")
    with sqlite3.connect(place.storage) as database:
        kit.check(database.execute("SELECT count(*) FROM study").fetchone()[0] == 1, "resuming began another study")
    values = place.read_records()
    kit.check(len(values) == 1 + len(numbers), "the export is not whole")


def interrupted(place):
    place.records.unlink()
    process, seen = start(place), set()
    kit.check(watch(process, 30, seen), "no trials")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    kit.check(process.returncode == 130, f"exit code {process.returncode}: {said}")
    kit.check(seen <= rows(place), "an interrupt lost trials")
    header, *kernels = place.read_records()
    kit.check(header["schema"] == "lathe.tuning/1" and kernels, "the best so far is not there")
    place.run("compile", place.model, "-q", "-o", "model.so", "--tuning", place.records)


def foreign_files(place):
    """Databases of others are left alone."""
    other = place.folder / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine(x)")
    done = place.run(*place.tune_arguments("--runner", FAKE, "--storage", other), code=5)
    kit.check("is a database of something else" in done.stderr, done.stderr)
    text = place.folder / "text.db"
    text.write_text("no database at all, but long enough to be looked at as one\n" * 40)
    place.run(*place.tune_arguments("--runner", FAKE, "--storage", text), code=5)
    kit.check(text.read_text().startswith("no database"), "a file of somebody else was written to")


def test(lathe, folder):
    place = kit.Place(lathe, folder)
    killed(place)
    interrupted(place)
    foreign_files(place)


kit.main(test)
