"""The cache of features, from `train` to `update`: whatever happens, the model is the same."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tiny_train  # noqa: F401 - brings the backbone
from meadow import CARDUI, IO, OLD, OLD_AND_NEW, Wanted, make_catalog, of_taxa, photograph

from taxonvision.cli.main import main
from taxonvision.errors import RequeueError
from taxonvision.features import store as store_module
from taxonvision.features.store import Filled
from taxonvision.models.directory import open_model
from taxonvision.models.engine import load_keras
from taxonvision.models.trained_on import read_trained_on

load_keras()

import tensorflow as tf  # noqa: E402

from taxonvision.training import extraction  # noqa: E402
from taxonvision.training.signals import Notice  # noqa: E402
from taxonvision.training.strategies import place  # noqa: E402

pytestmark = pytest.mark.usefixtures("eager")


class Filling:
    """Stands in for a store; notes what it is asked and ends with `stopped_at`."""

    def __init__(self, stopped_at: str = "") -> None:
        self.asked: list[tuple[object, ...]] = []
        self._stopped_at = stopped_at

    def fill(self, photos, description, *, worker, workers, stop, views):
        self.asked.append((photos, description, worker, workers, stop()))
        known = len(self.asked)
        return None if description.endswith(self._stopped_at or "!") else Filled(known, 2)


def test_all_splits_are_filled_by_their_names():
    filling, notice = Filling(), Notice()
    photos = {"train": "a", "val": "b", "test": "c"}
    done = extraction.extract(filling, photos, place("single"), notice)
    assert done == [Filled(1, 2), Filled(2, 2), Filled(3, 2)]
    assert [(p, d) for p, d, *_ in filling.asked] == [
        ("a", "features of train"), ("b", "features of val"), ("c", "features of test"),
    ]  # fmt: skip
    assert {row[2:] for row in filling.asked} == {(0, 1, False)}


def test_told_to_stop_nothing_more_is_filled():
    filling, notice = Filling("val"), Notice()
    notice.given = True
    with pytest.raises(RequeueError, match="exiting with 85 to be requeued"):
        extraction.extract(
            filling, dict.fromkeys(("train", "val", "test")), place("single"), notice
        )
    assert [row[1] for row in filling.asked] == ["features of train", "features of val"]
    assert filling.asked[0][-1] is True


@dataclass(frozen=True)
class Shop:
    """A trained model, and what its successor is made from."""

    folder: Path
    told: Callable[[], str]

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def photos(self) -> Path:
        return self.folder / "all" / "photos"

    def train(self, name: str, *flags: str) -> int:
        own = ["--backbone=tiny", "--nopretrained", "--epochs=1", "--batch_size=8"]
        catalog = self.folder / "old" / "catalog"
        return self._call("train", name, *own, f"--catalog={catalog}", *flags)

    def update(self, name: str, *flags: str, model: str = "base") -> int:
        catalog = self.folder / "all" / "catalog"
        own = [f"--model={self.folder / model}", "--epochs=2", "--batch_size=8", "--force"]
        return self._call("update", name, *own, f"--catalog={catalog}", *flags)

    def fingerprint(self, name: str) -> str:
        return open_model(self.folder / name).fingerprint

    def _call(self, command: str, name: str, *flags: str) -> int:
        cache = [] if any(f.startswith("--cache") for f in flags) else [f"--cache={self.cache}"]
        return main([command, f"--out={self.folder / name}", *cache, *flags])

    def extracted(self) -> list[str]:
        """What of train, val and test came from where, since the last time."""
        lines = [x for x in self.told().splitlines() if x.endswith(" extracted")]
        return [line.partition(": ")[2] for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A model of four taxa, its cache, a catalog of six, and what comes of it undisturbed."""
    folder = tmp_path_factory.mktemp("shop")
    make_catalog(folder / "old", of_taxa(*OLD))
    make_catalog(folder / "all", of_taxa(*OLD_AND_NEW))
    shop = Shop(folder, str)
    tf.config.run_functions_eagerly(True)
    assert shop.train("base") == 0
    assert shop.update("fresh", f"--cache={folder / 'another'}") == 0
    return folder


@pytest.fixture
def shop(finished, tmp_path, capsys, monkeypatch) -> Shop:
    """A copy to be damaged; the photographs are where the catalog says."""
    monkeypatch.setattr(store_module, "_SHARD", 5)  # several
    copy = tmp_path / "shop"
    shutil.copytree(finished, copy, ignore=shutil.ignore_patterns("another"))
    capsys.readouterr()
    return Shop(copy, lambda: capsys.readouterr().err)


WARM = ["16 from the cache, 8 extracted", "4 from the cache, 2 extracted",
        "0 from the cache, 30 extracted"]  # fmt: skip
COLD = ["0 from the cache, 24 extracted", "0 from the cache, 6 extracted",
        "0 from the cache, 30 extracted"]  # fmt: skip


@pytest.mark.slow
def test_what_train_extracted_update_does_not(shop):
    assert shop.update("next") == 0
    assert shop.extracted() == WARM
    assert shop.fingerprint("next") == shop.fingerprint("fresh")
    assert shop.update("other", "--seed=1") == 0
    assert [line.endswith(" 0 extracted") for line in shop.extracted()] == [True] * 3
    assert shop.fingerprint("other") != shop.fingerprint("fresh")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-27] ^= 4  # of the last photograph
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "damage"),
    [(True, flip), (True, Path.unlink), (False, flip), (False, cut)],
    ids=["keys: a bit", "keys: all", "values: a bit", "values: the end"],
)
def test_damage_is_found_and_the_model_is_the_same(shop, keys, damage):
    files = [path for path in shop.cache.glob("*/*.npy") if path.name.endswith(".keys.npy") == keys]
    assert files
    for path in files:
        damage(path)
    assert shop.update("next") == 0
    known = [line.split()[0] for line in shop.extracted()]
    assert known[0] != "16"
    assert known[2] == "0"
    assert shop.fingerprint("next") == shop.fingerprint("fresh")
    assert shop.update("again") == 0
    assert [line.endswith(" 0 extracted") for line in shop.extracted()] == [True] * 3


@pytest.mark.slow
def test_features_of_other_weights_are_others(shop):
    assert shop.train("other", "--seed=1") == 0
    assert shop.extracted() == ["0 from the cache, 16 extracted", "0 from the cache, 4 extracted"]
    assert shop.update("next", model="other") == 0
    assert shop.extracted() == WARM
    fresh = f"--cache={shop.folder / 'empty'}"
    assert shop.update("again", fresh, model="other") == 0
    assert shop.fingerprint("next") == shop.fingerprint("again") != shop.fingerprint("fresh")


@pytest.mark.slow
def test_features_of_another_crop_are_others(shop):
    path = shop.folder / "base" / "model.json"
    manifest = json.loads(path.read_text())
    manifest["contract"]["crop_ratio"] = 0.5
    path.write_text(json.dumps(manifest))
    assert shop.update("next") == 0
    assert shop.extracted() == COLD
    assert shop.update("again", f"--cache={shop.folder / 'empty'}") == 0
    assert shop.fingerprint("next") == shop.fingerprint("again") != shop.fingerprint("fresh")


def moved_catalog(shop: Shop) -> Path:
    """The catalog of all, made anew where its photographs may be touched."""
    shutil.rmtree(shop.folder / "all")
    make_catalog(shop.folder / "all", of_taxa(*OLD_AND_NEW))
    return shop.photos


@pytest.mark.slow
@pytest.mark.parametrize("taxon_id", [IO, CARDUI], ids=["known", "to be extracted"])
def test_a_photograph_that_is_gone(shop, taxon_id):
    gone = moved_catalog(shop) / f"{taxon_id}-0.png"
    gone.unlink()
    assert shop.update("next") == 2
    line = shop.told().splitlines()[-1]
    assert line.startswith("taxonvision: ")
    assert str(gone) in line
    assert not list(shop.folder.glob("next*"))


@pytest.mark.slow
def test_a_photograph_that_is_another_now(shop):
    (moved_catalog(shop) / f"{CARDUI}-0.png").write_bytes(photograph(CARDUI, 7))
    assert shop.update("next") == 2
    line = shop.told().splitlines()[-1]
    assert f"{CARDUI}-0.png" in line
    assert line.endswith("has changed since it was ingested; ingest again")
    assert not list(shop.folder.glob("next*"))


@pytest.mark.slow
def test_a_photograph_that_left_the_catalog_is_not_trained_on(shop):
    shutil.rmtree(shop.folder / "all")
    numbers = dict.fromkeys(OLD_AND_NEW, range(10)) | {IO: range(1, 10)}
    make_catalog(shop.folder / "all", Wanted(numbers))
    assert shop.update("next", "--keep=none") == 0
    assert shop.update("again", "--keep=none", f"--cache={shop.folder / 'empty'}") == 0
    assert shop.fingerprint("next") == shop.fingerprint("again") != shop.fingerprint("fresh")


@pytest.mark.slow
def test_told_to_stop_while_features_are_extracted(shop, monkeypatch):
    read = store_module.read_views

    def told(*arguments):
        for number, each in enumerate(read(*arguments)):
            if number == 3:
                signal.raise_signal(signal.SIGUSR1)
            yield each

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "read_views", told)
        assert shop.update("next") == 85
    assert shop.told().splitlines()[-1] == (
        "taxonvision: the features are not complete, exiting with 85 to be requeued"
    )
    assert not (shop.folder / "next").exists()
    assert shop.update("next") == 0
    assert shop.fingerprint("next") == shop.fingerprint("fresh")


@pytest.mark.slow
def test_photographs_that_the_catalog_never_opened_are_known_by_content(finished, tmp_path, capsys):
    """So that a later release may replay them."""
    folder = tmp_path / "unopened"
    make_catalog(folder / "old", of_taxa(*OLD, check_photos=False))
    shop = Shop(folder, lambda: capsys.readouterr().err)
    assert shop.train("base") == 0
    found, expected = (read_trained_on(at / "base") for at in (folder, finished))
    assert found is not None
    assert expected is not None
    assert found.photographs == expected.photographs
    np.testing.assert_array_equal(found.contents, expected.contents)
    assert found.contents.any(axis=1).all()
