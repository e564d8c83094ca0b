"""Colours: of patterns as fractions of 1, of scenes as levels of 255."""

from __future__ import annotations

import colorsys
import dataclasses

import numpy as np

from taxonvision.synthetic.archetypes import RGB, Palette

Tone = tuple[int, int, int]  # red, green, blue, each 0 to 255

# How far apart the colours of congeners lie (one standard deviation): part of the difficulty.
HUE_SPREAD = 0.03  # turns
LIGHTNESS_SPREAD = 0.07

_GREENS = ((0.22, 0.34), (0.25, 0.75), (0.28, 0.55))  # ranges of hue, saturation, value


def mix(first: RGB, second: RGB, amount: float) -> RGB:
    """Return `amount` of the way from the first colour to the second."""
    red, green, blue = (a + (b - a) * amount for a, b in zip(first, second, strict=True))
    return red, green, blue


def tinted(palette: Palette, rng: np.random.Generator) -> Palette:
    """Turn the hues of a palette and move its lightness, all colours alike."""
    turn = float(rng.normal(0, HUE_SPREAD))
    lift = float(rng.normal(0, LIGHTNESS_SPREAD))

    def tint(colour: RGB) -> RGB:
        hue, lightness, saturation = colorsys.rgb_to_hls(*colour)
        moved = min(max(lightness + lift * (1 - abs(2 * lightness - 1)), 0.0), 1.0)
        return colorsys.hls_to_rgb((hue + turn) % 1.0, moved, saturation)

    return dataclasses.replace(
        palette,
        ground=tint(palette.ground),
        outer=tint(palette.outer),
        accent=tint(palette.accent),
        light=tint(palette.light),
    )


def foliage(rng: np.random.Generator) -> Tone:
    """Draw a green of leaves or grass."""
    hue, saturation, value = (float(rng.uniform(*limits)) for limits in _GREENS)
    return from_hsv(hue, saturation, value)


def distance(rng: np.random.Generator) -> Tone:
    """Draw the colour of what is far behind: leaves, straw, sky, blossoms, shade."""
    kind = rng.random()
    if kind < 0.45:
        return lighter(foliage(rng), 0.25)
    if kind < 0.65:
        return from_hsv(float(rng.uniform(0.09, 0.15)), 0.4, 0.72)
    if kind < 0.85:
        return from_hsv(float(rng.uniform(0.53, 0.62)), 0.35, 0.85)
    return from_hsv(float(rng.uniform(0.75, 1.0)), 0.35, 0.6)


def from_hsv(hue: float, saturation: float, value: float) -> Tone:
    """Return the tone of hue (in turns), saturation and value (0 to 1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, min(value, 1.0))
    return int(255 * red), int(255 * green), int(255 * blue)


def from_hex(code: str) -> Tone:
    """Return the tone written as six hexadecimal digits."""
    return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)


def lighter(tone: tuple[int, ...], amount: float) -> Tone:
    """Return a tone moved towards white; below 0, towards black."""
    if amount < 0:
        return darker(tone, -amount)
    red, green, blue = (int(channel + (255 - channel) * amount) for channel in tone)
    return red, green, blue


def darker(tone: tuple[int, ...], amount: float) -> Tone:
    """Return a tone moved towards black; below 0, brighter."""
    red, green, blue = (int(min(255, channel * (1 - amount))) for channel in tone)
    return red, green, blue
