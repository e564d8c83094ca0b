"""Photographs in folders: a folder a class, nested folders as taxonomy, or a table of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taxonvision.catalog.class_taxa import ClassPath, taxa_of_paths, taxa_of_tables
from taxonvision.catalog.listing import ListedPhoto, Listing, Reject
from taxonvision.catalog.sources.files import Files, entries, find_files
from taxonvision.catalog.splits import split_named
from taxonvision.errors import UserError
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
    """A photograph's class and its split, None where none is given."""

    names: ClassPath
    split: str | None


def list_folder(root: Path, options: FolderOptions) -> Listing:
    """List the photographs below `root` with their taxa.

    Raises UserError for a missing folder, a table that cannot be used, an unknown level, or a class
    folder without any photograph.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; --input names the folder of the photographs")
    unknown = [level for level in options.levels if level not in RANK_LEVELS]
    if unknown:
        raise UserError(f"--levels: {unknown[0]!r} is no rank; ranks are {', '.join(RANK_LEVELS)}")
    if options.taxonomy and not options.taxa:
        raise UserError("--taxonomy needs --taxa, the table of which class is which taxon")
    files = find_files(root)
    if options.labels:
        labels, rejects = _labels_of_table(options.labels, files)
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
        )
        for path, label in sorted(labels.items())
    ]
    rejects = files.rejects + rejects
    return Listing(root, photos, taxa.taxonomy, taxa.names, rejects, dict(files.other))


def listing_digest(root: Path, options: FolderOptions) -> str:
    """SHA-256 over the names, sizes and times of all files, and the bytes of the tables."""
    digest = hashlib.sha256(repr(root.absolute()).encode("utf-8", "surrogateescape"))
    for path, entry in sorted(entries(root), key=lambda item: item[0]):
        seen = entry if isinstance(entry, str) else (entry.st_size, entry.st_mtime_ns)
        digest.update(repr((path, seen)).encode("utf-8", "surrogateescape"))
    for table in (options.labels, options.taxa, options.taxonomy):
        digest.update(table.read_bytes() if table and table.is_file() else b"-")
    return digest.hexdigest()


def _labels_of_table(table: Path, files: Files) -> tuple[dict[str, _Label], list[Reject]]:
    rows = read_csv(table, ("file",))
    if not rows:
        raise UserError(f"{table} has no line after its header")
    class_column = "class" if "class" in rows[0] else "label"
    if class_column not in rows[0]:
        raise UserError(f"{table} has no column class or label; it has: {', '.join(rows[0])}")
    on_disk = set(files.photos)
    refused = {reject.path for reject in files.rejects}
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
        if path in lines:
            rejects.append(Reject(path, f"{where}: listed before, in line {lines[path]}"))
            continue
        lines[path] = row.line
        if path in refused:
            continue
        if path not in on_disk:
            rejects.append(Reject(path, f"{where}: no such photograph below --input"))
        elif not row[class_column]:
            rejects.append(Reject(path, f"{where}: no {class_column}"))
        else:
            labels[path] = _Label((row[class_column],), split)
    rejects += [
        Reject(path, f"not listed in {table.name}") for path in files.photos if path not in lines
    ]
    return labels, rejects


def _labels_of_folders(
    root: Path, files: Files, levels: Sequence[str]
) -> tuple[dict[str, _Label], list[Reject]]:
    by_split = _top_folders_are_splits(files.folders)
    class_level = 1 if by_split else 0
    depth = len(levels or MAIN_RANKS)
    labels: dict[str, _Label] = {}
    rejects = []
    for path in files.photos:
        folders = tuple(path.split("/")[:-1])
        names = folders[class_level:]
        if not names:
            rejects.append(Reject(path, "not in a class folder and no --labels given"))
        elif len(names) > depth:
            rejects.append(Reject(path, f"in a folder deeper than the {depth} levels of ranks"))
        else:
            labels[path] = _Label(names, split_named(folders[0]) if by_split else None)
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
