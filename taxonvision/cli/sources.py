"""The flags of `ingest` that say where photographs come from, and the source they choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from taxonvision.catalog.ingest import Stage
from taxonvision.cli.values import optional_path
from taxonvision.errors import UserError
from taxonvision.storage import digest_of

DEFAULT_RULES = {
    "folder": "none",
    "inat_open_data": "inat",
    "dwca": "inat",
    "inat_export": "inat",
    "coco": "none",
    "tfds": "none",
}
"""The sources and the rules that fit each."""

_LABELLED = ("folder", "coco", "tfds")
_SOURCES_OF_FLAGS = {
    "photos": ("inat_open_data", "dwca", "inat_export", "coco"),
    "data_dir": ("tfds",),
    "labels": ("folder",),
    "levels": ("folder",),
    "taxa": _LABELLED,
    "taxonomy": _LABELLED,
    "license": _LABELLED,
    "attribution": _LABELLED,
}


@dataclass(frozen=True)
class ChosenSource:
    """A source that is ready to be staged.

    Attributes:
        stage: lists its photographs.
        digest: a fingerprint of what it reads: places, sizes and times of files.
    """

    stage: Stage
    digest: str


def define_sources(values: flags.FlagValues) -> None:
    """Define --source, --input and what belongs to single sources."""
    flags.DEFINE_enum(
        "source", "folder", list(DEFAULT_RULES), "how the photographs come", flag_values=values
    )
    flags.DEFINE_string(
        "input",
        None,
        "folder of the photographs or tables; an archive or table; the name of a TFDS data set",
        flag_values=values,
    )
    flags.DEFINE_string(
        "photos",
        None,
        "folder of the photographs where it is not the one of the tables",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir", None, "tfds: folder of the prepared data sets", flag_values=values
    )
    flags.DEFINE_string(
        "labels",
        None,
        "folder: table of file (relative to --input), class, split, observation_id ...",
        flag_values=values,
    )
    flags.DEFINE_string(
        "taxa",
        None,
        "folder, coco, tfds: table of class, taxon_id, scientific_name, common_name (English), "
        "common_name_de ...",
        flag_values=values,
    )
    flags.DEFINE_string(
        "taxonomy",
        None,
        "with --taxa: table of the tree: taxon_id, parent_taxon_id, rank_level, rank, name",
        flag_values=values,
    )
    flags.DEFINE_list(
        "levels",
        [],
        "folder: ranks of the folder levels, as family,genus,species; empty: the last is species",
        flag_values=values,
    )
    flags.DEFINE_string(
        "license", "", "licence of photographs that have no other, as CC0-1.0", flag_values=values
    )
    flags.DEFINE_string(
        "attribution", "", "line of credit of photographs that have no other", flag_values=values
    )


def source_of(values: flags.FlagValues) -> ChosenSource:
    """The source that the flags choose; UserError for a flag that it does not read."""
    for name, sources in _SOURCES_OF_FLAGS.items():
        if values[name].present and values.source not in sources:
            raise UserError(
                f"--{name} goes with --source={' or '.join(sources)}, not with {values.source}"
            )
    return _SOURCES[values.source](values)


def _folder(values: flags.FlagValues) -> ChosenSource:
    from taxonvision.catalog.sources.folder import FolderOptions, listing_digest, stage_folder

    options = FolderOptions(
        labels=optional_path(values.labels),
        taxa=optional_path(values.taxa),
        taxonomy=optional_path(values.taxonomy),
        levels=tuple(values.levels),
        license=values.license,
        attribution=values.attribution,
    )
    root = Path(values.input)
    return ChosenSource(
        lambda staging: stage_folder(staging, root, options),
        listing_digest(root) if root.is_dir() else "",
    )


def _open_data(values: flags.FlagValues) -> ChosenSource:
    from taxonvision.catalog.sources.open_data import stage_open_data, tables_of

    folder, photos = Path(values.input), optional_path(values.photos)
    return ChosenSource(
        lambda staging: stage_open_data(staging, folder, photos),
        _digest_of_files(tables_of(folder)),
    )


def _darwin_core(values: flags.FlagValues) -> ChosenSource:
    from taxonvision.catalog.sources.darwin_core import stage_darwin_core

    path, photos = Path(values.input), optional_path(values.photos)
    return ChosenSource(
        lambda staging: stage_darwin_core(staging, path, photos), _digest_below(path)
    )


def _inat_export(values: flags.FlagValues) -> ChosenSource:
    from taxonvision.catalog.sources.inat_export import stage_inat_export

    path, photos = Path(values.input), optional_path(values.photos)
    return ChosenSource(
        lambda staging: stage_inat_export(staging, path, photos), _digest_of_files([path])
    )


def _coco(values: flags.FlagValues) -> ChosenSource:
    from taxonvision.catalog.sources.coco import CocoOptions, stage_coco
    from taxonvision.catalog.sources.coco_json import coco_files

    options = CocoOptions(
        photos=optional_path(values.photos),
        taxa=optional_path(values.taxa),
        taxonomy=optional_path(values.taxonomy),
        license=values.license,
        attribution=values.attribution,
    )
    path = Path(values.input)
    return ChosenSource(
        lambda staging: stage_coco(staging, path, options),
        _digest_of_files(file for file, _ in coco_files(path)),
    )


def _tfds(values: flags.FlagValues) -> ChosenSource:
    from taxonvision.catalog.sources.tfds import TfdsOptions, prepared_folder, stage_tfds

    options = TfdsOptions(
        data_dir=optional_path(values.data_dir),
        taxa=optional_path(values.taxa),
        taxonomy=optional_path(values.taxonomy),
        license=values.license,
        attribution=values.attribution,
    )
    return ChosenSource(
        lambda staging: stage_tfds(staging, values.input, options),
        _digest_below(prepared_folder(values.input, options.data_dir)),
    )


def _digest_below(path: Path) -> str:
    """SHA-256 over places, sizes and times of a file, or of the files right in a folder."""
    return _digest_of_files(sorted(path.iterdir()) if path.is_dir() else [path])


def _digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the places, sizes and times of the files that are there."""
    seen = []
    for path in paths:
        if path.is_file():
            status = path.stat()
            seen.append([str(path.absolute()), status.st_size, status.st_mtime_ns])
    return digest_of(seen)


_SOURCES: dict[str, Callable[[flags.FlagValues], ChosenSource]] = {
    "folder": _folder,
    "inat_open_data": _open_data,
    "dwca": _darwin_core,
    "inat_export": _inat_export,
    "coco": _coco,
    "tfds": _tfds,
}
