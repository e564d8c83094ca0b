"""The release before, opened."""

from __future__ import annotations

from dataclasses import dataclass

from taxonvision.errors import UserError
from taxonvision.models.backbones import Backbone
from taxonvision.models.classifier import take_apart
from taxonvision.models.directory import Model
from taxonvision.models.trained_on import TrainedOn, read_trained_on
from taxonvision.training.head import Head


@dataclass(frozen=True)
class Parent:
    """The release before.

    Attributes:
        model: its directory.
        backbone: below its head.
        head: of all its classes.
        trained_on: the photographs that the head has learned from; nothing where it does not say.
    """

    model: Model
    backbone: Backbone
    head: Head
    trained_on: TrainedOn


def open_parent(model: Model) -> Parent:
    """Take a model apart; UserError when it is no backbone with a head."""
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
    trained_on = read_trained_on(model.folder) or TrainedOn.nothing()
    return Parent(model, backbone, Head(kernel, bias), trained_on)
