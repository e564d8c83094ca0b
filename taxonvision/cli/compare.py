"""Compare models on the same photographs: size, accuracy, agreement, latency.

The first row is the reference, usually the full model or the last release; candidates may be
several, with commas. Says in words whether a difference is larger than chance. With --max_drop it
is a gate (exit 3) for what candidates lose among the taxa that both know; the comparison is written
all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from taxonvision.cli.show import show_table, telling_what_is_done
from taxonvision.cli.values import define_seed, recipe_of
from taxonvision.errors import GateRefusedError, UserError
from taxonvision.evaluation.bootstrap import REPLICATES
from taxonvision.progress import say
from taxonvision.storage import read_json
from taxonvision.text import for_screen, percent, several

if TYPE_CHECKING:
    from taxonvision.catalog.examples import Examples
    from taxonvision.evaluation.results import Results
    from taxonvision.photograph import Source

USAGE = "taxonvision compare --reference=RESULTS --candidate=RESULTS[,RESULTS...] --out=DIR"
REQUIRED = ("reference", "candidate", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("reference", None, "results of the reference", flag_values=values)
    flags.DEFINE_list(
        "candidate",
        None,
        "results to compare with it; several with commas",
        flag_values=values,
        allow_overwrite=False,  # a second one would silently take the place of the first
    )
    flags.DEFINE_string("out", None, "the comparison to write", flag_values=values)
    flags.DEFINE_float(
        "max_drop",
        None,
        "points of top 1 that a candidate may lose among the taxa that both know; a loss proven to "
        "be larger (95 % confidence) is refused",
        lower_bound=0.0,
        upper_bound=100.0,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "strict", False, "refuse as well what is not proven to be harmless", flag_values=values
    )
    flags.DEFINE_string(
        "catalog",
        None,
        "catalog or shards with the photographs for the report; by default the one that the "
        "reference was evaluated on, where it still is",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "replicates",
        REPLICATES,
        "times that observations are drawn again for the intervals; 0: by formulas alone",
        lower_bound=0,
        flag_values=values,
    )
    define_seed("seed of the drawing", values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Compare and print the table and the sentences."""
    from taxonvision.evaluation.compare import MANIFEST, REPORT, compare
    from taxonvision.evaluation.results import read_results

    out, max_drop = Path(values.out), _max_drop(values)
    if not all(values.candidate):
        raise UserError("--candidate has an empty name between its commas")
    reference = read_results(Path(values.reference))
    candidates = [read_results(Path(folder)) for folder in values.candidate]
    catalog = _catalog(values, reference)
    named = [f"{results.folder.name}:{results.fingerprint}" for results in (reference, *candidates)]
    inputs = {
        "reference": named[0],
        "candidate": ",".join(named[1:]),
        "catalog": catalog.fingerprint if values.catalog and catalog else "",
    }

    def find(photo_ids: Collection[str]) -> Mapping[str, Source]:
        return _photographs(catalog, reference, photo_ids)

    with telling_what_is_done():
        compare(
            reference, candidates, out, recipe_of("compare", values, inputs), find,
            max_drop=max_drop, strict=values.strict, replicates=values.replicates, seed=values.seed,
            overwrite=values.overwrite,
        )  # fmt: skip
    comparison = read_json(out / MANIFEST)
    _show(comparison)
    say(f"{out / REPORT} has the photographs lost and won, and the taxa")
    refused = [row["gate"] for row in comparison["models"][1:] if row["gate"]]
    refused = [gate["reason"] for gate in refused if not gate["passed"]]
    if refused:
        raise GateRefusedError(f"refused: {'; '.join(refused)}")
    return 0


def _max_drop(values: flags.FlagValues) -> float | None:
    """The largest loss that is let pass, a fraction; None without a gate."""
    if values.max_drop is None:
        if values.strict:
            say("warning: no effect of --strict without --max_drop")
        return None
    if not 0 <= values.max_drop <= 100:  # what is no number is within all bounds of absl
        raise UserError(f"`compare`: --max_drop is a number from 0 to 100, not {values.max_drop}")
    return values.max_drop / 100


def _catalog(values: flags.FlagValues, reference: Results) -> Examples | None:
    """The examples with the photographs; None where those of the results are gone or changed."""
    from taxonvision.cli.examples import open_examples

    recorded = reference.manifest["catalog"]
    if values.catalog:
        catalog = open_examples(Path(values.catalog))
        if catalog.fingerprint != recorded.get("fingerprint"):
            say(
                f"warning: {catalog.folder} is not the catalog that {reference.folder} comes from; "
                "photographs of the same id are taken for the same"
            )
        return catalog
    folder = Path(str(recorded.get("folder", "")))
    try:
        catalog = open_examples(folder)
    except (UserError, OSError):  # such as a name that is too long here
        say(f"the catalog {folder} is not there: the report shows no photographs; see --catalog")
        return None
    if catalog.fingerprint != recorded.get("fingerprint"):
        say(f"the catalog {folder} has changed: the report shows no photographs; see --catalog")
        return None
    return catalog


def _photographs(
    catalog: Examples | None, reference: Results, photo_ids: Collection[str]
) -> Mapping[str, Source]:
    if catalog is None:
        return {}
    photos = catalog.photos(reference.manifest["split"])
    pairs = zip(photos.photo_ids, photos.sources, strict=True)
    return {photo_id: source for photo_id, source in pairs if photo_id in photo_ids}


def _show(comparison: Mapping[str, Any]) -> None:
    models = comparison["models"]
    show_table(
        f"{several(comparison['photographs'], 'photograph')} of the split {comparison['split']}",
        (
            "model", "MB", "top 1", "difference", "95 % interval", "agreement", "lost", "won", "p",
            "ms a photograph",
        ),
        [_row(row, is_reference=index == 0) for index, row in enumerate(models)],
    )  # fmt: skip
    print()
    for sentence in models[0]["remarks"]:
        print(for_screen(sentence))
    for row in models[1:]:
        for sentence in row["sentences"]:
            print(for_screen(sentence))
        if row["gate"] and row["gate"]["passed"]:
            print(for_screen(f"passed: {row['gate']['reason']}"))


def _row(row: Mapping[str, Any], *, is_reference: bool) -> tuple[str, ...]:
    """A model's cells; figures among all taxa."""
    size, latency = row["bytes"], row["median_latency_ms"]
    difference, width, p = "–", "–", "–"
    if not is_reference:
        bounds = row["difference_interval"]
        difference = f"{100 * row['difference']:+z.1f}"
        width = f"{100 * bounds['low']:+z.1f} to {100 * bounds['high']:+z.1f}"
        p = f"{row['p']:.2g}"
    return (
        row["name"],
        "–" if size is None else f"{size / 1e6:.2f}",
        percent(row["top1"]),
        difference,
        width,
        percent(row["agreement"]),
        str(row["lost"]),
        str(row["won"]),
        p,
        "–" if latency is None else f"{latency:.1f}",
    )
