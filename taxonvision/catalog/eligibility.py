"""Which taxa become classes, whose photographs train which, and the reasons in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.fates import FAULTY, LEFT_OUT, USED
from taxonvision.catalog.rules import Rules
from taxonvision.tables import write_csv
from taxonvision.taxonomy.changes import Changes
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.text import several

COLUMNS = (
    "taxon_id", "name", "rank", "photographs", "rejected", "left_out", "usable", "from_below",
    *SPLITS, "included", "class_taxon_id", "missing", "reason",
)  # fmt: skip
# In order; that a taxon has too few is said of the taxon, not of its photographs.
_LEFT_OUT = [(fate, words) for fate, words in LEFT_OUT.items() if fate != "too_few"]


@dataclass(frozen=True)
class Decision:
    """What becomes of a taxon.

    Attributes:
        usable: photographs observed as this very taxon that may be used.
        from_below: photographs that rolled up into it from taxa below.
        class_taxon_id: the class that its photographs train: itself, a taxon above, or none.
    """

    usable: int
    from_below: int
    class_taxon_id: int | None


def decide(
    usable: Mapping[int, int], taxonomy: Taxonomy, rules: Rules, kept: Collection[int] = ()
) -> dict[int, Decision]:
    """Decide, from the finest taxa up, which become classes.

    A taxon becomes one when its own photographs and those that rolled up into it are
    `rules.min_photos` or more; else they roll up to its parent, up to the rank `rules.roll_up_to`.

    Args:
        usable: photographs by taxon; each is in `taxonomy`.
        taxonomy: the tree.
        rules: the rules.
        kept: classes of before, which need no more than one photograph to stay.

    Returns a decision for each taxon that has photographs, or got some from below.
    """
    limit = RANK_LEVELS[rules.roll_up_to] if rules.roll_up_to else None
    from_below: dict[int, int] = {}
    given_on: dict[int, int] = {}  # taxon to the parent that got its photographs
    classes: set[int] = set()
    waiting = set(usable)
    for taxon_id in _children_first(taxonomy, usable):
        if taxon_id not in waiting:
            continue
        photographs = usable.get(taxon_id, 0) + from_below.get(taxon_id, 0)
        enough = photographs >= max(rules.min_photos, 1)
        if enough or (taxon_id in kept and photographs):
            classes.add(taxon_id)
            continue
        parent = taxonomy[taxon_id].parent_taxon_id
        if parent is None or limit is None or taxonomy[parent].rank_level > limit:
            continue
        if photographs:
            given_on[taxon_id] = parent
            from_below[parent] = from_below.get(parent, 0) + photographs
            waiting.add(parent)
    return {
        taxon_id: Decision(
            usable.get(taxon_id, 0),
            from_below.get(taxon_id, 0),
            _class_of(taxon_id, given_on, classes),
        )
        for taxon_id in waiting
    }


def _children_first(taxonomy: Taxonomy, taxon_ids: Collection[int]) -> list[int]:
    """The taxa and all above them, every one after all below it."""
    depths: dict[int, int] = {}
    for taxon_id in taxon_ids:
        lineage = []
        current: int | None = taxon_id
        while current is not None and current not in depths:
            lineage.append(current)
            current = taxonomy[current].parent_taxon_id
        depth = -1 if current is None else depths[current]
        for ancestor in reversed(lineage):
            depth += 1
            depths[ancestor] = depth
    return sorted(depths, key=lambda taxon_id: (-depths[taxon_id], taxon_id))


def _class_of(taxon_id: int, given_on: Mapping[int, int], classes: Collection[int]) -> int | None:
    while taxon_id in given_on:
        taxon_id = given_on[taxon_id]
    return taxon_id if taxon_id in classes else None


@dataclass
class Tally:
    """The photographs observed as one taxon, by what became of them."""

    fates: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)

    @property
    def photographs(self) -> int:
        """All that are listed."""
        return sum(self.fates.values())

    @property
    def usable(self) -> int:
        """Those that are used, or would be if the taxon had enough of them."""
        return self.fates.get(USED, 0) + self.fates.get("too_few", 0)

    @property
    def counted(self) -> int:
        """Those that count towards the photographs a class needs, also beyond what is used."""
        return self.usable + self.fates.get("per_class", 0)


def write_eligibility(
    path: Path,
    tallies: Mapping[int, Tally],
    decisions: Mapping[int, Decision],
    taxonomy: Taxonomy,
    rules: Rules,
    changes: Changes,
) -> None:
    """Write `eligibility.csv`: every taxon seen, its counts, and in words why it is a class or not.

    Args:
        path: the file.
        tallies: by the taxon as observed, also of taxa that are not in the tree.
        decisions: by the taxon of today.
        taxonomy: the tree.
        rules: the rules.
        changes: what became of taxa.
    """
    formerly: dict[int, int] = {}  # photographs that came under the ids of before
    for taxon_id, tally in tallies.items():
        today = changes.current(taxon_id)
        if today is not None and today != taxon_id:
            formerly[today] = formerly.get(today, 0) + tally.counted
    rows = []
    for taxon_id in {*tallies, *decisions}:
        tally = tallies.get(taxon_id, Tally())
        decision = decisions.get(taxon_id, Decision(0, 0, None))
        became = changes.in_words(taxon_id, taxonomy)
        name, rank = "", ""
        if taxon_id in taxonomy:
            name, rank = taxonomy[taxon_id].name, taxonomy[taxon_id].rank
        faulty = tally.fates.get(FAULTY, 0)
        today = changes.current(taxon_id)
        trains = decision.class_taxon_id
        if today is not None and today != taxon_id:
            trains = decisions[today].class_taxon_id if today in decisions else None
        included = trains == taxon_id
        missing = 0 if included or today != taxon_id else _missing(rules, decision)
        rows.append(
            (
                taxon_id, name, rank, tally.photographs, faulty,
                tally.photographs - faulty - tally.usable, tally.usable, decision.from_below,
                *(tally.splits.get(split, 0) for split in SPLITS),
                "true" if included else "false", trains, missing,
                f"not included: {became}" if became else _reason(
                    taxon_id, tally, decision, formerly.get(taxon_id, 0), trains, missing, taxonomy,
                    rules,
                ),
            )
        )  # fmt: skip
    write_csv(path, COLUMNS, sorted(rows, key=lambda row: (row[1], row[0])))


def _missing(rules: Rules, decision: Decision) -> int:
    return max(max(rules.min_photos, 1) - decision.usable - decision.from_below, 0)


def _reason(
    taxon_id: int,
    tally: Tally,
    decision: Decision,
    formerly: int,
    trains: int | None,
    missing: int,
    taxonomy: Taxonomy,
    rules: Rules,
) -> str:
    if taxon_id not in taxonomy:
        return "not included: not in the taxa table"
    left = _left_out_in_words(tally)
    have = decision.usable + decision.from_below
    if not have:
        faulty = tally.fates.get(FAULTY, 0)
        if faulty and faulty == tally.photographs:
            all_are = "its only photograph is" if faulty == 1 else f"its {faulty} photographs are"
            return f"not included: {all_are} faulty"
        needed = f" of the {rules.min_photos} needed" if rules.min_photos > 1 else ""
        return f"not included: no usable photograph{needed}{left}"
    parts = ((decision.from_below, "of taxa below"), (formerly, "under former names"))
    of_them = "".join(
        f", {'all' if count == have else count} of them {words}" for count, words in parts if count
    )
    if trains == taxon_id:
        return f"included: {several(have, 'photograph')}{of_them}{left}"
    lacks = (
        f"not included: {several(have, 'photograph')} of {rules.min_photos} needed{of_them}, "
        f"{missing} missing"
    )
    if trains is not None:
        above = taxonomy[trains]
        return f"{lacks}; they train the {above.rank} {above.name}{left}"
    return f"{lacks}{left}"


def _left_out_in_words(tally: Tally) -> str:
    """What became of the other photographs, as `; left out: 3 below the quality grade ...`."""
    words = [f"{tally.fates[fate]} {words}" for fate, words in _LEFT_OUT if fate in tally.fates]
    if tally.fates.get(FAULTY):
        words.insert(0, f"{tally.fates[FAULTY]} faulty")
    return f"; left out: {', '.join(words)}" if words else ""


def total(tallies: Sequence[Tally]) -> dict[str, int]:
    """The photographs of all tallies by fate, in the order of the fates."""
    sums = dict.fromkeys((USED, FAULTY, *LEFT_OUT), 0)
    for tally in tallies:
        for fate, count in tally.fates.items():
            sums[fate] += count
    return sums
