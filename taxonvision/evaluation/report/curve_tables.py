"""Curves as tables of a few rows, for readers without a script and on paper."""

from __future__ import annotations

import numpy as np

from taxonvision.evaluation.metrics.common_ancestor import AncestorCurve
from taxonvision.evaluation.metrics.coverage import CoverageCurve

_SCORES = (0.3, 0.5, 0.6, 0.7, 0.78, 0.85, 0.9, 0.95, 0.98)  # that of the apps among them
_TENTHS = np.arange(1, 11) / 10


def coverage_rows(curve: CoverageCurve) -> list[tuple[float, float, float]]:
    """Coverage, precision and score at about every tenth of the photographs."""
    at = np.unique([np.abs(curve.coverages - tenth).argmin() for tenth in _TENTHS])
    columns = (curve.coverages[at], curve.precisions[at], curve.scores[at])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def ancestor_rows(curve: AncestorCurve) -> list[tuple[float, float | None, float]]:
    """Score, precision (None where no photograph gets one) and recall at some scores."""
    at = np.unique([np.abs(curve.scores - score).argmin() for score in _SCORES])
    precisions = [None if np.isnan(p) else float(p) for p in curve.precisions[at]]
    return list(zip(curve.scores[at].tolist(), precisions, curve.recalls[at].tolist(), strict=True))
