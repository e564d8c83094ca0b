"""Two models on the same photographs: differences with intervals, and McNemar's test.

Each difference has two intervals. A formula takes photographs for independent draws and has a width
also where nothing changes; the bootstrap draws whole observations, whose photographs are right or
wrong together, and has none there. What both cover is shown and judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.comparison.comparison import Difference, Paired, hull
from taxonvision.evaluation.intervals import (
    Interval,
    macro_difference,
    paired_difference,
    share,
)


@dataclass(frozen=True)
class Named:
    """What two models name on the same n photographs, all int64 [n] taxon ids.

    Attributes:
        truth: the taxon on each.
        reference: what the reference names.
        candidate: what the candidate names.
    """

    truth: np.ndarray
    reference: np.ndarray
    candidate: np.ndarray

    @property
    def before(self) -> np.ndarray:
        """Bool [n]: whether the reference is right."""
        return self.reference == self.truth

    @property
    def after(self) -> np.ndarray:
        """Bool [n]: whether the candidate is right."""
        return self.candidate == self.truth


@dataclass(frozen=True)
class Changed:
    """Whether some of the photographs were right before and are after, bool [n] each."""

    chosen: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """Float64 [n]: 1 where a photograph is won, -1 where it is lost."""
        return self.after.astype(np.float64) - self.before

    @property
    def lost(self) -> int:
        """How many of those chosen are right before and wrong after."""
        return int((self.chosen & self.before & ~self.after).sum())

    @property
    def won(self) -> int:
        """How many of those chosen are wrong before and right after."""
        return int((self.chosen & ~self.before & self.after).sum())


def mcnemar(lost: int, won: int) -> float:
    """How likely so uneven a split of changed photographs is when each is a fair coin.

    The exact, two-sided test; 1 where nothing changed.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12 (1947) 153–157; exact as in Mosteller, Some statistical problems
    in measuring the subjective response to drugs, Biometrics 8 (1952) 220–226.
    """
    from scipy.special import bdtr  # `scipy.stats.binomtest` gives the same, a second later

    return min(1.0, 2 * float(bdtr(min(lost, won), lost + won, 0.5)))


def paired(among: str, named: Named, resampling: Resampling) -> Paired | None:
    """Compare two models on photographs; None where there are none.

    Args:
        among: which taxa they chose among, `SHARED` or `ALL`.
        named: what they name.
        resampling: of the same photographs.
    """
    n = len(named.truth)
    if not n:
        return None
    before, after = named.before, named.after
    same = named.reference == named.candidate
    changed = Changed(np.ones(n, bool), before, after)
    taxa, taxon_of = np.unique(named.truth, return_inverse=True)
    top1, macro, agreement = _bootstrap(taxon_of, changed, same, resampling)
    macro_before, macro_after = (_macro(taxon_of, right) for right in (before, after))
    return Paired(
        among=among,
        photographs=n,
        observations=resampling.observations,
        taxa=len(taxa),
        top1=Difference(
            float(before.mean()), float(after.mean()), paired_difference(before, after), top1
        ),
        macro_top1=Difference(
            macro_before, macro_after, macro_difference(named.truth, before, after), macro
        ),
        agreement=float(same.mean()),
        agreement_interval=hull(share(int(same.sum()), n), agreement),
        lost=changed.lost,
        won=changed.won,
        p=mcnemar(changed.lost, changed.won),
    )


def differences(groups: Sequence[Changed], resampling: Resampling) -> list[Difference]:
    """The difference of the share that is right in each group of photographs, none of them empty.

    The observations are drawn once for all groups.
    """
    if not groups:
        return []
    from scipy.sparse import csr_array

    # Few photographs change, so that the rows of changes are sparse, and most are in few groups.
    chosen = csr_array(np.stack([group.chosen for group in groups]).astype(np.float64))
    changes = csr_array(np.stack([group.chosen * group.change for group in groups]))

    def figures(weights: np.ndarray) -> np.ndarray:
        return _shares(changes @ weights, chosen @ weights)

    drawn = resampling.intervals(figures)
    return [_difference(group, interval) for group, interval in zip(groups, drawn, strict=True)]


def _difference(group: Changed, drawn: Interval | None) -> Difference:
    before, after = group.before[group.chosen], group.after[group.chosen]
    formula = paired_difference(before, after)
    return Difference(float(before.mean()), float(after.mean()), formula, drawn)


def _bootstrap(
    taxon_of: np.ndarray, changed: Changed, same: np.ndarray, resampling: Resampling
) -> list[Interval | None]:
    """Intervals of the differences of top 1 and of its mean over taxa, and of the agreement."""
    flipped, other = np.flatnonzero(changed.change), np.flatnonzero(~same)
    change, taxon_of_flipped = changed.change[flipped], taxon_of[flipped]
    taxa = int(taxon_of.max()) + 1

    def figures(weights: np.ndarray) -> np.ndarray:
        total, changes = weights.sum(), weights[flipped] * change
        drawn = np.bincount(taxon_of, weights)
        by_taxon = np.bincount(taxon_of_flipped, changes, taxa)[drawn > 0] / drawn[drawn > 0]
        agreement = 1 - weights[other].sum() / total
        return np.array([changes.sum() / total, by_taxon.mean(), agreement])

    return resampling.intervals(figures)


def _shares(sums: np.ndarray, of: np.ndarray) -> np.ndarray:
    """`sums / of`, NaN where a replicate has no photograph."""
    return np.divide(sums, of, out=np.full(len(of), np.nan), where=of > 0)


def _macro(taxon_of: np.ndarray, right: np.ndarray) -> float:
    return float((np.bincount(taxon_of, right) / np.bincount(taxon_of)).mean())
