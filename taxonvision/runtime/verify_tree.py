"""The tables of a bundle held against each other: the tree, the labels, the names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.text import for_screen, several

_MAX_FINDINGS = 10  # of a kind
_MAX_DEPTH = 100  # from a root down; with every rank that iNaturalist has there are forty
_MAX_ROWS = 3_000_000  # more than there are named species; a row takes most of a kilobyte in memory


def check_table(content: bytes) -> list[str]:
    """What is wrong with the text of a taxonomy.csv before it is parsed."""
    rows = content.count(b"\n")
    if rows > _MAX_ROWS:
        return [f"taxonomy.csv has {rows} rows, more than there are species"]
    return list(_controls("taxonomy.csv", content.decode("utf-8", "replace")))


def check_tree(taxonomy: Taxonomy, class_taxon_ids: Sequence[int], classes: int) -> list[str]:
    """What in a tree that could be read is against the rules of BUNDLE.md.

    Args:
        taxonomy: the tree; that parents exist, ids are unique and no taxon is its own ancestor was
            found when it was made.
        class_taxon_ids: taxon id of each output, whose positions were found to count from 0.
        classes: the number of outputs that bundle.json tells.
    """
    findings = []
    if len(class_taxon_ids) != classes:
        findings.append(
            f"taxonomy.csv has {several(len(class_taxon_ids), 'leaf_class_id')}, "
            f"and the model {several(classes, 'output')}"
        )
    leaves, children = set(class_taxon_ids), taxonomy.children()
    findings += islice(
        (
            f"taxonomy.csv: taxon {t.taxon_id} ({t.name[:60]}) has neither a leaf_class_id nor "
            "a taxon below it"
            for t in taxonomy
            if t.taxon_id not in leaves and t.taxon_id not in children
        ),
        _MAX_FINDINGS,
    )
    findings += islice(
        (
            f"taxonomy.csv: taxon {t.taxon_id} ({t.name[:60]}) has the rank_level "
            f"{t.rank_level:g}, above its parent's"
            for t in taxonomy
            if t.parent_taxon_id is not None
            and t.rank_level > taxonomy[t.parent_taxon_id].rank_level
        ),
        _MAX_FINDINGS,
    )
    return [*findings, *_too_deep(children)]


def _too_deep(children: Mapping[int | None, Sequence[int]]) -> Iterator[str]:
    """Readers walk a branch row by row for each photograph, which a chain of taxa would stop."""
    level = children.get(None, ())
    for _ in range(_MAX_DEPTH):
        level = [child for taxon_id in level for child in children.get(taxon_id, ())]
    if level:
        yield f"taxonomy.csv: taxon {level[0]} has {_MAX_DEPTH} ancestors or more"


def check_labels(content: bytes, taxonomy: Taxonomy, class_taxon_ids: Sequence[int]) -> list[str]:
    """Whether line i of labels.txt is the name of output i."""
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    findings = list(_controls("labels.txt", text))
    labels = text.removesuffix("\n").split("\n")
    if len(labels) != len(class_taxon_ids):
        findings.append(
            f"labels.txt has {several(len(labels), 'line')}, "
            f"and taxonomy.csv {several(len(class_taxon_ids), 'leaf_class_id')}"
        )
        return findings
    names = (taxonomy[taxon_id].name for taxon_id in class_taxon_ids)
    findings += islice(
        (
            f"labels.txt, line {line}: {label[:60]!r} is {name[:60]!r} in taxonomy.csv"
            for line, (label, name) in enumerate(zip(labels, names, strict=True), start=1)
            if label != name
        ),
        _MAX_FINDINGS,
    )
    return findings


def check_names(language: str, names: Mapping[int, str], taxonomy: Taxonomy) -> list[str]:
    """Whether the common names of a language are lines of text of taxa in the tree."""
    file = f"names/{language}.json"
    strangers = (
        f"{file} names taxon {taxon_id}, which is not in taxonomy.csv"
        for taxon_id in names
        if taxon_id not in taxonomy
    )
    unfit = (
        f"{file} has a name for taxon {taxon_id} that is not one line of plain text"
        for taxon_id, name in names.items()
        if not name.strip() or "\n" in name or for_screen(name) != name
    )
    return [*islice(strangers, _MAX_FINDINGS), *islice(unfit, _MAX_FINDINGS)]


def check_thresholds(by_taxon: Mapping[int, float], taxonomy: Taxonomy) -> list[str]:
    """Whether the taxa that have a threshold of their own are in the tree."""
    strangers = (
        f"thresholds.csv has a threshold for taxon {taxon_id}, which is not in taxonomy.csv"
        for taxon_id in by_taxon
        if taxon_id not in taxonomy
    )
    return list(islice(strangers, _MAX_FINDINGS))


def _controls(file: str, text: str) -> Iterator[str]:
    if for_screen(text.replace("\r\n", "\n")) != text.replace("\r\n", "\n"):
        yield f"{file} holds control characters"
