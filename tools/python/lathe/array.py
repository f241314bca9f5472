"""Arrays at the border: what comes in by DLPack or the buffer protocol, and what goes out where numpy is not installed."""
import ctypes as c

from . import abi

_VERSIONED, _PLAIN = b"dltensor_versioned", b"dltensor"


class _Managed(c.Structure):
    """DLManagedTensor, before version 1 of DLPack."""


_Deleter = c.CFUNCTYPE(None, c.POINTER(_Managed))
_Managed._fields_ = [("tensor", abi.DLTensor), ("context", c.c_void_p), ("deleter", _Deleter)]


class _ManagedVersioned(c.Structure):
    _fields_ = [("major", c.c_uint32), ("minor", c.c_uint32), ("context", c.c_void_p), ("deleter", c.c_void_p), ("flags", c.c_uint64),
                ("tensor", abi.DLTensor)]


_python = c.pythonapi
_capsule_new = c.PYFUNCTYPE(c.py_object, c.c_void_p, c.c_char_p, c.c_void_p)(("PyCapsule_New", _python))
_capsule_pointer = c.PYFUNCTYPE(c.c_void_p, c.py_object, c.c_char_p)(("PyCapsule_GetPointer", _python))
_capsule_valid = c.PYFUNCTYPE(c.c_int, c.py_object, c.c_char_p)(("PyCapsule_IsValid", _python))
# The same two for a capsule that is being destroyed, which must not become an object again.
_raw_valid = c.PYFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p)(("PyCapsule_IsValid", _python))
_raw_pointer = c.PYFUNCTYPE(c.c_void_p, c.c_void_p, c.c_char_p)(("PyCapsule_GetPointer", _python))

# What has been lent to others, until they call the deleter: address of the _Managed to everything that must stay alive.
_lent = {}


@_Deleter
def _delete(managed):
    _lent.pop(c.addressof(managed.contents), None)


@c.PYFUNCTYPE(None, c.c_void_p)
def _capsule_destroyed(capsule):
    # A capsule that was taken has another name: then the taker calls the deleter.
    if _raw_valid(capsule, _PLAIN):
        _lent.pop(_raw_pointer(capsule, _PLAIN), None)


class Array:
    """A result where numpy is not installed: row-major elements, by DLPack, by memoryview(array), or array.tolist()."""

    def __init__(self, dtype, shape):
        self.name, self._code, self._bits, self._letter, self._typestr = abi.DTYPES[dtype]
        self.shape = tuple(shape)
        self.size = 1
        for extent in self.shape:
            self.size *= extent
        self.nbytes = self.size * self._bits // 8
        self._memory = (c.c_uint8 * (self.nbytes + 63))()
        self.address = (c.addressof(self._memory) + 63) & ~63

    @property
    def dtype(self):
        return self.name

    def memory(self):
        """The elements as a flat memoryview, which numpy.frombuffer and struct read."""
        flat = (c.c_uint8 * self.nbytes).from_buffer(self._memory, self.address - c.addressof(self._memory))
        return memoryview(flat).cast("B").cast(self._letter)

    def tolist(self):
        def nest(values, shape):
            if not shape:
                return values[0]
            step = len(values) // shape[0] if shape[0] else 0
            return [nest(values[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])]

        return nest(self.memory().tolist() if self.nbytes else [], self.shape)

    def __repr__(self):
        return f"lathe.Array({self.name}{list(self.shape)})"

    @property
    def __array_interface__(self):
        return {"shape": self.shape, "typestr": self._typestr, "data": (self.address, False), "version": 3}

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **_):
        shape = (c.c_int64 * max(len(self.shape), 1))(*self.shape)
        managed = _Managed(abi.DLTensor(self.address, abi.Device(1, 0), len(self.shape), abi.DLDtype(self._code, self._bits, 1),
                                        shape, None, 0), None, _delete)
        address = c.addressof(managed)
        _lent[address] = (managed, shape, self)
        return _capsule_new(address, _PLAIN, c.cast(_capsule_destroyed, c.c_void_p))


def _from_capsule(capsule):
    for name, struct in ((_VERSIONED, _ManagedVersioned), (_PLAIN, _Managed)):
        if _capsule_valid(capsule, name):
            return struct.from_address(_capsule_pointer(capsule, name)).tensor
    raise TypeError("__dlpack__ gave something that is no DLPack capsule")


_BUFFER_LETTERS = {"f": (2, 32), "d": (2, 64), "e": (2, 16), "?": (6, 8), "b": (0, 8), "h": (0, 16), "i": (0, 32), "l": (0, 64),
                   "q": (0, 64), "B": (1, 8), "H": (1, 16), "I": (1, 32), "L": (1, 64), "Q": (1, 64)}


def _from_buffer(value, writable):
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{type(value).__name__} has neither __dlpack__ nor the buffer protocol") from None
    letter = view.format.lstrip("@=<")
    if letter not in _BUFFER_LETTERS or not view.c_contiguous:
        raise TypeError(f"a buffer of format {view.format!r}{'' if view.c_contiguous else ' that is not contiguous'} cannot be used")
    if view.readonly and writable:
        raise TypeError("the array is read-only")
    # ctypes tells the address of writable memory only: what is read-only is copied.
    address = c.c_void_p(0)
    if view.nbytes and not view.readonly:
        address = c.c_void_p(c.addressof((c.c_uint8 * view.nbytes).from_buffer(view)))
    elif view.nbytes:
        view = memoryview(bytearray(view)).cast("B").cast(letter, view.shape) if view.shape else memoryview(bytearray(view)).cast(letter)
        address = c.c_void_p(c.addressof((c.c_uint8 * view.nbytes).from_buffer(view)))
    code, bits = _BUFFER_LETTERS[letter]
    shape = (c.c_int64 * max(view.ndim, 1))(*view.shape)
    return abi.DLTensor(address, abi.Device(1, 0), view.ndim, abi.DLDtype(code, bits, 1), shape, None, 0), (view, shape)


def tensor_of(value, writable=False):
    """The DLTensor of an array, and what must stay alive while it is used. Nothing is copied, except read-only memory."""
    if hasattr(value, "__dlpack__"):
        device = value.__dlpack_device__()
        if device[0] not in (1, 3):  # 3: host memory that a GPU can read
            raise TypeError(f"the array is on device {tuple(map(int, device))}; the model runs on the host")
        try:
            capsule = value.__dlpack__()
        except (BufferError, TypeError, RuntimeError):
            # numpy does not lend arrays that are read-only, or types that DLPack has no code for.
            return _from_buffer(value, writable)
        tensor = _from_capsule(capsule)
        tensor = abi.DLTensor(tensor.data, abi.Device(1, 0), tensor.ndim, tensor.dtype, tensor.shape, tensor.strides, tensor.byte_offset)
        return tensor, (capsule, value)
    return _from_buffer(value, writable)
