"""A catalog becomes a model: features once, then the head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from taxonvision.catalog.examples import Examples, warn_if_shrunk_below
from taxonvision.errors import UserError
from taxonvision.features.extract import FeatureExtractor
from taxonvision.models.backbones import build_backbone
from taxonvision.models.classifier import assemble
from taxonvision.models.directory import MANIFEST, write_model
from taxonvision.progress import say
from taxonvision.runtime.contract import Contract
from taxonvision.storage import Recipe, publish
from taxonvision.training.head import HeadOptions, fit_head


@dataclass(frozen=True)
class TrainOptions:
    """What is trained.

    Attributes:
        backbone: a name that `models.backbones` knows.
        pretrained: start from published weights.
        image_size: side of the input in pixels; None: the backbone's own.
        name: what the model calls itself.
        head: how the head is fitted.
    """

    backbone: str = "efficientnet_lite0"
    pretrained: bool = True
    image_size: int | None = None
    name: str = "taxonvision"
    head: HeadOptions = field(default_factory=HeadOptions)


def train(
    catalog: Examples, options: TrainOptions, out: Path, recipe: Recipe, *, overwrite: bool = False
) -> Mapping[str, Any]:
    """Train the head on the frozen backbone and write the model `out`; returns its manifest.

    Raises UserError when the catalog has fewer than two classes or no photograph to train on.
    """
    photos = catalog.photos("train")
    if len(catalog.classes) < 2 or not len(photos):
        raise UserError(
            f"{catalog.folder} has {len(catalog.classes)} classes and {len(photos)} photographs "
            "in the split train; training needs two classes and photographs"
        )
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        _warn_of_untrained(catalog, photos.class_ids)
        keras.utils.set_random_seed(options.head.seed)
        backbone = build_backbone(
            options.backbone, pretrained=options.pretrained, image_size=options.image_size
        )
        say(f"{backbone.name}, input {backbone.image_size} x {backbone.image_size} pixels")
        contract = Contract(backbone.image_size, backbone.crop_ratio)
        warn_if_shrunk_below(catalog, math.floor(contract.size / contract.crop_ratio))
        extractor = FeatureExtractor(backbone.model, contract)
        features = extractor.extract(photos.sources, "features of train")
        held_out = catalog.photos("val")
        validation = (
            (extractor.extract(held_out.sources, "features of val"), held_out.class_ids)
            if len(held_out)
            else None
        )
        head = fit_head(features, photos.class_ids, len(catalog.classes), options.head, validation)
        last = {name: float(value) for name, value in head.history[-1].items()}
        return write_model(
            partial,
            assemble(backbone.model, head.kernel, head.bias),
            name=options.name,
            release="1",
            recipe=recipe,
            contract=contract,
            classes=catalog.classes,
            taxonomy=catalog.taxonomy,
            names=catalog.names,
            history=head.history,
            facts={
                "backbone": {"name": backbone.name, "pretrained": backbone.pretrained},
                "trained": "head",
                "catalog": catalog.fingerprint,
                "metrics": {"epochs": options.head.epochs, **last},
            },
        )


def _warn_of_untrained(catalog: Examples, class_ids: np.ndarray) -> None:
    trained = set(class_ids.tolist())
    untrained = [c.name for c in catalog.classes if c.class_id not in trained]
    if untrained:
        say(
            f"warning: {len(untrained)} classes have no photograph in the split train and cannot "
            f"be learned: {', '.join(untrained[:5])}{' ...' if len(untrained) > 5 else ''}"
        )
