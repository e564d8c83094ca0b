"""A map of the world as SVG paths and dots, to be put into a page that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from taxonvision.geography.regions import Country, corners_of, world
from taxonvision.release.places import Dot

# A pixel of a map across a desk is a third of a degree; finer land would be only heavy.
_FINEST = 0.3  # degrees
_NORTH, _SOUTH = 84.0, -57.0  # what is shown; Antarctica only when there is something on it
_STEPS = (1, 2, 5)
_SHADES = 5


@dataclass(frozen=True)
class Mark:
    """A dot on the map: its place in the units of the picture, its shade from 1 to 5, its dot."""

    x: float
    y: float
    shade: int
    dot: Dot


@dataclass(frozen=True)
class Shade:
    """A line of the legend: a shade from 1 to 5 and the numbers of taxa it stands for."""

    shade: int
    least: int
    most: int


@dataclass(frozen=True)
class WorldMap:
    """An equirectangular map; its unit is a degree, x from 180° W, y down from 90° N.

    Attributes:
        view: the attribute viewBox of the picture.
        land: the attribute d of a path, in tenths of a degree.
        marks: dots; the last ones are to be drawn on top.
        legend: few taxa first.
    """

    view: str
    land: str
    marks: tuple[Mark, ...]
    legend: tuple[Shade, ...]


def draw_map(dots: Sequence[Dot]) -> WorldMap:
    """Draw the world with dots shaded by their number of taxa."""
    legend = _legend(max((dot.taxa for dot in dots), default=0))
    south = -90.0 if any(dot.latitude < _SOUTH for dot in dots) else _SOUTH
    marks = tuple(
        Mark(
            x=round(dot.longitude + 180, 1),
            y=round(90 - dot.latitude, 1),
            shade=next(each.shade for each in legend if each.least <= dot.taxa <= each.most),
            dot=dot,
        )
        for dot in dots
    )
    north = 90.0 if any(dot.latitude > _NORTH for dot in dots) else _NORTH
    return WorldMap(f"0 {90 - north:g} 360 {north - south:g}", _land(), marks, legend)


def _legend(most: int) -> tuple[Shade, ...]:
    """Up to five ranges from 1 to `most`, which begin with 1, 2 or 5 times a power of ten."""
    if most < 1:
        return ()
    if most <= _SHADES:
        starts = list(range(1, most + 1))
    else:
        series = [step * 10**power for power in range(len(str(most))) for step in _STEPS]
        series = [start for start in series if start <= most]
        chosen = np.linspace(0, len(series) - 1, min(_SHADES, len(series))).round().astype(int)
        starts = [series[i] for i in chosen]
    ends = [start - 1 for start in starts[1:]] + [most]
    shades = np.linspace(1, _SHADES, len(starts)).round().astype(int).tolist()
    if len(starts) == 1:
        shades = [_SHADES // 2 + 1]
    return tuple(map(Shade, shades, starts, ends))


@lru_cache(maxsize=1)
def _land() -> str:
    """The land as a path; ring by ring, so that the borders of countries can be seen."""
    whole = world()
    thin = tuple(map(_thinned, whole.arcs))
    return "".join(_path(country, thin) for country in whole.countries)


def _thinned(arc: np.ndarray) -> np.ndarray:
    """The arc without corners too near to the one before; neighbours share it, and no gap opens."""
    kept = [arc[0]]
    for corner in arc[1:-1]:
        if np.abs(corner - kept[-1]).max() >= _FINEST:
            kept.append(corner)
    return np.array([*kept, arc[-1]])


def _path(country: Country, arcs: Sequence[np.ndarray]) -> str:
    parts = []
    for numbers in country.arcs:
        ring = corners_of(arcs, numbers)
        if (ring.max(axis=0) - ring.min(axis=0)).max() < _FINEST:
            continue
        corners = np.rint((ring * (1, -1) + (180, 90)) * 10).astype(int)
        moves = np.diff(corners, axis=0)
        moves = moves[(moves != 0).any(axis=1)]
        x, y = corners[0]
        parts.append(f"M{x} {y}l" + " ".join(f"{dx} {dy}" for dx, dy in moves.tolist()) + "z")
    return "".join(parts)
