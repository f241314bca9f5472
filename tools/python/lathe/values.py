"""Values of models whose course depends on data: lists for sequences, None for what is not there, text for strings."""
import ctypes as c

from . import abi
from .array import Array, tensor_of

try:
    import numpy
except ImportError:
    numpy = None


def _flat(value, shape, depth, texts):
    """Text in nested lists, row-major; all lists of one depth must be alike."""
    if isinstance(value, (str, bytes)):
        if depth != len(shape):
            raise TypeError("lists of strings must be of one shape")
        texts.append(value.encode() if isinstance(value, str) else bytes(value))
        return
    if depth == len(shape):
        shape.append(len(value))
    if len(value) != shape[depth]:
        raise TypeError("lists of strings must be of one shape")
    for item in value:
        _flat(item, shape, depth + 1, texts)


def _strings_of(value, kept):
    shape, texts = [], []
    if hasattr(value, "shape"):
        shape = [int(extent) for extent in value.shape]
        texts = [str(text).encode() for text in value.reshape(-1).tolist()]
    else:
        first = value
        while not isinstance(first, (str, bytes)):  # the depth is that of the first element
            shape.append(len(first))
            if not first:
                break
            first = first[0]
        _flat(value, shape, 0, texts)
    cells = (c.c_char_p * max(len(texts), 1))(*texts)
    extents = (c.c_int64 * max(len(shape), 1))(*shape)
    kept += [texts, cells, extents]
    return abi.DLTensor(c.cast(cells, c.c_void_p), abi.Device(1, 0), len(shape), abi.DLDtype(3, 64, 1), extents, None, 0)


def _tensor_of(tensor, value, kept):
    if tensor._onnx == abi.STRING:
        return _strings_of(value, kept)
    try:
        made, holds = tensor_of(value)
    except TypeError as error:
        raise TypeError(f"{tensor.name}: {error}") from None
    if made.dtype.code == 1 and made.dtype.bits == tensor._bits and tensor.dtype == "bfloat16":
        made.dtype.code = 4
    kept += [made, holds]
    return made


def value_of(tensor, value, kept):
    """What the model takes for `value`; `kept` gets what must stay alive."""
    if value is None:
        return abi.Value(form=abi.NOTHING)
    if not tensor.sequence:
        return abi.Value(form=abi.TENSOR, tensor=_tensor_of(tensor, value, kept))
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{tensor.name} is a sequence: give a list of arrays")
    items = (abi.Value * max(len(value), 1))(*[abi.Value(form=abi.TENSOR, tensor=_tensor_of(tensor, item, kept)) for item in value])
    kept.append(items)
    return abi.Value(form=abi.SEQUENCE, count=len(value), items=items)


def _nested(texts, shape):
    if not shape:
        return texts[0]
    step = len(texts) // shape[0] if shape[0] else 0
    return [_nested(texts[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]


def _array_of(tensor, made):
    shape = tuple(made.shape[i] for i in range(made.ndim))
    count = 1
    for extent in shape:
        count *= extent
    if tensor._onnx == abi.STRING:
        cells = c.cast(made.data, c.POINTER(c.c_char_p))
        texts = [cells[i].decode(errors="surrogateescape") for i in range(count)]
        if numpy is None:
            return _nested(texts, shape)
        array = numpy.empty(shape, object)
        array.reshape(-1)[:] = texts
        return array
    if tensor._onnx not in abi.DTYPES:
        raise TypeError(f"output {tensor.name!r}: Python has no arrays of {tensor.dtype}")
    array = numpy.empty(shape, abi.DTYPES[tensor._onnx][4]) if numpy is not None else Array(tensor._onnx, shape)
    address = array.ctypes.data if numpy is not None else array.address
    c.memmove(address, made.data, count * tensor._bits // 8)
    return array


def result_of(tensor, value):
    """A copy of what a run gave: an array, a list of arrays, or None."""
    if value.form == abi.NOTHING:
        return None
    if value.form == abi.TENSOR:
        return _array_of(tensor, value.tensor)
    return [_array_of(tensor, value.items[i].tensor) for i in range(value.count)]
