from __future__ import annotations

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
from fakes import DIMENSION, FakeStore, backbone, direct, features_of, stored, write_photos
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.catalog.catalog import open_catalog
from taxonvision.dataset.shards import open_shards
from taxonvision.dataset.stored import stored_photos
from taxonvision.errors import UserError
from taxonvision.features import store as store_module
from taxonvision.features.shard_files import ShardFormat
from taxonvision.runtime.contract import Contract

NUMBERS = st.lists(st.integers(0, 11), max_size=14)


@pytest.fixture
def own_paths(tmp_path):
    """Six photographs that a test may change."""
    return write_photos(tmp_path / "own", 6, seed=9)


@settings(max_examples=30)
@given(first=NUMBERS, second=NUMBERS)
def test_any_photographs_in_any_order_have_the_features_of_direct_extraction(
    paths, tmp_path_factory, first, second
):
    root = tmp_path_factory.mktemp("cache")
    for number, chosen in enumerate([first, second]):
        files = [paths[n] for n in chosen]
        photos, store = stored(files), FakeStore(root)
        filled = store.fill(photos, "features")
        before = set(first) if number else set()
        assert filled.known == sum(n in before for n in chosen)
        assert filled.extracted == len(chosen) - filled.known
        assert store.extracted == len(set(chosen) - before)  # each once, however often it is listed
        (features,) = store.features(photos)
        assert len(features) == len(chosen)
        assert np.array_equal(features[:], direct(files))


@settings(max_examples=30)
@given(data=st.data(), workers=st.integers(1, 4), chosen=NUMBERS)
def test_workers_fill_it_in_any_order_and_stop_when_they_are_told(
    paths, tmp_path_factory, data, workers, chosen
):
    root, files = tmp_path_factory.mktemp("cache"), [paths[n] for n in chosen]
    photos, total = stored(files), 0
    turns = [worker for worker in range(workers) for _ in range(2)]
    for worker in data.draw(st.permutations(turns)):
        store = FakeStore(root)
        patience = data.draw(st.integers(0, 3))
        asked = itertools.count()
        filled = store.fill(
            photos,
            "features",
            worker=worker,
            workers=workers,
            stop=lambda asked=asked, patience=patience: next(asked) >= patience,
        )
        total += store.extracted
        if filled is None:
            assert store.extracted == patience * 3  # what was done is kept
            assert FakeStore(root).kept(photos.contents)[0].sum() >= patience * 3
    for worker in range(workers):
        store = FakeStore(root)
        assert store.fill(photos, "features", worker=worker, workers=workers)
        total += store.extracted
    (features,) = store.features(photos)
    assert np.array_equal(features[:], direct(files))
    assert total == len(set(chosen))


def test_a_worker_looks_at_its_part_alone(tmp_path, monkeypatch):
    files = write_photos(tmp_path / "own", 20)
    root, photos = tmp_path / "cache", stored(files)
    part = np.flatnonzero(photos.contents[:, 1] % 2 == 1)
    assert 0 < len(part) < 20
    FakeStore(root).fill(photos, "features")
    checked = []
    check = ShardFormat.check

    def counting(self, name, count, rows):
        checked.append(len(rows))
        return check(self, name, count, rows)

    monkeypatch.setattr(ShardFormat, "check", counting)
    for worker, count in [(1, len(part)), (0, 20 - len(part))]:
        checked.clear()
        filled = FakeStore(root).fill(photos, "features", worker=worker, workers=2)
        assert (filled.known, filled.extracted, sum(checked)) == (count, 0, count)
    gone = int(part[-1])
    files[gone].unlink()
    assert FakeStore(root).fill(photos, "features", worker=0, workers=2)
    with pytest.raises(UserError, match=rf"photograph p{gone} \(.*{gone}\.png\) is listed"):
        FakeStore(root).fill(photos, "features", worker=1, workers=2)


def test_views_that_workers_filled_are_those_answered(paths, tmp_path):
    photos, store = stored(paths), FakeStore(tmp_path, views=2)
    for worker in (1, 0):
        store.fill(photos, "features", worker=worker, workers=2, views=1)
    (features,) = store.features(photos)
    assert np.array_equal(features[:], direct(paths))


def test_counts_are_said_and_the_extractor_is_not_built_in_vain(paths, tmp_path, capsys):
    photos = stored(paths[:5])
    assert FakeStore(tmp_path).fill(photos, "features of train").extracted == 5
    assert capsys.readouterr().err == "features of train: 0 from the cache, 5 extracted\n"

    class NeverBuilt(FakeStore):
        def _extractor(self):
            raise AssertionError

    NeverBuilt(tmp_path).fill(photos, "features of train")
    assert capsys.readouterr().err == "features of train: 5 from the cache, 0 extracted\n"
    store = FakeStore(tmp_path, views=2)
    store.fill(stored(paths[:7]), "features", workers=1)
    said = capsys.readouterr().err
    assert "features, 2 views: 5 from the cache, 9 extracted\n" in said
    store.fill(stored(paths[:7]), "features", worker=1, workers=2)
    assert capsys.readouterr().err == ""


def test_no_photographs_have_no_features(tmp_path):
    store, photos = FakeStore(tmp_path), stored([])
    assert store.fill(photos, "features").extracted == 0
    (features,) = store.features(photos)
    assert features[:].shape == (0, DIMENSION)


def test_what_differs_never_shares_features(paths, tmp_path):
    photos = stored(paths)
    others = [
        {},
        {"network": backbone(weight=0.25)},
        {"network": backbone(name="other")},
        {"contract": Contract(4, crop_ratio=0.5)},
        {"shrunk_to": 256},
    ]
    for options in others:
        store = FakeStore(tmp_path, **options)
        assert not store.kept(photos.contents)[0].any()
        assert store.fill(photos, "features").extracted == 12
        (features,) = store.features(photos)
        assert np.array_equal(features[:], direct(paths, options.get("contract", store.contract)))
    digests = {FakeStore(tmp_path, **options).as_json()["spaces"][0] for options in others}
    assert len(digests) == len(others)
    assert FakeStore(tmp_path).as_json()["folder"] == str(tmp_path)


def test_views_are_kept_apart_and_each_is_extracted_once(paths, tmp_path):
    photos = stored(paths)
    assert FakeStore(tmp_path).fill(photos, "features").extracted == 12
    store = FakeStore(tmp_path, views=3)
    assert (store.fill(photos, "features").known, store.extracted) == (12, 24)
    features = store.features(photos)
    assert np.array_equal(features[0][:], direct(paths))
    for one, other in itertools.combinations(features, 2):
        assert (one[:] != other[:]).any(axis=1).mean() > 0.5  # small windows are few
    again = FakeStore(tmp_path / "other", views=3)
    backwards = stored(paths[::-1])
    again.fill(backwards, "features")
    for view, values in enumerate(again.features(backwards)):
        assert np.array_equal(values[:][::-1], features[view][:])


def test_photographs_without_a_key_are_read_for_it(paths, tmp_path):
    store = FakeStore(tmp_path)
    store.fill(stored(paths[:4]), "features")
    assert store.fill(stored(paths, known=False), "features").known == 4
    assert not store.kept(np.zeros((2, 2), np.uint64))[0].any()


def test_old_photographs_are_found_by_their_keys_alone(paths, tmp_path):
    store = FakeStore(tmp_path)
    store.fill(stored(paths[:5]), "features")
    contents = stored(paths).contents
    there, features = store.kept(contents)
    assert there.tolist() == [True] * 5 + [False] * 7
    assert np.array_equal(features[:], direct(paths[:5]))
    asked = np.concatenate([contents[[7, 3, 0]], np.zeros((1, 2), np.uint64), contents[[3]]])
    there, features = store.kept(asked)
    assert there.tolist() == [False, True, True, False, True]
    assert np.array_equal(features[:], direct([paths[n] for n in [3, 0, 3]]))
    assert np.array_equal(features.take(np.array([1]))[:], direct(paths[:1]))
    there, features = store.kept(contents[:0])
    assert (len(there), len(features)) == (0, 0)


def test_damage_among_old_photographs_only_takes_those_away(paths, tmp_path):
    store = FakeStore(tmp_path)
    store.fill(stored(paths[:4]), "features")
    values = next(tmp_path.rglob("*[0-9a-f].npy"))
    values.write_bytes(values.read_bytes()[:-1])
    there, features = store.kept(stored(paths[:4]).contents)
    assert there.tolist() == [True] * 3 + [False]
    assert np.array_equal(features[:], direct(paths[:3]))


def test_a_changed_photograph_is_refused_when_it_is_to_be_extracted(own_paths, tmp_path):
    photos = stored(own_paths)
    shutil.copy(own_paths[0], own_paths[4])
    store = FakeStore(tmp_path / "cache")
    with pytest.raises(UserError) as refused:
        store.fill(photos, "features")
    assert str(refused.value) == (
        f"photograph p4 ({own_paths[4]}) has changed since it was ingested; ingest again"
    )
    assert FakeStore(tmp_path / "cache").kept(photos.contents)[0][:3].all()  # what was done is kept
    assert not FakeStore(tmp_path / "cache").kept(photos.contents)[0][4]


@pytest.mark.parametrize("cached", [False, True])
def test_a_deleted_photograph_is_refused_even_when_it_is_known(own_paths, tmp_path, cached):
    photos = stored(own_paths)
    store = FakeStore(tmp_path / "cache")
    if cached:
        store.fill(photos, "features")
    own_paths[4].unlink()
    with pytest.raises(UserError, match=r"photograph p4 \(.*4\.png\) is listed .*no such file"):
        FakeStore(tmp_path / "cache").fill(photos, "features")


def test_a_damaged_photograph_is_named(own_paths, tmp_path):
    own_paths[2].write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"photograph p2 \(.*not an image of a known format"):
        FakeStore(tmp_path / "cache").fill(stored(own_paths), "features")


def test_features_of_shards_are_those_of_their_pixels(small_catalog, small_shards, tmp_path):
    shards, catalog = open_shards(small_shards), open_catalog(small_catalog)
    photos = stored_photos(shards, "train")
    store = FakeStore(tmp_path, shrunk_to=shards.shrunk_to)
    store.fill(photos, "features")
    (features,) = store.features(photos)
    assert np.array_equal(features[:], direct(shards.photos("train").sources))
    of_catalog = FakeStore(tmp_path)
    assert of_catalog.fill(stored_photos(catalog, "train"), "features").known == 0


def test_shards_of_other_photographs_are_refused(small_shards, tmp_path):
    photos = stored_photos(open_shards(small_shards), "train")
    changed = dataclasses.replace(photos, contents=photos.contents[::-1].copy())
    with pytest.raises(UserError, match="has changed since it was prepared; prepare again"):
        FakeStore(tmp_path).fill(changed, "features")


@pytest.mark.parametrize("value", [np.nan, np.inf, 7e4])
def test_what_float16_cannot_hold_is_refused(paths, tmp_path, value):
    photos, store = stored(paths), FakeStore(tmp_path)
    store.fake.of = lambda pixels: np.where(
        features_of(pixels) == features_of(pixels)[1], value, features_of(pixels)
    )
    told = r"fake gives photograph p1 \(.*beyond 65504.*; leave the photograph out, or train on"
    with pytest.raises(UserError, match=told):
        store.fill(photos, "features")
    assert FakeStore(tmp_path).kept(photos.contents)[0].tolist() == [True] + [False] * 11


def test_a_cache_that_workers_do_not_share_is_told(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_PATIENCE", 0)
    photos, store = stored(paths), FakeStore(tmp_path)
    store.fill(photos, "features", worker=0, workers=2)
    with pytest.raises(UserError, match="name a folder by --cache that all of them see"):
        store.features(photos)


def test_what_other_workers_wrote_is_waited_for(paths, tmp_path, monkeypatch):
    photos, store = stored(paths), FakeStore(tmp_path)
    store.fill(photos, "features", worker=0, workers=2)

    def other_worker(seconds):
        FakeStore(tmp_path).fill(photos, "features", worker=1, workers=2)

    monkeypatch.setattr(store_module.time, "sleep", other_worker)
    (features,) = store.features(photos)
    assert np.array_equal(features[:], direct(paths))


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made: Not a directory; name another"):
        FakeStore(tmp_path / "file")
