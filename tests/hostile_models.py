"""TFLite files that are well formed and made to harm LiteRT."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.schema_py_generated import BuiltinOperator, BuiltinOptions, TensorType


class Graph:
    """A subgraph in the making; tensors and operators are numbered as they are added."""

    def __init__(self, model: HostileModel):
        self.model, self.graph = model, schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name, shape, dtype=TensorType.FLOAT32, values=None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, dtype, 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.array(values).tobytes(), np.uint8)
            tensor.buffer = len(self.model.root.buffers)
            self.model.root.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, code, inputs, outputs, kind=0, options=None, custom=None) -> None:
        operator, entry = schema.OperatorT(), schema.OperatorCodeT()
        entry.deprecatedBuiltinCode = min(code, 127)
        entry.builtinCode, entry.version, entry.customCode = code, 1, custom
        operator.opcodeIndex = len(self.model.root.operatorCodes)
        self.model.root.operatorCodes.append(entry)
        operator.inputs, operator.outputs = inputs, outputs
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self.graph.operators.append(operator)


class HostileModel:
    """A model whose first graph has the input and output of an honest one."""

    def __init__(self, manifest):
        self.root = schema.ModelT()
        self.root.version, self.root.buffers = 3, [schema.BufferT()]
        self.root.operatorCodes, self.root.subgraphs = [], []
        self.main = self.graph()
        types = {"uint8": TensorType.UINT8, "float32": TensorType.FLOAT32}
        for role in ("input", "output"):
            told = manifest[role]
            index = self.main.tensor(told["name"], told["shape"], types[told["dtype"]])
            setattr(self.main.graph, f"{role}s", [index])
        self.input, self.output = 0, 1

    def graph(self, inputs=(), outputs=()) -> Graph:
        graph = Graph(self)
        graph.graph.inputs, graph.graph.outputs = list(inputs), list(outputs)
        self.root.subgraphs.append(graph.graph)
        return graph

    def content(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.root.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def calls_itself(manifest) -> bytes:
    """A branch that leads to its own graph: C++ recurses until its stack ends."""
    model = HostileModel(manifest)
    yes = model.main.tensor("yes", [], TensorType.BOOL, [True])
    options = schema.IfOptionsT()
    options.thenSubgraphIndex = options.elseSubgraphIndex = 0
    model.main.operator(
        BuiltinOperator.IF, [yes, model.input], [model.output], BuiltinOptions.IfOptions, options
    )
    return model.content()


def never_ends(manifest) -> bytes:
    """`while True`."""
    model = HostileModel(manifest)
    shape = manifest["output"]["shape"]
    scores = model.main.tensor("scores", shape, values=np.zeros(shape, np.float32))
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    model.main.operator(
        BuiltinOperator.WHILE, [scores], [model.output], BuiltinOptions.WhileOptions, options
    )
    condition = model.graph([0], [1])
    condition.tensor("scores", shape)
    condition.tensor("yes", [], TensorType.BOOL, [True])
    body = model.graph([0], [1])
    body.tensor("scores", shape)
    body.tensor("same", shape)
    body.operator(BuiltinOperator.ADD, [0, 0], [1], BuiltinOptions.AddOptions, schema.AddOptionsT())
    return model.content()


def wants_memory(manifest, gibibytes: int = 16) -> bytes:
    """A tensor whose size is not declared: it follows from numbers in another."""
    model = HostileModel(manifest)
    classes = manifest["output"]["shape"][1]
    rows = gibibytes * 2**30 // (4 * classes)
    shape = model.main.tensor("shape", [2], TensorType.INT32, np.array([rows, classes], np.int32))
    one = model.main.tensor("one", [], values=np.float32(1))
    large = model.main.tensor("large", [1, classes])
    model.main.operator(BuiltinOperator.FILL, [shape, one], [large])
    axis = model.main.tensor("axis", [1], TensorType.INT32, np.array([0], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = True
    model.main.operator(
        BuiltinOperator.MEAN, [large, axis], [model.output], BuiltinOptions.ReducerOptions, options
    )
    return model.content()


def needs_operator(manifest, name: str) -> bytes:
    """An operator that LiteRT has not built in."""
    model = HostileModel(manifest)
    model.main.operator(BuiltinOperator.CUSTOM, [model.input], [model.output], custom=name)
    return model.content()


def declares_a_huge_tensor(manifest) -> bytes:
    """Terabytes, before anything runs."""
    model = HostileModel(manifest)
    model.main.tensor("huge", [2**20, 2**20])
    return model.content()
