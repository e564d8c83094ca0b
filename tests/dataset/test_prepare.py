from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from taxonvision.catalog.catalog import SPLITS, open_catalog
from taxonvision.cli.main import main
from taxonvision.dataset.metadata import label_names
from taxonvision.dataset.plan import PrepareOptions, plan_shards
from taxonvision.dataset.prepare import in_processes
from taxonvision.dataset.shards import open_shards
from taxonvision.dataset.write_shard import INDEX_COLUMNS, write_shard
from taxonvision.errors import AlreadyDone, UserError
from taxonvision.photograph import read_bytes
from taxonvision.storage import read_json
from taxonvision.taxonomy.classes import TaxonClass


def index_of(shards):
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(shards / "index.parquet"))
        assert dict(zip(table.columns, map(str, table.types), strict=True)) == INDEX_COLUMNS
        return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]


# What is written.


def test_the_index_is_ordered_as_the_catalog(small_catalog, small_shards):
    rows = index_of(small_shards)
    catalog = open_catalog(small_catalog)
    assert [row["split"] for row in rows] == ["train"] * 12 + ["val"] * 4 + ["test"] * 8
    for split in SPLITS:
        photos = catalog.photos(split)
        part = [row for row in rows if row["split"] == split]
        assert [row["position"] for row in part] == list(range(len(photos)))
        assert [row["photo_id"] for row in part] == photos.photo_ids
        assert [row["class_id"] for row in part] == photos.class_ids.tolist()
        assert [row["license"] for row in part] == photos.licenses
        assert [row["attribution"] for row in part] == photos.attributions


@pytest.mark.slow  # loads TensorFlow
def test_the_index_tells_where_records_and_their_images_lie(small_shards):
    import tensorflow as tf

    rows = index_of(small_shards)
    files = sorted({row["file"] for row in rows})
    assert len([file for file in files if "-train" in file]) > 1
    for file in files:
        content = (small_shards / file).read_bytes()
        in_file = sorted((r for r in rows if r["file"] == file), key=lambda row: row["offset"])
        records = tf.data.TFRecordDataset([str(small_shards / file)]).as_numpy_iterator()
        for row, record in zip(in_file, records, strict=True):
            assert content[row["offset"] : row["offset"] + row["length"]] == record
            feature = tf.train.Example.FromString(record).features.feature
            image = feature["image"].bytes_list.value[0]
            start = row["image_offset"]
            assert content[start : start + row["image_length"]] == image
            assert image.startswith(b"\xff\xd8\xff")
            assert feature["label"].int64_list.value[:] == [row["class_id"]]
            assert feature["photo_id"].bytes_list.value[0].decode() == row["photo_id"]
            assert feature["license"].bytes_list.value[0].decode() == row["license"] != ""
            assert feature["attribution"].bytes_list.value[0].decode() == row["attribution"]


def test_the_manifest_adds_up(small_catalog, small_shards):
    manifest = read_json(small_shards / "shards.json")
    assert manifest["fingerprint"] == open_catalog(small_catalog).fingerprint
    assert manifest["counts"] == {"used": 24, "classes": 4, "train": 12, "val": 4, "test": 8}
    assert sum(entry["photographs"] for entry in manifest["files"]) == 24
    for entry in manifest["files"]:
        assert (small_shards / entry["file"]).stat().st_size == entry["bytes"]
        assert entry["photographs"] > 0
    tables = {"changes.csv", "classes.csv", "taxonomy.csv", "names.csv"}
    others = tables | {"index.parquet", "shards.json"}
    of_tfds = {"dataset_info.json", "features.json", "label.labels.txt"}
    names = {path.name for path in small_shards.iterdir()}
    assert names == others | of_tfds | {entry["file"] for entry in manifest["files"]}


@pytest.mark.slow
def test_tfds_opens_it(small_catalog, small_shards):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(small_shards)
    catalog = open_catalog(small_catalog)
    label = builder.info.features["label"]
    assert label.names == [c.name for c in catalog.classes]
    for split in SPLITS:
        photos = catalog.photos(split)
        assert builder.info.splits[split].num_examples == len(photos)
        found = {
            (example["photo_id"].decode(), int(example["label"]), int(example["taxon_id"]))
            for example in tfds.as_numpy(builder.as_dataset(split=split))
            if example["image"].shape == (32, 43, 3)
        }
        taxon_ids = [catalog.classes[class_id].taxon_id for class_id in photos.class_ids]
        assert found == set(
            zip(photos.photo_ids, photos.class_ids.tolist(), taxon_ids, strict=True)
        )


def test_labels_of_one_name_are_told_apart_by_their_taxa():
    classes = [
        TaxonClass(i, 10 + i, name, "genus", "active", "1")
        for i, name in enumerate(["Oenanthe", "Iris", "Oenanthe"])
    ]
    assert label_names(classes) == ["Oenanthe (10)", "Iris", "Oenanthe (12)"]


# The plan.


def plan_of(catalog, tmp_path, **options):
    shards = plan_shards(catalog, PrepareOptions(**options), tmp_path / "plan.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT shard, split, photo_id FROM read_parquet(?)", [str(tmp_path / "plan.parquet")]
        ).fetchall()
    return shards, rows


@pytest.mark.parametrize("megabytes", [1000, 0.02, 0.005, 0.00001])
def test_every_photograph_is_in_one_shard(small_catalog, tmp_path, megabytes):
    shards, rows = plan_of(open_catalog(small_catalog), tmp_path, shard_megabytes=megabytes)
    assert len({photo_id for _, _, photo_id in rows}) == len(rows) == 24
    assert Counter(number for number, _, _ in rows) == {s.number: s.photographs for s in shards}
    assert {(number, split) for number, split, _ in rows} == {(s.number, s.split) for s in shards}
    assert [number for number, _, _ in rows] == sorted(number for number, _, _ in rows)
    assert [shard.number for shard in shards] == list(range(len(shards)))
    for split in SPLITS:
        sizes = [shard.photographs for shard in shards if shard.split == split]
        assert max(sizes) - min(sizes) <= 1
        files = [shard.file for shard in shards if shard.split == split]
        assert files == [
            f"taxonvision-{split}.tfrecord-{i:05d}-of-{len(files):05d}" for i in range(len(files))
        ]
    if megabytes == 1000:
        assert len(shards) == 3
    if megabytes == 0.00001:
        assert len(shards) == 24


def test_a_shard_holds_many_classes(small_catalog, tmp_path):
    _, rows = plan_of(open_catalog(small_catalog), tmp_path, shard_megabytes=0.02)
    first = [photo_id for number, _, photo_id in rows if number == 0]
    assert len(first) < 12
    assert len({photo_id.split("/")[1] for photo_id in first}) > 1
    assert first != sorted(first)


def test_a_catalog_without_photographs(small_catalog, prepare_small, tmp_path):
    folder = Path(shutil.copytree(small_catalog, tmp_path / "own" / "catalog"))
    table = folder / "photos.parquet"
    with duckdb.connect() as connection:
        connection.read_parquet(str(table)).filter("false").write_parquet(str(table))
    with pytest.raises(UserError, match="has no photographs to prepare"):
        prepare_small(open_catalog(folder), tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"own"}


# Which way it is written, and where.


def test_it_is_already_done(small_catalog, small_shards, prepare_small):
    with pytest.raises(AlreadyDone):
        prepare_small(open_catalog(small_catalog), small_shards)


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_processes(
    small_catalog, small_shards, prepare_small, content_of, tmp_path
):
    out = prepare_small(open_catalog(small_catalog), tmp_path / "out", write_shards=in_processes(2))
    assert content_of(out) == content_of(small_shards)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_overwrite_replaces_anything(
    small_catalog, small_shards, prepare_small, content_of, tmp_path
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    catalog = open_catalog(small_catalog)
    with pytest.raises(UserError, match="--overwrite"):
        prepare_small(catalog, tmp_path / "out")
    prepare_small(catalog, tmp_path / "out", overwrite=True)
    assert content_of(tmp_path / "out") == content_of(small_shards)


def spoil(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("fault", [spoil, Path.unlink])
def test_an_unreadable_photograph_is_named_and_the_finished_shards_are_kept(
    own_catalog, small_shards, prepare_small, content_of, tmp_path, capsys, fault
):
    last = index_of(small_shards)[-1]["photo_id"]
    path = own_catalog.root / last
    whole = path.read_bytes()
    fault(path)
    with pytest.raises(UserError, match=f"{re.escape(last)} is listed .*put it there or ingest"):
        prepare_small(own_catalog, tmp_path / "out")
    kept = sorted(path.name for path in (tmp_path / "out.partial").glob("*.tfrecord-*"))
    assert kept
    assert f"{len(kept)} finished shards are kept in" in capsys.readouterr().err
    times = {name: (tmp_path / "out.partial" / name).stat().st_mtime_ns for name in kept}
    path.write_bytes(whole)
    prepare_small(own_catalog, tmp_path / "out")
    assert f"{len(kept)} of " in capsys.readouterr().err
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in kept} == times
    assert content_of(tmp_path / "out") == content_of(small_shards)


def test_a_full_disk_is_one_sentence(small_catalog, tmp_path, monkeypatch, capsys):
    def fail(file, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    monkeypatch.setattr("taxonvision.dataset.write_shard._write_records", fail)
    assert main(["prepare", f"--catalog={small_catalog}", f"--out={tmp_path / 'out'}"]) == 2
    assert re.fullmatch(r"taxonvision: .*No space left.*tfrecord.*\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_without_a_finished_shard_nothing_is_kept(own_catalog, prepare_small, tmp_path):
    for path in own_catalog.root.rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match="no such file"):
        prepare_small(own_catalog, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"own"}


def test_what_another_recipe_left_is_dropped(
    own_catalog, small_shards, content_of, tmp_path, prepare_small
):
    from taxonvision.dataset.prepare import prepare
    from taxonvision.storage import Recipe

    path = own_catalog.root / index_of(small_shards)[-1]["photo_id"]
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError):
        prepare(own_catalog, PrepareOptions(16, 0.001), tmp_path / "out", Recipe("other"))
    assert list((tmp_path / "out.partial").glob("*.tfrecord-*"))
    path.write_bytes(whole)
    prepare_small(own_catalog, tmp_path / "out")
    assert content_of(tmp_path / "out") == content_of(small_shards)


def test_a_shard_that_was_damaged_meanwhile_is_made_again(
    small_catalog, small_shards, prepare_small, content_of, tmp_path
):
    def damaging(jobs):
        for job in jobs:
            yield write_shard(job)
        spoil(jobs[0].target)

    catalog = open_catalog(small_catalog)
    with pytest.raises(UserError, match="was damaged"):
        prepare_small(catalog, tmp_path / "out", write_shards=damaging)
    prepare_small(catalog, tmp_path / "out")
    assert content_of(tmp_path / "out") == content_of(small_shards)


@pytest.mark.parametrize("when", ["before the manifest", "after the manifest", "after the work"])
def test_a_run_that_ended_near_its_end_is_finished(
    small_catalog, small_shards, prepare_small, content_of, tmp_path, monkeypatch, when
):
    from taxonvision import storage
    from taxonvision.dataset import prepare as module

    def fail(*arguments, **options):
        raise KeyboardInterrupt

    catalog = open_catalog(small_catalog)
    with monkeypatch.context() as patch:
        if when == "before the manifest":
            patch.setattr(module, "write_json", fail)
        elif when == "after the manifest":
            patch.setattr(module.shutil, "rmtree", fail)
        else:
            patch.setattr(storage, "_move_into_place", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare_small(catalog, tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(module, "in_processes", fail)  # no shard is written again
        prepare_small(catalog, tmp_path / "out", write_shards=fail)
    assert content_of(tmp_path / "out") == content_of(small_shards)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# The command.


def test_the_command_says_what_came_of_it(small_catalog, tmp_path, capsys):
    arguments = ["prepare", f"--catalog={small_catalog}", f"--out={tmp_path / 'out'}", "--size=40"]
    assert main(arguments) == 0
    assert "24 photographs (12 train, 4 val, 8 test) in 3 shards" in capsys.readouterr().err
    assert read_json(tmp_path / "out" / "shards.json")["size"] == 40
    assert main([*arguments, "--workers=2"]) == 0
    assert "already done" in capsys.readouterr().err
    assert main([*arguments[:-1], "--size=30"]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--size=-1"], "--size=-1"),
        (["--workers=0"], "--workers=0"),
        (["--shard_megabytes=0"], "--shard_megabytes=0"),
        (["--beam_options=a=b"], "--beam_options needs --beam_runner"),
        (["--beam_runner=DirectRunner", "--workers=2"], "--workers is for processes"),
    ],
)
def test_flags_that_mean_nothing_are_refused(small_catalog, tmp_path, capsys, flags, sentence):
    assert main(["prepare", f"--catalog={small_catalog}", f"--out={tmp_path / 'o'}", *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Killed.

KILLED_AT_RANDOM = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from taxonvision.cli.main import main
import taxonvision.dataset.prepare, tensorflow_datasets  # once, so that an attempt begins soon

catalog, folder = Path(sys.argv[1]), Path(sys.argv[2])
flags = ["prepare", f"--catalog={catalog}", "--size=32", "--shard_megabytes=0.003", "--workers=1"]

def start(out):
    child = os.fork()
    if child == 0:
        os._exit(main([*flags, f"--out={out}"]))
    return child

def content(out):
    files = [path for path in out.rglob("*") if path.is_file()]
    return {path.relative_to(out): path.read_bytes() for path in files}

begun = time.monotonic()
assert os.waitpid(start(folder / "undisturbed"), 0)[1] == 0
duration = time.monotonic() - begun
expected = content(folder / "undisturbed")
assert len(expected) > 15
draw = random.Random(8)
killed = 0
for attempt in range(6):
    out = folder / f"out{attempt}"
    child = start(out)
    time.sleep(draw.uniform(0.05, 0.9) * duration)
    os.kill(child, signal.SIGKILL)
    killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    assert os.waitpid(start(out), 0)[1] == 0
    assert content(out) == expected, attempt
    left = {path.name for path in folder.iterdir()} - {"undisturbed", out.name, f".{out.name}.lock"}
    assert not left, left
    shutil.rmtree(out)
    (folder / f".{out.name}.lock").unlink(missing_ok=True)
print(killed)
"""


@pytest.mark.slow
def test_killed_at_random_moments_the_same_command_gives_the_same_bytes(small_catalog, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_RANDOM, str(small_catalog), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4


def children_of(process):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_command(small_catalog, small_shards, tmp_path, capsys, stop):
    out = tmp_path / "out"
    flags = [f"--catalog={small_catalog}", f"--out={out}", "--size=32", "--shard_megabytes=0.001"]
    command = [sys.executable, "-m", "taxonvision", "prepare", *flags, "--workers=2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out.partial/*.tfrecord-*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = children_of(process.pid)
    os.killpg(process.pid, stop) if stop == signal.SIGINT else process.kill()
    said = process.communicate(timeout=60)[1]
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert "finished shards are kept" in said
    assert not out.exists()
    assert main(["prepare", *flags]) == 0
    assert "shards are there already" in capsys.readouterr().err
    shards = open_shards(out)
    photos, expected = shards.photos("train"), open_shards(small_shards).photos("train")
    assert photos.photo_ids == expected.photo_ids
    assert [*map(read_bytes, photos.sources)] == [*map(read_bytes, expected.sources)]
