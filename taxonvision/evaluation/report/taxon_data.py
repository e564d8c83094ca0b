"""What the search of a page knows of every taxon of the tree, in columns to be small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taxonvision.evaluation.report.photographs import Thumbnail
from taxonvision.evaluation.report.tally import Mistakes, Node
from taxonvision.evaluation.results import Results
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxonomy

_MOST_MISTAKES = 5
_MOST_BYTES = 6_000_000  # of common names; all languages of a whole world would be 20 MB
_FIRST = "en"


@dataclass(frozen=True)
class Picture:
    """A photograph that the page shows: whose it is, and what to say of it."""

    taxon_id: int
    thumbnail: Thumbnail
    caption: str


def taxon_data(
    results: Results, nodes: Mapping[int, Node], mistakes: Mistakes, pictures: Sequence[Picture]
) -> dict[str, Any]:
    """Columns over the taxa of the tree, and over those tested; taxa are named by their places.

    Args:
        results: of the model.
        nodes: figures of the taxa that photographs show, by taxon id.
        mistakes: what is named in place of what.
        pictures: photographs that the page has.
    """
    taxa, training_of = list(results.taxonomy), results.known.training_of
    place = {taxon.taxon_id: i for i, taxon in enumerate(taxa)}
    training = _summed_up(results.taxonomy, training_of)
    ranks = sorted({taxon.rank for taxon in taxa})
    rank_number = {rank: number for number, rank in enumerate(ranks)}
    return {
        "names": [taxon.name for taxon in taxa],
        "parents": [-1 if t.parent_taxon_id is None else place[t.parent_taxon_id] for t in taxa],
        "ranks": ranks,
        "rank": [rank_number[taxon.rank] for taxon in taxa],
        "italic": [int(taxon.rank_level <= RANK_LEVELS["genus"]) for taxon in taxa],
        "classes": [place[taxon_id] for taxon_id in training_of if taxon_id in place],
        "training": [training.get(taxon.taxon_id, 0) for taxon in taxa],
        "common": {
            language: _columns(of_taxa, place)
            for language, of_taxa in searched_languages(results.names).items()
        },
        **_tested({place[t]: node for t, node in nodes.items() if t in place}),
        **_mistakes(mistakes, place),
        "pictures": _pictures(pictures, place),
    }


def searched_languages(names: Names) -> Names:
    """English, and of the other languages those with the most names, as many as a page can hold."""
    ordered = sorted(names, key=lambda code: (code != _FIRST, -len(names[code]), code))
    size = 0
    chosen: dict[str, Mapping[int, str]] = {}
    for language in ordered:
        size += sum(len(name.encode()) + 8 for name in names[language].values())
        if size > _MOST_BYTES and chosen:
            break
        chosen[language] = names[language]
    return chosen


def _tested(nodes: Mapping[int, Node]) -> dict[str, Any]:
    bounds = [(n.interval.low, n.interval.high) if n.interval else () for n in nodes.values()]
    return {
        "tested": list(nodes),
        "photographs": [node.photographs for node in nodes.values()],
        "right": [node.right for node in nodes.values()],
        "bounds": [[round(bound, 4) for bound in pair] for pair in bounds],
        "atNode": [n.at_node if n.at_node is None else round(n.at_node, 4) for n in nodes.values()],
    }


def _mistakes(mistakes: Mistakes, place: Mapping[int, int]) -> dict[str, Any]:
    """The most frequent wrong names of each taxon; how often each name was given, and wrongly."""
    return {
        "mistakes": {
            str(place[truth]): [[place[name], times] for name, times in names[:_MOST_MISTAKES]]
            for truth, names in mistakes.of.items()
            if truth in place
        },
        "given": {
            str(place[name]): [times, times - mistakes.rightly.get(name, 0)]
            for name, times in mistakes.given.items()
        },
    }


def _columns(of_taxa: Mapping[int, str], place: Mapping[int, int]) -> list[list[Any]]:
    there = [(place[taxon_id], name) for taxon_id, name in of_taxa.items() if taxon_id in place]
    return [[i for i, _ in there], [name for _, name in there]]


def _pictures(
    pictures: Sequence[Picture], place: Mapping[int, int]
) -> dict[str, list[list[int | str]]]:
    """By taxon the numbers and captions of photographs that can be shown."""
    by_taxon: dict[str, list[list[int | str]]] = {}
    for picture in pictures:
        if picture.thumbnail.address and picture.taxon_id in place:
            of_taxon = by_taxon.setdefault(str(place[picture.taxon_id]), [])
            of_taxon.append([picture.thumbnail.number, picture.caption])
    return by_taxon


def _summed_up(taxonomy: Taxonomy, of_taxon: Mapping[int, int]) -> dict[int, int]:
    """Numbers of taxa, added to those of all their ancestors."""
    sums: dict[int, int] = {}
    for taxon_id, number in of_taxon.items():
        if taxon_id in taxonomy:
            for above in taxonomy.lineage(taxon_id):
                sums[above.taxon_id] = sums.get(above.taxon_id, 0) + number
    return sums
