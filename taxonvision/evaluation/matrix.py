"""Kept scores as sparse matrices, photographs by taxa, and rolled up the tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.evaluation.scores import Scores
from taxonvision.taxonomy.tree import Taxonomy

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def class_matrix(scores: Scores, taxon_ids: np.ndarray) -> csr_array:
    """The kept scores of n photographs, float64 [n, C].

    Args:
        scores: of the photographs.
        taxon_ids: int64 [C], ascending; kept classes that are none of them are left out.
    """
    from scipy.sparse import csr_array

    kept = scores.classes
    columns = np.minimum(np.searchsorted(taxon_ids, kept.taxon_ids), len(taxon_ids) - 1)
    there = taxon_ids[columns] == kept.taxon_ids
    entries = kept.scores[there].astype(np.float64)
    places = (kept.photographs[there], columns[there])
    return csr_array((entries, places), shape=(len(scores), len(taxon_ids)))


def ancestry(taxonomy: Taxonomy, taxon_ids: np.ndarray, node_ids: np.ndarray) -> csr_array:
    """Which nodes are at or above each taxon: float64 ones and zeros [C, M].

    `class_matrix(...) @ ancestry(...)` rolls kept scores up the tree.

    Args:
        taxonomy: the tree; taxa that are not in it have no ancestors.
        taxon_ids: int64 [C].
        node_ids: int64 [M], ascending, at least the taxa and all their ancestors.
    """
    from scipy.sparse import csr_array

    lineages = [_lineage(taxonomy, taxon_id) for taxon_id in taxon_ids.tolist()]
    rows = np.repeat(np.arange(len(taxon_ids)), [len(lineage) for lineage in lineages])
    columns = np.searchsorted(node_ids, [node for lineage in lineages for node in lineage])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(taxon_ids), len(node_ids)))


def nodes_above(taxonomy: Taxonomy, taxon_ids: Sequence[int]) -> np.ndarray:
    """The taxa and all their ancestors, int64 [M], ascending."""
    known = [taxon_id for taxon_id in taxon_ids if taxon_id in taxonomy]
    return np.array(sorted(t.taxon_id for t in taxonomy.closure(known)), np.int64)


def _lineage(taxonomy: Taxonomy, taxon_id: int) -> list[int]:
    if taxon_id not in taxonomy:
        return []
    return [taxon.taxon_id for taxon in taxonomy.lineage(taxon_id)]
