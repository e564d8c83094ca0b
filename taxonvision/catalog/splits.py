"""Which split a photograph belongs to: what the labels say, else a hash of its content."""

from __future__ import annotations

from taxonvision.catalog.catalog import SPLITS

_TRAIN_SHARE, _VAL_SHARE = 0.8, 0.1
_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_named(word: str) -> str | None:
    """The split that a word such as `valid` or `Training` means; None when it means none."""
    return _WORDS.get(word.strip().lower())


def split_by_hash(sha256: str) -> str:
    """80 % train, 10 % val, 10 % test by the photograph's SHA-256 (hex).

    A photograph keeps its split when others come or go, and copies of it share it.
    """
    position = int(sha256[:8], 16) / 2**32
    if position < _TRAIN_SHARE:
        return SPLITS[0]
    return SPLITS[1] if position < _TRAIN_SHARE + _VAL_SHARE else SPLITS[2]
