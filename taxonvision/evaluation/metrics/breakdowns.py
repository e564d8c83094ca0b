"""Accuracy of photographs apart: by region, and by how often their taxon was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.bootstrap import Estimate, Resampling
from taxonvision.evaluation.lookup import find_unsorted
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.geography.regions import AT_SEA, locate, region
from taxonvision.text import several

UNKNOWN_REGION = "unknown"
TAIL_STARTS = (0, 1, 10, 20, 50, 100, 200, 500, 1000)
"""Training photographs from which a class of the tail begins; it ends before the next."""


@dataclass(frozen=True)
class Part:
    """Some of the photographs.

    Attributes:
        taxa: that they show.
        photographs: how many.
        observations: that they are of.
        top1: share named right.
        macro_top1: mean over the taxa of the share named right.
    """

    taxa: int
    photographs: int
    observations: int
    top1: Estimate
    macro_top1: Estimate


@dataclass(frozen=True)
class RegionAccuracy:
    """The photographs taken in a region of the United Nations' list, at sea or nobody knows where.

    Attributes:
        name: of the region.
        part: its photographs.
    """

    name: str
    part: Part


@dataclass(frozen=True)
class TailAccuracy:
    """The classes that have about as many training photographs.

    Attributes:
        least: training photographs.
        most: training photographs, included; None where there is no bound.
        classes: of the model that have so many.
        part: the photographs that show them.
    """

    least: int
    most: int | None
    classes: int
    part: Part

    @property
    def name(self) -> str:
        """`0`, `1-9` or `1000+`."""
        if self.most is None:
            return f"{self.least}+"
        return f"{self.least}-{self.most}" if self.most > self.least else f"{self.least}"


def of_training(least: int, most: int | None) -> str:
    """`no training photographs`, `1 to 9 training photographs`, `1000 ... or more`."""
    if most is None:
        return f"{several(least, 'training photograph')} or more"
    if least < most:
        return f"{least} to {several(most, 'training photograph')}"
    return several(most, "training photograph") if most else "no training photographs"


def accuracy_of_regions(
    latitudes: np.ndarray,
    longitudes: np.ndarray,
    truth: np.ndarray,
    right: np.ndarray,
    resampling: Resampling,
) -> list[RegionAccuracy]:
    """The regions with photographs: most of them first, then the sea, then what is not known.

    Args:
        latitudes: float64 [n], degrees, NaN where unknown.
        longitudes: float64 [n], degrees, NaN where unknown.
        truth: int64 [n], taxon ids.
        right: bool [n], whether each photograph is named right.
        resampling: of the photographs.
    """
    names, number_of = np.unique(_regions(latitudes, longitudes), return_inverse=True)
    found = [
        RegionAccuracy(str(name), _part(number_of == number, truth, right, resampling))
        for number, name in enumerate(names.tolist())
    ]
    last = (AT_SEA, UNKNOWN_REGION)
    return sorted(
        found,
        key=lambda each: (
            last.index(each.name) if each.name in last else -1,
            -each.part.photographs,
            each.name,
        ),
    )


def accuracy_of_tail(
    truth: np.ndarray,
    right: np.ndarray,
    known: KnownTaxa,
    resampling: Resampling,
    starts: Sequence[int] = TAIL_STARTS,
) -> list[TailAccuracy]:
    """Accuracy by the number of training photographs; taxa that are no class are in no part.

    Args:
        truth: int64 [n], taxon ids.
        right: bool [n], whether each photograph is named right.
        known: the model's classes.
        resampling: of the photographs.
        starts: where the parts begin, ascending from 0.
    """
    part_of_class = np.searchsorted(starts, known.training_photographs, side="right") - 1
    part_of = np.append(part_of_class, -1)[find_unsorted(truth, known.taxon_ids)]
    ends: list[int | None] = [start - 1 for start in starts[1:]]
    return [
        TailAccuracy(
            least=least,
            most=most,
            classes=int((part_of_class == number).sum()),
            part=_part(part_of == number, truth, right, resampling),
        )
        for number, (least, most) in enumerate(zip(starts, [*ends, None], strict=True))
    ]


def _part(chosen: np.ndarray, truth: np.ndarray, right: np.ndarray, resampling: Resampling) -> Part:
    some = resampling.among(chosen)
    return Part(
        taxa=len(np.unique(truth[chosen])),
        photographs=int(chosen.sum()),
        observations=some.observations,
        top1=some.share(right[chosen]),
        macro_top1=some.macro(right[chosen], truth[chosen]),
    )


def _regions(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """The name of the region of each coordinate, str [n]."""
    names = np.full(len(latitudes), UNKNOWN_REGION, object)
    on_earth = (np.abs(latitudes) <= 90) & (np.abs(longitudes) <= 180)  # NaN is neither
    countries = locate(latitudes[on_earth], longitudes[on_earth])
    names[on_earth] = [
        region(country, longitude)
        for country, longitude in zip(
            countries.tolist(), longitudes[on_earth].tolist(), strict=True
        )
    ]
    return names.astype(str)
