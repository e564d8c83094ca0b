"""Results and comparisons as one HTML page that opens offline, on a phone as on a desk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.evaluation.metrics import TaxonAccuracy, best_classes, is_right
from taxonvision.evaluation.scores import Scores
from taxonvision.taxonomy.tree import Taxonomy

if TYPE_CHECKING:
    import jinja2

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


def write_comparison_report(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write the page of a comparison: one row a model."""
    render(path, "comparison.html", manifest=manifest)


def _confusions(scores: Scores, taxonomy: Taxonomy) -> list[tuple[str, str, int]]:
    """The most frequent pairs of true and wrongly given name, with their number."""
    wrong = np.flatnonzero(~is_right(scores))
    given = best_classes(scores)
    pairs = Counter((int(scores.truth[i]), int(given[i])) for i in wrong)
    return [
        (taxonomy[true].name, taxonomy[best].name, count)
        for (true, best), count in pairs.most_common(_MOST_CONFUSED)
    ]


def render(
    path: Path,
    template: str,
    package: str = "taxonvision.evaluation",
    filters: Mapping[str, Callable[..., str]] = MappingProxyType({}),
    **values: Any,
) -> None:
    """Write a template filled in; values are escaped in HTML and in nothing else.

    Args:
        path: the file.
        template: its name; it may extend this package's `page.html`.
        package: the package in whose `templates/` it is.
        filters: more filters than those of this package.
        **values: what is filled in.
    """
    environment = _environment(package)
    environment.filters.update(filters)
    path.write_text(environment.get_template(template).render(**values), encoding="utf-8")


@lru_cache
def _environment(package: str) -> jinja2.Environment:
    """Where the templates of a package are found; it keeps those that were compiled."""
    import jinja2

    packages = dict.fromkeys((package, "taxonvision.evaluation"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(each) for each in packages]),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    environment.filters["points"] = lambda share: f"{100 * share:+.1f}".replace(
        "-", "\N{MINUS SIGN}"
    )
    environment.filters["megabytes"] = lambda count: f"{count / 1e6:.2f} MB"
    return environment
