"""The best branch of the tree for each of many photographs, from the scores kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.lookup import find_unsorted
from taxonvision.evaluation.scores import Scores
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy

_AT_ONCE = 5000
"""Photographs; of each, at most 500 classes are kept."""


@dataclass(frozen=True)
class Branches:
    """The nodes of best branches, each from the root down.

    Attributes:
        photographs: int64 [m], the photograph of each entry, ascending.
        nodes: int64 [m], indices into `RollUp.node_ids`.
        scores: float64 [m], rolled-up scores of the kept classes, fractions of 1.
    """

    photographs: np.ndarray
    nodes: np.ndarray
    scores: np.ndarray


class Paths:
    """The way from the root to each node of a tree, as a table.

    Attributes:
        depths: int64 [M], 0 at a root.
        nodes: int32 [M, D], the node itself at its depth, above it its ancestors, below it -1.
    """

    def __init__(self, roll_up: RollUp) -> None:
        parents = roll_up.parents
        depths = np.zeros(len(parents), np.int64)
        for node, parent in enumerate(parents.tolist()):  # parents come before their children
            if parent >= 0:
                depths[node] = depths[parent] + 1
        self.depths = depths
        self.nodes = np.full((len(parents), depths.max(initial=0) + 1), -1, np.int32)
        for depth in range(self.nodes.shape[1]):
            here = np.flatnonzero(depths == depth)
            if depth:
                self.nodes[here] = self.nodes[parents[here]]
            self.nodes[here, depth] = here

    def at_or_below(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        """Whether nodes `below`, int64 [m], -1 for none, are at or below those of `above` [m]."""
        return (below >= 0) & (self.nodes[below, self.depths[above]] == above)


def best_branches(
    scores: Scores, roll_up: RollUp, paths: Paths, thresholds: Thresholds
) -> Branches:
    """The branch that `runtime.answer.decide` finds for each of n photographs.

    A photograph has none where its scores say that it shows nothing the model knows.
    Never more than the kept entries are held: 100,000 photographs and 60,000 classes take seconds.
    Sums of scores may differ from those of `decide` by the rounding of 64-bit floats.

    Args:
        scores: of the photographs; classes that are not in the tree are left out.
        roll_up: the tree over the classes.
        paths: of the same tree.
        thresholds: what is known and kept; those above which taxa are named play no part.
    """
    parts = [
        Branches(branches.photographs + start, branches.nodes, branches.scores)
        for start, stop in _slices(len(scores))
        for branches in [_branches_of(scores, start, stop, roll_up, paths, thresholds)]
    ]
    return Branches(
        np.concatenate([np.zeros(0, np.int64), *(part.photographs for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.nodes for part in parts)]),
        np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
    )


def nodes_of(taxon_ids: np.ndarray, taxonomy: Taxonomy, roll_up: RollUp) -> np.ndarray:
    """The node of each taxon, or of its nearest ancestor that is one; -1 where there is none.

    Args:
        taxon_ids: int64 [n].
        taxonomy: a tree that may hold more taxa than that of the nodes.
        roll_up: the tree of the nodes.
    """
    index = {taxon_id: node for node, taxon_id in enumerate(roll_up.node_ids.tolist())}

    def node_of(taxon_id: int) -> int:
        lineage = taxonomy.lineage(taxon_id) if taxon_id in taxonomy else ()
        return next((index[t.taxon_id] for t in lineage if t.taxon_id in index), -1)

    distinct, inverse = np.unique(taxon_ids, return_inverse=True)
    return np.array([node_of(taxon_id) for taxon_id in distinct.tolist()], np.int64)[inverse]


def _slices(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _AT_ONCE):
        yield start, min(start + _AT_ONCE, count)


def _branches_of(
    scores: Scores, start: int, stop: int, roll_up: RollUp, paths: Paths, thresholds: Thresholds
) -> Branches:
    """The branches of photographs [start:stop], counted from 0."""
    starts = scores.classes.starts[start : stop + 1]
    entries = slice(int(starts[0]), int(starts[-1]))
    photographs = np.repeat(np.arange(stop - start), np.diff(starts))
    values = scores.classes.scores[entries].astype(np.float64)
    nodes = find_unsorted(scores.classes.taxon_ids[entries], roll_up.node_ids)
    known = np.bincount(photographs, values, stop - start) + scores.rest[start:stop]
    best = np.zeros(stop - start)
    np.maximum.at(best, photographs, values)
    kept = (nodes >= 0) & (values > 0) & (known >= thresholds.unknown)[photographs]
    kept &= values >= thresholds.kept_share * best[photographs]
    photographs, nodes, values = photographs[kept], nodes[kept], values[kept]
    values /= np.bincount(photographs, values, stop - start)[photographs]
    order = np.lexsort((nodes, photographs))  # nodes are numbered depth first
    return _descend(photographs[order], nodes[order], values[order], stop - start, paths)


def _descend(
    photographs: np.ndarray, nodes: np.ndarray, values: np.ndarray, count: int, paths: Paths
) -> Branches:
    """Greedy descent for all photographs at once, one depth after the other.

    Entries are classes with their scores, sorted by photograph and by node, so that those below
    one node are neighbours. Those that are not below a photograph's branch drop out.
    """
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for depth in range(paths.nodes.shape[1]):
        above = paths.nodes[nodes, depth]
        own = np.zeros(count)  # the score of a class that sits on the branch's last node itself
        ended = above < 0
        own[photographs[ended]] = values[ended]
        photographs, nodes, values, above = (
            array[~ended] for array in (photographs, nodes, values, above)
        )
        if not len(above):
            break
        starts = _starts(photographs, above)
        sums = np.add.reduceat(values, starts)
        owners = photographs[starts]
        order = np.lexsort((-sums, owners))  # of equal scores the first node stays first
        best = order[_starts(owners[order])]
        best = best[sums[best] >= own[owners[best]]]
        found.append((owners[best], above[starts[best]].astype(np.int64), sums[best]))
        chosen = np.full(count, -1)
        chosen[owners[best]] = above[starts[best]]
        below = chosen[photographs] == above
        photographs, nodes, values = photographs[below], nodes[below], values[below]
    if not found:
        return Branches(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Branches(*(column[order] for column in columns))


def _starts(*keys: np.ndarray) -> np.ndarray:
    """Where a run of equal keys begins, in arrays of at least one element."""
    changes = np.zeros(len(keys[0]), bool)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)
