"""Wings as pictures: the outline in polar form about the base, the pattern painted inside it.

A point of a wing is told by `rho`, its distance from the base as a share of the way to the
margin, and `t`, its place between the leading edge (0) and the trailing edge (1). Veins run along
`t`, bands along `rho`, so that every pattern follows every outline.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from taxonvision.synthetic.archetypes import RADII_AT, RGB, WingShape
from taxonvision.synthetic.patterns import Band, Eyespot, WingPattern

Floats = npt.NDArray[np.float32]

_ROUNDING = 0.06  # the share of the margin over which its two corners are rounded
_CELL_END = 0.44  # where the discal cell ends and the veins part
_VEIN_WIDTH = 0.007  # wing units
_GRAIN = 0.045  # contrast of single scales


@dataclass(frozen=True)
class Individual:
    """How one animal differs from its species."""

    gain: RGB
    fade: float
    shift: float  # of the bands, in rho
    eyespot_scale: float
    sheen_phase: float
    notches: tuple[tuple[tuple[float, float, float], ...], ...]  # a wing: (t, depth, width)


@dataclass(frozen=True)
class WingGrid:
    """The pixels of a wing's picture that lie inside its outline, as flat arrays of length n."""

    width: int
    height: int
    left: float  # x of the picture's left edge, wing units
    top: float  # y of its upper edge, wing units; y points to the head
    resolution: float  # pixels a wing unit
    index: npt.NDArray[np.intp]
    x: Floats
    y: Floats
    rho: Floats
    t: Floats
    radius: Floats  # from the base to the margin in the pixel's direction
    vein: Floats  # distance to the nearest vein, wing units
    grain: Floats
    veins: int


def draw_individual(rng: np.random.Generator) -> Individual:
    """One animal: colour, wear and shape of the pattern within what its species allows."""
    gain = 1.0 + rng.normal(0, 0.05) + rng.normal(0, 0.02, 3)
    worn = rng.random() < 0.35
    notches = tuple(
        tuple(
            (float(rng.random()), float(rng.uniform(0.03, 0.16)), float(rng.uniform(0.01, 0.05)))
            for _ in range(int(rng.integers(1, 4)) if worn and rng.random() < 0.7 else 0)
        )
        for _ in range(4)
    )
    return Individual(
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        fade=float(rng.uniform(0.05, 0.40)) if worn else float(rng.uniform(0, 0.08)),
        shift=float(rng.normal(0, 0.014)),
        eyespot_scale=float(np.exp(rng.normal(0, 0.12))),
        sheen_phase=float(rng.uniform(0, 2 * math.pi)),
        notches=notches,
    )


@functools.lru_cache(maxsize=64)
def wing_grid(shape: WingShape, resolution: float) -> WingGrid:
    """The pixels of a wing at so many pixels a wing unit. Kept, since a genus shares its shapes."""
    angles = np.linspace(shape.start + 12, shape.end - 12, 160)
    reach = max(shape.radii) + shape.scallop + max((tail.length for tail in shape.tails), default=0)
    xs, ys = np.cos(np.radians(angles)) * reach, np.sin(np.radians(angles)) * reach
    margin = 2 / resolution
    left, right = min(0.0, float(xs.min())) - margin, float(xs.max()) + margin
    bottom, top = min(0.0, float(ys.min())) - margin, max(0.0, float(ys.max())) + margin
    width, height = math.ceil((right - left) * resolution), math.ceil((top - bottom) * resolution)
    x = (left + (np.arange(width, dtype=np.float32) + 0.5) / resolution)[None, :]
    y = (top - (np.arange(height, dtype=np.float32) + 0.5) / resolution)[:, None]
    r = np.hypot(x, y)
    theta = np.degrees(np.arctan2(y, x)) - shape.arch * np.sin(np.pi * np.clip(r, 0, 1))
    t = (theta - shape.start) / (shape.end - shape.start)
    radius = _radius(shape, t)
    pixel = 1 / resolution
    inside = np.flatnonzero((r < radius + pixel) & (t > -0.02) & (t < 1.02))
    rows, columns = np.divmod(inside, width)
    r, t, radius = r.ravel()[inside], np.clip(t.ravel()[inside], 0, 1), radius.ravel()[inside]
    cell = t * shape.veins
    across = np.abs(cell - np.round(cell)) / shape.veins
    vein = across * math.radians(abs(shape.end - shape.start)) * r
    return WingGrid(
        width=width,
        height=height,
        left=left,
        top=top,
        resolution=resolution,
        index=inside,
        x=x[0, columns].astype(np.float32),
        y=y[rows, 0].astype(np.float32),
        rho=(r / radius).astype(np.float32),
        t=t.astype(np.float32),
        radius=radius.astype(np.float32),
        vein=vein.astype(np.float32),
        grain=np.random.default_rng(0).standard_normal(len(inside), dtype=np.float32),
        veins=shape.veins,
    )


def _radius(shape: WingShape, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From the base to the margin at `t`, in wing units: the outline itself."""
    fine = np.linspace(0, 1, 721)
    radii = _through(fine, np.array(RADII_AT), np.array(shape.radii))
    radii += shape.scallop * (np.abs(np.sin(np.pi * fine * shape.veins)) - 0.6)
    for tail in shape.tails:
        away = np.abs(fine - tail.t) / tail.width
        radii += tail.length * np.exp(-(away**1.6))
    corner = _step(fine, 0, _ROUNDING) * _step(1 - fine, 0, _ROUNDING)
    return np.interp(t, fine, radii * (0.55 + 0.45 * corner))


def _through(at: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A smooth curve through the points: cubic Hermite with Catmull-Rom slopes."""
    slopes = np.gradient(values, knots)
    k = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    span = knots[k + 1] - knots[k]
    u = (at - knots[k]) / span
    return (
        (2 * u**3 - 3 * u**2 + 1) * values[k]
        + (u**3 - 2 * u**2 + u) * span * slopes[k]
        + (3 * u**2 - 2 * u**3) * values[k + 1]
        + (u**3 - u**2) * span * slopes[k + 1]
    )


def paint(grid: WingGrid, pattern: WingPattern, individual: Individual) -> Floats:
    """The colours of the grid's pixels: float32 of shape (3, n), 0 to 1, without light."""
    rho, t = grid.rho, grid.t
    wave = np.cos(2 * np.pi * t * grid.veins)
    colour = np.empty((3, len(rho)), np.float32)
    colour[:] = np.array(pattern.ground, np.float32)[:, None]
    _lay(colour, pattern.outer, _step(rho, pattern.outer_at - 0.35, pattern.outer_at + 0.25))
    _lay(colour, pattern.dark, pattern.dust * (1 - _step(rho, 0.05, 0.42)))
    cell = t * grid.veins
    cell = np.abs(cell - np.floor(cell) - 0.5)
    for band in pattern.bands:
        _lay(colour, band.colour, _band(band, rho, t, cell, wave, individual.shift))
    if pattern.apex is not None:
        reached = _step(
            rho * (1.12 - 1.05 * t), pattern.apex.reach - 0.04, pattern.apex.reach + 0.04
        )
        _lay(colour, pattern.apex.colour, reached)
        if pattern.apex.spots:
            spot = _oval((rho - 0.80 - individual.shift) / 0.045, cell / 0.27)
            _lay(colour, pattern.light, reached * spot * (t < 0.55))
    edge = pattern.margin
    inner = 1 - edge.width + edge.wave * wave + 0.5 * individual.shift
    _lay(colour, edge.colour, 0.95 * _step(rho, inner - 0.02, inner + 0.02))
    if edge.lunule:
        depth = max(edge.width * 0.32, 0.018)
        spot = _oval((rho - 1 + 1.35 * depth + 0.01) / depth, cell / (0.36 * edge.lunule))
        _lay(colour, edge.lunule_colour, spot)
    for eyespot in pattern.eyespots:
        _eyespot(colour, grid, eyespot, individual.eyespot_scale)
    _lay(colour, pattern.dark, pattern.veins * _veins(grid))
    _lay(colour, pattern.light, 0.5 * _step(rho, 0.975, 0.99) * (wave > 0))
    if pattern.sheen_amount:
        shimmer = 0.5 + 0.5 * np.cos(4.5 * grid.x + 2.0 * grid.y + individual.sheen_phase)
        bright = colour.max(axis=0)
        _lay(colour, pattern.sheen, pattern.sheen_amount * 0.6 * shimmer * _step(bright, 0.1, 0.6))
    return _aged(colour, grid, wave, individual)


def _aged(colour: Floats, grid: WingGrid, wave: Floats, individual: Individual) -> Floats:
    """Pleats between the veins, the shade at the base, scales, wear."""
    grey = colour.mean(axis=0) * 0.6 + 0.22
    colour += (grey - colour) * individual.fade
    relief = 1 - 0.06 * wave * _step(grid.rho, 0.15, 0.6)
    relief *= 0.74 + 0.26 * _step(grid.rho, 0.0, 0.30)
    relief += _GRAIN * grid.grain
    colour *= relief * np.array(individual.gain, np.float32)[:, None]
    return colour


def picture(
    grid: WingGrid,
    colour: Floats,
    notches: tuple[tuple[float, float, float], ...],
    light: float,
) -> tuple[Image.Image, Image.Image]:
    """Draw the wing under so much light, its margin torn at the notches: RGB and mask.

    Beyond the margin the RGB picture goes on in the margin's colour, so that warping draws no rim.
    """
    radius = grid.radius
    for at, depth, width in notches:
        radius = radius * (1 - depth * np.exp(-(((grid.t - at) / width) ** 2)))
    alpha = np.clip((radius - grid.rho * grid.radius) * grid.resolution + 0.5, 0, 1)
    lit = np.clip(colour * (255 * light), 0, 255)
    pixels = np.empty((grid.height * grid.width, 3), np.uint8)
    pixels[:] = lit[:, grid.rho > 0.93].mean(axis=1)
    pixels[grid.index] = lit.T
    mask = np.zeros(grid.height * grid.width, np.uint8)
    mask[grid.index] = alpha * 255
    return (
        Image.fromarray(pixels.reshape(grid.height, grid.width, 3)),
        Image.fromarray(mask.reshape(grid.height, grid.width)),
    )


def _lay(colour: Floats, over: RGB, amount: npt.NDArray[np.floating]) -> None:
    """Lay a colour over `colour` (3, n) in place, `amount` (n,) of it."""
    colour += (np.array(over, np.float32)[:, None] - colour) * amount.astype(np.float32)


def _band(
    band: Band, rho: Floats, t: Floats, cell: Floats, wave: Floats, shift: float
) -> npt.NDArray[np.floating]:
    off = np.abs(rho - band.rho - shift - band.slope * (t - 0.45) - band.wave * wave)
    mask = 1 - _step(off, band.width - band.soft, band.width + band.soft)
    return mask * (1 - band.spotted * _step(cell, 0.22, 0.34))


def _eyespot(colour: Floats, grid: WingGrid, spot: Eyespot, scale: float) -> None:
    """Rings about the nearest pixel to the spot's place."""
    centre = int(np.argmin((grid.t - spot.t) ** 2 * 0.5 + (grid.rho - spot.rho) ** 2))
    size = spot.radius * scale
    x, y = (grid.x - grid.x[centre]) / size, (grid.y - grid.y[centre]) / size
    near = np.flatnonzero((np.abs(x) < 1) & (np.abs(y) < 1))
    x, y = x[near], y[near]
    inside = colour[:, near]
    away = np.hypot(x, y)
    soft = 1.5 / (grid.resolution * size)
    for colour_of_ring, limit in ((spot.ring, 1.0), (spot.iris, 0.74), (spot.ring, 0.46)):
        _lay(inside, colour_of_ring, 1 - _step(away, limit - soft, limit))
    glint = np.hypot(x + 0.1, y - 0.1)
    _lay(inside, spot.pupil, 1 - _step(glint, 0.22 - 0.5 * soft, 0.22 + 0.5 * soft))
    colour[:, near] = inside


def _veins(grid: WingGrid) -> npt.NDArray[np.floating]:
    """How dark the veins are at each pixel: rays beyond the discal cell, and the cell's outline."""
    soft = 0.8 / grid.resolution
    rays = 1 - _step(grid.vein, _VEIN_WIDTH - soft, _VEIN_WIDTH + soft)
    first, last = 1 / grid.veins, (grid.veins // 2 + 1) / grid.veins
    within = (grid.t > first - 0.01) & (grid.t < last + 0.01)
    in_cell = within & (grid.rho < _CELL_END)
    beside = np.minimum(np.abs(grid.t - first), np.abs(grid.t - last))
    walls = in_cell & (beside > 0.5 / grid.veins)
    across = np.abs(grid.rho - _CELL_END) * grid.radius
    end = (1 - _step(across, _VEIN_WIDTH - soft, _VEIN_WIDTH + soft)) * within
    return np.maximum(np.where(walls, 0.0, rays), end)


def _oval(u: npt.NDArray[np.floating], v: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return 1 - _step(np.hypot(u, v), 0.8, 1.1)


def _step(value: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Smooth step (Hermite) from 0 at `low` to 1 at `high`."""
    u = np.clip((value - low) / (high - low), 0, 1)
    return u * u * (3 - 2 * u)
