"""Countries and regions of the world: outlines for a map, and where a coordinate lies.

The land is `land/countries.json`; its README tells its sources and their licences.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

AT_SEA = "At sea"
NORTHERN_ASIA = "Northern Asia"
COAST = 1.0
"""A point at sea no further from land than this counts to it; degrees of latitude, 111 km."""
_RUSSIA, _URALS = "Russia", 60.0  # M49 has all of it in Eastern Europe; life knows better
_COMPARISONS = 2_000_000  # of points with corners at a time, which bounds memory to some 100 MB


@dataclass(frozen=True)
class Ring:
    """A closed line: corners float64 [k, 2], longitude and latitude in degrees, and its bounds."""

    corners: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Country:
    """A country, or a part far away from the rest of it.

    Attributes:
        name: in English.
        region: sub-region of the United Nations' M49 list.
        rings: its outlines and holes.
        arcs: for each ring the numbers of its arcs, -1 - n for arc n backwards.
    """

    name: str
    region: str
    rings: tuple[Ring, ...]
    arcs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class World:
    """The land of the world.

    Attributes:
        countries: in the order in which they are numbered.
        arcs: what rings are made of, each float64 [k, 2]; neighbours share them.
    """

    countries: tuple[Country, ...]
    arcs: tuple[np.ndarray, ...]


def corners_of(arcs: Sequence[np.ndarray], ring: Sequence[int]) -> np.ndarray:
    """The arcs of a ring end to end, float64 [k, 2]; the corners where they meet come once."""
    parts = [arcs[arc] if arc >= 0 else arcs[-1 - arc][::-1] for arc in ring]
    return np.concatenate([part[1 if i else 0 :] for i, part in enumerate(parts)])


@lru_cache(maxsize=1)
def world() -> World:
    """The land that comes with the package."""
    file = resources.files(__package__) / "land" / "countries.json"
    topology: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    scale, translate = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = tuple(np.cumsum(arc, axis=0) * scale + translate for arc in topology["arcs"])
    geometries = topology["objects"]["land"]["geometries"]
    return World(tuple(_country(geometry, arcs) for geometry in geometries), arcs)


def _country(geometry: dict[str, Any], arcs: Sequence[np.ndarray]) -> Country:
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    rings = tuple(tuple(ring) for polygon in polygons for ring in polygon)
    corners = [corners_of(arcs, ring) for ring in rings]
    return Country(
        name=geometry["properties"]["name"],
        region=geometry["properties"]["region"],
        rings=tuple(Ring(line, line.min(axis=0), line.max(axis=0)) for line in corners),
        arcs=rings,
    )


def locate(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """The country at each coordinate.

    A point is in a country when a line from it to the east crosses the country's border an odd
    number of times (Shimrat 1962, Communications of the ACM 5). What is in none belongs to the
    nearest border no further than `COAST`, across the antimeridian too.

    Args:
        latitudes: degrees north, float64 [n], all finite and within 90.
        longitudes: degrees east, float64 [n], all finite and within 180.

    Returns numbers of `world().countries`, int32 [n], -1 for at sea.
    """
    order = np.argsort(latitudes, kind="stable")
    points = np.stack([longitudes, latitudes], axis=1).astype(np.float64)[order]
    inside = _inside(points)
    at_sea = np.flatnonzero(inside < 0)
    inside[at_sea] = _nearest(points[at_sea])
    found = np.empty(len(points), np.int32)
    found[order] = inside
    return found


def region(country: int, longitude: float) -> str:
    """The region of a point in a country as `locate` numbers it."""
    if country < 0:
        return AT_SEA
    there = world().countries[country]
    # Beyond the antimeridian is Russia's far east.
    if there.name == _RUSSIA and (longitude > _URALS or longitude < 0):
        return NORTHERN_ASIA
    return there.region


def country_name(country: int) -> str:
    """The name of a country as `locate` numbers it."""
    return AT_SEA if country < 0 else world().countries[country].name


def _inside(points: np.ndarray) -> np.ndarray:
    """The first country around each of the points [n, 2], ordered by latitude: int32 [n]."""
    found = np.full(len(points), -1, np.int32)
    for number, country in enumerate(world().countries):
        crossed = np.zeros(len(points), bool)
        for ring in country.rings:
            near = _within(points, ring)
            for some in _chunks(near, len(ring.corners)):
                crossed[some] ^= _is_inside(points[some], ring.corners)
        found[crossed & (found < 0)] = number
    return found


def _within(points: np.ndarray, ring: Ring) -> np.ndarray:
    """Positions of the points [n, 2], ordered by latitude, that are within a ring's bounds."""
    start, stop = np.searchsorted(points[:, 1], (ring.low[1], ring.high[1]))
    x = points[start:stop, 0]
    return start + np.flatnonzero((x >= ring.low[0]) & (x <= ring.high[0]))


def _is_inside(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Whether each of the points [m, 2] is inside a ring [k, 2]: bool [m]."""
    x, y = points[:, :1], points[:, 1:]
    (x1, y1), (x2, y2) = corners[:-1].T, corners[1:].T
    rise = np.where(y2 == y1, 1.0, y2 - y1)  # level edges are crossed by no level line
    crosses = ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / rise)
    return np.asarray(crosses.sum(axis=1) % 2, bool)


def _nearest(points: np.ndarray) -> np.ndarray:
    """The country nearest to each of the points [n, 2], ordered by latitude: int32 [n]."""
    found = np.full(len(points), -1, np.int32)
    least = np.full(len(points), COAST)
    # A degree of longitude is shorter towards the poles; at them all of them meet.
    shrink = np.maximum(np.cos(np.radians(points[:, 1])), 0.01)
    for number, country in enumerate(world().countries):
        for ring in country.rings:
            low, high = ring.low - COAST, ring.high + COAST
            start, stop = np.searchsorted(points[:, 1], (low[1], high[1]))
            if start == stop:
                continue
            reach = COAST / shrink[[start, stop - 1]].min() - COAST  # further east and west
            for turn in (0.0, -360.0, 360.0):
                x = points[start:stop, 0] + turn
                near = start + np.flatnonzero((x >= low[0] - reach) & (x <= high[0] + reach))
                for some in _chunks(near, len(ring.corners)):
                    moved = points[some] + (turn, 0.0)
                    distance = _distances(moved, ring.corners, shrink[some])
                    nearer = distance < least[some]
                    least[some[nearer]] = distance[nearer]
                    found[some[nearer]] = number
    return found


def _distances(points: np.ndarray, corners: np.ndarray, shrink: np.ndarray) -> np.ndarray:
    """Distances of the points [m, 2] to a ring [k, 2] in degrees of latitude: float64 [m]."""
    scale = np.stack([shrink, np.ones_like(shrink)], axis=1)[:, None]
    start = (corners[:-1] - points[:, None]) * scale
    along = (corners[1:] - corners[:-1]) * scale
    length = np.maximum((along**2).sum(axis=2), 1e-12)
    share = np.clip(-(start * along).sum(axis=2) / length, 0, 1)
    nearest = start + share[..., None] * along
    return np.asarray(np.sqrt((nearest**2).sum(axis=2)).min(axis=1))


def _chunks(points: np.ndarray, corners: int) -> Iterator[np.ndarray]:
    size = max(_COMPARISONS // corners, 1)
    for start in range(0, len(points), size):
        yield points[start : start + size]
