"""The photographs that an export needs, drawn from a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.catalog.catalog import Catalog
from taxonvision.dataset.stored import StoredPhotos, stored_photos
from taxonvision.errors import UserError
from taxonvision.features.reading import with_contents
from taxonvision.features.rows import Rows
from taxonvision.features.store import FeatureStore
from taxonvision.progress import track
from taxonvision.runtime.contract import Contract

_BATCH = 32


@dataclass(frozen=True)
class Drawn:
    """Photographs of taxa that a head names.

    Attributes:
        photos: where they lie.
        features: those of the backbone, float32 [n, D].
        truth: int64 [n], the positions of their taxa among the outputs.
    """

    photos: StoredPhotos
    features: Rows
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    def pixels(self, contract: Contract, description: str) -> np.ndarray:
        """What a client would put into the model: uint8 [n, S, S, 3]."""
        return pixels_of(self.photos, contract, description)


def draw(
    catalog: Catalog,
    split: str,
    taxon_ids: Sequence[int],
    count: int,
    seed: int,
    store: FeatureStore,
) -> Drawn:
    """At most `count` photographs of these taxa.

    Those to learn from are drawn with the taxa in turn, those to judge with as they come: rare taxa
    must not count for more than they are seen.
    """
    photos = stored_photos(catalog, split)
    truth = _outputs(catalog, taxon_ids)[photos.class_ids]
    known = np.flatnonzero(truth >= 0)
    by_chance = np.random.default_rng(seed).permutation(len(known))
    order = _in_turn(truth[known], seed) if split == "train" else by_chance
    chosen = known[order[:count]]
    drawn = with_contents(photos.take(chosen))
    store.fill(drawn, f"features of {split} photographs", views=1)
    return Drawn(drawn, store.features(drawn)[0], truth[chosen])


def calibration_pixels(catalog: Catalog, contract: Contract, count: int, seed: int) -> np.ndarray:
    """Photographs of the split train, the classes in turn, as uint8 [n, S, S, 3].

    They are those of all taxa, also for a region: the backbone's ranges are then the same in every
    bundle of a model.

    Raises UserError when there is none.
    """
    photos = stored_photos(catalog, "train")
    if not len(photos):
        raise UserError(f"{catalog.folder} has no photograph in the split train to calibrate with")
    chosen = photos.take(_in_turn(photos.class_ids, seed)[:count])
    return pixels_of(chosen, contract, "reading calibration photographs")


def pixels_of(photos: StoredPhotos, contract: Contract, description: str) -> np.ndarray:
    """What the contract shows of them, uint8 [n, S, S, 3]."""
    sources = [photos.source(number) for number in range(len(photos))]
    pixels = np.empty((len(sources), contract.size, contract.size, 3), np.uint8)
    if not sources:
        return pixels
    done = 0
    batches = contract.read_batches(sources, _BATCH)
    for batch in track(batches, len(sources), description, size=len):
        pixels[done : done + len(batch)] = batch
        done += len(batch)
    return pixels


def _outputs(catalog: Catalog, taxon_ids: Sequence[int]) -> np.ndarray:
    """The output of each class id of the catalog, -1 where it is none: int64 [C]."""
    position = {taxon_id: at for at, taxon_id in enumerate(taxon_ids)}
    return np.array([position.get(c.taxon_id, -1) for c in catalog.classes], np.int64)


def _in_turn(class_ids: np.ndarray, seed: int) -> np.ndarray:
    """Positions [n] in an order by chance in which every class comes before any comes again."""
    shuffled = np.random.default_rng(seed).permutation(len(class_ids))
    turn = np.empty(len(class_ids), np.int64)
    seen: dict[int, int] = {}
    for index in shuffled.tolist():
        class_id = int(class_ids[index])
        turn[index] = seen[class_id] = seen.get(class_id, -1) + 1
    return shuffled[np.argsort(turn[shuffled], kind="stable")]
