"""Comparisons of made-up models, to be shown."""

from __future__ import annotations

from dataclasses import replace

from taxonvision.evaluation.comparison.comparison import (
    ALL,
    LOST,
    SHARED,
    WON,
    Candidate,
    Comparison,
    Difference,
    Flip,
    Model,
    Paired,
    RankChange,
    TailChange,
    TaxonChange,
)
from taxonvision.evaluation.intervals import Interval
from taxonvision.taxonomy.tree import Taxon, Taxonomy

HOSTILE = '"><img src=//evil.test/x onerror=alert(1)></script><script>alert(1)</script>{{7*7}}'
NARROW = Interval(-0.02, 0.01)


def change(difference=-0.01, bounds=NARROW) -> Difference:
    return Difference(0.9, 0.9 + difference, bounds, None)


def paired(among=SHARED, photographs=100, **changes) -> Paired:
    found = Paired(
        among, photographs, 80, 3, change(), change(), 0.95, Interval(0.9, 0.98), 4, 3, 0.7
    )
    return replace(found, **changes)


def model(name) -> Model:
    return Model(name, 3, 4_100_000, 12.5, 2, 0.89, Interval(0.82, 0.94), 0.03, 0)


def flip(number, kind, truth=3, named=4) -> Flip:
    answers = (truth, 0.9, named, 0.6) if kind == LOST else (named, 0.6, truth, 0.9)
    return Flip(f"photo{number}", kind, truth, *answers)


def candidate(name="int8", lost=4, won=3, **changes) -> Candidate:
    found = Candidate(
        model=model(name),
        everyone=paired(ALL),
        shared=paired(),
        taxa_shared=3,
        taxa_lost=0,
        taxa_new=0,
        flips=(
            *(flip(number, LOST) for number in range(lost)),
            *(flip(1000 + number, WON) for number in range(won)),
        ),
        ranks=(RankChange("species", 100, change()), RankChange("genus", 100, change(0.0))),
        tail=(TailChange(1, 9, 1, 30, change(), 0.5), TailChange(10, None, 2, 70, change(), 0.5)),
        calibration_error=change(),
        taxa=(
            TaxonChange(3, 30, 25, 21, 4, 0, True, True),
            TaxonChange(4, 30, 28, 28, 0, 0, True, True),
            TaxonChange(5, 40, 30, 33, 0, 3, True, True),
        ),
        size_ratio=0.29,
        latency_ratio=None,
        sentences=(f"{name} names 1 point fewer photographs right", "a second sentence"),
    )
    return replace(found, **changes)


def comparison(*candidates, species="Aglais io", common="peacock", **changes) -> Comparison:
    tree = Taxonomy(
        [
            Taxon.of_rank(1, None, "genus", "Aglais"),
            Taxon.of_rank(2, None, "genus", "Pieris"),
            Taxon.of_rank(3, 1, "species", species),
            Taxon.of_rank(4, 1, "species", "Aglais urticae"),
            Taxon.of_rank(5, 2, "species", "Pieris rapae"),
        ]
    )
    names = {"en": {3: common}, "de": {3: "Tagpfauenauge", 5: "Kleiner Kohlweißling"}}
    found = Comparison("test", 100, 80, 0, model("full"), candidates or (candidate(),), tree, names)
    return replace(found, **changes)
