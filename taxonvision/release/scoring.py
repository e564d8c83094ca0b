"""The best taxon of each photograph, by a head on kept features, for heads of any width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taxonvision.evaluation.scores import NO_TAXON
from taxonvision.features.rows import Rows
from taxonvision.progress import track

_PHOTOGRAPHS = 1024
_CLASSES = 4096  # scored at once: 17 MB of logits, and no slower than all of them together


def best_taxa(
    features: Rows,
    kernel: np.ndarray,
    bias: np.ndarray,
    taxon_ids: np.ndarray,
    column_sets: Sequence[np.ndarray],
    description: str = "naming the test photographs",
) -> list[np.ndarray]:
    """The best taxon of each photograph among several sets of classes, with one matrix product.

    Neither all features nor all logits are ever in memory together.

    Args:
        features: of n photographs, D each.
        kernel: float32 [D, C], column c is class c.
        bias: float32 [C].
        taxon_ids: int64 [C], the taxon of today of each class; several classes may be one taxon,
            whose score is that of the best of them.
        column_sets: int64 [k] each, the classes among which to choose.
        description: what the progress bar says.

    Returns:
        For each set int64 [n], taxa of today; 0 where the set is empty or the logits are no
        numbers. Of classes that score alike the first counts.
    """
    taxon_ids = np.asarray(taxon_ids, np.int64)
    best = [np.full(len(features), NO_TAXON) for _ in column_sets]
    blocks = _blocks(len(taxon_ids), column_sets)
    starts = range(0, len(features), _PHOTOGRAPHS)
    spans = [slice(start, min(start + _PHOTOGRAPHS, len(features))) for start in starts]
    for span in track(spans, len(features), description, size=_length, closing=False):
        rows = np.asarray(features[span], np.float32)
        tops = [np.full(len(rows), -np.inf, np.float32) for _ in column_sets]
        for block, chosen in blocks:
            logits = rows @ kernel[:, block] + bias[block]
            for of_set, top, columns in zip(best, tops, chosen, strict=True):
                if len(columns):
                    _take_better(of_set[span], top, logits, columns, taxon_ids[block])
    return best


def _length(span: slice) -> int:
    return span.stop - span.start


def _blocks(
    classes: int, column_sets: Sequence[np.ndarray]
) -> list[tuple[slice, list[np.ndarray]]]:
    """Ranges of classes and, for each set, which of the range's classes are in it."""
    columns = [np.unique(np.asarray(chosen, np.int64)) for chosen in column_sets]
    blocks = []
    for start in range(0, classes, _CLASSES):
        block = slice(start, min(start + _CLASSES, classes))
        inside = [chosen[(chosen >= start) & (chosen < block.stop)] - start for chosen in columns]
        if any(map(len, inside)):
            blocks.append((block, inside))
    return blocks


def _take_better(
    best: np.ndarray, top: np.ndarray, logits: np.ndarray, columns: np.ndarray, ids: np.ndarray
) -> None:
    """Write the best of some columns where it outdoes the best so far, `best` [b], `top` [b]."""
    among = logits if len(columns) == logits.shape[1] else logits[:, columns]
    at = among.argmax(axis=1)
    values = among[np.arange(len(among)), at]
    better = values > top
    best[better] = ids[columns[at[better]]]
    top[better] = values[better]
