#!/usr/bin/env python3
"""Is docs/operators.md what the tables say? The order of its rows does not matter: rows that were added side by side merge as they are.

    operators.py LATHE SOURCE_FOLDER"""
import pathlib
import subprocess
import sys

lathe, source = sys.argv[1], pathlib.Path(sys.argv[2])
page = source / "docs" / "operators.md"
made = subprocess.run([lathe, "operators", "--markdown"], check=True, capture_output=True, text=True).stdout.splitlines()
kept = page.read_text().splitlines()
missing = [line for line in made if made.count(line) != kept.count(line)]
stale = [line for line in kept if made.count(line) != kept.count(line)]
for line in missing:
    print("missing:", line)
for line in stale:
    print("stale:  ", line)
if missing or stale:
    sys.exit(f"{page} is not what the tables say: cmake --build build --target operators")
print(f"{len(made)} lines of {page.name} are as the tables say")
