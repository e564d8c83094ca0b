"""The release before, opened."""

from __future__ import annotations

from dataclasses import dataclass

from taxonvision.models.backbones import Backbone
from taxonvision.models.directory import Model
from taxonvision.models.parts import parts_of
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
    backbone, kernel, bias = parts_of(model)
    trained_on = read_trained_on(model.folder) or TrainedOn.nothing()
    return Parent(model, backbone, Head(kernel, bias), trained_on)
