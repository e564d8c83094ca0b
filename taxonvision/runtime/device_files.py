"""The files of `export/`, which describe and display what a device receives."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def device_file(name: str) -> Traversable:
    """A file such as `bundle.schema.json`, from the installed package or from the checkout."""
    installed = files("taxonvision") / "device_files"
    if installed.is_dir():
        return installed / name
    return Path(__file__).parents[2] / "export" / name
