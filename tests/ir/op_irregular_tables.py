"""Writes tests/ir/op_irregular_tables.h: operators whose loops depend on data.

Run from the root: python3 tests/ir/op_irregular_tables.py > tests/ir/op_irregular_tables.h
"""
import numpy as np
from family_cases import K, case, ints, real, rng, whole, write

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

# ---- what is counted, then filled: the pieces, with the number that a run would read in between ----
BLOCK = 1024


def nonzero(name, x):
    flat = x.ravel() != 0
    counts = [int(flat[i:i + BLOCK].sum()) for i in range(0, flat.size, BLOCK)]
    starts = ints(*np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    case(f"nonzero-count-{name}", "lathe_NonZeroCount", x.ravel(), outputs=2, expected=[starts[-1:], starts])
    case(f"nonzero-fill-{name}", "lathe_NonZeroFill", x, starts, starts[-1:], expected=[np.array(np.nonzero(np.atleast_1d(x)), np.int64)])


nonzero("f32", np.array([[0, 1, -0.0], [np.nan, 0, 2]], np.float32))
nonzero("bool", rng.random((3, 5, 7)) < 0.3)
nonzero("u8", rng.integers(0, 3, (2, 520)).astype(np.uint8))
nonzero("blocks", np.where(rng.random(2100) < 0.01, 1, 0).astype(np.int64))
nonzero("f16", np.array([6e-8, 0, -6e-8, 1], np.float16))
nonzero("nothing", np.zeros((2, 3), np.int32))
nonzero("empty", np.zeros((0, 3), np.float32))
nonzero("scalar", np.array(3, np.int32))


def unique(name, x, axis=0, ordered=1):
    """np.unique with the rules written out: NaN equals NaN, -0 equals 0, the first of equals stands for all."""
    slices = [tuple(np.where(np.isnan(s), np.inf, s + 0.0).ravel().tolist()) + tuple(np.isnan(s).ravel().tolist()) if x.dtype.kind == "f" else tuple(s.ravel().tolist())
              for s in np.moveaxis(x, axis, 0)]
    found = list(dict.fromkeys(slices))
    if ordered:
        width = len(slices[0]) // 2 if slices and x.dtype.kind == "f" else 0
        found.sort(key=lambda t: [(n, v) for v, n in zip(t[:width], t[width:])] if width else t)
    n = len(slices)
    first = [slices.index(s) for s in found]
    counts = [slices.count(s) for s in found]
    pad = lambda v: ints(*(v + [0] * (n - len(v))))
    inverse = ints(*[found.index(s) for s in slices])
    case(f"unique-find-{name}", "lathe_UniqueFind", x, outputs=4, expected=[pad(first), inverse, pad(counts), ints(len(found))], axis=axis, sorted=ordered)
    case(f"unique-fill-{name}", "lathe_UniqueFill", x, pad(first), inverse, pad(counts), ints(len(found)), outputs=4, axis=axis,
         expected=[np.take(x, first, axis), ints(*first), inverse, ints(*counts)])


for ordered in (0, 1):
    unique(f"f32-{ordered}", np.array([2, 1, np.nan, 1, -0.0, 3, 0, np.nan, -np.inf], np.float32), ordered=ordered)
    unique(f"i8-{ordered}", whole(300, dtype=np.int8, low=-100, high=100), ordered=ordered)
    unique(f"rows-{ordered}", whole(9, 2, dtype=np.int64, low=0, high=2), ordered=ordered)
    unique(f"columns-{ordered}", whole(2, 9, 2, dtype=np.float64, low=0, high=2), axis=1, ordered=ordered)
    unique(f"one-{ordered}", np.array([7], np.uint64), ordered=ordered)


def iou(a, b):
    wide = np.float32(max(min(a[1], b[1]) - max(a[0], b[0]), 0))
    high = np.float32(max(min(a[3], b[3]) - max(a[2], b[2]), 0))
    area = lambda c: np.float32(c[1] - c[0]) * np.float32(c[3] - c[2])
    both = wide * high
    return both / (area(a) + area(b) - both) if both > 0 and area(a) > 0 and area(b) > 0 else 0


def corners(box, center):
    f = np.float32
    if center:
        return f(box[0] - box[2] / f(2)), f(box[0] + box[2] / f(2)), f(box[1] - box[3] / f(2)), f(box[1] + box[3] / f(2))
    return min(box[1], box[3]), max(box[1], box[3]), min(box[0], box[2]), max(box[0], box[2])


def nms(name, boxes, scores, most=None, limit=None, least=None, center=0):
    batches, classes, count = scores.shape
    rows, starts, selected = [], [0], np.zeros(scores.shape, np.int32)
    for b in range(batches):
        shapes = [corners(box, center) for box in boxes[b]]
        for c in range(classes):
            chosen = []
            for i in sorted(range(count), key=lambda i: (-scores[b, c, i], i)):
                if len(chosen) < min(most or 0, count) and (least is None or scores[b, c, i] > np.float32(least)) and \
                   all(not iou(shapes[i], shapes[j]) > np.float32(limit or 0) for j in chosen):
                    chosen.append(i)
            rows += [(b, c, i) for i in chosen]
            selected[b, c, :len(chosen)] = chosen
            starts.append(len(rows))
    given = [None if most is None else ints(most), None if limit is None else np.array([limit], np.float32), None if least is None else np.array([least], np.float32)]
    case(f"nms-select-{name}", "lathe_NmsSelect", K(boxes), K(scores), *given, outputs=3, expected=[ints(len(rows)), ints(*starts), selected], center_point_box=center)
    case(f"nms-fill-{name}", "lathe_NmsFill", K(selected), ints(*starts), ints(len(rows)), expected=[np.array(rows, np.int64).reshape(-1, 3)])


BOXES, SCORES = real(2, 40, 4, low=0, high=3), real(2, 3, 40, low=0, high=1)
SCORES[0, 0, ::3] = SCORES[0, 0, 0]
nms("plain", BOXES, SCORES, 10, 0.4, 0.3)
nms("center", BOXES, SCORES, 5, 0.3, 0.1, center=1)
nms("all", BOXES, SCORES, 100, 0.0)
nms("no-limit", BOXES, SCORES, 7)
nms("unasked", BOXES, SCORES)
nms("flat", np.zeros((1, 4, 4), np.float32), np.ones((1, 1, 4), np.float32), 4, 0.5)
nms("none", np.zeros((1, 0, 4), np.float32), np.ones((1, 2, 0), np.float32), 4, 0.5)


def philox(counter, key):
    """Philox4x32-10, as in op_signal_tables.py, where its test vectors are."""
    c, k = list(counter), list(key)
    for _ in range(10):
        low, high = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(high >> 32) ^ c[1] ^ k[0], high & 0xFFFFFFFF, (low >> 32) ^ c[3] ^ k[1], low & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def multinomial(name, x, samples, seed=2.0, dtype=6):
    key = [int(np.float32(seed).view(np.uint32)), 0]
    numbers = [philox([i, 0, 0, 0], key)[0] >> 8 for i in range(x.shape[0] * samples)]
    uniform = (np.array(numbers, np.float64) * 2.0**-24).reshape(x.shape[0], samples)
    sums = np.cumsum(np.exp(x - x.max(1, keepdims=True)).astype(np.float64), 1)
    places = (sums[:, None, :] <= (uniform * sums[:, -1:])[:, :, None]).sum(2)
    case(f"multinomial-{name}", "Multinomial", x, expected=[places.astype(np.int32 if dtype == 6 else np.int64)], sample_size=samples, seed=seed, dtype=dtype)


multinomial("draws", real(3, 7), 50)
multinomial("never", np.array([[-np.inf, 0, -np.inf]], np.float32), 5, dtype=7)

# Lists of more chosen boxes than are compared at once, and two stretches of x far from each other.
CROWD = np.concatenate([real(1, 150, 2, low=0, high=9), real(1, 150, 2, low=0, high=9) + 1], axis=2)
CROWD[:, 75:, 2:] = CROWD[:, 75:, :2] + real(1, 75, 2, low=0, high=1)
CROWD[:, 75:, 1::2] += np.float32(400)
CROWD_SCORES = real(1, 2, 150, low=0, high=1)
nms("crowd", CROWD, CROWD_SCORES, 150, 0.2)
nms("crowd-few", CROWD[:, 75:], CROWD_SCORES[:, :, 75:], 75, 0.9)

write(__file__)
