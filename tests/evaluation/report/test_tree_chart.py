from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.evaluation.report import tree_chart as module
from taxonvision.evaluation.report.tally import Node
from taxonvision.evaluation.report.tree_chart import tree_chart
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxon, Taxonomy


def nodes_of(taxonomy: Taxonomy, counts: dict[int, tuple[int, int]]) -> dict[int, Node]:
    """The figures of taxa and of all above them, from photographs and those right by taxon."""
    sums: dict[int, list[int]] = {}
    for taxon_id, (photographs, right) in counts.items():
        for above in taxonomy.lineage(taxon_id):
            total = sums.setdefault(above.taxon_id, [0, 0])
            total[0] += photographs
            total[1] += right
    return {i: Node(photographs, right, None) for i, (photographs, right) in sums.items()}


def rows_of(chart) -> dict[str, dict]:
    trace = chart.figure["data"][0]
    columns = zip(
        trace["ids"], trace["parents"], trace["values"], trace["marker"]["colors"], strict=True
    )
    return {i: {"parent": parent, "value": value, "colour": c} for i, parent, value, c in columns}


@settings(max_examples=20)
@given(
    forests(["kingdom", "family", "subfamily", "genus", "species", "subspecies"], 60),
    st.integers(1, 12),
    st.data(),
)
def test_any_tree_is_one_that_plotly_draws(forest, most, data):
    taxa, tested = forest
    taxonomy = Taxonomy(taxa)
    counts = {}
    for taxon_id in tested:
        photographs = data.draw(st.integers(1, 9))
        counts[taxon_id] = photographs, data.draw(st.integers(0, photographs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_NODES", most)
        rows = rows_of(tree_chart(nodes_of(taxonomy, counts), taxonomy, {}))
    assert len(rows) <= most + 1  # and one for all taxa
    roots = [i for i, row in rows.items() if row["parent"] == ""]
    assert len(roots) == 1
    for i, row in rows.items():
        assert row["parent"] == "" or row["parent"] in rows
        below = sum(child["value"] for child in rows.values() if child["parent"] == i)
        assert below <= row["value"]  # else plotly draws nothing
        assert 0 <= row["colour"] <= 1


def test_area_is_photographs_and_colour_the_share_right():
    taxonomy = Taxonomy(
        [
            Taxon.of_rank(1, None, "kingdom", "Animalia"),
            Taxon.of_rank(2, 1, "order", "Lepidoptera"),
            Taxon.of_rank(3, 2, "genus", "Pieris"),
            Taxon.of_rank(4, 3, "species", "Pieris rapae"),
            Taxon.of_rank(5, 3, "species", "Pieris napi"),
            Taxon.of_rank(6, 2, "genus", "Aglais"),
        ]
    )
    chart = tree_chart(nodes_of(taxonomy, {4: (8, 6), 5: (2, 0), 6: (10, 9)}), taxonomy, {})
    assert rows_of(chart) == {
        "2": {"parent": "", "value": 20, "colour": 0.75},  # the kingdom above it tells nothing
        "3": {"parent": "2", "value": 10, "colour": 0.6},
        "4": {"parent": "3", "value": 8, "colour": 0.75},
        "5": {"parent": "3", "value": 2, "colour": 0.0},
        "6": {"parent": "2", "value": 10, "colour": 0.9},
    }
    assert chart.folded_below == ""


def test_the_finest_ranks_are_folded_first(monkeypatch):
    monkeypatch.setattr(module, "MOST_NODES", 12)
    taxa = [Taxon.of_rank(1, None, "family", "Pieridae")]
    taxa += [Taxon.of_rank(10 + genus, 1, "genus", f"G{genus}") for genus in range(5)]
    taxa += [Taxon.of_rank(100 + i, 10 + i % 5, "species", f"S{i}") for i in range(20)]
    taxonomy = Taxonomy(taxa)
    chart = tree_chart(nodes_of(taxonomy, {100 + i: (1, 1) for i in range(20)}), taxonomy, {})
    assert set(rows_of(chart)) == {"1", "10", "11", "12", "13", "14"}
    assert chart.folded_below == "genus"


def test_tags_in_names_are_text():
    taxonomy = Taxonomy([Taxon.of_rank(1, None, MAIN_RANKS[-1], "<b>A</b> & <a href='x'>")])
    trace = tree_chart(nodes_of(taxonomy, {1: (1, 1)}), taxonomy, {"en": {1: "<i>B</i>"}}).figure[
        "data"
    ][0]
    assert trace["labels"] == ["&lt;b&gt;A&lt;/b&gt; &amp; &lt;a href='x'&gt;"]
    assert "&lt;i&gt;B&lt;/i&gt;" in trace["hovertext"][0]
