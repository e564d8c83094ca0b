"""Choose for each taxon the score above which a model may name it, from its results.

Choose on photographs that the figures are not read from afterwards: `evaluate --split=val`. A taxon
with few photographs takes the threshold of its rank. `export --thresholds=FILE` puts them into a
bundle.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.cli.show import show_table, telling_what_is_done
from taxonvision.errors import UserError
from taxonvision.progress import say, working
from taxonvision.text import percent, several

USAGE = "taxonvision thresholds --results=RESULTS --out=thresholds.csv [--precision=0.95]"
REQUIRED = ("results", "out")
_SPOILT = {
    "test": "figures on the same photographs will be too good; choose on --split=val",
    "train": "the model has learned from them, and its scores are too high; choose on --split=val",
}


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("results", None, "what `evaluate` wrote", flag_values=values)
    flags.DEFINE_string("out", None, "the table to write", flag_values=values)
    flags.DEFINE_float(
        "precision",
        0.95,
        "the share of the photographs named as a taxon that has to show it",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "fewest",
        20,
        "photographs that a threshold of a taxon's own takes; with fewer it is that of its rank",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Choose, write the table and show the thresholds by rank."""
    from taxonvision.evaluation.results import read_results
    from taxonvision.evaluation.threshold_files import write_thresholds
    from taxonvision.evaluation.thresholds import DEFAULT, NEVER, OF_RANK, OF_TAXON, choose

    out = Path(values.out)
    if not 0 <= values.precision <= 1:  # what is no number is within all bounds of absl
        raise UserError(f"`thresholds`: --precision is a fraction of 1, not {values.precision}")
    with working("choosing thresholds"):
        results = read_results(Path(values.results))
        choice = choose(results, values.precision, values.fewest)
    split = results.manifest["split"]
    if split in _SPOILT:
        say(f"warning: these are photographs of the split {split}: {_SPOILT[split]}")
    with telling_what_is_done():
        write_thresholds(out, choice.taxa, overwrite=values.overwrite)
    show_table(
        f"named as sure with a precision of {values.precision:g}, "
        f"on {several(len(results.scores), 'photograph')} of the split {split}",
        ("rank", "taxa", "threshold", "photographs", "named", "precision"),
        [
            (
                rank.rank,
                str(rank.taxa),
                _in_words(rank.threshold) + (" (default)" if rank.origin == DEFAULT else ""),
                str(rank.tally.photographs),
                _share(rank.tally.named, rank.tally.photographs),
                _share(rank.tally.right, rank.tally.named),
            )
            for rank in choice.ranks
        ],
    )
    of = [sum(one.origin == origin for one in choice.taxa) for origin in (OF_TAXON, OF_RANK)]
    never = sum(one.threshold >= NEVER for one in choice.taxa)
    few = sum(one.origin == OF_TAXON and 0 < one.tally.named < values.fewest for one in choice.taxa)
    say(
        f"{out}: {len(choice.taxa)} taxa, {of[0]} with a threshold of "
        f"{'its' if of[0] == 1 else 'their'} own, {of[1]} with that of the rank; "
        f"{never} never sure; {few} of {of[0]} own ones rest on fewer than "
        f"{several(values.fewest, 'named photograph')}"
    )
    return 0


def _in_words(threshold: float) -> str:
    return "never" if threshold >= 1 else f"{min(threshold, 0.9999):.4f}"


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "–"
