from __future__ import annotations

import duckdb
import numpy as np

from taxonvision.evaluation.score_files import read_scores, write_scores
from taxonvision.evaluation.scores import Scores


def same(first: Scores, second: Scores) -> bool:
    pairs = [
        (first.truth, second.truth),
        (first.truth_scores, second.truth_scores),
        (first.rest, second.rest),
        *(
            (getattr(getattr(first, part), name), getattr(getattr(second, part), name))
            for part in ("classes", "inner")
            for name in ("starts", "taxon_ids", "scores")
        ),
    ]
    return first.photo_ids == second.photo_ids and all(np.array_equal(a, b) for a, b in pairs)


def test_what_is_written_is_read(case, tmp_path):
    write_scores(tmp_path / "scores.parquet", case.kept)
    assert same(read_scores(tmp_path / "scores.parquet"), case.kept)


def test_every_score_above_the_share_and_the_best_five_are_kept(case):
    for i, row in enumerate(case.full):
        start, stop = case.kept.classes.starts[i : i + 2]
        kept = case.kept.classes.scores[start:stop]
        assert len(kept) >= max(5, (row >= 0.001 * row.max()).sum())
        assert (np.diff(kept) <= 0).all()
        assert np.isclose(kept.sum() + case.kept.rest[i], row.sum(), atol=1e-6)


def test_the_truth_keeps_its_score_and_no_class_has_none(case, class_taxon_ids):
    for i, taxon_id in enumerate(case.truth.tolist()):
        expected = (
            case.full[i, class_taxon_ids.index(taxon_id)] if taxon_id in class_taxon_ids else 0
        )
        assert case.kept.truth_scores[i] == expected


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
