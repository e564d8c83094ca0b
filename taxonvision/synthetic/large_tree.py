"""A tree of as many taxa as iNaturalist has, in columns: for tables without photographs.

Species lie in genera, genera in families and so on up to three kingdoms and Life. How many children
a taxon has is lognormal: half of the genera have one or two species, a few more than a hundred.
Beside the species stand subspecies, hybrids and names out of use. Ids are given without regard to
the tree, as they are in iNaturalist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxonvision.synthetic import names
from taxonvision.synthetic.open_data import INACTIVE_SHARE, ROOT
from taxonvision.taxonomy.ranks import RANK_LEVELS

KINGDOMS = ((1, "Animalia"), (47126, "Plantae"), (47170, "Fungi"))  # iNaturalist's ids
IDS_FROM = 50_000  # of all others
# From the species upwards: rank, children a taxon of it has in the mean, endings of its names.
RANKS_ABOVE = (
    ("genus", 4, ("us", "ia", "odes", "ella", "ius", "opsis")),
    ("family", 8, ("idae",)),
    ("order", 8, ("ales",)),
    ("class", 4, ("opsida",)),
    ("phylum", 4, ("ozoa",)),
)
SPREAD_OF_CHILDREN = 1.0  # standard deviation of the logarithm
SUBSPECIES_SHARE, HYBRID_SHARE = 0.03, 0.005  # of the number of species

_TREE = 41
_SYLLABLES = [consonant + vowel for consonant in "bcdfglmnprstvz" for vowel in "aeiou"]


@dataclass(frozen=True)
class LargeTree:
    """Taxa in columns of n rows, parents before children; row 0 is Life."""

    taxon_ids: NDArray[np.int64]
    parents: NDArray[np.int64]  # rows, -1 for that of Life
    ranks: tuple[str, ...]
    names: tuple[str, ...]
    active: NDArray[np.bool_]

    def rows(self, rank: str, *, active: bool = True) -> NDArray[np.int64]:
        """The rows of the taxa of a rank that are in use, or that are out of use."""
        return np.flatnonzero((np.array(self.ranks) == rank) & (self.active == active))

    def above(self, rank: str) -> NDArray[np.int64]:
        """(n,) The row of each taxon's ancestor of a rank; its own where it has it, -1 without."""
        found: list[int] = []
        for row, (own, parent) in enumerate(zip(self.ranks, self.parents.tolist(), strict=True)):
            found.append(row if own == rank else found[parent] if parent >= 0 else -1)
        return np.array(found)

    def table(self) -> str:
        """The lines of taxa.csv below its header, in the order of the ids."""
        ids = self.taxon_ids.tolist()
        paths: list[str] = []
        written = []
        for row, parent in enumerate(self.parents.tolist()):
            paths.append("" if parent < 0 else f"{paths[parent]}/{ids[parent]}".removeprefix("/"))
            rank, active = self.ranks[row], "true" if self.active[row] else "false"
            cells = (ids[row], paths[row], RANK_LEVELS[rank], rank, self.names[row], active)
            written.append("\t".join(map(str, cells)) + "\n")
        return "".join(written[row] for row in np.argsort(self.taxon_ids))


def make_large_tree(species: int, seed: int) -> LargeTree:
    """A tree of so many species in use, all that is above them and some that is beside them."""
    rng = np.random.default_rng([seed, _TREE])
    belongs = []  # from the species upwards: to which taxon of the next rank each one belongs
    count = species
    for _, mean, _ in RANKS_ABOVE:
        belongs.append(_grouped(rng, count, mean))
        count = int(belongs[-1][-1]) + 1
    belongs.append(np.arange(count) * len(KINGDOMS) // max(count, len(KINGDOMS)))
    kingdoms = KINGDOMS[: int(belongs[-1][-1]) + 1]

    columns = _Columns()
    life = columns.add(ROOT[1], [ROOT[2]], [-1])
    rows = columns.add("kingdom", [name for _, name in kingdoms], life.repeat(len(kingdoms)))
    stems = _stems(rng, int(belongs[0][-1]) + 1)
    for (rank, _, endings), group in zip(RANKS_ABOVE[::-1], belongs[:0:-1], strict=True):
        named = [stems[number] + endings[number % len(endings)] for number, _ in enumerate(group)]
        rows = columns.add(rank, named, rows[group])
    _add_species(columns, rows[belongs[0]], rng)
    fixed = [ROOT[0], *(taxon_id for taxon_id, _ in kingdoms)]
    given = IDS_FROM + rng.permutation(len(columns.names) - len(fixed))
    return LargeTree(
        taxon_ids=np.concatenate([fixed, given]),
        parents=np.array(columns.parents),
        ranks=tuple(columns.ranks),
        names=tuple(columns.names),
        active=np.array(columns.active),
    )


class _Columns:
    """The columns of a tree as it grows."""

    def __init__(self) -> None:
        self.parents: list[int] = []
        self.ranks: list[str] = []
        self.names: list[str] = []
        self.active: list[bool] = []

    def add(
        self,
        rank: str,
        named: Sequence[str],
        parents: Sequence[int] | NDArray[np.int64],
        *,
        active: bool = True,
    ) -> NDArray[np.int64]:
        """Add taxa below the rows of their parents; returns their own rows."""
        first = len(self.names)
        self.parents += map(int, parents)
        self.ranks += [rank] * len(named)
        self.names += named
        self.active += [active] * len(named)
        return np.arange(first, len(self.names))


def _grouped(rng: np.random.Generator, count: int, mean: float) -> NDArray[np.int64]:
    """To which group each of `count` children belongs, from 0 on and ascending: (count,)."""
    middle = math.log(mean) - SPREAD_OF_CHILDREN**2 / 2
    sizes = np.rint(rng.lognormal(middle, SPREAD_OF_CHILDREN, count)).astype(np.int64)
    return np.repeat(np.arange(count), np.maximum(sizes, 1))[:count]


def _stems(rng: np.random.Generator, count: int) -> list[str]:
    """So many names of three syllables without their ending, all different."""
    base = len(_SYLLABLES)
    chosen = rng.permutation(base**3)[:count]
    digits = zip(chosen // base**2, chosen // base % base, chosen % base, strict=True)
    return ["".join(_SYLLABLES[d] for d in three)[:-1].capitalize() for three in digits]


def _add_species(columns: _Columns, genera: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Add a species for each row of a genus in `genera`, and what stands beside species."""
    taken: dict[int, set[str]] = {int(row): set() for row in genera}

    def epithet(genus: int) -> str:
        return names.epithet(rng, columns.names[genus], taken[genus])

    def some(share: float) -> NDArray[np.int64]:
        return rng.choice(len(genera), math.ceil(len(genera) * share), replace=False)

    def binomials(of: NDArray[np.int64], between: str = " ") -> list[str]:
        return [columns.names[genus] + between + epithet(genus) for genus in of.tolist()]

    species = columns.add("species", binomials(genera), genera)
    chosen = some(SUBSPECIES_SHARE)
    named = [
        f"{columns.names[row]} {epithet(genus)}"
        for row, genus in zip(species[chosen].tolist(), genera[chosen].tolist(), strict=True)
    ]
    columns.add("subspecies", named, species[chosen])
    chosen = genera[some(HYBRID_SHARE)]
    columns.add("hybrid", binomials(chosen, " × "), chosen)
    chosen = genera[some(INACTIVE_SHARE)]
    columns.add("species", binomials(chosen), chosen, active=False)
