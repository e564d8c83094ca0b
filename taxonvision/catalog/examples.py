"""What training and evaluation are given: labelled photographs of a catalog or of its shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from taxonvision.photograph import Source
from taxonvision.progress import say
from taxonvision.tables import reading_parquet
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy


class LabelledPhotos(Protocol):
    """Photographs by column, all of the same length n."""

    @property
    def photo_ids(self) -> list[str]:
        """Their n ids."""

    @property
    def sources(self) -> Sequence[Source]:
        """Where their n files are."""

    @property
    def class_ids(self) -> np.ndarray:
        """Their classes, int32 [n]."""

    @property
    def contents(self) -> np.ndarray:
        """Keys of their bytes, uint64 [n, 2] (`catalog.contents`), zeros where unknown."""

    def __len__(self) -> int: ...


OF_OBSERVED = (
    "coalesce(observation_id, '') AS observation_id,"
    " coalesce(latitude, 'nan'::DOUBLE) AS latitude,"
    " coalesce(longitude, 'nan'::DOUBLE) AS longitude"
)
"""What `Observed` is made of, in SQL, of a table that has these columns."""


@dataclass(frozen=True)
class Observed:
    """Whose and where the photographs of a split are, in the order of `Examples.photos`.

    Attributes:
        observation_ids: n ids, "" where unknown.
        latitudes: float64 [n], degrees, NaN where unknown.
        longitudes: float64 [n], degrees, NaN where unknown.
    """

    observation_ids: list[str]
    latitudes: np.ndarray
    longitudes: np.ndarray

    @classmethod
    def of_columns(cls, columns: Mapping[str, np.ndarray]) -> Observed:
        """What `OF_OBSERVED` selected."""
        return cls(
            observation_ids=columns["observation_id"].tolist(),
            latitudes=np.asarray(columns["latitude"], np.float64),
            longitudes=np.asarray(columns["longitude"], np.float64),
        )

    @classmethod
    def nothing(cls, n: int) -> Observed:
        """Of n photographs nothing is known."""
        return cls([""] * n, np.full(n, np.nan), np.full(n, np.nan))


class Examples(Protocol):
    """An opened catalog, or its shards: the same photographs in the same order."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What it says of itself; `counts` has the number of photographs by split."""

    @property
    def classes(self) -> list[TaxonClass]:
        """The classes by id."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree of the classes."""

    @property
    def names(self) -> Names:
        """Common names by language and taxon id."""

    @property
    def fingerprint(self) -> str:
        """The catalog's."""

    @property
    def shrunk_to(self) -> int:
        """Short side in pixels to which larger photographs were shrunk; 0: they were not."""

    def photos(self, split: str) -> LabelledPhotos:
        """The photographs of one split, ordered by class and photo id."""

    def observed(self, split: str) -> Observed:
        """Their observations and coordinates."""

    def count_by_class(self, split: str) -> np.ndarray:
        """How many photographs of one split each class has, int64 [K]."""


def count_rows_by_class(table: Path, split: str, classes: int, made_by: str) -> np.ndarray:
    """`Examples.count_by_class` from a table with the columns `class_id` and `split`.

    `made_by` names the command to run again, for the UserError raised for a damaged table.
    """
    with reading_parquet(table, made_by) as connection:
        columns = connection.execute(
            "SELECT class_id::BIGINT AS class_id, count(*) AS photographs FROM read_parquet(?)"
            " WHERE split = ? AND class_id BETWEEN 0 AND ? - 1 GROUP BY class_id",
            [str(table), split, classes],
        ).fetchnumpy()
    counts = np.zeros(classes, np.int64)
    counts[columns["class_id"]] = columns["photographs"]
    return counts


def warn_if_shrunk_below(examples: Examples, short_side: int) -> None:
    """Say so when a network that wants photographs of `short_side` pixels gets enlarged ones."""
    if 0 < examples.shrunk_to < short_side:
        say(
            f"warning: the photographs in {examples.folder} were shrunk to {examples.shrunk_to} "
            f"pixels and are enlarged for a network that wants {short_side}; "
            f"`prepare --size={short_side}` keeps their detail"
        )
