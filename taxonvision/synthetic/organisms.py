"""One butterfly on a transparent canvas: its wings in perspective, its body among them."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from taxonvision.synthetic.archetypes import BodyPlan
from taxonvision.synthetic.bodies import draw_body
from taxonvision.synthetic.patterns import Appearance, WingPattern
from taxonvision.synthetic.pose import Pose, View, Wing, project, to_canvas, wings_of
from taxonvision.synthetic.wings import Floats, Individual, WingGrid, paint, picture, wing_grid

_RESOLUTIONS = (16.0, 900.0)  # pixels a wing unit; a larger photograph stretches the wing's picture
_BODY_SAMPLES = 2  # the body is drawn so many times as large and reduced: Pillow draws hard edges
_AMBIENT = 0.66
_SHADE_OF_FOREWING = 0.35
_BESIDE_BODY = 0.06  # wing units; a closed wing nearer than this to the camera hides the body


def draw_organism(
    plan: BodyPlan,
    appearance: Appearance,
    individual: Individual,
    pose: Pose,
    light: tuple[float, float, float],
    scale: float,
    rng: np.random.Generator,
) -> Image.Image:
    """Draw the animal as an RGBA picture that it just fills.

    `scale` is pixels a wing unit in the picture returned, `light` the direction the light comes
    from (camera axes, length 1).
    """
    # Steps of half an octave, so that the grids of a genus serve many photographs.
    step = 2.0 ** (round(math.log2(1.15 * scale) * 2) / 2)
    resolution = min(max(step, _RESOLUTIONS[0]), _RESOLUTIONS[1])
    grids = {
        True: wing_grid(plan.forewing, resolution),
        False: wing_grid(plan.hindwing, resolution),
    }
    wings = wings_of(plan, pose)
    left, top, right, bottom = _extent(wings, grids, plan, pose)
    size = (math.ceil((right - left) * scale), math.ceil((top - bottom) * scale))
    canvas = Image.new("RGBA", size)
    view = View(pose, scale, (-left * scale, top * scale), light)
    coats: dict[tuple[bool, bool], Floats] = {}
    body_drawn = False
    for wing in wings:
        if pose.closed and not body_drawn and wing.depth > _BESIDE_BODY:
            canvas.alpha_composite(_body(size, plan, appearance, view, rng))
            body_drawn = True
        kind = (wing.fore, wing.upper)
        if kind not in coats:
            coats[kind] = paint(grids[wing.fore], _pattern(appearance, *kind), individual)
        _draw_wing(canvas, wing, grids[wing.fore], coats[kind], individual, view)
    if not body_drawn:
        canvas.alpha_composite(_body(size, plan, appearance, view, rng))
    return canvas


def _body(
    size: tuple[int, int],
    plan: BodyPlan,
    appearance: Appearance,
    view: View,
    rng: np.random.Generator,
) -> Image.Image:
    n = _BODY_SAMPLES
    layer = Image.new("RGBA", (size[0] * n, size[1] * n))
    larger = View(view.pose, view.scale * n, (view.origin[0] * n, view.origin[1] * n), view.light)
    draw_body(layer, plan, appearance, larger, rng)
    return layer.reduce(n)


def _pattern(appearance: Appearance, fore: bool, upper: bool) -> WingPattern:
    if fore:
        return appearance.fore if upper else appearance.fore_under
    return appearance.hind if upper else appearance.hind_under


def _extent(
    wings: list[Wing], grids: dict[bool, WingGrid], plan: BodyPlan, pose: Pose
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the animal on the camera plane, wing units, y up."""
    ends = (0.3 + 0.7 * plan.antenna_length, -0.72 * plan.body_length)
    wide = 0.2 + 0.35 * plan.antenna_length
    box = [[x, y, z] for x in (-wide, wide) for y in ends for z in (-0.15, 0.2)]
    points = [project(pose, np.array(box))[:, :2]]
    for wing in wings:
        grid = grids[wing.fore]
        some = slice(None, None, max(1, len(grid.x) // 500))
        flat = np.stack([grid.x[some], grid.y[some], np.ones_like(grid.x[some])])
        seen = wing.plane @ flat
        points.append((seen[:2] / seen[2]).T)
    everything = np.concatenate(points)
    low, high = everything.min(axis=0) - 0.05, everything.max(axis=0) + 0.05
    return float(low[0]), float(high[1]), float(high[0]), float(low[1])


def _draw_wing(
    canvas: Image.Image,
    wing: Wing,
    grid: WingGrid,
    coat: Floats,
    individual: Individual,
    view: View,
) -> None:
    lit = max(0.0, sum(a * b for a, b in zip(wing.normal, view.light, strict=True)))
    brightness = _AMBIENT + (1 - _AMBIENT) * 1.25 * lit
    colour, alpha = picture(grid, coat, individual.notches[wing.number], brightness)
    matrix = to_canvas(wing, grid, view)
    corners = matrix @ np.array(
        [[0, grid.width, 0, grid.width], [0, 0, grid.height, grid.height], [1, 1, 1, 1]]
    )
    xs, ys = corners[0] / corners[2], corners[1] / corners[2]
    left, top = max(0, math.floor(xs.min())), max(0, math.floor(ys.min()))
    right, bottom = min(canvas.width, math.ceil(xs.max())), min(canvas.height, math.ceil(ys.max()))
    if right <= left or bottom <= top:
        return
    back = np.linalg.inv(matrix) @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]])
    back /= back[2, 2]
    how = (
        (right - left, bottom - top),
        Image.Transform.PERSPECTIVE,
        tuple(back.ravel()[:8]),
        Image.Resampling.BILINEAR,
    )
    layer = colour.transform(*how)
    mask = alpha.transform(*how)
    if wing.fore == wing.upper:  # the upper one of the pair throws a shadow on the other
        _shade(canvas, mask, (left, top), view.scale)
    layer.putalpha(mask)
    canvas.alpha_composite(layer, (left, top))


def _shade(canvas: Image.Image, mask: Image.Image, at: tuple[int, int], scale: float) -> None:
    """Darken what is drawn already under and about `mask`; transparent pixels stay so."""
    soft = mask.reduce(3)
    soft = soft.filter(ImageFilter.GaussianBlur(max(0.5, 0.012 * scale)))
    soft = soft.point(lambda value: int(value * _SHADE_OF_FOREWING)).resize(mask.size)
    box = (at[0], at[1], at[0] + mask.width, at[1] + mask.height)
    under = canvas.crop(box)
    alpha = under.getchannel("A")
    under.paste((12, 8, 10, 255), mask=soft)
    under.putalpha(alpha)
    canvas.paste(under, box)
