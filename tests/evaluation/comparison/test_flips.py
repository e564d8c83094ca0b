from __future__ import annotations

import numpy as np
import pytest

from taxonvision.evaluation.comparison.comparison import Flip, TaxonChange
from taxonvision.evaluation.comparison.flips import best_among, changes_by_taxon, flips
from taxonvision.evaluation.results import KnownTaxa

KNOWN = KnownTaxa(np.array([12, 13, 11, 22, 23, 30]), np.full(6, 10))


def rows(*best_with_score, classes=(12, 13, 11, 22, 23, 30)):
    """Scores [n, 6]: so much for one taxon, the rest spread over the others."""
    full = []
    for taxon, score in best_with_score:
        row = np.full(len(classes), (1 - score) / (len(classes) - 1))
        row[classes.index(taxon)] = score
        full.append(row)
    return full


def test_flips_by_hand(case_of):
    truth = [12, 12, 22, 22, 30, 13]
    reference = rows((12, 0.9), (12, 0.8), (23, 0.7), (22, 0.6), (30, 0.9), (12, 0.5))
    candidate = rows((13, 0.5), (22, 0.9), (22, 0.4), (22, 0.9), (30, 0.8), (22, 0.5))
    found = flips(case_of(reference, truth).kept, case_of(candidate, truth).kept)
    near = pytest.approx
    assert found == (
        Flip("photo1", "lost", 12, 12, near(0.8), 22, near(0.9)),
        Flip("photo0", "lost", 12, 12, near(0.9), 13, near(0.5)),
        Flip("photo2", "won", 22, 23, near(0.7), 22, near(0.4)),
    )


def test_taxa_by_hand(case_of):
    truth = [12, 12, 12, 22, 22, 99]
    reference = rows((12, 0.9), (12, 0.8), (13, 0.7), (23, 0.6), (22, 0.9), (12, 0.5))
    candidate = rows((12, 0.9), (13, 0.9), (22, 0.4), (22, 0.9), (22, 0.8), (22, 0.5))
    fewer = KnownTaxa(np.array([22, 12]), np.array([1, 1]))
    found = changes_by_taxon(
        case_of(reference, truth).kept, case_of(candidate, truth).kept, (KNOWN, fewer)
    )
    assert found == (
        TaxonChange(12, 3, 2, 1, 1, 0, True, True),
        TaxonChange(99, 1, 0, 0, 0, 0, False, False),
        TaxonChange(22, 2, 1, 2, 0, 1, True, True),
    )
    assert [change.gain for change in found] == [-1, 0, 1]


def test_the_best_among_some_taxa(case, class_taxon_ids):
    for taxa in ([22, 13], [30], class_taxon_ids, [12, 99]):
        columns = [i for i, taxon in enumerate(class_taxon_ids) if taxon in taxa]
        best = np.array(class_taxon_ids)[columns][case.full[:, columns].argmax(axis=1)]
        kept = [
            np.isin(case.kept.take(np.array([i])).classes.taxon_ids, taxa).any()
            for i in range(len(case.kept))
        ]
        expected = np.where(kept, best, 0)
        assert best_among(case.kept, np.array(taxa)).tolist() == expected.tolist()
    assert not best_among(case.kept, np.zeros(0, np.int64)).any()
