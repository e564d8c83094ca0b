"""Accuracy along the tree: of each genus, family and so on that has photographs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.lookup import find
from taxonvision.evaluation.metrics.by_taxon import TaxonCounts, name_of, wilson
from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class GroupAccuracy:
    """A node of the tree, and the photographs of taxa at or below it.

    Both intervals are Wilson's over the number of observations: there are thousands of groups.

    Attributes:
        taxon_id: the node.
        parent_taxon_id: the node above it, which is a group too; None at a root.
        rank: of the node.
        name: its scientific name.
        taxa: true taxa at or below it.
        training_photographs: of all classes at or below it.
        photographs: of these taxa.
        observations: that they are of.
        right: photographs whose class is named right.
        right_at_node: photographs for which this node has the best rolled-up score of its rank.
        interval: of the share that is right.
        interval_at_node: of the share that is right at the node.
    """

    taxon_id: int
    parent_taxon_id: int | None
    rank: str
    name: str
    taxa: int
    training_photographs: int
    photographs: int
    observations: int
    right: int
    right_at_node: int
    interval: Interval | None
    interval_at_node: Interval | None

    @property
    def top1(self) -> float:
        """The share of photographs whose class is named right."""
        return self.right / self.photographs

    @property
    def at_node(self) -> float:
        """The share of photographs that are named right at this node."""
        return self.right_at_node / self.photographs


def accuracy_of_groups(
    counts: TaxonCounts,
    truth: np.ndarray,
    best: Mapping[str, np.ndarray],
    known: KnownTaxa,
    taxonomy: Taxonomy,
    lineages: Lineages,
) -> list[GroupAccuracy]:
    """Every node above a true taxon, from the highest ranks down, in order of names.

    Args:
        counts: of the photographs by true taxon.
        truth: int64 [n], taxon ids.
        best: by rank the best node of each photograph, int64 [n].
        known: the model's classes.
        taxonomy: the tree.
        lineages: of the true taxa.
    """
    columns = {
        "taxa": lineages.total(np.ones(len(counts.taxon_ids), np.int64)),
        "training_photographs": _training(known, taxonomy, lineages.node_ids),
        "photographs": lineages.total(counts.photographs),
        "observations": lineages.total(counts.observations),
        "right": lineages.total(counts.right),
        "right_at_node": _right_at_node(truth, best, lineages),
    }
    is_group = np.isin(lineages.node_ids, _parents(taxonomy, lineages.node_ids))
    groups = []
    for at in np.flatnonzero(is_group).tolist():
        node = taxonomy[int(lineages.node_ids[at])]
        numbers = {name: int(column[at]) for name, column in columns.items()}
        n = numbers["photographs"], numbers["observations"]
        groups.append(
            GroupAccuracy(
                taxon_id=node.taxon_id,
                parent_taxon_id=node.parent_taxon_id,
                rank=node.rank,
                name=name_of(taxonomy, node.taxon_id),
                interval=wilson(numbers["right"], *n),
                interval_at_node=wilson(numbers["right_at_node"], *n),
                **numbers,
            )
        )
    levels = {node.taxon_id: -taxonomy[node.taxon_id].rank_level for node in groups}
    return sorted(groups, key=lambda group: (levels[group.taxon_id], group.name, group.taxon_id))


def _right_at_node(
    truth: np.ndarray, best: Mapping[str, np.ndarray], lineages: Lineages
) -> np.ndarray:
    """How many photographs below each node have it as the best of its rank: int64 [M]."""
    right = np.zeros(len(lineages.node_ids), np.int64)
    for nodes in best.values():
        held = nodes[lineages.hold(truth, nodes)]
        right += np.bincount(find(held, lineages.node_ids), minlength=len(right))
    return right


def _training(known: KnownTaxa, taxonomy: Taxonomy, node_ids: np.ndarray) -> np.ndarray:
    """Training photographs of the classes at or below each node: int64 [M]."""
    of_classes = Lineages.of(taxonomy, known.taxon_ids)
    ordered = np.array([known.training_of[t] for t in of_classes.taxon_ids.tolist()], np.int64)
    places = find(node_ids, of_classes.node_ids)
    return np.where(places < 0, 0, np.append(of_classes.total(ordered), 0)[places])


def _parents(taxonomy: Taxonomy, node_ids: np.ndarray) -> np.ndarray:
    parents = [taxonomy[t].parent_taxon_id for t in node_ids.tolist() if t in taxonomy]
    return np.array([parent for parent in parents if parent is not None], np.int64)
