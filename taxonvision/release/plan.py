"""The classes of the next release: the parent's, what became of them, and new ones."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import numpy as np

from taxonvision.catalog.class_ids import grow_classes, next_release, united, united_names
from taxonvision.catalog.examples import Examples
from taxonvision.errors import UserError
from taxonvision.models.directory import Model
from taxonvision.taxonomy.changes import Changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.differences import Differences, differences
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Plan:
    """What the next release knows.

    Attributes:
        version: its number.
        classes: by class id; the parent's keep theirs.
        taxonomy: the tree of the catalog, and what only the parent's has.
        names: common names of both.
        changes: what became of taxa.
        differences: between the parent's classes and these.
        active: the ids of the active classes by taxon.
        known: the taxa of today that the parent answers.
        class_ids: int32, the class ids of this release by those of the catalog; -1 where the class
            is retired.
    """

    version: str
    classes: list[TaxonClass]
    taxonomy: Taxonomy
    names: Names
    changes: Changes
    differences: Differences
    active: Mapping[int, int]
    known: Set[int]
    class_ids: np.ndarray

    @property
    def taxon_ids(self) -> np.ndarray:
        """The taxa of the classes: int64 [C]."""
        return np.array([each.taxon_id for each in self.classes], np.int64)


def plan_release(parent: Model, examples: Examples, changes: Changes) -> Plan:
    """Plan the release that follows `parent` when these examples come, which may be new ones only.

    Classes go by taxon id, so that it does not matter which class ids the catalog gave. A taxon of
    the parent that the catalog does not have stays as it is; one that the catalog has as retired is
    retired.

    Raises UserError where the catalog and the changes contradict each other.
    """
    version = next_release(parent.classes, str(parent.manifest["version"]))
    taxonomy = changes.apply(united(examples.taxonomy, parent.taxonomy))
    eligible = [each.taxon_id for each in examples.classes if each.active]
    ended = [taxon_id for taxon_id in eligible if changes.current(taxon_id) != taxon_id]
    if ended:
        raise UserError(
            f"{examples.folder} has the class {taxonomy[ended[0]].name} (taxon {ended[0]}), which "
            f"{changes.source} ends; ingest with --changes, so that its photographs count as what "
            "it became"
        )
    retired = {each.taxon_id for each in examples.classes if not each.active}
    classes = [
        replace(each, status="retired") if each.taxon_id in retired else each
        for each in grow_classes(parent.classes, eligible, taxonomy, since=version, changes=changes)
    ]
    active = {each.taxon_id: each.class_id for each in classes if each.active}
    known = {changes.current(each.taxon_id) for each in parent.classes if each.active}
    return Plan(
        version=version,
        classes=classes,
        taxonomy=taxonomy,
        names=united_names(examples.names, parent.names, changes),
        changes=changes,
        differences=differences(parent.classes, parent.taxonomy, classes, taxonomy, changes),
        active=active,
        known={taxon_id for taxon_id in known if taxon_id is not None},
        class_ids=np.array([active.get(c.taxon_id, -1) for c in examples.classes], np.int32),
    )
