"""ONNX files without the onnx package: as much of the format as the tests write."""
import struct

FLOAT, INT64 = 1, 7


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field of an integer, or of bytes, text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, value):
    if isinstance(value, float):
        return field(1, name) + varint(2 << 3 | 5) + struct.pack("<f", value) + field(20, 1)
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, 3)
    return field(1, name) + b"".join(field(8, item) for item in value) + field(20, 7)


def node(op, inputs, outputs, domain="", **attributes):
    return (b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs) + field(3, outputs[0] + "_node") + field(4, op) +
            b"".join(field(5, attribute(name, value)) for name, value in attributes.items()) + (field(7, domain) if domain else b""))


def value(name, dims, dtype=FLOAT):
    shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, dtype) + field(2, shape)))


def tensor(name, dims, numbers, packed=False):
    """Of floats: in raw_data, or as a packed list."""
    data = struct.pack(f"<{len(numbers)}f", *numbers)
    return b"".join(field(1, dim) for dim in dims) + field(2, FLOAT) + (field(4, data) if packed else b"") + field(8, name) + (b"" if packed else field(9, data))


def model(nodes, inputs, outputs, tensors=(), opset=21, domains=()):
    graph = (b"".join(field(1, item) for item in nodes) + field(2, "graph") + b"".join(field(5, item) for item in tensors) +
             b"".join(field(11, item) for item in inputs) + b"".join(field(12, item) for item in outputs))
    opsets = field(8, field(1, "") + field(2, opset)) + b"".join(field(8, field(1, name) + field(2, 1)) for name in domains)
    return field(1, 10) + field(7, graph) + opsets
