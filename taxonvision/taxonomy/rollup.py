"""Scores of classes summed up the tree: what is the score of the genus, of the family?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from taxonvision.taxonomy.tree import Taxonomy

_LEAVE = -2  # on the stack of the walk: all descendants of the node are numbered


class RollUp:
    """The arithmetic of a tree over the classes of a head.

    A node's score is the sum of the scores of all classes at or below it; a class that sits on an
    inner node adds its own score to its children's.

    Attributes:
        node_ids: int64 [M], the taxon ids of the classes and all their ancestors, parents before
            their children.
        parents: int64 [M], the index of each node's parent, -1 at a root.
        rank_levels: float64 [M], the level of each node's rank.
    """

    def __init__(self, taxonomy: Taxonomy, class_taxon_ids: Sequence[int]) -> None:
        tree = taxonomy.closure(class_taxon_ids)
        self.taxonomy = tree
        self.class_count = len(class_taxon_ids)
        class_of = {taxon_id: position for position, taxon_id in enumerate(class_taxon_ids)}
        order, starts, stops, nodes, parents = _walk(tree, class_of)
        self._class_order = np.array(order, dtype=np.int64)
        self._ranges = np.column_stack([starts, stops]).astype(np.int64).ravel()
        self.node_ids = np.array(nodes, dtype=np.int64)
        self.parents = np.array(parents, dtype=np.int64)
        self._classes = [class_of.get(node, -1) for node in nodes]  # that sit on the nodes
        self.rank_levels = np.array([tree[node].rank_level for node in nodes], dtype=np.float64)

    def node_scores(self, scores: np.ndarray, nodes: np.ndarray | None = None) -> np.ndarray:
        """Class scores [N, C] summed up the tree: float64 [N, M] in the order of `node_ids`.

        With `nodes`, int64 [m], indices in `node_ids`, those of these nodes alone: float64 [N, m].
        """
        ranges = self._ranges if nodes is None else self._ranges.reshape(-1, 2)[nodes].ravel()
        in_order = np.zeros((len(scores), self.class_count + 1))
        in_order[:, :-1] = np.asarray(scores, dtype=np.float64)[:, self._class_order]
        # Every range is added up by itself: differences of one running sum would tell nodes apart
        # that have the same score.
        return np.add.reduceat(in_order, ranges, axis=1)[:, ::2]

    def best_branch(self, node_scores: np.ndarray, scores: np.ndarray) -> list[int]:
        """Greedy descent: from the best root to the best child and on, as node indices.

        Args:
            node_scores: float64 [M], one photograph's row of `node_scores`.
            scores: float64 [C], the class scores that it was summed up from.

        The descent ends where a class that sits on an inner node outscores each of its children.
        Source: the roll-up of iNaturalist's camera plugin (best branch from Life).
        """
        branch: list[int] = []
        candidates = np.flatnonzero(self.parents == -1)
        while len(candidates):
            best = int(candidates[np.argmax(node_scores[candidates])])
            if branch:
                own = self._classes[branch[-1]]
                if own >= 0 and scores[own] > node_scores[best]:
                    break
            branch.append(best)
            candidates = np.flatnonzero(self.parents == best)
        return branch


def _walk(
    tree: Taxonomy, class_of: Mapping[int, int]
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Number nodes and classes in depth-first order, so that a node's classes are one range."""
    children = tree.children()
    order: list[int] = []
    starts: list[int] = []
    stops: list[int] = []
    nodes: list[int] = []
    parents: list[int] = []
    stack = [(taxon_id, -1) for taxon_id in reversed(children.get(None, []))]
    while stack:
        item, parent = stack.pop()
        if parent == _LEAVE:
            stops[item] = len(order)  # here the item is the node's index, else a taxon id
            continue
        index = len(nodes)
        nodes.append(item)
        parents.append(parent)
        starts.append(len(order))
        stops.append(len(order))
        if item in class_of:
            order.append(class_of[item])
        stack.append((index, _LEAVE))
        stack.extend((child, index) for child in reversed(children.get(item, [])))
    return order, starts, stops, nodes, parents
