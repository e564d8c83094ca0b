"""Scores of photographs drawn from a seed, whole and as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taxonvision.evaluation.scores import NO_TAXON, Labelled, Scores, keep
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy


@dataclass(frozen=True)
class Model:
    """A tree and classes on some of its taxa, whose scores are kept."""

    tree: Taxonomy
    classes: Sequence[int]

    @cached_property
    def roll_up(self) -> RollUp:
        return RollUp(self.tree, self.classes)

    def keep(self, full, truth) -> Scores:
        truth = np.asarray(truth, np.int64)
        photographs = Labelled.of([f"photo{i}" for i in range(len(truth))], truth)
        batches = [np.asarray(full, np.float32)] if len(truth) else []
        return keep(photographs, batches, self.roll_up, self.classes)


WHITES = Model(
    Taxonomy(
        [
            Taxon.of_rank(1, None, "order", "Lepidoptera"),
            Taxon.of_rank(2, 1, "superfamily", "Papilionoidea"),
            Taxon.of_rank(10, 2, "family", "Pieridae"),
            Taxon.of_rank(11, 10, "genus", "Pieris"),
            Taxon.of_rank(12, 11, "species", "Pieris rapae"),
            Taxon.of_rank(13, 11, "species", "Pieris napi"),
            Taxon.of_rank(14, 10, "tribe", "Coliadini"),
            Taxon.of_rank(15, 14, "genus", "Colias"),
            Taxon.of_rank(16, 15, "species", "Colias croceus"),
            Taxon.of_rank(20, 2, "family", "Papilionidae"),
            Taxon.of_rank(21, 20, "genus", "Papilio"),
            Taxon.of_rank(22, 21, "species", "Papilio machaon"),
            Taxon.of_rank(23, 21, "species", "Papilio xuthus"),
            Taxon.of_rank(30, 1, "family", "Zygaenidae"),
            Taxon.of_rank(40, None, "genus", "Rosa"),
            Taxon.of_rank(41, 40, "species", "Rosa canina"),
            Taxon.of_rank(99, 21, "species", "Papilio glaucus"),
        ]
    ),
    (12, 13, 11, 16, 22, 23, 30, 41),
)
"""Species, a genus of two of them, a family alone; 99 is in the tree and no class."""


def random_scores(seed: int, most: int = 40) -> tuple[Scores, np.ndarray, np.random.Generator]:
    """Kept scores with ties, zeros and strangers among the truths; the full ones; the generator."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, most + 1))
    full = rng.dirichlet(np.full(len(WHITES.classes), rng.choice([0.02, 0.3, 5])), n)
    full = np.round(full, int(rng.choice([0, 1, 2, 9]))).astype(np.float32)
    return WHITES.keep(full, rng.choice([*WHITES.classes, 99, NO_TAXON], n)), full, rng
