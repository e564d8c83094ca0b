import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

from taxonvision.cli.main import main
from taxonvision.synthetic.dataset import SynthOptions, plan_observations, split_of, write_dataset
from taxonvision.synthetic.species import make_species

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
DEGREES = re.compile(r"-?\d{1,3}\.\d{10}")


def make(folder: Path, **options) -> Path:
    folder.mkdir()
    write_dataset(folder, SynthOptions(size=32, **options))
    return folder


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def opens(path: Path) -> bool:
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.load()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    options = {"taxa": 5, "photos_per_taxon": 12, "broken": 0.2, "empty_scenes": 3}
    return make(tmp_path_factory.mktemp("synth") / "folder", **options)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Path:
    options = {"taxa": 5, "photos_per_taxon": 12, "layout": "open_data"}
    return make(tmp_path_factory.mktemp("synth") / "bucket", **options)


def test_the_folder_layout_is_a_tree_of_family_genus_and_species(folder):
    labels = rows(folder / "labels.csv")
    on_disk = {
        path.relative_to(folder / "photos").as_posix() for path in folder.glob("photos/*/*/*/*.jpg")
    }
    assert len(labels) == 60
    assert {row["file"] for row in labels} == on_disk
    species = {one.scientific_name: one for one in make_species(5, 0)}
    for row in labels:
        family, genus, name, file = row["file"].split("/")
        one = species[row["class"]]
        assert (family, genus, name) == (one.family, one.genus, one.scientific_name)
        assert file.removesuffix(".jpg").isdigit()


def test_the_folder_layout_has_the_headers_of_the_formats_it_mirrors(folder):
    def header(name):
        return (folder / name).read_text(encoding="utf-8").splitlines()[0]

    assert header("labels.csv") == "file,class,split,observation_id"
    assert header("class_taxa.csv") == ("class,taxon_id,scientific_name,common_name,common_name_de")
    assert header("taxonomy.csv") == "taxon_id,parent_taxon_id,rank_level,rank,name"
    assert header("empty_scenes.csv") == "file"
    assert header("broken.csv") == "file,how"


def test_the_tree_leads_from_every_class_to_the_kingdom(folder):
    tree = {row["taxon_id"]: row for row in rows(folder / "taxonomy.csv")}
    for row in rows(folder / "class_taxa.csv"):
        assert row["class"] == row["scientific_name"]
        ranks, taxon = [], tree[row["taxon_id"]]
        while taxon["parent_taxon_id"]:
            ranks.append((taxon["rank"], taxon["rank_level"]))
            taxon = tree[taxon["parent_taxon_id"]]
        assert ranks == [
            ("species", "10"), ("genus", "20"), ("family", "30"), ("order", "40"),
            ("class", "50"), ("phylum", "60"),
        ]  # fmt: skip
        assert taxon["name"] == "Animalia"


@pytest.mark.parametrize("layout", ["folder", "bucket"])
def test_the_tables_have_the_open_data_headers(request, layout):
    root = request.getfixturevalue(layout)

    def header(name):
        return (root / name).read_bytes().split(b"\n")[0].decode()

    assert header("observations.csv") == (
        "observation_uuid\tobserver_id\tlatitude\tlongitude\tpositional_accuracy\ttaxon_id\t"
        "quality_grade\tobserved_on"
    )
    assert header("photos.csv") == (
        "photo_uuid\tphoto_id\tobservation_uuid\tobserver_id\textension\tlicense\twidth\theight\t"
        "position"
    )
    assert header("taxa.csv") == "taxon_id\tancestry\trank_level\trank\tname\tactive"
    assert header("observers.csv") == "observer_id\tlogin\tname"


def test_the_bucket_has_a_folder_for_each_photograph(bucket):
    ids = [row["photo_id"] for row in rows(bucket / "photos.csv", "\t")]
    assert len(set(ids)) == len(ids) == 60
    assert {path.name for path in (bucket / "photos").iterdir()} == set(ids)
    for photo_id in ids:
        with Image.open(bucket / "photos" / photo_id / "medium.jpg") as image:
            assert image.size == (32, 32)
    assert not (bucket / "labels.csv").exists()


def test_the_tables_refer_to_each_other_in_the_bucket_s_formats(bucket):
    observers = {row["observer_id"] for row in rows(bucket / "observers.csv", "\t")}
    taxa = {row["taxon_id"]: row for row in rows(bucket / "taxa.csv", "\t")}
    observations = {row["observation_uuid"]: row for row in rows(bucket / "observations.csv", "\t")}
    for uuid, row in observations.items():
        assert UUID.fullmatch(uuid)
        assert row["observer_id"] in observers
        assert taxa[row["taxon_id"]]["active"] == "true"
        assert row["quality_grade"] in ("research", "needs_id", "casual")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["observed_on"])
        if row["latitude"]:
            assert DEGREES.fullmatch(row["latitude"]) and DEGREES.fullmatch(row["longitude"])
        else:
            assert row["quality_grade"] == "casual" and not row["longitude"]
    positions = defaultdict(list)
    for row in rows(bucket / "photos.csv", "\t"):
        assert UUID.fullmatch(row["photo_uuid"])
        assert row["observer_id"] == observations[row["observation_uuid"]]["observer_id"]
        assert (row["extension"], row["width"], row["height"]) == ("jpg", "32", "32")
        positions[row["observation_uuid"]].append(int(row["position"]))
    assert set(positions) == set(observations)
    assert all(sorted(each) == list(range(len(each))) for each in positions.values())
    assert max(len(each) for each in positions.values()) > 1
    for row in taxa.values():
        above = row["ancestry"].split("/") if row["ancestry"] else []
        assert above[:1] == ([] if row["taxon_id"] == "48460" else ["48460"])
        assert all(ancestor in taxa for ancestor in above)
        assert row["active"] in ("true", "false")


def test_all_grades_licences_and_inactive_names_occur(tmp_path):
    observations = plan_observations(make_species(30, 1), SynthOptions(taxa=30, seed=1))
    grades = [one.quality_grade for one in observations]
    assert {"research", "needs_id", "casual"} == set(grades)
    assert grades.count("research") > 0.75 * len(grades)
    assert any(one.latitude is None for one in observations)
    assert {"CC0", "CC-BY", "CC-BY-NC"} <= {one.license for one in observations}


@pytest.mark.parametrize("photos", [10, 11, 40])
def test_no_observation_straddles_splits_and_each_has_some(photos):
    species = make_species(8, 0)
    options = SynthOptions(taxa=8, photos_per_taxon=photos)
    observations = plan_observations(species, options)
    for one in species:
        mine = [each for each in observations if each.species == one]
        splits = split_of(mine, seed=0)
        assert sum(len(each.photo_ids) for each in mine) == photos
        assert all(1 <= len(each.photo_ids) <= 3 for each in mine)
        counts = [list(splits.values()).count(split) for split in ("train", "val", "test")]
        assert counts[1] >= 2 and counts[2] >= 2 and counts[0] >= 2
        assert sum(counts) == len(mine)


def test_labels_keep_observations_together(folder):
    splits = defaultdict(set)
    for row in rows(folder / "labels.csv"):
        splits[row["observation_id"]].add(row["split"])
    assert all(len(each) == 1 for each in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}


def test_the_share_of_files_asked_for_is_broken_and_listed(folder):
    broken = rows(folder / "broken.csv")
    assert len(broken) == 12
    assert {row["how"] for row in broken} == {"empty", "truncated", "text", "noise"}
    listed = {row["file"] for row in broken}
    for row in rows(folder / "labels.csv"):
        assert opens(folder / "photos" / row["file"]) == (row["file"] not in listed)
    assert len(rows(folder / "photos.csv", "\t")) == 60  # the tables list them all the same


def test_everything_can_be_broken(tmp_path):
    root = make(tmp_path / "all", taxa=1, photos_per_taxon=4, broken=1.0)
    assert not any(opens(path) for path in root.rglob("*.jpg"))


def test_empty_scenes_lie_outside_the_classes(folder):
    listed = [row["file"] for row in rows(folder / "empty_scenes.csv")]
    assert len(listed) == 3
    assert all(opens(folder / file) and file.startswith("empty/") for file in listed)


def test_one_taxon_and_one_photograph_are_enough(tmp_path):
    root = make(tmp_path / "one", taxa=1, photos_per_taxon=1)
    assert [row["split"] for row in rows(root / "labels.csv")] == ["train"]


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(tmp_path):
    options = {"taxa": 3, "photos_per_taxon": 12, "empty_scenes": 2, "broken": 0.1, "seed": 7}
    one, two = (
        make(tmp_path / f"workers{workers}", workers=workers, **options) for workers in (1, 2)
    )
    assert digests(one) == digests(two)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    first, again = (make(tmp_path / name, taxa=2, photos_per_taxon=3) for name in ("a", "b"))
    other = make(tmp_path / "c", taxa=2, photos_per_taxon=3, seed=1)
    assert digests(first) == digests(again)
    assert digests(first).keys() != digests(other).keys()


def test_the_first_photographs_stay_when_more_are_asked_for(tmp_path):
    few = make(tmp_path / "few", taxa=1, photos_per_taxon=3)
    more = make(tmp_path / "more", taxa=1, photos_per_taxon=5)
    before = {key: value for key, value in digests(few).items() if key.startswith("photos/")}
    after = digests(more)
    assert all(after[key] == value for key, value in before.items())


def run(*flags: str) -> int:
    return main(["synth", "--taxa=2", "--photos_per_taxon=3", "--size=32", *flags])


def test_the_command_writes_a_data_set_and_then_has_done_it(tmp_path, capsys):
    out = tmp_path / "new" / "flutter"
    assert run(f"--out={out}") == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{out}: 6 photographs of 2 species in 1 genus and 1 family" in said.err
    manifest = json.loads((out / "synth.json").read_text())
    assert manifest["schema_version"] == 1
    assert manifest["photos"] == 6
    assert manifest["made_by"]["command"] == "synth"
    before = digests(out)
    assert run(f"--out={out}") == 0
    assert f"already done: {out}" in capsys.readouterr().err
    assert run(f"--out={out}", "--seed=1") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert digests(out) == before
    assert run(f"--out={out}", "--seed=1", "--overwrite") == 0
    assert digests(out) != before
    assert [path.name for path in out.parent.iterdir()] == ["flutter"]


@pytest.mark.parametrize(
    "flag",
    ["--taxa=0", "--taxa=many", "--photos_per_taxon=0", "--size=31", "--size=4097", "--seed=-1",
     "--broken=1.5", "--broken=-0.1", "--broken=nan", "--empty_scenes=-1", "--layout=shelf",
     "--colour=red", "extra"],
)  # fmt: skip
def test_a_flag_that_cannot_be_is_one_sentence_and_exit_code_2(tmp_path, capsys, flag):
    out = tmp_path / "out"
    assert run(f"--out={out}", flag) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert flag.lstrip("-").split("=")[0] in said.err
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_needed(capsys):
    assert run() == 2
    assert "--out" in capsys.readouterr().err


def descendants(process: int) -> list[int]:
    """The living processes below one, read from /proc."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    found, todo = [], [process]
    while todo:
        below = children[todo.pop()]
        found += below
        todo += below
    return found


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_output_and_no_worker(tmp_path, stop):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "taxonvision", "synth", f"--out={out}", "--size=200"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("out.partial/photos/*/*/*/*.jpg")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = descendants(process.pid)
    assert workers
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does: to the whole group
    else:
        process.kill()
    said = process.communicate(timeout=30)[1]
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert said == "taxonvision: interrupted; nothing half written was left\n"
        assert list(tmp_path.iterdir()) == []
    assert not out.exists()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
