"""TFLite models run by LiteRT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from taxonvision.chatter import without_chatter
from taxonvision.errors import UserError
from taxonvision.parallel import cores
from taxonvision.text import reason_of

_MAX_MODEL_BYTES = 2**31 - 1  # a flatbuffer's offsets are 32 bits


@dataclass(frozen=True)
class Tensor:
    """Name, shape and dtype of an input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class TFLiteModel:
    """An image classifier with one input [B, S, S, 3] (uint8 or float32) and one output [B, C].

    The batch B is fixed in the file and 1 on phones; any number of photographs is scored B at a
    time, the last batch filled up.
    """

    def __init__(self, content: bytes, source: str, threads: int | None = None) -> None:
        if len(content) > _MAX_MODEL_BYTES:
            raise UserError(f"{source} is larger than 2 GiB and no TFLite model")
        self.threads = threads or cores()
        self._content = content
        self._source = source
        self._interpreter = _interpreter(content, source, self.threads)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise UserError(
                f"{source} has {len(inputs)} inputs and {len(outputs)} outputs; "
                "an image classifier has one of each"
            )
        self.input, self.output = _tensor(inputs[0]), _tensor(outputs[0])
        shape = self.input.shape
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or shape[0] < 1:
            raise UserError(f"{source} reads {list(shape)}, not square RGB images [1, S, S, 3]")
        if len(self.output.shape) != 2 or self.output.shape[0] != shape[0]:
            raise UserError(f"{source} answers {list(self.output.shape)}, not scores of classes")
        if self.input.dtype not in ("uint8", "float32") or self.output.dtype != "float32":
            raise UserError(
                f"{source} has {self.input.dtype} in and {self.output.dtype} out; "
                "it must be uint8 or float32 in and float32 out"
            )
        self._input_index = inputs[0]["index"]
        self._output_index = outputs[0]["index"]

    def another(self, threads: int) -> TFLiteModel:
        """The same model with an interpreter of its own, to run beside this one."""
        return TFLiteModel(self._content, self._source, threads)

    @property
    def signature(self) -> tuple[str, list[str]]:
        """The name of the graph's first signature and of its inputs."""
        name, tensors = next(iter(self._interpreter.get_signature_list().items()))
        return name, list(tensors["inputs"])

    def run(self, photographs: np.ndarray) -> np.ndarray:
        """Pixels 0–255 [N, S, S, 3], uint8, to the output float32 [N, C].

        UserError for a model that cannot be run, or answers what is no number.
        """
        batch = self.input.shape[0]
        rows = np.empty((len(photographs), self.output.shape[-1]), np.float32)
        for start in range(0, len(photographs), batch):
            chunk = photographs[start : start + batch].astype(self.input.dtype, copy=False)
            missing = batch - len(chunk)
            if missing:
                chunk = np.concatenate([chunk, np.zeros((missing, *chunk.shape[1:]), chunk.dtype)])
            self._interpreter.set_tensor(self._input_index, chunk)
            try:
                self._interpreter.invoke()
            except (ValueError, RuntimeError) as error:
                raise UserError(f"{self._source} cannot be run: {reason_of(error, 200)}") from None
            output = self._interpreter.get_tensor(self._output_index)
            rows[start : start + batch] = output[: batch - missing]
        if not np.isfinite(rows).all():
            raise UserError(f"{self._source} answers what is no number; it is of no use")
        return rows


def _interpreter(content: bytes, source: str, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with without_chatter():  # which would show LiteRT's own lines if an error left the block
        try:
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
            return interpreter
        except (ValueError, RuntimeError) as error:
            reason = reason_of(error)
    raise UserError(f"{source} is no TFLite model that LiteRT can run: {reason}")


def _tensor(details: Any) -> Tensor:
    return Tensor(
        details["name"], tuple(int(n) for n in details["shape"]), np.dtype(details["dtype"]).name
    )
