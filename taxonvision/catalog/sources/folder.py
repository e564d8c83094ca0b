"""Photographs in folders: a folder a class, nested folders as taxonomy, or a table of labels."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from taxonvision.catalog.class_taxa import ClassTaxa, taxa_of_paths, taxa_of_tables
from taxonvision.catalog.sources.files import Files, entries, find_files
from taxonvision.catalog.sources.labels import Labelled, Labels, read_labels
from taxonvision.catalog.splits import split_named
from taxonvision.catalog.staging import ListedPhoto, Reject, Source, Staging
from taxonvision.errors import UserError
from taxonvision.photograph import SUFFIXES, UNREADABLE_SUFFIXES
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS


@dataclass(frozen=True)
class FolderOptions:
    """How folders and tables are read.

    Attributes:
        labels: table `file` (relative to the input), `class` or `label`, and where known `split`,
            `observation_id`, `observer`, `site`, `observed_on`, `latitude`, `longitude`, `license`,
            `attribution`.
        taxa: table `class`, `taxon_id`, `scientific_name`, `common_name`, `common_name_de` ...
        taxonomy: the tree as `taxonomy.csv`.
        levels: the rank of each folder level from the top; empty: the last is a species.
        license: licence of the photographs that have no other, for example CC0-1.0.
        attribution: line of credit of the photographs that have no other.
    """

    labels: Path | None = None
    taxa: Path | None = None
    taxonomy: Path | None = None
    levels: Sequence[str] = ()
    license: str = ""
    attribution: str = ""


def stage_folder(staging: Staging, root: Path, options: FolderOptions) -> Source:
    """List the photographs below `root` with their taxa.

    Lines of the table of labels and photographs that are not in it are each listed or rejected.

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
        labels = read_labels(options.labels, _faults(files) | dict.fromkeys(files.photos))
        _tell_rows(staging, options.labels.name, labels)
        if options.levels:
            labels = replace(labels, photos=_placed_by_folders(labels.photos, options))
        unlisted = f"not listed in {options.labels.name}"
        rejects = [Reject(path, unlisted) for path in files.photos if path not in labels.paths]
        rejects += labels.rejects
    else:
        labels, rejects = _labels_of_folders(root, files, options.levels)
    class_paths = sorted({photo.names for photo in labels.photos})
    taxa = (
        taxa_of_tables(class_paths, options.taxa, options.taxonomy)
        if options.taxa
        else taxa_of_paths(class_paths, options.levels)
    )
    staging.add_taxonomy(taxa.taxonomy.closure(taxa.taxon_ids[names] for names in class_paths))
    staging.add_names(taxa.names)
    staging.add_photos(_photos(labels.photos, taxa, options))
    rejects += [reject for reject in files.rejects if reject.path not in labels.paths]
    staging.add_rejects(rejects)
    return Source(root, dict(files.other))


def _tell_rows(staging: Staging, name: str, labels: Labels) -> None:
    rows = len(labels.photos) + len(labels.rejects)
    faulty = len(labels.rejects) + sum(bool(label.photo.fault) for label in labels.photos)
    duplicates = sum(bool(label.photo.left_out) for label in labels.photos)
    used = rows - faulty - duplicates
    staging.add_table_read(name, rows, used=used, faulty=faulty, duplicates=duplicates)


def _photos(
    labelled: Sequence[Labelled], taxa: ClassTaxa, options: FolderOptions
) -> Iterator[ListedPhoto]:
    """The photographs by path, with their taxa and what the options say of all."""
    for label in sorted(labelled, key=lambda label: label.photo.photo_id):
        yield replace(
            label.photo,
            taxon_id=taxa.taxon_ids[label.names],
            license=label.photo.license or options.license or None,
            attribution=label.photo.attribution or options.attribution or None,
        )


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


def _faults(files: Files) -> dict[str, str | None]:
    """Why a file that claims to be a photograph cannot be used, by its path."""
    claims = SUFFIXES | UNREADABLE_SUFFIXES
    return {
        reject.path: reject.reason
        for reject in files.rejects
        if PurePosixPath(reject.path).suffix.lower() in claims
    }


def _placed_by_folders(labelled: Sequence[Labelled], options: FolderOptions) -> list[Labelled]:
    """The labels with the folders above each class, which `levels` says are its ancestors.

    Raises UserError where a photograph is not in the folder of its class.
    """
    placed = []
    for label in labelled:
        path = label.photo.photo_id
        folders = tuple(path.split("/")[:-1])
        if not folders or folders[-1] != label.names[-1] or len(folders) > len(options.levels):
            raise UserError(
                f"--levels={','.join(options.levels)}: {path} is not in a folder of these levels "
                f"that is named as its class {label.names[-1]!r} in {options.labels}"
            )
        placed.append(replace(label, names=folders))
    return placed


def _labels_of_folders(
    root: Path, files: Files, levels: Sequence[str]
) -> tuple[Labels, list[Reject]]:
    by_split = _top_folders_are_splits(files.folders)
    class_level = 1 if by_split else 0
    depth = len(levels or MAIN_RANKS)
    labelled = []
    rejects = []
    for path, fault in (dict.fromkeys(files.photos) | _faults(files)).items():
        folders = tuple(path.split("/")[:-1])
        names = folders[class_level:]
        if names and len(names) <= depth:
            split = split_named(folders[0]) if by_split else None
            labelled.append(Labelled(names, ListedPhoto(path, path, None, split, fault=fault)))
        elif not fault:
            reason = (
                f"in a folder deeper than the {depth} levels of ranks"
                if names
                else "not in a class folder and no --labels given"
            )
            rejects.append(Reject(path, reason))
    _refuse_empty_classes(root, files, class_level)
    paths = frozenset(label.photo.photo_id for label in labelled)
    return Labels(labelled, [], paths), rejects


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
