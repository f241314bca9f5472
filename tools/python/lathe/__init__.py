"""Models compiled by Lathe, from Python.

    import lathe
    path = lathe.compile("resnet50.onnx", output="resnet50.so")
    model = lathe.load(path)
    scores = model.run({"image": image})["scores"]

Needs nothing but Python; arrays are anything with DLPack (numpy, torch, jax ...) or the buffer protocol. Results are numpy arrays
where numpy is installed, else `lathe.Array`."""
from .array import Array
from .compiler import CompileError, compile
from .model import Error, Model, Session, Tensor, load

__all__ = ["Array", "CompileError", "Error", "Model", "Session", "Tensor", "compile", "load"]
__version__ = "0.1.0"
