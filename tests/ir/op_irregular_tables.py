"""Writes tests/ir/op_irregular_tables.h: operators whose loops depend on data.

Run from the root: python3 tests/ir/op_irregular_tables.py > tests/ir/op_irregular_tables.h
"""
import numpy as np
from family_cases import case, ints, real, rng, whole, write

# ---- what sorts ----
def first_of(x, k, axis, largest):
    """By the rules of TopK: ties by position; NaN is greater than numbers."""
    order = np.argsort(x, axis=axis, kind="stable")  # NaN last
    if largest:  # a stable sort of the reversed row, read backwards, keeps ties in order
        order = np.flip(x.shape[axis] - 1 - np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    order = np.take(order, np.arange(k), axis)
    return [np.take_along_axis(x, order, axis), order.astype(np.int64)]


def topk(name, x, k, axis=-1, largest=1):
    case(name, "TopK", x, ints(k), outputs=2, expected=first_of(x, k, axis, largest), axis=axis, largest=largest)


ROUGH = whole(3, 50, dtype=np.float32, low=-4, high=4)
SPECIAL = np.array([[1, np.nan, -0.0, 0, np.inf, -np.inf, 0, np.nan, -0.0, -1]], np.float32)
for largest in (0, 1):
    topk(f"topk-{largest}", ROUGH, 5, largest=largest)
    topk(f"topk-half-{largest}", real(2, 20, dtype=np.float16), 4, largest=largest)
    topk(f"topk-special-{largest}", SPECIAL, 10, largest=largest)
    topk(f"topk-large-{largest}", whole(2, 300, dtype=np.float32, low=-40, high=40), 290, largest=largest)
    topk(f"topk-i8-{largest}", whole(2, 300, dtype=np.int8, low=-128, high=127), 200, largest=largest)
    topk(f"topk-u64-{largest}", rng.integers(0, 2**64 - 1, (2, 270), dtype=np.uint64), 100, largest=largest)
    topk(f"topk-middle-{largest}", whole(2, 9, 3, dtype=np.int32), 3, axis=-2, largest=largest)
    topk(f"topk-f64-{largest}", real(280, 2, dtype=np.float64), 280, axis=0, largest=largest)
topk("topk-none", ROUGH, 0)
case("det", "Det", real(4, 3, 3), tolerance=1e-5)
case("det-swap", "Det", np.array([[0, 1, 2], [1, 0, 3], [4, -3, 8]], np.float64))
case("det-singular", "Det", np.array([[[1, 2], [2, 4]], [[0, 0], [0, 5]]], np.float32))
case("det-none", "Det", np.zeros((2, 0, 0), np.float32), expected=[np.ones(2, np.float32)])

write(__file__)
