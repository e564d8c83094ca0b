"""What is asked of the next release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taxonvision.features.cache import default_cache
from taxonvision.release.keep import KeepOptions
from taxonvision.training.head import HeadOptions


@dataclass(frozen=True)
class UpdateOptions:
    """How the next release is made.

    Attributes:
        head: how the head is refitted; None: not at all, rows of new taxa are imprinted.
        name: what the model calls itself; None: as its parent does.
        keep: what guards old taxa whose photographs are not all at hand.
        max_regression: the loss of top-1 among old taxa that is let pass, a fraction of 1.
        strict: whether a loss above it must be ruled out, not only unproven.
        force: publish whatever the gate says.
        cache: folder of features.
        views: looks at each photograph that the head is fitted on.
        seed: of all that is random.
        strategy: one of `strategies.CHOICES`.
        tpu: the name of a TPU; None: none.
        negatives: photographs without an organism, to learn when nothing is known.
    """

    head: HeadOptions | None
    name: str | None = None
    keep: KeepOptions = field(default_factory=KeepOptions)
    max_regression: float = 0.005
    strict: bool = False
    force: bool = False
    cache: Path = field(default_factory=default_cache)
    views: int = 1
    seed: int = 0
    strategy: str = "auto"
    tpu: str | None = None
    negatives: Sequence[Path] = ()
