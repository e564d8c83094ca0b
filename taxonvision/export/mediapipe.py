"""TFLite Metadata in a model's file, with which MediaPipe Tasks opens it and names its classes.

Source: version 1 of the metadata schema (tensorflow.org/lite/models/convert/metadata), whose
classes are in the package mediapipe. Metadata are the buffer that the model lists as
TFLITE_METADATA; the files they mention are an uncompressed zip behind the model.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from taxonvision.chatter import without_chatter
from taxonvision.errors import UserError
from taxonvision.text import one_line

LABELS = "labels.txt"
METADATA = b"TFLITE_METADATA"
_METADATA_IDENTIFIER = b"M001"
_MODEL_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes: what the schema asks of weights, and kernels read fastest
_MAX_BYTES = 2**31 - 1  # a flatbuffer's offsets are 32 bits
_WHEN = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell; equal input, equal bytes


def with_metadata(
    content: bytes,
    labels: Sequence[str],
    *,
    name: str,
    description: str,
    input_dtype: str,
) -> bytes:
    """The same model with metadata that name its classes; it computes the same in LiteRT.

    Weights that a quantiser left behind the model's table (`Buffer.offset`) move into it.

    Args:
        content: a TFLite file with one image as input and the scores of the classes as output.
        labels: the name of each output.
        name: what the model calls itself.
        description: what it is, in a sentence.
        input_dtype: uint8 or float32; the values are 0–255 either way.

    Raises:
        UserError: the file with its metadata is larger than 2 GiB, or has metadata already.
        ValueError: there is not one label an output.
        ModuleNotFoundError: mediapipe is not installed.
    """
    metadata = _metadata(name, description, input_dtype)
    model = _inlined(content)
    graph = model.subgraphs[0]
    outputs = int(graph.tensors[graph.outputs[0]].shape[-1])
    if len(labels) != outputs:
        raise ValueError(f"{len(labels)} labels for {outputs} outputs")
    if any(entry.name == METADATA for entry in model.metadata or ()):
        raise UserError("the model has TFLite Metadata already")
    _add_buffer(model, METADATA, metadata)
    if sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers) > _MAX_BYTES:
        raise UserError(
            "TFLite Metadata need a model of less than 2 GiB; choose another --quantize"
        )
    # An empty last line would not count, and no file is opened with fewer names than scores.
    lines = "".join(f"{one_line(label) or 'unnamed'}\n" for label in labels)
    return _with_file(_packed(model, _MODEL_IDENTIFIER), LABELS, lines.encode())


def _metadata(name: str, description: str, input_dtype: str) -> bytes:
    with without_chatter():  # the package loads TensorFlow where it is installed
        from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    image = schema.TensorMetadataT(
        name="photograph",
        description="RGB, values 0-255",
        content=schema.ContentT(
            contentPropertiesType=schema.ContentProperties.ImageProperties,
            contentProperties=schema.ImagePropertiesT(colorSpace=schema.ColorSpaceType.RGB),
        ),
        stats=schema.StatsT(max=[255.0], min=[0.0]),
    )
    if input_dtype == "float32":  # without these a float input is refused; the graph scales itself
        image.processUnits = [
            schema.ProcessUnitT(
                optionsType=schema.ProcessUnitOptions.NormalizationOptions,
                options=schema.NormalizationOptionsT(mean=[0.0], std=[1.0]),
            )
        ]
    scores = schema.TensorMetadataT(
        name="scores",
        description="a score for each class",
        associatedFiles=[
            schema.AssociatedFileT(name=LABELS, type=schema.AssociatedFileType.TENSOR_AXIS_LABELS)
        ],
    )
    graph = schema.SubGraphMetadataT(inputTensorMetadata=[image], outputTensorMetadata=[scores])
    model = schema.ModelMetadataT(
        name=one_line(name), description=one_line(description), subgraphMetadata=[graph]
    )
    return _packed(model, _METADATA_IDENTIFIER)


def _inlined(content: bytes) -> Any:
    """The model as objects of its schema, all weights in them."""
    from ai_edge_litert import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        """A buffer whose bytes begin at a multiple of `_ALIGNMENT` in the packed file."""

        def Pack(self, builder: Any) -> int:  # noqa: N802 - as flatbuffers names it
            if self.data is not None:
                builder.Prep(_ALIGNMENT, len(self.data))
            return super().Pack(builder)

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for number, buffer in enumerate(model.buffers):
        data = buffer.data
        if buffer.offset > 1:  # 0 and 1 say that the bytes, if any, are inside
            data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        model.buffers[number] = AlignedBuffer(data)
    return model


def _add_buffer(model: Any, name: bytes, data: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    buffer = type(model.buffers[0])(np.frombuffer(data, np.uint8))
    model.buffers.append(buffer)
    model.metadata = [
        *(model.metadata or ()),
        schema.MetadataT(name=name, buffer=len(model.buffers) - 1),
    ]


def _packed(table: Any, identifier: bytes) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.Finish(table.Pack(builder), identifier)
    return bytes(builder.Output())


def _with_file(content: bytes, name: str, text: bytes) -> bytes:
    """A zip with one uncompressed file behind the content."""
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(name, _WHEN), text)
    return file.getvalue()
