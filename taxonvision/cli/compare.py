"""Compare models on the same photographs: size, accuracy, agreement, latency.

The first row is the reference, usually the full model; candidates may be several, with commas.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.cli.show import show_table, telling_what_is_done
from taxonvision.cli.values import recipe_of
from taxonvision.progress import say
from taxonvision.storage import read_json

USAGE = "taxonvision compare --reference=RESULTS --candidate=RESULTS[,RESULTS...] --out=DIR"
REQUIRED = ("reference", "candidate", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("reference", None, "results of the reference", flag_values=values)
    flags.DEFINE_list("candidate", None, "results to compare with it", flag_values=values)
    flags.DEFINE_string("out", None, "the comparison to write", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Compare and print the table."""
    from taxonvision.evaluation.compare import MANIFEST, compare
    from taxonvision.evaluation.results import read_results

    out = Path(values.out)
    reference = read_results(Path(values.reference))
    candidates = [read_results(Path(folder)) for folder in values.candidate]
    named = [f"{results.folder.name}:{results.fingerprint}" for results in (reference, *candidates)]
    recipe = recipe_of("compare", values, {"reference": named[0], "candidate": ",".join(named[1:])})
    with telling_what_is_done():
        compare(reference, candidates, out, recipe, overwrite=values.overwrite)
    comparison = read_json(out / MANIFEST)
    show_table(
        f"{comparison['photographs']} photographs of the split {comparison['split']}",
        ("model", "MB", "top 1", "difference", "agreement", "lost", "won", "ms a photograph"),
        [
            (
                row["name"],
                f"{row['bytes'] / 1e6:.2f}",
                f"{row['top1']:.1%}",
                "–" if index == 0 else f"{100 * row['difference']:+.1f}",
                f"{row['agreement']:.1%}",
                str(row["lost"]),
                str(row["won"]),
                f"{row['median_latency_ms']:.1f}",
            )
            for index, row in enumerate(comparison["models"])
        ],
    )
    say(f"{out / 'report.html'} has the same table")
    return 0
