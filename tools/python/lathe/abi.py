"""The structures of runtime/lathe_model.h, field by field, and the element types."""
import ctypes as c

ABI = 1


class Device(c.Structure):
    _fields_ = [("type", c.c_int32), ("id", c.c_int32)]


class DLDtype(c.Structure):
    _fields_ = [("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16)]


class DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device", Device), ("ndim", c.c_int32), ("dtype", DLDtype),
                ("shape", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


class Options(c.Structure):
    _fields_ = [("size", c.c_size_t), ("threads", c.c_int32), ("flags", c.c_uint32), ("parallel_for", c.c_void_p),
                ("parallel_pool", c.c_void_p), ("pool", c.c_void_p), ("message", c.c_char_p), ("message_size", c.c_size_t)]


class TensorInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("dtype", c.c_int32), ("bits", c.c_int32), ("rank", c.c_int32), ("optional", c.c_int32),
                ("dims", c.POINTER(c.c_int64)), ("dim_names", c.POINTER(c.c_char_p)), ("dims_first", c.c_uint32),
                ("bytes_value", c.c_uint32)]


class Symbol(c.Structure):
    _fields_ = [("name", c.c_char_p), ("input", c.c_uint32), ("position", c.c_uint32), ("element", c.c_int32),
                ("minimum", c.c_int64), ("maximum", c.c_int64)]


class ModelV1(c.Structure):
    pass


class Value(c.Structure):
    pass


# Forms of values; OPTIONAL is added to those of inputs and outputs that may be NOTHING.
TENSOR, SEQUENCE, NOTHING, OPTIONAL = 0, 1, 2, 4
Value._fields_ = [("form", c.c_int32), ("count", c.c_int32), ("tensor", DLTensor), ("items", c.POINTER(Value))]

MODEL_SCRIPT = 1  # of a model's flags: run_values is there
STRING = 8  # the type's number in ONNX


Tensors = c.POINTER(c.POINTER(DLTensor))


class Api(c.Structure):
    _fields_ = [("size", c.c_size_t),
                ("open", c.CFUNCTYPE(c.c_void_p, c.POINTER(ModelV1), c.POINTER(Options), c.POINTER(c.c_int))),
                ("close", c.CFUNCTYPE(None, c.c_void_p)),
                ("run", c.c_void_p),
                ("run_dl", c.CFUNCTYPE(c.c_int, c.c_void_p, Tensors, c.c_int, Tensors, c.c_int)),
                ("output_dims", c.c_void_p),
                ("output_dims_dl", c.CFUNCTYPE(c.c_int, c.c_void_p, Tensors, c.c_int, Tensors, c.c_int)),
                ("error_text", c.CFUNCTYPE(c.c_char_p, c.c_void_p)),
                ("code_text", c.CFUNCTYPE(c.c_char_p, c.c_int)),
                ("level_name", c.CFUNCTYPE(c.c_char_p, c.c_void_p)),
                ("thread_count", c.CFUNCTYPE(c.c_int, c.c_void_p)),
                ("arena_bytes", c.CFUNCTYPE(c.c_uint64, c.c_void_p)),
                ("profile", c.c_void_p), ("launch_info", c.c_void_p), ("pool_open", c.c_void_p), ("pool_close", c.c_void_p),
                ("run_values", c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(Value), c.c_int, c.POINTER(Value), c.c_int))]


ModelV1._fields_ = [("size", c.c_uint32), ("abi", c.c_uint32), ("name", c.c_char_p), ("tool", c.c_char_p), ("sha256", c.c_char_p),
                    ("input_count", c.c_uint32), ("output_count", c.c_uint32), ("symbol_count", c.c_uint32),
                    ("launch_count", c.c_uint32), ("level_count", c.c_uint32), ("flags", c.c_uint32),
                    ("inputs", c.POINTER(TensorInfo)), ("outputs", c.POINTER(TensorInfo)), ("symbols", c.POINTER(Symbol)),
                    ("level_names", c.POINTER(c.c_char_p)), ("arena_bytes", c.c_uint64), ("weights_bytes", c.c_uint64),
                    ("api", c.POINTER(Api)), ("program", c.c_void_p), ("instance", c.c_void_p),
                    ("input_forms", c.POINTER(c.c_int32)), ("output_forms", c.POINTER(c.c_int32))]

# ONNX's number: name, DLPack's code, bits, the letter of struct and memoryview, numpy's name. Types that numpy lacks travel as bits.
DTYPES = {
    1: ("float32", 2, 32, "f", "<f4"), 2: ("uint8", 1, 8, "B", "|u1"), 3: ("int8", 0, 8, "b", "|i1"),
    4: ("uint16", 1, 16, "H", "<u2"), 5: ("int16", 0, 16, "h", "<i2"), 6: ("int32", 0, 32, "i", "<i4"),
    7: ("int64", 0, 64, "q", "<i8"), 9: ("bool", 6, 8, "?", "|b1"), 10: ("float16", 2, 16, "e", "<f2"),
    11: ("float64", 2, 64, "d", "<f8"), 12: ("uint32", 1, 32, "I", "<u4"), 13: ("uint64", 1, 64, "Q", "<u8"),
    16: ("bfloat16", 4, 16, "H", "<u2"),
}


def dtype_name(code, bits):
    """Of DLPack's type, for messages."""
    kind = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 6: "bool"}.get(code, f"type{code}_")
    return "bool" if code == 6 else f"{kind}{bits}"
