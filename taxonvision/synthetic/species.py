"""Species by seed: families, genera that share a body plan, species that share most of a pattern.

The list for a seed only ever grows: `make_species(n, seed)` begins `make_species(m, seed)` for
every m > n, so that "new taxa arrive" can be played by asking for more.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from taxonvision.synthetic import names
from taxonvision.synthetic.archetypes import ARCHETYPES, PALETTES, BodyPlan, WingShape
from taxonvision.synthetic.patterns import Appearance, Traits, draw_traits, grow, mutate

FAMILY_IDS_FROM, GENUS_IDS_FROM, SPECIES_IDS_FROM = 5_000_000, 6_000_000, 7_000_000
SHAPE_SPREAD_OF_FAMILY = 0.03  # relative spread of the radii between families of one archetype
SHAPE_SPREAD_OF_GENUS = 0.055  # and between the genera of one family
RANGE_KM = (150.0, 900.0)  # one standard deviation of a species' range, from and to
KM_PER_DEGREE = 111.0

# The first word of every seed sequence, so that no two purposes ever share a generator.
_FAMILY, _GENUS, _SPECIES, _SIZES = 11, 12, 13, 14

# Points well inland with land far around them: latitude, longitude (degrees).
_HEARTLANDS = (
    (40.0, -98.0), (48.0, -110.0), (36.0, -84.0), (55.0, -115.0), (20.0, -100.0), (-8.0, -58.0),
    (-15.0, -50.0), (-32.0, -62.0), (-6.0, -72.0), (47.0, 10.0), (50.0, 25.0), (56.0, 40.0),
    (41.0, -4.0), (62.0, 17.0), (32.0, 3.0), (9.0, 8.0), (2.0, 25.0), (-6.0, 35.0), (-22.0, 25.0),
    (39.0, 35.0), (48.0, 68.0), (58.0, 95.0), (22.0, 79.0), (30.0, 110.0), (43.0, 122.0),
    (17.0, 101.0), (-24.0, 134.0), (-33.0, 147.0),
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """Where a species lives: a centre (degrees) and one standard deviation (kilometres)."""

    latitude: float
    longitude: float
    spread_km: float


@dataclass(frozen=True)
class Species:
    """One species: its names, its place in the tree, how it looks and where it lives."""

    index: int
    taxon_id: int
    scientific_name: str
    common_name: str
    common_name_de: str
    genus: str
    genus_id: int
    family: str
    family_id: int
    body: BodyPlan
    appearance: Appearance
    range: Range


@dataclass(frozen=True)
class _Genus:
    name: str
    taxon_id: int
    family: str
    family_id: int
    body: BodyPlan
    traits: Traits
    heartland: Range
    group: tuple[int, int]


def make_species(taxa: int, seed: int) -> list[Species]:
    """The first `taxa` species of a seed, in the order of the tree."""
    book = names.NameBook()
    made: list[Species] = []
    family_index = genus_index = 0
    while len(made) < taxa:
        sizes = _sizes(family_index, seed)
        family_rng = np.random.default_rng([seed, _FAMILY, family_index])
        plan = _family_plan(family_index, seed, family_rng)
        palettes = family_rng.permutation(len(PALETTES))
        family: str | None = None
        for number, size in enumerate(sizes):
            rng = np.random.default_rng([seed, _GENUS, genus_index])
            name = book.genus(rng)
            family = family or names.family_name(name)
            genus = _Genus(
                name=name,
                taxon_id=GENUS_IDS_FROM + genus_index,
                family=family,
                family_id=FAMILY_IDS_FROM + family_index,
                body=_vary(plan, rng, SHAPE_SPREAD_OF_GENUS),
                traits=draw_traits(rng, PALETTES[palettes[number % len(PALETTES)]]),
                heartland=_heartland(rng),
                group=names.draw_group(rng),
            )
            made += _species_of(genus, size, len(made), seed, book)
            genus_index += 1
        family_index += 1
    return made[:taxa]


def _sizes(family_index: int, seed: int) -> list[int]:
    """Draw the species in each genus of a family; later families are larger."""
    rng = np.random.default_rng([seed, _SIZES, family_index])
    genera = int(rng.integers(2, 4)) + family_index // 3
    return [int(size) for size in rng.choice([1, 2, 3, 4], genera, p=[0.08, 0.37, 0.40, 0.15])]


def _family_plan(family_index: int, seed: int, rng: np.random.Generator) -> BodyPlan:
    """Take the archetypes in turn, in an order of the seed; a second round varies the first."""
    order = np.random.default_rng([seed, _FAMILY]).permutation(len(ARCHETYPES))
    plan = ARCHETYPES[order[family_index % len(ARCHETYPES)]]
    rounds = family_index // len(ARCHETYPES)
    return _vary(plan, rng, SHAPE_SPREAD_OF_FAMILY * (1 + min(rounds, 3)))


def _vary(plan: BodyPlan, rng: np.random.Generator, spread: float) -> BodyPlan:
    def scaled(value: float, strength: float = 1.0) -> float:
        return float(value * math.exp(rng.normal(0, spread * strength)))

    return dataclasses.replace(
        plan,
        forewing=_vary_wing(plan.forewing, rng, spread),
        hindwing=_vary_wing(plan.hindwing, rng, spread),
        body_length=scaled(plan.body_length),
        thorax_width=scaled(plan.thorax_width, 2),
        abdomen_width=scaled(plan.abdomen_width, 2),
        antenna_length=scaled(plan.antenna_length, 2),
        span=scaled(plan.span),
    )


def _vary_wing(shape: WingShape, rng: np.random.Generator, spread: float) -> WingShape:
    factors = np.exp(rng.normal(0, spread, len(shape.radii)))
    tails = tuple(
        dataclasses.replace(
            tail,
            t=tail.t + float(rng.normal(0, spread * 0.5)),
            length=tail.length * float(np.exp(rng.normal(0, spread * 5))),
        )
        for tail in shape.tails
    )
    return dataclasses.replace(
        shape,
        start=shape.start + float(rng.normal(0, spread * 60)),
        end=shape.end + float(rng.normal(0, spread * 60)),
        radii=tuple(float(radius) for radius in np.array(shape.radii) * factors),
        arch=shape.arch + float(rng.normal(0, spread * 30)),
        scallop=shape.scallop * float(np.exp(rng.normal(0, spread * 8))),
        tails=tails,
    )


def _species_of(
    genus: _Genus, size: int, first_index: int, seed: int, book: names.NameBook
) -> list[Species]:
    epithets: set[str] = set()
    looks: set[int] = set()
    made = []
    for index in range(first_index, first_index + size):
        rng = np.random.default_rng([seed, _SPECIES, index])
        epithet = names.epithet(rng, genus.name, epithets)
        english, german = book.common(rng, *genus.group, looks)
        made.append(
            Species(
                index=index,
                taxon_id=SPECIES_IDS_FROM + index,
                scientific_name=f"{genus.name} {epithet}",
                common_name=english,
                common_name_de=german,
                genus=genus.name,
                genus_id=genus.taxon_id,
                family=genus.family,
                family_id=genus.family_id,
                body=genus.body,
                appearance=grow(mutate(genus.traits, rng, first=index == first_index), rng),
                range=_near(genus.heartland, rng),
            )
        )
    return made


def _heartland(rng: np.random.Generator) -> Range:
    latitude, longitude = _HEARTLANDS[int(rng.integers(len(_HEARTLANDS)))]
    return Range(latitude, longitude, float(rng.uniform(*RANGE_KM)))


def _near(heartland: Range, rng: np.random.Generator) -> Range:
    """A range of its own: it overlaps those of its congeners, or lies beside them."""
    distance = float(rng.uniform(0.2, 2.0)) * heartland.spread_km
    bearing = float(rng.uniform(0, 2 * math.pi))
    latitude, longitude = displaced(
        heartland.latitude,
        heartland.longitude,
        distance * math.cos(bearing),
        distance * math.sin(bearing),
    )
    return Range(latitude, longitude, heartland.spread_km * float(rng.uniform(0.3, 0.7)))


def displaced(
    latitude: float, longitude: float, north_km: float, east_km: float
) -> tuple[float, float]:
    """The point so many kilometres north and east, on a sphere, kept off the poles."""
    north = min(max(latitude + north_km / KM_PER_DEGREE, -70.0), 75.0)
    shrink = math.cos(math.radians(north))
    east = longitude + east_km / (KM_PER_DEGREE * shrink)
    return north, (east + 180.0) % 360.0 - 180.0
