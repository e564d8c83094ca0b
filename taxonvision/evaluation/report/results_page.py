"""The page of one model's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from taxonvision.evaluation.calibration import BINS
from taxonvision.evaluation.metrics.breakdowns import UNKNOWN_REGION
from taxonvision.evaluation.metrics.by_group import GroupAccuracy
from taxonvision.evaluation.metrics.by_taxon import TaxonAccuracy
from taxonvision.evaluation.metrics.measure import Evaluation
from taxonvision.evaluation.report.charts import (
    Figure,
    ancestor_chart,
    coverage_chart,
    reliability_chart,
)
from taxonvision.evaluation.report.curve_tables import ancestor_rows, coverage_rows
from taxonvision.evaluation.report.headline import bounds_of, headlines
from taxonvision.evaluation.report.mistakes import (
    Confusion,
    Mistake,
    Named,
    confusions,
    surest_mistakes,
    surest_scenes,
)
from taxonvision.evaluation.report.page import percent, render
from taxonvision.evaluation.report.photographs import Thumbnail, thumbnails
from taxonvision.evaluation.report.tail_chart import tail_chart
from taxonvision.evaluation.report.tally import Mistakes, mistakes_of, nodes_of
from taxonvision.evaluation.report.taxon_data import Picture, searched_languages, taxon_data
from taxonvision.evaluation.report.tree_chart import tree_chart
from taxonvision.evaluation.results import Results
from taxonvision.photograph import Source
from taxonvision.progress import working
from taxonvision.taxonomy.labels import Labels
from taxonvision.taxonomy.ranks import MAIN_RANKS

_MOST_CONFUSIONS = 18
_MOST_SURE = 12
_MOST_SCENES = 6
_MOST_EXTREMES = 15
_MOST_ROWS = 1000
_FEWEST_GROUPS, _MOST_GROUPS = 3, 60


@dataclass(frozen=True)
class _Shown:
    """The mistakes that are shown with their photographs."""

    confusions: Sequence[Confusion]
    sure: Sequence[Mistake]
    scenes: Sequence[Mistake]

    @property
    def mistakes(self) -> list[Mistake]:
        """Those on photographs of organisms."""
        return [*(each.mistake for each in self.confusions), *self.sure]

    @property
    def photo_ids(self) -> list[str]:
        """All photographs that are shown."""
        examples = [each.example for each in self.confusions if each.example is not None]
        return [*examples, *(each.photo_id for each in (*self.mistakes, *self.scenes))]


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
        shown = _shown(results, evaluation.named_scenes, named, mistakes)
        pictures = thumbnails(shown.photo_ids, {**photographs, **_scenes(results, shown.scenes)})
        label = Labels(results.taxonomy, results.names)
        tree = tree_chart(nodes, results.taxonomy, results.names)
        tested = _worst_first(evaluation.by_taxon)
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
            coverage_rows=coverage_rows(evaluation.coverage),
            ancestor_rows=ancestor_rows(evaluation.ancestors),
            groups=_groups(evaluation.groups),
            label=label,
            shown=shown,
            thumbnails=pictures,
            tested=tested,
            best=_best(tested),
            most_extremes=_MOST_EXTREMES,
            most_rows=_MOST_ROWS,
            bins=BINS,
            unknown_region=UNKNOWN_REGION,
            languages=list(searched_languages(results.names)),
            taxa=taxon_data(results, nodes, mistakes, _captioned(shown, pictures, label)),
            plotly=_plotly(),
        )


def _shown(
    results: Results, named_scenes: np.ndarray | None, named: Named, mistakes: Mistakes
) -> _Shown:
    pairs = confusions(results.scores, named, mistakes, _MOST_CONFUSIONS)
    of_pairs = [each.mistake.photo_id for each in pairs]
    sure = surest_mistakes(results.scores, named, of_pairs, _MOST_SURE)
    scenes = (
        []
        if results.scenes is None or named_scenes is None
        else surest_scenes(results.scenes, named_scenes, _MOST_SCENES)
    )
    # A scene and a photograph of the catalog may have the same id.
    return _Shown(pairs, sure, [replace(s, photo_id=f"scene {s.photo_id}") for s in scenes])


def _scenes(results: Results, shown: Sequence[Mistake]) -> dict[str, Source]:
    """Where the scenes are that are shown."""
    if not shown:
        return {}
    folder = Path(results.manifest["scenes"]["folder"])
    return {each.photo_id: folder / each.photo_id.removeprefix("scene ") for each in shown}


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


def _worst_first(by_taxon: Sequence[TaxonAccuracy]) -> list[TaxonAccuracy]:
    """The taxa with photographs; of equally bad ones those with more photographs first."""
    tested = (taxon for taxon in by_taxon if taxon.photographs)
    return sorted(tested, key=lambda taxon: (taxon.top1, -taxon.photographs, taxon.name))


def _best(tested: Sequence[TaxonAccuracy]) -> list[TaxonAccuracy]:
    """The taxa named best; of equally good ones those with more photographs first."""
    ordered = sorted(tested, key=lambda t: (-(t.top1 or 0), -t.photographs, t.name))
    return ordered[:_MOST_EXTREMES]


def _captioned(shown: _Shown, pictures: Mapping[str, Thumbnail], label: Labels) -> list[Picture]:
    """The photographs under the taxa they show, for the search."""
    captions = {
        (each.truth, each.photo_id): f"taken for {label(each.given).scientific}, "
        f"score {percent(each.score)}"
        for each in shown.mistakes
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
