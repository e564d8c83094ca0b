"""The augmentation recipes by name: what is done to each photograph, and what to a batch.

All keep away from what changes a species: the hue, negatives, and pictures upside down. Colour
and pattern are what taxa are told by, and organisms are photographed upright.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from taxonvision.dataset.augment import Augmentation


@dataclass(frozen=True)
class MixingOptions:
    """What `training.mixing` does to a batch in the training step; 0: not done.

    Where both MixUp and CutMix are on, each batch is given one of them, either as often.

    Attributes:
        mixup_alpha: MixUp blends two photographs by a weight from Beta(α, α) (Zhang et al.,
            "mixup: Beyond empirical risk minimization", 2018).
        cutmix_alpha: CutMix puts a piece of one photograph, its area by Beta(α, α), into another
            (Yun et al., "CutMix", 2019).
        operations: operations of RandAugment one after another on each photograph (Cubuk et al.,
            "RandAugment", 2020).
        magnitude: how far those may go at most, from 0 to 1; how far one does is chance.

    Raises ValueError for a number out of range.
    """

    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    operations: int = 0
    magnitude: float = 0.6

    def __post_init__(self) -> None:
        for name in ("mixup_alpha", "cutmix_alpha"):
            alpha = getattr(self, name)
            # Below, Keras's draws from Beta go under in float32 and come out as even halves.
            if alpha != 0 and not 0.05 <= alpha <= 1:
                raise ValueError(f"{name} must be 0 or from 0.05 to 1, not {alpha}")
        if self.operations < 0:
            raise ValueError(f"operations must be at least 0, not {self.operations}")
        if not 0 < self.magnitude <= 1:
            raise ValueError(f"magnitude must be above 0 and at most 1, not {self.magnitude}")

    @property
    def any(self) -> bool:
        """Whether anything is done at all."""
        return bool(self.mixup_alpha or self.cutmix_alpha or self.operations)


@dataclass(frozen=True)
class AugmentationRecipe:
    """What chance does to what is trained on.

    Attributes:
        photograph: done to each on its way in; None: nothing, it comes as in evaluation.
        mixing: done to each batch in the training step.
    """

    photograph: Augmentation | None
    mixing: MixingOptions = field(default_factory=MixingOptions)

    @property
    def unchanged(self) -> bool:
        """Whether photographs are trained on as they are evaluated."""
        return self.photograph is None and not self.mixing.any


AUGMENTATIONS: Mapping[str, AugmentationRecipe] = MappingProxyType(
    {
        "none": AugmentationRecipe(None),
        # For heads and short fine-tuning: features of a frozen backbone change little.
        "light": AugmentationRecipe(Augmentation(least_area=0.7, widest=1.2)),
        # Inception's crop, from 35 % of the area on (see `Augmentation`), and its mirror; colour
        # by half of timm's 0.4 for ImageNet, since many taxa differ by shade alone.
        "standard": AugmentationRecipe(Augmentation(colour=0.2)),
        # Procedure A3 of Wightman et al., "ResNet strikes back", 2021, table 2: MixUp 0.1, CutMix
        # 1.0, RandAugment of two operations at magnitude 6 of 10. Colour is left to RandAugment
        # there, as here. Made for 100 epochs; XLA, and so a TPU, has not all that Keras uses.
        "strong": AugmentationRecipe(
            Augmentation(),
            MixingOptions(mixup_alpha=0.1, cutmix_alpha=1.0, operations=2, magnitude=0.6),
        ),
    }
)
"""The recipes, from the mildest to the strongest."""
