"""Which photographs a head has learned from, by taxon: counted, and a sample of them by content.

The counts weigh the rows of merged taxa; the sample tells a later release which photographs of old
taxa are not at hand, and which features of theirs may be in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.catalog.contents import among
from taxonvision.errors import UserError
from taxonvision.tables import (
    integer,
    read_csv,
    reading_parquet,
    taxon_id_in,
    write_csv,
    write_parquet,
)

COUNTS, SAMPLE = "photographs.csv", "trained_on.parquet"
SAMPLED = 50
"""Photographs of a taxon in the sample: 60,000 taxa then take some 50 MB."""


@dataclass(frozen=True)
class TrainedOn:
    """The photographs that the rows of a head were trained on, in this release and before.

    Attributes:
        photographs: how many, by taxon id.
        taxon_ids: int64 [m], taxa of the sampled photographs, in ascending order.
        contents: uint64 [m, 2], the first 128 bits of the SHA-256 of their bytes. They are those
            with the lowest contents of each taxon: a sample by chance, and the samples of two sets
            give that of both (Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007).
    """

    photographs: Mapping[int, int]
    taxon_ids: np.ndarray
    contents: np.ndarray

    @classmethod
    def nothing(cls) -> TrainedOn:
        """Of a head that has learned nothing."""
        return cls({}, np.empty(0, np.int64), np.empty((0, 2), np.uint64))

    @classmethod
    def of(cls, taxon_ids: np.ndarray, contents: np.ndarray) -> TrainedOn:
        """That of photographs with these taxa int64 [n] and contents uint64 [n, 2].

        Contents that are not known are zeros; their photographs are counted and not sampled.
        """
        taxa, counts = np.unique(taxon_ids, return_counts=True)
        photographs = dict(zip(taxa.tolist(), counts.tolist(), strict=True))
        return cls(photographs, *_lowest(taxon_ids, contents))

    def without_sample(self) -> TrainedOn:
        """The counts alone, where photographs cannot be compared."""
        return TrainedOn(self.photographs, self.taxon_ids[:0], self.contents[:0])

    def as_of(self, current: Callable[[int], int | None]) -> TrainedOn:
        """The same after taxa became others; None: a taxon that is no more and has no heir."""
        heirs = {taxon: current(taxon) for taxon in self.photographs}
        photographs: dict[int, int] = {}
        for taxon, count in self.photographs.items():
            heir = heirs[taxon]
            if heir is not None:
                photographs[heir] = photographs.get(heir, 0) + count
        today = np.array([heirs.get(t) or 0 for t in self.taxon_ids.tolist()], np.int64)
        kept = today > 0  # taxon ids count from 1
        return TrainedOn(photographs, *_lowest(today[kept], self.contents[kept]))

    def with_more(self, taxon_ids: np.ndarray, contents: np.ndarray) -> TrainedOn:
        """After training on photographs with these taxa int64 [n] and contents uint64 [n, 2].

        Photographs of before that are among them are counted once, with the taxon they have now:
        exactly where all of a taxon's are in the sample, else as many as the sample lets expect.
        """
        more = TrainedOn.of(taxon_ids, contents)
        again = among(self.contents, contents)
        sampled = _counted(self.taxon_ids)
        seen_again = _counted(self.taxon_ids[again])
        photographs = dict(more.photographs)
        for taxon, before in self.photographs.items():
            share = seen_again.get(taxon, 0) / max(sampled.get(taxon, 0), 1)
            photographs[taxon] = photographs.get(taxon, 0) + round((1 - share) * before)
        return TrainedOn(
            photographs,
            *_lowest(
                np.concatenate([self.taxon_ids[~again], more.taxon_ids]),
                np.concatenate([self.contents[~again], more.contents]),
            ),
        )


def write_trained_on(folder: Path, trained_on: TrainedOn) -> None:
    """Write `photographs.csv` and `trained_on.parquet` into a model's folder."""
    import duckdb

    write_csv(folder / COUNTS, ("taxon_id", "photographs"), sorted(trained_on.photographs.items()))
    with duckdb.connect() as connection:
        connection.register(
            "sample",
            {
                "taxon_id": trained_on.taxon_ids,
                "content_high": np.ascontiguousarray(trained_on.contents[:, 0]),
                "content_low": np.ascontiguousarray(trained_on.contents[:, 1]),
            },
        )
        write_parquet(folder / SAMPLE, connection, "FROM sample")


def read_trained_on(folder: Path) -> TrainedOn | None:
    """What a model was trained on; None where it does not say so.

    Raises UserError for damaged tables.
    """
    if not (folder / COUNTS).is_file():
        return None
    photographs = {
        taxon_id_in(row, "taxon_id", folder / COUNTS): integer(row, "photographs", folder / COUNTS)
        for row in read_csv(folder / COUNTS, ("taxon_id", "photographs"))
    }
    with reading_parquet(folder / SAMPLE, "train") as connection:
        columns = connection.execute(
            "SELECT taxon_id::BIGINT AS taxon_id, content_high::UBIGINT AS content_high,"
            " content_low::UBIGINT AS content_low FROM read_parquet(?) ORDER BY ALL",
            [str(folder / SAMPLE)],
        ).fetchnumpy()
    if any(np.ma.is_masked(column) for column in columns.values()):
        raise UserError(f"{folder / SAMPLE} has empty cells; train again")
    contents = np.stack([columns["content_high"], columns["content_low"]], axis=1)
    return TrainedOn(photographs, np.asarray(columns["taxon_id"]), contents)


def _lowest(taxon_ids: np.ndarray, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Taxa and contents of the sample: the lowest known contents of each taxon, each once."""
    known = contents.any(axis=1)
    taxa, high, low = taxon_ids[known], contents[known, 0], contents[known, 1]
    order = np.lexsort((low, high, taxa))
    taxa, high, low = taxa[order], high[order], low[order]
    first = np.ones(len(taxa), bool)
    first[1:] = (taxa[1:] != taxa[:-1]) | (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    taxa, high, low = taxa[first], high[first], low[first]
    starts = np.searchsorted(taxa, taxa)  # where the taxon of each begins
    kept = np.arange(len(taxa)) - starts < SAMPLED
    return taxa[kept].astype(np.int64), np.stack([high[kept], low[kept]], axis=1)


def _counted(taxon_ids: np.ndarray) -> dict[int, int]:
    taxa, counts = np.unique(taxon_ids, return_counts=True)
    return dict(zip(taxa.tolist(), counts.tolist(), strict=True))
