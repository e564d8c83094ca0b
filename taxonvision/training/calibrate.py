"""After a head is trained: its temperature, and the logit of nothing that it knows.

Both are fitted on validation photographs, which the head has not learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from taxonvision.catalog.examples import Examples, LabelledPhotos
from taxonvision.dataset.negatives import read_scenes
from taxonvision.errors import UserError
from taxonvision.evaluation.calibration import (
    confidence,
    expected_calibration_error,
    fit_temperature,
    log_sum_exp,
)
from taxonvision.evaluation.unknown import (
    FEWEST,
    KNOWN,
    say_too_few,
    tell_apart,
    unknown_logit_of,
)
from taxonvision.features.extract import FeatureExtractor
from taxonvision.features.rows import Rows
from taxonvision.progress import say, track
from taxonvision.runtime.contract import Contract
from taxonvision.taxonomy.classes import TaxonClass, active_ids
from taxonvision.text import several
from taxonvision.training.feeds import Features
from taxonvision.training.head import Head

_MOST, _MOST_LOGITS = 5000, 1 << 27
"""Photographs and logits that a temperature is fitted on: 512 MB."""
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Calibrated:
    """What is found.

    Attributes:
        temperature: that logits are divided by.
        calibration: what `model.json` says of it; None where nothing was fitted.
        unknown: the same of the logit of nothing that is known.
    """

    temperature: float = 1.0
    calibration: Mapping[str, Any] | None = None
    unknown: Mapping[str, Any] | None = None

    @property
    def unknown_logit(self) -> float | None:
        """That of nothing that is known, None where there is none."""
        return None if self.unknown is None else float(self.unknown["logit"])

    def as_json(self) -> dict[str, Any]:
        """Its part of `model.json`."""
        return {"calibration": self.calibration, "unknown": self.unknown}


class Looking:
    """A trained backbone that looks at photographs whose features nobody keeps; one device."""

    def __init__(self, backbone: keras.Model, contract: Contract) -> None:
        self._backbone, self._contract = backbone, contract

    @cached_property
    def _extractor(self) -> FeatureExtractor:
        return FeatureExtractor(self._backbone)

    def held_out(self, photos: LabelledPhotos, numbers: np.ndarray) -> Features:
        """Features of the photographs with numbers int64 [n].

        UserError for one that cannot be read.
        """
        sources = [photos.sources[number] for number in numbers.tolist()]
        if not sources:
            return Features(np.empty((0, self._backbone.outputs[0].shape[-1])), numbers)
        batches = self._contract.read_batches(sources, self._extractor.batch)
        shown = "looking at validation photographs"
        return Features(self._of(batches, len(sources), shown), photos.class_ids[numbers])

    def scenes(self, paths: Sequence[Path]) -> np.ndarray:
        """Features float32 [m, D] of photographs without an organism; unreadable ones left out.

        UserError when none can be read.
        """
        batches = read_scenes(paths, self._contract, self._extractor.batch)
        return self._of(batches, len(paths), "looking at scenes without an organism")

    def _of(self, batches: Iterator[np.ndarray], total: int, shown: str) -> np.ndarray:
        batches = track(batches, total, shown, size=len, closing=False)
        return np.concatenate([self._extractor.of(pixels) for pixels in batches])


def refuse_negatives(negatives: Sequence[Path], examples: Examples) -> None:
    """UserError when there are some and too few validation photographs beside them."""
    held_out = examples.manifest["counts"]["val"]
    if negatives and held_out < FEWEST:
        raise UserError(
            f"{examples.folder} has {several(held_out, 'photograph')} in the split val; "
            f"--negatives needs {FEWEST}, which show an organism"
        )


def drawn(photographs: int, classes: int, seed: int) -> np.ndarray:
    """Numbers int64 [n] of the validation photographs to calibrate on, in order.

    None where there are too few of them, and not more than fit in memory with a score a class.
    """
    if photographs < FEWEST:
        return np.empty(0, np.int64)
    most = max(min(_MOST, _MOST_LOGITS // classes), FEWEST)
    if photographs <= most:
        return np.arange(photographs)
    return np.sort(np.random.default_rng(seed).choice(photographs, most, replace=False))


def calibrate(
    head: Head,
    classes: Sequence[TaxonClass],
    held_out: Features,
    scenes: Rows | None,
    seed: int,
    before: Calibrated | None = None,
) -> Calibrated:
    """Fit the temperature, and with scenes the logit of nothing that is known.

    Args:
        head: of all classes; only active ones are answered.
        classes: by class id.
        held_out: features of validation photographs of active classes.
        scenes: features of photographs without an organism.
        seed: draws from many validation photographs.
        before: whose temperature is kept where nothing can be fitted; None: 1.
    """
    active = np.array(active_ids(classes))
    numbers = drawn(len(held_out), len(active), seed)
    if not len(numbers):
        if scenes is not None:
            say_too_few(several(len(held_out), "validation photograph"), "the model")
        return _kept(before or Calibrated())
    column = np.full(len(classes), -1)
    column[active] = np.arange(len(active))
    logits = np.empty((len(numbers), len(active)), np.float32)
    start = 0
    for part in _logits(head, active, held_out.values, numbers):
        logits[start : start + len(part)] = part
        start += len(part)
    truth = column[held_out.class_ids[numbers]]
    temperature = fit_temperature(logits, truth)
    right = logits.argmax(axis=1) == truth
    raw, calibrated = confidence(logits), confidence(logits, temperature)
    calibration = {
        "temperature": temperature,
        "photographs": len(numbers),
        "error": {
            "before": round(expected_calibration_error(raw, right), 4),
            "after": round(expected_calibration_error(calibrated, right), 4),
        },
    }
    unknown = None
    if scenes is not None:
        named = log_sum_exp(logits, temperature)[right]
        every = np.arange(len(scenes))
        parts = (log_sum_exp(part, temperature) for part in _logits(head, active, scenes, every))
        unknown = _unknown(named, np.concatenate(list(parts)))
    return Calibrated(temperature, calibration, unknown)


def _kept(before: Calibrated) -> Calibrated:
    if before.calibration is None:
        return Calibrated()
    say(f"too few validation photographs to calibrate: the temperature stays {before.temperature}")
    return Calibrated(before.temperature, {**before.calibration, "inherited": True})


def _unknown(named: np.ndarray, scenes: np.ndarray) -> dict[str, Any] | None:
    """What `model.json` says of the logit that tells the two apart, energies [n] and [m]."""
    found = tell_apart(named, scenes, "the model")
    if found is None:
        return None
    say(found.in_words(KNOWN))
    value = found.as_json()
    logit = unknown_logit_of(value.pop("threshold"))
    return {"logit": logit, "threshold": KNOWN, "negatives": "given", **value}


def _logits(
    head: Head, active: np.ndarray, features: Rows, numbers: np.ndarray
) -> Iterator[np.ndarray]:
    """Logits float32 [b, A] of the active classes, of some photographs at a time."""
    rows, whole = max(1, _AT_ONCE // len(head.bias)), len(active) == len(head.bias)
    for start in range(0, len(numbers), rows):
        values = np.asarray(features[numbers[start : start + rows]], np.float32)
        logits = values @ head.kernel + head.bias
        yield logits if whole else logits[:, active]
