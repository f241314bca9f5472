"""Makes the sample files of this folder with NumPy, ONNX, Pillow and the standard library.

Run it in this folder: python3 make.py   (needs numpy, onnx, ml_dtypes, pillow)
The tests compare with the values written here; files are small and committed, so the tests themselves need no Python.
"""

import io
import struct
import wave
import zipfile

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

FLOATS = [0.0, 1.0, -1.5, 0.5, 4.0, -6.0]
SIGNED = [0, 1, -2, 3, 7, -8]
UNSIGNED = [0, 1, 2, 3, 7, 15]

NUMPY = {
    "f32": ("<f4", FLOATS), "f64": ("<f8", FLOATS), "f16": ("<f2", FLOATS),
    "i8": ("i1", SIGNED), "i16": ("<i2", SIGNED), "i32": ("<i4", SIGNED), "i64": ("<i8", SIGNED),
    "u8": ("u1", UNSIGNED), "u16": ("<u2", UNSIGNED), "u32": ("<u4", UNSIGNED), "u64": ("<u8", UNSIGNED),
    "bool": ("?", [0, 1, 1, 0, 0, 1]), "c64": ("<c8", FLOATS), "c128": ("<c16", FLOATS),
}


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version, allow_pickle=True)
    return out.getvalue()


def make_npy():
    for name, (descriptor, values) in NUMPY.items():
        write(f"{name}.npy", npy(np.array(values, descriptor).reshape(2, 3), (1, 0)))
    grid = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    write("version2.npy", npy(grid, (2, 0)))
    write("version3.npy", npy(grid, (3, 0)))
    write("fortran.npy", npy(np.asfortranarray(grid)))
    write("scalar.npy", npy(np.array(2.5, "<f4")))
    write("empty.npy", npy(np.zeros((2, 0, 3), "<f4")))
    write("vector.npy", npy(np.arange(3, dtype="<i8")))
    write("big-endian.npy", npy(np.arange(3, dtype=">i4")))
    write("bytes.npy", npy(np.array([b"ab", b"", b"xyz"])))
    write("unicode.npy", npy(np.array(["Zürich", "", "\u20ac\U0001f600"])))
    write("structured.npy", npy(np.zeros(2, [("a", "<f4"), ("b", "<i4")])))
    write("object.npy", npy(np.array([{"a": 1}, None], dtype=object)))
    write("bf16.npy", npy(np.array(FLOATS, ml_dtypes.bfloat16).reshape(2, 3)))
    write("f8e4m3fn.npy", npy(np.array(FLOATS, ml_dtypes.float8_e4m3fn).reshape(2, 3)))
    write("f8e5m2.npy", npy(np.array(FLOATS, ml_dtypes.float8_e5m2).reshape(2, 3)))
    write("i4.npy", npy(np.array(SIGNED, ml_dtypes.int4).reshape(2, 3)))


def make_npz():
    arrays = {"image": np.arange(6, dtype="<f4").reshape(2, 3), "ids": np.array([7, 8], "<i8")}
    np.savez("stored.npz", **arrays)
    np.savez_compressed("deflated.npz", **arrays)
    limit = zipfile.ZIP64_LIMIT
    zipfile.ZIP64_LIMIT = 16  # every size, offset and count now takes its 64-bit form
    with zipfile.ZipFile("zip64.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(npy(array))
    zipfile.ZIP64_LIMIT = limit
    with zipfile.ZipFile("bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("image.npy", npy(arrays["image"]))


PB = {
    TensorProto.FLOAT: FLOATS, TensorProto.DOUBLE: FLOATS, TensorProto.FLOAT16: FLOATS, TensorProto.BFLOAT16: FLOATS,
    TensorProto.FLOAT8E4M3FN: FLOATS, TensorProto.FLOAT8E4M3FNUZ: FLOATS, TensorProto.FLOAT8E5M2: FLOATS,
    TensorProto.FLOAT8E5M2FNUZ: FLOATS, TensorProto.FLOAT4E2M1: FLOATS,
    TensorProto.FLOAT8E8M0: [1, 2, 4, 0.5, 0.25, 8],
    TensorProto.INT8: SIGNED, TensorProto.INT16: SIGNED, TensorProto.INT32: SIGNED, TensorProto.INT64: SIGNED,
    TensorProto.INT4: SIGNED, TensorProto.INT2: [0, 1, -2, -1, 1, 0],
    TensorProto.UINT8: UNSIGNED, TensorProto.UINT16: UNSIGNED, TensorProto.UINT32: UNSIGNED, TensorProto.UINT64: UNSIGNED,
    TensorProto.UINT4: UNSIGNED, TensorProto.UINT2: [0, 1, 2, 3, 3, 0],
    TensorProto.BOOL: [0, 1, 1, 0, 0, 1],
    TensorProto.COMPLEX64: FLOATS, TensorProto.COMPLEX128: FLOATS,
}


def make_pb():
    for number, values in PB.items():
        name = TensorProto.DataType.Name(number).lower()
        values = [complex(v) for v in values] if "complex" in name else values
        typed = helper.make_tensor("x", number, (2, 3), values)
        write(f"{name}.typed.pb", typed.SerializeToString())
        raw = numpy_helper.from_array(numpy_helper.to_array(typed), "x")
        assert raw.data_type == number and raw.HasField("raw_data"), name
        write(f"{name}.raw.pb", raw.SerializeToString())
    odd = helper.make_tensor("odd", TensorProto.INT4, (5,), [1, 2, 3, -4, 5])
    write("int4-odd.pb", odd.SerializeToString())
    strings = helper.make_tensor("s", TensorProto.STRING, (3,), [b"ab", b"", "Zürich".encode()])
    write("strings.pb", strings.SerializeToString())
    tensors = [np.array([1, 2], "<f4"), np.array([[3]], "<f4")]
    write("sequence.pb", numpy_helper.from_list(tensors, "list").SerializeToString())
    write("sequence-empty.pb", numpy_helper.from_list([], "none", onnx.SequenceProto.TENSOR).SerializeToString())
    write("optional.pb", numpy_helper.from_optional(tensors[0], "maybe").SerializeToString())
    write("optional-sequence.pb", numpy_helper.from_optional(tensors, "maybe").SerializeToString())
    write("optional-none.pb", numpy_helper.from_optional(None, "maybe", onnx.OptionalProto.TENSOR).SerializeToString())
    external = helper.make_tensor("e", TensorProto.FLOAT, (1,), [0])
    external.data_location = TensorProto.EXTERNAL
    write("external.pb", external.SerializeToString())


def make_wav():
    with wave.open("mono.wav", "wb") as out:
        out.setnchannels(1), out.setsampwidth(2), out.setframerate(16000)
        out.writeframes(struct.pack("<4h", 0, 16384, -32768, 32767))
    with wave.open("stereo.wav", "wb") as out:
        out.setnchannels(2), out.setsampwidth(2), out.setframerate(16000)
        out.writeframes(struct.pack("<4h", 8192, 24576, -32768, 0))
    samples = struct.pack("<3f", 0.25, -0.5, 1.0)
    fmt = struct.pack("<HHIIHH", 3, 1, 16000, 64000, 4, 32)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"odd " + struct.pack("<I", 1) + b"x\0"
    body += b"data" + struct.pack("<I", len(samples)) + samples
    write("float.wav", b"RIFF" + struct.pack("<I", len(body)) + body)


def photo(height, width):
    """Smooth and coloured, so that JPEG decoders agree."""
    y, x = np.mgrid[0:height, 0:width].astype("f8")
    channels = [255 * x / width, 255 * y / height, 127 + 100 * np.sin(x / 7) * np.cos(y / 5)]
    return Image.fromarray(np.stack(channels, -1).round().clip(0, 255).astype("u1"), "RGB")


def scaled(image, height, width):
    """Bilinear with antialiasing in floating point, one channel at a time, as float32 CHW."""
    planes = [plane.convert("F").resize((width, height), Image.BILINEAR) for plane in image.split()]
    return np.stack([np.asarray(plane, "<f4") for plane in planes])


def make_images():
    small = photo(4, 5)
    small.save("rgb.png")
    np.save("rgb.expected.npy", np.asarray(small, "u1"))
    small.convert("L").save("grey.png")
    np.save("grey.expected.npy", np.asarray(small.convert("L"), "u1"))
    small.convert("P", palette=Image.ADAPTIVE).save("palette.png")
    np.save("palette.expected.npy", np.asarray(Image.open("palette.png").convert("RGB"), "u1"))
    alpha = small.copy()
    alpha.putalpha(Image.fromarray((np.arange(20) * 12).astype("u1").reshape(4, 5), "L"))
    alpha.save("alpha.png")
    Image.fromarray((np.arange(20) * 3000).astype("u2").reshape(4, 5)).save("grey16.png")
    np.save("grey16.expected.npy", (np.arange(20) * 3000 // 256).astype("u1").reshape(4, 5))
    big = photo(40, 50)
    big.save("photo.png")
    big.save("photo.jpg", quality=95, subsampling=0)
    big.save("progressive.jpg", quality=95, subsampling=0, progressive=True)
    big.convert("L").save("grey.jpg", quality=95)
    big.convert("CMYK").save("cmyk.jpg")
    np.save("photo.jpg.expected.npy", np.asarray(Image.open("photo.jpg").convert("RGB"), "u1"))
    np.save("grey.jpg.expected.npy", np.asarray(Image.open("grey.jpg"), "u1"))
    np.save("photo-smaller.expected.npy", scaled(big, 16, 24))
    np.save("photo-larger.expected.npy", scaled(big, 60, 55))


def make_elements():
    """Every pattern of the 8-bit floats as float64, and roundings of numbers into each small float."""
    small = {
        "f8e4m3fn": ml_dtypes.float8_e4m3fn, "f8e4m3fnuz": ml_dtypes.float8_e4m3fnuz, "f8e5m2": ml_dtypes.float8_e5m2,
        "f8e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "f8e8m0": ml_dtypes.float8_e8m0fnu,
    }
    np.savez_compressed("decoded.npz", **{n: np.arange(256, dtype="u1").view(t).astype("f8") for n, t in small.items()})
    random = np.random.default_rng(1)
    numbers = np.concatenate([random.uniform(-4, 4, 200), random.uniform(-1, 1, 100) * 2.0 ** random.integers(-20, 3, 100),
                              [0.0, -0.0, 1.0, 1.0625, 1.1875, -3.5]])
    rounded = {"numbers": numbers, "f16": numbers.astype("f2").view("u2"), "bf16": numbers.astype(ml_dtypes.bfloat16).view("u2")}
    for name in ("f8e4m3fn", "f8e4m3fnuz", "f8e5m2", "f8e5m2fnuz"):
        rounded[name] = numbers.astype(small[name]).view("u1")
    rounded["f4e2m1"] = numbers.astype(ml_dtypes.float4_e2m1fn).view("u1")
    np.savez_compressed("rounded.npz", **rounded)


make_npy()
make_npz()
make_pb()
make_wav()
make_images()
make_elements()
