"""Nothing that the model knows: scenes without organisms, and the score that tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.dataset.negatives import drawn_scenes, read_scenes, scenes_in
from taxonvision.evaluation.unknown import fit_unknown
from taxonvision.export.judge import Named, Score
from taxonvision.models.directory import Model
from taxonvision.progress import say
from taxonvision.runtime.contract import Contract
from taxonvision.text import several

FEWEST = 20
"""Rightly named photographs that a threshold is fitted on, at least."""
_DRAWN = 100
_MOST = 1000


@dataclass(frozen=True)
class Scenes:
    """Pictures without organisms, uint8 [m, S, S, 3], and where they are from."""

    pixels: np.ndarray
    negatives: str


@dataclass(frozen=True)
class Threshold:
    """What bundle.json says of "no organism that I know".

    Attributes:
        value: the best class's score below which it is said; 0: never.
        record: how it does, None where there is none.
    """

    value: float = 0.0
    record: Mapping[str, Any] | None = None


def open_scenes(folder: Path | None, contract: Contract, seed: int) -> Scenes:
    """Those of a folder, drawn by chance if there are many; None: synthetic ones."""
    if folder is None:
        return Scenes(drawn_scenes(contract, _DRAWN, seed), "synthetic")
    files = scenes_in(folder)
    chosen = np.random.default_rng(seed).permutation(len(files))[:_MOST]
    batches = read_scenes([files[number] for number in chosen.tolist()], contract, _DRAWN)
    return Scenes(np.concatenate(list(batches)), "given")


def of_the_model(model: Model) -> Threshold | None:
    """The threshold that training has found with photographs that it was given."""
    record = model.manifest.get("unknown")
    if not model.unknown_threshold or not isinstance(record, Mapping):
        return None
    fields = ("negatives", "scenes", "false_names", "photographs", "kept")
    return Threshold(model.unknown_threshold, {name: record[name] for name in fields})


def fit_threshold(scenes: Scenes, score: Score, this: Named, truth: np.ndarray) -> Threshold:
    """Fit it to a bundle's own scores.

    Args:
        scenes: without organisms.
        score: pixels to probabilities, by the bundle's model.
        this: what that calls the validation photographs.
        truth: int64 [n], their right outputs.
    """
    right = this.confidence[this.best == truth]
    if len(right) < FEWEST:
        say(
            f"of the validation photographs {len(right)} are named rightly, too few to say when "
            "nothing is known"
        )
        return Threshold()
    of_scenes = score(scenes.pixels).max(axis=1)
    found = fit_unknown(right, of_scenes)
    say(
        f"a best score below {found.threshold:.3f} is no organism that it knows: "
        f"{found.kept:.1%} of {several(found.photographs, 'photograph')} stay named, "
        f"{found.false_names:.1%} of {several(found.scenes, f'{scenes.negatives} scene')} too"
    )
    record = found.as_json()
    value = round(record.pop("threshold"), 6)
    return Threshold(value, {"negatives": scenes.negatives, **record})
