"""What is asked of a training run, and whether it can be had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from taxonvision.catalog.examples import Examples, LabelledPhotos
from taxonvision.dataset.balance import Sampling, seen_counts
from taxonvision.errors import UserError
from taxonvision.features.cache import default_cache
from taxonvision.models.backbones import check_name
from taxonvision.progress import say
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.text import several
from taxonvision.training.augmentations import AUGMENTATIONS, AugmentationRecipe
from taxonvision.training.fit_state import FitOptions
from taxonvision.training.head import HeadOptions
from taxonvision.training.losses import LossOptions
from taxonvision.training.network import NetworkOptions
from taxonvision.training.strategies import Placement, check_possible
from taxonvision.training.teacher import TeacherOptions


@dataclass(frozen=True)
class TrainOptions:
    """What is trained, and how.

    Attributes:
        name: what the model calls itself.
        network: what is built.
        fit: how it is fitted.
        loss: what is minimised.
        augmentation: one of `AUGMENTATIONS`.
        sampling: how often each class is seen.
        batch_size: photographs in a step, of all devices together.
        seed: of all that is random.
        strategy: one of `strategies.CHOICES`.
        tpu: the name of a TPU; None: none.
        init_from: a model to start from.
        cache: folder of features, for a head alone.
        views: looks at each photograph that a head alone is fitted on.
        deterministic: whether the same seed gives the same weights; None: on CPUs, where it costs
            nothing.
        negatives: photographs without an organism, to learn when nothing is known.
        teacher: a model whose opinion of the photographs is learned; None: none.
    """

    fit: FitOptions
    name: str = "taxonvision"
    network: NetworkOptions = field(default_factory=NetworkOptions)
    loss: LossOptions = field(default_factory=LossOptions)
    augmentation: str = "none"
    sampling: Sampling = field(default_factory=Sampling)
    batch_size: int = 128
    seed: int = 0
    strategy: str = "auto"
    tpu: str | None = None
    init_from: Path | None = None
    cache: Path = field(default_factory=default_cache)
    views: int = 1
    deterministic: bool | None = None
    negatives: Sequence[Path] = ()
    teacher: TeacherOptions | None = None

    @property
    def only_head(self) -> bool:
        """Whether the backbone stays as it is."""
        return all(stage.trained == "head" for stage in self.fit.stages)

    @property
    def on_features(self) -> bool:
        """Whether each photograph needs to go through the backbone only once."""
        return self.only_head and self.recipe.unchanged

    @property
    def head(self) -> HeadOptions:
        """How a head alone is fitted."""
        fit = replace(self.fit, float16=False)
        return HeadOptions(fit, self.loss, self.sampling, self.batch_size, self.seed)

    @property
    def recipe(self) -> AugmentationRecipe:
        """What chance does to photographs."""
        return AUGMENTATIONS[self.augmentation]


def refuse_examples(examples: Examples, photos: LabelledPhotos) -> None:
    """UserError when there is too little to learn from."""
    if len(examples.classes) < 2 or not len(photos):
        raise UserError(
            f"{examples.folder} has {len(examples.classes)} classes and {len(photos)} photographs "
            "in the split train; training needs two classes and photographs"
        )


def refuse(
    options: TrainOptions, examples: Examples, photos: LabelledPhotos, placement: Placement
) -> None:
    """UserError for what cannot be done where it is asked for, before anything is built."""
    if options.init_from is None:
        check_name(options.network.backbone)
    rows = seen_counts(photos.class_ids, len(examples.classes), options.sampling).sum()
    check_possible(
        placement,
        min(options.batch_size, int(rows)),
        options.network.precision,
        mixes=options.recipe.mixing.any,
    )
    refuse_early_stopping(options.fit, examples)


def refuse_early_stopping(fit: FitOptions, examples: Examples) -> None:
    """UserError when it is asked for and there is nothing to watch."""
    if fit.early_stopping and not examples.manifest["counts"]["val"]:
        raise UserError(
            f"{examples.folder} has no photographs in the split val, which --early_stopping needs"
        )


def warn_of_unlearned(classes: Sequence[TaxonClass], class_ids: np.ndarray) -> None:
    """Say which of the classes have none of the training photographs with these class ids."""
    seen = set(np.unique(class_ids).tolist())
    names = [each.name for each in classes if each.class_id not in seen]
    if names:
        say(
            f"warning: {several(len(names), 'class')} without photographs in the split train "
            f"cannot be learned: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        )


def warn(options: TrainOptions, examples: Examples, photos: LabelledPhotos) -> None:
    """Say what will come out otherwise than one may think."""
    if options.only_head and options.init_from is None and not options.network.pretrained:
        say("warning: the backbone keeps its random weights, only a head is trained on them")
    if options.views > 1 and not options.on_features:
        say("warning: --views changes nothing where the network is trained on photographs")
    if options.on_features and options.network.precision != "float32":
        say("warning: --precision changes nothing where a head is fitted on features")
    if options.loss.logit_adjustment and options.sampling.power == 0:
        say("warning: all classes are seen alike, so that the logit adjustment changes nothing")
    warn_of_unlearned([each for each in examples.classes if each.active], photos.class_ids)
