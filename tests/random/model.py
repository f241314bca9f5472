"""A random model in the making: values with known types and shapes, nodes over them, and the numbers of its inputs."""
import collections
import random

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

import operators

OPSET = 23
NEWEST = 28
NUMPY = {"bfloat16": np.dtype(ml_dtypes.bfloat16)}
INPUTS_MOST, ELEMENTS_MOST = 12, 20000

# exact: no rounding has touched it; grown: it may hold large numbers; leaf: an input or constant of the model.
Value = collections.namedtuple("Value", "name dtype shape exact grown leaf")


def dtype_of(name):
    return NUMPY.get(name) or np.dtype(name)


def number_of(dtype):
    return TensorProto.BFLOAT16 if dtype == "bfloat16" else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Model:
    def __init__(self, seed, opset=OPSET):
        self.draw = random.Random(seed)
        self.generator = np.random.default_rng(seed)
        self.opset = opset
        self.values, self.nodes, self.inputs, self.constants = [], [], {}, {}
        self.extents = [self.draw.choice([1, 2, 3, 4, 5]) for _ in range(4)]
        self.any = operators.FLOATS + operators.INTEGERS + ("bool",)
        self.unknown = []  # results whose shape only a run knows
        self.count = 0

    # ---- numbers ----
    def chance(self, p):
        return self.draw.random() < p

    def integer(self, low, high):
        return self.draw.randint(low, high)

    def real(self):
        return round(self.draw.uniform(0.25, 1.75), 3)

    def number(self, dtype):
        return number_of(dtype)

    def draw_array(self, draw, shape):
        return np.array([draw() for _ in range(int(np.prod(shape)))]).reshape(shape)

    def array(self, dtype, shape, small=False, positive=False, distinct=False):
        dtype = dtype_of(str(dtype))
        shape = list(shape)
        if dtype.kind == "b":
            return self.generator.random(shape) < 0.5
        if dtype.kind in "iu" and dtype.name not in ("bfloat16",):
            least, most = (0, 9) if dtype.kind == "u" or positive else (-9, 9)
            if dtype.itemsize == 1 and not small:
                least, most = np.iinfo(dtype).min if not positive else 0, np.iinfo(dtype).max
            if distinct:
                return self.generator.permutation(int(np.prod(shape))).reshape(shape).astype(dtype)
            return self.generator.integers(least, most, shape, endpoint=True).astype(dtype)
        # Quarters: sums and products of a few of them are exact in every float type, and ties exist.
        numbers = self.generator.integers(-12, 12, shape, endpoint=True) / 4 if self.chance(0.3) else self.generator.uniform(-2, 2, shape)
        if distinct:
            numbers = (self.generator.permutation(int(np.prod(shape))).reshape(shape) - 3) / 2
        return (np.abs(numbers) if positive else np.asarray(numbers)).astype(dtype)

    def shape(self, least, most, empty=True):
        rank = self.integer(least, most)
        shape = [self.draw.choice([e, e, e, 1]) for e in self.extents[:rank]]
        if empty and shape and self.chance(0.02):
            shape[self.integer(0, rank - 1)] = 0
        return shape

    # ---- values ----
    def add(self, name, dtype, shape, exact, grown, leaf=False):
        value = Value(name, str(dtype), list(shape), exact, grown, leaf)
        self.values.append(value)
        return value

    def fresh(self, what):
        self.count += 1
        return f"{what}{self.count}"

    def constant(self, array):
        """A value that is known when the model is compiled (or, sometimes, is not)."""
        if self.chance(0.15) and len(self.inputs) < INPUTS_MOST and np.asarray(array).dtype.kind == "f":
            return self.value_of(array)
        name = self.fresh("c")
        self.constants[name] = np.asarray(array)
        return Value(name, np.asarray(array).dtype.name, list(np.shape(array)), True, False, True)

    def ints(self, numbers):
        return self.constant(np.array(numbers, np.int64))

    def value_of(self, array):
        """An input with these very numbers."""
        array = np.asarray(array)
        name = self.fresh("x")
        self.inputs[name] = array
        return self.add(name, array.dtype.name, array.shape, True, False, True)

    def value(self, dtype, shape):
        """A value of this type and shape: one that is there, or an input."""
        fitting = [v for v in self.values if v.dtype == str(dtype) and v.shape == list(shape)]
        return self.draw.choice(fitting) if fitting and self.chance(0.5) else self.value_of(self.array(dtype, shape))

    def pick(self, types, op, rank, empty=True, positive=False, distinct=False):
        """An input for `op`: of one of these types, with a rank in these bounds, and as exact as the operator needs it."""
        def suits(v):
            return (v.dtype in types and rank[0] <= len(v.shape) <= rank[1] and (empty or 0 not in v.shape) and (v.exact or op not in operators.JUMPS) and
                    not (v.grown and op in operators.GROWS) and not positive and not distinct)
        fitting = [v for v in self.values if suits(v)]
        if fitting and (self.chance(0.85) or len(self.inputs) >= INPUTS_MOST):
            return self.draw.choice(fitting[-6:] if self.chance(0.7) else fitting)
        dtype = self.draw.choice([t for t in types if t in ("float32", "int64")] or list(types)) if self.chance(0.5) else self.draw.choice(list(types))
        return self.value_of(self.array(dtype, self.shape(*rank, empty=empty), positive=positive, distinct=distinct))

    def broadcast(self, dtype, like):
        """A value that broadcasts to the shape of `like`."""
        shape = [d if self.chance(0.7) else 1 for d in like.shape]
        return self.value(dtype, shape[self.integer(0, len(shape)):] if shape else [])

    # ---- nodes ----
    def node(self, op, inputs, outputs=1, **attributes):
        inputs = list(inputs)
        while inputs and inputs[-1] is None:
            inputs.pop()
        names = [self.fresh("v") for _ in range(outputs)]
        attributes = {key: value for key, value in attributes.items() if value != []}  # of scalars
        made = helper.make_node(op, [v.name if v else "" for v in inputs], names, name=names[0] + "_" + op, **attributes)
        types = self.infer(made, [v for v in inputs if v], names)
        if types is None or sum(int(np.prod([d or 0 for d in shape])) for _, shape in types) > ELEMENTS_MOST:
            return None
        given = [v for v in inputs if v]
        exact = op in operators.EXACT and all(v.exact for v in given)
        grown = op in operators.GROWS or any(v.grown for v in given)
        self.nodes.append(made)
        for name, (dtype, shape) in zip(names, types):
            if None in shape:
                self.unknown.append((name, dtype, shape))
            else:
                self.add(name, dtype, shape, exact, grown)
        return made

    def infer(self, node, inputs, names):
        """Type and shape of every result by the onnx package, None where a dim is not known; None when the node is not legal."""
        known = {v.name: v for v in inputs}.values()
        graph = helper.make_graph([node], "one", [helper.make_tensor_value_info(v.name, number_of(v.dtype), v.shape) for v in known if v.name not in self.constants],
                                  [onnx.ValueInfoProto(name=name) for name in names],
                                  [numpy_helper.from_array(self.constants[v.name], v.name) for v in known if v.name in self.constants])
        try:
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
            inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        except Exception:  # whatever the package has against it
            return None
        found = []
        for output in inferred.graph.output:
            tensor = output.type.tensor_type
            if not tensor.elem_type or not tensor.HasField("shape"):
                return None
            dtype = "bfloat16" if tensor.elem_type == TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
            found.append((dtype, [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]))
        return found

    def finish(self):
        """The model, with every value that no node reads as an output, and the numbers of its inputs."""
        read = {name for node in self.nodes for name in node.input}
        inputs = [helper.make_tensor_value_info(name, number_of(array.dtype.name), array.shape) for name, array in self.inputs.items() if name in read]
        outputs = [helper.make_tensor_value_info(v.name, number_of(v.dtype), v.shape) for v in self.values if not v.leaf and v.name not in read]
        outputs += [helper.make_tensor_value_info(name, number_of(dtype), shape) for name, dtype, shape in self.unknown if name not in read]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in self.constants.items() if n in read])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        return model, {name: self.inputs[name] for name in (v.name for v in inputs)}


def elementwise(model, schema, types):
    """An operator whose inputs all broadcast: one type, attributes that are numbers."""
    name = schema.name
    x = model.pick(types, name, rank=(0, 4))
    if schema.inputs[-1].option == onnx.defs.OpSchema.FormalParameterOption.Variadic:
        count = model.integer(1, 3)
    else:
        count = sum(i.option == onnx.defs.OpSchema.FormalParameterOption.Single for i in schema.inputs)
    inputs = [x] + [model.broadcast(x.dtype, x) for _ in range(count - 1)]
    if name in operators.JUMPS and not all(v.exact for v in inputs) or name in operators.GROWS and any(v.grown for v in inputs):
        return
    attributes = {a.name: model.real() for a in schema.attributes.values() if a.type == onnx.defs.OpSchema.AttrType.FLOAT and model.chance(0.6)}
    model.node(name, inputs, **attributes)
