"""A student's teacher: a model whose features of the photographs are computed once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonvision.catalog.examples import Examples
from taxonvision.dataset.stored import stored_photos
from taxonvision.errors import UserError
from taxonvision.features.reading import with_contents
from taxonvision.features.rows import Rows
from taxonvision.features.store import FeatureStore
from taxonvision.models.directory import Model, open_model
from taxonvision.models.parts import parts_of
from taxonvision.progress import say
from taxonvision.taxonomy.classes import TaxonClass, active_ids
from taxonvision.training.extraction import extract
from taxonvision.training.signals import Notice
from taxonvision.training.soft_labels import Opinions
from taxonvision.training.strategies import Placement


@dataclass(frozen=True)
class TeacherOptions:
    """Whom a student learns from.

    Attributes:
        folder: the teacher's model directory.
        weight: the part of each target that is the teacher's opinion.
        softness: what the teacher's logits, calibrated if it is, are divided by: 1 takes its scores
            as they are, more makes it speak of the second best as well.

    Raises ValueError for a number out of range.
    """

    folder: Path
    weight: float = 0.5
    softness: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"teacher_weight must be above 0 and at most 1, not {self.weight}")
        if not 0.1 <= self.softness <= 100:
            raise ValueError(f"softness must be from 0.1 to 100, not {self.softness}")


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher says of the photographs that a student is trained on.

    Attributes:
        opinions: its head.
        looks: its features of the n photographs, a set a view of them, the plain one first.
        distilled_from: what the student's manifest says of it.
    """

    opinions: Opinions
    looks: tuple[Rows, ...]
    distilled_from: dict[str, Any]


def check_teacher(options: TeacherOptions, examples: Examples) -> None:
    """UserError when it is no model or knows none of the taxa."""
    shared_taxa(open_model(options.folder), examples.classes)


def shared_taxa(teacher: Model, classes: Sequence[TaxonClass]) -> int:
    """How many of the active classes the teacher knows; UserError when it knows none."""
    known = {each.taxon_id for each in teacher.classes if each.active}
    shared = sum(each.active and each.taxon_id in known for each in classes)
    if not shared:
        raise UserError(
            f"{teacher.folder} knows none of the taxa of the catalog, so that it cannot teach "
            "them; take a model that was trained on some of them"
        )
    return shared


def take_lesson(
    options: TeacherOptions,
    examples: Examples,
    placement: Placement,
    notice: Notice,
    cache: Path,
    views: int,
) -> Lesson:
    """Fill the cache with the teacher's features of the photographs in train; all workers do.

    Raises UserError when it is no teacher for them, RequeueError when told to stop.
    """
    teacher = open_model(options.folder)
    shared = shared_taxa(teacher, examples.classes)
    if placement.chief:
        active = len(active_ids(examples.classes))
        say(f"learning from {options.folder}, which knows {shared} of the {active} taxa")
    backbone, kernel, bias = parts_of(teacher)
    store = FeatureStore(
        cache,
        backbone,
        teacher.contract,
        shrunk_to=examples.shrunk_to,
        views=views,
        strategy=placement.strategy,
    )
    photos = with_contents(stored_photos(examples, "train"))
    extract(store, {"train": photos}, placement, notice, "the teacher's features")
    ids = active_ids(teacher.classes)
    opinions = Opinions(
        kernel[:, ids] / teacher.temperature,
        bias[ids] / teacher.temperature,
        [teacher.classes[number].taxon_id for number in ids],
        options.weight,
        options.softness,
    )
    distilled_from = {
        "name": teacher.name,
        "version": str(teacher.manifest["version"]),
        "fingerprint": teacher.fingerprint,
        "taxa": shared,
        "weight": options.weight,
        "softness": options.softness,
    }
    return Lesson(opinions, store.features(photos), distilled_from)
