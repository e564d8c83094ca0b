"""The taxa that a candidate names better or worse, and what the search knows of every taxon."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxonvision.evaluation.comparison.comparison import Candidate, Comparison, TaxonChange
from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.report.taxon_data import searched_languages
from taxonvision.taxonomy.labels import Labels

_MOST_SHOWN = 10


@dataclass(frozen=True)
class ChangedTaxa:
    """The taxa of one candidate.

    Attributes:
        name: of the candidate.
        worse: those that lost the most, the most first.
        better: those that gained the most, the most first.
        worse_more: how many more lost.
        better_more: how many more gained.
        as_good: how many have as many photographs named right.
    """

    name: str
    worse: Sequence[TaxonChange]
    better: Sequence[TaxonChange]
    worse_more: int
    better_more: int
    as_good: int


def changed_taxa(candidate: Candidate) -> ChangedTaxa:
    """The taxa whose photographs lost or gained right names."""
    worse = [taxon for taxon in candidate.taxa if taxon.gain < 0]
    better = [taxon for taxon in reversed(candidate.taxa) if taxon.gain > 0]
    return ChangedTaxa(
        candidate.model.name,
        worse[:_MOST_SHOWN],
        better[:_MOST_SHOWN],
        max(0, len(worse) - _MOST_SHOWN),
        max(0, len(better) - _MOST_SHOWN),
        len(candidate.taxa) - len(worse) - len(better),
    )


def searched_taxa(comparison: Comparison) -> dict[str, Any]:
    """Columns over all taxa with photographs and all above them, for the search of the page.

    Returns:
        `names`, `ranks`, `italic`, `common` (all common names of each, English first),
        `photographs`, `reference` (named right by it), and under `candidates` for each its `name`
        and the columns `right`, `lost` and `won`.
    """
    tree, first = comparison.taxonomy, comparison.candidates[0].taxa
    lineages = Lineages.of(tree, np.array([taxon.taxon_id for taxon in first], np.int64))
    label = Labels(tree, comparison.names)
    labels = [label(taxon_id) for taxon_id in lineages.node_ids.tolist()]
    languages = searched_languages(comparison.names)

    def column(taxa: Sequence[TaxonChange], count: Callable[[TaxonChange], int]) -> list[int]:
        by_taxon = {taxon.taxon_id: count(taxon) for taxon in taxa}
        counts = [by_taxon.get(taxon_id, 0) for taxon_id in lineages.taxon_ids.tolist()]
        return lineages.total(np.array(counts, np.int64)).tolist()

    return {
        "names": [each.scientific for each in labels],
        "ranks": [each.rank for each in labels],
        "italic": [int(each.italic) for each in labels],
        "common": [_common(languages, taxon_id) for taxon_id in lineages.node_ids.tolist()],
        "photographs": column(first, lambda taxon: taxon.photographs),
        "reference": column(first, lambda taxon: taxon.right_reference),
        "reference_name": comparison.reference.name,
        "candidates": [
            {
                "name": candidate.model.name,
                "right": column(candidate.taxa, lambda taxon: taxon.right_candidate),
                "lost": column(candidate.taxa, lambda taxon: taxon.lost),
                "won": column(candidate.taxa, lambda taxon: taxon.won),
            }
            for candidate in comparison.candidates
        ],
    }


def _common(languages: Mapping[str, Mapping[int, str]], taxon_id: int) -> list[str]:
    names = (of_language.get(taxon_id, "") for of_language in languages.values())
    return list(dict.fromkeys(filter(None, names)))
