"""The page of one model's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.evaluation.breakdowns import UNKNOWN_REGION
from taxonvision.evaluation.by_group import GroupAccuracy
from taxonvision.evaluation.by_taxon import TaxonAccuracy
from taxonvision.evaluation.calibration import BINS
from taxonvision.evaluation.common_ancestor import AncestorCurve
from taxonvision.evaluation.coverage import CoverageCurve
from taxonvision.evaluation.metrics import Evaluation
from taxonvision.evaluation.report.charts import (
    Figure,
    ancestor_chart,
    coverage_chart,
    reliability_chart,
)
from taxonvision.evaluation.report.headline import bounds_of, headlines
from taxonvision.evaluation.report.mistakes import (
    Confusion,
    Mistake,
    Named,
    confusions,
    surest_mistakes,
)
from taxonvision.evaluation.report.page import percent, render
from taxonvision.evaluation.report.photographs import Thumbnail, thumbnails
from taxonvision.evaluation.report.tail_chart import tail_chart
from taxonvision.evaluation.report.tally import mistakes_of, nodes_of
from taxonvision.evaluation.report.taxon_data import Picture, searched_languages, taxon_data
from taxonvision.evaluation.report.tree_chart import tree_chart
from taxonvision.evaluation.results import Results
from taxonvision.photograph import Source
from taxonvision.progress import working
from taxonvision.taxonomy.labels import Labels
from taxonvision.taxonomy.ranks import MAIN_RANKS

_MOST_CONFUSIONS = 18
_MOST_SURE = 12
_MOST_EXTREMES = 15
_MOST_ROWS = 1000
_ANCESTOR_SCORES = (0.3, 0.5, 0.6, 0.7, 0.78, 0.85, 0.9, 0.95, 0.98)
_FEWEST_GROUPS, _MOST_GROUPS = 3, 60


@dataclass(frozen=True)
class _Shown:
    """The mistakes that are shown with their photographs."""

    confusions: Sequence[Confusion]
    sure: Sequence[Mistake]

    @property
    def photo_ids(self) -> list[str]:
        pairs = [[each.mistake.photo_id, each.example] for each in self.confusions]
        ids = [photo_id for pair in pairs for photo_id in pair]
        return [i for i in (*ids, *(each.photo_id for each in self.sure)) if i is not None]


def write_results_report(
    path: Path,
    results: Results,
    evaluation: Evaluation,
    words: Sequence[str],
    photographs: Mapping[str, Source],
) -> None:
    """Write the page of one model, which opens offline.

    Args:
        path: of the HTML file.
        results: what the model says.
        evaluation: what was measured of it.
        words: sentences that sum it up.
        photographs: by id where the bytes are of those that results are about; what is missing
            or damaged is said to be in its place.
    """
    with working("writing the report"):
        nodes = nodes_of(evaluation)
        named = Named.by(results.scores)
        mistakes = mistakes_of(results.scores.truth, named.taxon_ids)
        pairs = confusions(results.scores, named, mistakes, nodes, _MOST_CONFUSIONS)
        of_pairs = [each.mistake.photo_id for each in pairs]
        shown = _Shown(pairs, surest_mistakes(results.scores, named, of_pairs, _MOST_SURE))
        pictures = thumbnails(shown.photo_ids, photographs)
        label = Labels(results.taxonomy, results.names)
        tree = tree_chart(nodes, results.taxonomy, results.names)
        tested = sorted(
            (taxon for taxon in evaluation.by_taxon if taxon.photographs),
            key=lambda taxon: (taxon.top1, -taxon.photographs, taxon.name),
        )
        captioned = _captioned(shown, pictures, label)
        render(
            path,
            "results.html",
            results=results,
            manifest=results.manifest,
            figures=evaluation.figures,
            evaluation=evaluation,
            words=words,
            headlines=headlines(evaluation.figures),
            bounds_of=lambda *keys: bounds_of(evaluation.figures, *keys),
            charts=_charts(evaluation, tree.figure),
            folded_below=tree.folded_below,
            groups=_groups(evaluation.groups),
            label=label,
            shown=shown,
            thumbnails=pictures,
            tested=tested,
            best=_best(tested),
            coverage_points=_coverage_points(evaluation.coverage),
            ancestor_points=_ancestor_points(evaluation.ancestors),
            bins=BINS,
            unknown_region=UNKNOWN_REGION,
            most_extremes=_MOST_EXTREMES,
            most_rows=_MOST_ROWS,
            languages=list(searched_languages(results.names)),
            taxa=taxon_data(results, nodes, mistakes, captioned),
            plotly=_plotly(),
        )


def _charts(evaluation: Evaluation, tree: Figure) -> dict[str, Figure]:
    figures = evaluation.figures
    ancestor = figures["common_ancestor"]
    return {
        "tree": tree,
        "reliability": reliability_chart(evaluation.reliability),
        "coverage": coverage_chart(evaluation.coverage, figures["coverage_at_95"]),
        "ancestor": ancestor_chart(
            evaluation.ancestors, ancestor["score"], ancestor["precision"], ancestor["recall"]
        ),
        "tail": tail_chart(evaluation.by_taxon, evaluation.tail),
    }


def _groups(groups: Sequence[GroupAccuracy]) -> list[GroupAccuracy]:
    """The groups of one main rank, the finest that a table can show; most photographs first."""
    of_rank = {rank: [group for group in groups if group.rank == rank] for rank in MAIN_RANKS}
    fitting = [found for found in of_rank.values() if _FEWEST_GROUPS <= len(found) <= _MOST_GROUPS]
    chosen = fitting[-1] if fitting else []
    return sorted(chosen, key=lambda group: (-group.photographs, group.name))


def _best(tested: Sequence[TaxonAccuracy]) -> list[TaxonAccuracy]:
    """The taxa named best, of equal ones those with more photographs first."""
    ordered = sorted(tested, key=lambda t: (-(t.top1 or 0), -t.photographs, t.name))
    return ordered[:_MOST_EXTREMES]


def _coverage_points(curve: CoverageCurve) -> list[dict[str, float]]:
    """The curve at every tenth of the photographs."""
    at = np.unique([np.abs(curve.coverages - tenth / 10).argmin() for tenth in range(1, 11)])
    columns = (curve.coverages[at], curve.precisions[at], curve.scores[at])
    return [
        {"coverage": c, "precision": p, "score": s}
        for c, p, s in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _ancestor_points(curve: AncestorCurve) -> list[dict[str, float | None]]:
    """The curve at some scores, that of the apps among them."""
    at = np.unique([np.abs(curve.scores - score).argmin() for score in _ANCESTOR_SCORES])
    return [
        {
            "score": float(curve.scores[i]),
            "precision": None if np.isnan(curve.precisions[i]) else float(curve.precisions[i]),
            "recall": float(curve.recalls[i]),
        }
        for i in at.tolist()
    ]


def _captioned(shown: _Shown, pictures: Mapping[str, Thumbnail], label: Labels) -> list[Picture]:
    """The photographs under the taxa they show, for the search."""
    mistakes = {
        each.photo_id: each for each in (*(c.mistake for c in shown.confusions), *shown.sure)
    }
    captions = {
        (each.truth, photo_id): f"taken for {label(each.given).scientific}, "
        f"score {percent(each.score)}"
        for photo_id, each in mistakes.items()
    }
    for each in shown.confusions:
        if each.example is not None:
            captions.setdefault((each.mistake.given, each.example), "named right")
    return [
        Picture(taxon_id, pictures[photo_id], caption)
        for (taxon_id, photo_id), caption in captions.items()
    ]


def _plotly() -> str:
    """The script of plotly, 5 MB."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
