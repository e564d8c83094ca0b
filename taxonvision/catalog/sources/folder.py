"""Photographs in folders: a folder a class, nested folders as taxonomy, or a table of labels."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from taxonvision.catalog.class_taxa import ClassPath, taxa_of_paths, taxa_of_tables
from taxonvision.catalog.listing import ListedPhoto, Listing, Reject
from taxonvision.catalog.sources.files import Files, entries, find_files
from taxonvision.catalog.splits import split_named
from taxonvision.errors import UserError
from taxonvision.photograph import SUFFIXES, UNREADABLE_SUFFIXES
from taxonvision.tables import read_csv
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS


@dataclass(frozen=True)
class FolderOptions:
    """How folders and tables are read.

    Attributes:
        labels: table `file` (relative to the input), `class` or `label`, `split`.
        taxa: table `class`, `taxon_id`, `scientific_name`, `common_name`, `common_name_de` ...
        taxonomy: the tree as `taxonomy.csv`.
        levels: the rank of each folder level from the top; empty: the last is a species.
        license: licence of all photographs, for example CC0-1.0.
        attribution: line of credit of all photographs.
    """

    labels: Path | None = None
    taxa: Path | None = None
    taxonomy: Path | None = None
    levels: Sequence[str] = ()
    license: str = ""
    attribution: str = ""


@dataclass(frozen=True)
class _Label:
    """A photograph's class, its split if one is given, and what is wrong with its file."""

    names: ClassPath
    split: str | None
    fault: str


def list_folder(root: Path, options: FolderOptions) -> Listing:
    """List the photographs below `root` with their taxa.

    Raises UserError for a missing folder, a table that cannot be used, an unknown level, or a class
    folder without any photograph.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; --input names the folder of the photographs")
    _check_levels(options)
    if options.taxonomy and not options.taxa:
        raise UserError("--taxonomy needs --taxa, the table of which class is which taxon")
    files = find_files(root)
    if options.labels:
        labels, rejects = _labels_of_table(options.labels, files)
        if options.levels:
            labels = _placed_by_folders(labels, options)
    else:
        labels, rejects = _labels_of_folders(root, files, options.levels)
    class_paths = sorted({label.names for label in labels.values()})
    taxa = (
        taxa_of_tables(class_paths, options.taxa, options.taxonomy)
        if options.taxa
        else taxa_of_paths(class_paths, options.levels)
    )
    photos = [
        ListedPhoto(
            photo_id=path,
            path=path,
            taxon_id=taxa.taxon_ids[label.names],
            split=label.split,
            license=options.license,
            attribution=options.attribution,
            fault=label.fault,
        )
        for path, label in sorted(labels.items())
    ]
    rejects += [reject for reject in files.rejects if reject.path not in labels]
    return Listing(root, photos, taxa.taxonomy, taxa.names, rejects, dict(files.other))


def listing_digest(root: Path) -> str:
    """SHA-256 over the place of `root` and the names, sizes and times of all files below it."""
    digest = hashlib.sha256(repr(root.absolute()).encode("utf-8", "surrogateescape"))
    for path, entry in sorted(entries(root), key=lambda item: item[0]):
        seen = entry if isinstance(entry, str) else (entry.st_size, entry.st_mtime_ns)
        digest.update(repr((path, seen)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _check_levels(options: FolderOptions) -> None:
    unknown = [level for level in options.levels if level not in RANK_LEVELS]
    if unknown:
        raise UserError(f"--levels: {unknown[0]!r} is no rank; ranks are {', '.join(RANK_LEVELS)}")
    heights = [RANK_LEVELS[level] for level in options.levels]
    if any(above <= below for above, below in itertools.pairwise(heights)):
        raise UserError(f"--levels must descend, as family,genus,species: {options.levels}")
    if options.levels and options.taxa:
        raise UserError("--levels names the ranks of folders; with --taxa they come by --taxonomy")


def _faults(files: Files) -> dict[str, str]:
    """Why a file that claims to be a photograph cannot be used, by its path."""
    claims = SUFFIXES | UNREADABLE_SUFFIXES
    return {
        reject.path: reject.reason
        for reject in files.rejects
        if PurePosixPath(reject.path).suffix.lower() in claims
    }


def _labels_of_table(table: Path, files: Files) -> tuple[dict[str, _Label], list[Reject]]:
    rows = read_csv(table, ("file",))
    if not rows:
        raise UserError(f"{table} has no line after its header")
    class_column = "class" if "class" in rows[0] else "label"
    if class_column not in rows[0]:
        raise UserError(f"{table} has no column class or label; it has: {', '.join(rows[0])}")
    faults = _faults(files) | dict.fromkeys(files.photos, "")
    labels: dict[str, _Label] = {}
    lines: dict[str, int] = {}
    rejects = []
    for row in rows:
        path = PurePosixPath(row["file"]).as_posix()
        where = f"{table.name}, line {row.line}"
        split = split_named(row.get("split", ""))
        if row.get("split") and split is None:
            raise UserError(
                f"{table}, line {row.line}: split must be train, val or test, not {row['split']!r}"
            )
        fault = faults.get(path, f"{where}: no such photograph below --input")
        label = _Label((row[class_column],), split, fault)
        if path in lines:
            if label != labels.get(path):
                reason = f"{where}: listed before, in line {lines[path]}, and otherwise"
                rejects.append(Reject(path, reason))
            continue
        lines[path] = row.line
        if row[class_column]:
            labels[path] = label
        else:
            rejects.append(Reject(path, f"{where}: no {class_column}"))
    rejects += [
        Reject(path, f"not listed in {table.name}") for path in files.photos if path not in lines
    ]
    return labels, rejects


def _placed_by_folders(labels: dict[str, _Label], options: FolderOptions) -> dict[str, _Label]:
    """The labels with the folders above each class, which `levels` says are its ancestors.

    Raises UserError where a photograph is not in the folder of its class.
    """
    placed = {}
    for path, label in labels.items():
        folders = tuple(path.split("/")[:-1])
        if not folders or folders[-1] != label.names[-1] or len(folders) > len(options.levels):
            raise UserError(
                f"--levels={','.join(options.levels)}: {path} is not in a folder of these levels "
                f"that is named as its class {label.names[-1]!r} in {options.labels}"
            )
        placed[path] = replace(label, names=folders)
    return placed


def _labels_of_folders(
    root: Path, files: Files, levels: Sequence[str]
) -> tuple[dict[str, _Label], list[Reject]]:
    by_split = _top_folders_are_splits(files.folders)
    class_level = 1 if by_split else 0
    depth = len(levels or MAIN_RANKS)
    labels: dict[str, _Label] = {}
    rejects = []
    for path, fault in (dict.fromkeys(files.photos, "") | _faults(files)).items():
        folders = tuple(path.split("/")[:-1])
        names = folders[class_level:]
        if names and len(names) <= depth:
            split = split_named(folders[0]) if by_split else None
            labels[path] = _Label(names, split, fault)
        elif not fault:
            reason = (
                f"in a folder deeper than the {depth} levels of ranks"
                if names
                else "not in a class folder and no --labels given"
            )
            rejects.append(Reject(path, reason))
    _refuse_empty_classes(root, files, class_level)
    return labels, rejects


def _refuse_empty_classes(root: Path, files: Files, class_level: int) -> None:
    """UserError for a class folder without a file that is, or claims to be, a photograph."""
    paths = files.photos + [reject.path for reject in files.rejects]
    filled: set[tuple[str, ...]] = set()
    for path in paths:
        names = tuple(path.split("/")[class_level:-1])
        filled.update(names[:depth] for depth in range(len(names) + 1))
    empty = sorted(folder for folder in files.folders if folder[class_level:] not in filled)
    if empty and filled:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        raise UserError(
            f"the class folder {root.joinpath(*empty[0])}{more} holds no photograph; "
            "fill or remove it"
        )


def _top_folders_are_splits(folders: set[tuple[str, ...]]) -> bool:
    """True for the layout `train/CLASS`, `val/CLASS`, `test/CLASS`."""
    tops = {folder[0] for folder in folders}
    return bool(tops) and "train" in map(split_named, tops) and all(map(split_named, tops))
