"""A photograph: an animal in a place, in some light, through an ordinary camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from taxonvision.synthetic.organisms import draw_organism
from taxonvision.synthetic.pose import draw_pose
from taxonvision.synthetic.scenes import BACKGROUNDS, cloud, draw_background, draw_foreground
from taxonvision.synthetic.species import Species
from taxonvision.synthetic.wings import Individual, draw_individual

# How hard the photographs are. A wing unit is about half the span.
WING_SHARE = (0.24, 0.41)  # a wing unit as a share of the picture's side
LARGEST_WING_SHARE = 0.42  # a larger animal would leave the picture
OCCLUDED_SHARE = 0.25  # photographs with something before the animal
BLURRED_SHARE = 0.35  # photographs out of focus or shaken
NOISE = (1.0, 6.0)  # standard deviation of the sensor's noise, levels of 255


@dataclass(frozen=True)
class Encounter:
    """What the photographs of one observation share: the animal, the place, the hour."""

    individual: Individual
    background: str
    place_seed: int
    warmth: float
    exposure: float


def draw_encounter(rng: np.random.Generator) -> Encounter:
    """Meet one animal somewhere, at some hour of the day."""
    kinds = tuple(BACKGROUNDS)
    return Encounter(
        individual=draw_individual(rng),
        background=kinds[int(rng.integers(len(kinds)))],
        place_seed=int(rng.integers(2**31)),
        warmth=float(rng.normal(0.02, 0.06)),
        exposure=float(np.exp(rng.normal(0.16, 0.14))),
    )


def draw_photograph(
    species: Species,
    rng: np.random.Generator,
    size: int,
    encounter: Encounter | None = None,
) -> Image.Image:
    """A photograph of the species, RGB, size × size pixels.

    Photographs given the same `encounter` show the same animal in the same place.
    """
    met = encounter or draw_encounter(rng)
    place = np.random.default_rng(met.place_seed)
    image = draw_background(met.background, size, place, rng)
    image = _defocus(image, rng)
    pose = draw_pose(species.body, rng)
    light = _light_from(rng)
    span = species.body.span * math.exp(rng.normal(0, 0.04))
    share = span * float(rng.uniform(*WING_SHARE)) * (1.15 if pose.closed else 1.0)
    scale = size * min(share, LARGEST_WING_SHARE)
    animal = draw_organism(
        species.body, species.appearance, met.individual, pose, light, scale, rng
    )
    x, y = (float(value) for value in size * np.clip(rng.normal(0.5, 0.07, 2), 0.3, 0.7))
    # The middle of the picture is the middle of the animal, not of its body.
    at = (round(x - 0.5 * animal.width), round(y - 0.5 * animal.height))
    _cast_shadow(image, animal, at, light, float(rng.uniform(0.03, 0.22)) * scale, rng)
    image.paste(animal.convert("RGB"), at, animal.getchannel("A"))
    if rng.random() < OCCLUDED_SHARE:
        _grow_before(image, rng)
    return _expose(image, met.warmth, met.exposure, rng)


def draw_empty_scene(rng: np.random.Generator, size: int) -> Image.Image:
    """A photograph without an animal, RGB, size × size pixels."""
    met = draw_encounter(rng)
    image = draw_background(met.background, size, np.random.default_rng(met.place_seed), rng)
    image = _defocus(image, rng)
    if rng.random() < OCCLUDED_SHARE:
        _grow_before(image, rng)
    return _expose(image, met.warmth, met.exposure, rng)


def _defocus(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Put the background a little behind the plane in focus, or a good deal, or not."""
    share = float(rng.choice([0.0, 0.003, 0.009]))
    if not share:
        return image
    half = image.reduce(2).filter(ImageFilter.GaussianBlur(image.width * share / 2))
    return half.resize(image.size, Image.Resampling.BICUBIC)


def _light_from(rng: np.random.Generator) -> tuple[float, float, float]:
    """Where the light comes from, camera axes, length 1: mostly from above, towards the camera."""
    x, y, z = float(rng.normal(0, 0.45)), float(rng.normal(0.35, 0.3)), 1.0
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def _cast_shadow(
    image: Image.Image,
    animal: Image.Image,
    at: tuple[int, int],
    light: tuple[float, float, float],
    height: float,
    rng: np.random.Generator,
) -> None:
    """Darken the background where the animal, `height` pixels above it, keeps the light away."""
    coarse = max(1, image.width // 160)
    alpha = animal.getchannel("A").reduce(coarse)
    pad = max(2, int(height / coarse))
    wide = Image.new("L", (alpha.width + 2 * pad, alpha.height + 2 * pad))
    wide.paste(alpha, (pad, pad))
    wide = wide.filter(ImageFilter.GaussianBlur(max(0.6, 0.35 * height / coarse)))
    strength = float(rng.uniform(0.25, 0.65))
    wide = wide.point(lambda value: int(value * strength))
    wide = wide.resize((wide.width * coarse, wide.height * coarse), Image.Resampling.BILINEAR)
    dx, dy = -light[0] / light[2] * height, light[1] / light[2] * height
    corner = (round(at[0] - pad * coarse + dx), round(at[1] - pad * coarse + dy))
    image.paste((10, 12, 16), (*corner, corner[0] + wide.width, corner[1] + wide.height), wide)


def _grow_before(image: Image.Image, rng: np.random.Generator) -> None:
    before = draw_foreground(image.width, rng)
    image.paste(before.convert("RGB"), mask=before.getchannel("A"))


def _expose(
    image: Image.Image, warmth: float, exposure: float, rng: np.random.Generator
) -> Image.Image:
    """Light, lens and sensor: dappled shade, blur, colour of the light, vignette, noise."""
    size = image.width
    if rng.random() < BLURRED_SHARE:
        image = image.filter(ImageFilter.GaussianBlur(size * float(rng.uniform(0.001, 0.008))))
    # One plane a channel: NumPy is slow where the last axis has length 3.
    planes = np.stack([np.asarray(plane, np.float32) for plane in image.split()])
    if rng.random() < 0.25:
        shade = np.clip(cloud(size, rng, (3, 3), 2) * 0.9, 0, 1)
        planes *= 1 - float(rng.uniform(0.2, 0.55)) * shade
    level = exposure * math.exp(rng.normal(0, 0.08))
    gain = np.array([level * (1 + warmth), level, level * (1 - 1.2 * warmth)], np.float32)
    line = np.linspace(-1, 1, size, dtype=np.float32)
    planes *= 1 - float(rng.uniform(0, 0.22)) * (line[None, :] ** 2 + line[:, None] ** 2)
    contrast = float(rng.uniform(0.80, 1.15))
    planes *= (gain * contrast)[:, None, None]
    planes += 255 * (0.42 * (1 - contrast) + float(rng.normal(0, 0.02)))
    noise = rng.standard_normal(planes.shape, dtype=np.float32)
    planes += float(rng.uniform(*NOISE)) * noise
    channels = np.clip(planes, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(channel) for channel in channels])
