"""New taxa in a handful of groups, by the rank that makes one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxonomy

_FEW, _MANY = 4, 12


@dataclass(frozen=True)
class Group:
    """Taxa below one taxon; `taxon_id` is None for those that have none of the rank."""

    taxon_id: int | None
    taxa: tuple[TaxonClass, ...]


@dataclass(frozen=True)
class Grouping:
    """Groups of one rank, the largest first."""

    rank: str
    groups: tuple[Group, ...]


def group(taxa: Sequence[TaxonClass], taxonomy: Taxonomy) -> Grouping:
    """Group taxa by the first rank, from kingdom down to genus, that suits best.

    1. It makes 4 to 12 groups, of two taxa each or more on average;
    2. else it makes 2 to 12 groups;
    3. else it makes more, of two taxa each or more on average;
    4. else it is the finest that has all of them in one group.
    """
    if not taxa:
        return Grouping("", ())
    groupings = [_by(rank, taxa, taxonomy) for rank in MAIN_RANKS[:-1]]
    sizes = [len(grouping.groups) for grouping in groupings]
    wanted = (
        lambda size: _FEW <= size <= min(_MANY, len(taxa) // 2),
        lambda size: 2 <= size <= _MANY,
        lambda size: _MANY < size <= len(taxa) // 2,
    )
    for suits in wanted:
        for grouping, size in zip(groupings, sizes, strict=True):
            if suits(size):
                return grouping
    one = [g for g in groupings if len(g.groups) == 1]
    named = [g for g in one if g.groups[0].taxon_id is not None]
    return (named or one or groupings)[-1]


def _by(rank: str, taxa: Sequence[TaxonClass], taxonomy: Taxonomy) -> Grouping:
    groups: dict[int | None, list[TaxonClass]] = {}
    for taxon in taxa:
        above = taxonomy.at_rank(taxon.taxon_id, rank) if taxon.taxon_id in taxonomy else None
        groups.setdefault(above, []).append(taxon)
    ordered = sorted(groups.items(), key=lambda item: (item[0] is None, -len(item[1]), item[0]))
    return Grouping(
        rank,
        tuple(
            Group(taxon_id, tuple(sorted(below, key=lambda taxon: (taxon.name, taxon.taxon_id))))
            for taxon_id, below in ordered
        ),
    )
