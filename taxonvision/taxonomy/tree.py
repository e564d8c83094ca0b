"""The tree of taxa and its table, `taxonomy.csv`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.tables import read_csv, taxon_id_in, write_csv
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.text import one_line

COLUMNS = ("taxon_id", "parent_taxon_id", "rank_level", "rank", "name")


@dataclass(frozen=True)
class Taxon:
    """One node of the tree; a root has no parent. The name is one line of text."""

    taxon_id: int
    parent_taxon_id: int | None
    rank: str
    name: str
    rank_level: float

    def __post_init__(self) -> None:
        # A line break in a name would shift the lines of labels.txt below it.
        object.__setattr__(self, "name", one_line(self.name) or "unnamed")

    @classmethod
    def of_rank(cls, taxon_id: int, parent_taxon_id: int | None, rank: str, name: str) -> Taxon:
        """A taxon whose level follows from the name of its rank."""
        return cls(taxon_id, parent_taxon_id, rank, name, RANK_LEVELS[rank])


class Taxonomy:
    """Taxa by id, checked: every parent exists, no taxon is its own ancestor."""

    def __init__(self, taxa: Iterable[Taxon], source: str = "the taxonomy") -> None:
        self._taxa: dict[int, Taxon] = {}
        for taxon in taxa:
            if taxon.taxon_id in self._taxa:
                raise UserError(f"{source}: taxon {taxon.taxon_id} is listed twice")
            self._taxa[taxon.taxon_id] = taxon
        for taxon in self._taxa.values():
            if taxon.parent_taxon_id is not None and taxon.parent_taxon_id not in self._taxa:
                raise UserError(
                    f"{source}: the parent {taxon.parent_taxon_id} of taxon {taxon.taxon_id} "
                    f"({taxon.name}) is not listed"
                )
        self._refuse_cycles(source)

    def __contains__(self, taxon_id: int) -> bool:
        return taxon_id in self._taxa

    def __getitem__(self, taxon_id: int) -> Taxon:
        return self._taxa[taxon_id]

    def __iter__(self) -> Iterator[Taxon]:
        return iter(self._taxa.values())

    def __len__(self) -> int:
        return len(self._taxa)

    def lineage(self, taxon_id: int) -> tuple[Taxon, ...]:
        """The taxon and its ancestors, the taxon first, the root last."""
        chain = []
        current: int | None = taxon_id
        while current is not None:
            taxon = self._taxa[current]
            chain.append(taxon)
            current = taxon.parent_taxon_id
        return tuple(chain)

    def at_rank(self, taxon_id: int, rank: str) -> int | None:
        """The id of the taxon or its ancestor that has `rank`; None where there is none."""
        return next((t.taxon_id for t in self.lineage(taxon_id) if t.rank == rank), None)

    def children(self) -> Mapping[int | None, list[int]]:
        """Ids of the children of each taxon, in the order listed; the roots are under None."""
        children: dict[int | None, list[int]] = {}
        for taxon in self:
            children.setdefault(taxon.parent_taxon_id, []).append(taxon.taxon_id)
        return children

    def closure(self, taxon_ids: Iterable[int]) -> Taxonomy:
        """The tree of these taxa and all their ancestors, in the order of this tree."""
        kept: set[int] = set()
        for taxon_id in taxon_ids:
            current: int | None = taxon_id
            while current is not None and current not in kept:
                kept.add(current)
                current = self._taxa[current].parent_taxon_id
        return Taxonomy(taxon for taxon in self if taxon.taxon_id in kept)

    def _refuse_cycles(self, source: str) -> None:
        safe: set[int] = set()
        for start in self._taxa:
            path: dict[int, None] = {}
            current: int | None = start
            while current is not None and current not in safe:
                if current in path:
                    raise UserError(f"{source}: taxon {current} is among its own ancestors")
                path[current] = None
                current = self._taxa[current].parent_taxon_id
            safe.update(path)


def read_taxonomy(path: Path) -> Taxonomy:
    """The tree in a `taxonomy.csv`; UserError names file and line of what is wrong."""
    taxa = []
    for row in read_csv(path, COLUMNS):
        parent = row["parent_taxon_id"]
        try:
            level = float(row["rank_level"])
        except ValueError:
            level = math.nan
        if not math.isfinite(level):
            raise UserError(
                f"{path}, line {row.line}: rank_level must be a number, not {row['rank_level']!r}"
            )
        taxa.append(
            Taxon(
                taxon_id=taxon_id_in(row, "taxon_id", path),
                parent_taxon_id=taxon_id_in(row, "parent_taxon_id", path) if parent else None,
                rank=row["rank"],
                name=row["name"],
                rank_level=level,
            )
        )
    return Taxonomy(taxa, source=str(path))


def write_taxonomy(path: Path, taxonomy: Taxonomy) -> None:
    """Write `taxonomy.csv`."""
    write_csv(
        path,
        COLUMNS,
        ((t.taxon_id, t.parent_taxon_id, f"{t.rank_level:g}", t.rank, t.name) for t in taxonomy),
    )
