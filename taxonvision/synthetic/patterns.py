"""The pattern on the wings, as parameters: bands, margins, eyespots, veins and their colours.

A pattern is grown from traits. A trait is a number that a species inherits from its genus or, by
mutation, has of its own; growing the same number gives the same band, margin or row of eyespots.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from taxonvision.synthetic.archetypes import RGB, Palette
from taxonvision.synthetic.colours import mix, tinted

TRAITS = (
    "ground",
    "dust",
    "inner_band",
    "outer_band",
    "margin",
    "lunules",
    "eyes",
    "apex",
    "veins",
)
# The difficulty of a data set lies here: how much of a pattern congeners share.
TRAIT_CHANGE = 0.60  # chance that a species has a trait of its own
LEAST_CHANGES = 5  # traits that every species but the first of its genus has of its own

_GREY_BROWN: RGB = (0.56, 0.49, 0.40)


@dataclass(frozen=True)
class Band:
    """A band across the wing at `rho` of the way out; `spotted` 1 breaks it at every vein."""

    rho: float
    slope: float
    wave: float
    width: float
    spotted: float
    soft: float
    colour: RGB


@dataclass(frozen=True)
class Margin:
    """The dark border: its width, the waves of its inner edge, the lunules in it."""

    width: float
    wave: float
    colour: RGB
    lunule: float  # size, 0 for none
    lunule_colour: RGB


@dataclass(frozen=True)
class Eyespot:
    """An eyespot in the cell at `t` along the margin: radius in wing units, from ring to pupil."""

    t: float
    rho: float
    radius: float
    ring: RGB
    iris: RGB
    pupil: RGB


@dataclass(frozen=True)
class Apex:
    """A dark tip of the forewing, and how strong the pale spots in it are."""

    reach: float
    colour: RGB
    spots: float


@dataclass(frozen=True)
class WingPattern:
    """Everything painted on one side of one wing."""

    ground: RGB
    outer: RGB
    outer_at: float
    dark: RGB
    light: RGB
    dust: float
    bands: tuple[Band, ...]
    margin: Margin
    eyespots: tuple[Eyespot, ...]
    apex: Apex | None
    veins: float
    sheen: RGB
    sheen_amount: float


@dataclass(frozen=True)
class Appearance:
    """The upper sides, the undersides, and the colours of the body."""

    fore: WingPattern
    hind: WingPattern
    fore_under: WingPattern
    hind_under: WingPattern
    body: RGB
    fur: RGB


@dataclass(frozen=True)
class Traits:
    """A palette and one number for each of TRAITS; `crypsis` is how dull the underside is."""

    palette: Palette
    numbers: tuple[int, ...]
    crypsis: float


def draw_traits(rng: np.random.Generator, palette: Palette) -> Traits:
    """The traits of a genus."""
    numbers = tuple(int(number) for number in rng.integers(2**31, size=len(TRAITS)))
    return Traits(tinted(palette, rng), numbers, float(rng.uniform(0.10, 0.55)))


def mutate(traits: Traits, rng: np.random.Generator, *, first: bool) -> Traits:
    """The traits of a species; the first of a genus keeps them all, as a type species should."""
    changed = rng.random(len(TRAITS)) < TRAIT_CHANGE
    if changed.sum() < LEAST_CHANGES:
        changed[rng.choice(len(TRAITS), LEAST_CHANGES, replace=False)] = True
    fresh = rng.integers(2**31, size=len(TRAITS))
    if first:
        return traits
    numbers = tuple(
        int(new) if change else old
        for old, new, change in zip(traits.numbers, fresh, changed, strict=True)
    )
    return dataclasses.replace(traits, palette=tinted(traits.palette, rng), numbers=numbers)


def grow(traits: Traits, rng: np.random.Generator) -> Appearance:
    """The appearance that the traits lead to, with a little of the species' own."""
    palette = traits.palette
    seeds = dict(zip(TRAITS, traits.numbers, strict=True))

    def generator(trait: str) -> np.random.Generator:
        return np.random.default_rng(seeds[trait])

    ground, outer, outer_at = _ground(generator("ground"), palette)
    inner, inner_hind = _bands(generator("inner_band"), palette, (0.26, 0.50), 0.75)
    outside, outside_hind = _bands(generator("outer_band"), palette, (0.55, 0.80), 0.70)
    margin = _margin(generator("margin"), generator("lunules"), palette)
    eyes, eyes_hind = _eyespots(generator("eyes"), palette)
    veins = float(generator("veins").choice([0.12, 0.3, 0.55, 0.9], p=[0.3, 0.3, 0.2, 0.2]))
    fore = WingPattern(
        ground=ground,
        outer=outer,
        outer_at=outer_at,
        dark=palette.dark,
        light=palette.light,
        dust=float(generator("dust").uniform(0.0, 0.8)),
        bands=inner + outside,
        margin=margin,
        eyespots=eyes,
        apex=_apex(generator("apex"), palette),
        veins=veins,
        sheen=palette.sheen,
        sheen_amount=palette.sheen_amount,
    )
    hind = dataclasses.replace(fore, bands=inner_hind + outside_hind, eyespots=eyes_hind, apex=None)
    body = mix(palette.dark, palette.ground, float(rng.uniform(0.05, 0.3)))
    return Appearance(
        fore=fore,
        hind=hind,
        fore_under=_underside(fore, traits.crypsis, palette),
        hind_under=_underside(hind, min(traits.crypsis + 0.15, 0.9), palette),
        body=body,
        fur=mix(body, palette.light, float(rng.uniform(0.08, 0.30))),
    )


def _ground(rng: np.random.Generator, palette: Palette) -> tuple[RGB, RGB, float]:
    ground, outer = palette.ground, palette.outer
    kind = rng.random()
    if kind < 0.15:
        ground, outer = outer, ground
    elif kind < 0.35:  # the pale base, the dark outer half
        outer = mix(outer, palette.dark, 0.65)
    elif kind < 0.45:
        outer = mix(ground, palette.light, 0.45)
    return ground, outer, float(rng.uniform(0.45, 0.8))


def _bands(
    rng: np.random.Generator, palette: Palette, at: tuple[float, float], chance: float
) -> tuple[tuple[Band, ...], tuple[Band, ...]]:
    """A band (or none) of the forewing and its continuation on the hindwing."""
    if rng.random() > chance:
        return (), ()
    colours = (palette.light, palette.accent, palette.dark)
    band = Band(
        rho=float(rng.uniform(*at)),
        slope=float(rng.uniform(-0.30, 0.30)),
        wave=float(rng.choice([0.0, 0.015, 0.04])),
        width=float(rng.uniform(0.025, 0.085)),
        spotted=float(rng.choice([0.0, 0.6, 1.0], p=[0.5, 0.2, 0.3])),
        soft=float(rng.uniform(0.008, 0.05)),
        colour=colours[int(rng.choice(3, p=[0.35, 0.35, 0.30]))],
    )
    behind = dataclasses.replace(
        band,
        rho=band.rho - 0.04 + float(rng.uniform(-0.05, 0.05)),
        slope=-0.4 * band.slope,
        width=band.width * float(rng.uniform(0.8, 1.4)),
    )
    return (band,), ((behind,) if rng.random() < 0.8 else ())


def _margin(rng: np.random.Generator, lunule_rng: np.random.Generator, palette: Palette) -> Margin:
    width = float(rng.choice([0.03, 0.08, 0.14, 0.20], p=[0.2, 0.3, 0.3, 0.2]))
    lunule = float(lunule_rng.uniform(0.5, 1.0)) if lunule_rng.random() < 0.6 else 0.0
    return Margin(
        width=width * float(rng.uniform(0.85, 1.15)),
        wave=float(rng.uniform(0.0, 0.03)),
        colour=palette.dark,
        lunule=lunule,
        lunule_colour=palette.light if lunule_rng.random() < 0.6 else palette.accent,
    )


def _eyespots(
    rng: np.random.Generator, palette: Palette
) -> tuple[tuple[Eyespot, ...], tuple[Eyespot, ...]]:
    count_fore = int(rng.choice([0, 1, 2, 4], p=[0.45, 0.30, 0.15, 0.10]))
    count_hind = int(rng.choice([0, 1, 2, 5], p=[0.40, 0.25, 0.20, 0.15]))
    rho = float(rng.uniform(0.66, 0.78))
    ring, iris = palette.dark, palette.accent
    if rng.random() < 0.4:
        ring, iris = palette.light, palette.dark
    pupil = palette.light if iris != palette.light else palette.dark

    def row(count: int, cells: int, large: float, small: float) -> tuple[Eyespot, ...]:
        free = rng.permutation(np.arange(1, cells - 1))[:count]
        radius = large if count <= 2 else small
        return tuple(
            Eyespot(
                (int(cell) + 0.5) / cells, rho, radius * float(rng.uniform(0.8, 1.15)),
                ring, iris, pupil,
            )
            for cell in sorted(free)
        )  # fmt: skip

    large = float(rng.uniform(0.055, 0.115))
    return row(count_fore, 8, large, 0.04), row(count_hind, 7, large * 0.9, 0.038)


def _apex(rng: np.random.Generator, palette: Palette) -> Apex | None:
    if rng.random() > 0.45:
        return None
    return Apex(
        reach=float(rng.uniform(0.50, 0.72)),
        colour=palette.dark if rng.random() < 0.75 else palette.accent,
        spots=float(rng.choice([0.0, 1.0], p=[0.4, 0.6])),
    )


def _underside(upper: WingPattern, crypsis: float, palette: Palette) -> WingPattern:
    """The same drawing in the colours of bark and dry leaves, its eyespots kept."""
    earth = mix(_GREY_BROWN, palette.light, 0.35)

    def dull(colour: RGB, amount: float = crypsis) -> RGB:
        return mix(colour, earth, amount)

    return dataclasses.replace(
        upper,
        ground=dull(upper.ground),
        outer=dull(upper.outer),
        bands=tuple(
            dataclasses.replace(band, colour=dull(band.colour, crypsis * 0.5))
            for band in upper.bands
        ),
        margin=dataclasses.replace(
            upper.margin,
            colour=dull(upper.margin.colour, crypsis * 0.7),
            width=upper.margin.width * 0.7,
        ),
        apex=None
        if upper.apex is None
        else dataclasses.replace(upper.apex, colour=dull(upper.apex.colour, crypsis * 0.8)),
        veins=min(1.0, upper.veins + 0.15),
        sheen_amount=0.0,
    )
