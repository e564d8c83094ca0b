from __future__ import annotations

import duckdb
import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.evaluation.score_files import join_scores, read_scores, write_scores
from taxonvision.evaluation.scores import Labelled, Scores, joined

ONE_CASE = pytest.mark.parametrize("case", ["sure"], indirect=True)
"""Scores of which more classes are kept here and fewer there."""


def same(first: Scores, second: Scores) -> bool:
    pairs = [
        (first.truth, second.truth),
        (first.photographs.latitudes, second.photographs.latitudes),
        (first.photographs.longitudes, second.photographs.longitudes),
        (first.truth_scores, second.truth_scores),
        (first.rest, second.rest),
        *(
            (getattr(getattr(first, part), name), getattr(getattr(second, part), name))
            for part in ("classes", "inner")
            for name in ("starts", "taxon_ids", "scores")
        ),
    ]
    return (
        first.photo_ids == second.photo_ids
        and first.photographs.observation_ids == second.photographs.observation_ids
        and all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    )


def test_what_is_written_is_read(case, tmp_path):
    write_scores(tmp_path / "scores.parquet", case.kept)
    assert same(read_scores(tmp_path / "scores.parquet"), case.kept)


@ONE_CASE
def test_observations_and_places_are_kept(case, tmp_path):
    bare = case.kept.photographs
    places = np.where(np.arange(len(bare)) % 3 == 0, np.nan, np.linspace(-90, 90, len(bare)))
    observed = Labelled(
        bare.photo_ids, [f"o{i // 2}" * (i > 3) for i in range(len(bare))], bare.truth,
        places, places[::-1],
    )  # fmt: skip
    kept = Scores(
        observed, case.kept.truth_scores, case.kept.classes, case.kept.inner, case.kept.rest
    )
    write_scores(tmp_path / "scores.parquet", kept)
    assert same(read_scores(tmp_path / "scores.parquet"), kept)


@ONE_CASE
def test_parts_joined_are_the_whole(case, tmp_path):
    for number, indices in enumerate(np.array_split(np.arange(len(case.kept)), 4)):
        write_scores(tmp_path / f"{number}.parquet", case.kept.take(indices))
    parts = sorted(tmp_path.glob("*.parquet"))
    join_scores(tmp_path / "scores.parquet", parts)
    assert same(read_scores(tmp_path / "scores.parquet"), case.kept)


@ONE_CASE
def test_a_part_may_have_no_photographs(case, tmp_path):
    write_scores(tmp_path / "0.parquet", joined(Labelled.of([], np.zeros(0)), []))
    write_scores(tmp_path / "1.parquet", case.kept)
    join_scores(tmp_path / "scores.parquet", [tmp_path / "0.parquet", tmp_path / "1.parquet"])
    assert same(read_scores(tmp_path / "scores.parquet"), case.kept)
    assert len(read_scores(tmp_path / "0.parquet")) == 0


@ONE_CASE
def test_row_groups_are_small_enough_to_be_held(case, tmp_path, monkeypatch):
    monkeypatch.setattr("taxonvision.evaluation.score_files._ROWS_IN_GROUP", 2048)
    many = case.kept.take(np.arange(5000) % len(case.kept))
    write_scores(tmp_path / "0.parquet", many)
    join_scores(tmp_path / "scores.parquet", [tmp_path / "0.parquet"])
    groups = duckdb.sql(
        f"SELECT DISTINCT row_group_id, row_group_num_rows"
        f" FROM parquet_metadata('{tmp_path / 'scores.parquet'}') ORDER BY ALL"
    ).fetchall()
    assert groups == [(0, 2048), (1, 2048), (2, 904)]
    assert same(read_scores(tmp_path / "scores.parquet"), many)


def test_the_parquet_has_one_row_a_photograph_that_any_reader_understands(case, tmp_path):
    path = tmp_path / "scores.parquet"
    write_scores(path, case.kept)
    rows = duckdb.sql(
        f"SELECT photo_id, true_taxon_id, taxon_ids[1], scores[1], ancestor_ids,"
        f" ancestor_scores FROM '{path}'"
    ).fetchall()
    assert [row[0] for row in rows] == case.kept.photo_ids
    assert [row[1] for row in rows] == case.truth.tolist()
    for row, full in zip(rows, case.full, strict=True):
        assert row[3] == full.max()
        order = dict(zip(row[4], row[5], strict=True))
        assert np.isclose(order[1], 1, atol=1e-6)


DAMAGES = {
    "a list is shorter": "REPLACE (list_slice(scores, 1, 2) AS scores)",
    "no list": "REPLACE (NULL::FLOAT[] AS ancestor_scores)",
    "a class without score": "REPLACE (list_append(scores, NULL) AS scores,"
    " list_append(taxon_ids, 7) AS taxon_ids)",
    "no class at all": "REPLACE ([]::FLOAT[] AS scores, []::BIGINT[] AS taxon_ids)",
    "worst first": "REPLACE (list_reverse(scores) AS scores, list_reverse(taxon_ids) AS taxon_ids)",
    "no number": "REPLACE ([0.5::FLOAT, 'nan'::FLOAT, 0, 0, 0] AS scores)",
    "no truth": "REPLACE (NULL::BIGINT AS true_taxon_id)",
    "words for scores": "REPLACE (['high', 'low', 'low', 'low', 'low'] AS scores)",
    "a column is gone": "EXCLUDE (rest)",
    "no number for the rest": "REPLACE ('nan'::FLOAT AS rest)",
    "no number for the truth": "REPLACE ('inf'::FLOAT AS true_score)",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_one_sentence(case_of, tmp_path, damage):
    whole, path = tmp_path / "whole.parquet", tmp_path / "scores.parquet"
    case = case_of([[0.6, 0.2, 0.1, 0.05, 0.05, 0.0]] * 3, [12, 13, 99])
    write_scores(whole, case.kept)
    duckdb.sql(f"SELECT * {damage} FROM '{whole}'").write_parquet(str(path))
    with pytest.raises(UserError, match="evaluate again"):
        read_scores(path)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no more"])
def test_a_file_that_is_none(tmp_path, content):
    path = tmp_path / "scores.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="evaluate again"):
        read_scores(path)
