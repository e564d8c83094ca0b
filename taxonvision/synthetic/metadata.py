"""The four iNaturalist Open Data tables without photographs, at any scale: for benchmarks.

    observations.csv  photos.csv  taxa.csv  observers.csv    (or each as .csv.gz)

- How many photographs a species has is lognormal with a standard deviation of the logarithm of 1.4:
  of ten million among 60,000 species half have fewer than 60, the first more than ten thousand.
  Subspecies have a third of that, hybrids and names out of use a small part.
- An observation has 1 to 20 photographs, two in the mean, one in thirty more than five.
- 3 % of the observations are identified to the genus only, 1 % to the family, 1 % not at all.
- Quality, licences, dates and the accuracy of places are as in `open_data`; each is drawn on its
  own, so that a fungus may be casual, CC0 and without a taxon. A few observers see the most.

Every column has a stream of random numbers of its own and is drawn in blocks of observations, so
that memory is bounded and the size of the blocks changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonvision import progress
from taxonvision.errors import UserError
from taxonvision.storage import Recipe, publish, write_json
from taxonvision.synthetic import open_data
from taxonvision.synthetic.dataset import MANIFEST, MOST_TAXA, SCHEMA_VERSION
from taxonvision.synthetic.large_tree import LargeTree, make_large_tree
from taxonvision.synthetic.table_text import (
    LARGEST_INTEGER,
    Text,
    beside,
    degrees,
    integers,
    lines,
    uuids,
    words,
    write_tables,
)

BLOCK = 20_000  # observations drawn at once
HEADERS = {
    "taxa": open_data.TAXA,
    "observers": open_data.OBSERVERS,
    "observations": open_data.OBSERVATIONS,
    "photos": open_data.PHOTOS,
}
SPREAD_OF_PHOTOS = 1.4  # standard deviation of the logarithm of a species' photographs
# How often a taxon beside the species is seen, compared with a species: rank, in use, how often.
BESIDE_SPECIES = (("subspecies", True, 0.3), ("hybrid", True, 0.2), ("species", False, 0.03))
IDENTIFIED_TO = (0.95, 0.03, 0.01, 0.01)  # species or finer, genus, family, nothing
# Of observations with 1, 2, 3 photographs and so on; from 6 to 20 each 0.8 times the one before.
PHOTOS_SHARES = (0.55, 0.22, 0.11, 0.06, 0.027, *(0.0068 * 0.8**number for number in range(15)))
RANGE_DEGREES = 3.0  # one standard deviation of where a taxon lives
OBSERVER_POWER = 3  # the higher, the more do the busiest observers see
SIZES = ((2048, 1536), (1536, 2048), (2048, 1365), (1365, 2048), (2048, 2048), (1024, 768))

_FREQUENCIES, _RANGES, _COLUMNS = 42, 43, 44
# Each has a stream of random numbers of its own; a new one goes to the end.
_STREAMS = (
    "count", "uuid", "observer", "taxon", "rank", "latitude", "longitude", "quality", "nowhere",
    "vague", "accuracy", "day", "license", "photo_uuid", "size",
)  # fmt: skip
_QUALITY = words([word for word, _ in open_data.QUALITY])
_CASUAL = [word for word, _ in open_data.QUALITY].index("casual")
_LICENSES = words([word for word, _ in open_data.LICENSES])
_DATES = words(
    [str(open_data.FIRST_DAY + datetime.timedelta(days=day)) for day in range(open_data.DAYS)]
)
_WIDTHS, _HEIGHTS = (words([str(size[side]) for size in SIZES]) for side in (0, 1))


@dataclass(frozen=True)
class MetadataOptions:
    """What to write: photographs, species in use, and whether the tables are compressed."""

    photos: int
    taxa: int = 24
    seed: int = 0
    compress: bool = False

    def check(self) -> None:
        """Raise UserError for the first value that cannot be."""
        for flag, value, low, high in (
            ("photos", self.photos, 1, LARGEST_INTEGER),
            ("taxa", self.taxa, 1, MOST_TAXA),
            ("seed", self.seed, 0, 2**63 - 1),
        ):
            if not low <= value <= high:
                raise UserError(f"--{flag} must lie between {low} and {high}, not {value}")


def synthesize_metadata(
    options: MetadataOptions, out: Path, recipe: Recipe, *, overwrite: bool = False
) -> dict[str, int]:
    """Write the tables into the new folder `out`; returns how many of what there are.

    Raises UserError for options that cannot be.
    """
    options.check()
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        counts = write_metadata(partial, options)
        manifest = {"schema_version": SCHEMA_VERSION, "made_by": recipe.as_json(), **counts}
        write_json(partial / MANIFEST, manifest)
    return counts


def write_metadata(folder: Path, options: MetadataOptions, block: int = BLOCK) -> dict[str, int]:
    """Write the tables into the empty folder `folder`, `block` observations at a time."""
    tree = make_large_tree(options.taxa, options.seed)
    mean = sum(share * number for number, share in enumerate(PHOTOS_SHARES, start=1))
    observers = open_data.observers_for(round(options.photos / mean * sum(PHOTOS_SHARES)))
    records = _Records(tree, observers, options.seed)

    def chunks() -> Iterator[tuple[str, bytes]]:
        yield "taxa", tree.table().encode()
        for first in range(1, observers + 1, block):
            yield "observers", _observer_lines(first, min(first + block, observers + 1))
        blocks = records.blocks(options.photos, block)
        for each in progress.track(blocks, options.photos, "writing", size=lambda one: one.size):
            yield "observations", each.observations
            yield "photos", each.photos

    write_tables(folder, HEADERS, chunks(), compress=options.compress)
    return {
        "taxa": len(tree.rows("species")),
        "genera": len(tree.rows("genus")),
        "families": len(tree.rows("family")),
        "observations": records.observations,
        "photos": options.photos,
        "observers": observers,
    }


class _Block(NamedTuple):
    observations: bytes
    photos: bytes
    size: int  # photographs


class _Records:
    """Draws observations and their photographs; `observations` have been drawn so far."""

    def __init__(self, tree: LargeTree, observers: int, seed: int) -> None:
        self.observations = 0
        self._observers = observers
        sources = np.random.SeedSequence([seed, _COLUMNS]).spawn(len(_STREAMS))
        self._rng = {
            column: np.random.default_rng(source)
            for column, source in zip(_STREAMS, sources, strict=True)
        }
        self._seen, self._frequencies = _seen_taxa(tree, seed)
        self._genus, self._family = tree.above("genus"), tree.above("family")
        rng = np.random.default_rng([seed, _RANGES])
        rows = len(tree.taxon_ids)
        self._latitude, self._longitude = rng.uniform(-45, 62, rows), rng.uniform(-180, 180, rows)
        self._taxon_ids = np.pad(integers(tree.taxon_ids), ((0, 1), (0, 0)))  # row -1: no taxon

    def blocks(self, photos: int, block: int) -> Iterator[_Block]:
        """So many photographs, at most `block` observations at a time."""
        done = 0
        while done < photos:
            left = photos - done
            counts = 1 + self._choose("count", PHOTOS_SHARES, min(block, left))
            ends = np.cumsum(counts)
            if ends[-1] > left:  # the last observation has what is left
                counts = counts[: int(np.searchsorted(ends, left)) + 1]
                counts[-1] -= counts.sum() - left
            yield self._block(counts, done + 1)
            self.observations += len(counts)
            done += int(counts.sum())

    def _block(self, counts: NDArray[np.int64], first_photo_id: int) -> _Block:
        """The observations that have `counts` photographs, and these, numbered from the first."""
        number, size = len(counts), int(counts.sum())
        uuid = uuids(self._rng["uuid"], number)
        nth = (self._observers * self._rng["observer"].random(number) ** OBSERVER_POWER).astype(int)
        observer = integers(1 + nth)
        observations = lines([uuid, observer, *self._meetings(number)])
        of = np.repeat(np.arange(number), counts)
        position = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
        shapes = (self._rng["size"].random(size) * len(SIZES)).astype(int)
        photos = lines(
            [
                uuids(self._rng["photo_uuid"], size),
                integers(np.arange(first_photo_id, first_photo_id + size)),
                uuid[of],
                observer[of],
                "jpg",
                _LICENSES[self._choose("license", _shares(open_data.LICENSES), number)][of],
                _WIDTHS[shapes],
                _HEIGHTS[shapes],
                integers(position),
            ]
        )
        return _Block(observations, photos, size)

    def _meetings(self, number: int) -> list[Text]:
        """Where, how exactly known, what, of which quality and when: the other columns."""
        rows = self._seen[self._choose("taxon", self._frequencies, number)]
        latitude = self._latitude[rows] + RANGE_DEGREES * self._normal("latitude", number)
        longitude = self._longitude[rows] + RANGE_DEGREES * self._normal("longitude", number)
        quality = self._choose("quality", _shares(open_data.QUALITY), number)
        nowhere = self._chance("nowhere", open_data.CASUAL_WITHOUT_PLACE, number)
        nowhere &= quality == _CASUAL
        vague = nowhere | self._chance("vague", open_data.ACCURACY_UNKNOWN, number)
        accuracy = np.rint(np.exp(3.2 + 1.3 * self._normal("accuracy", number))).astype(np.int64)
        named = self._choose("rank", IDENTIFIED_TO, number)
        rows = np.choose(named, [rows, self._genus[rows], self._family[rows], -1])
        days = (self._rng["day"].random(number) * open_data.DAYS).astype(np.int64)
        return [
            np.where(nowhere[:, None], 0, degrees(np.clip(latitude, -80, 80))),
            np.where(nowhere[:, None], 0, degrees((longitude + 180) % 360 - 180)),
            np.where(vague[:, None], 0, integers(accuracy)),
            self._taxon_ids[rows],
            _QUALITY[quality],
            _DATES[days],
        ]

    def _choose(
        self, column: str, shares: Sequence[float] | NDArray[np.float64], number: int
    ) -> NDArray[np.int64]:
        """Indices into `shares`, drawn with these frequencies: (number,)."""
        cumulative = np.cumsum(shares)
        chances = self._rng[column].random(number) * cumulative[-1]
        # Rounding may lift a chance to the very end.
        return np.minimum(np.searchsorted(cumulative, chances, side="right"), len(cumulative) - 1)

    def _chance(self, column: str, share: float, number: int) -> NDArray[np.bool_]:
        return self._rng[column].random(number) < share

    def _normal(self, column: str, number: int) -> NDArray[np.float64]:
        return self._rng[column].standard_normal(number)


def _seen_taxa(tree: LargeTree, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows of the taxa that observations name, and how frequent each is: (n,) and (n,)."""
    rng = np.random.default_rng([seed, _FREQUENCIES])
    rows, frequencies = [], []
    for rank, active, often in (("species", True, 1.0), *BESIDE_SPECIES):
        rows.append(tree.rows(rank, active=active))
        frequencies.append(often * rng.lognormal(0, SPREAD_OF_PHOTOS, len(rows[-1])))
    return np.concatenate(rows), np.concatenate(frequencies)


def _observer_lines(first: int, end: int) -> bytes:
    """The observers from `first` to before `end`; the name of every other one is unknown."""
    numbers = np.arange(first, end)
    number = integers(numbers)
    known = beside(["Observer ", number])
    unknown = beside(["None", np.zeros((len(number), known.shape[1] - len("None")), np.uint8)])
    named = np.where(numbers[:, None] % 2 == 0, known, unknown)
    return lines([number, beside(["observer_", number]), named])


def _shares(table: Sequence[tuple[str, float]]) -> list[float]:
    return [share for _, share in table]
