"""Quantising as named recipes: each turns a float32 TFLite graph into a smaller one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from taxonvision.chatter import without_chatter
from taxonvision.parallel import cores
from taxonvision.progress import track
from taxonvision.runtime.tflite import TFLiteModel

IN_FLOAT = "known"
"""Layers whose names begin so (`models.classifier.answer`) stay in float."""
_LAST = "StatefulPartitionedCall"  # what the converter calls the output, whatever computes it
_PHOTOGRAPHS_A_CALL = 10

Recipe = Callable[[bytes, np.ndarray, str], bytes]
"""Takes a float32 graph, calibration photographs uint8 [n, S, S, 3] and the type of the input.

The float graph reads that type too; only int8 takes one that reads float32, whatever its own input.
"""


def float32(graph: bytes, calibration: np.ndarray, input_type: str) -> bytes:
    """The graph as it is."""
    return graph


def float16(graph: bytes, calibration: np.ndarray, input_type: str) -> bytes:
    """Weights in float16, half the size; computed in float32."""
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe_manager import RecipeManager

    recipe = RecipeManager()
    recipe.add_weight_only_config(
        ".*", TFLOperationName.ALL_SUPPORTED, 16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    return _quantize(graph, recipe, None)


def dynamic(graph: bytes, calibration: np.ndarray, input_type: str) -> bytes:
    """Weights in int8, activations quantised anew for each photograph."""
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe_manager import RecipeManager

    recipe = RecipeManager()
    recipe.add_dynamic_config(".*", TFLOperationName.ALL_SUPPORTED, 8)
    return _quantize(graph, recipe, None)


def int8(graph: bytes, calibration: np.ndarray, input_type: str) -> bytes:
    """Backbone in int8 with ranges from the calibration photographs, scores in float.

    The head has int8 weights but float activations: with thousands of taxa, int8 logits would tie
    for the first place. An int8 softmax cannot say less than 1/256, so it stays in float too.
    """
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import (
        ComputePrecision,
        OpQuantizationConfig,
        TensorDataType,
        TensorQuantizationConfig,
        TFLOperationName,
    )
    from litert_quantizer.recipe_manager import RecipeManager

    recipe = RecipeManager()
    recipe.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8)
    in_float = [TFLOperationName.SOFTMAX, TFLOperationName.OUTPUT]
    if input_type == "float32":
        in_float.append(TFLOperationName.INPUT)
    else:
        unsigned = OpQuantizationConfig(
            activation_tensor_config=TensorQuantizationConfig(
                num_bits=8, symmetric=False, dtype=TensorDataType.UINT
            ),
            weight_tensor_config=TensorQuantizationConfig(num_bits=8, symmetric=True),
            compute_precision=ComputePrecision.INTEGER,
        )
        recipe.add_quantization_config(".*", TFLOperationName.INPUT, unsigned)
    for scope, operation in [
        (f".*{IN_FLOAT}.*", TFLOperationName.ALL_SUPPORTED),
        (f"{_LAST}.*", TFLOperationName.ALL_SUPPORTED),
        *((".*", operation) for operation in in_float),
    ]:
        recipe.add_quantization_config(scope, operation, algorithm_key=AlgorithmName.NO_QUANTIZE)
    for scope in (".*", f"{_LAST}.*"):  # the head, also where its logits are the output
        recipe.add_dynamic_config(scope, TFLOperationName.FULLY_CONNECTED, 8)
    return _quantize(graph, recipe, calibration)


RECIPES: dict[str, Recipe] = {
    "float32": float32,
    "float16": float16,
    "dynamic": dynamic,
    "int8": int8,
}
"""All recipes by name, the largest first."""


def _quantize(graph: bytes, recipe: Any, calibration: np.ndarray | None) -> bytes:
    from litert_quantizer.quantizer import Quantizer

    with without_chatter():
        quantizer = Quantizer(graph, recipe.get_quantization_recipe())
    ranges = None if calibration is None else _calibrate(quantizer, graph, calibration)
    with without_chatter():
        return bytes(quantizer.quantize(ranges).quantized_model)


def _calibrate(quantizer: Any, graph: bytes, calibration: np.ndarray) -> Any:
    """The ranges of all tensors over the calibration photographs."""
    signature, tensors = TFLiteModel(graph, "the float graph").signature
    starts = range(0, len(calibration), _PHOTOGRAPHS_A_CALL)
    chunks = [calibration[start : start + _PHOTOGRAPHS_A_CALL] for start in starts]
    ranges = None
    for chunk in track(chunks, len(calibration), "calibrating int8", size=len):
        samples = [{tensors[0]: pixels[None].astype(np.float32)} for pixels in chunk]
        with without_chatter():
            ranges = quantizer.calibrate(
                {signature: samples}, previous_calibration_result=ranges, num_threads=cores()
            )
    return ranges
