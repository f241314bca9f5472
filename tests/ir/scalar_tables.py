"""Writes tests/ir/scalar_tables.h: what NumPy and ml_dtypes say about conversions and arithmetic, as checksums and cases.

Run from the root: python3 tests/ir/scalar_tables.py > tests/ir/scalar_tables.h
A checksum is FNV-1a over the result codes of a sweep, little-endian, in the order of the inputs; NaN codes are made equal first.
Narrowing sweeps take every pattern of the upper 16 bits of an f32, each with eight patterns of the lower 16, so that every tie and
its neighbours occur; f64 sweeps take the upper 20 bits of an f64 with four patterns below.
"""
import ml_dtypes
import numpy as np

FORMATS = [  # Lathe's name, NumPy type, code type, saturates
    ("F16", np.float16, np.uint16, False),
    ("BF16", ml_dtypes.bfloat16, np.uint16, False),
    ("F8E4M3FN", ml_dtypes.float8_e4m3fn, np.uint8, True),
    ("F8E4M3FNUZ", ml_dtypes.float8_e4m3fnuz, np.uint8, True),
    ("F8E5M2", ml_dtypes.float8_e5m2, np.uint8, True),
    ("F8E5M2FNUZ", ml_dtypes.float8_e5m2fnuz, np.uint8, True),
    ("F8E8M0", ml_dtypes.float8_e8m0fnu, np.uint8, True),
    ("F4E2M1", ml_dtypes.float4_e2m1fn, np.uint8, True),
]
LOW32 = [0, 1, 0x1000, 0x7FFF, 0x8000, 0x8001, 0xEFFF, 0xFFFF]
LOW64 = [0, 1, 0x80000000000, 0xFFFFFFFFFFF]


def fnv(codes):
    data = np.frombuffer(codes.tobytes(), np.uint8)
    value = 0xCBF29CE484222325
    for byte in data.tolist():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def sweep32():
    high = np.arange(65536, dtype=np.uint32) << 16
    return np.stack([high | low for low in LOW32], 1).reshape(-1).view(np.float32)


def sweep64():
    high = np.arange(1 << 20, dtype=np.uint64)[::4] << np.uint64(44)
    return np.stack([high | np.uint64(low) for low in LOW64], 1).reshape(-1).view(np.float64)


def narrow(values, name, kind, code, saturates):
    with np.errstate(all="ignore"):
        if name == "F8E8M0":  # saturating; zero is the least value; infinity and negative values are NaN
            clipped = np.where(np.isfinite(values), np.minimum(values, 2.0**127), values)
            codes = clipped.astype(kind).view(code).copy()
            codes[values == 0] = 0
            # ml_dtypes rounds every f32 subnormal above 2^-127 up; nearest is 2^-127 below the half.
            subnormal = (values >= 0) & (values < 2.0**-126)
            codes[subnormal] = values[subnormal] >= 1.5 * 2.0**-127
            return codes, codes == 0xFF
        if saturates:
            largest = float(ml_dtypes.finfo(kind).max)
            values = np.clip(values, -largest, largest)
        result = values.astype(kind)
        codes = result.view(code).copy()
        nan = np.isnan(values)
        return codes, nan


def canonical(codes, nan, name):
    """NaN sign and payload are free; in f4 NaN is a zero."""
    codes = codes.copy()
    codes[nan] = 0 if name == "F4E2M1" else np.iinfo(codes.dtype).max
    return codes


def table(name, rows):
    print(f"static const {name} {name.lower()}_rows[] = {{")
    for row in rows:
        print("    {" + ", ".join(row) + "},")
    print("};\n")


def main():
    print("/* Written by scalar_tables.py from NumPy and ml_dtypes. Do not edit. */")
    print("typedef struct Sweep {\n    Dtype dtype;\n    uint64_t from_f32, from_f64, to_f32;\n} Sweep;")
    rows = []
    for name, kind, code, saturates in FORMATS:
        sums = []
        for values in (sweep32(), sweep64()):
            if name in ("F8E8M0", "F4E2M1") or name.startswith("F8") or name == "BF16":
                # ml_dtypes takes f64 through f32 for some types: round to odd in f32 first, which keeps the second rounding right
                values32 = to_odd_f32(values)
            else:
                values32 = values
            sums.append(fnv(canonical(*narrow(values32, name, kind, code, saturates), name)))
        count = 16 if name == "F4E2M1" else 1 << (8 * np.dtype(code).itemsize)
        wide = np.arange(count, dtype=code).view(kind).astype(np.float32)
        bits = wide.view(np.uint32).copy()
        bits[np.isnan(wide)] = 0xFFFFFFFF
        rows.append([f"DTYPE_{name}"] + [f"{s:#x}" for s in sums] + [f"{fnv(bits):#x}"])
    table("Sweep", rows)
    arithmetic()


def to_odd_f32(values):
    if values.dtype == np.float32:
        return values
    with np.errstate(all="ignore"):
        near = values.astype(np.float32)
    back = near.astype(np.float64)
    bits = near.view(np.uint32).copy()
    inexact = (back != values) & ~np.isnan(values)
    away = inexact & (np.abs(back) > np.abs(values))
    bits[away] -= 1  # truncate, then make odd
    bits[inexact] |= 1
    return bits.view(np.float32)


VALUES = {
    "F32": [0.0, -0.0, 1.5, -2.5, 0.5, 3.5, np.inf, -np.inf, np.nan, 1e-45, -7.25, 3.0, 16777217.0],
    "I8": [0, 1, -1, 127, -128, 7, -7, 3, 8, -3],
    "U8": [0, 1, 255, 128, 7, 3, 8],
    "I32": [0, 1, -1, 2**31 - 1, -(2**31), 7, -7, 3, 31, 32, -3],
    "U32": [0, 1, 2**32 - 1, 2**31, 7, 3, 31, 32],
    "I64": [0, 1, -1, 2**63 - 1, -(2**63), 7, -7, 3, 63, 64, -3],
    "U64": [0, 1, 2**64 - 1, 2**63, 7, 3, 63, 64],
}
TYPES = {"F32": np.float32, "I8": np.int8, "U8": np.uint8, "I32": np.int32, "U32": np.uint32, "I64": np.int64, "U64": np.uint64}


def wrap(value, kind):
    bits = np.iinfo(kind).bits
    value &= (1 << bits) - 1
    return value - (1 << bits) if np.iinfo(kind).min < 0 and value >> (bits - 1) else value


def integer_result(op, x, y, kind):
    """Python's unbounded integers, then the wrap; the defined cases of scalar.def."""
    width = np.iinfo(kind).bits
    if op == "div":
        return 0 if y == 0 else wrap(abs(x) // abs(y) * (-1 if (x < 0) != (y < 0) else 1), kind)
    if op == "rem":
        return 0 if y == 0 else wrap(abs(x) % abs(y) * (-1 if x < 0 else 1), kind)
    if op == "floordiv":
        return 0 if y == 0 else wrap(x // y, kind)
    if op == "mod":
        return 0 if y == 0 else x % y
    inside = 0 <= y < width
    if op == "shl":
        return wrap(x << y, kind) if inside else 0
    if op == "shr":
        return x >> y if inside else (-1 if x < 0 else 0)
    return wrap({"add": x + y, "sub": x - y, "mul": x * y, "min": min(x, y), "max": max(x, y), "and": x & y, "or": x | y, "xor": x ^ y}[op], kind)


def float_result(op, x, y):
    with np.errstate(all="ignore"):
        if op in ("min", "max"):
            if x == 0 and y == 0:
                negative = np.signbit(x) or np.signbit(y) if op == "min" else np.signbit(x) and np.signbit(y)
                return np.float32(-0.0 if negative else 0.0)
            return np.minimum(x, y) if op == "min" else np.maximum(x, y)
        return {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "rem": np.fmod, "mod": np.mod, "copysign": np.copysign}[op](x, y)


def arithmetic():
    """Every pair of VALUES through every operation, as one checksum per (operation, dtype); a result is 8 bytes, sign-extended."""
    print("typedef struct Pairs {\n    Op op;\n    Dtype dtype;\n    uint64_t sum;\n} Pairs;")
    rows = []
    compare = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    for name, kind in TYPES.items():
        values = [kind(v) for v in VALUES[name]]
        integer_ops = ["add", "sub", "mul", "div", "rem", "floordiv", "mod", "min", "max", "and", "or", "xor", "shl", "shr"]
        ops = ["add", "sub", "mul", "div", "rem", "mod", "min", "max", "copysign"] if name == "F32" else integer_ops
        for op in ops + list(compare):
            results = []
            for x in values:
                for y in values:
                    if op in compare:
                        results.append(int(compare[op](x, y)))
                    elif name == "F32":
                        result = float_result(op, x, y)
                        results.append(0xFFFFFFFF if np.isnan(result) else int(np.float32(result).view(np.uint32)))
                    else:
                        results.append(integer_result(op, int(x), int(y), kind))
            codes = np.array([r & 0xFFFFFFFFFFFFFFFF for r in results], np.uint64)
            rows.append([f"OP_{op}", f"DTYPE_{name}", f"{fnv(codes):#x}"])
    table("Pairs", rows)
    for name in TYPES:
        if name == "F32":
            values = [f"{int(np.float32(v).view(np.uint32)):#x}" for v in VALUES[name]]
        else:
            values = [f"{v & 0xFFFFFFFFFFFFFFFF:#x}" for v in VALUES[name]]
        print(f"static const uint64_t values_{name}[] = {{{', '.join(values)}}};")


main()
