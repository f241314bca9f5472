#!/usr/bin/env python3
"""Holds targets/ADDING.md to the code: the files that name a family are those of its column, no more and no fewer.

    recipe.py SOURCE_FOLDER"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
FOLDERS = ("cmake", "codegen", "frontend", "ir", "passes", "runtime", "targets", "tools")
# Column: what a file says that knows the family.
NAMES = {"null": re.compile(r"\bnull_family\b|targets/null\.h"), "aarch64": re.compile("aarch64", re.IGNORECASE)}


def rows():
    """Yields each file of the table with the families that are marked."""
    columns = None
    for line in (ROOT / "targets/ADDING.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "file":
            columns = cells[2:]
        elif columns and cells[0].startswith("`"):
            yield cells[0].strip("`"), [column for column, mark in zip(columns, cells[2:]) if mark == "yes"]
        elif columns and not line.startswith("|"):
            return


def without_comments(text):
    """Examples in comments and help may name any family."""
    return re.sub(r"/\*.*?\*/|\"lathe [^\"]*\"", "", text, flags=re.DOTALL)


def main():
    table = list(rows())
    wrong = [] if table else ["targets/ADDING.md has no table of files"]
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(errors="replace")
               for folder in FOLDERS for path in (ROOT / folder).rglob("*")
               if path.is_file() and path.suffix in (".c", ".h", ".def", ".cmake", ".txt")}
    for family, name in NAMES.items():
        said = {file.replace("<family>", family) for file, families in table if family in families}
        found = {path for path, text in sources.items() if name.search(without_comments(text))}
        wrong += [f"targets/ADDING.md: {path} is said to name {family} and does not" for path in sorted(said - found)]
        wrong += [f"{path} names {family}, which targets/ADDING.md does not tell" for path in sorted(found - said)]
    print("\n".join(wrong) if wrong else f"{len(table)} places, as told")
    return 1 if wrong else 0


sys.exit(main())
