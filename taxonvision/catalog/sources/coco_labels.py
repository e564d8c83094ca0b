"""What the annotations of a COCO file say of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taxonvision.catalog.class_taxa import ClassPath
from taxonvision.catalog.sources.coco_json import CocoFile, Id, id_in
from taxonvision.catalog.sources.coco_taxa import NO_TAXON, lineage_of
from taxonvision.catalog.staging import Reject


@dataclass(frozen=True)
class CocoLabels:
    """The classes of the images of one file.

    Attributes:
        classes: the different classes of an image, by its id; empty where it shows no taxon. Images
            without annotations are not in there.
        faults: what is wrong with the annotations of an image, by its id.
        ranks: the rank of every path of names, of those above the classes too.
        common_names: the common names of classes, where the categories give some.
        rejects: annotations of no image.
        faulty: how many annotations name no image or no category.
    """

    classes: Mapping[Id, tuple[ClassPath, ...]]
    faults: Mapping[Id, str]
    ranks: dict[ClassPath, str]
    common_names: dict[ClassPath, str]
    rejects: list[Reject]
    faulty: int

    def used(self) -> set[ClassPath]:
        """All classes that images have."""
        return {path for paths in set(self.classes.values()) for path in paths}


def labels_of(file: CocoFile) -> CocoLabels:
    """Read the annotations of a file; several boxes of one category say the same once."""
    ranks: dict[ClassPath, str] = {}
    common_names: dict[ClassPath, str] = {}
    paths: dict[Id, tuple[ClassPath, ...]] = {}
    for listed_id, category in file.categories.items():
        if category["name"].casefold() in NO_TAXON:
            paths[listed_id] = ()
            continue
        lineage = lineage_of(category)
        path = tuple(name for _, name in lineage)
        paths[listed_id] = (path,)
        for depth, (rank, _) in enumerate(lineage, start=1):
            ranks.setdefault(path[:depth], rank)
        if category["common_name"]:
            common_names.setdefault(path, category["common_name"])

    images = {id_in(image, "id", "image_id") for image in file.images}
    classes: dict[Id, tuple[ClassPath, ...]] = {}
    faults: dict[Id, str] = {}
    rejects = []
    faulty = 0
    for place, annotation in enumerate(file.annotations):
        image_id = id_in(annotation, "image_id")
        category_id = id_in(annotation, "category_id")
        if image_id is None or image_id not in images:
            reason = f"annotations[{place}] names no image that is listed"
            rejects.append(Reject(file.path.name, reason, is_photograph=False))
        elif category_id is None or category_id not in paths:
            faulty += 1
            faults.setdefault(image_id, f"annotations[{place}] names no category that is listed")
        else:
            said = paths[category_id]
            before = classes.get(image_id, said)
            same = before == said or not said
            classes[image_id] = before if same else tuple(dict.fromkeys(before + said))
    return CocoLabels(classes, faults, ranks, common_names, rejects, faulty + len(rejects))
