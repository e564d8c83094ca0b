"""What lies in the folder of an unfinished model, `OUT.partial`, beside what a model has."""

from __future__ import annotations

from pathlib import Path

from taxonvision.storage import file_digest

CHECKPOINTS, FEATURES = "checkpoints", "features"
START = "start.json"
"""What the checkpoints are of: backbone, size of the input, taxon ids."""


def is_unfinished(folder: Path) -> bool:
    """Whether the folder holds checkpoints of a network that can be started from."""
    return (folder / START).is_file()


def digest_of_newest(folder: Path) -> str:
    """SHA-256 of the newest checkpoint; "" where there is none."""
    checkpoints = sorted((folder / CHECKPOINTS).glob("step-*.npz"))
    return file_digest(checkpoints[-1]) if checkpoints else ""
