"""Photographs in folders: a folder a class, nested folders as taxonomy, or a table of labels."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from taxonvision.catalog.listing import ListedPhoto, Listing, Reject
from taxonvision.catalog.splits import split_named
from taxonvision.errors import UserError
from taxonvision.photograph import SUFFIXES, UNREADABLE_SUFFIXES
from taxonvision.tables import integer, read_csv
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS
from taxonvision.taxonomy.tree import Taxon, Taxonomy, read_taxonomy

_MAX_TAXON_ID = 2**31 - 1
_IGNORED_FOLDERS = frozenset({"__MACOSX", "@eaDir", "lost+found"})


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


@dataclass
class _Files:
    """Files below the input, by what they are."""

    photos: list[str] = field(default_factory=list)
    folders: set[tuple[str, ...]] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Label:
    """A photograph's class as a path of names from the root of the tree, and its split."""

    names: tuple[str, ...]
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
    files = _walk(root)
    if options.labels:
        labels, rejects = _labels_of_table(options.labels, files)
    else:
        labels, rejects = _labels_of_folders(root, files, options.levels)
    class_paths = sorted({label.names for label in labels.values()})
    if options.taxa:
        taxa, names = _read_taxa(options.taxa)
        taxonomy, taxon_ids = _known_taxa(class_paths, taxa, options)
    else:
        names = {}
        taxonomy, taxon_ids = _hashed_taxa(class_paths, options)
    photos = [
        ListedPhoto(
            photo_id=path,
            path=path,
            taxon_id=taxon_ids[label.names],
            split=label.split,
            license=options.license,
            attribution=options.attribution,
        )
        for path, label in sorted(labels.items())
    ]
    return Listing(root, photos, taxonomy, names, files.rejects + rejects, dict(files.other))


def listing_digest(root: Path, options: FolderOptions) -> str:
    """SHA-256 over the names, sizes and times of all files, and the bytes of the tables."""
    digest = hashlib.sha256(repr(root.absolute()).encode("utf-8", "surrogateescape"))
    for path, entry in sorted(_entries(root), key=lambda item: item[0]):
        seen = entry if isinstance(entry, str) else (entry.st_size, entry.st_mtime_ns)
        digest.update(repr((path, seen)).encode("utf-8", "surrogateescape"))
    for table in (options.labels, options.taxa, options.taxonomy):
        digest.update(table.read_bytes() if table and table.is_file() else b"-")
    return digest.hexdigest()


def _entries(root: Path) -> Iterator[tuple[str, os.stat_result | str]]:
    """Files below `root`, links followed: relative path and status, or the reason it has none.

    Folders are yielded with a slash at the end. A link back to a folder above is a loop.
    """
    start = root.stat()
    pending: list[tuple[str, Path, tuple[tuple[int, int], ...]]] = [
        ("", root, ((start.st_dev, start.st_ino),))
    ]
    while pending:
        prefix, folder, above = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield prefix, f"cannot be read: {error.strerror}"
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
                continue
            path = prefix + entry.name
            try:
                status = entry.stat()
            except OSError:
                yield path, "dangling link" if entry.is_symlink() else "cannot be read"
                continue
            if entry.is_dir():
                identity = (status.st_dev, status.st_ino)
                if identity in above:
                    yield path, "link back to a folder above it"
                else:
                    yield path + "/", status
                    pending.append((path + "/", Path(entry.path), (*above, identity)))
            elif stat.S_ISREG(status.st_mode):
                yield path, status
            else:
                yield path, "a pipe, socket or device, no file"


def _walk(root: Path) -> _Files:
    files = _Files()
    for path, entry in _entries(root):
        suffix = PurePosixPath(path).suffix.lower()
        if not _is_utf8(path):
            printable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            files.rejects.append(Reject(printable, "the file name is not UTF-8"))
        elif isinstance(entry, str):
            files.rejects.append(Reject(path, entry))
        elif path.endswith("/"):
            files.folders.add(tuple(path[:-1].split("/")))
        elif suffix in SUFFIXES:
            files.photos.append(path)
        elif suffix in UNREADABLE_SUFFIXES:
            files.rejects.append(Reject(path, f"{suffix[1:]} is not read; convert it to JPEG"))
        else:
            files.other[suffix or "without suffix"] += 1
    return files


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _labels_of_table(table: Path, files: _Files) -> tuple[dict[str, _Label], list[Reject]]:
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
    root: Path, files: _Files, levels: Sequence[str]
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


def _refuse_empty_classes(root: Path, files: _Files, class_level: int) -> None:
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


def _ranks_of_paths(
    class_paths: list[tuple[str, ...]], levels: Sequence[str]
) -> dict[tuple[str, ...], str]:
    """The rank of each path of names: by --levels from the top, else from the species upwards."""
    nodes = {path[:depth] for path in class_paths for depth in range(1, len(path) + 1)}
    if levels:
        return {node: levels[len(node) - 1] for node in nodes}
    height = dict.fromkeys(nodes, 0)
    for node in sorted(nodes, key=len, reverse=True):
        if len(node) > 1:
            height[node[:-1]] = max(height[node[:-1]], height[node] + 1)
    return {node: MAIN_RANKS[-1 - height[node]] for node in nodes}


def _hashed_taxa(
    class_paths: list[tuple[str, ...]], options: FolderOptions
) -> tuple[Taxonomy, dict[tuple[str, ...], int]]:
    """A tree whose taxon ids are hashes of the path of names from the root."""
    if options.taxonomy:
        raise UserError("--taxonomy needs --taxa, the table of which class is which taxon")
    ranks = _ranks_of_paths(class_paths, options.levels)
    ids: dict[tuple[str, ...], int] = {}
    taken: set[int] = set()
    for node in sorted(ranks):
        ids[node] = _hashed_id(node, taken)
        taken.add(ids[node])
    taxa = [
        Taxon.of_rank(ids[node], ids.get(node[:-1]), ranks[node], node[-1])
        for node in sorted(ranks)
    ]
    return Taxonomy(taxa), ids


def _hashed_id(node: tuple[str, ...], taken: set[int]) -> int:
    """A positive id below 2³¹ from the path of names; a collision is rehashed with a counter."""
    counter = 0
    while True:
        key = "/".join(node) + (f"#{counter}" if counter else "")
        taxon_id = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % _MAX_TAXON_ID + 1
        if taxon_id not in taken:
            return taxon_id
        counter += 1


def _read_taxa(table: Path) -> tuple[dict[str, Taxon], dict[str, dict[int, str]]]:
    """Class to taxon (without parent), and the common names by language."""
    taxa: dict[str, Taxon] = {}
    names: dict[str, dict[int, str]] = {}
    for row in read_csv(table, ("class", "taxon_id")):
        taxon_id = integer(row, "taxon_id", table)
        if row["class"] in taxa:
            raise UserError(f"{table}, line {row.line}: class {row['class']!r} is listed twice")
        name = row.get("scientific_name") or row["class"]
        taxa[row["class"]] = Taxon.of_rank(taxon_id, None, "species", name)
        for column, common_name in row.items():
            if column.startswith("common_name") and common_name:
                language = column.removeprefix("common_name").strip("_") or "en"
                names.setdefault(language, {}).setdefault(taxon_id, common_name)
    return taxa, names


def _known_taxa(
    class_paths: list[tuple[str, ...]], taxa: dict[str, Taxon], options: FolderOptions
) -> tuple[Taxonomy, dict[tuple[str, ...], int]]:
    """The tree of --taxonomy (or a flat one) and the taxon id that --taxa gives each class."""
    missing = sorted(path[-1] for path in class_paths if path[-1] not in taxa)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{options.taxa} has no line for the class {missing[0]!r}{more}")
    ids = {path: taxa[path[-1]].taxon_id for path in class_paths}
    if options.taxonomy is None:
        return Taxonomy({taxon.taxon_id: taxon for taxon in taxa.values()}.values()), ids
    tree = read_taxonomy(options.taxonomy)
    for path, taxon_id in ids.items():
        if taxon_id not in tree:
            raise UserError(
                f"{options.taxonomy} has no taxon {taxon_id}, which {options.taxa} gives "
                f"to the class {path[-1]!r}"
            )
    return tree, ids
