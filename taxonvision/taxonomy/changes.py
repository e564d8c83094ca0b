"""What became of taxa: the table of taxonomic changes, `changes.csv`.

Columns: `kind, taxon_id, new_taxon_id, name, rank, parent_taxon_id`; other columns (dates, remarks)
are passed over. The lines stand in the order in which the changes were made, so that a taxon may be
renamed and then merged. `name`, `rank` and `parent_taxon_id` describe the taxon after the change:
what is filled in overrules the tree, what is empty stays. The kinds:

- `merged`: the taxon is now part of `new_taxon_id`. Its photographs count as the new taxon's, and
  what was below it is below the new one. (iNaturalist: a merge, or a swap into a taxon that existed
  before.)
- `renamed`: the same organism under another `name`, another id (`new_taxon_id`), or both; another
  id is treated as `merged` is, and without `name` the name stays. (iNaturalist: a swap.)
- `split`: a line for each new taxon, at least two, one below the other. A photograph of the old
  taxon may show any of the new ones, so it is left out. The old taxon goes on, with its
  photographs, where it is itself among the new ones (in a narrower sense) or is the
  `parent_taxon_id` of one (as their complex).
- `moved`: another `parent_taxon_id`.

A new taxon that the tree lacks is added: where the line does not say otherwise, with the rank and
the parent of the old one. Taxa that are no more stay in the tree, without any below them but what a
split one had, so that retired classes and reasons can name them. A line about a taxon that is not
in the tree is no error, since tables of changes are made for everybody; its photographs, if there
are any, count as the line says.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.tables import Row, read_csv, taxon_id_in, write_csv
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxon, Taxonomy
from taxonvision.text import one_line

COLUMNS = ("kind", "taxon_id", "new_taxon_id", "name", "rank", "parent_taxon_id")
KINDS = ("merged", "renamed", "split", "moved")


@dataclass(frozen=True)
class Change:
    """One line of the table, `line` of its file; empty cells are None and ""."""

    kind: str
    taxon_id: int
    new_taxon_id: int | None = None
    name: str = ""
    rank: str = ""
    parent_taxon_id: int | None = None
    line: int = 0

    @property
    def described_taxon_id(self) -> int:
        """The taxon whose name, rank and parent the line tells."""
        return self.taxon_id if self.new_taxon_id is None else self.new_taxon_id


class Changes:
    """A table of changes, checked: no taxon comes up again after a line that ended it.

    So a taxon that is no more has become one other or was split, and no chain leads back.
    """

    def __init__(self, changes: Iterable[Change] = (), source: str = "the changes") -> None:
        self.source = source
        self._steps = [_Step(tuple(lines)) for _, lines in itertools.groupby(changes, _step_of)]
        self._ended = self._check()

    @property
    def lines(self) -> list[Change]:
        """The lines of the table, in order."""
        return [change for step in self._steps for change in step.changes]

    @cached_property
    def taxon_ids(self) -> Set[int]:
        """All taxa that the lines name: a tree is to have those of them that are known."""
        named = {i for c in self.lines for i in (c.taxon_id, c.new_taxon_id, c.parent_taxon_id)}
        return {taxon_id for taxon_id in named if taxon_id is not None}

    @cached_property
    def current_ids(self) -> Mapping[int, int | None]:
        """Taxa that are no more: the one that their photographs count as; None: they were split."""
        current: dict[int, int | None] = {}
        for step in reversed(self._ended.values()):  # what a step leads to ends in later ones only
            new = None if step.is_split else step.new_taxon_ids[0]
            current[step.taxon_id] = new if new is None else current.get(new, new)
        return current

    def current(self, taxon_id: int) -> int | None:
        """The taxon that photographs observed as `taxon_id` count as; None when it was split."""
        return self.current_ids.get(taxon_id, taxon_id)

    @cached_property
    def _parts(self) -> Mapping[int, tuple[int, ...]]:
        parts: dict[int, tuple[int, ...]] = {}
        for step in reversed(self._steps):  # what a step brings changes in later ones only
            left = (() if step.ends else (step.taxon_id,)) + step.new_taxon_ids
            parts[step.taxon_id] = tuple(
                dict.fromkeys(part for new in left for part in parts.get(new, (new,)))
            )
        return parts

    def parts(self, taxon_id: int) -> tuple[int, ...]:
        """The taxa that are left of `taxon_id`, in the order of the lines.

        One for a taxon that was never split; among them itself where it goes on.
        """
        return self._parts.get(taxon_id, (taxon_id,))

    def in_words(self, taxon_id: int, taxonomy: Taxonomy) -> str:
        """What became of a taxon that is no more, named by `taxonomy`; "" for one that goes on."""
        if taxon_id not in self._ended:
            return ""
        step = self._ended[taxon_id]
        while not step.is_split and step.new_taxon_ids[0] in self._ended:
            step = self._ended[step.new_taxon_ids[0]]
        *names, last = (self._name_of(new, taxonomy) for new in step.new_taxon_ids)
        if step.is_split:
            return f"split into {', '.join(names)} and {last}; a photograph of it may show any"
        return f"its photographs count as {last}"

    def apply(self, taxonomy: Taxonomy) -> Taxonomy:
        """The tree after the changes.

        Raises UserError with file and line for a new taxon without a name, a parent that is not in
        the tree, and a taxon put below itself.
        """
        if not self._steps:
            return taxonomy
        tree = _Tree(taxonomy)
        for step in self._steps:
            if step.taxon_id in tree.taxa:
                for change in step.changes:
                    self._follow(change, step, tree)
        return Taxonomy(tree.taxa.values(), source=self.source)

    def unknown_to(self, taxonomy: Taxonomy) -> int:
        """How many lines are about taxa that neither the tree has nor an earlier line brings."""
        brought: set[int] = set()
        unknown = 0
        for step in self._steps:
            if step.taxon_id in taxonomy or step.taxon_id in brought:
                brought.update(step.new_taxon_ids)
            else:
                unknown += len(step.changes)
        return unknown

    def _check(self) -> dict[int, _Step]:
        """The steps that ended a taxon, by the taxon; UserError for what contradicts them."""
        ended: dict[int, _Step] = {}
        for step in self._steps:
            for change in step.changes:
                for taxon_id in (change.taxon_id, change.new_taxon_id, change.parent_taxon_id):
                    if taxon_id in ended:
                        raise UserError(
                            f"{self._at(change)}: {ended[taxon_id]}; put the lines in the order of "
                            "their dates, those of one split together, and leave out both lines "
                            "of a change that was taken back"
                        )
            if step.is_split and len(step.new_taxon_ids) == 1:
                raise UserError(
                    f"{self._at(step.changes[0])}: taxon {step.taxon_id} is split into one only; "
                    "add a line below it for each of the others, or call it renamed or merged"
                )
            if step.ends:
                ended[step.taxon_id] = step
                if step.taxon_id == step.changes[0].parent_taxon_id:
                    sentence = f"taxon {step.taxon_id} ends here and cannot be a parent"
                    raise UserError(f"{self._at(step.changes[0])}: {sentence}")
        return ended

    def _name_of(self, taxon_id: int, taxonomy: Taxonomy) -> str:
        if taxon_id in taxonomy:
            return taxonomy[taxon_id].name
        told = [c.name for c in self.lines if c.described_taxon_id == taxon_id and c.name]
        return told[-1] if told else f"taxon {taxon_id}"

    def _at(self, change: Change) -> str:
        return f"{self.source}, line {change.line}"

    def _follow(self, change: Change, step: _Step, tree: _Tree) -> None:
        old, new_id = tree.taxa[change.taxon_id], change.described_taxon_id
        if new_id not in tree.taxa:
            name = change.name or (old.name if change.kind == "renamed" else "")
            if not name:
                raise UserError(
                    f"{self._at(change)}: taxon {new_id} is not in the taxonomy; give its name "
                    "(and its rank and parent_taxon_id where they differ from the old taxon's)"
                )
            tree.put(replace(old, taxon_id=new_id, name=name))
        if step.ends:
            if tree.is_at_or_below(new_id, old.taxon_id):  # it takes the place of what ended
                tree.put_below(new_id, old.parent_taxon_id)
            if not step.is_split:
                for child in sorted(tree.children.get(old.taxon_id, ())):
                    tree.put_below(child, new_id)
        self._describe(change, tree)

    def _describe(self, change: Change, tree: _Tree) -> None:
        """Give a taxon the name, rank and parent that the line tells."""
        taxon, parent = tree.taxa[change.described_taxon_id], change.parent_taxon_id
        if change.name:
            taxon = replace(taxon, name=change.name)
        if change.rank:
            taxon = replace(taxon, rank=change.rank, rank_level=RANK_LEVELS[change.rank])
        tree.put(taxon)
        if parent is None:
            return
        if parent not in tree.taxa:
            raise UserError(
                f"{self._at(change)}: the parent {parent} of taxon {taxon.taxon_id} is not in the "
                "taxonomy; add it there, or leave the line out"
            )
        if tree.is_at_or_below(parent, taxon.taxon_id):
            raise UserError(
                f"{self._at(change)}: taxon {parent} is below taxon {taxon.taxon_id} and cannot be "
                "its parent; move it first"
            )
        tree.put_below(taxon.taxon_id, parent)


def read_changes(path: Path) -> Changes:
    """The changes in a `changes.csv`; UserError names file and line of what is wrong."""
    return Changes([_change_of(row, path) for row in read_csv(path, COLUMNS)], source=str(path))


def write_changes(path: Path, changes: Changes) -> None:
    """Write a `changes.csv` that `read_changes` reads as the same changes."""
    write_csv(
        path,
        COLUMNS,
        ([getattr(line, column) for column in COLUMNS] for line in changes.lines),
    )


@dataclass(frozen=True)
class _Step:
    """One line, or the lines of one split."""

    changes: tuple[Change, ...]

    @property
    def taxon_id(self) -> int:
        return self.changes[0].taxon_id

    @property
    def is_split(self) -> bool:
        return self.changes[0].kind == "split"

    @property
    def new_taxon_ids(self) -> tuple[int, ...]:
        """The new taxa, each once, in the order of the lines."""
        return tuple(dict.fromkeys(c.new_taxon_id for c in self.changes if c.new_taxon_id))

    @property
    def ends(self) -> bool:
        """Whether the taxon is no more afterwards."""
        kept = {*self.new_taxon_ids, *(c.parent_taxon_id for c in self.changes if self.is_split)}
        return bool(self.new_taxon_ids) and self.taxon_id not in kept

    def __str__(self) -> str:
        done = "split it into" if self.is_split else "made it"
        into = " and ".join(map(str, self.new_taxon_ids))
        line = self.changes[0].line
        return f"taxon {self.taxon_id} is no more since line {line}, which {done} {into}"


def _step_of(change: Change) -> int | Change:
    """Equal for neighbouring lines of one split only."""
    return change.taxon_id if change.kind == "split" else change


class _Tree:
    """A tree in the course of being changed."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxa = {taxon.taxon_id: taxon for taxon in taxonomy}
        self.children = {parent: set(ids) for parent, ids in taxonomy.children().items()}

    def put(self, taxon: Taxon) -> None:
        """Add a taxon, or put it in the place of the one with its id."""
        old = self.taxa.get(taxon.taxon_id)
        if old is not None:
            self.children[old.parent_taxon_id].discard(taxon.taxon_id)
        self.taxa[taxon.taxon_id] = taxon
        self.children.setdefault(taxon.parent_taxon_id, set()).add(taxon.taxon_id)

    def put_below(self, taxon_id: int, parent: int | None) -> None:
        self.put(replace(self.taxa[taxon_id], parent_taxon_id=parent))

    def is_at_or_below(self, taxon_id: int, ancestor: int) -> bool:
        current: int | None = taxon_id
        while current is not None and current != ancestor:
            current = self.taxa[current].parent_taxon_id
        return current is not None


def _change_of(row: Row, path: Path) -> Change:
    kind, rank = row["kind"].lower(), row["rank"].lower()
    where = f"{path}, line {row.line}"
    if kind not in KINDS:
        raise UserError(f"{where}: kind must be one of {', '.join(KINDS)}, not {row['kind']!r}")
    if rank and rank not in RANK_LEVELS:
        raise UserError(f"{where}: {row['rank']!r} is no rank; ranks are {', '.join(RANK_LEVELS)}")
    taxon_id = taxon_id_in(row, "taxon_id", path)
    new = taxon_id_in(row, "new_taxon_id", path) if row["new_taxon_id"] else None
    parent = taxon_id_in(row, "parent_taxon_id", path) if row["parent_taxon_id"] else None
    if kind in ("renamed", "moved") and new == taxon_id:
        new = None  # a table may repeat the id where it stays
    change = Change(kind, taxon_id, new, one_line(row["name"]), rank, parent, row.line)
    if kind in ("merged", "split") and new is None:
        raise UserError(f"{where}: {kind} needs the new_taxon_id")
    if kind == "merged" and new == taxon_id:
        raise UserError(f"{where}: taxon {taxon_id} is merged into itself")
    if kind == "renamed" and new is None and not change.name:
        raise UserError(f"{where}: renamed needs a name or a new_taxon_id")
    if kind == "moved" and (parent is None or new is not None):
        raise UserError(f"{where}: moved needs the parent_taxon_id, and no new_taxon_id")
    if parent == change.described_taxon_id:
        raise UserError(f"{where}: taxon {parent} cannot be its own parent")
    return change


NO_CHANGES = Changes()
