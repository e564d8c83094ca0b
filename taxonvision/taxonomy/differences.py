"""What changed between two class lists of one head, class by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from taxonvision.taxonomy.changes import Changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Merged:
    """A taxon, and the classes that were active before and lead to it.

    Its own class is among them where it was active; `into` may have had another taxon before.
    """

    into: TaxonClass
    before: tuple[TaxonClass, ...]


@dataclass(frozen=True)
class Split:
    """A class of before, and the active classes of what is left of its taxon.

    Where the taxon goes on, in a narrower sense or as the parent of the others, it is among them.
    """

    before: TaxonClass
    into: tuple[TaxonClass, ...]


@dataclass(frozen=True)
class Renamed:
    """The same row under another name, another taxon id, or both."""

    before: TaxonClass
    after: TaxonClass


@dataclass(frozen=True)
class Moved:
    """A taxon whose parent is another; the names of its parents, "" for a root."""

    taxon: TaxonClass
    before: str
    after: str


@dataclass(frozen=True)
class Differences:
    """What changed between two class lists.

    Attributes:
        added: active, without a class before, and not from a split.
        returned: retired before, active again.
        retired: active before, retired now, neither merged into another taxon nor split.
        merged: taxa that others became a part of.
        split: taxa that were split since, or of which a part has its first class now.
        renamed: active classes with another name or taxon id.
        moved: active classes with another parent.
    """

    added: tuple[TaxonClass, ...] = ()
    returned: tuple[TaxonClass, ...] = ()
    retired: tuple[TaxonClass, ...] = ()
    merged: tuple[Merged, ...] = ()
    split: tuple[Split, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    moved: tuple[Moved, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many taxa of each kind; of merged ones, those that became part of another."""
        counts = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        gone = [b for m in self.merged for b in m.before if b.taxon_id != m.into.taxon_id]
        return counts | {"merged": len(gone)}

    def as_json(self) -> dict[str, Any]:
        """Counts, and a list of each kind, for `model.json`."""
        return {
            "counts": self.counts,
            "added": [_named(c) for c in self.added],
            "returned": [_named(c) for c in self.returned],
            "retired": [_named(c) for c in self.retired],
            "merged": [
                {**_named(m.into), "before": list(map(_named, m.before))} for m in self.merged
            ],
            "split": [{**_named(s.before), "into": list(map(_named, s.into))} for s in self.split],
            "renamed": [{**_named(r.after), "before": _named(r.before)} for r in self.renamed],
            "moved": [
                {**_named(m.taxon), "before": m.before, "after": m.after} for m in self.moved
            ],
        }

    def in_words(self) -> str:
        """`12 new taxa, 1 retired, 1 merged`, or `no change of taxa`."""
        counts = self.counts
        added = counts.pop("added")
        told = [f"{added} new {'taxon' if added == 1 else 'taxa'}"] if added else []
        told += [f"{count} {kind}" for kind, count in counts.items() if count]
        return ", ".join(told) or "no change of taxa"


def differences(
    before: Sequence[TaxonClass],
    before_tree: Taxonomy,
    after: Sequence[TaxonClass],
    after_tree: Taxonomy,
    changes: Changes,
) -> Differences:
    """What changed from `before` to `after`, which `catalog.class_ids.grow_classes` made of it.

    A table of changes that was given before and is given again changes nothing.

    Args:
        before: the classes by id.
        before_tree: the tree of their taxa.
        after: the classes by id, the first as many with the ids they had.
        after_tree: the tree of their taxa, after the changes.
        changes: what became of taxa.

    Raises:
        ValueError: a class id moved.

    """
    merged = merges(before, after, changes)
    origins = origins_in_splits(before, after, changes)
    united = {m.into.class_id for m in merged}
    gone = {c.class_id for m in merged for c in m.before} - united
    pairs = list(zip(before, after, strict=False))
    active = [(old, new) for old, new in pairs if new.active]
    return Differences(
        added=tuple(c for c in after[len(before) :] if c.class_id not in origins),
        returned=tuple(new for old, new in active if not old.active),
        retired=tuple(
            new
            for old, new in pairs
            if old.active
            and not new.active
            and old.class_id not in gone
            and changes.current(old.taxon_id) is not None
        ),
        merged=merged,
        split=tuple(_splits(before, after, origins, changes)),
        renamed=tuple(
            Renamed(old, new)
            for old, new in active
            if (old.taxon_id != new.taxon_id and new.class_id not in united)
            or (old.taxon_id == new.taxon_id and old.name != new.name)
        ),
        moved=tuple(_moved(active, before_tree, after_tree, changes)),
    )


def merges(
    before: Sequence[TaxonClass], after: Sequence[TaxonClass], changes: Changes
) -> tuple[Merged, ...]:
    """The taxa that active classes with other rows became a part of, by class id.

    Retired classes of before are passed over: what they knew went into the survivor's row when they
    were merged, or was given up. Raises ValueError when a class id moved.
    """
    if [c.class_id for c in after[: len(before)]] != [c.class_id for c in before]:
        raise ValueError("class ids moved between the two class lists")
    class_of = {c.taxon_id: c for c in after}
    leading: dict[int, list[TaxonClass]] = {}
    for old in before:
        current = changes.current(old.taxon_id)
        if old.active and current is not None:
            leading.setdefault(class_of[current].class_id, []).append(old)
    return tuple(
        Merged(after[class_id], tuple(old))
        for class_id, old in sorted(leading.items())
        if [c.class_id for c in old] != [class_id]
    )


def origins_in_splits(
    before: Sequence[TaxonClass], after: Sequence[TaxonClass], changes: Changes
) -> dict[int, tuple[TaxonClass, ...]]:
    """Ids of new classes whose taxon was split off: the classes of before that it was a part of.

    More than one where taxa were merged and split then; retired ones only where none was active.
    """
    class_of = {c.taxon_id: c.class_id for c in after[len(before) :]}
    origins: dict[int, list[TaxonClass]] = {}
    for old in before:
        for part in changes.parts(old.taxon_id):
            if part in class_of:
                origins.setdefault(class_of[part], []).append(old)
    return {
        class_id: tuple([c for c in old if c.active] or old)
        for class_id, old in sorted(origins.items())
    }


def _splits(
    before: Sequence[TaxonClass],
    after: Sequence[TaxonClass],
    origins: Mapping[int, tuple[TaxonClass, ...]],
    changes: Changes,
) -> Iterator[Split]:
    active = {c.taxon_id: c for c in after if c.active}
    parents = {c.class_id for of_class in origins.values() for c in of_class}
    for old in before:
        ended = old.active and changes.current(old.taxon_id) is None
        if ended or old.class_id in parents:
            parts = changes.parts(old.taxon_id)
            yield Split(old, tuple(active[part] for part in parts if part in active))


def _moved(
    active: Sequence[tuple[TaxonClass, TaxonClass]],
    before_tree: Taxonomy,
    after_tree: Taxonomy,
    changes: Changes,
) -> Iterator[Moved]:
    for old, new in active:
        if old.taxon_id not in before_tree or new.taxon_id not in after_tree:
            continue
        if new.taxon_id not in (old.taxon_id, *changes.parts(old.taxon_id)):
            continue
        was = before_tree[old.taxon_id].parent_taxon_id
        now = after_tree[new.taxon_id].parent_taxon_id
        if was != now and not _same(was, now, before_tree, changes):
            yield Moved(new, _name(was, before_tree), _name(now, after_tree))


def _same(was: int | None, now: int | None, before_tree: Taxonomy, changes: Changes) -> bool:
    """Whether a parent only got another id; one merged into a taxon known before is another."""
    if was is None or now is None or now in before_tree:
        return False
    return changes.current(was) == now


def _name(taxon_id: int | None, tree: Taxonomy) -> str:
    return "" if taxon_id is None else tree[taxon_id].name


def _named(taxon: TaxonClass) -> dict[str, Any]:
    return {"taxon_id": taxon.taxon_id, "name": taxon.name}
