"""A backbone, an extractor and photographs that need no TensorFlow and little time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from taxonvision.catalog.contents import content_of
from taxonvision.dataset.stored import StoredPhotos
from taxonvision.features.store import FeatureStore
from taxonvision.runtime.contract import Contract

SIZE, DIMENSION = 4, 5
CONTRACT = Contract(SIZE)
_PROJECTION = np.random.default_rng(1).normal(size=(SIZE * SIZE * 3, DIMENSION)) / 64


def features_of(pixels):
    """Stands in for what a network says of pixels uint8 [n, S, S, 3]."""
    return (pixels.reshape(len(pixels), -1) @ _PROJECTION).astype(np.float32)


@dataclass
class FakeExtractor:
    """Counts the photographs that go through it."""

    batch: int = 3
    extracted: int = 0

    def of(self, pixels):
        assert 0 < len(pixels) <= self.batch
        self.extracted += len(pixels)
        return features_of(pixels)


def backbone(weight=0.5, name="fake"):
    """A network that has one weight, and never runs."""
    variable = SimpleNamespace(name="kernel", numpy=lambda: np.full((2, 3), weight, np.float32))
    model = SimpleNamespace(weights=[variable], outputs=[SimpleNamespace(shape=(None, DIMENSION))])
    return SimpleNamespace(name=name, model=model)


class FakeStore(FeatureStore):
    """A store whose extractor is a fake; `extracted` counts what went through it."""

    def __init__(self, root, network=None, contract=CONTRACT, **options):
        self.fake = FakeExtractor()
        super().__init__(root, network or backbone(), contract, **options)

    @property
    def extracted(self):
        return self.fake.extracted

    def _extractor(self):
        return self.fake


def write_photos(folder: Path, count: int, seed=0):
    """So many small photographs, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 5, 6, 3), np.uint8)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, each in zip(paths, pixels, strict=True):
        Image.fromarray(each).save(path)
    return paths


def stored(paths, *, known=True):
    """Photographs as a catalog stores them."""
    keys = [content_of(path.read_bytes()) if known else (0, 0) for path in paths]
    return StoredPhotos(
        files=paths,
        file_numbers=np.arange(len(paths), dtype=np.int32),
        offsets=np.zeros(len(paths), np.int64),
        lengths=np.full(len(paths), -1, np.int64),
        class_ids=np.zeros(len(paths), np.int32),
        photo_id=lambda number: f"p{number}",
        contents=np.array(keys, np.uint64).reshape(-1, 2),
        shrink_to=None,
    )


def direct(paths, contract=CONTRACT):
    """What the cache must answer: the features of the photographs, through float16."""
    if not paths:
        return np.empty((0, DIMENSION), np.float32)
    values = features_of(np.concatenate(list(contract.read_batches(paths, 100))))
    return values.astype(np.float16).astype(np.float32)
