"""Where the photographs of new taxa were taken, counted from a catalog's coordinates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from taxonvision.release.regions import AT_SEA, country_name, locate, region
from taxonvision.tables import reading_parquet
from taxonvision.taxonomy.classes import read_classes

_CELL = 0.25  # degrees, some 28 km at the equator
_BY_CELL = f"""
WITH placed AS (
    SELECT class_id, latitude, longitude, coalesce(isfinite(latitude) AND isfinite(longitude)
        AND abs(latitude) <= 90 AND abs(longitude) <= 180, false) AS on_earth
    FROM read_parquet(?) SEMI JOIN wanted USING (class_id)
), cells AS (
    SELECT class_id, on_earth,
        CASE WHEN on_earth THEN latitude END AS latitude,
        CASE WHEN on_earth THEN longitude END AS longitude
    FROM placed
)
SELECT class_id, on_earth, count(*) AS photographs, avg(latitude) AS latitude,
    avg(longitude) AS longitude
FROM cells
GROUP BY class_id, on_earth, floor(latitude / {_CELL}), floor(longitude / {_CELL})
ORDER BY ALL
"""  # noqa: S608
_DOT = 3.0  # degrees; a dot of the map stands for a square of that size
_HOMES = 3  # countries named of a taxon


@dataclass(frozen=True)
class Place:
    """A region or a country, how many taxa were photographed there, and how often."""

    name: str
    taxa: int
    photographs: int


@dataclass(frozen=True)
class Dot:
    """A dot of the map, at the mean of the photographs it stands for, in degrees."""

    longitude: float
    latitude: float
    taxa: int
    photographs: int


@dataclass(frozen=True)
class Places:
    """Where photographs were taken.

    Attributes:
        regions: most taxa first, the sea last.
        countries: most taxa first; not the sea.
        dots: for a map, those with the fewest taxa first.
        photographs: taxon id to its photographs, with coordinates and without.
        homes: taxon id to the countries with most of its photographs, most first; the sea is named
            where it is all there is.
        located: photographs with coordinates.
        elsewhere: photographs without coordinates, or with some that are not on Earth.
    """

    regions: tuple[Place, ...]
    countries: tuple[Place, ...]
    dots: tuple[Dot, ...]
    photographs: dict[int, int]
    homes: dict[int, tuple[str, ...]]
    located: int
    elsewhere: int


@dataclass(frozen=True)
class _Counts:
    """Photographs by taxon and cell, all arrays [n]: taxa, photographs, mean coordinates."""

    taxon_ids: np.ndarray
    photographs: np.ndarray
    latitudes: np.ndarray
    longitudes: np.ndarray

    def at(self, chosen: np.ndarray) -> _Counts:
        """Those chosen, bool [n]."""
        return _Counts(*(getattr(self, column.name)[chosen] for column in fields(self)))


def find_places(catalog: Path, taxon_ids: Collection[int]) -> Places | None:
    """Where the photographs of some taxa were taken; None where the catalog has no table of them.

    DuckDB counts them by taxon and cell of a quarter of a degree, so that millions are no burden.
    Raises UserError when the table is damaged.
    """
    if not (catalog / "photos.parquet").is_file():
        return None
    counts, elsewhere = _count(catalog, taxon_ids)
    photographs = Counter(elsewhere)
    for taxon_id, count in zip(counts.taxon_ids.tolist(), counts.photographs.tolist(), strict=True):
        photographs[taxon_id] += count
    cells = np.floor(np.stack([counts.latitudes, counts.longitudes], axis=1) / _CELL)
    _, inverse = np.unique(cells, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    latitudes, longitudes = _means(counts, inverse)
    countries = locate(latitudes, longitudes)
    regions = [
        region(country, longitude)
        for country, longitude in zip(countries.tolist(), longitudes.tolist(), strict=True)
    ]
    region_names, region_numbers = np.unique(np.array(regions, dtype=object), return_inverse=True)
    of_country, of_region = (x[inverse] for x in (countries, region_numbers))
    return Places(
        regions=_places(counts, of_region, region_names.tolist().__getitem__),
        countries=_places(counts, of_country, country_name),
        dots=_dots(counts),
        photographs=dict(photographs),
        homes=_homes(counts, of_country),
        located=int(counts.photographs.sum()),
        elsewhere=sum(elsewhere.values()),
    )


def _count(catalog: Path, taxon_ids: Collection[int]) -> tuple[_Counts, dict[int, int]]:
    """The photographs by taxon and cell, and by taxon those that are nowhere on Earth."""
    wanted = set(taxon_ids)
    classes = [c for c in read_classes(catalog / "classes.csv") if c.taxon_id in wanted]
    taxon_of = {c.class_id: c.taxon_id for c in classes}
    table = catalog / "photos.parquet"
    with reading_parquet(table, "ingest") as connection:
        connection.register("wanted", {"class_id": np.array(list(taxon_of), np.int32)})
        columns = connection.execute(_BY_CELL, [str(table)]).fetchnumpy()
    rows = np.array([taxon_of[i] for i in columns["class_id"].tolist()], np.int64)
    photographs = np.asarray(columns["photographs"], np.int64)
    on_earth = np.asarray(columns["on_earth"], bool)
    counts = _Counts(
        taxon_ids=rows[on_earth],
        photographs=photographs[on_earth],
        latitudes=np.asarray(columns["latitude"][on_earth], np.float64),
        longitudes=np.asarray(columns["longitude"][on_earth], np.float64),
    )
    nowhere = zip(rows[~on_earth].tolist(), photographs[~on_earth].tolist(), strict=True)
    return counts, dict(nowhere)


def _means(counts: _Counts, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean latitude and longitude of the photographs of each group, numbered by `groups` [n]."""
    weights = np.bincount(groups, counts.photographs)
    latitudes = np.bincount(groups, counts.photographs * counts.latitudes) / weights
    longitudes = np.bincount(groups, counts.photographs * counts.longitudes) / weights
    return latitudes, longitudes


def _taxa_in(counts: _Counts, groups: np.ndarray) -> np.ndarray:
    """How many taxa there are in each group, numbered by `groups` [n]: int64 [groups]."""
    pairs = np.unique(np.stack([groups, counts.taxon_ids], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=int(groups.max(initial=-1)) + 1)


def _places(counts: _Counts, groups: np.ndarray, name: Callable[[int], str]) -> tuple[Place, ...]:
    """The groups [n] as places, those numbered -1 left out."""
    there = groups >= 0
    counts, groups = counts.at(there), groups[there]
    photographs = np.bincount(groups, counts.photographs).astype(np.int64).tolist()
    places = [
        Place(name(number), taxa, photographs[number])
        for number, taxa in enumerate(_taxa_in(counts, groups).tolist())
        if taxa
    ]

    def order(place: Place) -> tuple[bool, int, int, str]:
        return place.name == AT_SEA, -place.taxa, -place.photographs, place.name

    return tuple(sorted(places, key=order))


def _dots(counts: _Counts) -> tuple[Dot, ...]:
    squares = np.floor(np.stack([counts.latitudes, counts.longitudes], axis=1) / _DOT)
    _, groups = np.unique(squares, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    columns = (
        *reversed(_means(counts, groups)),
        _taxa_in(counts, groups),
        np.bincount(groups, counts.photographs).astype(np.int64),
    )
    dots = (Dot(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
    return tuple(sorted(dots, key=lambda dot: (dot.taxa, dot.photographs, dot.longitude)))


def _homes(counts: _Counts, countries: np.ndarray) -> dict[int, tuple[str, ...]]:
    photographs: dict[int, Counter[int]] = {}
    columns = (counts.taxon_ids, countries, counts.photographs)
    for taxon_id, country, count in zip(*(c.tolist() for c in columns), strict=True):
        photographs.setdefault(taxon_id, Counter())[country] += count
    return {
        taxon_id: tuple(
            country_name(country)
            for country, _ in of_taxon.most_common()
            if country >= 0 or len(of_taxon) == 1
        )[:_HOMES]
        for taxon_id, of_taxon in photographs.items()
    }
