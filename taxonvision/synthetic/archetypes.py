"""What the families are made of: wing outlines, bodies and palettes, by hand after real models.

A length is in wing units (a forewing is about one unit long), an angle in degrees from the line
that points straight out of the body, positive towards the head.
"""

from __future__ import annotations

from dataclasses import dataclass

RGB = tuple[float, float, float]  # red, green, blue, each 0 to 1


@dataclass(frozen=True)
class Tail:
    """A tail of the hindwing: where on the margin (0 front, 1 rear), how long, how wide."""

    t: float
    length: float
    width: float


@dataclass(frozen=True)
class WingShape:
    """The outline of a wing seen from its base: radii between a first and a last angle.

    `radii` stand at `RADII_AT` along the margin, from the leading to the trailing edge; `arch`
    bends the leading edge (degrees), `scallop` is the depth of the waves between the `veins`.
    """

    start: float
    end: float
    radii: tuple[float, ...]
    arch: float
    scallop: float
    veins: int
    tails: tuple[Tail, ...] = ()


RADII_AT = (0.0, 0.1, 0.25, 0.45, 0.65, 0.85, 1.0)


@dataclass(frozen=True)
class BodyPlan:
    """What the species of one genus share: wings, body, antennae and the way they rest."""

    forewing: WingShape
    hindwing: WingShape
    hindwing_set_back: float
    body_length: float
    thorax_width: float
    abdomen_width: float
    antenna_length: float
    antenna: str  # "club", "hook" or "feather"
    fur: float  # 0 smooth to 1 shaggy
    closed_share: float  # how often it rests with closed wings
    span: float  # 1 is the middle of all species


@dataclass(frozen=True)
class Palette:
    """Five colours that go together, and the sheen of the scales."""

    ground: RGB
    outer: RGB
    dark: RGB
    accent: RGB
    light: RGB
    sheen: RGB
    sheen_amount: float = 0.0


def _rgb(code: str) -> RGB:
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def _palette(codes: str, sheen_amount: float = 0.0) -> Palette:
    ground, outer, dark, accent, light, sheen = (_rgb(code) for code in codes.split())
    return Palette(ground, outer, dark, accent, light, sheen, sheen_amount)


PALETTES = (
    #        ground outer  dark   accent light  sheen
    _palette("d9741f c4521a 1d1512 f2b84a f6ead2 ffb060"),  # milkweed orange
    _palette("efd266 e6bd3e 17151a 3f6fb5 f7efc2 fff0a0"),  # swallowtail yellow
    _palette("2b6fc4 1d3f9a 0e1226 7fd0f0 e8f4fa 40c0ff", 0.75),  # morpho blue
    _palette("f1eee2 e3dec8 2b2a2c ee8a2a ffffff fff8e8"),  # orange tip
    _palette("efd84a f3c23a 3a2a1c e4702c fff6b8 ffff90"),  # sulphur
    _palette("8e2f22 6b2119 1b1012 4a78c2 f0c25a ff8050"),  # peacock red
    _palette("7a5738 5d3f28 2a1b12 d88f3a e9dab8 c09060"),  # satyr brown
    _palette("cf5526 a83a1c 22140f f0a53c f8dfa8 ff9050", 0.2),  # copper
    _palette("8d97ad 6d7792 262a35 e2762e eef0f2 90b0e0", 0.25),  # hairstreak grey
    _palette("b9dba6 98c890 5b4a3a d9899b f3f6dc e0ffd0"),  # luna green
    _palette("1c1a20 26222a 0c0a0f d8332a f3e9c4 503070", 0.15),  # passion-flower black
    _palette("4b3a78 33265c 15101f b79be0 f0e6f6 9060ff", 0.6),  # emperor purple
    _palette("1f6a58 134a42 0b1a18 8fe0a8 eef6d8 40ffb0", 0.55),  # birdwing green
    _palette("c99b66 a87748 4a3020 7d3f3c f2dfba e0b080"),  # moth tan
    _palette("c98794 a5606e 3d2530 f1d09a f8e8e4 ffb0c0"),  # hawk-moth rose
    _palette("d8c9a4 b8a67c 473b2c 9a4f2d f8f1dc f0e0b0"),  # straw
    _palette("7db6d6 5b93bd 243246 f4a24a f2f8fb a0e0ff", 0.35),  # sky blue
    _palette("e9e4dc b9b2ad 2e2b30 c23a3f ffffff f0f0ff"),  # apollo white
)

_SMOOTH_HINDWING = WingShape(34, -84, (0.5, 0.62, 0.70, 0.72, 0.70, 0.62, 0.50), 4, 0.0, 7)

ARCHETYPES = (
    BodyPlan(  # swallowtails
        WingShape(64, -14, (0.90, 1.06, 1.00, 0.80, 0.68, 0.62, 0.56), 9, 0.008, 8),
        WingShape(
            34, -84, (0.52, 0.64, 0.72, 0.75, 0.74, 0.66, 0.50), 4, 0.035, 7,
            (Tail(0.60, 0.34, 0.030),),
        ),
        0.10, 1.0, 0.085, 0.055, 0.52, "club", 0.4, 0.12, 1.12,
    ),
    BodyPlan(  # brush-footed butterflies
        WingShape(60, -14, (0.84, 0.99, 0.90, 0.77, 0.72, 0.63, 0.55), 10, 0.022, 8),
        WingShape(34, -84, (0.50, 0.62, 0.69, 0.70, 0.69, 0.62, 0.50), 5, 0.032, 7),
        0.09, 0.95, 0.080, 0.052, 0.55, "club", 0.6, 0.20, 1.0,
    ),
    BodyPlan(  # whites
        WingShape(62, -16, (0.78, 0.91, 0.92, 0.85, 0.76, 0.66, 0.56), 9, 0.0, 8),
        _SMOOTH_HINDWING,
        0.08, 0.95, 0.065, 0.045, 0.48, "club", 0.5, 0.28, 0.92,
    ),
    BodyPlan(  # longwings
        WingShape(54, 2, (0.98, 1.18, 1.14, 0.90, 0.66, 0.50, 0.43), 8, 0.0, 8),
        WingShape(24, -72, (0.48, 0.58, 0.62, 0.61, 0.57, 0.51, 0.43), 5, 0.012, 7),
        0.06, 1.08, 0.065, 0.038, 0.66, "club", 0.2, 0.12, 1.05,
    ),
    BodyPlan(  # hawk moths
        WingShape(42, -10, (0.95, 1.14, 0.92, 0.64, 0.48, 0.42, 0.36), 7, 0.006, 8),
        WingShape(16, -70, (0.40, 0.51, 0.53, 0.50, 0.45, 0.40, 0.34), 4, 0.0, 6),
        0.05, 1.10, 0.120, 0.095, 0.55, "hook", 0.8, 0.05, 1.08,
    ),
    BodyPlan(  # blues and hairstreaks
        WingShape(60, -16, (0.72, 0.85, 0.83, 0.75, 0.69, 0.62, 0.55), 8, 0.0, 8),
        WingShape(
            34, -84, (0.50, 0.60, 0.66, 0.67, 0.66, 0.62, 0.50), 4, 0.008, 7,
            (Tail(0.70, 0.15, 0.012),),
        ),
        0.08, 0.85, 0.070, 0.048, 0.45, "club", 0.7, 0.30, 0.80,
    ),
    BodyPlan(  # emperor moths
        WingShape(66, -14, (0.86, 1.02, 0.93, 0.82, 0.78, 0.74, 0.62), 8, 0.006, 8),
        WingShape(
            34, -84, (0.55, 0.68, 0.76, 0.78, 0.75, 0.66, 0.52), 5, 0.010, 7,
            (Tail(0.66, 0.42, 0.060),),
        ),
        0.10, 0.85, 0.125, 0.100, 0.34, "feather", 1.0, 0.04, 1.18,
    ),
    BodyPlan(  # skippers
        WingShape(52, -6, (0.78, 0.94, 0.86, 0.68, 0.57, 0.50, 0.44), 7, 0.004, 8),
        WingShape(24, -78, (0.42, 0.51, 0.57, 0.59, 0.57, 0.50, 0.42), 4, 0.010, 7),
        0.06, 1.02, 0.115, 0.085, 0.42, "hook", 0.9, 0.20, 0.85,
    ),
)  # fmt: skip
