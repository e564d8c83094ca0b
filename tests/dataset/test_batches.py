from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from taxonvision.catalog.catalog import open_catalog
from taxonvision.dataset.augment import Augmentation
from taxonvision.dataset.balance import Sampling, seen_counts
from taxonvision.dataset.batches import Batches, BatchOptions, evaluation_batches, naming_faults
from taxonvision.dataset.read_jpegs import JpegReader
from taxonvision.dataset.shards import open_shards
from taxonvision.dataset.stored import StoredPhotos, stored_photos
from taxonvision.errors import UserError
from taxonvision.runtime.contract import Contract

OPTIONS = BatchOptions(16, batch_size=5, seed=1)


def listed(data):
    return [(pixels.numpy(), labels.numpy()) for pixels, labels in data]


def assert_same(found, expected):
    assert len(found) == len(expected) > 0
    for (pixels, labels), (other_pixels, other_labels) in zip(found, expected, strict=True):
        assert np.array_equal(labels, other_labels)
        assert np.array_equal(pixels, other_pixels)


def joined(parts):
    """The batches of several workers put together."""
    return [
        tuple(np.concatenate([part[column] for part in step]) for column in (0, 1))
        for step in zip(*parts, strict=True)
    ]


@pytest.fixture(scope="module")
def shards(small_shards):
    return open_shards(small_shards)


@pytest.fixture(scope="module")
def batches(shards):
    """Two batches of five an epoch, of twelve photographs."""
    return Batches(stored_photos(shards, "train"), OPTIONS)


@pytest.fixture(scope="module")
def stream(batches):
    """Three epochs of it."""
    return listed(batches.dataset(epochs=3))


# Order.


def test_batches_have_the_shape_they_say(batches, stream):
    pixels, labels = batches.dataset().element_spec
    assert pixels.shape == (5, 16, 16, 3)
    assert labels.shape == (5,)
    assert len(stream) == 3 * batches.order.steps_per_epoch == 6
    for found, classes in stream:
        assert (found.shape, found.dtype) == ((5, 16, 16, 3), np.uint8)
        assert (classes.shape, classes.dtype) == ((5,), np.int32)


def test_labels_go_with_their_photographs(small_catalog, stream):
    colors = np.array([(200, 40, 40), (200, 140, 40), (40, 160, 60), (40, 60, 200)])
    names = ["Aglais io", "Aglais urticae", "Pieris rapae", "Pieris napi"]
    ids = {c.name: c.class_id for c in open_catalog(small_catalog).classes}
    for pixels, labels in stream:
        distances = np.abs(pixels.mean((1, 2))[:, None] - colors).sum(-1)
        assert [ids[names[i]] for i in distances.argmin(1)] == labels.tolist()


def test_an_epoch_has_no_photograph_twice_and_the_next_has_another_order(shards):
    plain = Augmentation(least_area=1, widest=1, mirror=False)
    photos = stored_photos(shards, "train")
    data = Batches(photos, BatchOptions(32, 4, augmentation=plain)).dataset(epochs=2)
    found = np.stack([pixels for batch, _ in listed(data) for pixels in batch])
    first, second = found[:12].mean((1, 2, 3)), found[12:].mean((1, 2, 3))
    assert len(set(first)) == len(set(second)) == 12
    assert not np.array_equal(first, second)


def test_seeds_differ(shards, stream):
    photos = stored_photos(shards, "train")
    other = Batches(photos, dataclasses.replace(OPTIONS, seed=2))
    assert not np.array_equal(listed(other.dataset())[0][0], stream[0][0])
    assert_same(listed(Batches(photos, OPTIONS).dataset(epochs=3)), stream)


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 0), (2, 1)])
def test_resuming_gives_the_rest_of_the_stream(batches, stream, epoch, step):
    rest = batches.dataset(epoch=epoch, step=step, epochs=3 - epoch)
    assert_same(listed(rest), stream[2 * epoch + step :])


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_share_the_stream_of_one(batches, stream, workers):
    parts = [
        listed(batches.dataset(epochs=3, worker=worker, workers=workers))
        for worker in range(workers)
    ]
    assert_same(joined(parts), stream)


def test_a_worker_resumes_at_a_step_too(batches, stream):
    parts = [
        listed(batches.dataset(epoch=1, step=1, epochs=2, worker=w, workers=2)) for w in range(2)
    ]
    assert_same(joined(parts), stream[3:])


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(batches, stream, threads):
    assert_same(listed(batches.dataset(epochs=3, threads=threads)), stream)


def test_fewer_photographs_than_a_batch_are_one_batch(shards):
    data = Batches(stored_photos(shards, "val"), BatchOptions(16, batch_size=64)).dataset()
    assert [sorted(labels.tolist()) for _, labels in listed(data)] == [[0, 1, 2, 3]]


def test_without_shuffling_the_order_is_the_catalogs(shards):
    photos = stored_photos(shards, "train")
    data = Batches(photos, dataclasses.replace(OPTIONS, shuffle=False)).dataset()
    labels = np.concatenate([labels for _, labels in listed(data)])
    assert np.array_equal(labels, photos.class_ids[:10])


def test_a_late_step_of_many_photographs_is_not_reached_by_reading(shards, monkeypatch):
    photos, many = stored_photos(shards, "train"), 10**10
    columns = (photos.file_numbers, photos.offsets, photos.lengths, photos.class_ids)
    same = (np.broadcast_to(column[3], many) for column in columns)
    contents = np.broadcast_to(photos.contents[3], (many, 2))
    batches = Batches(StoredPhotos(photos.files, *same, photos.photo_id, contents), OPTIONS)
    asked = []
    read = JpegReader.read
    monkeypatch.setattr(
        JpegReader, "read", lambda self, numbers: asked.append(numbers) or read(self, numbers)
    )
    _, labels = next(iter(batches.dataset(step=10**9)))
    assert labels.numpy().tolist() == [photos.class_ids[3]] * 5
    assert 0 < len(asked) < 20
    assert max(map(max, asked)) > 2**32


# Sampling.

SAMPLINGS = [Sampling(max_photos=2), Sampling(power=0.5), Sampling(max_photos=4, power=0)]


@pytest.fixture(scope="module")
def long_tail(shards):
    """Photographs of four classes: 3, and of one of them each 8, 1 and 2 times the same."""
    photos = stored_photos(shards, "train")
    firsts = [int(np.flatnonzero(photos.class_ids == class_id)[0]) for class_id in range(4)]
    third = np.flatnonzero(photos.class_ids == 0).tolist()
    return picked(photos, [*third, *[firsts[1]] * 8, firsts[2], *[firsts[3]] * 2])


def picked(photos, numbers):
    names = ("file_numbers", "offsets", "lengths", "class_ids")
    columns = {name: getattr(photos, name)[numbers] for name in names}
    return dataclasses.replace(photos, **columns)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_sampled_classes_are_seen_as_often_as_said(long_tail, stream, sampling):
    seen = seen_counts(long_tail.class_ids, 4, sampling)
    batches = Batches(long_tail, BatchOptions(16, batch_size=1, sampling=sampling))
    assert batches.order.steps_per_epoch == seen.sum()
    data = listed(batches.dataset(epochs=2))
    labels = np.concatenate([labels for _, labels in data])
    for epoch in np.split(labels, 2):
        assert np.array_equal(np.bincount(epoch, minlength=4), seen)
    colors = {
        label: np.mean([p.mean((0, 1)) for ps, ls in stream for p in ps[ls == label]], axis=0)
        for label in range(4)
    }
    for pixels, (label,) in data:
        distances = [np.abs(pixels[0].mean((0, 1)) - colors[c]).sum() for c in range(4)]
        assert int(np.argmin(distances)) == label


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_sampled_batches_resume_and_are_shared(long_tail, sampling):
    batches = Batches(long_tail, dataclasses.replace(OPTIONS, batch_size=3, sampling=sampling))
    steps = batches.order.steps_per_epoch
    assert steps > 1
    whole = listed(batches.dataset(epochs=2))
    again = Batches(long_tail, batches.options)
    assert_same(listed(again.dataset(epoch=1, step=1, epochs=1)), whole[steps + 1 :])
    parts = [listed(again.dataset(epochs=2, worker=w, workers=2)) for w in range(2)]
    assert_same(joined(parts), whole)


def test_natural_sampling_is_the_order_as_it_was(batches, stream, monkeypatch):
    monkeypatch.setattr("taxonvision.dataset.batches.sampled_rows", None)
    options = dataclasses.replace(OPTIONS, sampling=Sampling(max_photos=0, power=1.0))
    same = Batches(batches._reader.photos, options)
    assert_same(listed(same.dataset(epochs=3)), stream)
    numbers = same.order.numbers(0, np.arange(5)).numpy()
    assert np.array_equal(same._reader.photos.class_ids[numbers], stream[0][1])


# A catalog or its shards.


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_catalog_gives_the_batches_of_its_shards(small_catalog, shards, split):
    catalog = open_catalog(small_catalog)
    options = dataclasses.replace(OPTIONS, batch_size=4)
    found, expected = (
        listed(Batches(photos, options).dataset(epochs=2))
        for photos in (stored_photos(catalog, split, 32), stored_photos(shards, split))
    )
    assert_same(found, expected)


def test_photographs_are_upright(photographs):
    photos = stored_photos(open_catalog(photographs), "train", 96)
    plain = Augmentation(least_area=1, widest=4 / 3, mirror=False)
    options = BatchOptions(64, 8, shuffle=False, augmentation=plain)
    ((pixels, _),) = listed(Batches(photos, options).dataset())
    for number, found in enumerate(pixels):
        expected = next(Contract(64).read([photos.source(number)]))
        # The window is the whole photograph, squeezed, the contract's the centre: alike upright.
        centre = np.corrcoef(found[24:40, 24:40].ravel(), expected[24:40, 24:40].ravel())[0, 1]
        turned = np.corrcoef(found[24:40, 24:40].ravel(), np.rot90(expected)[24:40, 24:40].ravel())[
            0, 1
        ]
        assert centre > 0.6 > turned


# Evaluation.


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 5), (1, 64), (2, 4), (3, 7)])
def test_evaluation_has_every_photograph_once_as_the_contract_wants_it(
    small_catalog, shards, workers, batch_size
):
    contract = Contract(24)
    for photos in (open_catalog(small_catalog).photos("test"), shards.photos("test")):
        parts = [
            listed(evaluation_batches(photos, contract, batch_size, worker=w, workers=workers))
            for w in range(workers)
        ]
        whole = joined(parts)
        assert [len(labels) for _, labels in whole][:-1] == [batch_size] * (len(whole) - 1)
        pixels, labels = (np.concatenate([batch[i] for batch in whole]) for i in (0, 1))
        assert np.array_equal(labels, photos.class_ids)
        assert np.array_equal(pixels, np.stack(list(contract.read(photos.sources))))


# Faults.


def spoil(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_damaged_photograph_in_a_shard_is_named(own_shards):
    photos = stored_photos(open_shards(own_shards), "train")
    spoil(photos.source(7).path, photos.source(7).offset, bytes(20))
    batches = Batches(photos, OPTIONS)
    sentence = re.escape(f"photograph {photos.photo_id(7)} ({photos.source(7)}) is listed")
    message = f"{sentence}.*cannot be decoded.*; prepare again$"
    with pytest.raises(UserError, match=message), batches.naming_faults():
        listed(batches.dataset(epochs=3))


def test_a_shard_cut_short_or_gone_is_named(own_shards):
    photos = stored_photos(open_shards(own_shards), "train")
    path = photos.source(11).path
    path.write_bytes(path.read_bytes()[:100])
    batches = Batches(photos, OPTIONS)
    with pytest.raises(UserError, match=r"ends before.*prepare again$"), batches.naming_faults():
        listed(batches.dataset(epochs=3))
    path.unlink()
    batches = Batches(photos, OPTIONS)
    message = f"{re.escape(path.name)}.*No such file.*prepare again$"
    with pytest.raises(UserError, match=message), batches.naming_faults():
        listed(batches.dataset(epochs=3))


def test_a_photograph_gone_from_a_catalog_is_named(own_catalog):
    photos = stored_photos(own_catalog, "train")
    photos.source(3).unlink()
    batches = Batches(photos, OPTIONS)
    message = rf"photograph .*{photos.source(3).name}\) .*\(no such file\); put it there"
    with pytest.raises(UserError, match=message), batches.naming_faults():
        listed(batches.dataset(epochs=3))


def test_evaluation_names_a_photograph_that_is_gone(own_catalog):
    photos = own_catalog.photos("test")
    photos.paths[2].unlink()
    with pytest.raises(UserError, match=photos.paths[2].name), naming_faults():
        listed(evaluation_batches(photos, Contract(16), 4))


def test_errors_of_other_kinds_stay_as_they_are(batches):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError), batches.naming_faults():
        tf.reshape([1, 2, 3], [2])
    with pytest.raises(KeyError), batches.naming_faults():
        raise KeyError("another")


def test_shards_whose_index_is_anothers(own_shards):
    shards = open_shards(own_shards)
    counts = {**shards.manifest["counts"], "train": 13}
    other = dataclasses.replace(shards, manifest={**shards.manifest, "counts": counts})
    with pytest.raises(UserError, match="prepare again"):
        stored_photos(other, "train")
