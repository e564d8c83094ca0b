"""Body, antennae and fur, drawn along the animal's axis in perspective."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from taxonvision.synthetic.archetypes import RGB, BodyPlan
from taxonvision.synthetic.patterns import Appearance
from taxonvision.synthetic.pose import Matrix, View, project

# A body is a chain of discs; each is drawn again smaller, brighter and nearer to the light.
_LAYERS = ((1.0, 0.50), (0.78, 0.70), (0.52, 0.92), (0.26, 1.15))  # share of the radius, glow
_THORAX = (-0.02, 0.20)  # where the furry part begins and ends, wing units from the middle
_HEAD = 0.27


def draw_body(
    canvas: Image.Image,
    plan: BodyPlan,
    appearance: Appearance,
    view: View,
    rng: np.random.Generator,
) -> None:
    """Draw abdomen, thorax, head, antennae and fur on the RGBA canvas."""
    draw = ImageDraw.Draw(canvas)
    _draw_antennae(draw, plan, view, appearance.body, rng)
    ys, radii = _profile(plan)
    bend = 0.05 * float(rng.normal())
    along = np.stack([bend * ys**2, ys, np.full_like(ys, -0.01)], axis=1)
    magnified = project(view.pose, along)[:, 2]
    centres, sizes = _pixels(view, along), radii * magnified * view.scale
    rings = 1 - 0.28 * (np.sin(ys * 62) > 0.55) * (ys < -0.04)
    furry = (ys > _THORAX[0]) & (ys < _THORAX[1])
    for share, glow in _LAYERS:
        off = (1 - share) * 0.55
        for (x, y), size, ring, fur in zip(centres, sizes, rings, furry, strict=True):
            tone = _toned(appearance.fur if fur else appearance.body, glow * float(ring))
            middle = (x + view.light[0] * size * off, y - view.light[1] * size * off)
            _disc(draw, middle, size * share, tone)
    _draw_fur(draw, plan, view, appearance.fur, rng)


def _profile(plan: BodyPlan) -> tuple[Matrix, Matrix]:
    """Places along the body (n,) from tail to head and the radius at each, wing units."""
    rear = -0.66 * plan.body_length
    abdomen = np.linspace(rear, 0.0, 28)
    along = (abdomen - rear) / -rear
    taper = np.sqrt(np.clip(along * 3.0, 0, 1)) * (1 - 0.25 * (along - 0.45) ** 2)
    thorax = np.linspace(0.0, _THORAX[1], 9)
    bulge = 1 - 0.55 * ((thorax - 0.09) / 0.13) ** 2
    head = np.linspace(_HEAD - 0.04, _HEAD, 3)
    round_head = np.full_like(head, 0.62 * plan.thorax_width)
    return (
        np.concatenate([abdomen, thorax, head]),
        np.concatenate([plan.abdomen_width * taper, plan.thorax_width * bulge, round_head]),
    )


def _draw_antennae(
    draw: ImageDraw.ImageDraw, plan: BodyPlan, view: View, colour: RGB, rng: np.random.Generator
) -> None:
    spread = 0.55 + 0.12 * float(rng.normal())
    length = plan.antenna_length
    u = np.linspace(0, 1, 25)
    tone = _toned(colour, 0.8)
    for side in (1.0, -1.0):
        hook = 0.5 * length * np.clip(u - 0.8, 0, 1) if plan.antenna == "hook" else 0.0
        x = side * (0.03 + length * spread * (u * 0.75 + 0.25 * u**2) + hook)
        y = _HEAD + length * 0.85 * (u - 0.18 * u**2)
        points = _pixels(view, np.stack([x, y, 0.05 + 0.1 * u], axis=1))
        width = max(1, round(0.013 * view.scale))
        draw.line([tuple(point) for point in points], fill=tone, width=width, joint="curve")
        if plan.antenna == "feather":
            _draw_barbs(draw, points[::2], view.scale, tone)
        else:
            for share, point in zip(u[-5:], points[-5:], strict=True):
                _disc(draw, point, view.scale * (0.012 + 0.09 * (share - 0.83)), tone)


def _draw_barbs(
    draw: ImageDraw.ImageDraw, points: Matrix, scale: float, tone: tuple[int, int, int, int]
) -> None:
    """The side branches of a feathered antenna, longest in its middle."""
    shares = np.linspace(0, 1, len(points) - 1)
    for before, point, share in zip(points[:-1], points[1:], shares, strict=True):
        ahead = (point - before) / (float(np.hypot(*(point - before))) or 1.0)
        length = 0.085 * scale * math.sin(math.pi * (0.12 + 0.85 * share))
        across = np.array([-ahead[1], ahead[0]]) * length
        for side in (across, -across):
            tip = point + side + ahead * 0.03 * scale
            draw.line((*point, *tip), fill=tone, width=max(1, round(0.010 * scale)))


def _draw_fur(
    draw: ImageDraw.ImageDraw, plan: BodyPlan, view: View, colour: RGB, rng: np.random.Generator
) -> None:
    count = int(30 + 90 * plan.fur)
    around = rng.uniform(0, 2 * math.pi, count)
    along = rng.uniform(-0.04, 0.21, count)
    radius = plan.thorax_width * np.sqrt(rng.uniform(0, 1, count))
    start = np.stack([radius * np.cos(around), along, np.abs(radius * np.sin(around))], axis=1)
    end = start * [1.45, 1, 1.45] + [0, -0.035, 0] + rng.normal(0, 0.012, (count, 3))
    width = max(1, round(0.007 * view.scale))
    glows = rng.uniform(0.55, 1.3, count)
    for root, tip, glow in zip(_pixels(view, start), _pixels(view, end), glows, strict=True):
        draw.line((*root, *tip), fill=_toned(colour, float(glow)), width=width)


def _pixels(view: View, points: Matrix) -> Matrix:
    """Where points of the animal (n, 3) lie on the canvas, (n, 2)."""
    seen = project(view.pose, points)
    x, y = view.origin[0] + seen[:, 0] * view.scale, view.origin[1] - seen[:, 1] * view.scale
    return np.stack([x, y], axis=1)


def _disc(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float] | Matrix,
    radius: float,
    tone: tuple[int, int, int, int],
) -> None:
    draw.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill=tone)


def _toned(colour: RGB, glow: float) -> tuple[int, int, int, int]:
    red, green, blue = (min(255, int(255 * channel * glow)) for channel in colour)
    return red, green, blue, 255
