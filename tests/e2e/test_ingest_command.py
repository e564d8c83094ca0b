"""`taxonvision ingest` as it is typed: what it says, what it writes, and that it can be killed."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from open_data_tables import Made, Tables, opened, taxon
from PIL import Image, ImageDraw

from taxonvision.catalog import staging
from taxonvision.cli.main import main
from taxonvision.synthetic.dataset import SynthOptions, write_dataset
from taxonvision.synthetic.metadata import MetadataOptions, write_metadata
from taxonvision.tables import read_csv, write_csv

SAMPLE = (
    Path(__file__).resolve().parents[2].parent
    / "shared" / "data" / "inat_formats" / "inaturalist-open-data"
)  # fmt: skip


pytestmark = pytest.mark.slow


@pytest.fixture
def says(capsys):
    """Run a command line; its exit code and stderr."""

    def says(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, capsys.readouterr().err

    return says


@pytest.fixture
def ingest(says):
    """Ingest, which must go well; `said` is what it said."""

    def ingest(folder, out, *flags, source="inat_open_data") -> Made:
        code, ingest.said = says(
            "ingest", f"--source={source}", f"--input={folder}", f"--out={out}", *flags
        )
        assert code == 0, ingest.said
        return opened(out)

    return ingest


def unchecked(*flags):
    return ("--check_photos=false", "--rules=none", *flags)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# The sample of the bucket, whose observed taxa are not in its taxa table.


@pytest.mark.parametrize("flags", [(), ("--min_photos=1",)], ids=["inat", "min_photos"])
def test_the_sample_has_no_eligible_taxon_and_says_so(ingest, says, tmp_path, flags):
    out = tmp_path / "catalog"
    found = ingest(SAMPLE, out, "--check_photos=false", *flags)
    assert (out / "classes.csv").read_text().splitlines() == [
        "class_id,taxon_id,name,rank,status,since"
    ]
    assert {row["reason"] for row in found.eligibility.values()} == {
        "not included: not in the taxa table"
    }
    about = [line for line in ingest.said.splitlines() if "eligible" in line]
    assert about == [
        f"no taxon is eligible; {out / 'eligibility.csv'} says of each what is missing"
    ]
    code, said = says("train", f"--catalog={out}", f"--out={tmp_path / 'model'}")
    assert code == 2
    assert re.fullmatch(r"taxonvision: .+\n", said.splitlines(keepends=True)[-1])
    assert "Traceback" not in said
    assert not (tmp_path / "model").exists()


# Rules on the command line.


def test_rules_and_flags_of_single_rules(ingest, tmp_path):
    tables = Tables()
    for _ in range(3):
        tables.see(21, photos=2)
        tables.see(22, quality_grade="needs_id")
    tables.see(41, photos=9)
    folder = tables.write(tmp_path / "tables")
    found = ingest(folder, tmp_path / "1", "--check_photos=false", "--min_photos=3")
    assert [name for *_, name in found.classes] == ["Aglais io", "Vanessa atalanta"]
    assert found.counts["left_out"]["quality"] == 3
    found = ingest(
        folder, tmp_path / "2", "--check_photos=false", "--min_photos=4", "--quality=any",
        "--photos_per_observation=1", "--photos_per_observation_held_out=1",
    )  # fmt: skip
    assert [name for *_, name in found.classes] == ["Aglais"]
    assert "  left out: 11 beyond those allowed of one observation\n" in ingest.said


# Splits.


def scene(seed):
    """A picture of blots, which no other seed's looks like."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (160, 120), (90, 110, 70))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, a, b = *rng.uniform(0, 160, 2), *rng.uniform(5, 50, 2)
        draw.ellipse((x - a, y - b, x + a, y + b), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image


def write_scenes(root, seeds, **options):
    for path, seed in seeds.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        scene(seed).save(root / path, **options)
    return root


def test_one_picture_in_two_classes_and_observations_lies_in_one_split(ingest, tmp_path):
    root = write_scenes(tmp_path / "photos", {f"A/{n}.png": n for n in range(20)})
    write_scenes(root, {f"B/{n}.jpg": n for n in range(20)}, quality=60)  # encoded anew
    apart = ingest(root, tmp_path / "1", "--near_duplicates=false", source="folder").splits
    assert any(apart[f"A/{n}.png"] != apart[f"B/{n}.jpg"] for n in range(20))
    found = ingest(root, tmp_path / "2", source="folder")
    assert all(found.splits[f"A/{n}.png"] == found.splits[f"B/{n}.jpg"] for n in range(20))
    assert found.counts["near_duplicates"] == 20
    assert found.counts["near_duplicates_across_splits"] == 0
    assert len(found.near_duplicates) == 20  # of two taxa
    assert "alike lie in two splits" not in ingest.said


def test_across_given_splits_they_are_told_and_stay(ingest, tmp_path):
    root = write_scenes(tmp_path / "photos", {"a.png": 1, "b.png": 2, "c.png": 3})
    write_scenes(root, {"d.jpg": 1}, quality=60)
    rows = [
        ("a.png", "A", "train"),
        ("b.png", "A", "val"),
        ("c.png", "B", ""),
        ("d.jpg", "B", "test"),
    ]
    write_csv(tmp_path / "labels.csv", ("file", "class", "split"), rows)
    out = tmp_path / "catalog"
    found = ingest(root, out, f"--labels={tmp_path / 'labels.csv'}", source="folder")
    assert found.splits | {"c.png": ""} == {file: split for file, _, split in rows}
    assert found.counts["near_duplicates_across_splits"] == 1
    (pair,) = found.near_duplicates
    assert (pair["photo_id"], pair["split"]) == ("a.png", "train")
    assert (pair["near_photo_id"], pair["near_split"]) == ("d.jpg", "test")
    assert str(out / "near_duplicates.csv") in ingest.said
    assert "alike lie in two splits, as given" in ingest.said


def test_splits_of_an_earlier_catalog_stay_when_files_are_renamed_and_others_come(ingest, tmp_path):
    root = write_scenes(tmp_path / "photos", {f"A/{n}.png": n for n in range(12)})
    splits = ["train", "val", "test"]
    rows = [(f"A/{n}.png", "A", splits[n % 3]) for n in range(12)]
    write_csv(tmp_path / "labels.csv", ("file", "class", "split"), rows)
    before = ingest(root, tmp_path / "1", f"--labels={tmp_path / 'labels.csv'}", source="folder")
    (root / "B").mkdir()
    for n in range(6):
        (root / f"A/{n}.png").rename(root / f"B/renamed {n}.png")
    (root / "A/6.png").rename(root / "A/0.png")  # numbered anew: another took its place
    write_scenes(root, {f"B/{n}.png": n for n in range(50, 60)})
    found = ingest(root, tmp_path / "2", f"--splits_from={tmp_path / '1'}", source="folder")
    by_content = {row["sha256"]: row["split"] for row in found.photos.values()}
    assert len(by_content) == 22
    for row in before.photos.values():
        assert by_content[row["sha256"]] == row["split"]
    assert found.splits["A/0.png"] == "train"


@pytest.mark.parametrize("split_by", ["observer", "date"])
def test_no_observer_and_no_date_lies_in_two_splits(ingest, tmp_path, split_by):
    folder = tmp_path / "tables"
    folder.mkdir()
    write_metadata(folder, MetadataOptions(3000, 20))
    found = ingest(folder, tmp_path / "catalog", *unchecked(f"--split_by={split_by}"))
    assert {row["split"] for row in found.photos.values()} == {"train", "val", "test"}
    observers = {}
    for line in (folder / "observations.csv").read_text().splitlines()[1:]:
        uuid, observer, *_ = line.split("\t")
        observers[uuid] = observer
    groups = {}
    for row in found.photos.values():
        of = {"observer": observers[row["observation_id"]], "date": row["observed_on"]}[split_by]
        groups.setdefault(of, set()).add(row["split"])
    assert all(len(of_one) == 1 for of_one in groups.values())


def test_an_observation_keeps_its_split_and_a_class_its_id_when_the_tables_grow(ingest, tmp_path):
    tables = Tables()
    for number in range(60):
        tables.see((21, 22, 41)[number % 3], photos=1 + number % 2)
    before = ingest(tables.write(tmp_path / "1"), tmp_path / "a", *unchecked())
    assert set(before.splits.values()) == {"train", "val", "test"}
    for number in range(60):
        tables.see((20, 23, 41)[number % 3])
    tables.observations.reverse()
    flags = unchecked(f"--classes_from={tmp_path / 'a'}")
    after = ingest(tables.write(tmp_path / "2"), tmp_path / "b", *flags)
    assert before.splits.items() <= after.splits.items()
    assert after.classes[:3] == before.classes
    assert [name for *_, name in after.classes[3:]] == ["Aglais", "Aglais io geisha"]


# Classes over the years.


@pytest.fixture
def years(tmp_path):
    """Tables of a first year, and its classes: io 0, urticae 1, the genus Vanessa 2, atalanta 3."""
    tables = Tables()
    for taxon_id in (21, 21, 22, 40, 41):
        tables.see(taxon_id)
    tables.write(tmp_path / "first")
    return tables


CARDUI, RUBRA, UNA, ALTERA = 42, 43, 44, 45
FIRST = [(0, 21, "Aglais io"), (1, 22, "Aglais urticae"), (2, 40, "Vanessa"),
         (3, 41, "Vanessa atalanta")]  # fmt: skip


def test_a_new_species_below_a_genus_that_is_a_class(ingest, tmp_path, years):
    assert ingest(tmp_path / "first", tmp_path / "1", *unchecked()).classes == FIRST
    years.taxa.append(taxon(CARDUI, "48460/1/30/40", 10, "species", "Vanessa cardui"))
    years.see(CARDUI)
    folder = years.write(tmp_path / "second")
    found = ingest(folder, tmp_path / "2", *unchecked(f"--classes_from={tmp_path / '1'}"))
    assert found.classes == [*FIRST, (4, CARDUI, "Vanessa cardui")]
    assert [row["since"] for row in read_csv(tmp_path / "2" / "classes.csv")] == [*"1111", "2"]
    assert {row["class_id"] for row in found.photos.values()} == {0, 1, 2, 3, 4}
    tree = {row["taxon_id"]: row for row in read_csv(tmp_path / "2" / "taxonomy.csv")}
    assert tree["42"]["parent_taxon_id"] == "40"


def test_classes_without_photographs_stay_or_are_retired(ingest, says, tmp_path, years):
    ingest(tmp_path / "first", tmp_path / "1", *unchecked())
    tables = Tables()
    tables.see(22)
    folder = tables.write(tmp_path / "second")
    flags = unchecked(f"--classes_from={tmp_path / '1' / 'classes.csv'}")
    assert ingest(folder, tmp_path / "2", *flags).classes == FIRST
    found = ingest(folder, tmp_path / "3", *flags, "--retire_absent")
    assert found.classes == [
        (0, 21, "-Aglais io"), (1, 22, "Aglais urticae"), (2, 40, "-Vanessa"),
        (3, 41, "-Vanessa atalanta"),
    ]  # fmt: skip
    assert found.counts["classes"] == 1
    code, said = says("ingest", f"--input={folder}", f"--out={tmp_path / '4'}", "--retire_absent")
    assert (code, said.count("\n")) == (2, 1)
    assert "--retire_absent needs --classes_from" in said


def test_merged_renamed_and_split(ingest, tmp_path, years):
    ingest(tmp_path / "first", tmp_path / "1", *unchecked())
    columns = ("kind", "taxon_id", "new_taxon_id", "name", "rank", "parent_taxon_id")
    write_csv(
        tmp_path / "changes.csv",
        columns,
        [
            ("merged", 22, 21, "", "", ""),
            ("renamed", 41, RUBRA, "Vanessa rubra", "", ""),
            ("split", 40, UNA, "Vanessa una", "species", ""),
            ("split", 40, ALTERA, "Vanessa altera", "species", ""),
        ],
    )
    years.see(RUBRA)
    years.see(UNA)
    years.taxa += [
        taxon(n, "48460/1/30", 10, "species", name)
        for n, name in ((RUBRA, "Vanessa rubra"), (UNA, "Vanessa una"))
    ]
    folder = years.write(tmp_path / "second")
    found = ingest(
        folder, tmp_path / "2", *unchecked(),
        f"--classes_from={tmp_path / '1'}", f"--changes={tmp_path / 'changes.csv'}",
    )  # fmt: skip
    assert found.classes == [
        (0, 21, "Aglais io"), (1, 22, "-Aglais urticae"), (2, 40, "-Vanessa"),
        (3, RUBRA, "Vanessa rubra"), (4, UNA, "Vanessa una"),
    ]  # fmt: skip
    classes = {row["photo_id"]: (row["taxon_id"], row["class_id"]) for row in found.photos.values()}
    assert classes == {
        "1": (21, 0), "2": (21, 0), "3": (22, 0), "5": (41, 3), "6": (RUBRA, 3), "7": (UNA, 4),
    }  # fmt: skip
    assert found.counts["left_out"] == {"split_taxon": 1}
    said = {taxon_id: row["reason"] for taxon_id, row in found.eligibility.items()}
    assert said == {
        21: "included: 3 photographs, 1 of them under former names",
        22: "not included: its photographs count as Aglais io",
        40: "not included: split into Vanessa una and Vanessa altera; "
        "a photograph of it may show any",
        41: "not included: its photographs count as Vanessa rubra",
        RUBRA: "included: 2 photographs, 1 of them under former names",
        UNA: "included: 1 photograph",
    }
    assert {row["missing"] for row in found.eligibility.values()} == {"0"}


def test_the_taxa_command_answers_from_what_ingest_wrote(ingest, capsys, tmp_path, years):
    flags = ("--check_photos=false", "--min_photos=3", "--coarsest_rank=any")
    ingest(tmp_path / "first", tmp_path / "1", *flags)
    assert main(["taxa", f"--catalog={tmp_path / '1'}", "aglais urticea"]) == 0
    answer = capsys.readouterr().out
    assert "1 photograph of 3 needed, 2 missing; they train the genus Aglais" in answer


# Bad input on the command line.


@pytest.mark.parametrize("flag", ["labels", "taxa", "taxonomy", "changes"])
def test_a_table_that_is_not_there(says, tmp_path, flag):
    root = write_scenes(tmp_path / "photos", {"A/1.png": 1})
    code, said = says(
        "ingest", f"--input={root}", f"--out={tmp_path / 'out'}", f"--{flag}={tmp_path / 'no.csv'}"
    )
    assert (code, said) == (2, f"taxonvision: {tmp_path / 'no.csv'} does not exist\n")


def test_sites_that_nobody_knows(says, tmp_path):
    root = write_scenes(tmp_path / "photos", {"A/1.png": 1})
    code, said = says("ingest", f"--input={root}", f"--out={tmp_path / 'out'}", "--split_by=site")
    assert code == 2
    assert said.endswith("--split_by=site: the site is known of no photograph; split by another\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["classes_from", "splits_from"])
def test_a_catalog_that_is_not_there(says, tmp_path, flag):
    root = write_scenes(tmp_path / "photos", {"A/1.png": 1})
    code, said = says(
        "ingest", f"--input={root}", f"--out={tmp_path / 'out'}", f"--{flag}={tmp_path / 'none'}"
    )
    assert (code, said.count("\n")) == (2, 1)
    assert str(tmp_path / "none") in said


def test_splits_from_a_catalog_whose_photographs_are_gone(ingest, tmp_path):
    root = write_scenes(tmp_path / "photos", {f"A/{n}.png": n for n in range(8)})
    before = ingest(root, tmp_path / "1", source="folder")
    root.rename(tmp_path / "moved")
    flags = (f"--splits_from={tmp_path / '1'}",)
    found = ingest(tmp_path / "moved", tmp_path / "2", *flags, source="folder")
    assert found.splits == before.splits


# The same again.


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Photographs of five species, a tenth of them broken, as in the bucket."""
    folder = tmp_path_factory.mktemp("drawn")
    write_dataset(
        folder, SynthOptions("open_data", taxa=5, photos_per_taxon=60, size=64, broken=0.1)
    )
    return folder


@pytest.mark.parametrize("flags", [("--min_photos=10",), unchecked("--split_by=observer")])
def test_one_core_and_two_write_the_same_bytes(drawn, ingest, tmp_path, monkeypatch, flags):
    tables = drawn
    if "--check_photos=false" in flags:
        tables = tmp_path / "tables"
        tables.mkdir()
        write_metadata(tables, MetadataOptions(60_000, 500, compress=True))
    out = tmp_path / "catalog"
    written = []
    for cores in (2, 2, 1):
        monkeypatch.setattr(staging, "cores", lambda cores=cores: cores)
        ingest(tables, out, *flags, "--overwrite")
        written.append(contents(out))
    for name, content in written[0].items():
        assert content == written[1][name], f"{name} differs from run to run"
        assert content == written[2][name], f"{name} differs with one core"


@pytest.mark.parametrize("checked", [True, False], ids=["photographs", "tables"])
def test_killed_at_any_moment_and_run_again_it_writes_the_same_bytes(drawn, tmp_path, checked):
    """Kill -9 at five random moments, twice before each new run, so that remains pile up."""
    tables, out = drawn, tmp_path / "catalog"
    if not checked:
        tables = tmp_path / "tables"
        tables.mkdir()
        write_metadata(tables, MetadataOptions(100_000, 1000))
    command = [
        sys.executable, "-m", "taxonvision", "ingest", "--source=inat_open_data",
        f"--input={tables}", f"--out={out}", "--min_photos=10",
        f"--check_photos={str(checked).lower()}",
    ]  # fmt: skip

    def run():
        return subprocess.run(command, capture_output=True, text=True, check=False)

    began = time.monotonic()
    assert (done := run()).returncode == 0, done.stderr
    seconds = time.monotonic() - began
    undisturbed = contents(out)
    assert "catalog.json" in undisturbed
    shutil.rmtree(out)
    rng = random.Random(5)
    killed = 0
    for attempt in range(5):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.15, 0.95) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        if attempt % 2:
            assert (done := run()).returncode == 0, done.stderr
        if out.exists():
            assert contents(out) == undisturbed
            shutil.rmtree(out)
    assert killed >= 3
    assert (done := run()).returncode == 0, done.stderr
    assert contents(out) == undisturbed
    assert sorted(path.name for path in out.parent.iterdir()) in (
        ["catalog"],
        ["catalog", "tables"],
    )


def test_again_it_is_already_done_until_a_table_changes(ingest, says, tmp_path):
    tables = Tables()
    tables.see(21)
    folder = tables.write(tmp_path / "tables")
    flags = (
        f"--input={folder}",
        "--source=inat_open_data",
        f"--out={tmp_path / 'c'}",
        *unchecked(),
    )
    assert says("ingest", *flags)[0] == 0
    code, said = says("ingest", *flags)
    assert code == 0
    assert "already done" in said
    tables.see(22)
    tables.write(folder)
    code, said = says("ingest", *flags)
    assert code == 2
    assert "--overwrite" in said
    assert says("ingest", *flags, "--overwrite")[0] == 0
    assert opened(tmp_path / "c").counts["used"] == 2


def test_help_names_the_flags_of_rules_and_splits(capsys):
    assert main(["ingest", "--help"]) == 0
    told = capsys.readouterr().out
    for flag in ("rules", "min_photos", "roll_up_to", "split_by", "splits_from", "changes"):
        assert f"--{flag}" in told


def test_ctrl_c_at_any_moment_is_one_line_and_leaves_nothing(tmp_path):
    tables, out = tmp_path / "tables", tmp_path / "catalog"
    tables.mkdir()
    write_metadata(tables, MetadataOptions(200_000, 2000, compress=True))
    command = [
        sys.executable, "-m", "taxonvision", "ingest", "--source=inat_open_data",
        f"--input={tables}", f"--out={out}", "--check_photos=false",
    ]  # fmt: skip
    rng = random.Random(8)
    interrupted = 0
    for _ in range(6):
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while not out.with_name("catalog.partial").exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
            assert process.returncode is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 1.0))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        if out.exists():
            shutil.rmtree(out)
            continue
        interrupted += 1
        assert process.returncode == 130
        assert said.splitlines()[-1] == "taxonvision: interrupted; nothing half written was left"
        assert "Traceback" not in said
        assert list(tmp_path.iterdir()) == [tables]
    assert interrupted >= 3
