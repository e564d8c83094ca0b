"""Opening whatever `--catalog` names: a catalog or its shards."""

from __future__ import annotations

from pathlib import Path

from taxonvision.catalog.catalog import open_catalog
from taxonvision.catalog.examples import Examples
from taxonvision.dataset.shards import Shards, is_shards, open_shards


def open_examples(path: Path) -> Examples:
    """Open a catalog or shards; UserError when it is neither."""
    return open_shards(path) if is_shards(path) else open_catalog(path)


def inputs_of(examples: Examples) -> dict[str, str]:
    """What recipes record of the examples: shards are not the same input as their catalog."""
    if isinstance(examples, Shards):
        return {"catalog": examples.fingerprint, "shards": examples.manifest["made_by"]["digest"]}
    return {"catalog": examples.fingerprint}
