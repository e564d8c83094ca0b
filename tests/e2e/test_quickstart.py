"""The quick start as a user runs it, and what every command makes of its outputs."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

from taxonvision.cli.main import COMMANDS, main

pytestmark = pytest.mark.slow


def test_every_step_is_announced_by_the_command_that_does_it(workshop):
    announced = [
        shlex.split(line)[2] for line in workshop.stderr.splitlines() if line.startswith("$ ")
    ]
    assert announced == [
        "synth", "ingest", "train", "evaluate", "export",
        "evaluate", "evaluate", "evaluate", "evaluate", "compare", "verify", "predict",
    ]  # fmt: skip
    others = {
        "quickstart", "prepare", "taxa", "update", "lineage", "distill", "thresholds", "camera",
    }  # fmt: skip
    assert set(announced) == set(COMMANDS) - others


def test_nothing_on_the_screen_but_what_is_said_to_the_user(workshop):
    for noise in ("cudart", "XNNPACK", "WARNING", "Warning", "Traceback", "absl", "tensorflow"):
        assert noise not in workshop.stderr, noise
        assert noise not in workshop.stdout, noise


def test_the_comparison_says_what_was_lost_on_the_way(workshop):
    comparison = json.loads((workshop.work / "comparison/comparison.json").read_text())
    rows = {row["name"]: row for row in comparison["models"]}
    assert list(rows) == ["full", "float32", "float16", "dynamic", "int8"]
    for name, row in rows.items():
        assert f"{row['bytes'] / 1e6:.2f}" in workshop.stdout
        assert f"{row['top1']:.1%}" in workshop.stdout, name
    assert rows["float32"]["agreement"] == 1
    assert rows["int8"]["bytes"] < 0.35 * rows["float32"]["bytes"]
    assert (workshop.work / "comparison/report.html").is_file()


def test_running_it_again_resumes_what_is_done(workshop, run_taxonvision):
    again = run_taxonvision(
        "quickstart", f"--workdir={workshop.work}", "--taxa=6", "--photos_per_taxon=12"
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already done") == 10
    assert "drawing" not in again.stderr
    assert "ms a photograph" in again.stdout  # the tables are shown again


def test_a_model_and_its_bundle_name_photographs_alike(workshop, capsys):
    photographs = sorted((workshop.synth / "photos").rglob("*.jpg"))[:6]
    answers = {}
    for model in (workshop.model, workshop.bundle("float32")):
        files = list(map(str, photographs))
        assert main(["predict", f"--model={model}", "--format=json", *files]) == 0
        answers[model] = json.loads(capsys.readouterr().out)
    by_keras, by_bundle = answers.values()
    assert [a["photo"] for a in by_keras] == [str(p) for p in photographs]
    for one, other in zip(by_keras, by_bundle, strict=True):
        assert [s["taxon_id"] for s in one["suggestions"]] == [
            s["taxon_id"] for s in other["suggestions"]
        ]
        for s, t in zip(one["suggestions"], other["suggestions"], strict=True):
            assert s["score"] == pytest.approx(t["score"], abs=1e-3)
        assert [b["rank"] for b in one["branch"]][:2] == ["kingdom", "phylum"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_formats_hold_the_same_answer(workshop, capsys, language):
    photograph = str(next((workshop.synth / "photos").rglob("*.jpg")))
    texts = {}
    for kind in ("table", "json", "jsonl", "csv"):
        assert main(["predict", f"--model={workshop.bundle()}", f"--format={kind}",
                     f"--language={language}", photograph]) == 0  # fmt: skip
        texts[kind] = capsys.readouterr().out
    answer = json.loads(texts["json"])[0]
    assert json.loads(texts["jsonl"]) == answer
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [row["name"] for row in rows] == [s["name"] for s in answer["suggestions"]]
    assert [float(row["score"]) for row in rows] == [s["score"] for s in answer["suggestions"]]
    for suggestion in answer["suggestions"]:
        assert suggestion["common_name"]
        for word in (suggestion["name"], suggestion["common_name"], suggestion["rank"]):
            assert word in texts["table"]


def test_predict_goes_on_after_a_bad_photograph_and_the_exit_code_tells(
    workshop, tmp_path, run_taxonvision
):
    good = next((workshop.synth / "photos").rglob("*.jpg"))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    out = tmp_path / "answers" / "all.csv"
    done = run_taxonvision(
        "predict", f"--model={workshop.bundle()}", "--format=csv", f"--out={out}", bad, good
    )
    assert done.returncode == 2
    assert done.stderr.strip() == f"taxonvision: {bad}: not an image of a known format"
    rows = list(csv.DictReader(out.open()))
    assert rows[0]["error"] == "not an image of a known format"
    assert rows[1]["photo"] == str(good)
    assert len(rows) == 6


def test_predict_and_compare_leave_tensorflow_out(workshop):
    photograph = next((workshop.synth / "photos").rglob("*.jpg"))
    results = workshop.work / "results"
    script = f"""
import sys
from taxonvision.cli.main import main
assert main(["predict", "--model={workshop.bundle()}", {str(photograph)!r}]) == 0
assert main(["evaluate", "--model={workshop.bundle()}", "--catalog={workshop.catalog}",
             "--split=val", "--out={workshop.work / "val"}"]) == 0
assert main(["compare", "--reference={results / "full"}", "--candidate={results / "int8"}",
             "--out={workshop.work / "two"}"]) == 0
assert not {{"tensorflow", "keras", "litert_quantizer"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_bare_tflite_file_is_evaluated_with_its_classes(workshop, tmp_path, capsys):
    out = tmp_path / "results"
    arguments = ["evaluate", f"--model={workshop.bundle() / 'model.tflite'}",
                 f"--catalog={workshop.catalog}", f"--out={out}"]  # fmt: skip
    assert main(arguments) == 2
    assert "--classes=CSV" in capsys.readouterr().err
    assert main([*arguments, f"--classes={workshop.model / 'classes.csv'}"]) == 0
    bundle_metrics = json.loads((workshop.results("int8") / "metrics.json").read_text())
    assert json.loads((out / "metrics.json").read_text()) == bundle_metrics


def test_the_same_flags_give_the_same_model_and_bundle(workshop, tmp_path):
    """Also in another process, where other commands ran before."""
    for command, out in (
        (["train", f"--catalog={workshop.catalog}", "--seed=0"], "model"),
        (["export", f"--model={workshop.model}", f"--catalog={workshop.catalog}"], "bundle"),
    ):
        assert main([*command, f"--out={tmp_path / out}"]) == 0
    fingerprints = [
        json.loads((folder / "model.json").read_text())["fingerprint"]
        for folder in (workshop.model, tmp_path / "model")
    ]
    assert fingerprints[0] == fingerprints[1]
    first, again = workshop.bundle(), tmp_path / "bundle"
    for name in ("model.tflite", "taxonomy.csv", "labels.txt", "golden/1.png"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["train", "--catalog={work}/nowhere", "--out={out}"], "does not exist"),
        (["train", "--catalog={work}/model", "--out={out}"], "is no catalog"),
        (["train", "--catalog={work}/catalog", "--out={work}/catalog"], "add --overwrite"),
        (["train", "--catalog={work}/catalog", "--out={out}", "--backbone=resnet5"], "ResNet50"),
        (["evaluate", "--model={work}/synth", "--catalog={work}/catalog", "--out={out}"],
         "neither a model directory"),
        (["evaluate", "--model={work}/model", "--catalog={work}/catalog", "--out={out}",
          "--split=tset"], "train|val|test"),
        (["export", "--model={work}/model", "--catalog={work}/catalog", "--out={out}",
          "--quantize=int9"], "'int9' is none of float32, float16, dynamic, int8"),
        (["predict", "--model={work}/bundles/int8"], "needs a photograph or a folder"),
        (["predict", "--model={work}/bundles/int8", "{work}/model"], "no photograph in"),
        (["predict", "--model={work}/nothing", "x.jpg"], "does not exist"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(workshop, tmp_path, capsys, command, sentence):
    words = [word.format(work=workshop.work, out=tmp_path / "out") for word in command]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("taxonvision: ")
    assert sentence in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_model_is_one_clear_line(workshop, tmp_path, capsys):
    model = shutil.copytree(workshop.model, tmp_path / "model")
    content = (model / "model.keras").read_bytes()
    (model / "model.keras").write_bytes(content[: len(content) // 2])
    assert main(["predict", f"--model={model}", "x.jpg"]) == 2
    assert "cannot be loaded as a Keras model" in capsys.readouterr().err


def test_results_on_other_photographs_are_not_compared(workshop, tmp_path, capsys):
    other = tmp_path / "val"
    assert main(["evaluate", f"--model={workshop.bundle()}", f"--catalog={workshop.catalog}",
                 "--split=val", f"--out={other}"]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["compare", f"--reference={workshop.results()}", f"--candidate={other}",
                 f"--out={tmp_path / 'comparison'}"]) == 2  # fmt: skip
    assert "are not results on the same photographs" in capsys.readouterr().err


def test_other_classes_of_a_bare_tflite_file_are_evaluated_anew(workshop, tmp_path, capsys):
    """What the outputs are called counts by content, not by the name of the table."""
    model = workshop.bundle() / "model.tflite"
    classes = tmp_path / "classes.csv"
    shutil.copy(workshop.model / "classes.csv", classes)
    arguments = ["evaluate", f"--model={model}", f"--classes={classes}",
                 f"--catalog={workshop.catalog}", f"--out={tmp_path / 'results'}"]  # fmt: skip
    assert main(arguments) == 0
    header, *rows = classes.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    ids = [row[1] for row in cells]
    for row, taxon_id in zip(cells, [*ids[1:], ids[0]], strict=True):
        row[1] = taxon_id
    classes.write_text("\n".join([header, *map(",".join, cells)]) + "\n")
    capsys.readouterr()
    assert main(arguments) == 2
    assert "add --overwrite" in capsys.readouterr().err


def test_a_folder_is_named_photograph_by_photograph(workshop, tmp_path, capsys):
    folder = tmp_path / "walk"
    (folder / "monday").mkdir(parents=True)
    photograph = next((workshop.synth / "photos").rglob("*.jpg"))
    shutil.copy(photograph, folder / "monday" / os.fsdecode(b"caf\xe9.jpg"))
    shutil.copy(photograph, folder / "b.jpg")
    (folder / "notes.txt").write_text("no photograph")
    (folder / ".hidden.jpg").write_text("none either")
    assert main(["predict", f"--model={workshop.bundle()}", "--format=csv", "--top=1",
                 f"--out={tmp_path / 'answer.csv'}", str(folder)]) == 2  # fmt: skip
    with (tmp_path / "answer.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["photo"], row["error"]) for row in rows] == [
        (str(folder / "b.jpg"), ""),
        (str(folder / "monday") + "/caf\\xe9.jpg", "the file name is not UTF-8"),
    ]
    assert rows[0]["taxon_id"]
    without_format = ["predict", f"--model={workshop.bundle()}", f"--out={tmp_path / 'x'}"]
    assert main([*without_format, str(photograph)]) == 2
    assert "--out needs --format" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "export"])
def test_ctrl_c_ends_with_130_and_leaves_nothing(workshop, tmp_path, tmp_path_factory, command):
    arguments = [f"--catalog={workshop.catalog}", f"--out={tmp_path / 'out'}"]
    if command == "train":
        # An empty cache: there is no checkpoint while features are extracted.
        arguments += ["--epochs=100000", f"--cache={tmp_path_factory.mktemp('cache')}"]
    else:
        arguments += [f"--model={workshop.model}", "--calibration_photographs=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "taxonvision", command, *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    # The first line on stderr comes when the work has begun.
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]
    assert process.returncode == 130, first + rest
    assert rest.splitlines()[-1] == "taxonvision: interrupted; nothing half written was left"
    assert "Traceback" not in rest
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
