"""Where the photographs are taken: backgrounds and what grows in front of the animal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from taxonvision.synthetic.colours import Tone, darker, distance, foliage, from_hex, lighter

Floats = npt.NDArray[np.float32]

_PETALS = ("f4f0f6", "e8b53c", "d86a9a", "9a6fd0", "e0503a", "f0d8e8", "6f8fe0", "ffffff")


def draw_background(
    kind: str, size: int, place: np.random.Generator, rng: np.random.Generator
) -> Image.Image:
    """A background of size × size pixels, RGB.

    `place` gives what the photographs of one observation share, `rng` what each has of its own.
    """
    return BACKGROUNDS[kind](size, place, rng)


def draw_foreground(size: int, rng: np.random.Generator) -> Image.Image:
    """Leaves and blades out of focus before the lens: RGBA, size × size, mostly transparent."""
    small = max(16, size // 2)
    layer = Image.new("RGBA", (small, small))
    draw = ImageDraw.Draw(layer)
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(1, 5))):
            _blade(draw, small, foliage(rng), rng, width=float(rng.uniform(0.02, 0.07)))
    else:
        _leaf_over(draw, small, foliage(rng), rng)
    layer = layer.filter(ImageFilter.GaussianBlur(small * float(rng.uniform(0.004, 0.03))))
    return layer.resize((size, size), Image.Resampling.BILINEAR)


def cloud(
    size: int, rng: np.random.Generator, cells: tuple[int, int] = (3, 3), octaves: int = 4
) -> Floats:
    """Soft noise about 0 with a standard deviation near 1: float32, (size, size)."""
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for octave in range(octaves):
        shape = tuple(min(size, max(2, cell * 2**octave + 1)) for cell in cells)
        coarse = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        total += weight * np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
        weight *= 0.55
    return total


def _bokeh(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Far foliage, sky or flowers, all out of focus."""
    small = max(24, size // 4)
    low, high = foliage(place), distance(place)
    glow = cloud(small, rng, octaves=2)
    rise = np.linspace(1, 0, small, dtype=np.float32)[:, None] * float(place.uniform(-0.4, 1.0))
    base = _between(low, high, 0.5 + 0.3 * glow + rise - 0.3)
    image = Image.fromarray(base)
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(6, 34))):
        x, y = rng.uniform(0, small, 2)
        radius = small * float(rng.uniform(0.02, 0.11))
        tone = lighter(high if rng.random() < 0.7 else low, float(rng.uniform(0.1, 0.6)))
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=(*tone, int(rng.uniform(25, 110))))
    image = image.filter(ImageFilter.GaussianBlur(small * float(rng.uniform(0.004, 0.04))))
    return image.resize((size, size), Image.Resampling.BICUBIC)


def _leaf(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """A leaf seen from close by, with its midrib and side veins."""
    u, v = _turned(size, rng)
    green = foliage(place)
    pitch = float(place.uniform(0.14, 0.26))
    along = (u - 0.7 * np.abs(v) - 0.2 * v * v) / pitch
    side = np.abs(along - np.round(along)) * pitch
    vein = 0.8 * np.exp(-((side / 0.010) ** 2)) + np.exp(-((v / 0.016) ** 2))
    bulge = 0.10 * np.cos(2 * np.pi * along) * np.clip(np.abs(v) * 4, 0, 1)
    mottle = 0.06 * cloud(size, rng, (6, 6)) + bulge + 0.25 * np.clip(v, -0.5, 0.5)
    shade = 0.62 + mottle + 0.28 * vein
    colour = _shaded(green, shade)
    half = float(place.uniform(0.42, 0.75))
    width = half * np.sqrt(np.clip(1 - (u / 1.05) ** 2, 0, 1))
    ripple = 0.012 * np.sin(u * 60)
    inside = np.clip((width + ripple - np.abs(v)) * size / 3 + 0.5, 0, 1)
    return _over(_bokeh(size, place, rng), colour, inside)


def _flower(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """One large flower head, its rays lit from a side."""
    image = _bokeh(size, place, rng)
    petal = from_hex(_PETALS[int(place.integers(len(_PETALS)))])
    rays = int(place.integers(6, 22))
    x0, y0 = float(rng.normal(0, 0.16)), float(rng.normal(0, 0.16))
    u, v = _turned(size, rng)
    squash = float(rng.uniform(0.65, 1.0))
    x, y = u - x0, (v - y0) / squash
    r, phi = np.hypot(x, y), np.arctan2(y, x)
    reach = float(rng.uniform(0.42, 0.75))
    for layer, turn in ((1.0, 0.0), (0.86, 0.5)):
        cell = phi * rays / (2 * np.pi) + turn
        off = np.abs(cell - np.round(cell)) * 2
        outline = reach * layer * (1 - 0.55 * off * off)
        shade = (0.45 + 0.5 * r / reach) * (1.05 - 0.45 * off * off) * (0.85 + 0.15 * layer)
        shade += 0.05 * np.cos(phi * rays * 5)
        inside = np.clip((outline - r) * size / 3 + 0.5, 0, 1)
        image = _over(image, _shaded(petal, shade), inside)
    core = reach * float(place.uniform(0.16, 0.34))
    seeds = 0.75 + 0.28 * cloud(size, rng, (48, 48), 1) - 0.35 * (r / core) ** 2
    inside = np.clip((core - r) * size / 3 + 0.5, 0, 1)
    return _over(image, _shaded((196, 140, 38), seeds), inside)


def _umbel(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Many small blossoms on stalks."""
    image = _bokeh(size, place, rng)
    petal = from_hex(_PETALS[int(place.integers(len(_PETALS)))])
    draw = ImageDraw.Draw(image)
    x0, y0 = size * rng.normal(0.5, 0.1, 2)
    spread = size * float(rng.uniform(0.18, 0.34))
    stalk = darker(foliage(place), 0.25)
    for _ in range(70):
        x, y = x0 + spread * rng.normal(), y0 + 0.7 * spread * rng.normal()
        draw.line((x, y, x0, y0 + 1.2 * spread), fill=stalk, width=max(1, size // 200))
    for _ in range(int(rng.integers(60, 130))):
        x, y = x0 + spread * rng.normal(), y0 + 0.7 * spread * rng.normal()
        tone = darker(petal, float(rng.uniform(0, 0.35)))
        turn = float(rng.uniform(0, 1.3))
        radius = size * float(rng.uniform(0.010, 0.022))
        for k in range(5):
            px = x + radius * math.cos(turn + k * 1.257)
            py = y + radius * math.sin(turn + k * 1.257)
            draw.ellipse((px - radius, py - radius, px + radius, py + radius), fill=tone)
        draw.ellipse(
            (x - radius / 2, y - radius / 2, x + radius / 2, y + radius / 2), fill=(225, 190, 70)
        )
    return image.filter(ImageFilter.GaussianBlur(size * 0.002))


def _bark(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """The ridges and furrows of a trunk, some lichen on them."""
    ridges = 1 - np.abs(cloud(size, rng, (3, 11), 4))
    fine = cloud(size, rng, (16, 40), 2)
    grey = float(place.uniform(0, 1))
    base = tuple(
        int(a + (b - a) * grey) for a, b in zip((150, 116, 84), (156, 150, 140), strict=True)
    )
    image = Image.fromarray(_shaded(base, 0.62 + 0.26 * ridges + 0.08 * fine))
    lichen = np.clip(cloud(size, rng, (5, 5), 4) * 2 - 2.2, 0, 0.8)
    return _over(image, _shaded((150, 164, 128), 0.9 + 0.12 * fine), lichen)


def _gravel(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Pebbles from behind to before, each with a lit side."""
    warm = float(place.uniform(0, 1))
    image = Image.new("RGB", (size, size), (74, 68, 60))
    draw = ImageDraw.Draw(image)
    for radius in np.sort(rng.gamma(2.2, 0.018, 330))[::-1]:
        wide, high = size * radius * rng.uniform(0.8, 1.6), size * radius * rng.uniform(0.7, 1.1)
        x, y = rng.uniform(-0.05, 1.05, 2) * size
        value = float(rng.uniform(0.42, 0.85))
        tone = tuple(int(255 * value * c) for c in (0.98, 0.95 - 0.08 * warm, 0.90 - 0.2 * warm))
        draw.ellipse((x - wide, y - high * 0.9, x + wide * 1.1, y + high * 1.2), fill=(52, 47, 42))
        draw.ellipse((x - wide, y - high, x + wide, y + high), fill=darker(tone, 0.18))
        draw.ellipse((x - wide, y - high, x + wide * 0.75, y + high * 0.68), fill=tone)
    grain = cloud(size, rng, (60, 60), 1)
    return _times(image.filter(ImageFilter.GaussianBlur(size * 0.004)), 1 + 0.06 * grain)


def _meadow(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Blades of grass, the nearer the sharper, a few flowers among them."""
    image = _bokeh(size, place, rng)
    small, large = max(24, size // 2), 2 * size  # the sharp ones are drawn large: smooth edges
    for blur, count, side in ((0.016, 26, small), (0.006, 18, small), (0.0, 9, large)):
        image = image.resize((side, side))
        draw = ImageDraw.Draw(image)
        for _ in range(count):
            tone = lighter(foliage(place), float(rng.uniform(-0.25, 0.3)))
            _blade(draw, side, tone, rng, width=float(rng.uniform(0.008, 0.026)))
        for _ in range(int(rng.integers(0, 4))):
            x, y = rng.uniform(0, side, 2)
            radius = side * float(rng.uniform(0.012, 0.035))
            tone = from_hex(_PETALS[int(place.integers(len(_PETALS)))])
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(side * blur))
    return image.reduce(2)


def _ground(size: int, place: np.random.Generator, rng: np.random.Generator) -> Image.Image:
    """Soil or sand with litter on it."""
    sand = float(place.uniform(0, 1))
    base = tuple(
        int(a + (b - a) * sand) for a, b in zip((92, 70, 52), (198, 176, 140), strict=True)
    )
    image = Image.fromarray(_shaded(base, 0.8 + 0.13 * cloud(size, rng, (7, 7), 6)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 14))):
        tone = darker((168, 122, 72), float(rng.uniform(-0.2, 0.6)))
        _litter(draw, size, tone, rng)
    return image.filter(ImageFilter.GaussianBlur(size * 0.003))


BACKGROUNDS: dict[str, Callable[[int, np.random.Generator, np.random.Generator], Image.Image]] = {
    "bokeh": _bokeh,
    "leaf": _leaf,
    "flower": _flower,
    "umbel": _umbel,
    "bark": _bark,
    "gravel": _gravel,
    "meadow": _meadow,
    "ground": _ground,
}


def _turned(size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return coordinates from -1 to 1 over the picture, turned and shifted at random."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = line[None, :] - float(rng.normal(0, 0.15)), line[:, None] - float(rng.normal(0, 0.15))
    angle = float(rng.uniform(0, 2 * math.pi))
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _blade(
    draw: ImageDraw.ImageDraw, size: int, tone: Tone, rng: np.random.Generator, width: float
) -> None:
    """A blade of grass from the lower edge up, bending."""
    x, lean, bend = rng.uniform(-0.1, 1.1), rng.normal(0, 0.35), rng.normal(0, 0.35)
    tall = float(rng.uniform(0.5, 1.15))
    u = np.linspace(0, 1, 12)
    middle = x + lean * u + bend * u**2
    half = 0.5 * width * (1 - u**2)
    outline = [(m - h, 1.02 - tall * s) for m, h, s in zip(middle, half, u, strict=True)]
    outline += [(m + h, 1.02 - tall * s) for m, h, s in zip(middle, half, u, strict=True)][::-1]
    draw.polygon([(a * size, b * size) for a, b in outline], fill=tone)


def _leaf_over(draw: ImageDraw.ImageDraw, size: int, tone: Tone, rng: np.random.Generator) -> None:
    """A leaf that reaches in from an edge of the picture."""
    angle = float(rng.uniform(0, 2 * math.pi))
    ahead = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-ahead[1], ahead[0]])
    tip = 0.5 + ahead * float(rng.uniform(0.08, 0.30)) + across * float(rng.normal(0, 0.15))
    u = np.linspace(0, 1, 16)[:, None]
    half = float(rng.uniform(0.10, 0.22)) * np.sin(np.pi * u**0.8)
    middle = tip + ahead * u * 0.9
    outline = np.concatenate([middle + across * half, (middle - across * half)[::-1]]) * size
    draw.polygon([tuple(point) for point in outline], fill=tone)
    rib = [tuple(point) for point in (middle * size)]
    draw.line(rib, fill=lighter(tone, 0.2), width=max(1, size // 70))


def _litter(draw: ImageDraw.ImageDraw, size: int, tone: Tone, rng: np.random.Generator) -> None:
    centre, angle = rng.uniform(0, 1, 2), float(rng.uniform(0, 2 * math.pi))
    u = np.linspace(0, 2 * math.pi, 18)
    x = np.cos(u) * float(rng.uniform(0.04, 0.14))
    y = np.sin(u) * float(rng.uniform(0.012, 0.05)) * (1 + 0.3 * np.cos(u))
    px = centre[0] + x * math.cos(angle) - y * math.sin(angle)
    py = centre[1] + x * math.sin(angle) + y * math.cos(angle)
    draw.polygon([(a * size, b * size) for a, b in zip(px, py, strict=True)], fill=tone)


def _between(low: Tone, high: Tone, amount: np.ndarray) -> npt.NDArray[np.uint8]:
    first, second = np.array(low, np.float32), np.array(high, np.float32)
    mixed = first + (second - first) * np.clip(amount, 0, 1)[:, :, None]
    return mixed.astype(np.uint8)


def _shaded(tone: tuple[int, ...], shade: np.ndarray) -> npt.NDArray[np.uint8]:
    """A tone in light and shade: 1 keeps it, above 1 goes to white."""
    dark, bright = np.clip(shade, 0, 1), 0.6 * np.clip(shade - 1, 0, 1)
    colour = np.empty((*shade.shape, 3), np.uint8)
    for channel, value in enumerate(tone):
        colour[:, :, channel] = value * dark * (1 - bright) + 255 * bright
    return colour


def _over(image: Image.Image, colour: npt.NDArray[np.uint8], mask: np.ndarray) -> Image.Image:
    alpha = Image.fromarray((mask * 255).astype(np.uint8))
    image.paste(Image.fromarray(colour), mask=alpha)
    return image


def _times(image: Image.Image, factor: Floats) -> Image.Image:
    pixels = np.asarray(image, np.float32) * factor[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
