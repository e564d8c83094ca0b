"""The taxa that a candidate names better or worse, and what the search knows of every taxon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxonvision.evaluation.comparison import Candidate, Comparison, TaxonChange
from taxonvision.evaluation.report.taxon_data import searched_languages
from taxonvision.taxonomy.labels import Labels
from taxonvision.taxonomy.tree import Taxonomy

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
        `names`, `ranks`, `italic`, `common` (all common names of each, the one shown first),
        `photographs`, `reference` (named right by it), and under `candidates` for each its `name`
        and the columns `right`, `lost` and `won`.
    """
    tree = comparison.taxonomy
    first = comparison.candidates[0].taxa
    photographs = _summed_up(tree, ((t.taxon_id, t.photographs) for t in first))
    taxon_ids = sorted(photographs)
    label = Labels(tree, comparison.names)
    labels = [label(taxon_id) for taxon_id in taxon_ids]

    def column(counts: Iterable[tuple[int, int]]) -> list[int]:
        summed = _summed_up(tree, counts)
        return [summed[taxon_id] for taxon_id in taxon_ids]

    languages = searched_languages(comparison.names)
    return {
        "names": [each.scientific for each in labels],
        "ranks": [each.rank for each in labels],
        "italic": [int(each.italic) for each in labels],
        "common": [_common(languages, taxon_id) for taxon_id in taxon_ids],
        "photographs": [photographs[taxon_id] for taxon_id in taxon_ids],
        "reference": column((t.taxon_id, t.right_reference) for t in first),
        "reference_name": comparison.reference.name,
        "candidates": [
            {
                "name": candidate.model.name,
                "right": column((t.taxon_id, t.right_candidate) for t in candidate.taxa),
                "lost": column((t.taxon_id, t.lost) for t in candidate.taxa),
                "won": column((t.taxon_id, t.won) for t in candidate.taxa),
            }
            for candidate in comparison.candidates
        ],
    }


def _common(languages: Mapping[str, Mapping[int, str]], taxon_id: int) -> list[str]:
    names = (of_language.get(taxon_id, "") for of_language in languages.values())
    return list(dict.fromkeys(filter(None, names)))


def _summed_up(tree: Taxonomy, counts: Iterable[tuple[int, int]]) -> Counter[int]:
    """Counts of taxa, added to those of all their ancestors."""
    sums: Counter[int] = Counter()
    for taxon_id, count in counts:
        above = tree.lineage(taxon_id) if taxon_id in tree else ()
        for node in {taxon_id, *(taxon.taxon_id for taxon in above)}:
            sums[node] += count
    return sums
