"""The page of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxonvision.evaluation.report.page import render


def write_comparison_report(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write the page of a comparison: one row a model."""
    render(path, "comparison.html", manifest=manifest)
