"""The features that a head is fitted on, from all workers to the chief."""

from __future__ import annotations

from collections.abc import Mapping

from taxonvision.dataset.stored import StoredPhotos
from taxonvision.errors import RequeueError
from taxonvision.features.store import FeatureStore, Filled
from taxonvision.training.feeds import Features
from taxonvision.training.signals import Notice
from taxonvision.training.step import from_all
from taxonvision.training.strategies import Placement


def extract(
    store: FeatureStore,
    photos: Mapping[str, StoredPhotos],
    placement: Placement,
    notice: Notice,
    what: str = "features",
) -> list[Filled]:
    """Fill the cache with the features of the photographs of some splits; waits for all workers.

    Returns what all workers together had to do for each; says so of `what`.

    Raises RequeueError when one of them was told to stop, UserError for a photograph that cannot be
    used.
    """
    filled: list[Filled] = []
    for split, of_split in photos.items():
        done = store.fill(
            of_split,
            f"{what} of {split}",
            worker=placement.worker,
            workers=placement.workers,
            stop=lambda: notice.given,
            views=None if split == "train" else 1,  # nothing is fitted on the others
        )
        if done is None:
            break
        filled.append(done)
    if from_all(placement, int(len(filled) < len(photos))):
        raise RequeueError("the features are not complete, exiting with 85 to be requeued")
    return [_of_all(placement, each) for each in filled]


def _of_all(placement: Placement, filled: Filled) -> Filled:
    """Sums over the workers."""
    return Filled(*(from_all(placement, n) for n in (filled.known, filled.extracted)))


def features_of(store: FeatureStore, photos: StoredPhotos) -> Features:
    """The features of photographs that were extracted, in all views."""
    values, *views = store.features(photos)
    return Features(values, photos.class_ids, tuple(views))
