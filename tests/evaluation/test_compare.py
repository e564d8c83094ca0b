from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from taxonvision.errors import AlreadyDone, UserError
from taxonvision.evaluation.compare import compare
from taxonvision.evaluation.results import KnownTaxa, Results
from taxonvision.storage import Recipe

RIGHT, WRONG, OTHER = [1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]


@pytest.fixture
def results_of(case_of, class_taxon_ids, tree, tmp_path):
    def make(name, full, truth) -> Results:
        manifest = {
            "model": {"bytes": 1000 * len(name)},
            "split": "test",
            "catalog": {"fingerprint": "the same"},
            "median_latency_ms": 2.5,
            "threads": 2,
            "fingerprint": name,
        }
        known = KnownTaxa(np.array(class_taxon_ids), np.full(len(class_taxon_ids), 10))
        folder = tmp_path / "results" / name
        return Results(folder, manifest, tree, case_of(full, truth).kept, known)

    return make


def test_rows_by_hand(results_of, tmp_path):
    truth = [12, 12, 12, 12]
    full = results_of("full", [RIGHT, RIGHT, WRONG, WRONG], truth)
    small = results_of("int8", [RIGHT, OTHER, RIGHT, OTHER], truth)
    out = tmp_path / "comparison"
    compare(full, [small], out, Recipe("compare"))
    reference, candidate = json.loads((out / "comparison.json").read_text())["models"]
    assert reference["name"] == "full"
    assert reference["agreement"] == 1
    assert reference["difference"] == reference["lost"] == reference["won"] == 0
    assert candidate == {
        "name": "int8", "bytes": 4000, "top1": 0.5, "difference": 0.0, "agreement": 0.25,
        "lost": 1, "won": 1, "median_latency_ms": 2.5, "threads": 2,
    }  # fmt: skip
    with (out / "comparison.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["full", "int8"]
    with pytest.raises(AlreadyDone):
        compare(full, [small], out, Recipe("compare"))


def test_other_photographs_or_labels_are_refused(results_of, tmp_path):
    full = results_of("full", [RIGHT, RIGHT], [12, 12])
    for other in (
        results_of("other", [RIGHT, RIGHT], [12, 13]),
        results_of("fewer", [RIGHT], [12]),
    ):
        with pytest.raises(UserError, match="not results on the same photographs"):
            compare(full, [other], tmp_path / "out", Recipe("compare"))
    assert not (tmp_path / "out").exists()


def test_folders_of_the_same_name_are_told_apart(results_of, tmp_path):
    one = results_of("full", [RIGHT], [12])
    other = Results(
        tmp_path / "elsewhere" / "full", one.manifest, one.taxonomy, one.scores, one.known
    )
    compare(one, [other], tmp_path / "out", Recipe("compare"))
    models = json.loads((tmp_path / "out" / "comparison.json").read_text())["models"]
    assert [row["name"] for row in models] == ["results/full", "elsewhere/full"]


def test_names_in_the_report_are_text_and_never_html(results_of, tmp_path):
    hostile = "<script>alert(1)<"
    compare(results_of("full", [RIGHT], [12]), [results_of(hostile, [RIGHT], [12])],
            tmp_path / "out", Recipe("compare"))  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert "://" not in page
