"""The nodes at or above taxa, as arrays: what a photograph counts for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.lookup import find
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Lineages:
    """Some taxa and all nodes at or above each of them, as pairs of positions.

    Attributes:
        taxon_ids: int64 [T], ascending.
        node_ids: int64 [M], ascending: the taxa and their ancestors.
        taxa: int64 [k], positions in `taxon_ids`, ascending.
        nodes: int64 [k], positions in `node_ids`, ascending within a taxon.
    """

    taxon_ids: np.ndarray
    node_ids: np.ndarray
    taxa: np.ndarray
    nodes: np.ndarray

    @classmethod
    def of(cls, taxonomy: Taxonomy, taxon_ids: np.ndarray) -> Lineages:
        """The lineages of these taxa; one that is not in the tree has only itself."""
        distinct = np.unique(taxon_ids)
        chains = [_lineage(taxonomy, taxon_id) for taxon_id in distinct.tolist()]
        above = np.array([node for chain in chains for node in chain], np.int64)
        node_ids, nodes = np.unique(above, return_inverse=True)
        taxa = np.repeat(np.arange(len(distinct)), [len(chain) for chain in chains])
        order = np.lexsort((nodes, taxa))
        return cls(distinct, node_ids, taxa[order], nodes[order])

    def hold(self, taxon_ids: np.ndarray, node_ids: np.ndarray) -> np.ndarray:
        """Whether each node, int64 [n], is at or above the taxon, int64 [n], beside it."""
        if not len(self.taxa):
            return np.zeros(len(taxon_ids), bool)
        taxa, nodes = find(taxon_ids, self.taxon_ids), find(node_ids, self.node_ids)
        pairs = self.taxa * len(self.node_ids) + self.nodes
        asked = taxa * len(self.node_ids) + nodes
        return (taxa >= 0) & (nodes >= 0) & (find(asked, pairs) >= 0)

    def total(self, by_taxon: np.ndarray) -> np.ndarray:
        """Numbers of the taxa, int64 [T], added up at each node: int64 [M]."""
        sums = np.bincount(self.nodes, by_taxon[self.taxa], len(self.node_ids))
        return sums.astype(np.int64)


def _lineage(taxonomy: Taxonomy, taxon_id: int) -> Sequence[int]:
    if taxon_id not in taxonomy:
        return [taxon_id]
    return [taxon.taxon_id for taxon in taxonomy.lineage(taxon_id)]
