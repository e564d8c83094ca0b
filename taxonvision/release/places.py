"""Where the photographs of new taxa were taken, counted from a catalog's coordinates."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from taxonvision.geography.regions import AT_SEA, country_name, locate, region
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
    """Photographs by taxon and cell.

    Attributes:
        taxa: positions in the sorted ids of the taxa, int64 [n].
        photographs: how many, int64 [n].
        latitudes: the mean of them, float64 [n].
        longitudes: the mean of them, float64 [n].
    """

    taxa: np.ndarray
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
    if not all((catalog / name).is_file() for name in ("photos.parquet", "classes.csv")):
        return None
    ids = np.unique(np.array(list(taxon_ids), np.int64))
    counts, nowhere = _count(catalog, ids)
    cells = _squares(counts, _CELL)
    latitudes, longitudes = _means(counts, cells)
    countries = locate(latitudes, longitudes)
    regions = map(region, countries.tolist(), longitudes.tolist())
    region_names, region_numbers = np.unique(np.array([*regions], object), return_inverse=True)
    photographs = nowhere + np.bincount(counts.taxa, counts.photographs, len(ids)).astype(np.int64)
    return Places(
        regions=_places(counts, region_numbers[cells], region_names.tolist().__getitem__),
        countries=_places(counts, countries[cells], country_name),
        dots=_dots(counts),
        photographs=dict(zip(ids.tolist(), photographs.tolist(), strict=True)),
        homes=_homes(counts, countries[cells], ids),
        located=int(counts.photographs.sum()),
        elsewhere=int(nowhere.sum()),
    )


def _count(catalog: Path, taxon_ids: np.ndarray) -> tuple[_Counts, np.ndarray]:
    """The photographs by taxon and cell, and by taxon those that are nowhere on Earth: int64 [k].

    Args:
        catalog: its folder.
        taxon_ids: int64 [k], sorted.
    """
    wanted = set(taxon_ids.tolist())
    classes = [c for c in read_classes(catalog / "classes.csv") if c.taxon_id in wanted]
    table = catalog / "photos.parquet"
    with reading_parquet(table, "ingest") as connection:
        wanted_ids = np.array([c.class_id for c in classes], np.int32)
        connection.register("wanted", {"class_id": wanted_ids})
        columns = connection.execute(_BY_CELL, [str(table)]).fetchnumpy()
    taxon_of = np.zeros(max([c.class_id for c in classes], default=0) + 1, np.int64)
    for each in classes:
        taxon_of[each.class_id] = each.taxon_id
    taxa = np.searchsorted(taxon_ids, taxon_of[np.asarray(columns["class_id"])])
    photographs = np.asarray(columns["photographs"], np.int64)
    on_earth = np.asarray(columns["on_earth"], bool)
    counts = _Counts(
        taxa=taxa[on_earth],
        photographs=photographs[on_earth],
        latitudes=np.asarray(columns["latitude"][on_earth], np.float64),
        longitudes=np.asarray(columns["longitude"][on_earth], np.float64),
    )
    nowhere = np.bincount(taxa[~on_earth], photographs[~on_earth], len(taxon_ids))
    return counts, nowhere.astype(np.int64)


def _squares(counts: _Counts, side: float) -> np.ndarray:
    """The squares of `side` degrees in which the cells lie, numbered from 0: int64 [n]."""
    rows, columns = (
        np.floor(each / side).astype(np.int64) for each in (counts.latitudes, counts.longitudes)
    )
    around = int(360 / side) + 1
    return np.unique(rows * around + columns, return_inverse=True)[1]


def _means(counts: _Counts, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean latitude and longitude of the photographs of each group, numbered by `groups` [n]."""
    weights = np.bincount(groups, counts.photographs)
    latitudes = np.bincount(groups, counts.photographs * counts.latitudes) / weights
    longitudes = np.bincount(groups, counts.photographs * counts.longitudes) / weights
    return latitudes, longitudes


def _taxa_in(counts: _Counts, groups: np.ndarray) -> np.ndarray:
    """How many taxa there are in each group, numbered by `groups` [n]: int64 [groups]."""
    taxa = int(counts.taxa.max(initial=0)) + 1
    pairs = np.unique(groups * taxa + counts.taxa)
    return np.bincount(pairs // taxa)


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
    groups = _squares(counts, _DOT)
    columns = (
        *reversed(_means(counts, groups)),
        _taxa_in(counts, groups),
        np.bincount(groups, counts.photographs).astype(np.int64),
    )
    dots = (Dot(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
    return tuple(sorted(dots, key=lambda dot: (dot.taxa, dot.photographs, dot.longitude)))


def _homes(
    counts: _Counts, countries: np.ndarray, taxon_ids: np.ndarray
) -> dict[int, tuple[str, ...]]:
    """By taxon the countries [n] with most of its photographs."""
    several = int(countries.max(initial=0)) + 2
    pairs, inverse = np.unique(counts.taxa * several + countries + 1, return_inverse=True)
    photographs = np.bincount(inverse, counts.photographs)
    found: dict[int, list[int]] = {}
    for i in np.lexsort((-photographs, pairs // several)).tolist():
        taxon, country = divmod(int(pairs[i]), several)
        found.setdefault(int(taxon_ids[taxon]), []).append(country - 1)
    return {
        taxon_id: tuple(country_name(c) for c in there if c >= 0 or len(there) == 1)[:_HOMES]
        for taxon_id, there in found.items()
    }
