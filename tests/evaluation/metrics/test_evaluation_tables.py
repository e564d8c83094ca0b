from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from taxonvision.evaluation.metrics.measure import measure
from taxonvision.evaluation.metrics.tables import write_tables
from taxonvision.tables import read_csv
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TABLES = {
    *("taxa.csv", "groups.csv", "tail.csv", "regions.csv"),
    *("coverage_curve.csv", "ancestor_curve.csv", "reliability.csv"),
}


@pytest.fixture
def tables(case, results_of, tmp_path):
    evaluation = measure(results_of(case.full, case.truth), replicates=20)
    write_tables(tmp_path, evaluation)
    assert {path.name for path in tmp_path.glob("*.csv")} == TABLES
    return evaluation, {name: read_csv(tmp_path / name) for name in TABLES}, tmp_path


def test_tables_say_what_was_measured(tables):
    evaluation, read, folder = tables
    assert json.loads((folder / "metrics.json").read_text()) == evaluation.figures
    names = {taxon.name: taxon for taxon in evaluation.by_taxon}
    assert [row["name"] for row in read["taxa.csv"]] == sorted(names)
    for row in read["taxa.csv"]:
        taxon = names[row["name"]]
        assert int(row["photographs"]) == taxon.photographs
        assert float(row["top1"]) == pytest.approx(taxon.top1, abs=1e-4)
        assert float(row["low"]) <= float(row["top1"]) <= float(row["high"])
        if row["most_often_named"]:
            assert names[row["most_often_named"]].taxon_id == taxon.most_often_named
    groups = {group.taxon_id: group for group in evaluation.groups}
    assert [int(row["taxon_id"]) for row in read["groups.csv"]] == list(groups)
    for row in read["groups.csv"]:
        assert float(row["at_node"]) == pytest.approx(
            groups[int(row["taxon_id"])].at_node, abs=1e-4
        )
    assert sum(int(row["photographs"]) for row in read["reliability.csv"]) == 60
    assert float(read["coverage_curve.csv"][-1]["coverage"]) == 1
    assert len(read["ancestor_curve.csv"]) == len(evaluation.ancestors.scores)


def test_what_cannot_be_measured_is_an_empty_cell(results_of, tmp_path):
    write_tables(tmp_path, measure(results_of(np.eye(6)[:1], [12]), replicates=5))
    taxa = {row["name"]: row for row in read_csv(tmp_path / "taxa.csv")}
    unseen = taxa["Pieris napi"]
    assert [unseen[name] for name in ("photographs", "top1", "low", "high")] == ["0", "", "", ""]
    assert unseen["training_photographs"] == "100"
    empty = [row for row in read_csv(tmp_path / "tail.csv") if row["photographs"] == "0"]
    assert {row["top1"] for row in empty} == {row["macro_low"] for row in empty} == {""}


def test_names_stay_text(results_of, tmp_path):
    name = '=HYPERLINK("x"),<b>"y"'
    results = results_of(np.eye(6)[[0, 0]], [12, 13])
    tree = Taxonomy(
        replace(taxon, name=name) if taxon.taxon_id == 12 else taxon for taxon in results.taxonomy
    )
    assert isinstance(tree[12], Taxon)
    write_tables(tmp_path, measure(replace(results, taxonomy=tree), replicates=0))
    taxa = {row["taxon_id"]: row for row in read_csv(tmp_path / "taxa.csv")}
    assert taxa["12"]["name"] == taxa["13"]["most_often_named"] == name
