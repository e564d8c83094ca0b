"""Accuracy of each taxon: which are named well, and for what each is taken most often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.intervals import Interval, share
from taxonvision.evaluation.lookup import find
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class TaxonAccuracy:
    """How many of a taxon's photographs are named right.

    Attributes:
        taxon_id: the taxon.
        name: its scientific name.
        training_photographs: that the model may have learned it from; None where it is no class.
        photographs: that were judged; 0 for a class that no photograph shows.
        observations: that they are of.
        right: photographs named right.
        interval: Wilson's of the share that is right, over the number of observations; drawing
            again a handful of observations of each of thousands of taxa would tell no more.
        most_often_named: the taxon it is mistaken for most often; None where it never is.
        times_named: how often.
    """

    taxon_id: int
    name: str
    training_photographs: int | None
    photographs: int
    observations: int
    right: int
    interval: Interval | None
    most_often_named: int | None
    times_named: int

    @property
    def top1(self) -> float | None:
        """The share named right; None without photographs."""
        return self.right / self.photographs if self.photographs else None


@dataclass(frozen=True)
class TaxonCounts:
    """Photographs by true taxon.

    Attributes:
        taxon_ids: int64 [T], ascending.
        photographs: int64 [T].
        observations: int64 [T].
        right: int64 [T], photographs named right.
    """

    taxon_ids: np.ndarray
    photographs: np.ndarray
    observations: np.ndarray
    right: np.ndarray


def count_by_taxon(truth: np.ndarray, observations: np.ndarray, right: np.ndarray) -> TaxonCounts:
    """Count photographs by their true taxon.

    Args:
        truth: int64 [n], taxon ids.
        observations: int64 [n], each of one taxon.
        right: bool [n], whether the photograph is named right.
    """
    taxon_ids, taxon_of = np.unique(truth, return_inverse=True)
    first = np.unique(observations, return_index=True)[1]
    count = len(taxon_ids)
    return TaxonCounts(
        taxon_ids=taxon_ids,
        photographs=np.bincount(taxon_of, minlength=count),
        observations=np.bincount(taxon_of[first], minlength=count),
        right=np.bincount(taxon_of[right], minlength=count),
    )


def accuracy_of_taxa(
    counts: TaxonCounts, truth: np.ndarray, named: np.ndarray, known: KnownTaxa, taxonomy: Taxonomy
) -> list[TaxonAccuracy]:
    """All taxa that have photographs or are classes, in order of their names.

    Args:
        counts: of the photographs.
        truth: int64 [n], taxon ids.
        named: int64 [n], what each photograph is named.
        known: the model's classes.
        taxonomy: the tree.
    """
    taxon_ids = np.union1d(counts.taxon_ids, known.taxon_ids)
    places = find(taxon_ids, counts.taxon_ids)
    mistaken = _most_often_named(truth, named)
    columns = (counts.photographs, counts.observations, counts.right)
    rows = np.stack([np.where(places < 0, 0, np.append(c, 0)[places]) for c in columns], axis=1)
    found = []
    for taxon_id, (photographs, observations, right) in zip(
        taxon_ids.tolist(), rows.tolist(), strict=True
    ):
        most, times = mistaken.get(taxon_id, (None, 0))
        found.append(
            TaxonAccuracy(
                taxon_id=taxon_id,
                name=name_of(taxonomy, taxon_id),
                training_photographs=known.training_of.get(taxon_id),
                photographs=photographs,
                observations=observations,
                right=right,
                interval=wilson(right, photographs, observations),
                most_often_named=most,
                times_named=times,
            )
        )
    return sorted(found, key=lambda taxon: (taxon.name, taxon.taxon_id))


def wilson(right: int, photographs: int, observations: int) -> Interval | None:
    """The interval of right / photographs as if it were a share of the observations."""
    if not photographs:
        return None
    return share(right * observations / photographs, observations)


def name_of(taxonomy: Taxonomy, taxon_id: int) -> str:
    """The scientific name of a taxon, or its id where the tree lacks it."""
    return taxonomy[taxon_id].name if taxon_id in taxonomy else f"taxon {taxon_id}"


def _most_often_named(truth: np.ndarray, named: np.ndarray) -> dict[int, tuple[int, int]]:
    """By taxon what its mistakes name most often, and how often; of equals the lowest id."""
    wrong = truth != named
    pairs, times = np.unique(
        np.stack([truth[wrong], named[wrong]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(times, kind="stable")  # the last of a taxon is its most frequent
    most: dict[int, tuple[int, int]] = {}
    for (true, taken_for), count in zip(pairs[order].tolist(), times[order].tolist(), strict=True):
        if count > most.get(true, (0, 0))[1]:
            most[true] = taken_for, count
    return most
