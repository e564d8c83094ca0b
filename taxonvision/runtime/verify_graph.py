"""What a TFLite file says of itself, read without running it.

LiteRT is C++ that trusts its models: whatever can be seen to be wrong in the flatbuffer is found
here, in Python, before LiteRT gets it. Format: TensorFlow's `schema.fbs`, version 3, whose classes
ai-edge-litert ships.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taxonvision.text import one_line

_IDENTIFIER = b"TFL3"
_VERSION = 3
_MAX_COUNT = 100_000  # of tensors, operators and so on; networks for phones have hundreds
_MAX_DIMENSIONS = 8
_MAX_TENSOR_BYTES = 2**31  # of all tensors together, weights included
_BITS = {
    "FLOAT32": 32, "FLOAT16": 16, "INT32": 32, "UINT8": 8, "INT64": 64, "BOOL": 8, "INT16": 16,
    "INT8": 8, "FLOAT64": 64, "UINT64": 64, "UINT32": 32, "UINT16": 16, "INT4": 4, "BFLOAT16": 16,
    "INT2": 2,
}  # fmt: skip
"""Types that hold numbers: no strings, no handles of resources."""


def check_graph(content: bytes, manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with a model.tflite, one sentence each.

    Args:
        content: the file.
        manifest: bundle.json by its schema, which describes the input and the output.
    """
    if content[4:8] != _IDENTIFIER:
        return ["model.tflite is no TFLite model"]
    try:
        return list(_findings(content, manifest))
    except Exception:  # offsets that lead anywhere raise every kind of error
        return ["model.tflite is damaged: its tables lead outside of the file"]


def _findings(content: bytes, manifest: Mapping[str, Any]) -> Iterator[str]:
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(content, 0)
    if model.Version() != _VERSION:
        yield f"model.tflite has the format version {model.Version()}, not {_VERSION}"
        return
    yield from _operator_findings(model)
    for buffer in _each(model.BuffersLength(), model.Buffers):
        if buffer.Offset() > 1 and buffer.Offset() + buffer.Size() > len(content):
            yield "model.tflite is truncated: its weights lie outside of the file"
            return
    graphs = _each(model.SubgraphsLength(), model.Subgraphs)
    if not graphs:
        yield "model.tflite holds no graph"
        return
    total = 0
    for graph in graphs:
        _each(graph.OperatorsLength(), graph.Operators)
        for tensor in _each(graph.TensorsLength(), graph.Tensors):
            size, sentence = _bytes_of(tensor)
            if sentence:
                yield sentence
                return
            total += size
    if total > _MAX_TENSOR_BYTES:
        yield f"model.tflite asks for tensors of {total} bytes, more than 2 GiB"
        return
    for role, length, index in (
        ("input", graphs[0].InputsLength(), graphs[0].Inputs),
        ("output", graphs[0].OutputsLength(), graphs[0].Outputs),
    ):
        if length != 1:
            yield f"model.tflite has {length} {role}s; an image classifier has one"
            continue
        if not 0 <= index(0) < graphs[0].TensorsLength():
            yield f"model.tflite is damaged: its {role} is no tensor"
            continue
        found, told = _described(graphs[0].Tensors(index(0))), manifest[role]
        for part in ("name", "shape", "dtype"):
            if found[part] != told[part]:
                yield (
                    f"model.tflite has the {role} {part} {str(found[part])[:100]!r}, "
                    f"and bundle.json says {str(told[part])[:100]!r}"
                )


def _operator_findings(model: Any) -> Iterator[str]:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    customs = set()
    for code in _each(model.OperatorCodesLength(), model.OperatorCodes):
        builtin = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        if builtin in (BuiltinOperator.CUSTOM, BuiltinOperator.DELEGATE):
            name = code.CustomCode() or b"DELEGATE"
            customs.add(one_line(name[:60].decode("utf-8", "replace")))
    for name in sorted(customs)[:10]:
        kind = "TensorFlow's own" if name.startswith("Flex") else "the custom"
        yield f"model.tflite needs {kind} operator {name}; phones have the built-in ones alone"


def _each(length: int, at: Callable[[int], Any]) -> list[Any]:
    """All elements of a vector; ValueError for one that no network has."""
    if length > _MAX_COUNT:
        raise ValueError("a vector is too long")
    return [at(i) for i in range(length)]


def _bytes_of(tensor: Any) -> tuple[int, str]:
    """The size of a tensor, or a sentence why there is none."""
    described = _described(tensor)
    name, shape = one_line(described["name"][:60]), described["shape"]
    bits = _BITS.get(described["dtype"].upper())
    if bits is None:
        return 0, f"model.tflite has the tensor {name} of the type {described['dtype']}"
    if len(shape) > _MAX_DIMENSIONS or any(n < 0 for n in shape):
        return 0, f"model.tflite has the tensor {name} of the shape {shape[:9]}"
    return math.prod(shape) * bits // 8, ""


def _described(tensor: Any) -> dict[str, Any]:
    from ai_edge_litert.schema_py_generated import TensorType

    types = {number: name for name, number in vars(TensorType).items() if name.isupper()}
    length = tensor.ShapeLength()
    shape = [tensor.Shape(i) for i in range(min(length, _MAX_DIMENSIONS + 1))]
    return {
        "name": (tensor.Name() or b"").decode("utf-8", "replace"),
        "shape": shape,
        "dtype": types.get(tensor.Type(), "unknown").lower(),
    }
