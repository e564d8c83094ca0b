"""Scores on disk: Parquet, one row a photograph, that any reader understands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from taxonvision.evaluation.scores import Labelled, Ragged, Scores
from taxonvision.tables import object_column, reading_parquet, write_parquet


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
            "SELECT photo_id, observation_id, true_taxon_id, true_score, classes.ids AS taxon_ids,"
            " classes.scores AS scores, rest, coalesce(inner_nodes.ids, []) AS ancestor_ids,"
            " coalesce(inner_nodes.scores, []) AS ancestor_scores,"
            " CASE WHEN NOT isnan(latitude) THEN latitude END AS latitude,"
            " CASE WHEN NOT isnan(longitude) THEN longitude END AS longitude"
            " FROM photographs JOIN classes USING (photograph)"
            " LEFT JOIN inner_nodes USING (photograph) ORDER BY photograph",
        )


def read_scores(path: Path) -> Scores:
    """Read `scores.parquet`; UserError when it is missing or damaged."""
    with reading_parquet(path, "evaluate") as connection:
        connection.execute("CREATE TABLE scores AS SELECT * FROM read_parquet(?)", [str(path)])
        columns = connection.execute(
            "SELECT photo_id, observation_id, true_taxon_id, true_score, rest,"
            " coalesce(latitude, 'nan'::DOUBLE) AS latitude,"
            " coalesce(longitude, 'nan'::DOUBLE) AS longitude, len(taxon_ids) AS classes,"
            " len(ancestor_ids) AS inner_nodes FROM scores ORDER BY rowid"
        ).fetchnumpy()
        entries = [
            connection.execute(
                f"SELECT unnest({ids}) AS ids, unnest({values}) AS scores"  # noqa: S608
                " FROM scores ORDER BY rowid"
            ).fetchnumpy()
            for ids, values in (("taxon_ids", "scores"), ("ancestor_ids", "ancestor_scores"))
        ]
    raggeds = [
        Ragged(
            starts=np.concatenate([[0], np.cumsum(np.asarray(columns[count], np.int64))]),
            taxon_ids=np.asarray(entry["ids"], np.int64),
            scores=np.asarray(entry["scores"], np.float32),
        )
        for count, entry in zip(("classes", "inner_nodes"), entries, strict=True)
    ]
    return Scores(
        photographs=Labelled(
            photo_ids=columns["photo_id"].tolist(),
            observation_ids=columns["observation_id"].tolist(),
            truth=np.asarray(columns["true_taxon_id"], np.int64),
            latitudes=np.asarray(columns["latitude"], np.float64),
            longitudes=np.asarray(columns["longitude"], np.float64),
        ),
        truth_scores=np.asarray(columns["true_score"], np.float32),
        classes=raggeds[0],
        inner=raggeds[1],
        rest=np.asarray(columns["rest"], np.float32),
    )
