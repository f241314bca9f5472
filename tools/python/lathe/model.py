"""Compiled models: loading, what they take and give, running."""
import ctypes as c
import os
import threading
import weakref

from . import abi, values
from .array import Array, tensor_of

try:
    import numpy
except ImportError:
    numpy = None

# Element types that go as their bits, in an unsigned type of the same width, where an array library has no name for them.
_UNSIGNED = 1


class Error(Exception):
    """A call that the model refused; `code` is the LATHE_E_* number of its header."""

    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


class Tensor:
    """An input or output: name, dtype, shape (numbers, and names of symbolic dimensions), and whether it may be left out. A `sequence`
    is a list of such tensors."""

    def __init__(self, info, form=abi.TENSOR):
        self.name = info.name.decode()
        self.dtype = "string" if info.dtype == abi.STRING else abi.DTYPES[info.dtype][0] if info.dtype in abi.DTYPES else f"onnx{info.dtype}"
        self.sequence = bool(form & abi.SEQUENCE)
        names = [info.dim_names[i] if info.dim_names else None for i in range(info.rank)]
        self.shape = tuple((names[i].decode() if names[i] else "?") if info.dims[i] < 0 else info.dims[i] for i in range(info.rank))
        self.optional = bool(info.optional) or bool(form & abi.OPTIONAL)
        self._onnx, self._bits, self._rank = info.dtype, info.bits, info.rank

    def __repr__(self):
        shape = "" if self._rank < 0 or self.sequence else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name}: {'sequence of ' if self.sequence else ''}{self.dtype}{shape}"


def _output_array(tensor, shape):
    if tensor._onnx not in abi.DTYPES:
        raise TypeError(f"output {tensor.name!r}: Python has no arrays of {tensor.dtype}; bind one of its bits")
    if numpy is not None:
        return numpy.empty(shape, abi.DTYPES[tensor._onnx][4])
    return Array(tensor._onnx, shape)


class Session:
    """One caller's state. Not for two threads at once; any number of sessions may run at the same time.

    Arrays that are bound are used in place by every run(). A result that was not bound is allocated by the first run() and written
    again by the following ones."""

    def __init__(self, model, threads=0):
        self.model = model
        api = model._api
        message = c.create_string_buffer(400)
        options = abi.Options(size=c.sizeof(abi.Options), threads=threads, message=c.cast(message, c.c_char_p), message_size=400)
        error = c.c_int(0)
        self._context = api.open(c.byref(model._descriptor), c.byref(options), c.byref(error))
        if not self._context:
            raise Error((message.value or api.code_text(error.value)).decode(errors="replace"), error.value)
        self._close = weakref.finalize(self, api.close, self._context)
        self._inputs = (c.POINTER(abi.DLTensor) * max(len(model.inputs), 1))()
        self._outputs = (c.POINTER(abi.DLTensor) * max(len(model.outputs), 1))()
        self._kept = {}      # place to what must stay alive while it is bound
        self._arrays = [None] * len(model.outputs)
        self._ours = set(range(len(model.outputs)))  # outputs that nobody bound
        self._fresh = False  # whether the outputs that are ours fit the inputs
        self._values = {}    # of a model whose course depends on data: place to the input that is bound

    @property
    def threads(self):
        return self.model._api.thread_count(self._context)

    @property
    def level(self):
        """The instruction set in use."""
        return self.model._api.level_name(self._context).decode()

    def _check(self, code):
        if code:
            raise Error(self.model._api.error_text(self._context).decode(errors="replace"), code)

    def _place(self, name):
        for tensors, pointers in ((self.model.inputs, self._inputs), (self.model.outputs, self._outputs)):
            for i, tensor in enumerate(tensors):
                if tensor.name == name:
                    return tensor, pointers, i
        known = ", ".join(t.name for t in self.model.inputs + self.model.outputs)
        raise KeyError(f"{self.model.name} has no input or output {name!r}; it has {known}")

    def _set(self, tensor, pointers, i, array):
        try:
            value, kept = tensor_of(array, writable=pointers is self._outputs)
        except TypeError as error:
            raise TypeError(f"{tensor.name}: {error}") from None
        if value.dtype.code == _UNSIGNED and value.dtype.bits == tensor._bits and tensor.dtype == "bfloat16":
            value.dtype.code = 4
        pointers[i] = c.pointer(value)
        self._kept[c.addressof(pointers), i] = (value, kept)

    def bind(self, name, array):
        """Uses this array in every run; None leaves an optional input out, or has an output allocated again."""
        tensor, pointers, i = self._place(name)
        if self.model._script:
            if pointers is self._outputs:
                raise TypeError(f"{name}: the model allocates its outputs, for only a run knows their sizes")
            self._values[i] = array
            return
        if pointers is self._inputs:
            self._fresh = False
        if array is None:
            pointers[i] = None
            if pointers is self._outputs:
                self._ours.add(i)
                self._fresh = False
            return
        self._set(tensor, pointers, i, array)
        if pointers is self._outputs:
            self._ours.discard(i)
            self._arrays[i] = array

    def _allocate(self):
        model = self.model
        for i, tensor in enumerate(model.inputs):
            if not self._inputs[i] and not tensor.optional:
                raise Error(f"input {tensor.name!r} is not given", -1)
        shapes = [(c.c_int64 * max(t._rank, 1))() for t in model.outputs]
        asked = [abi.DLTensor(shape=s) for s in shapes]
        pointers = (c.POINTER(abi.DLTensor) * max(len(asked), 1))(*[c.pointer(a) for a in asked])
        self._check(model._api.output_dims_dl(self._context, self._inputs, len(model.inputs), pointers, len(asked)))
        for i in self._ours:
            self._arrays[i] = _output_array(model.outputs[i], tuple(shapes[i][:model.outputs[i]._rank]))
            self._set(model.outputs[i], self._outputs, i, self._arrays[i])
        self._fresh = True

    def run(self):
        """Runs on what is bound; returns the outputs by name."""
        if self.model._script:
            return self._run_values()
        if not self._fresh:
            self._allocate()
        model = self.model
        self._check(model._run(self._context, self._inputs, model._input_count, self._outputs, model._output_count))
        return dict(zip(model._output_names, self._arrays))

    def _run_values(self):
        model = self.model
        kept = []
        inputs = (abi.Value * max(len(model.inputs), 1))()
        outputs = (abi.Value * max(len(model.outputs), 1))()
        for i, tensor in enumerate(model.inputs):
            if self._values.get(i) is None and not tensor.optional:
                raise Error(f"input {tensor.name!r} is not given", -1)
            inputs[i] = values.value_of(tensor, self._values.get(i), kept)
        self._check(model._api.run_values(self._context, inputs, len(model.inputs), outputs, len(model.outputs)))
        return {tensor.name: values.result_of(tensor, outputs[i]) for i, tensor in enumerate(model.outputs)}

    def __call__(self, *arrays, **named):
        """Binds inputs, in their order or by name, and runs. The outputs are new arrays where they were not bound."""
        if len(arrays) > len(self.model.inputs):
            raise TypeError(f"{self.model.name} has {len(self.model.inputs)} inputs, {len(arrays)} were given")
        for tensor, array in zip(self.model.inputs, arrays):
            self.bind(tensor.name, array)
        for name, array in named.items():
            self.bind(name, array)
        self._fresh = False
        return self.run()

    def _forget(self):
        """Holds on to no array of the caller."""
        for pointers in (self._inputs, self._outputs):
            for i in range(len(pointers)):
                pointers[i] = None
        self._kept.clear()
        self._values.clear()
        self._arrays = [None] * len(self.model.outputs)
        self._ours = set(range(len(self.model.outputs)))
        self._fresh = False


class Model:
    """A compiled model. `inputs` and `outputs` describe tensors; `memory` says how many bytes weights and working memory take;
    `symbols` gives the smallest and largest value of every symbolic dimension."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        try:
            self._library = c.CDLL(self.path)
        except OSError as error:
            raise Error(f"{path} cannot be loaded: {error}", -11) from None
        try:
            self._descriptor = abi.ModelV1.in_dll(self._library, "lathe_model_v1")
        except ValueError:
            raise Error(f"{path} is no compiled model: it has no symbol lathe_model_v1", -10) from None
        d = self._descriptor
        if d.abi != abi.ABI:
            raise Error(f"{path} has model ABI {d.abi}, this package knows {abi.ABI}", -10)
        self._api = d.api.contents
        self._run = self._api.run_dl
        self.name, self.tool, self.sha256 = d.name.decode(), d.tool.decode(), d.sha256.decode()
        self._script = bool(d.flags & abi.MODEL_SCRIPT)
        forms = (d.input_forms, d.output_forms) if self._script else (None, None)
        self.inputs = [Tensor(d.inputs[i], forms[0][i] if forms[0] else abi.TENSOR) for i in range(d.input_count)]
        self.outputs = [Tensor(d.outputs[i], forms[1][i] if forms[1] else abi.TENSOR) for i in range(d.output_count)]
        self.symbols = {d.symbols[i].name.decode(): (d.symbols[i].minimum, d.symbols[i].maximum)
                        for i in range(d.symbol_count) if not d.symbols[i].element}
        self.memory = {"weights": d.weights_bytes, "working": d.arena_bytes or None}
        self._input_count, self._output_count = len(self.inputs), len(self.outputs)
        self._output_names = [t.name for t in self.outputs]
        self._sessions = threading.local()

    def session(self, threads=0):
        """threads: 1 is the caller alone, 0 as many as the process may use."""
        return Session(self, threads)

    def run(self, *arrays, **named):
        """run({"image": x}), run(x) or run(image=x): new arrays of the outputs, by name. From any thread. An output that is named
        as well is written into the given array."""
        if len(arrays) == 1 and isinstance(arrays[0], dict):
            named, arrays = {**arrays[0], **named}, ()
        if not hasattr(self._sessions, "own"):
            self._sessions.own = self.session()
        session = self._sessions.own
        try:
            return session(*arrays, **named)
        finally:
            session._forget()

    def __repr__(self):
        return f"lathe.Model({self.name}: {', '.join(map(repr, self.inputs))} -> {', '.join(map(repr, self.outputs))})"


def load(path):
    """The model of a shared library that lathe made."""
    return Model(path)
