"""What the gate of a release says, and the figures it says it by, all fractions of 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from taxonvision.evaluation.intervals import Interval
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Figures:
    """Old taxa before and after, on the same photographs.

    Attributes:
        photographs: test photographs of taxa that both releases know.
        taxa: taxa on them.
        top1_before: share named right by the old release.
        top1_after: share named right by the new one.
        top1_difference: after minus before, at 95 %.
        macro_before: mean over the taxa of the share named right by the old release.
        macro_after: the same of the new one.
        macro_difference: after minus before, at 95 %.
        lost: photographs right before and wrong now (negative flips).
        won: photographs wrong before and right now.
        lost_share: of all photographs, at 95 %.
    """

    photographs: int
    taxa: int
    top1_before: float
    top1_after: float
    top1_difference: Interval
    macro_before: float
    macro_after: float
    macro_difference: Interval
    lost: int
    won: int
    lost_share: Interval


@dataclass(frozen=True)
class Taken:
    """Photographs of an old taxon, right before among all, that the new release names as a new."""

    old_taxon_id: int
    new_taxon_id: int
    photographs: int


@dataclass(frozen=True)
class OldTaxon:
    """How many photographs of an old taxon were and are named right, among the shared taxa."""

    taxon_id: int
    photographs: int
    right_before: int
    right_after: int


@dataclass(frozen=True)
class NewTaxon:
    """How many test photographs of a new taxon are named right, among all taxa."""

    taxon_id: int
    photographs: int
    right: int


@dataclass(frozen=True)
class NewTaxa:
    """Photographs of taxa that only the new release answers, named among all; None without any.

    Taxa that were split off and that came back are among them.
    """

    photographs: int
    right: int
    top1: float | None
    top1_interval: Interval | None
    by_taxon: Sequence[NewTaxon]

    @property
    def taxa(self) -> int:
        """How many of them have photographs."""
        return len(self.by_taxon)


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        judged: False when no photograph of an old taxon is in the test split.
        passed: whether the release may be published.
        reason: why, in one sentence with the figures.
        max_regression: the loss that is let pass, a fraction.
        strict: whether a loss must be ruled out, not only unproven.
        loss: of top-1 among the shared taxa, before minus after; None when not judged.
        loss_low: the loss is above this with 95 % confidence.
        loss_high: the loss is below this with 95 % confidence.
        shared: figures among the taxa that both releases know; None when not judged.
        everyone: figures of the same photographs among all that each release knows.
        taken: which new taxon took what from which old one, most photographs first.
        by_taxon: the old taxa, most photographs lost first.
        new_taxa: how the taxa fare that are new.
    """

    judged: bool
    passed: bool
    reason: str
    max_regression: float
    strict: bool
    loss: float | None
    loss_low: float | None
    loss_high: float | None
    shared: Figures | None
    everyone: Figures | None
    taken: Sequence[Taken]
    by_taxon: Sequence[OldTaxon]
    new_taxa: NewTaxa

    def as_json(self, taxonomy: Taxonomy | None = None) -> dict[str, Any]:
        """Plain values; with `taxonomy`, `old_name`, `new_name` and `name` beside the ids."""
        value = asdict(self)
        value["taken"] = [_named(row, taxonomy) for row in value["taken"]]
        for part in (value, value["new_taxa"]):
            part["by_taxon"] = [_named(row, taxonomy) for row in part["by_taxon"]]
        return value


def _named(row: Mapping[str, Any], taxonomy: Taxonomy | None) -> dict[str, Any]:
    """The row with the names of its taxa."""
    value = dict(row)
    if taxonomy is not None:
        for key in [key for key in row if key.endswith("taxon_id")]:
            taxon_id = row[key]
            if taxon_id in taxonomy:
                value[key.removesuffix("taxon_id") + "name"] = taxonomy[taxon_id].name
    return value
