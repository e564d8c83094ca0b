"""The head of the next release: grown, then fitted again, or its new rows imprinted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.features.cached import CachedFeatures
from taxonvision.features.rows import Rows
from taxonvision.release.grow import NEW, SPLIT, Grown, grow_head
from taxonvision.release.imprint import imprint
from taxonvision.release.keep import DISTILL, Kept
from taxonvision.release.options import UpdateOptions
from taxonvision.release.parent import Parent
from taxonvision.release.plan import Plan
from taxonvision.storage import digest_of
from taxonvision.training.feeds import Features
from taxonvision.training.head import Guard, Head, fit_active
from taxonvision.training.signals import Notice
from taxonvision.training.unfinished import go_on_with


@dataclass(frozen=True)
class Fitted:
    """A head and how it came about.

    Attributes:
        head: of all classes.
        history: one mapping an epoch.
        metrics: of the epoch whose weights were kept.
        imprinted: ids int64 [m] of the classes whose rows were imprinted.
    """

    head: Head
    history: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    imprinted: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


def refit(
    parent: Parent,
    plan: Plan,
    train: Features,
    contents: np.ndarray,
    held_out: Features,
    kept: Kept,
    options: UpdateOptions,
    notice: Notice,
    folder: Path,
) -> Fitted:
    """Grow the parent's head and fit it, or imprint the rows of new taxa.

    Args:
        parent: the release before.
        plan: the classes of this one.
        train: of the photographs of the catalog, with the class ids of this release.
        contents: uint64 [n, 2], their keys.
        held_out: of those to validate with.
        kept: what guards old taxa.
        options: how.
        notice: tells that the process must end soon.
        folder: for checkpoints, the history and logs.
    """
    before, classes = parent.head, parent.model.classes
    photographs = parent.trained_on.photographs
    grown = grow_head(before.kernel, before.bias, classes, plan.classes, photographs, plan.changes)
    train = _with_replayed(train, kept)
    contents = np.concatenate([contents, kept.contents])
    if options.head is None:
        return _imprinted(grown, plan, train, options.seed)
    guard = None
    if kept.how == DISTILL:
        old = np.array([c.class_id for c in classes if plan.classes[c.class_id].active])
        opinion = Head(grown.kernel[:, old].copy(), grown.bias[old].copy())
        guard = Guard(opinion, old, options.keep.weight)
    go_on_with(folder, digest_of([kept.how, *map(_bytes_digest, (train.class_ids, contents))]))
    head, outcome = fit_active(
        Head(grown.kernel, grown.bias),
        plan.classes,
        plan.taxonomy,
        train,
        held_out,
        options.head,
        notice,
        folder,
        guard,
    )
    metrics = {name: value for name, value in outcome.kept.items() if name != "trained"}
    return Fitted(head, outcome.history, metrics)


def _imprinted(grown: Grown, plan: Plan, train: Features, seed: int) -> Fitted:
    # Those split off start as copies of one row, which tells none from the others; without
    # photographs they keep it.
    seen = np.bincount(train.class_ids, minlength=len(grown.bias)) > 0
    origins = np.array(grown.origins)
    new = np.flatnonzero((origins == NEW) | ((origins == SPLIT) & seen))
    old = np.setdiff1d(np.array(list(plan.active.values()), np.int64), new)
    kernel, bias = imprint(
        grown.kernel, grown.bias, train.values, train.class_ids, new=new, old=old, seed=seed
    )
    return Fitted(Head(kernel, bias), imprinted=new)


def _bytes_digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _with_replayed(train: Features, kept: Kept) -> Features:
    """The features to train on, and those of old photographs that are replayed, in every view."""
    if kept.features is None:
        return train
    values, *views = (_joined(look, kept.features) for look in (train.values, *train.views))
    return Features(values, np.concatenate([train.class_ids, kept.class_ids]), tuple(views))


def _joined(listed: Rows, replayed: CachedFeatures) -> Rows:
    assert isinstance(listed, CachedFeatures)  # as all that the store gives
    return listed.joined(replayed)
