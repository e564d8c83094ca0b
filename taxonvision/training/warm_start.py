"""An earlier model's weights for a new one: the backbone's, and the head's by taxon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.backbones import Backbone, build_backbone
from taxonvision.models.classifier import assemble, logits_of, take_apart
from taxonvision.models.directory import open_model
from taxonvision.storage import read_json, write_json
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.text import reason_of
from taxonvision.training.checkpoints import Checkpoints
from taxonvision.training.head import Head
from taxonvision.training.unfinished import CHECKPOINTS, START, is_unfinished


@dataclass(frozen=True)
class WarmStart:
    """What a new model takes over from an earlier one.

    Attributes:
        fingerprint: the earlier model's.
        backbone: its name.
        pretrained: whether the earlier model began with published weights.
        image_size: the side of its input in pixels.
        weights: of the backbone, in its own order.
        rows: of the head, kernel [D] and bias, by taxon id.
    """

    fingerprint: str
    backbone: str
    pretrained: bool
    image_size: int
    weights: list[np.ndarray]
    rows: dict[int, tuple[np.ndarray, np.floating]]

    def head(self, classes: Sequence[TaxonClass]) -> Head:
        """A head for other classes: the rows of taxa that both have, zeros for new ones."""
        dimension = len(next(iter(self.rows.values()))[0])
        head = Head.zeros(dimension, len(classes))
        for column, each in enumerate(classes):
            if each.taxon_id in self.rows:
                head.kernel[:, column], head.bias[column] = self.rows[each.taxon_id]
        return head

    def shared(self, classes: Sequence[TaxonClass]) -> int:
        """How many of the classes are taxa that the earlier model knows."""
        return sum(each.taxon_id in self.rows for each in classes)


def note_start(folder: Path, backbone: Backbone, classes: Sequence[TaxonClass]) -> None:
    """Note in the folder of an unfinished model what its checkpoints are of."""
    write_json(
        folder / START,
        {
            "backbone": backbone.name,
            "pretrained": backbone.pretrained,
            "image_size": backbone.image_size,
            "taxon_ids": [each.taxon_id for each in classes],
        },
    )


def read_warm_start(folder: Path) -> WarmStart:
    """Read what can be taken over from a model, or from an unfinished one (`OUT.partial`).

    Raises UserError when nothing can.
    """
    if is_unfinished(folder):
        return _read_unfinished(folder)
    model = open_model(folder)
    try:
        backbone, kernel, bias = take_apart(model.load())
        name, pretrained = (
            model.manifest["backbone"]["name"],
            model.manifest["backbone"]["pretrained"],
        )
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder} cannot be started from: {reason_of(error)}") from None
    if not any(each.active for each in model.classes):
        raise UserError(f"{folder} cannot be started from: all its classes are retired")
    rows = {
        each.taxon_id: (kernel[:, column], bias[column])
        for column, each in enumerate(model.classes)
        if each.active
    }
    return WarmStart(
        model.fingerprint,
        name,
        pretrained,
        model.contract.size,
        backbone.get_weights(),
        rows,
    )


def _read_unfinished(folder: Path) -> WarmStart:
    """The weights of the newest checkpoint of a run that did not end well."""
    noted = read_json(folder / START)
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    step = checkpoints.newest()
    try:
        name, size, taxa = noted["backbone"], noted["image_size"], noted["taxon_ids"]
        pretrained = bool(noted["pretrained"])
    except (KeyError, TypeError):
        step = None
    if step is None:
        raise UserError(f"{folder} cannot be started from: it has no checkpoint")
    backbone = build_backbone(name, pretrained=False, image_size=size)
    first = Head.zeros(backbone.model.outputs[0].shape[-1], len(taxa))
    network = logits_of(assemble(backbone.model, first.kernel, first.bias))
    checkpoints.restore_first(step, network.variables)
    kernel, bias = network.get_layer("logits").get_weights()
    return WarmStart(
        f"step {step} of {folder.name}",
        name,
        pretrained,
        size,
        backbone.model.get_weights(),
        {taxon: (kernel[:, column], bias[column]) for column, taxon in enumerate(taxa)},
    )
