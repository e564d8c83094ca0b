"""The one door to the features of photographs: from the cache, or extracted and kept there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from taxonvision.catalog.contents import unknown
from taxonvision.dataset.stored import StoredPhotos
from taxonvision.errors import UserError
from taxonvision.features.cache import FeatureCache
from taxonvision.features.cached import CachedFeatures
from taxonvision.features.extract import FeatureExtractor, for_strategy
from taxonvision.features.reading import check_listed, read_views, with_contents
from taxonvision.features.search import Wanted
from taxonvision.features.space import FeatureSpace, weights_digest
from taxonvision.progress import say, track, working
from taxonvision.runtime.contract import Contract
from taxonvision.text import several

if TYPE_CHECKING:
    import keras

_SHARD = 2048
"""Photographs in a shard: some seconds of a GPU, some ten of two cores."""
_PATIENCE = 90.0
"""Seconds until what another machine has written shows up: NFS lists folders from memory for 60."""


class NamedBackbone(Protocol):
    """A frozen network: `models.backbones.Backbone`, or that of a model."""

    @property
    def name(self) -> str:
        """What builds it again."""

    @property
    def model(self) -> keras.Model:
        """From float32 [N, S, S, 3], RGB 0–255, to features [N, D]."""


@dataclass(frozen=True)
class Filled:
    """What filling the cache took; each view of a photograph counts.

    Attributes:
        known: that were there, of those that are this worker's part.
        extracted: that were not, and are now.

    """

    known: int
    extracted: int


class _Asked:
    """Photographs that have keys, and the search for them in the caches of some views."""

    def __init__(self, photos: StoredPhotos, caches: Sequence[FeatureCache]) -> None:
        self.photos, self.wanted = photos, Wanted(photos.contents)
        self.searches = [cache.search(self.wanted) for cache in caches]

    def look(self) -> int:
        """Look for them, again if need be; returns how many rows are missing."""
        for search in self.searches:
            search.look()
        return sum(int(search.missing.sum()) for search in self.searches)


@dataclass(frozen=True)
class _Known:
    """What filling has learned of photographs: in how many views, and where all of them lie."""

    photos: StoredPhotos
    views: int | None = None
    asked: _Asked | None = None


class FeatureStore:
    """Features of photographs in one or several views.

    Several workers have one each, over the same folder.
    """

    def __init__(
        self,
        root: Path,
        backbone: NamedBackbone,
        contract: Contract,
        *,
        shrunk_to: int = 0,
        views: int = 1,
        strategy: Any = None,
    ) -> None:
        """Open the cache in `root`, or begin it.

        Args:
            root: the folder of all features, of whatever backbone; `cache.default_cache`.
            backbone: the frozen network.
            contract: how photographs become its input.
            shrunk_to: `Examples.shrunk_to` of what is going to be asked for.
            views: how many; the first is the contract's.
            strategy: of `tf.distribute`, whose devices extract; all its workers open their store
                at the same time. None: one device.

        Raises:
            UserError: the folder cannot be made.

        """
        self.root, self.backbone, self.contract = root, backbone, contract
        self._strategy = strategy
        self._network = for_strategy(backbone.model, strategy)
        self._extractor_built: FeatureExtractor | None = None
        self._known: dict[int, _Known] = {}
        self._shared = False
        weights = weights_digest(backbone.model)
        self.spaces = [
            FeatureSpace(backbone.name, weights, contract, view, shrunk_to) for view in range(views)
        ]
        self.dimension = int(backbone.model.outputs[0].shape[-1])
        self._caches = [FeatureCache(root, space, self.dimension) for space in self.spaces]

    def as_json(self) -> dict[str, Any]:
        """What a manifest says of the cache: its folder, and the digest of each view's space."""
        return {
            "folder": str(self.root.absolute()),
            "spaces": [space.digest for space in self.spaces],
        }

    def fill(
        self,
        photos: StoredPhotos,
        description: str,
        *,
        worker: int = 0,
        workers: int = 1,
        stop: Callable[[], bool] = bool,
        views: int | None = None,
    ) -> Filled | None:
        """Extract this worker's part of what the cache lacks, in the first `views`; None: in all.

        A worker looks at no photographs but those of its part, and for no others' features.
        Returns None when `stop` said so before all was there; what was extracted until then is
        kept. Says how many were known and how many were not.

        Raises UserError for a photograph that is listed and gone, whether or not its features are
        known, and for one to be extracted that cannot be read or has changed.
        """
        self._shared = self._shared or workers > 1
        part = _part(with_contents(photos), worker, workers)
        check_listed(part)
        asked = _Asked(part, self._caches[:views])
        self._known[id(photos)] = _Known(photos, views, asked if workers == 1 else None)
        total = asked.look()
        missing = np.stack([search.missing for search in asked.searches])
        if total:
            counts = self._extract(asked, missing, stop)
            if worker == 0:
                counts = track(counts, total, description, size=int, closing=False)
            if sum(counts) < total:
                return None
        listed = np.bincount(asked.wanted.number, minlength=len(asked.wanted))
        extracted = int((missing * listed).sum())
        known = len(part) * len(asked.searches) - extracted
        if worker == 0:
            seen = f", {several(len(asked.searches), 'view')}" if len(asked.searches) > 1 else ""
            whose = f" (worker 0 of {workers})" if workers > 1 else ""
            say(f"{description}{seen}: {known} from the cache, {extracted} extracted{whose}")
        return Filled(known, extracted)

    def features(self, photos: StoredPhotos) -> tuple[CachedFeatures, ...]:
        """The features of photographs that all workers have filled in, a set a view so filled.

        Raises UserError when some are not in the cache.
        """
        known = self._known.get(id(photos), _Known(photos))
        asked = known.asked or _Asked(with_contents(photos), self._caches[: known.views])
        lost = asked.look()
        if lost and self._shared:
            with working("waiting for the features that other workers extracted"):
                deadline = time.monotonic() + _PATIENCE
                while (lost := asked.look()) and time.monotonic() < deadline:
                    time.sleep(1)
        if lost:
            raise UserError(
                f"{several(lost, 'row')} of features that the workers extracted are not in "
                f"{self.root}; name a folder by --cache that all of them see"
            )
        self._known.pop(id(photos), None)  # where they lie is all that is needed from now on
        return tuple(search.features() for search in asked.searches)

    def kept(self, contents: np.ndarray) -> tuple[np.ndarray, CachedFeatures]:
        """Which photographs with keys uint64 [n, 2] are in the cache of the first view.

        Returns bool [n], and the features of those that are there, in their order.
        """
        wanted = Wanted(contents)
        search = self._caches[0].search(wanted)
        search.look()
        there = ~unknown(contents) & ~search.missing[wanted.number]
        return there, search.features(there)

    def _extract(
        self, asked: _Asked, missing: np.ndarray, stop: Callable[[], bool]
    ) -> Iterator[int]:
        """Extract what is missing, bool [K, u], until told to stop.

        Yields how many rows were done at a time.
        """
        views = np.zeros((len(missing), len(asked.photos)), bool)
        views[:, asked.wanted.example] = missing
        extractor = self._extractor()
        shards = [_Shard(cache, asked, self.backbone.name) for cache in self._caches]
        try:
            pixels = read_views(asked.photos, views, self.contract)
            for batch in _in_batches(pixels, extractor.batch):
                if stop():
                    break
                values = extractor.of(np.stack([each for _, _, each in batch]))
                for (number, view, _), features in zip(batch, values, strict=True):
                    shards[view].add(number, features)
                yield len(batch)
        except BaseException:
            for shard in shards:
                with suppress(UserError):
                    shard.write()
            raise
        for shard in shards:
            shard.write()

    def _extractor(self) -> FeatureExtractor:
        if self._extractor_built is None:
            self._extractor_built = FeatureExtractor(self._network, self._strategy)
        return self._extractor_built


def _part(photos: StoredPhotos, worker: int, workers: int) -> StoredPhotos:
    """A worker's part: keys are random numbers, and all agree on their remainders."""
    if workers == 1:
        return photos
    return photos.take(np.flatnonzero(photos.contents[:, 1] % np.uint64(workers) == worker))


class _Shard:
    """Features on their way into the cache of one view, which takes many at a time."""

    def __init__(self, cache: FeatureCache, asked: _Asked, backbone: str) -> None:
        self._cache, self._photos, self._backbone = cache, asked.photos, backbone
        self._numbers: list[int] = []
        self._rows: list[np.ndarray] = []

    def add(self, number: int, features: np.ndarray) -> None:
        """Take the features float32 [D] of a photograph."""
        with np.errstate(over="ignore", invalid="ignore"):
            row = features.astype(np.float16)
        if not np.isfinite(row).all():
            raise UserError(
                f"{self._backbone} gives {self._photos.name(number)} features that are no "
                f"numbers or beyond {np.finfo(np.float16).max:.0f}, which the feature cache cannot "
                "hold; leave the photograph out, or train on another backbone"
            )
        self._numbers.append(number)
        self._rows.append(row)
        if len(self._rows) == _SHARD:
            self.write()

    def write(self) -> None:
        """Put into the cache what was taken since the last time."""
        if self._rows:
            self._cache.add(self._photos.contents[self._numbers], np.stack(self._rows))
        self._numbers, self._rows = [], []


def _in_batches(
    pixels: Iterator[tuple[int, int, np.ndarray]], size: int
) -> Iterator[list[tuple[int, int, np.ndarray]]]:
    while batch := list(islice(pixels, size)):
        yield batch
