from __future__ import annotations

import pytest
from fakes import write_photos

from taxonvision.catalog.catalog import open_catalog
from taxonvision.dataset.plan import PrepareOptions
from taxonvision.dataset.prepare import prepare
from taxonvision.features import store
from taxonvision.storage import Recipe


@pytest.fixture(scope="session")
def paths(tmp_path_factory):
    """Twelve photographs, not to be changed."""
    return write_photos(tmp_path_factory.mktemp("photographs"), 12)


@pytest.fixture(scope="session")
def small_shards(small_catalog, tmp_path_factory):
    """Shards of the small catalog."""
    out = tmp_path_factory.mktemp("shards") / "shards"
    prepare(open_catalog(small_catalog), PrepareOptions(size=32), out, Recipe("prepare"))
    return out


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(store, "_SHARD", 4)
