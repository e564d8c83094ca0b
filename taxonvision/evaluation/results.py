"""Results: what a model says of each photograph of a split, kept so that none is scored twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.storage import read_manifest
from taxonvision.tables import reading_parquet, write_parquet
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy, read_taxonomy

MANIFEST = "results.json"
SCHEMA_VERSION = 1
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": dict,
    "catalog": str,
    "split": str,
    "median_latency_ms": (int, float),
    "threads": int,
    "fingerprint": str,
}
KEPT_SHARE = 0.001
"""Scores of at least this share of the photograph's best are kept, as the apps' roll-up does."""
ALWAYS_KEPT = 5
"""So many of the best classes are kept whatever their scores."""


@dataclass(frozen=True)
class Ragged:
    """Taxa with scores by photograph, best first; photograph i has [starts[i]:starts[i + 1]].

    Attributes:
        starts: int64 [n + 1].
        taxon_ids: int64 [m].
        scores: float32 [m].
    """

    starts: np.ndarray
    taxon_ids: np.ndarray
    scores: np.ndarray

    @property
    def photographs(self) -> np.ndarray:
        """int64 [m]: the photograph that each entry belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


@dataclass(frozen=True)
class Scores:
    """What a model says of n photographs.

    Attributes:
        photo_ids: n ids.
        truth: int64 [n], taxon ids.
        truth_scores: float32 [n], the score of the truth's own class, 0 where it is no class.
        classes: the classes kept, by their own scores.
        inner: the inner nodes of the tree, by their rolled-up scores.
        rest: float32 [n], the scores of all classes not kept, summed.
    """

    photo_ids: list[str]
    truth: np.ndarray
    truth_scores: np.ndarray
    classes: Ragged
    inner: Ragged
    rest: np.ndarray

    def __len__(self) -> int:
        return len(self.photo_ids)


@dataclass(frozen=True)
class Results:
    """A results directory, opened."""

    folder: Path
    manifest: Mapping[str, Any]
    taxonomy: Taxonomy
    scores: Scores

    @property
    def fingerprint(self) -> str:
        """SHA-256 that names the model and the photographs."""
        return str(self.manifest["fingerprint"])


def keep(
    photo_ids: Sequence[str],
    truth: np.ndarray,
    score_batches: Iterable[np.ndarray],
    roll_up: RollUp,
    class_taxon_ids: Sequence[int],
) -> Scores:
    """Keep of full scores, float32 batches [b, C] in the order of the photographs, what counts."""
    ids = np.asarray(class_taxon_ids, dtype=np.int64)
    position = {taxon_id: i for i, taxon_id in enumerate(class_taxon_ids)}
    has_children = np.zeros(len(roll_up.node_ids), bool)
    has_children[roll_up.parents[roll_up.parents >= 0]] = True
    inner_nodes = np.flatnonzero(has_children)
    of_rank = _by_rank(inner_nodes, roll_up)
    class_parts, inner_parts, truth_scores, rest = [], [], [], []
    for row, scores in enumerate(row for batch in score_batches for row in batch):
        least = KEPT_SHARE * scores.max()
        order = np.argsort(-scores, kind="stable")
        kept = order[: max(ALWAYS_KEPT, int((scores >= least).sum()))]
        class_parts.append((ids[kept], scores[kept]))
        own = position.get(int(truth[row]))
        truth_scores.append(0.0 if own is None else scores[own])
        rest.append(max(0.0, float(scores.sum() - scores[kept].sum())))
        node_scores = roll_up.node_scores(scores[None])[0]
        best_of_ranks = [nodes[np.argmax(node_scores[nodes])] for nodes in of_rank]
        high = inner_nodes[node_scores[inner_nodes] >= least]
        kept_inner = np.union1d(high, np.array(best_of_ranks, np.int64))
        kept_inner = kept_inner[np.argsort(-node_scores[kept_inner], kind="stable")]
        inner_parts.append((roll_up.node_ids[kept_inner], node_scores[kept_inner]))
    return Scores(
        photo_ids=list(photo_ids),
        truth=np.asarray(truth, np.int64),
        truth_scores=np.array(truth_scores, np.float32),
        classes=_ragged(class_parts),
        inner=_ragged(inner_parts),
        rest=np.array(rest, np.float32),
    )


def write_scores(path: Path, scores: Scores) -> None:
    """Write `scores.parquet`, one row a photograph."""
    import duckdb

    rows = {
        "photograph": np.arange(len(scores)),
        "photo_id": np.array(scores.photo_ids, dtype=object),
        "true_taxon_id": scores.truth,
        "true_score": scores.truth_scores,
        "rest": scores.rest,
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
            "SELECT photo_id, true_taxon_id, true_score, classes.ids AS taxon_ids,"
            " classes.scores AS scores, rest, coalesce(inner_nodes.ids, []) AS ancestor_ids,"
            " coalesce(inner_nodes.scores, []) AS ancestor_scores"
            " FROM photographs JOIN classes USING (photograph)"
            " LEFT JOIN inner_nodes USING (photograph) ORDER BY photograph",
        )


def read_results(folder: Path) -> Results:
    """Open a results directory; UserError when it is none."""
    manifest = read_manifest(folder, MANIFEST, "results", "evaluate", SCHEMA_VERSION, _FIELDS)
    return Results(
        folder=folder,
        manifest=manifest,
        taxonomy=read_taxonomy(folder / "taxonomy.csv"),
        scores=read_scores(folder / "scores.parquet"),
    )


def read_scores(path: Path) -> Scores:
    """Read `scores.parquet`; UserError when it is missing or damaged."""
    with reading_parquet(path, "evaluate") as connection:
        connection.execute("CREATE TABLE scores AS SELECT * FROM read_parquet(?)", [str(path)])
        columns = connection.execute(
            "SELECT photo_id, true_taxon_id, true_score, rest, len(taxon_ids) AS classes,"
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
        photo_ids=columns["photo_id"].tolist(),
        truth=np.asarray(columns["true_taxon_id"], np.int64),
        truth_scores=np.asarray(columns["true_score"], np.float32),
        classes=raggeds[0],
        inner=raggeds[1],
        rest=np.asarray(columns["rest"], np.float32),
    )


def _by_rank(nodes: np.ndarray, roll_up: RollUp) -> list[np.ndarray]:
    """The nodes in groups of one rank: the best of each rank is kept whatever its score."""
    groups: dict[str, list[int]] = {}
    for node in nodes.tolist():
        groups.setdefault(roll_up.taxonomy[int(roll_up.node_ids[node])].rank, []).append(node)
    return [np.array(group, np.int64) for group in groups.values()]


def _ragged(parts: list[tuple[np.ndarray, np.ndarray]]) -> Ragged:
    lengths = [len(ids) for ids, _ in parts]
    return Ragged(
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        taxon_ids=np.concatenate([np.zeros(0, np.int64), *(ids for ids, _ in parts)]),
        scores=np.concatenate([np.zeros(0), *(scores for _, scores in parts)]).astype(np.float32),
    )
