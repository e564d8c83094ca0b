"""A model directory taken apart: its backbone, and the head as trained."""

from __future__ import annotations

import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.backbones import Backbone
from taxonvision.models.classifier import take_apart
from taxonvision.models.directory import Model


def parts_of(model: Model) -> tuple[Backbone, np.ndarray, np.ndarray]:
    """The backbone, the kernel float32 [D, C] and the bias float32 [C] of all C classes.

    UserError when the model is no backbone with a head.
    """
    try:
        network, kernel, bias = take_apart(model.load())
        backbone = Backbone(
            str(model.manifest["backbone"]["name"]),
            network,
            model.contract.size,
            model.contract.crop_ratio,
            bool(model.manifest["backbone"]["pretrained"]),
        )
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{model.folder} is no backbone with a head; train anew") from None
    if len(bias) != len(model.classes):
        raise UserError(
            f"{model.folder} has {len(bias)} rows in its head and {len(model.classes)} classes; "
            "take it from a copy, or train anew"
        )
    return backbone, kernel, bias
