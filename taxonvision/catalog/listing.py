"""What a source hands over: photographs with their taxa, not yet opened, and what it refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class ListedPhoto:
    """One photograph as a source lists it.

    `split` is None where the source gives none; `fault` says why the file cannot be used where the
    source knows already.
    """

    photo_id: str
    path: str
    """Relative to the listing's root, with forward slashes."""
    taxon_id: int
    split: str | None = None
    license: str = ""
    attribution: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Reject:
    """One faulty file or row whose taxon is not known, and the reason in words."""

    path: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """All that a source found below `root`."""

    root: Path
    photos: list[ListedPhoto]
    taxonomy: Taxonomy
    names: Names = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    other_files: Mapping[str, int] = field(default_factory=dict)
    """Files that are no photographs, counted by suffix."""
