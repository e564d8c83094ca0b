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

from taxonvision.catalog.examples import Examples
from taxonvision.dataset.stored import StoredPhotos, stored_photos
from taxonvision.errors import GateRefusedError, UserError
from taxonvision.features.store import FeatureStore
from taxonvision.models.directory import MANIFEST, Model, is_model
from taxonvision.models.trained_on import among
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
from taxonvision.text import several
from taxonvision.training.extraction import extract, features_of, with_contents
from taxonvision.training.signals import Notice
from taxonvision.training.strategies import Placement, lost_workers_told, place
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
    _refuse(examples, options, out)
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


def _refuse(examples: Examples, options: UpdateOptions, out: Path) -> None:
    """UserError for what cannot be had, before anything is done."""
    counts = examples.manifest["counts"]
    if not counts["train"]:
        raise UserError(f"{examples.folder} has no photographs in the split train to learn from")
    if options.head and options.head.fit.early_stopping and not counts["val"]:
        raise UserError(
            f"{examples.folder} has no photographs in the split val, which --early_stopping needs"
        )
    refused = Path(f"{out}{REFUSED}")
    if refused.exists() and not is_model(refused):
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
    photos = {split: with_contents(stored_photos(examples, split)) for split in _SPLITS}
    with _timed("opening the parent", seconds):
        parent = open_parent(model)
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
    _warn_of_unlearned(parent, plan, train.class_ids)
    with _timed("head", seconds):
        fitted = refit(parent, plan, train, val, kept, options, notice, folder)
    with _timed("gate", seconds):
        verdict = judge_heads(
            (parent.head.kernel, parent.head.bias),
            model.classes,
            (fitted.head.kernel, fitted.head.bias),
            plan,
            test.values,
            test.class_ids,
            max_regression=options.max_regression,
            strict=options.strict,
        )
    made = Made(plan, photos, filled, kept, fitted, verdict, seconds)
    write_release(folder, recipe, parent, examples, made, options, store, placement)
    return verdict


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
    known = {plan.changes.current(c.taxon_id) for c in parent.model.classes if c.active}
    old = {taxon: number for taxon, number in plan.active.items() if taxon in known}
    contents = {split: of_split.contents for split, of_split in photos.items()}
    tested = int(among(contents["test"], trained_on.contents).sum())
    if tested:
        say(
            f"warning: the parent was trained on {tested} or more of the test photographs, "
            "which flatters it; ingest with --splits_from"
        )
    held_out = np.concatenate([contents["val"], contents["test"]])
    listed = Listed(class_ids, contents["train"], held_out)
    may_move = options.head is not None
    return keep_old_taxa(options.keep, trained_on, old, listed, store, refit=may_move)


def _warn_of_unlearned(parent: Parent, plan: Plan, class_ids: np.ndarray) -> None:
    added = plan.classes[len(parent.model.classes) :]
    seen = set(np.unique(class_ids).tolist())
    names = [each.name for each in added if each.class_id not in seen]
    if names:
        say(
            f"warning: {several(len(names), 'new class')} without photographs in the split "
            f"train cannot be learned: {', '.join(names[:5])}{' ...' if names[5:] else ''}"
        )


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[step] = time.monotonic() - start
