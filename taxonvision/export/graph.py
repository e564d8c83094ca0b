"""The network that is exported: a backbone with a head as it is exported."""

from __future__ import annotations

import keras
import numpy as np

from taxonvision.export.head import ExportHead
from taxonvision.export.options import LOGITS, PROBABILITIES
from taxonvision.models.classifier import answer, leaving_a_part


def exported_network(backbone: keras.Model, head: ExportHead, output_type: str) -> keras.Model:
    """From float32 [N, S, S, 3], RGB 0–255, to float32 probabilities or logits [N, C].

    The weights of the backbone are shared.
    """
    inputs = keras.Input(backbone.inputs[0].shape[1:], name="photograph")
    hidden = backbone(inputs)
    for kernel in head.kernels[:-1]:
        factor = keras.layers.Dense(kernel.shape[1], use_bias=False, name="factor")
        hidden = factor(hidden)
        factor.set_weights([kernel])
    last = keras.layers.Dense(len(head.bias), name=LOGITS)
    output, bias = last(hidden), head.bias
    if output_type == PROBABILITIES and head.unknown_logit is not None:
        bias = bias - np.float32(head.unknown_logit)
        output = leaving_a_part(output)
    elif output_type == PROBABILITIES:
        output = answer(output, None)
    last.set_weights([head.kernels[-1], bias])
    # Named, for what Keras would count up stands in the names of tensors in the file.
    return keras.Model(inputs, output, name="exported")
