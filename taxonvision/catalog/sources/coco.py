"""COCO JSON: iNaturalist's and other competitions' files, and COCO Camera Traps.

An image is a photograph of the one taxon that its annotations name. Boxes are not read. A sequence
of a camera trap (`seq_id`) is one observation, its `location` the site; images of the competitions
stand alone, for their files do not tell the observation.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from pathlib import Path

from taxonvision.catalog.class_taxa import taxa_of_ranks, taxa_of_tables
from taxonvision.catalog.sources.coco_images import ImageLister
from taxonvision.catalog.sources.coco_json import CocoFile, coco_files, read_coco
from taxonvision.catalog.sources.coco_labels import CocoLabels, labels_of
from taxonvision.catalog.staging import Source, Staging
from taxonvision.errors import UserError
from taxonvision.progress import track

_WORTH_TELLING = 100_000  # images, which take some seconds


@dataclass(frozen=True)
class CocoOptions:
    """How COCO files are read.

    Attributes:
        photos: the folder that file names are relative to; None: that of the JSON files.
        taxa: table `class`, `taxon_id`, `scientific_name` ...; a class is a category's name.
        taxonomy: the tree as `taxonomy.csv`.
        license: licence of the photographs that have no other, for example CC0-1.0.
        attribution: line of credit of the photographs that have no other.
    """

    photos: Path | None = None
    taxa: Path | None = None
    taxonomy: Path | None = None
    license: str = ""
    attribution: str = ""


def stage_coco(staging: Staging, path: Path, options: CocoOptions) -> Source:
    """List the images of the JSON file `path`, or of the files in that folder.

    Every image is listed or rejected; annotations of no image are rejected beside.

    Raises UserError for files and tables that cannot be used.
    """
    if options.taxonomy and not options.taxa:
        raise UserError("--taxonomy needs --taxa, the table of which class is which taxon")
    if options.photos and not options.photos.is_dir():
        raise UserError(f"{options.photos} is not a folder; --photos names that of the photographs")
    files: list[tuple[CocoFile, CocoLabels]] = []
    for json_path, split in coco_files(path):
        file = read_coco(json_path, split)
        labels = labels_of(file)
        _tell_annotations(staging, file, labels)
        file.annotations.clear()  # a third of what a file takes in memory
        files.append((file, labels))
    used = sorted(set().union(*(labels.used() for _, labels in files)))
    taxa = (
        taxa_of_tables(used, options.taxa, options.taxonomy)
        if options.taxa
        else taxa_of_ranks(dict(ChainMap(*(labels.ranks for _, labels in files))))
    )
    common_names = ChainMap(*(labels.common_names for _, labels in files))
    staging.add_taxonomy(taxa.taxonomy.closure(taxa.taxon_ids[names] for names in used))
    staging.add_names(
        taxa.names
        if options.taxa
        else {"en": {taxa.taxon_ids[c]: common_names[c] for c in used if c in common_names}}
    )
    lister = ImageLister(taxa, options.license, options.attribution)
    total = sum(len(file.images) for file, _ in files)
    photos = (p for file, labels in files for p in lister.photos(file, labels))
    staging.add_photos(track(photos, total, "listing") if total > _WORTH_TELLING else photos)
    lister.finish(staging)
    return Source(options.photos or (path if path.is_dir() else path.parent))


def _tell_annotations(staging: Staging, file: CocoFile, labels: CocoLabels) -> None:
    staging.add_rejects(labels.rejects)
    rows = len(file.annotations)
    faulty = labels.faulty
    name = f"{file.path.name}: annotations"
    staging.add_table_read(name, rows, used=rows - faulty, faulty=faulty)
