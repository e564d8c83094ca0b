"""The page of a comparison: what is lost and won on the same photographs, and if it counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taxonvision.evaluation.comparison.comparison import Comparison, Model
from taxonvision.evaluation.comparison.sentences import signed
from taxonvision.evaluation.report.changed_taxa import changed_taxa, searched_taxa
from taxonvision.evaluation.report.flips_gallery import Gallery, galleries
from taxonvision.evaluation.report.forest import by_rank, by_tail, differences
from taxonvision.evaluation.report.page import megabytes, render
from taxonvision.evaluation.report.photographs import thumbnails
from taxonvision.photograph import Source
from taxonvision.taxonomy.labels import Labels


def write_comparison_report(
    path: Path, comparison: Comparison, photographs: Mapping[str, Source]
) -> None:
    """Write the page of a comparison.

    Args:
        path: the file.
        comparison: what is shown.
        photographs: from photo id to file, for the flips; those that are missing are not shown.
    """
    shown = galleries(comparison)
    render(
        path,
        "comparison.html",
        filters={"signed": _signed},
        comparison=comparison,
        label=Labels(comparison.taxonomy, comparison.names),
        judged=differences(comparison),
        ranks=by_rank(comparison),
        tail=by_tail(comparison),
        changed_taxa=[changed_taxa(candidate) for candidate in comparison.candidates],
        galleries=shown,
        thumbnails=thumbnails(_photo_ids(shown), photographs),
        searched=searched_taxa(comparison),
        size=_size,
        latency=_latency,
        probability=_probability,
    )


def _signed(share: float) -> str:
    """A difference as the sentences say it, with so many decimals that it is not taken for 0."""
    return signed(share).replace("-", "\N{MINUS SIGN}") if share else "0.0"


def _size(model: Model) -> str:
    return "–" if model.bytes is None else megabytes(model.bytes)


def _latency(model: Model) -> str:
    if model.median_latency_ms is None:
        return "–"
    return f"{model.median_latency_ms:.1f}"


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _photo_ids(shown: list[Gallery]) -> list[str]:
    return [flip.photo_id for gallery in shown for flip in (*gallery.lost, *gallery.won)]
