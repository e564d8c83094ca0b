"""The head of the next release before it is refitted: the parent's rows, by class id.

A row is what a head knows of one class: a column of the kernel and an entry of the bias. Class ids
never move (`catalog.class_ids`), so the logits of taxa that nothing happened to stay as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.taxonomy.changes import Changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.differences import merges, origins_in_splits

KEPT, MERGED, SPLIT, NEW = "kept", "merged", "split", "new"


@dataclass(frozen=True)
class Grown:
    """A head with a row for each class of the next release.

    Attributes:
        kernel: float32 [D, C'].
        bias: float32 [C'].
        origins: where the row of each class comes from: `kept`, `merged`, `split` or `new` (zeros).
    """

    kernel: np.ndarray
    bias: np.ndarray
    origins: tuple[str, ...]


def grow_head(
    kernel: np.ndarray,
    bias: np.ndarray,
    before: Sequence[TaxonClass],
    after: Sequence[TaxonClass],
    photographs: Mapping[int, int],
    changes: Changes,
) -> Grown:
    """Give the parent's head a row for each class of `after`.

    - Rows are kept bit for bit, also those of renamed, moved, retired and returned taxa.
    - A taxon that others became a part of gets the mean of the active rows that lead to it,
      weighted by photographs, in its own class id.
    - A taxon that was split off and had no class before starts from the row of the taxon that it
      was a part of; from their weighted mean where it was a part of several.
    - All other new rows are zeros.

    Takes no more memory than the two kernels.

    Args:
        kernel: the parent's, float32 [D, C].
        bias: the parent's, float32 [C].
        before: the parent's classes by id.
        after: the next classes by id, as `catalog.class_ids.grow_classes` made them of `before`
            and `changes`.
        photographs: how many photographs the parent's row of each taxon id was trained on; what
            is missing or 0 counts as 1, so that no row is lost.
        changes: what became of taxa.

    Raises:
        ValueError: a class id moved, or the head has not one row a class.

    """
    if kernel.shape[1:] != (len(before),) or bias.shape != (len(before),):
        raise ValueError(f"a head of {kernel.shape[1]} rows for {len(before)} classes")
    grown_kernel = np.zeros((len(kernel), len(after)), np.float32)
    grown_bias = np.zeros(len(after), np.float32)
    grown_kernel[:, : len(before)] = kernel
    grown_bias[: len(before)] = bias
    origins = [KEPT] * len(before) + [NEW] * (len(after) - len(before))
    merged = {m.into.class_id: m.before for m in merges(before, after, changes)}
    split = origins_in_splits(before, after, changes)
    for class_id, of_class in (merged | split).items():
        ids = [c.class_id for c in of_class]
        weights = np.array([max(photographs.get(c.taxon_id, 0), 1) for c in of_class], float)
        weights /= weights.sum()
        grown_kernel[:, class_id] = _mean(kernel[:, ids], weights)
        grown_bias[class_id] = _mean(bias[ids], weights)
        origins[class_id] = MERGED if class_id in merged else SPLIT
    return Grown(grown_kernel, grown_bias, tuple(origins))


def _mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean over the last axis; the row itself, bit for bit, where there is one."""
    return rows.astype(np.float64) @ weights if len(weights) > 1 else rows[..., 0]
