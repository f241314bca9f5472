#!/usr/bin/env python3
"""Every header compiles alone: it includes what it uses.

    headers.py SOURCE_FOLDER COMPILER INCLUDE_FOLDER..."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT, COMPILER, *FOLDERS = sys.argv[1:]


def compile_alone(path):
    name = path.relative_to(ROOT)
    # The second time shows that the guard works.
    text = f'#include "{name}"\n#include "{name}"\n'
    command = [COMPILER, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", '-DLATHE_VERSION="0"', f"-I{ROOT}",
               *(f"-isystem{f}" for f in FOLDERS), "-x", "c", "-"]
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return f"{name}: {done.stdout}" if done.returncode else ""


def main():
    headers = sorted(p for folder in ("ir", "frontend", "passes", "targets", "codegen", "runtime", "tools")
                     for p in pathlib.Path(ROOT, folder).rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [message for message in pool.map(compile_alone, headers) if message]
    print("\n".join(wrong + [f"{len(headers)} headers, {len(wrong)} do not compile alone"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
