from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from taxonvision.catalog.catalog import open_catalog
from taxonvision.cli.main import main
from taxonvision.cli.models import open_recognizer
from taxonvision.evaluation import evaluate as module
from taxonvision.evaluation import parts
from taxonvision.evaluation.results import read_results
from taxonvision.evaluation.scores import NO_TAXON, Labelled, keep
from taxonvision.runtime.bundle import open_bundle
from taxonvision.storage import read_json

FILES = {
    "MODEL_CARD.md", "ancestor_curve.csv", "coverage_curve.csv", "groups.csv", "known.csv",
    "metrics.json", "names.csv", "regions.csv", "reliability.csv", "report.html", "results.json",
    "scores.parquet", "tail.csv", "taxa.csv", "taxonomy.csv",
}  # fmt: skip
FIGURES = FILES - {"results.json", "report.html", "MODEL_CARD.md"}
"""Of the same scores they are the same, byte by byte; the others have times and places in them."""


@pytest.fixture(scope="module")
def whole(small_bundle, small_catalog, tmp_path_factory):
    """Results of the small bundle, to be read or copied."""
    folder = tmp_path_factory.mktemp("whole") / "results"
    given = [f"--model={small_bundle}", f"--catalog={small_catalog}", f"--out={folder}"]
    assert main(["evaluate", *given, "--replicates=20"]) == 0
    return folder


@pytest.fixture
def evaluated(small_bundle, small_catalog, tmp_path):
    """Runs the command with few replicates; returns where the results are to be."""

    def run(*flags: str, model=small_bundle, catalog=small_catalog, out="results", code=0):
        folder = tmp_path / out
        given = [f"--model={model}", f"--catalog={catalog}", f"--out={folder}", "--replicates=20"]
        assert main(["evaluate", *given, *flags]) == code
        return folder

    return run


@pytest.fixture
def scenes(tmp_path):
    """A folder of three photographs without organisms, in two folders, and one that is none."""
    folder = tmp_path / "scenes"
    (folder / "wall").mkdir(parents=True)
    for number, place in enumerate(("grass.jpg", "sky.jpg", "wall/white.png")):
        Image.new("RGB", (40, 40), (60 * number, 90, 200)).save(folder / place)
    (folder / "broken.jpg").write_bytes(b"no photograph")
    return folder


def one_by_one(recognizer, catalog):
    """What is kept of the split test when photograph after photograph is scored alone."""
    photos = catalog.photos("test")
    full = [recognizer.score(recognizer.contract.read_one(path)[None]) for path in photos.paths]
    truth = np.array([catalog.classes[i].taxon_id for i in photos.class_ids.tolist()])
    photographs = Labelled.of(photos.photo_ids, truth)
    return keep(photographs, full, recognizer.roll_up, recognizer.class_taxon_ids)


def test_scores_of_a_bundle_are_those_of_one_photograph_after_the_other(
    whole, small_bundle, small_catalog
):
    results = read_results(whole)
    catalog = open_catalog(small_catalog)
    expected = one_by_one(open_bundle(small_bundle).recognizer(), catalog)
    assert results.scores.photo_ids == expected.photo_ids
    assert results.scores.truth.tolist() == expected.truth.tolist()
    for part in ("classes", "inner"):
        for name in ("starts", "taxon_ids", "scores"):
            found, wanted = (getattr(getattr(s, part), name) for s in (results.scores, expected))
            assert found.tobytes() == wanted.tobytes()


def test_a_model_directory_scores_the_same_up_to_rounding(evaluated, small_model, small_catalog):
    scores = read_results(evaluated(model=small_model)).scores
    expected = one_by_one(open_recognizer(small_model), open_catalog(small_catalog))
    assert scores.classes.taxon_ids.tolist() == expected.classes.taxon_ids.tolist()
    assert np.abs(scores.classes.scores - expected.classes.scores).max() < 1e-5


def test_a_bare_tflite_file_scores_as_its_bundle(evaluated, whole, small_bundle, small_catalog):
    bundle = read_results(whole)
    tflite = small_bundle / "model.tflite"
    classes = f"--classes={small_catalog / 'classes.csv'}"
    bare = read_results(evaluated(classes, model=tflite, out="bare"))
    assert bare.scores.classes.scores.tobytes() == bundle.scores.classes.scores.tobytes()
    assert bare.known.taxon_ids.tolist() == bundle.known.taxon_ids.tolist()


def test_the_folder_holds_what_is_described_and_no_photographs(whole, small_catalog):
    assert {path.name for path in whole.iterdir()} == FILES
    manifest = read_json(whole / "results.json")
    assert manifest["catalog"]["folder"] == str(small_catalog.absolute())
    assert manifest["scenes"] is None
    known = read_results(whole).known
    assert sorted(known.taxon_ids.tolist()) == [3, 4, 5, 6]
    assert known.training_photographs.tolist() == [3, 3, 3, 3]


def test_the_command_says_the_figures_and_what_they_come_to(evaluated, capsys):
    results = evaluated()
    said = capsys.readouterr()
    manifest = read_json(results / "results.json")
    figures = read_json(results / "metrics.json")
    interval = figures["intervals"]["top1"]
    top1 = next(line for line in said.out.splitlines() if line.startswith("top 1 "))
    assert f"{figures['top1']:.1%}" in top1
    assert f"{interval['low']:.1%} to {interval['high']:.1%}" in top1
    assert manifest["words"]
    assert all(sentence in said.out for sentence in manifest["words"])
    evaluated()
    again = capsys.readouterr()
    assert again.out == said.out
    assert "already done" in again.err


def test_scenes_are_scored_as_well(evaluated, scenes, capsys):
    folder = evaluated(f"--negatives={scenes}")
    assert f"left out: {scenes / 'broken.jpg'}: not an image" in capsys.readouterr().err
    results = read_results(folder)
    assert results.scenes is not None
    assert results.scenes.photo_ids == ["grass.jpg", "sky.jpg", "wall/white.png"]
    assert set(results.scenes.truth.tolist()) == {NO_TAXON}
    assert read_json(folder / "metrics.json")["false_names"]["scenes"] == 3
    assert read_json(folder / "results.json")["scenes"] == {"folder": str(scenes)}
    (scenes / "sky.jpg").unlink()
    evaluated(f"--negatives={scenes}", code=2)  # others are other results
    assert "add --overwrite" in capsys.readouterr().err


def test_the_report_is_given_the_photographs_and_the_scenes(
    evaluated, scenes, small_catalog, monkeypatch
):
    given = []
    monkeypatch.setattr(
        "taxonvision.evaluation.figures.write_results_report",
        lambda path, results, evaluation, words, photographs: given.append(photographs),
    )
    evaluated(f"--negatives={scenes}")
    photos = open_catalog(small_catalog).photos("test")
    wanted = dict(zip(photos.photo_ids, photos.paths, strict=True))
    names = ("broken.jpg", "grass.jpg", "sky.jpg", "wall/white.png")
    assert given == [wanted | {name: scenes / name for name in names}]


def test_scenes_none_of_which_can_be_read(evaluated, scenes, capsys):
    for path in scenes.rglob("*.*g"):
        path.write_bytes(b"no photograph")
    folder = evaluated(f"--negatives={scenes}", code=2)
    assert "can be read" in capsys.readouterr().err.splitlines()[-1]
    assert not folder.exists()


@pytest.mark.parametrize("change", ["replicates", "version"])
def test_figures_are_made_anew_without_scoring(evaluated, monkeypatch, scenes, capsys, change):
    results = evaluated(f"--negatives={scenes}")
    before = {name: (results / name).read_bytes() for name in FILES | {"scenes.parquet"}}
    monkeypatch.setattr(parts, "score_photographs", None)
    monkeypatch.setattr(module, "_median_latency", None)
    flags = [f"--negatives={scenes}"]
    if change == "replicates":
        flags += ["--replicates=0"]
    else:
        monkeypatch.setattr("taxonvision.__version__", "999")
    evaluated(*flags)
    assert "are kept; the figures are made anew" in capsys.readouterr().err
    same = {name for name, content in before.items() if (results / name).read_bytes() == content}
    assert {"scores.parquet", "scenes.parquet", "known.csv"} <= same
    assert "results.json" not in same
    assert ("metrics.json" in same) == (change == "version")
    latencies = [json.loads(before["results.json"])["median_latency_ms"]]
    latencies += [read_json(results / "results.json")["median_latency_ms"]]
    assert latencies[0] == latencies[1]
    evaluated(*flags)
    assert "already done" in capsys.readouterr().err


def test_overwriting_scores_again(evaluated, whole, tmp_path, monkeypatch):
    results = tmp_path / "results"
    shutil.copytree(whole, results)
    asked = []

    def counting(recognizer, sources):
        asked.append(len(sources))
        return score_photographs(recognizer, sources)

    score_photographs = parts.score_photographs
    monkeypatch.setattr(parts, "score_photographs", counting)
    before = (results / "scores.parquet").read_bytes()
    evaluated("--overwrite")
    assert asked == [8]
    assert (results / "scores.parquet").read_bytes() == before


def test_a_broken_photograph_is_one_sentence(evaluated, small_catalog, photo_folder, tmp_path,
                                             capsys):  # fmt: skip
    catalog, root = tmp_path / "here" / "catalog", tmp_path / "here" / "photos"
    shutil.copytree(photo_folder, root)
    shutil.copytree(small_catalog, catalog)
    manifest = read_json(catalog / "catalog.json")
    (catalog / "catalog.json").write_text(json.dumps({**manifest, "root": str(root)}))
    last = open_catalog(catalog).photos("test").paths[-1]
    last.write_bytes(last.read_bytes()[:60])
    results = evaluated(catalog=catalog, code=2)
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if last.name in line]
    assert "is listed and cannot be used (" in sentence
    assert not results.exists()


def test_a_split_without_photographs(evaluated, small_catalog, tmp_path, capsys):
    import duckdb

    catalog = tmp_path / "catalog"
    shutil.copytree(small_catalog, catalog)
    table = str(catalog / "photos.parquet")
    with duckdb.connect() as connection:
        connection.read_parquet(table).create("photos")
        connection.sql("FROM photos WHERE split <> 'test'").write_parquet(table)
    evaluated(catalog=catalog, code=2)
    assert "no photograph in the split test" in capsys.readouterr().err


_KILLED = """
import os, signal, sys
from taxonvision.cli.main import main
from taxonvision.evaluation import parts

parts.PART = 3
write, written = parts.write_scores, []

def write_and_die(path, scores):
    write(path, scores)
    written.append(path)
    if len(written) == 2:  # the second part is written, and not yet in its place
        os.kill(os.getpid(), signal.SIGKILL)

if "die" in sys.argv:
    parts.write_scores = write_and_die
sys.exit(main(sys.argv[sys.argv.index("evaluate"):]))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(
    evaluated, small_bundle, small_catalog, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "PART", 3)
    whole = evaluated(out="whole")
    out = tmp_path / "killed"
    flags = [f"--model={small_bundle}", f"--catalog={small_catalog}", f"--out={out}"]
    command = [sys.executable, "-c", _KILLED, "die", "evaluate", *flags, "--replicates=20"]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not out.exists()
    unfinished = tmp_path / "killed.partial" / "scores.parts"
    assert "000000000.parquet" in {path.name for path in unfinished.iterdir()}
    command.remove("die")
    went_on = subprocess.run(command, capture_output=True, text=True, check=False)
    assert went_on.returncode == 0, went_on.stderr
    assert "3 of 8 photographs are scored already" in went_on.stderr
    assert {path.name for path in out.iterdir()} == FILES
    for name in FIGURES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
def test_a_bundle_is_evaluated_without_tensorflow(small_bundle, small_catalog, scenes, tmp_path):
    code = (
        "import sys; from taxonvision.cli.main import main;"
        "assert main(sys.argv[1:]) == 0;"
        "heavy = {'tensorflow', 'keras', 'torch'} & set(sys.modules); assert not heavy, heavy"
    )
    arguments = [f"--model={small_bundle}", f"--catalog={small_catalog}", f"--negatives={scenes}"]
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", *arguments, f"--out={tmp_path / 'results'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_damaged_scores_are_made_again(evaluated, whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "results")
    (tmp_path / "results" / "scores.parquet").write_bytes(b"PAR1 no more")
    folder = evaluated("--replicates=0")
    assert "is damaged; the photographs are scored again" in capsys.readouterr().err
    assert (folder / "scores.parquet").read_bytes() == (whole / "scores.parquet").read_bytes()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"n": 1, "ranks": {"species": "x"}}'])
def test_damaged_figures_are_one_sentence(evaluated, whole, tmp_path, capsys, content):
    shutil.copytree(whole, tmp_path / "results")
    (tmp_path / "results" / "metrics.json").write_text(content)
    evaluated(code=2)
    assert "add --overwrite" in capsys.readouterr().err
