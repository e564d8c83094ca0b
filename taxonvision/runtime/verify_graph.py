"""What a TFLite file says of itself, read without running it.

LiteRT is C++ that trusts its models: whatever can be seen to be wrong in the flatbuffer is found
here, in Python, before LiteRT gets it. Format: TensorFlow's `schema.fbs`, version 3, whose classes
ai-edge-litert ships.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taxonvision.text import one_line

_IDENTIFIER = b"TFL3"
_VERSION = 3
_MAX_COUNT = 100_000  # of tensors, operators and so on; networks for phones have hundreds
_MAX_DIMENSIONS = 8
_MAX_OPERATORS_TOLD = 10
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
    # Many tables may be one and the same in the file: all are counted before any is read.
    if sum(graph.TensorsLength() + graph.OperatorsLength() for graph in graphs) > _MAX_COUNT:
        yield f"model.tflite has more than {_MAX_COUNT} tensors and operators"
        return
    total = 0
    for tensor in (graph.Tensors(i) for graph in graphs for i in range(graph.TensorsLength())):
        size = _bytes_of(tensor)
        if size is None:
            yield (
                f"model.tflite has the tensor {_quoted(tensor.Name())} of the type "
                f"{_dtype(tensor)} and the shape {_shape(tensor)}"
            )
            return
        total += size
    if total > _MAX_TENSOR_BYTES:
        yield f"model.tflite asks for tensors of {total} bytes, more than 2 GiB"
        return
    yield from _end_findings(graphs[0], manifest)


def _end_findings(graph: Any, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Where the input and the output are not those of bundle.json."""
    for role, length, index in (
        ("input", graph.InputsLength(), graph.Inputs),
        ("output", graph.OutputsLength(), graph.Outputs),
    ):
        if length != 1:
            yield f"model.tflite has {length} {role}s; an image classifier has one"
            continue
        if not 0 <= index(0) < graph.TensorsLength():
            yield f"model.tflite is damaged: its {role} is no tensor"
            continue
        tensor, told = graph.Tensors(index(0)), manifest[role]
        name = (tensor.Name() or b"").decode("utf-8", "replace")
        found = {"name": name, "shape": _shape(tensor), "dtype": _dtype(tensor)}
        for part, value in found.items():
            if value != told[part]:
                yield (
                    f"model.tflite has the {role} {part} {str(value)[:100]!r}, "
                    f"and bundle.json says {str(told[part])[:100]!r}"
                )


def _operator_findings(model: Any) -> Iterator[str]:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    told = 0
    for code in _each(model.OperatorCodesLength(), model.OperatorCodes):
        builtin = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        if builtin not in (BuiltinOperator.CUSTOM, BuiltinOperator.DELEGATE):
            continue
        name = _quoted(code.CustomCode() or b"DELEGATE")
        kind = "TensorFlow's own" if name.startswith("Flex") else "the custom"
        yield f"model.tflite needs {kind} operator {name}; phones have the built-in ones alone"
        told += 1
        if told == _MAX_OPERATORS_TOLD:
            return


def _each(length: int, at: Callable[[int], Any]) -> list[Any]:
    """All elements of a vector; ValueError for one that no network has."""
    if length > _MAX_COUNT:
        raise ValueError("a vector is too long")
    return [at(i) for i in range(length)]


def _bytes_of(tensor: Any) -> int | None:
    """The size of a tensor; None where it has none that can be told."""
    bits, shape = _BITS.get(_dtype(tensor).upper()), _shape(tensor)
    if bits is None or len(shape) > _MAX_DIMENSIONS or any(n < 0 for n in shape):
        return None
    return math.prod(shape) * bits // 8


def _shape(tensor: Any) -> list[int]:
    """The first dimensions, one more at most than are allowed."""
    return [tensor.Shape(i) for i in range(min(tensor.ShapeLength(), _MAX_DIMENSIONS + 1))]


def _dtype(tensor: Any) -> str:
    return _types().get(tensor.Type(), "unknown").lower()


@functools.cache
def _types() -> Mapping[int, str]:
    from ai_edge_litert.schema_py_generated import TensorType

    return {number: name for name, number in vars(TensorType).items() if name.isupper()}


def _quoted(name: bytes | None) -> str:
    return one_line((name or b"")[:60].decode("utf-8", "replace"))
