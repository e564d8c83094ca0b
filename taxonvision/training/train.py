"""A catalog becomes a model: by its head alone on features extracted once, or by all layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from taxonvision.catalog.examples import Examples, LabelledPhotos, warn_if_shrunk_below
from taxonvision.dataset.balance import seen_counts, used_photographs
from taxonvision.dataset.batches import Batches, BatchOptions
from taxonvision.dataset.stored import stored_photos
from taxonvision.features.reading import with_contents
from taxonvision.features.store import FeatureStore
from taxonvision.models.backbones import Backbone
from taxonvision.models.classifier import assemble, take_apart
from taxonvision.models.directory import MANIFEST, write_model
from taxonvision.models.trained_on import TrainedOn
from taxonvision.progress import say
from taxonvision.runtime.contract import Contract
from taxonvision.storage import Recipe, read_json
from taxonvision.taxonomy.classes import active_ids, retired_ids
from taxonvision.training.calibrate import (
    Calibrated,
    Looking,
    calibrate,
    drawn,
    refuse_negatives,
)
from taxonvision.training.extraction import extract, features_of
from taxonvision.training.feeds import Features, PhotographFeed
from taxonvision.training.fit_state import Outcome
from taxonvision.training.head import Head, fit_active
from taxonvision.training.loop import Fit
from taxonvision.training.losses import Loss, make_loss, say_what_is_kept
from taxonvision.training.mixing import Mixing
from taxonvision.training.network import Network, start_backbone
from taxonvision.training.options import TrainOptions, refuse, refuse_examples, warn
from taxonvision.training.signals import Notice
from taxonvision.training.step import Targets, of_chief, own_classes
from taxonvision.training.strategies import Placement, lost_workers_told, on_cpu, place
from taxonvision.training.teacher import Lesson, check_teacher, take_lesson
from taxonvision.training.unfinished import remove_unfinished, unfinished_model
from taxonvision.training.warm_start import WarmStart, note_start, read_warm_start

_WORTH_PREPARING = 10_000
"""Photographs from which on shards save more time than they cost."""
_ROOM_TO_CROP = 8 / 7
"""Short side of the photographs read for training, against the side of the network's input."""


def train(
    examples: Examples,
    options: TrainOptions,
    out: Path,
    recipe: Recipe,
    *,
    overwrite: bool = False,
    notice: Notice | None = None,
) -> Mapping[str, Any] | None:
    """Train a model and write it to `out`; returns its manifest, None where the chief writes it.

    A run that was ended goes on from its last checkpoint in `OUT.partial`. `notice` tells that it
    must end soon.

    Raises:
        UserError: the examples, a flag or a device do not allow it, or another worker was lost; the
            sentence says which.
        RequeueError: told to stop.
    """
    photos = examples.photos("train")
    refuse_examples(examples, photos)
    refuse_negatives(options.negatives, examples)
    placement = place(options.strategy, options.tpu)
    refuse(options, examples, photos, placement)
    if options.teacher is not None:
        check_teacher(options.teacher, examples)
    if placement.chief:
        say(placement.reason)
        warn(options, examples, photos)
    notice = notice or Notice()
    with (
        lost_workers_told(),
        unfinished_model(out, recipe, chief=placement.chief, overwrite=overwrite) as folder,
    ):
        notice.only_note()
        # The last run may have been ended just before its end.
        if not of_chief(placement, int((folder / MANIFEST).exists())):
            warm = _warm_start(options, examples, placement)
            lesson = _lesson(options, examples, placement, notice)
            run = _Run(examples, photos, options, placement, notice, folder, warm, lesson)
            _train(run, recipe)
        if not placement.chief:
            return None
        remove_unfinished(folder)
        return dict(read_json(folder / MANIFEST))


@dataclass(frozen=True)
class _Run:
    """What the parts of a training run share."""

    examples: Examples
    photos: LabelledPhotos
    options: TrainOptions
    placement: Placement
    notice: Notice
    folder: Path
    warm: WarmStart | None
    lesson: Lesson | None

    def loss(self) -> Loss:
        """Of a photograph."""
        examples, options = self.examples, self.options
        counts = seen_counts(self.photos.class_ids, len(examples.classes), options.sampling)
        loss = make_loss(options.loss, counts, examples.classes, examples.taxonomy)
        if self.placement.chief:
            say_what_is_kept(loss, options.loss)
        return loss

    def targets(self) -> Targets:
        """Of a photograph, for all devices."""
        if self.lesson is None:
            return own_classes
        with self.placement.strategy.scope():
            return self.lesson.opinions.soft_labels(self.examples.classes)

    def head(self, dimension: int) -> Head:
        """The head that training starts from."""
        if self.warm is not None:
            return self.warm.head(self.examples.classes)
        return Head.zeros(dimension, len(self.examples.classes))

    def contract(self, backbone: Backbone) -> Contract:
        """How photographs become the network's input."""
        contract = Contract(backbone.image_size, backbone.crop_ratio)
        if self.placement.chief:
            say(f"{backbone.name}, input {contract.size} x {contract.size} pixels")
            short_side = math.floor(contract.size / contract.crop_ratio)
            warn_if_shrunk_below(self.examples, short_side)
        return contract


@dataclass(frozen=True)
class _Trained:
    """What a run ends with: a backbone and a head, and how they came about.

    `contents` are the keys uint64 [n, 2] of the photographs they were trained on, zeros where
    unknown; `held_out` are features of those to validate with, None where there are none yet.
    """

    backbone: Backbone
    head: Head
    outcome: Outcome
    contents: np.ndarray
    held_out: Features | None = None
    cache: Mapping[str, Any] | None = None


def _train(run: _Run, recipe: Recipe) -> None:
    """Train, and write the model if this process does."""
    options, examples = run.options, run.examples
    keras.utils.set_random_seed(options.seed)
    if options.deterministic or (options.deterministic is None and on_cpu(run.placement)):
        tf.config.experimental.enable_op_determinism()
    trained = _head(run) if options.on_features else _network(run)
    if trained is None:  # the chief writes it
        return
    backbone, head, outcome = trained.backbone, trained.head, trained.outcome
    calibrated = _calibrate(run, trained)
    retired = retired_ids(examples.classes)
    write_model(
        run.folder,
        assemble(
            backbone.model,
            head.kernel,
            head.bias,
            retired,
            calibrated.temperature,
            calibrated.unknown_logit,
        ),
        name=options.name,
        recipe=recipe,
        contract=Contract(backbone.image_size, backbone.crop_ratio),
        classes=examples.classes,
        taxonomy=examples.taxonomy,
        names=examples.names,
        history=outcome.history,
        facts={
            "backbone": {"name": backbone.name, "pretrained": backbone.pretrained},
            "trained": outcome.kept["trained"],
            "initial_model": None if run.warm is None else run.warm.fingerprint,
            "distilled_from": None if run.lesson is None else run.lesson.distilled_from,
            "placement": run.placement.reason,
            "catalog": examples.fingerprint,
            "cache": trained.cache,
            "shrunk_to": examples.shrunk_to,
            "metrics": {name: value for name, value in outcome.kept.items() if name != "trained"},
            **calibrated.as_json(),
        },
        trained_on=_trained_on(run, trained.contents),
    )


def _head(run: _Run) -> _Trained | None:
    """Fit the head on features that the frozen backbone gives once.

    All workers extract features, the chief fits the head.
    """
    options, examples = run.options, run.examples
    backbone = start_backbone(options.network, run.warm)
    store = FeatureStore(
        options.cache,
        backbone,
        run.contract(backbone),
        shrunk_to=examples.shrunk_to,
        views=options.views,
        strategy=run.placement.strategy,
    )
    photos = {split: with_contents(stored_photos(examples, split)) for split in ("train", "val")}
    extract(store, photos, run.placement, run.notice)
    if not run.placement.chief:
        return None
    train, held_out = (features_of(store, photos[split]) for split in ("train", "val"))
    if run.lesson is not None:
        train = replace(train, teacher=run.lesson.looks)
    head, outcome = fit_active(
        run.head(backbone.model.outputs[0].shape[-1]),
        examples.classes,
        examples.taxonomy,
        train,
        held_out,
        options.head,
        run.notice,
        run.folder,
        opinions=None if run.lesson is None else run.lesson.opinions,
    )
    contents = photos["train"].contents
    return _Trained(backbone, head, outcome, contents, held_out, store.as_json())


def _network(run: _Run) -> _Trained | None:
    """Train the network on photographs, on all devices."""
    options, placement, examples = run.options, run.placement, run.examples
    network = Network(options.network, placement, run.warm, run.head)
    if placement.chief:
        note_start(run.folder, network.backbone, examples.classes)
    contract = run.contract(network.backbone)
    recipe = options.recipe
    stored = stored_photos(examples, "train", math.ceil(contract.size * _ROOM_TO_CROP))
    if placement.chief and stored.shrink_to and len(stored) >= _WORTH_PREPARING:
        say("every epoch shrinks all photographs anew; `taxonvision prepare` does so once")
    batches = Batches(
        stored,
        BatchOptions(
            size=contract.size,
            batch_size=options.batch_size,
            seed=options.seed,
            sampling=options.sampling,
            augmentation=recipe.photograph,
            crop_ratio=contract.crop_ratio,
        ),
        None if run.lesson is None else run.lesson.looks[0],
    )
    mix = Mixing(recipe.mixing, options.seed) if recipe.mixing.any else None
    feed = PhotographFeed(batches, examples.photos("val"), contract, placement)
    fit = Fit(
        placement,
        network.logits,
        network.freeze,
        run.loss(),
        mix,
        feed,
        options.fit,
        run.notice,
        run.folder,
        run.targets(),
    )
    outcome = fit.run()
    if not placement.chief:
        return None
    model, kernel, bias = take_apart(network.finished())
    backbone = replace(network.backbone, model=model)
    return _Trained(backbone, Head(kernel, bias), outcome, stored.contents)


def _calibrate(run: _Run, trained: _Trained) -> Calibrated:
    """Fit the temperature and the threshold of what was trained."""
    options, examples, backbone = run.options, run.examples, trained.backbone
    looking = Looking(backbone.model, Contract(backbone.image_size, backbone.crop_ratio))
    held_out = trained.held_out
    if held_out is None:
        photos = examples.photos("val")
        classes = len(active_ids(examples.classes))
        held_out = looking.held_out(photos, drawn(len(photos), classes, options.seed))
    scenes = looking.scenes(options.negatives) if options.negatives else None
    return calibrate(trained.head, examples.classes, held_out, scenes, options.seed)


def _trained_on(run: _Run, contents: np.ndarray) -> TrainedOn:
    """What the head has learned from; the keys uint64 [n, 2] are those of all in the split."""
    class_ids = run.photos.class_ids
    used = used_photographs(class_ids, run.options.sampling, run.options.seed)
    taxon_of_class = np.array([c.taxon_id for c in run.examples.classes], np.int64)
    return TrainedOn.of(taxon_of_class[class_ids[used]], contents[used])


def _lesson(
    options: TrainOptions, examples: Examples, placement: Placement, notice: Notice
) -> Lesson | None:
    if options.teacher is None:
        return None
    # Only a head that is fitted on features sees the same views again.
    views = options.views if options.on_features else 1
    return take_lesson(options.teacher, examples, placement, notice, options.cache, views)


def _warm_start(
    options: TrainOptions, examples: Examples, placement: Placement
) -> WarmStart | None:
    if options.init_from is None:
        return None
    warm = read_warm_start(options.init_from)
    if placement.chief:
        say(
            f"starting from {options.init_from}, which knows {warm.shared(examples.classes)} "
            f"of the {len(examples.classes)} taxa"
        )
    return warm
