from __future__ import annotations

import json

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.evaluation.results import (
    KnownTaxa,
    read_known,
    read_results,
    write_known,
    write_own_thresholds,
)
from taxonvision.evaluation.score_files import write_scores
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.names import write_names
from taxonvision.taxonomy.tree import write_taxonomy

MANIFEST = {
    "schema_version": 2,
    "model": {"name": "small"},
    "catalog": {"fingerprint": "c"},
    "split": "test",
    "thresholds": Thresholds().as_json(),
    "median_latency_ms": 1.5,
    "threads": 2,
    "fingerprint": "f",
}


@pytest.fixture
def folder(case_of, tree, class_taxon_ids, tmp_path):
    """Results of two photographs."""
    case = case_of([[0.6, 0.4, 0, 0, 0, 0], [0, 0, 0, 0, 0.9, 0.1]], [12, 23])
    write_scores(tmp_path / "scores.parquet", case.kept)
    write_taxonomy(tmp_path / "taxonomy.csv", tree)
    write_names(tmp_path / "names.csv", {"en": {12: "small white"}})
    write_known(tmp_path / "known.csv", KnownTaxa(np.array(class_taxon_ids), np.arange(6)))
    (tmp_path / "results.json").write_text(json.dumps(MANIFEST))
    return tmp_path


def test_results_are_read(folder, tree):
    results = read_results(folder)
    assert results.fingerprint == "f"
    assert results.scores.truth.tolist() == [12, 23]
    assert results.scenes is None
    assert results.known.training_of == {12: 0, 13: 1, 11: 2, 22: 3, 23: 4, 30: 5}
    assert results.names == {"en": {12: "small white"}}
    assert list(results.taxonomy) == list(tree)


def test_scenes_are_read_where_there_are_some(folder, case_of):
    write_scores(folder / "scenes.parquet", case_of([[0.2, 0.2, 0.2, 0.2, 0.2, 0]], [0]).kept)
    scenes = read_results(folder).scenes
    assert scenes is not None
    assert scenes.truth.tolist() == [0]


def test_thresholds_of_taxa_are_read_as_written(folder):
    write_own_thresholds(folder, Thresholds())
    assert read_results(folder).thresholds == Thresholds()
    write_own_thresholds(folder, Thresholds(by_taxon={13: 0.25, 12: 0.9}))
    assert read_results(folder).thresholds.by_taxon == {12: 0.9, 13: 0.25}
    assert read_results(folder).thresholds.shown_of(99) == Thresholds().shown


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema_version": 1}, "evaluate again with --overwrite"),
        ({"schema_version": 99}, "newer taxonvision"),
        ({"split": 3}, "lacks split"),
        ({"thresholds": {"unknown": "high"}}, "evaluate again"),
    ],
)
def test_a_manifest_that_does_not_do(folder, change, sentence):
    (folder / "results.json").write_text(json.dumps({**MANIFEST, **change}))
    with pytest.raises(UserError, match=sentence):
        read_results(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("known.csv", "taxon_id,training_photographs\n12,-1\n"),
        ("known.csv", "taxon_id\n12\n"),
        ("known.csv", "taxon_id,training_photographs\n"),
        ("known.csv", "taxon_id,training_photographs\n12,1\n12,1\n"),
        ("scores.parquet", "none"),
        ("thresholds.csv", "taxon_id,threshold\n12,high\n"),
    ],
)
def test_damaged_tables(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=name):
        read_results(folder)


@pytest.mark.parametrize(
    ("known", "scores_of", "sentence"),
    [
        ([12, 13, 11, 22, 23, 30, 777], [12], "known.csv has taxa that are not in taxonomy.csv"),
        ([12, 13, 11, 22], [12], "scores.parquet has taxa that are not in known.csv"),
        ([12, 13, 11, 22, 23, 30], [778], "scores.parquet has taxa that are not in taxonomy.csv"),
        ([12, 13, 11, 22, 23, 30], [0], "scores.parquet has taxa that are not in taxonomy.csv"),
    ],
)
def test_files_of_different_runs_are_refused(folder, case_of, known, scores_of, sentence):
    write_known(folder / "known.csv", KnownTaxa(np.array(known), np.ones(len(known), int)))
    write_scores(
        folder / "scores.parquet", case_of([[0.3, 0.2, 0.1, 0.1, 0.2, 0.1]], scores_of).kept
    )
    with pytest.raises(UserError, match=sentence):
        read_results(folder)


def test_scenes_with_an_organism_are_refused(folder, case_of):
    write_scores(folder / "scenes.parquet", case_of([[1, 0, 0, 0, 0, 0]], [12]).kept)
    with pytest.raises(UserError, match="has taxa that are not in"):
        read_results(folder)


def test_known_taxa_are_read_as_written(tmp_path):
    known = KnownTaxa(np.array([9, 3, 5]), np.array([0, 1, 20]))
    write_known(tmp_path / "known.csv", known)
    found = read_known(tmp_path / "known.csv")
    assert found.taxon_ids.tolist() == [9, 3, 5]
    assert found.training_photographs.tolist() == [0, 1, 20]
