"""Scores on disk: Parquet, one row a photograph, that any reader understands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.errors import UserError
from taxonvision.evaluation.scores import Labelled, Ragged, Scores
from taxonvision.interrupts import interruptible
from taxonvision.tables import object_column, reading_parquet, write_parquet

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS_IN_GROUP = 8192  # a row group is held in memory; of 1,000 entries a row it is 100 MB
_LISTS = (("taxon_ids", "scores"), ("ancestor_ids", "ancestor_scores"))


def write_scores(path: Path, scores: Scores) -> None:
    """Write `scores.parquet`."""
    import duckdb

    photographs = scores.photographs
    rows = {
        "photograph": np.arange(len(scores)),
        "photo_id": object_column(photographs.photo_ids),
        "observation_id": object_column(photographs.observation_ids),
        "true_taxon_id": photographs.truth,
        "true_score": scores.truth_scores,
        "rest": scores.rest,
        "latitude": photographs.latitudes,
        "longitude": photographs.longitudes,
    }
    with duckdb.connect() as connection:
        connection.register("photographs", rows)
        for name, ragged in (("classes", scores.classes), ("inner_nodes", scores.inner)):
            connection.register(
                f"{name}_entries",
                {
                    "photograph": ragged.photographs,
                    "place": np.arange(len(ragged.scores)),
                    "taxon_id": ragged.taxon_ids,
                    "score": ragged.scores,
                },
            )
            connection.execute(
                f"CREATE TABLE {name} AS SELECT photograph,"  # noqa: S608 - our own two names
                " list(taxon_id ORDER BY place) AS ids, list(score ORDER BY place) AS scores"
                f" FROM {name}_entries GROUP BY photograph"
            )
        write_parquet(
            path,
            connection,
            "SELECT photo_id::VARCHAR AS photo_id, observation_id::VARCHAR AS observation_id,"
            " true_taxon_id, true_score, classes.ids AS taxon_ids,"
            " classes.scores AS scores, rest, coalesce(inner_nodes.ids, []) AS ancestor_ids,"
            " coalesce(inner_nodes.scores, []) AS ancestor_scores,"
            " CASE WHEN NOT isnan(latitude) THEN latitude END AS latitude,"
            " CASE WHEN NOT isnan(longitude) THEN longitude END AS longitude"
            " FROM photographs JOIN classes USING (photograph)"
            " LEFT JOIN inner_nodes USING (photograph) ORDER BY photograph",
        )


def join_scores(path: Path, parts: Sequence[Path]) -> None:
    """Write the rows of files of `write_scores` as one, in order, without holding them in memory.

    The same parts give the same bytes.
    """
    with reading_parquet(path, "evaluate") as connection, interruptible(connection) as guarded:
        guarded.execute("SET threads = 1")  # several cut the groups as they happen to be done
        guarded.read_parquet([str(part) for part in parts]).create_view("parts")
        write_parquet(path, guarded, "FROM parts", _ROWS_IN_GROUP)


def read_scores(path: Path) -> Scores:
    """Read `scores.parquet`; UserError when it is missing or damaged."""
    with reading_parquet(path, "evaluate") as connection:
        connection.read_parquet(str(path)).create_view("scores")
        # DuckDB passes rows on in the order of the file.
        columns = connection.execute(
            "SELECT photo_id::VARCHAR AS photo_id, observation_id::VARCHAR AS observation_id,"
            " true_taxon_id::BIGINT AS true_taxon_id, true_score::FLOAT AS true_score,"
            " rest::FLOAT AS rest, coalesce(latitude, 'nan')::DOUBLE AS latitude,"
            " coalesce(longitude, 'nan')::DOUBLE AS longitude FROM scores"
        ).fetchnumpy()
        classes, inner = (_ragged(connection, path, *names) for names in _LISTS)
    if any(np.ma.is_masked(column) for column in columns.values()):
        raise _damaged(path)
    scores = Scores(
        photographs=Labelled(
            photo_ids=columns["photo_id"].tolist(),
            observation_ids=columns["observation_id"].tolist(),
            truth=np.asarray(columns["true_taxon_id"]),
            latitudes=np.asarray(columns["latitude"]),
            longitudes=np.asarray(columns["longitude"]),
        ),
        truth_scores=np.asarray(columns["true_score"]),
        classes=classes,
        inner=inner,
        rest=np.asarray(columns["rest"]),
    )
    numbers = (scores.truth_scores, scores.rest)
    if not all(np.isfinite(column).all() for column in numbers):
        raise _damaged(path)
    if not (np.diff(classes.starts) > 0).all():  # every photograph has a best class
        raise _damaged(path)
    return scores


def are_whole(path: Path) -> bool:
    """Whether scores are there and can be read, and need not be made again."""
    try:
        read_scores(path)
    except UserError:
        return False
    return True


def _ragged(connection: DuckDBPyConnection, path: Path, ids: str, scores: str) -> Ragged:
    """Two columns of lists as one; UserError where they do not fit together."""
    lengths = connection.execute(
        f"SELECT len({ids})::BIGINT AS ids, len({scores})::BIGINT AS scores FROM scores"  # noqa: S608
    ).fetchnumpy()
    entries = connection.execute(
        f"SELECT unnest({ids})::BIGINT AS ids, unnest({scores})::FLOAT AS scores"  # noqa: S608
        " FROM scores"
    ).fetchnumpy()
    starts = np.concatenate([[0], np.cumsum(lengths["ids"])]).astype(np.int64)
    ragged = Ragged(starts, np.asarray(entries["ids"]), np.asarray(entries["scores"]))
    whole = not any(np.ma.is_masked(column) for column in (*lengths.values(), *entries.values()))
    if not (whole and (lengths["ids"] == lengths["scores"]).all() and _is_best_first(ragged)):
        raise _damaged(path)
    return ragged


def _is_best_first(ragged: Ragged) -> bool:
    """Whether the scores are numbers and fall within each photograph."""
    falls = np.diff(ragged.scores) <= 0
    firsts = ragged.starts[1:-1]
    falls[firsts[(firsts > 0) & (firsts < len(ragged.scores))] - 1] = True
    return bool(falls.all() and np.isfinite(ragged.scores).all())


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} does not hold what `evaluate` writes; evaluate again")
