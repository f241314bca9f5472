#!/usr/bin/env python3
"""Holds the source tree to its own rules: which folder may include which (the table is explained in CONTRIBUTING.md), who may know
LLVM and protobuf-c, that files include what they use by its path from the root, and how long a file may be.

    layers.py SOURCE_FOLDER"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])

# Folder: what it may include. Where a row names a header, that one only.
MAY_INCLUDE = {
    "ir": ["ir/"],
    "frontend": ["frontend/", "ir/"],
    "passes": ["passes/", "ir/", "targets/"],
    "targets": ["targets/", "ir/"],
    "codegen": ["codegen/", "ir/", "targets/",
                # The program is built from what the passes leave, in their own words.
                "passes/pass.h", "passes/access.h",
                # The compiler writes the tables that the runtime reads, and carries the runtime as data.
                "runtime/lathe_model.h", "runtime/lathe_runtime.h", "runtime/lathe_script.h", "runtime/embed.h"],
    "runtime": ["runtime/"],
    "tools": ["codegen/", "frontend/", "ir/", "passes/", "runtime/", "targets/", "tools/"],
}
# Header of a library: the only folder that may know it.
OUTSIDE = {"llvm-c/": "codegen", "protobuf-c/": "frontend", "onnx.pb-c.h": "frontend", "png.h": "tools", "jpeglib.h": "tools",
           "zlib.h": "tools", "ffi.h": "tools", "sqlite3.h": "tools"}
LINES_MOST = 600
# Tables: a row per line, however many there are.
TABLES = re.compile(r"\.def$|_tables\.[hc]$|_nodes\.h$")
SOURCES = (".c", ".h", ".inc", ".def")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def files(*folders):
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*") if p.suffix in SOURCES)


def wrong_includes(path):
    folder = path.relative_to(ROOT).parts[0]
    for bracket, name in INCLUDE.findall(path.read_text()):
        owner = next((owner for start, owner in OUTSIDE.items() if name.startswith(start)), None)
        if owner:
            if owner != folder:
                yield f"only {owner}/ may know <{name}>"
        elif bracket == '"' and not any(name == allowed or (allowed.endswith("/") and name.startswith(allowed))
                                        for allowed in MAY_INCLUDE[folder]):
            reason = "is not one of " + " ".join(MAY_INCLUDE[folder])
            yield f'"{name}" {reason}'
        elif bracket == '"' and not (ROOT / name).exists():
            yield f'"{name}" does not exist: paths start at the root'


def main():
    wrong, count = [], 0
    for path in files(*MAY_INCLUDE):
        count += 1
        wrong += [f"{path.relative_to(ROOT)}: {what}" for what in wrong_includes(path)]
    for path in files(*MAY_INCLUDE, "tests", "examples", "cmake"):
        lines = len(path.read_text().splitlines())
        if lines > LINES_MOST and not TABLES.search(path.name):
            wrong.append(f"{path.relative_to(ROOT)}: {lines} lines; a file has at most {LINES_MOST}")
    print("\n".join(wrong + [f"{count} files, {len(wrong)} wrong"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
