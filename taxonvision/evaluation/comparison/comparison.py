"""What a comparison says: a reference and candidates on the same photographs, ready for readers.

All shares, differences and bounds are fractions of 1. A difference is the candidate's figure minus
the reference's, so that what is below 0 is a loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from taxonvision.evaluation.intervals import Interval
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy

LOST, WON = "lost", "won"
SHARED, ALL = "shared", "all"


def hull(first: Interval, second: Interval | None) -> Interval:
    """The interval that covers both; the first alone where there is no second."""
    if second is None:
        return first
    return Interval(min(first.low, second.low), max(first.high, second.high))


@dataclass(frozen=True)
class Difference:
    """A figure of the reference and of the candidate on the same photographs.

    Attributes:
        reference: the reference's figure.
        candidate: the candidate's.
        formula: interval of the difference by a formula that takes photographs for independent
            draws and keeps a width where nothing changes; None where there is no such formula.
        bootstrap: interval of the difference by drawing observations with replacement, both models
            on the same draws; None with fewer than two observations or without replicates.
    """

    reference: float
    candidate: float
    formula: Interval | None
    bootstrap: Interval | None

    @property
    def difference(self) -> float:
        """The candidate's figure minus the reference's."""
        return self.candidate - self.reference

    @property
    def interval(self) -> Interval | None:
        """What both intervals cover, at 95 %: the one to be shown and judged by."""
        if self.formula is None:
            return self.bootstrap
        return hull(self.formula, self.bootstrap)


def is_beyond_chance(difference: Difference, p: float) -> bool:
    """Whether a difference is larger than chance: both by McNemar's test and by its interval."""
    bounds = difference.interval
    return p < 0.05 and bounds is not None and not bounds.low <= 0 <= bounds.high


@dataclass(frozen=True)
class Paired:
    """Two models on the same photographs, among one set of taxa.

    Attributes:
        among: `SHARED`: photographs of taxa that both models know, each model's best class among
            these taxa; `ALL`: all photographs, each model's best class among all it knows.
        photographs: how many; never 0.
        observations: how many observations they are of.
        taxa: how many taxa they show.
        top1: shares named right.
        macro_top1: means over the taxa of the shares named right.
        agreement: share given the same name by both, right or wrong.
        agreement_interval: of that share.
        lost: photographs that the reference names right and the candidate does not.
        won: photographs that the candidate names right and the reference does not.
        p: of McNemar's exact test: how likely so uneven a split of lost and won is by chance.
    """

    among: str
    photographs: int
    observations: int
    taxa: int
    top1: Difference
    macro_top1: Difference
    agreement: float
    agreement_interval: Interval
    lost: int
    won: int
    p: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the difference of top 1 is larger than chance."""
        return is_beyond_chance(self.top1, self.p)


@dataclass(frozen=True)
class Flip:
    """A photograph that one of the two models names right, among all taxa.

    Attributes:
        photo_id: the photograph.
        kind: `LOST` or `WON`.
        truth: the taxon on it.
        reference: the taxon the reference names.
        reference_score: its score, 0 to 1.
        candidate: the taxon the candidate names.
        candidate_score: its score, 0 to 1.
    """

    photo_id: str
    kind: str
    truth: int
    reference: int
    reference_score: float
    candidate: int
    candidate_score: float


@dataclass(frozen=True)
class RankChange:
    """Shares named right at a rank, by rolled-up scores among all taxa, each by its own tree."""

    rank: str
    photographs: int
    top1: Difference


@dataclass(frozen=True)
class TailChange:
    """Shares named right of the shared taxa with so many training photographs.

    Attributes:
        least: training photographs of the taxa, at least.
        most: and at most; None: without limit.
        taxa: how many taxa.
        photographs: of them.
        top1: shares named right, among the shared taxa.
        p: of McNemar's exact test.
    """

    least: int
    most: int | None
    taxa: int
    photographs: int
    top1: Difference
    p: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the difference is larger than chance."""
        return is_beyond_chance(self.top1, self.p)


@dataclass(frozen=True)
class TaxonChange:
    """A taxon's photographs, among all taxa.

    Attributes:
        taxon_id: the taxon.
        photographs: of it.
        right_reference: named right by the reference.
        right_candidate: named right by the candidate.
        lost: right by the reference and wrong by the candidate.
        won: the reverse.
        known_to_reference: whether it is one of the reference's classes.
        known_to_candidate: whether it is one of the candidate's.
    """

    taxon_id: int
    photographs: int
    right_reference: int
    right_candidate: int
    lost: int
    won: int
    known_to_reference: bool
    known_to_candidate: bool

    @property
    def gain(self) -> int:
        """Photographs more that are named right; below 0 a loss."""
        return self.right_candidate - self.right_reference


@dataclass(frozen=True)
class Model:
    """One model of a comparison.

    Attributes:
        name: the shortest end of its results' path that tells it from the others.
        classes: taxa it knows.
        bytes: size of its file; None where unknown.
        median_latency_ms: for one photograph, its decoding not counted; None where unknown.
        threads: threads used, 0 where the engine decides.
        top1: share of all photographs named right.
        top1_interval: of that share.
        calibration_error: expected calibration error on all photographs.
        left_out: photographs of its results that another's results do not have.
        remarks: sentences on what is special of it: perfect, broken, no better than chance.
    """

    name: str
    classes: int
    bytes: int | None
    median_latency_ms: float | None
    threads: int
    top1: float
    top1_interval: Interval
    calibration_error: float
    left_out: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A candidate against the reference.

    Attributes:
        model: the candidate.
        everyone: both among all taxa each knows, on all photographs.
        shared: both among the taxa that both know; None where no photograph shows one.
        taxa_shared: how many taxa both know, with photographs or without.
        taxa_lost: how many only the reference knows.
        taxa_new: how many only the candidate knows.
        flips: lost photographs first, those of which the candidate is surest first; then won ones.
        ranks: from the species up.
        tail: taxa with the fewest training photographs first.
        calibration_error: on all photographs.
        taxa: all taxa with photographs, the most lost first, the most gained last.
        size_ratio: its bytes as a share of the reference's; None where unknown.
        latency_ratio: likewise of the latency.
        sentences: the comparison in words; the first is the headline.
    """

    model: Model
    everyone: Paired
    shared: Paired | None
    taxa_shared: int
    taxa_lost: int
    taxa_new: int
    flips: tuple[Flip, ...]
    ranks: tuple[RankChange, ...]
    tail: tuple[TailChange, ...]
    calibration_error: Difference
    taxa: tuple[TaxonChange, ...]
    size_ratio: float | None
    latency_ratio: float | None
    sentences: tuple[str, ...]

    @property
    def judged(self) -> Paired:
        """What headline and gate speak of: among the taxa both know, else among all."""
        return self.shared or self.everyone


@dataclass(frozen=True)
class Gate:
    """Whether a candidate loses more than may be lost, among the taxa that both know.

    Attributes:
        candidate: name of the candidate.
        passed: whether it may ship.
        judged: False where no photograph shows a taxon that both know; it does not pass then.
        loss_low: the loss is above this with 95 % confidence; None when not judged.
        loss_high: the loss is below this with 95 % confidence; None when not judged.
        reason: why, in one sentence with the figures.
    """

    candidate: str
    passed: bool
    judged: bool
    loss_low: float | None
    loss_high: float | None
    reason: str


@dataclass(frozen=True)
class Comparison:
    """A reference and candidates on the same photographs.

    `write_comparison_report(path, comparison, photographs)` makes a page of it, with
    `photographs: Mapping[str, Source]` from photo id to file for the flips; it is empty where the
    catalog is gone.

    Attributes:
        split: which photographs, as `test`.
        photographs: how many all models were compared on.
        observations: how many observations they are of.
        other_truth: photographs left out since their taxon differs between the results.
        reference: the reference.
        candidates: the candidates, one or more.
        taxonomy: the trees of all models together.
        names: common names by language.
        max_drop: the loss of top 1 that the gate lets pass; None without a gate.
        strict: whether the gate asks for a loss to be ruled out, not only unproven.
        gates: one for each candidate; empty without a gate.
    """

    split: str
    photographs: int
    observations: int
    other_truth: int
    reference: Model
    candidates: tuple[Candidate, ...]
    taxonomy: Taxonomy
    names: Names = field(default_factory=dict)
    max_drop: float | None = None
    strict: bool = False
    gates: tuple[Gate, ...] = ()

    @property
    def gate_of(self) -> Mapping[str, Gate]:
        """The gates by the name of the candidate."""
        return {gate.candidate: gate for gate in self.gates}
