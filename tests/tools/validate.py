#!/usr/bin/env python3
"""lathe validate --per-node finds the node that is wrong, exactly: the values of a model are written, one of them is changed, and that
node must be named, with what was changed. Once for every value of the model.

    validate.py LATHE MODEL"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path[:0] = [path for path in (os.environ.get("LATHE_TEST_PACKAGES"), "/usr/local/share/lathe-tests") if path]
try:
    import numpy
except ImportError:
    print("skipped: needs numpy")
    sys.exit(77)

lathe, model = sys.argv[1:]


def validate(*arguments):
    ran = subprocess.run([lathe, "validate", model, "--per-node", "--json", *arguments], capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    answer = json.loads(ran.stdout)
    assert (ran.returncode == 0) == answer["right"]
    return answer


with tempfile.TemporaryDirectory() as work:
    folder = pathlib.Path(work) / "values"
    answer = validate("-o", str(folder))
    assert answer["right"], answer["first_wrong"]
    values = answer["values"]
    files = sorted(path.name for path in folder.iterdir())
    assert len(values) > 3 and len(files) == len(values), files
    reference = ("--reference", str(folder))
    again = validate(*reference)
    assert again["right"] and len(again["values"]) == len(values) and again["without_reference"] == 0
    for value in values:
        path = folder / ("".join(c if c.isalnum() or c in "._-" else "_" for c in value["value"]) + ".npy")
        kept = numpy.load(path)
        changed = kept.copy()
        at = changed.size // 2
        changed.flat[at] = changed.flat[at] + abs(changed).max() + 1
        numpy.save(path, changed)
        found = validate(*reference)["first_wrong"]
        assert found and found["value"] == value["value"] and found["node"] == value["node"], (value, found)
        assert found["beyond"] == 1 and found["worst"] == at and found["wanted"] == changed.flat[at] and found["got"] == kept.flat[at], found
        assert found["inputs"], found
        numpy.save(path, kept)
    # A value that is wrong by less than its bound, and beyond one that is given.
    path = next(folder.glob("*.npy"))
    kept = numpy.load(path)
    numpy.save(path, kept + numpy.float32(1e-6) * abs(kept).max())
    assert validate(*reference)["right"]
    assert not validate(*reference, "--rtol", "0", "--atol", "0")["right"]
    # Another shape is named as such, a folder without any value is an error.
    numpy.save(path, kept.reshape(-1))
    assert "the reference" in validate(*reference)["first_wrong"]["kind"]
    for name in files:
        (folder / name).unlink()
    ran = subprocess.run([lathe, "validate", model, *reference], capture_output=True, text=True)
    assert ran.returncode == 5 and "no file of any value" in ran.stderr, ran
print(f"each of {len(values)} planted faults was found")
