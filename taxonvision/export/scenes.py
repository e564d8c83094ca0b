"""Nothing that the model knows: scenes without organisms, and what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.dataset.negatives import drawn_scenes, read_scenes
from taxonvision.errors import UserError
from taxonvision.evaluation.calibration import log_sum_exp
from taxonvision.evaluation.unknown import FEWEST, fit_unknown, tell_apart, unknown_logit_of
from taxonvision.export.head import ExportHead
from taxonvision.export.judge import Named, Score
from taxonvision.features.extract import FeatureExtractor
from taxonvision.features.rows import Rows
from taxonvision.models.backbones import Backbone
from taxonvision.models.directory import MANIFEST, Model
from taxonvision.progress import say
from taxonvision.runtime.contract import Contract

_DRAWN = 100
_MOST = 1000
_TOO_MANY = 0.5
_LAST_DIGIT = 1e-6  # of a threshold: what is rounded up must not lose a photograph


@dataclass(frozen=True)
class Scenes:
    """Pictures without organisms, uint8 [m, S, S, 3], and whether they were given or are drawn."""

    pixels: np.ndarray
    negatives: str


@dataclass(frozen=True)
class Threshold:
    """What bundle.json says of "no organism that I know".

    Attributes:
        value: it is said of scores that add up to less; 0: never.
        record: how it does, None where there is none.
    """

    value: float = 0.0
    record: Mapping[str, Any] | None = None


def open_scenes(files: Sequence[Path], contract: Contract, seed: int) -> Scenes:
    """Those in files, drawn by chance if there are many; without files synthetic ones."""
    if not files:
        return Scenes(drawn_scenes(contract, _DRAWN, seed), "synthetic")
    chosen = np.random.default_rng(seed).permutation(len(files))[:_MOST]
    batches = read_scenes([files[number] for number in chosen.tolist()], contract, _DRAWN)
    return Scenes(np.concatenate(list(batches)), "given")


def of_the_model(model: Model) -> Threshold | None:
    """The threshold that training has found with photographs that it was given."""
    record = model.manifest.get("unknown")
    if not model.unknown_threshold or not isinstance(record, Mapping):
        return None
    fields = ("negatives", "scenes", "false_names", "photographs", "kept")
    try:
        return Threshold(model.unknown_threshold, {name: record[name] for name in fields})
    except KeyError as error:
        raise UserError(f"{model.folder / MANIFEST}: unknown has no {error}") from None


def moved(threshold: Threshold, this: Named, truth: np.ndarray) -> Threshold:
    """A model's threshold for a bundle whose scores have moved: as many keep their name.

    Args:
        threshold: the full model's.
        this: what the bundle calls the validation photographs.
        truth: int64 [n], their right outputs.
    """
    right = np.sort(this.known[this.best == truth]).astype(np.float64)
    if threshold.record is None or len(right) < FEWEST:
        return threshold
    lost = int((1 - threshold.record["kept"]) * len(right))
    value = round(float(right[lost]) - _LAST_DIGIT, 6)
    kept = float((right >= value).mean())
    measured = {"photographs": len(right), "kept": _rounded(kept)}
    return Threshold(max(value, 0.0), {**threshold.record, **measured})


def with_unknown_logit(
    head: ExportHead, features: Rows, truth: np.ndarray, scenes: Scenes, backbone: Backbone
) -> ExportHead:
    """The head with the logit that tells photographs named rightly from scenes.

    Args:
        head: from features to calibrated logits.
        features: of validation photographs, [n, D].
        truth: int64 [n], their right outputs.
        scenes: without organisms.
        backbone: gives their features.
    """
    named = [(log_sum_exp(logits), logits.argmax(axis=1)) for logits in head.logits(features)]
    energies = np.concatenate([np.empty(0), *(energy for energy, _ in named)])
    best = np.concatenate([np.empty(0, np.int64), *(best for _, best in named)])
    right = energies[best == truth]
    extractor = FeatureExtractor(backbone.model)
    starts = range(0, len(scenes.pixels), extractor.batch)
    parts = [extractor.of(scenes.pixels[start : start + extractor.batch]) for start in starts]
    empty = [log_sum_exp(logits) for logits in head.logits(np.concatenate(parts))]
    found = tell_apart(right, np.concatenate(empty), "the bundle")
    if found is None:
        return head
    return replace(head, unknown_logit=round(unknown_logit_of(found.threshold), 4))


def fit_threshold(scenes: Scenes, score: Score, this: Named, truth: np.ndarray) -> Threshold:
    """Fit it to a bundle's own scores, since compressing moves them.

    Args:
        scenes: without organisms.
        score: pixels to probabilities, by the bundle's model.
        this: what that calls the validation photographs.
        truth: int64 [n], their right outputs.
    """
    right, empty = this.known[this.best == truth], score(scenes.pixels).sum(axis=1)
    found = fit_unknown(right, empty) if len(right) >= FEWEST else None
    if found is None:
        say("warning: compressed, its scores no longer tell organisms from scenes without")
        return Threshold()
    if found.false_names > _TOO_MANY:
        say("warning: most scenes without organisms still get a name")
    say(found.in_words(found.threshold, scenes.negatives))
    record = {name: _rounded(value) for name, value in found.as_json().items()}
    return Threshold(record.pop("threshold"), {"negatives": scenes.negatives, **record})


def _rounded(value: float) -> float:
    return round(value, 6)
