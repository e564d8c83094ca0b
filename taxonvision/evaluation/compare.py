"""A reference and candidates on the same photographs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from taxonvision.evaluation.bootstrap import REPLICATES, Resampling
from taxonvision.evaluation.comparison.candidates import candidate_of, gate_of
from taxonvision.evaluation.comparison.comparison import Comparison
from taxonvision.evaluation.comparison.files import MANIFEST, write_comparison
from taxonvision.evaluation.comparison.matching import match
from taxonvision.evaluation.comparison.sides import side_of
from taxonvision.evaluation.loss import check_limit
from taxonvision.evaluation.report.comparison_page import write_comparison_report
from taxonvision.evaluation.results import Results
from taxonvision.photograph import Source
from taxonvision.progress import track, working
from taxonvision.storage import Recipe, publish
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy

REPORT = "report.html"
FindPhotographs = Callable[[Collection[str]], Mapping[str, Source]]
"""Gives the files of photographs by id; those it does not find are left out."""


def compare(
    reference: Results,
    candidates: Sequence[Results],
    out: Path,
    recipe: Recipe,
    find_photographs: FindPhotographs | None = None,
    *,
    max_drop: float | None = None,
    strict: bool = False,
    replicates: int = REPLICATES,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Compare candidates with a reference and write the comparison `out`.

    `find_photographs` is asked for those that the page shows; see `comparison_of` for the rest.
    """
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        comparison = comparison_of(
            reference,
            candidates,
            max_drop=max_drop,
            strict=strict,
            replicates=replicates,
            seed=seed,
        )
        write_comparison(partial, comparison, recipe)
        flipped = {flip.photo_id for each in comparison.candidates for flip in each.flips}
        photographs = find_photographs(flipped) if find_photographs and flipped else {}
        with working("writing the report"):
            write_comparison_report(partial / REPORT, comparison, photographs)


def comparison_of(
    reference: Results,
    candidates: Sequence[Results],
    *,
    max_drop: float | None = None,
    strict: bool = False,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Comparison:
    """Compare candidates with a reference, all on the photographs that all of them have.

    Args:
        reference: results of the reference.
        candidates: results of one candidate or more.
        max_drop: the loss of top 1 that the gate lets pass, from 0 to 1; None: there is no gate.
        strict: whether the gate asks for a loss to be ruled out, not only unproven.
        replicates: of the bootstrap; 0: intervals come from formulas alone.
        seed: of the bootstrap.

    Raises:
        UserError: they share no photograph of which they name the same truth.
        ValueError: `max_drop` is no fraction.
    """
    if max_drop is not None:
        check_limit("max_drop", max_drop)
    everyone = [reference, *candidates]
    matched = match(everyone)
    taxonomy = _united([results.taxonomy for results in everyone])
    names = _model_names([results.folder for results in everyone])
    columns = (names, everyone, matched.scores, matched.left_out)
    resampling = Resampling(matched.scores[0].observations, replicates, seed)
    ours, *others = [
        side_of(name, results, scores, left_out, taxonomy, resampling)
        for name, results, scores, left_out in zip(*columns, strict=True)
    ]
    rows = track(others, len(others), "comparing", "candidates", closing=False)
    compared = tuple(candidate_of(ours, side, resampling) for side in rows)
    gates = (
        ()
        if max_drop is None
        else tuple(gate_of(ours, side, max_drop, strict=strict) for side in others)
    )
    return Comparison(
        split=reference.manifest["split"],
        photographs=len(ours.scores),
        observations=resampling.observations,
        other_truth=matched.other_truth,
        reference=ours.model,
        candidates=compared,
        taxonomy=taxonomy,
        names=_united_names([results.names for results in everyone]),
        max_drop=max_drop,
        strict=strict,
        gates=gates,
    )


def _model_names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart."""
    parts = [folder.absolute().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _united(trees: Sequence[Taxonomy]) -> Taxonomy:
    """All taxa; of one that is in several trees the first's place counts."""
    return Taxonomy({t.taxon_id: t for tree in reversed(trees) for t in tree}.values())


def _united_names(names: Sequence[Names]) -> Names:
    united: dict[str, dict[int, str]] = {}
    for each in reversed(names):
        for language, by_taxon in each.items():
            united.setdefault(language, {}).update(by_taxon)
    return united
