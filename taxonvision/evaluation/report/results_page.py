"""The page of one model's results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.evaluation.metrics import TaxonAccuracy, best_classes, is_right
from taxonvision.evaluation.report.page import render
from taxonvision.evaluation.scores import Scores
from taxonvision.taxonomy.tree import Taxonomy

_MOST_CONFUSED = 20


def write_results_report(
    path: Path,
    manifest: Mapping[str, Any],
    figures: Mapping[str, Any],
    by_taxon: Sequence[TaxonAccuracy],
    scores: Scores,
    taxonomy: Taxonomy,
) -> None:
    """Write the page of one model: headline figures, ranks, most frequent confusions, all taxa."""
    render(
        path,
        "results.html",
        manifest=manifest,
        figures=figures,
        taxa=sorted(by_taxon, key=lambda taxon: (taxon.top1, taxon.name)),
        confusions=_confusions(scores, taxonomy),
    )


def _confusions(scores: Scores, taxonomy: Taxonomy) -> list[tuple[str, str, int]]:
    """The most frequent pairs of true and wrongly given name, with their number."""
    wrong = np.flatnonzero(~is_right(scores))
    given = best_classes(scores)
    pairs = Counter((int(scores.truth[i]), int(given[i])) for i in wrong)
    return [
        (taxonomy[true].name, taxonomy[best].name, count)
        for (true, best), count in pairs.most_common(_MOST_CONFUSED)
    ]
