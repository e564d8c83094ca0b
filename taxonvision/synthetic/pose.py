"""How an animal holds itself before the camera: planes in space, seen in perspective.

The animal's own axes are x to its right, y to its head, z to its back, in wing units; the camera's
are x to the right, y up, z towards the viewer. A wing is a plane hinged at the body, so its picture
reaches the photograph by a homography.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from taxonvision.synthetic.archetypes import BodyPlan
from taxonvision.synthetic.wings import WingGrid

Matrix = npt.NDArray[np.float64]

CAMERA_AWAY = (4.5, 9.0)  # wing units; nearer is more perspective
ANY_WAY_UP_SHARE = 0.3  # the others have their heads more or less up
HALF_OPEN_SHARE = 0.25  # of the poses that are not closed
LEAST_FACING = 0.06  # a wing seen more edge-on than this is not drawn


@dataclass(frozen=True)
class Pose:
    """Where the animal is turned to and how it holds its wings (radians, wing units)."""

    turn: Matrix  # 3 × 3, animal to camera
    lift: tuple[float, float]  # right and left wings above the horizontal
    sweep_fore: float  # towards the head
    sweep_hind: float
    camera_away: float
    closed: bool


@dataclass(frozen=True)
class Wing:
    """One of the four wings as the camera sees it."""

    number: int  # right fore, left fore, right hind, left hind
    fore: bool
    upper: bool  # the upper side faces the camera
    facing: float  # cosine between the side seen and the line of sight
    depth: float  # of its middle, towards the camera
    normal: tuple[float, float, float]  # of the side seen, camera axes
    plane: Matrix  # 3 × 3, (u, v, 1) of the wing to homogeneous camera plane coordinates


@dataclass(frozen=True)
class View:
    """A pose on a canvas in some light."""

    pose: Pose
    scale: float  # pixels a wing unit
    origin: tuple[float, float]  # the canvas pixel of the animal's middle
    light: tuple[float, float, float]  # where the light comes from, camera axes, length 1


def draw_pose(plan: BodyPlan, rng: np.random.Generator) -> Pose:
    """A pose that this kind of animal takes."""
    closed = bool(rng.random() < plan.closed_share)
    spin = float(
        rng.uniform(-math.pi, math.pi) if rng.random() < ANY_WAY_UP_SHARE else rng.normal(0, 0.5)
    )
    if closed:
        side = 1.0 if rng.random() < 0.5 else -1.0
        roll = side * (math.pi / 2 + rng.normal(0, 0.25))
        pitch = float(rng.normal(0, 0.22))
        lift = math.pi / 2 - float(rng.uniform(0.02, 0.12))
        lifts = (lift, lift)
        sweep_fore, sweep_hind = float(rng.normal(-0.28, 0.16)), float(rng.normal(0.10, 0.08))
    else:
        roll, pitch = float(rng.normal(0, 0.30)), float(rng.normal(0, 0.32))
        half = rng.random() < HALF_OPEN_SHARE
        lift = float(rng.uniform(0.5, 1.1)) if half else float(rng.uniform(-0.05, 0.35))
        lifts = (lift + float(rng.normal(0, 0.07)), lift + float(rng.normal(0, 0.07)))
        sweep_fore, sweep_hind = float(rng.normal(-0.06, 0.13)), float(rng.normal(0, 0.08))
    return Pose(
        turn=_about_z(spin) @ _about_x(pitch) @ _about_y(roll),
        lift=lifts,
        sweep_fore=sweep_fore,
        sweep_hind=sweep_hind,
        camera_away=float(rng.uniform(*CAMERA_AWAY)),
        closed=closed,
    )


def wings_of(plan: BodyPlan, pose: Pose) -> list[Wing]:
    """The wings that can be seen, from far to near."""
    wings = []
    for number in range(4):
        side = 1.0 if number % 2 == 0 else -1.0
        fore = number < 2
        lift = pose.lift[number % 2]
        sweep = pose.sweep_fore if fore else pose.sweep_hind
        out = np.array([side * math.cos(lift), 0.0, math.sin(lift)])
        ahead = np.array([0.0, 1.0, 0.0])
        u = out * math.cos(sweep) + ahead * math.sin(sweep)
        v = ahead * math.cos(sweep) - out * math.sin(sweep)
        base = np.array([side * plan.thorax_width * 0.5, 0.09, 0.02])
        if not fore:
            base[1] -= plan.hindwing_set_back
        back = np.array([-side * math.sin(lift), 0.0, math.cos(lift)])  # the upper side's normal
        u, v, base, back = (pose.turn @ vector for vector in (u, v, base, back))
        upper = bool(back[2] > 0)
        seen = back if upper else -back
        if seen[2] < LEAST_FACING:
            continue
        # The forewing lies over the hindwing from above, under it from below.
        over = 0.04 if fore == upper else 0.0
        middle = base + 0.5 * u + (0.25 if fore else -0.25) * v
        wings.append(
            Wing(
                number=number,
                fore=fore,
                upper=upper,
                facing=float(seen[2]),
                depth=float(middle[2]) + over,
                normal=(float(seen[0]), float(seen[1]), float(seen[2])),
                plane=np.array(
                    [
                        [u[0], v[0], base[0]],
                        [u[1], v[1], base[1]],
                        [
                            -u[2] / pose.camera_away,
                            -v[2] / pose.camera_away,
                            1 - base[2] / pose.camera_away,
                        ],
                    ]
                ),
            )
        )
    return sorted(wings, key=lambda wing: wing.depth)


def to_canvas(wing: Wing, grid: WingGrid, view: View) -> Matrix:
    """Return the homography from pixels of the wing's picture to pixels of the canvas, 3 × 3."""
    to_wing = np.array(
        [
            [1 / grid.resolution, 0.0, grid.left],
            [0.0, -1 / grid.resolution, grid.top],
            [0.0, 0.0, 1.0],
        ]
    )
    to_pixel = np.array(
        [
            [view.scale, 0.0, view.origin[0]],
            [0.0, -view.scale, view.origin[1]],
            [0.0, 0.0, 1.0],
        ]
    )
    return to_pixel @ wing.plane @ to_wing


def project(pose: Pose, points: Matrix) -> Matrix:
    """Points of the animal (n, 3) on the camera plane: x, y and magnification, (n, 3)."""
    seen = points @ pose.turn.T
    nearer = 1 / (1 - seen[:, 2] / pose.camera_away)
    return np.stack([seen[:, 0] * nearer, seen[:, 1] * nearer, nearer], axis=1)


def _about_x(angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _about_y(angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _about_z(angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
