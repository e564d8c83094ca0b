"""The next release of a model: its head grown for new taxa, refitted, judged and described.

A photograph passes the frozen backbone once in the life of all releases that share it; what is
fitted is the head alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from taxonvision.catalog.contents import among
from taxonvision.catalog.examples import Examples
from taxonvision.dataset.stored import StoredPhotos, stored_photos
from taxonvision.errors import GateRefusedError, UserError
from taxonvision.features.reading import with_contents
from taxonvision.features.store import FeatureStore
from taxonvision.models.directory import MANIFEST, Model, is_model
from taxonvision.progress import say
from taxonvision.release.answers import judge_heads
from taxonvision.release.keep import Kept, Listed, keep_old_taxa
from taxonvision.release.lineage import read_lineage
from taxonvision.release.options import UpdateOptions
from taxonvision.release.parent import Parent, open_parent
from taxonvision.release.plan import Plan, plan_release
from taxonvision.release.refit import refit
from taxonvision.release.verdict import Verdict
from taxonvision.release.write_release import Made, write_release
from taxonvision.storage import Recipe, read_json, set_aside
from taxonvision.taxonomy.changes import Changes
from taxonvision.training.calibrate import Calibrated, Looking, calibrate, refuse_negatives
from taxonvision.training.extraction import extract, features_of
from taxonvision.training.feeds import Features
from taxonvision.training.head import Head
from taxonvision.training.options import refuse_early_stopping, warn_of_unlearned
from taxonvision.training.signals import Notice
from taxonvision.training.strategies import Placement, lost_workers_told, on_cpu, place
from taxonvision.training.unfinished import remove_unfinished, unfinished_model

REFUSED = ".refused"
"""Where a release goes that the gate refuses: OUT.refused."""
_SPLITS = ("train", "val", "test")


def update(
    parent: Model,
    examples: Examples,
    changes: Changes,
    options: UpdateOptions,
    out: Path,
    recipe: Recipe,
    *,
    overwrite: bool = False,
    notice: Notice | None = None,
) -> Mapping[str, Any] | None:
    """Make the release `out` that follows `parent`; returns its manifest, None for other workers.

    Args:
        parent: the release before, of any backbone.
        examples: a catalog or shards of all photographs or only of new ones.
        changes: what became of taxa.
        options: how.
        out: where.
        recipe: how it is made.
        overwrite: replace what stands there.
        notice: tells that the process must end soon.

    Raises:
        UserError: the parent, the examples or a flag do not allow it; the sentence says which.
        GateRefusedError: old taxa fare worse than is let pass; what was made is in `OUT.refused`.
        RequeueError: told to stop.
    """
    read_lineage(parent.folder)  # what is damaged in it would be handed on
    _refuse(parent, examples, options, out)
    plan = plan_release(parent, examples, changes)
    placement = place(options.strategy, options.tpu)
    if placement.chief:
        say(placement.reason)
        say(f"{parent.folder}, version {parent.manifest['version']}: {plan.differences.in_words()}")
    notice = notice or Notice()
    with (
        lost_workers_told(),
        unfinished_model(out, recipe, chief=placement.chief, overwrite=overwrite) as folder,
    ):
        notice.only_note()
        keras.utils.set_random_seed(options.seed)
        if on_cpu(placement):  # elsewhere it costs speed
            tf.config.experimental.enable_op_determinism()
        verdict = _make(parent, examples, plan, options, placement, notice, folder, recipe)
        if verdict is None:
            return None
        remove_unfinished(folder)
        if not verdict.passed and not options.force:
            place_of_it = set_aside(out, REFUSED)
            raise GateRefusedError(
                f"{verdict.reason}; {out} stays as it was, the model and its report are in "
                f"{place_of_it}, --force publishes"
            )
        say(verdict.reason if verdict.passed else f"published by --force: {verdict.reason}")
        return dict(read_json(folder / MANIFEST))


def _refuse(parent: Model, examples: Examples, options: UpdateOptions, out: Path) -> None:
    """UserError for what cannot be had, before anything is done."""
    if not examples.manifest["counts"]["train"]:
        raise UserError(f"{examples.folder} has no photographs in the split train to learn from")
    refuse_negatives(options.negatives, examples)
    if options.head:
        refuse_early_stopping(options.head.fit, examples)
    refused = Path(f"{out}{REFUSED}")
    taken = refused.exists() and (not is_model(refused) or refused.samefile(parent.folder))
    if taken:
        raise UserError(
            f"{refused}, where the release would go if it was refused, is something else; "
            "choose another --out, or move it"
        )


def _make(
    model: Model,
    examples: Examples,
    plan: Plan,
    options: UpdateOptions,
    placement: Placement,
    notice: Notice,
    folder: Path,
    recipe: Recipe,
) -> Verdict | None:
    """Write the release into `folder`; returns what the gate says, None for other workers.

    All workers extract features, the chief does the rest.
    """
    seconds: dict[str, float] = {}
    with _timed("opening", seconds):
        photos = {split: with_contents(stored_photos(examples, split)) for split in _SPLITS}
        parent = _comparable(open_parent(model), examples)
    _refuse_retired(plan, examples, photos)
    if placement.chief:
        _say_what_cannot_be_judged(plan, photos["test"].class_ids)
    store = FeatureStore(
        options.cache,
        parent.backbone,
        model.contract,
        shrunk_to=examples.shrunk_to,
        views=options.views,
        strategy=placement.strategy,
    )
    with _timed("features", seconds):
        filled = extract(store, photos, placement, notice)
    if not placement.chief:
        return None
    train, val, test = (
        replace(found, class_ids=plan.class_ids[found.class_ids])
        for found in (features_of(store, photos[split]) for split in _SPLITS)
    )
    kept = _keep(parent, plan, options, photos, train.class_ids, store)
    say(kept.reason)
    warn_of_unlearned(plan.classes[len(model.classes) :], train.class_ids)
    fair = _fair(parent, photos["test"])
    with _timed("head", seconds):
        contents = photos["train"].contents
        fitted = refit(parent, plan, train, contents, val, kept, options, notice, folder)
    with _timed("calibration", seconds):
        calibrated = _calibrate(parent, plan, fitted.head, val, options)
    with _timed("gate", seconds):
        verdict = judge_heads(
            (parent.head.kernel, parent.head.bias),
            model.classes,
            (fitted.head.kernel, fitted.head.bias),
            plan,
            test.values,
            test.class_ids,
            fair,
            max_regression=options.max_regression,
            strict=options.strict,
        )
    made = Made(plan, photos, filled, kept, fitted, calibrated, verdict, seconds)
    write_release(folder, recipe, parent, examples, made, options, store, placement)
    return verdict


def _comparable(parent: Parent, examples: Examples) -> Parent:
    """The parent without the keys of its photographs where they can match none of the examples.

    Shards hold other bytes than the catalog that they were prepared from.
    """
    if parent.model.manifest.get("shrunk_to", 0) == examples.shrunk_to:
        return parent
    return replace(parent, trained_on=parent.trained_on.without_sample())


def _refuse_retired(plan: Plan, examples: Examples, photos: Mapping[str, StoredPhotos]) -> None:
    """UserError where a photograph's class is retired, which only a damaged catalog has."""
    for of_split in photos.values():
        classes = np.unique(of_split.class_ids)
        for number in classes[plan.class_ids[classes] < 0].tolist():
            raise UserError(
                f"{examples.folder} has photographs of {examples.classes[number].name}, whose "
                "class is retired; ingest again"
            )


def _keep(
    parent: Parent,
    plan: Plan,
    options: UpdateOptions,
    photos: Mapping[str, StoredPhotos],
    class_ids: np.ndarray,
    store: FeatureStore,
) -> Kept:
    """Decide what guards old taxa; `class_ids` int32 [n] are those of the training photographs."""
    trained_on = parent.trained_on.as_of(plan.changes.current)
    old = {taxon: number for taxon, number in plan.active.items() if taxon in plan.known}
    held_out = np.concatenate([photos[split].contents for split in ("val", "test")])
    listed = Listed(class_ids, photos["train"].contents, held_out)
    may_move = options.head is not None
    return keep_old_taxa(options.keep, trained_on, old, listed, store, refit=may_move)


def _calibrate(
    parent: Parent, plan: Plan, head: Head, val: Features, options: UpdateOptions
) -> Calibrated:
    """Fit the temperature and the threshold; the parent's temperature holds where nothing can."""
    before, scenes = parent.model, None
    if options.negatives:
        scenes = Looking(parent.backbone.model, before.contract).scenes(options.negatives)
    elif before.unknown_threshold:
        say(
            "warning: unlike its parent, this release has a name for everything; --negatives names "
            "photographs without an organism"
        )
    inherited = Calibrated(before.temperature, before.manifest.get("calibration"))
    return calibrate(head, plan.classes, val, scenes, options.seed, inherited)


def _fair(parent: Parent, test: StoredPhotos) -> np.ndarray:
    """Which test photographs the parent is not known to have been trained on: bool [n]."""
    fair = ~among(test.contents, parent.trained_on.contents)
    seen = int((~fair).sum())
    if seen:
        say(
            f"warning: the parent was trained on {seen} or more of the test photographs, which are "
            "left out of the gate; ingest with --splits_from"
        )
    return fair


def _say_what_cannot_be_judged(plan: Plan, test: np.ndarray) -> None:
    """Before hours of work; `test` int32 [n] are class ids of the catalog."""
    tested = plan.taxon_ids[plan.class_ids[np.unique(test)]]
    if plan.known.isdisjoint(tested.tolist()):
        say(
            "warning: the split test has no photograph of a taxon that the parent knows, so that "
            "the gate will not be able to judge"
        )


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[step] = time.monotonic() - start
