"""How bundles are made: the choices of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taxonvision.catalog.rights import LICENSES
from taxonvision.errors import UserError
from taxonvision.features.cache import default_cache

PLAIN, INAT, MEDIAPIPE = "taxonvision", "inat", "mediapipe"
PROFILES = (PLAIN, INAT, MEDIAPIPE)
"""Whom a bundle serves: any client; also the iNaturalist and Seek apps; or MediaPipe Tasks."""
PROBABILITIES, LOGITS = "probabilities", "logits"
OUTPUT_TYPES = (PROBABILITIES, LOGITS)
AUTO_RANK = "auto"


@dataclass(frozen=True)
class ExportOptions:
    """How bundles are made.

    Attributes:
        quantize: names of recipes, each of which gives one bundle.
        input_type: uint8 or float32; None: uint8 for int8, float32 for the others.
        output_type: probabilities or logits.
        profile: one of `PROFILES`.
        head_rank: None: the head as it is; a number: in two factors of that rank; `AUTO_RANK`: of
            the smallest that loses at most `max_loss`.
        max_loss: of top-1 on validation photographs, as a fraction of 1.
        negatives: photographs without organisms; none: drawn scenes, unless the model knows its
            threshold and all its taxa stay.
        calibration_photographs: how many photographs of the split train give int8 its ranges.
        validation_photographs: how many of the split val judge the bundle at most.
        seed: draws photographs and scenes.
        thresholds: of taxa, by their ids, that have one of their own to be named as sure.
        licenses: under which a photograph may travel with an app, as `catalog.rights` names them.
        cache: folder of the features of photographs.
    """

    quantize: Sequence[str]
    input_type: str | None = None
    output_type: str = PROBABILITIES
    profile: str = PLAIN
    head_rank: int | str | None = None
    max_loss: float = 0.005
    negatives: Sequence[Path] = ()
    calibration_photographs: int = 100
    validation_photographs: int = 1000
    seed: int = 0
    thresholds: Mapping[int, float] = field(default_factory=dict, repr=False)
    licenses: frozenset[str] = LICENSES
    cache: Path = field(default_factory=default_cache)

    def __post_init__(self) -> None:
        if self.profile != PLAIN and self.output_type != PROBABILITIES:
            raise UserError(f"--profile={self.profile} needs --output_type=probabilities")
        if self.profile == INAT and self.input_type == "uint8":
            raise UserError("--profile=inat needs --input_type=float32")

    def input_of(self, recipe: str) -> str:
        """The type of the input of a recipe's bundle."""
        if self.profile == INAT:
            return "float32"
        return self.input_type or ("uint8" if recipe == "int8" else "float32")
