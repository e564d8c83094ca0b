"""The four tables of the iNaturalist Open Data bucket, for photographs that were drawn.

Tab separated, without quotes, as the bucket has them; an unknown name of an observer is `None`.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.synthetic.species import Species, displaced
from taxonvision.taxonomy.ranks import RANK_LEVELS

OBSERVATIONS = (
    "observation_uuid", "observer_id", "latitude", "longitude", "positional_accuracy", "taxon_id",
    "quality_grade", "observed_on",
)  # fmt: skip
PHOTOS = (
    "photo_uuid", "photo_id", "observation_uuid", "observer_id", "extension", "license", "width",
    "height", "position",
)  # fmt: skip
TAXA = ("taxon_id", "ancestry", "rank_level", "rank", "name", "active")
OBSERVERS = ("observer_id", "login", "name")

# The ranks above the families, with iNaturalist's own ids; Life is the root of its tree.
ROOT = (48460, "stateofmatter", "Life")
UPPER_TAXA = (
    (1, "kingdom", "Animalia"),
    (47120, "phylum", "Arthropoda"),
    (47158, "class", "Insecta"),
    (47157, "order", "Lepidoptera"),
)

QUALITY = (("research", 0.86), ("needs_id", 0.09), ("casual", 0.05))
CASUAL_WITHOUT_PLACE = 0.5  # of the casual observations
LICENSES = (
    ("CC-BY-NC", 0.55), ("CC-BY", 0.18), ("CC0", 0.15), ("CC-BY-NC-SA", 0.07), ("CC-BY-SA", 0.05),
)  # fmt: skip
INACTIVE_SHARE = 0.1  # names that went out of use, a share of the species
ACCURACY_UNKNOWN = 0.3
FIRST_DAY = datetime.date(2012, 1, 1)
DAYS = 5000
OBSERVERS_PER_OBSERVATION = 0.12

_OBSERVATION, _OBSERVER, _INACTIVE = 31, 32, 33
_GIVEN = ("Ada", "Bo", "Ines", "Juno", "Kofi", "Lena", "Mira", "Noor", "Omar", "Pia", "Rui", "Tove")
_FAMILY = (
    "Ahlgren",
    "Brandt",
    "Cole",
    "Dietz",
    "Fofana",
    "Ito",
    "Khan",
    "Lopes",
    "Moreau",
    "Quist",
)
_HANDLES = ("meadow", "wing", "moth", "field", "creek", "dusk", "fern", "heath", "larva", "net")


@dataclass(frozen=True)
class Observation:
    """One meeting with one animal, and the photographs of it."""

    species: Species
    number: int  # in its species, from 0
    identity: int  # unique in the data set
    uuid: str
    observer_id: int
    latitude: float | None
    longitude: float | None
    accuracy: int | None
    quality_grade: str
    observed_on: str
    license: str
    photo_ids: tuple[int, ...]


def observe(
    species: Species,
    number: int,
    identity: int,
    photo_ids: tuple[int, ...],
    observers: int,
    seed: int,
) -> Observation:
    """The record of an observation: who, where in the species' range, when, under which licence."""
    rng = np.random.default_rng([seed, _OBSERVATION, species.index, number])
    home = species.range
    north, east = rng.normal(0, home.spread_km, 2)
    latitude, longitude = displaced(home.latitude, home.longitude, float(north), float(east))
    grade = _choose(rng, QUALITY)
    nowhere = grade == "casual" and rng.random() < CASUAL_WITHOUT_PLACE
    vague = nowhere or rng.random() < ACCURACY_UNKNOWN
    accuracy = round(math.exp(rng.normal(3.2, 1.3)))
    return Observation(
        species=species,
        number=number,
        identity=identity,
        uuid=_uuid(rng),
        # A few people make most of the observations.
        observer_id=1 + int(observers * float(rng.random()) ** 2),
        latitude=None if nowhere else latitude,
        longitude=None if nowhere else longitude,
        accuracy=None if vague else accuracy,
        quality_grade=grade,
        observed_on=str(FIRST_DAY + datetime.timedelta(days=int(rng.integers(DAYS)))),
        license=_choose(rng, LICENSES),
        photo_ids=photo_ids,
    )


def write_open_data(
    folder: Path,
    species: Sequence[Species],
    observations: Sequence[Observation],
    size: int,
    observers: int,
    seed: int,
) -> None:
    """Write observations.csv, photos.csv, taxa.csv and observers.csv into `folder`."""
    _write(folder / "observations.csv", OBSERVATIONS, map(_observation_row, observations))
    _write(
        folder / "photos.csv",
        PHOTOS,
        (row for each in observations for row in _photo_rows(each, size, seed)),
    )
    _write(folder / "taxa.csv", TAXA, _taxon_rows(species, seed))
    _write(folder / "observers.csv", OBSERVERS, (_observer_row(i, seed) for i in range(observers)))


def observers_for(observations: int) -> int:
    """How many people it takes to make so many observations."""
    return max(1, round(observations * OBSERVERS_PER_OBSERVATION))


def _observation_row(observation: Observation) -> tuple[object, ...]:
    return (
        observation.uuid,
        observation.observer_id,
        _degrees(observation.latitude),
        _degrees(observation.longitude),
        "" if observation.accuracy is None else observation.accuracy,
        observation.species.taxon_id,
        observation.quality_grade,
        observation.observed_on,
    )


def _photo_rows(observation: Observation, size: int, seed: int) -> Iterable[tuple[object, ...]]:
    for position, photo_id in enumerate(observation.photo_ids):
        rng = np.random.default_rng([seed, _OBSERVATION, observation.identity, position, photo_id])
        yield (
            _uuid(rng), photo_id, observation.uuid, observation.observer_id, "jpg",
            observation.license, size, size, position,
        )  # fmt: skip


def _taxon_rows(species: Sequence[Species], seed: int) -> Iterable[tuple[object, ...]]:
    root_id, rank, name = ROOT
    yield root_id, "", RANK_LEVELS[rank], rank, name, "true"
    above = [root_id]
    for taxon_id, rank, name in UPPER_TAXA:
        yield taxon_id, _path(above), RANK_LEVELS[rank], rank, name, "true"
        above.append(taxon_id)
    seen: set[int] = set()
    for one in species:
        if one.family_id not in seen:
            seen.add(one.family_id)
            yield one.family_id, _path(above), 30, "family", one.family, "true"
        if one.genus_id not in seen:
            seen.add(one.genus_id)
            yield one.genus_id, _path([*above, one.family_id]), 20, "genus", one.genus, "true"
        ancestry = _path([*above, one.family_id, one.genus_id])
        yield one.taxon_id, ancestry, 10, "species", one.scientific_name, "true"
        if np.random.default_rng([seed, _INACTIVE, one.index]).random() < INACTIVE_SHARE:
            # An older name of the species: inactive, without observations.
            yield (
                one.taxon_id + 1_000_000, ancestry, 10, "species", f"{one.scientific_name}oides",
                "false",
            )  # fmt: skip


def _observer_row(index: int, seed: int) -> tuple[object, ...]:
    rng = np.random.default_rng([seed, _OBSERVER, index])
    login = f"{rng.choice(_HANDLES)}_{rng.choice(_HANDLES)}{index + 1}"
    known = rng.random() < 0.5
    return index + 1, login, f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}" if known else "None"


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(columns) + "\n")
        file.writelines("\t".join(str(cell) for cell in row) + "\n" for row in rows)


def _path(ids: Sequence[int]) -> str:
    return "/".join(str(taxon_id) for taxon_id in ids)


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.10f}"


def _choose(rng: np.random.Generator, shares: Sequence[tuple[str, float]]) -> str:
    return str(rng.choice([word for word, _ in shares], p=[share for _, share in shares]))


def _uuid(rng: np.random.Generator) -> str:
    return str(uuid.UUID(bytes=rng.bytes(16), version=4))
