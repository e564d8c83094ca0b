"""What a report says of every node of the tree: photographs, those named right, the mistakes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.metrics.measure import Evaluation


@dataclass(frozen=True)
class Node:
    """A taxon that photographs show, or above such.

    Attributes:
        photographs: of the taxon and those below it.
        right: of these, those whose class is named right.
        interval: of the share that is right.
        at_node: the share for which it has the best rolled-up score of its rank; None at a taxon
            that has none below.
    """

    photographs: int
    right: int
    interval: Interval | None
    at_node: float | None = None

    @property
    def top1(self) -> float:
        """The share named right."""
        return self.right / self.photographs


@dataclass(frozen=True)
class Mistakes:
    """What is named in place of what.

    Attributes:
        photographs: by the true taxon how many show it itself, and not a taxon below it.
        of: by the true taxon the wrong names and how often each, the most frequent first.
        given: by the name how many photographs got it, rightly or not.
        rightly: by the name how many of these show it.
    """

    photographs: Mapping[int, int]
    of: Mapping[int, list[tuple[int, int]]]
    given: Mapping[int, int]
    rightly: Mapping[int, int]


def nodes_of(evaluation: Evaluation) -> dict[int, Node]:
    """All nodes that have photographs, by taxon id."""
    nodes = {
        taxon.taxon_id: Node(taxon.photographs, taxon.right, taxon.interval)
        for taxon in evaluation.by_taxon
        if taxon.photographs
    }
    for group in evaluation.groups:  # a class with classes below it is here with all of them
        nodes[group.taxon_id] = Node(group.photographs, group.right, group.interval, group.at_node)
    return nodes


def mistakes_of(truth: np.ndarray, named: np.ndarray) -> Mistakes:
    """Count the wrong names.

    Args:
        truth: int64 [n], taxon ids.
        named: int64 [n], the taxon that each photograph's best class names.
    """
    pairs, counts = np.unique(np.stack([truth, named]), axis=1, return_counts=True)
    photographs: dict[int, int] = defaultdict(int)
    of: dict[int, list[tuple[int, int]]] = defaultdict(list)
    given: dict[int, int] = defaultdict(int)
    rightly: dict[int, int] = {}
    for true, name, times in zip(*pairs.tolist(), counts.tolist(), strict=True):
        photographs[true] += times
        given[name] += times
        if true == name:
            rightly[name] = times
        else:
            of[true].append((name, times))
    for names in of.values():
        names.sort(key=lambda pair: (-pair[1], pair[0]))
    return Mistakes(photographs, of, given, rightly)
