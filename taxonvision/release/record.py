"""What is known of a release when it is made: the material of its notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from taxonvision.release.verdict import Verdict
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.differences import Differences
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class PhotographCounts:
    """How many photographs went into a release.

    Attributes:
        by_split: in the catalog, by split.
        cached: whose features were in the cache already; each view of a photograph counts.
        extracted: that went through the backbone for this release.
        replayed: of releases before, a sample of whose features helped to keep what was known.
    """

    by_split: Mapping[str, int] = field(default_factory=dict)
    cached: int = 0
    extracted: int = 0
    replayed: int = 0


@dataclass(frozen=True)
class Release:
    """A release and the one before it.

    Attributes:
        name: what the model calls itself.
        version: counts 1, 2, 3 ...
        made_on: the day it was made.
        parent_name: the name of the release before.
        parent_version: its version.
        fingerprint: of the new model, SHA-256 in hexadecimal.
        backbone: its name.
        differences: what changed between the two class lists.
        classes: all classes by id, retired ones too.
        taxonomy: the tree of today.
        names: common names by language and taxon id.
        verdict: of the gate; None where nothing was measured.
        forced: whether it is published against the verdict.
        photographs: how many of them.
        seconds: step (`features`, `refit`, ...) to how long it took, in the order of the steps.
        devices: how many of them worked.
        device: what one of them is: `CPU core`, `GPU`, its model.
        catalog: the folder of the catalog; None where the photographs came as shards.
    """

    name: str
    version: str
    made_on: date
    parent_name: str
    parent_version: str
    fingerprint: str
    backbone: str
    differences: Differences
    classes: Sequence[TaxonClass]
    taxonomy: Taxonomy
    names: Names
    verdict: Verdict | None
    forced: bool
    photographs: PhotographCounts
    seconds: Mapping[str, float]
    devices: int = 1
    device: str = "CPU core"
    catalog: Path | None = None
