"""What guards old taxa when the photographs that their rows were trained on are not all at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.catalog.contents import among
from taxonvision.errors import UserError
from taxonvision.models.trained_on import TrainedOn
from taxonvision.text import several

if TYPE_CHECKING:
    from taxonvision.features.cached import CachedFeatures
    from taxonvision.features.store import FeatureStore

AUTO, REPLAY, DISTILL, NONE = "auto", "replay", "distill", "none"
KEEPS = (AUTO, REPLAY, DISTILL, NONE)
_FEW = 0.1
"""Share of the old photographs that may be missing, of no taxon all, before the parent's opinion of
all photographs is worth more than what the others teach."""


@dataclass(frozen=True)
class KeepOptions:
    """How old taxa are guarded.

    Attributes:
        how: `replay` trains on kept features of old photographs too; `distill` holds on to what
            the parent says of the new photographs; `none`; `auto` takes the first that is needed
            and can be had.
        replay_photos: at most so many old photographs of a taxon are replayed.
        weight: of the parent's opinion in the loss.
    """

    how: str = AUTO
    replay_photos: int = 20
    weight: float = 10.0


@dataclass(frozen=True)
class Listed:
    """The photographs of the catalog.

    Attributes:
        class_ids: int32 [n], the classes of those to train on.
        train: uint64 [n, 2], their contents.
        held_out: uint64 [m, 2], contents of those to validate and test with, which must not be
            trained on even if the parent was.
    """

    class_ids: np.ndarray
    train: np.ndarray
    held_out: np.ndarray


@dataclass(frozen=True)
class Kept:
    """What was decided.

    Attributes:
        how: `replay`, `distill` or `none`.
        reason: why, in a sentence.
        features: of the old photographs that are replayed, if any.
        class_ids: int32 [n], their classes.
        contents: uint64 [n, 2], their keys.
    """

    how: str
    reason: str
    features: CachedFeatures | None = None
    class_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    contents: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.uint64))


def keep_old_taxa(
    options: KeepOptions,
    trained_on: TrainedOn,
    old: Mapping[int, int],
    listed: Listed,
    store: FeatureStore,
    *,
    refit: bool = True,
) -> Kept:
    """Decide what guards the taxa that the parent knows.

    Args:
        options: what was asked for.
        trained_on: the parent's photographs, by the taxa of today.
        old: ids of the active classes that the parent knows, by taxon.
        listed: the photographs of the catalog.
        store: the features kept.
        refit: whether rows of old taxa may move at all.

    Raises UserError when a replay is asked for and no features of old photographs are kept.
    """
    known = np.isin(trained_on.taxon_ids, np.array(sorted(old), np.int64))
    away = known & ~among(trained_on.contents, listed.train)
    without = set(old.values()) - set(np.unique(listed.class_ids).tolist())
    lacking = _lacking(int(away.sum()), without)
    if not lacking and old and not known.any():
        sentence = "all old taxa have photographs in the catalog; the parent does not say whether "
        return Kept(NONE, f"{sentence}those are all that it was trained on")
    if not lacking:
        return Kept(NONE, "all photographs of old taxa are at hand")
    if options.how == NONE:
        return Kept(NONE, f"warning: {lacking}, and nothing guards them (--keep=none)")
    how, held = (
        (DISTILL, "the parent's opinion is held on to")
        if refit
        else (NONE, "the rows of old taxa stay as they are")
    )
    if options.how == DISTILL:
        return Kept(how, f"{lacking}: {held}")
    usable = np.flatnonzero(away & ~among(trained_on.contents, listed.held_out))
    there, features = store.kept(trained_on.contents[usable])
    usable = usable[there]
    # Sorted by taxon, and within a taxon in the order of a hash.
    taxa = trained_on.taxon_ids[usable]
    chosen = np.arange(len(taxa)) - np.searchsorted(taxa, taxa) < options.replay_photos
    usable, features = usable[chosen], features.take(np.flatnonzero(chosen))
    if not len(usable):
        if options.how == REPLAY:
            raise UserError(
                f"{lacking}, and {store.root} holds no features of them to replay; name the "
                "parent's --cache, ingest all photographs, or take --keep=distill"
            )
        if not without and away.sum() <= _FEW * known.sum():
            return Kept(NONE, f"{lacking}, too few to guard old taxa for")
        return Kept(how, f"{lacking}, nor are features of them kept: {held}")
    class_ids = np.array([old[t] for t in trained_on.taxon_ids[usable].tolist()], np.int32)
    taxa_replayed = len(np.unique(class_ids))
    sentence = (
        f"{lacking}: kept features of {several(len(usable), 'old photograph')} of "
        f"{taxa_replayed} {'taxon' if taxa_replayed == 1 else 'taxa'} are replayed"
    )
    return Kept(REPLAY, sentence, features, class_ids, trained_on.contents[usable])


def _lacking(photographs: int, taxa: Collection[int]) -> str:
    """What of the old taxa is not in the catalog, in words; "" where nothing is known to lack."""
    if taxa:
        of_old = "old taxon has" if len(taxa) == 1 else "old taxa have"
        return f"{len(taxa)} {of_old} no photographs to train on in the catalog"
    if photographs:
        return f"{photographs} or more photographs of old taxa are not in the catalog"
    return ""
