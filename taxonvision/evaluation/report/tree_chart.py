"""Accuracy along the tree: a sunburst or an icicle that zooms, as a figure of plotly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxonvision.evaluation.report.charts import plain
from taxonvision.evaluation.report.page import counted, percent
from taxonvision.evaluation.report.tally import Node
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxon, Taxonomy

MOST_NODES = 3000
_ROOT = "0"  # taxon ids count from 1
_SCALE = ((0.0, "@none"), (0.5, "@few"), (0.75, "@half"), (0.9, "@most"), (1.0, "@all"))
"""More shades where models are: between 75 and 100 % one more name in ten is seen."""


_LAYOUT = {
    "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
    "uniformtext": {"minsize": 10, "mode": "hide"},  # names that would be smaller are left out
}


@dataclass(frozen=True)
class TreeChart:
    """A figure, and the rank below which taxa were folded into their parents ("" if none were)."""

    figure: Mapping[str, Any]
    folded_below: str


def tree_chart(nodes: Mapping[int, Node], taxonomy: Taxonomy, names: Names) -> TreeChart:
    """The tree of the taxa with photographs: size is photographs, colour the share right.

    It has the main ranks and the taxa that photographs show; where these are more than
    `MOST_NODES`, the finest ranks are folded into the ranks above.
    """
    taxa = _shown_taxa(nodes, taxonomy)
    kept, folded_below = _at_most(taxa, nodes, MOST_NODES)
    parents = {taxon.taxon_id: _parent(taxon, taxonomy, kept) for taxon in kept.values()}
    kept, parents = _without_trunk(kept, parents, nodes)
    tops = [taxon_id for taxon_id, parent in parents.items() if parent is None]
    several = len(tops) > 1
    english = names.get("en", {})
    rows = [_row(taxon, parents[i], several, nodes, english) for i, taxon in kept.items()]
    if several:
        rows.append(_all_taxa(tops, nodes))
    columns = {key: [row[key] for row in rows] for key in rows[0]} if rows else {}
    colours = columns.pop("colour", [])
    trace = {
        "type": "sunburst",
        **columns,
        "branchvalues": "total",
        "sort": True,
        "hoverinfo": "text",
        "maxdepth": 4,
        "leaf": {"opacity": 1},
        "insidetextorientation": "auto",
        "marker": {
            "colors": colours,
            "colorscale": [list(stop) for stop in _SCALE],
            "cmin": 0,
            "cmax": 1,
            "line": {"color": "@paper", "width": 1},
        },
    }
    return TreeChart({"data": [trace], "layout": _LAYOUT}, folded_below)


def _shown_taxa(nodes: Mapping[int, Node], taxonomy: Taxonomy) -> dict[int, Taxon]:
    """Taxa with photographs: those at a main rank, and those that end a branch."""
    tested = {i: taxonomy[i] for i in nodes if i in taxonomy}
    inner = {taxon.parent_taxon_id for taxon in tested.values()}
    return {i: taxon for i, taxon in tested.items() if taxon.rank in MAIN_RANKS or i not in inner}


def _at_most(
    taxa: Mapping[int, Taxon], nodes: Mapping[int, Node], most: int
) -> tuple[dict[int, Taxon], str]:
    """Without the finest ranks, until no more than `most` are left; and the finest rank kept.

    Where the highest rank has more, those with the most photographs.
    """
    if len(taxa) <= most:
        return dict(taxa), ""
    levels = sorted({taxon.rank_level for taxon in taxa.values()})
    kept = dict(taxa)
    for level in levels[:-1]:
        kept = {i: taxon for i, taxon in taxa.items() if taxon.rank_level > level}
        if len(kept) <= most:
            break
    finest = min(kept.values(), key=lambda taxon: taxon.rank_level)
    largest = sorted(kept.items(), key=lambda item: -nodes[item[0]].photographs)
    return dict(largest[:most]), finest.rank


def _parent(taxon: Taxon, taxonomy: Taxonomy, kept: Mapping[int, Taxon]) -> int | None:
    above = taxonomy.lineage(taxon.taxon_id)[1:]
    return next((each.taxon_id for each in above if each.taxon_id in kept), None)


def _without_trunk(
    kept: dict[int, Taxon], parents: dict[int, int | None], nodes: Mapping[int, Node]
) -> tuple[dict[int, Taxon], dict[int, int | None]]:
    """Without the stem of single taxa from the root to where the tree first branches."""
    children: dict[int | None, list[int]] = {}
    for taxon_id, parent in parents.items():
        children.setdefault(parent, []).append(taxon_id)
    start = children.get(None, [])
    while len(start) == 1 and len(below := children.get(start[0], [])) == 1:
        if nodes[below[0]].photographs < nodes[start[0]].photographs:
            break  # some photographs show the upper taxon alone
        kept.pop(start[0])
        start = below
        parents = {i: None if i == start[0] else p for i, p in parents.items() if i in kept}
    return kept, parents


def _row(
    taxon: Taxon,
    parent: int | None,
    several: bool,
    nodes: Mapping[int, Node],
    english: Mapping[int, str],
) -> dict[str, Any]:
    node = nodes[taxon.taxon_id]
    common = english.get(taxon.taxon_id, "")
    name = plain(taxon.name)
    lines = [f"<b>{name}</b>", plain(f"{taxon.rank}, {common}" if common else taxon.rank)]
    photographs = counted(node.photographs, "photograph")
    lines.append(f"{percent(node.top1)} of {photographs} named right")
    if node.at_node is not None:
        lines.append(f"{percent(node.at_node)} right as {_article(taxon.rank)}")
    return {
        "ids": str(taxon.taxon_id),
        "labels": name,
        "parents": (_ROOT if several else "") if parent is None else str(parent),
        "values": node.photographs,
        "colour": round(node.top1, 4),
        "hovertext": "<br>".join(lines),
    }


def _all_taxa(tops: list[int], nodes: Mapping[int, Node]) -> dict[str, Any]:
    number = sum(nodes[i].photographs for i in tops)
    right = sum(nodes[i].right for i in tops) / number
    return {
        "ids": _ROOT,
        "labels": "all taxa",
        "parents": "",
        "values": number,
        "colour": round(right, 4),
        "hovertext": f"{percent(right)} of {counted(number, 'photograph')} named right",
    }


def _article(rank: str) -> str:
    return f"an {rank}" if rank[:1] in set("aeiou") else f"a {rank}"
