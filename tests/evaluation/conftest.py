from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from taxonvision.evaluation.results import KnownTaxa, Results
from taxonvision.evaluation.scores import NO_TAXON, Labelled, Scores, keep
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon.of_rank(1, None, "order", "Lepidoptera"),
        Taxon.of_rank(10, 1, "family", "Pieridae"),
        Taxon.of_rank(11, 10, "genus", "Pieris"),
        Taxon.of_rank(12, 11, "species", "Pieris rapae"),
        Taxon.of_rank(13, 11, "species", "Pieris napi"),
        Taxon.of_rank(20, 1, "family", "Papilionidae"),
        Taxon.of_rank(21, 20, "genus", "Papilio"),
        Taxon.of_rank(22, 21, "species", "Papilio machaon"),
        Taxon.of_rank(23, 21, "species", "Papilio xuthus"),
        Taxon.of_rank(30, 1, "family", "Lycaenidae"),
        Taxon.of_rank(99, 21, "species", "Papilio glaucus"),
    ]
)
CLASSES = [12, 13, 11, 22, 23, 30]
"""Two species and their genus, two more species, and a family without species; 99 is no class."""


@dataclass(frozen=True)
class Case:
    """Full scores [n, C], the truth [n], and what is kept of them."""

    full: np.ndarray
    truth: np.ndarray
    kept: Scores


def make_case(full, truth, observations=None) -> Case:
    full, truth = np.asarray(full, np.float32), np.asarray(truth)
    ids = [f"photo{i}" for i in range(len(full))]
    labelled = Labelled.of(ids, truth)
    if observations is not None:
        labelled = replace(labelled, observation_ids=[str(each) for each in observations])
    halves = [full[: len(full) // 2], full[len(full) // 2 :]]
    return Case(full, truth, keep(labelled, halves, RollUp(TREE, CLASSES), CLASSES))


def make_results(full, truth, observations=None, training=None, scenes=None) -> Results:
    """Results without a folder; the classes have 100 training photographs each."""
    counts = np.full(len(CLASSES), 100) if training is None else np.asarray(training)
    return Results(
        folder=Path(),
        manifest={},
        taxonomy=TREE,
        scores=make_case(full, truth, observations).kept,
        known=KnownTaxa(np.array(CLASSES), counts),
        scenes=None if scenes is None else make_case(scenes, [NO_TAXON] * len(scenes)).kept,
    )


@pytest.fixture(params=["flat", "peaked", "sure", "ties"])
def case(request) -> Case:
    rng = np.random.default_rng(5)
    n = 60
    if request.param == "ties":
        full = np.full((n, len(CLASSES)), 1 / len(CLASSES))
    else:
        concentration = {"flat": 5.0, "peaked": 0.3, "sure": 0.02}[request.param]
        full = rng.dirichlet(np.full(len(CLASSES), concentration), n)
    return make_case(full, rng.choice([*CLASSES, 99], n))


@pytest.fixture
def class_taxon_ids() -> list[int]:
    return list(CLASSES)


@pytest.fixture
def tree() -> Taxonomy:
    return TREE


@pytest.fixture
def case_of():
    """Makes a case from scores [n, C], the truth [n] and the observations [n]."""
    return make_case


@pytest.fixture
def results_of():
    """Makes results from scores [n, C] and the truth [n], see `make_results`."""
    return make_results
