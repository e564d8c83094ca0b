"""`update` in this process, on a release that knows four butterflies: what it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from meadow import (
    ATALANTA,
    CARDUI,
    IO,
    NAPI,
    NEW,
    OLD,
    OLD_AND_NEW,
    RAPAE,
    URTICAE,
    Listed,
    of_taxa,
    photograph,
)
from PIL import Image

from taxonvision.cli.main import main
from taxonvision.evaluation import unknown
from taxonvision.evaluation.unknown import KNOWN
from taxonvision.models.classifier import (
    assemble,
    logits_of,
    take_apart,
    temperature_of,
    unknown_logit_in,
)
from taxonvision.models.directory import Model, open_model
from taxonvision.models.engine import load_keras
from taxonvision.models.trained_on import read_trained_on
from taxonvision.release.grow import grow_head
from taxonvision.release.plan import plan_release
from taxonvision.taxonomy.changes import Change, Changes
from taxonvision.taxonomy.classes import TaxonClass, retired_ids
from taxonvision.taxonomy.tree import Taxon, Taxonomy

keras = load_keras()

from taxonvision.training import calibrate  # noqa: E402

pytestmark = pytest.mark.usefixtures("eager")


@dataclass(frozen=True)
class Told:
    """How a command ended, and what it said, line by line."""

    code: int
    lines: list[str]

    @property
    def last(self) -> str:
        return self.lines[-1]


def from_cache(told: Told) -> list[str]:
    """What was known and what was extracted, of train, val and test."""
    said = [line.partition(": ")[2] for line in told.lines if line.endswith(" extracted")]
    assert len(said) == 3
    return said


@pytest.fixture
def run(capsys) -> Callable[..., Told]:
    """Runs a command."""

    def call(*arguments: object) -> Told:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Told(code, capsys.readouterr().err.splitlines())

    return call


@pytest.fixture
def update(run, base, all_catalog, tmp_path) -> Callable[..., Told]:
    """Makes the release after `base`, or after another."""

    def call(
        *flags: str,
        model: Path = base.folder,
        catalog: Path = all_catalog,
        out: Path = tmp_path / "next",
    ) -> Told:
        own = [f"--model={model}", f"--catalog={catalog}", f"--out={out}"]
        return run("update", *own, "--batch_size=8", "--epochs=2", *flags)

    return call


def logits(model: keras.Model) -> np.ndarray:
    """Of noise."""
    pixels = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    return np.asarray(logits_of(model)([pixels]))


def head_of(folder: Path) -> np.ndarray:
    """Rows [C, D + 1] of a head."""
    _, kernel, bias = take_apart(open_model(folder).load())
    return np.vstack([kernel, bias]).T


CHANGES = {
    "growing": [],
    "renaming": [Change("renamed", IO, 30, "Inachis io")],
    "merging": [Change("merged", RAPAE, NAPI)],
    "splitting": [Change("split", URTICAE, 40, "A"), Change("split", URTICAE, 41, "B")],
    "moving": [Change("moved", NAPI, parent_taxon_id=1)],
}
UNTOUCHED = {
    "growing": OLD,
    "renaming": OLD,
    "merging": (IO, URTICAE),
    "splitting": (IO, RAPAE, NAPI),
    "moving": OLD,
    "retiring": (URTICAE, RAPAE, NAPI),
    "all at once": (IO,),
}  # fmt: skip


@pytest.mark.parametrize("what", UNTOUCHED)
def test_a_grown_model_that_was_saved_scores_old_taxa_as_before(base, tmp_path, what):
    """Through `model.keras` itself, before the head is refitted."""
    lines = [c for kind in CHANGES.values() for c in kind]
    lines = lines if what == "all at once" else CHANGES.get(what, [])
    changes = Changes([replace(c, rank="species", line=n) for n, c in enumerate(lines, 2)])
    added = [ATALANTA, CARDUI] + [41, 40] * (what in ("splitting", "all at once"))
    retired = [IO] if what == "retiring" else []
    tree = Taxonomy(Taxon.of_rank(i, None, "species", f"T{i}") for i in (1, 30, *OLD, *added))
    classes = [
        TaxonClass(n, i, f"T{i}", "species", "retired" if i in retired else "active", "1")
        for n, i in enumerate([*added, *retired])
    ]
    plan = plan_release(base, Listed(classes, tree), changes)
    backbone, kernel, bias = take_apart(base.load())
    grown = grow_head(kernel, bias, base.classes, plan.classes, {}, changes)
    model = assemble(backbone, grown.kernel, grown.bias, retired_ids(plan.classes))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    before, after = logits(base.load()), logits(loaded)
    assert after.shape[1] == len(plan.classes) == 4 + len(added)
    kept = [c.class_id for c in base.classes if c.taxon_id in UNTOUCHED[what]]
    assert len(kept) == len(UNTOUCHED[what])
    np.testing.assert_allclose(after[:, kept], before[:, kept], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_release_of_all_photographs(update, base, all_catalog, tmp_path, run):
    told = update()
    out = tmp_path / "next"
    assert told.code == 0
    assert f"{base.folder}, version 1: 2 new" in "\n".join(told.lines)
    assert "all photographs of old taxa are at hand" in told.lines
    assert told.last.startswith(f"{out}: version 2, 6 classes, validation top-1 ")
    assert told.last.endswith("; RELEASE.md and release.html in it tell what changed")
    assert len(set(told.lines)) == len(told.lines)
    model = open_model(out)
    assert [c.taxon_id for c in model.classes] == [3, 4, 6, 5, ATALANTA, CARDUI]
    assert [c.since for c in model.classes] == ["1"] * 4 + ["2"] * 2
    manifest = model.manifest
    parent = {field: base.manifest[field] for field in ("name", "version", "fingerprint")}
    assert manifest["parent"] == parent
    assert manifest["lineage"] == [base.manifest["release"]]
    assert (manifest["version"], manifest["name"]) == ("2", "butterflies")
    assert manifest["release"]["fingerprint"] == manifest["fingerprint"] != base.fingerprint
    assert manifest["release"]["classes"] == {"active": 6, "retired": 0}
    assert manifest["release"]["changes"]["added"] == 2
    assert [new["taxon_id"] for new in manifest["changes"]["added"]] == [ATALANTA, CARDUI]
    gate = manifest["release"]["gate"]
    assert (gate["judged"], gate["passed"], gate["forced"], gate["loss"]) == (True, True, False, 0)
    assert json.loads((out / "gate.json").read_text())["reason"] == gate["reason"]
    assert manifest["kept"] == "none"
    assert len(manifest["cache"]["spaces"]) == 1
    trained_on = read_trained_on(out)
    assert trained_on is not None
    assert trained_on.photographs == dict.fromkeys(OLD_AND_NEW, 4)
    kept = {path.name for path in out.iterdir()}
    assert not {"checkpoints", ".made_by", "start.json"} & kept
    assert not list(tmp_path.glob("*.partial"))
    # The command again has nothing to do.
    again = update()
    assert (again.code, again.lines) == (0, [f"already done: {out}"])


@pytest.mark.slow
def test_each_release_is_calibrated_anew(update, tmp_path, monkeypatch):
    """Enough validation photographs, then too few; scenes, then none."""
    for place in (calibrate, unknown):
        monkeypatch.setattr(place, "FEWEST", 3)
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for number in range(5):
        Image.new("RGB", (40, 40), (90 + number,) * 3).save(scenes / f"{number}.png")
    assert update("--epochs=0", f"--negatives={scenes}", out=tmp_path / "b").code == 0
    b = open_model(tmp_path / "b")
    assert b.manifest["calibration"]["photographs"] == 6
    assert b.temperature != 1
    assert temperature_of(b.load()) == pytest.approx(b.temperature)
    assert b.manifest["unknown"]["scenes"] == 5
    assert b.unknown_threshold == KNOWN
    assert unknown_logit_in(b.load()) == pytest.approx(b.unknown_logit)
    for place in (calibrate, unknown):
        monkeypatch.setattr(place, "FEWEST", 20)
    told = update("--epochs=0", model=b.folder, out=tmp_path / "c")
    assert told.code == 0
    c = open_model(tmp_path / "c")
    assert c.manifest["calibration"] == {**b.manifest["calibration"], "inherited": True}
    assert temperature_of(c.load()) == pytest.approx(b.temperature)
    assert c.manifest["unknown"] is unknown_logit_in(c.load()) is None
    assert sum("has a name for everything; --negatives" in line for line in told.lines) == 1
    np.testing.assert_array_equal(head_of(b.folder), head_of(c.folder))  # not scaled again


@pytest.mark.slow
def test_the_notes_name_what_is_new_and_need_nothing_from_elsewhere(update, tmp_path):
    assert update("--epochs=0").code == 0
    for name in ("RELEASE.md", "release.html"):
        text = (tmp_path / "next" / name).read_text()
        assert "Vanessa atalanta" in text
        assert "Vanessa cardui" in text
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    assert "<script src" not in text


@pytest.mark.slow
def test_a_chain_of_three_releases(update, run, catalog_of, tmp_path, capsys):
    first = catalog_of(of_taxa(*OLD, ATALANTA))
    assert update("--epochs=0", catalog=first, out=tmp_path / "b").code == 0
    second = catalog_of(
        of_taxa(*OLD, ATALANTA, changes=[{"kind": "merged", "taxon_id": 5, "new_taxon_id": 6}])
    )
    assert update("--epochs=0", model=tmp_path / "b", catalog=second, out=tmp_path / "c").code == 0
    capsys.readouterr()
    assert main(["lineage", f"--model={tmp_path / 'c'}", "--format=json"]) == 0
    releases = json.loads(capsys.readouterr().out)
    assert [r["version"] for r in releases] == ["1", "2", "3"]
    fingerprints = [open_model(tmp_path / name).fingerprint for name in ("b", "c")]
    assert [r["fingerprint"] for r in releases[1:]] == fingerprints
    assert [r["classes"]["active"] for r in releases] == [4, 5, 4]
    assert releases[1]["changes"]["added"] == 1
    assert releases[2]["changes"]["merged"] == 1
    recorded = [open_model(tmp_path / name).manifest["release"] for name in ("b", "c")]
    assert open_model(tmp_path / "c").manifest["lineage"][1:] == recorded[:1]
    assert main(["lineage", f"--model={tmp_path / 'c'}"]) == 0
    assert "butterflies, version 3: 3 releases" in capsys.readouterr().out
    trained_on = read_trained_on(tmp_path / "c")
    assert trained_on is not None
    assert trained_on.photographs == {IO: 4, URTICAE: 4, NAPI: 8, ATALANTA: 4}


@pytest.mark.slow
def test_the_same_seed_the_same_model_with_a_warm_and_a_cold_cache(update, tmp_path):
    def made(name: str, *flags: str) -> tuple[str, str]:
        told = update(*flags, out=tmp_path / name)
        assert told.code == 0
        return open_model(tmp_path / name).fingerprint, from_cache(told)[0]

    cold, warm = (made(name, f"--cache={tmp_path / 'cache'}") for name in ("cold", "warm"))
    other, _ = made("other", f"--cache={tmp_path / 'cache'}", "--seed=1")
    assert cold[0] == warm[0] != other
    assert cold[1] == "0 from the cache, 24 extracted"
    assert warm[1] == "24 from the cache, 0 extracted"


@pytest.mark.slow
def test_photographs_that_come_later_are_all_that_is_extracted(update, catalog_of, tmp_path):
    cache = f"--cache={tmp_path / 'cache'}"
    some = catalog_of(of_taxa(*OLD, ATALANTA, numbers=(0, 1, 4, 5)))
    assert update("--epochs=0", cache, "--force", catalog=some, out=tmp_path / "b").code == 0
    told = update("--epochs=0", cache, model=tmp_path / "b", out=tmp_path / "c")
    assert told.code == 0
    assert from_cache(told) == [
        "10 from the cache, 14 extracted",
        "5 from the cache, 1 extracted",
        "5 from the cache, 25 extracted",
    ]


@pytest.mark.slow
def test_views(update, tmp_path):
    cache = f"--cache={tmp_path / 'cache'}"
    told = [update(cache, "--views=3", out=tmp_path / name) for name in ("b", "c")]
    assert [each.code for each in told] == [0, 0]
    assert "features of train, 3 views: 0 from the cache, 72 extracted" in told[0].lines
    assert "features of train, 3 views: 72 from the cache, 0 extracted" in told[1].lines
    plain = update(cache, out=tmp_path / "d")
    assert "features of train: 24 from the cache, 0 extracted" in plain.lines
    models = [open_model(tmp_path / name) for name in ("b", "c", "d")]
    spaces = [model.manifest["cache"]["spaces"] for model in models]
    assert [len(each) for each in spaces] == [3, 3, 1]
    assert len({*spaces[0]}) == 3
    assert spaces[2] == spaces[0][:1]
    assert models[0].fingerprint == models[1].fingerprint != models[2].fingerprint


@pytest.mark.slow
def test_shards_make_the_same_classes(update, run, all_catalog, tmp_path):
    assert run("prepare", f"--catalog={all_catalog}", f"--out={tmp_path / 'shards'}").code == 0
    told = update(catalog=tmp_path / "shards")
    assert told.code == 0
    assert open_model(tmp_path / "next").classes[-1].taxon_id == CARDUI


@pytest.fixture
def with_retired(update, catalog_of, base, tmp_path) -> Path:
    """A release that gave up a taxon."""
    wanted = of_taxa(IO, URTICAE, NAPI, *NEW, earlier=base.folder, retire_absent=True)
    told = update(catalog=catalog_of(wanted))
    assert told.code == 0
    assert any("1 retired" in line for line in told.lines)
    return tmp_path / "next"


@pytest.mark.slow
def test_a_retired_class_is_kept_and_never_answered(
    with_retired, update, run, base, all_catalog, tmp_path, capsys
):
    model = open_model(with_retired)
    [retired] = [c.class_id for c in model.classes if not c.active]
    assert model.classes[retired].taxon_id == RAPAE
    loaded = keras.saving.load_model(with_retired / "model.keras", compile=False, safe_mode=True)
    pixels = np.random.default_rng(0).uniform(0, 255, (40, 32, 32, 3)).astype(np.float32)
    probabilities = np.asarray(loaded(pixels))
    assert (probabilities[:, retired] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, 1e-5)
    before = head_of(base.folder)[retired]
    assert (head_of(with_retired)[retired] == before).all()

    photo = tmp_path / "rapae.png"
    photo.write_bytes(photograph(RAPAE, 0))
    assert main(["predict", f"--model={with_retired}", "--format=json", "--top=9", str(photo)]) == 0
    assert "Pieris rapae" not in capsys.readouterr().out
    results = tmp_path / "results"
    catalog = f"--catalog={all_catalog}"
    assert run("evaluate", f"--model={with_retired}", catalog, f"--out={results}").code == 0
    found = json.loads((results / "results.json").read_text())
    assert found["model"]["fingerprint"] == model.fingerprint
    answers = model.recognizer()
    assert set(answers.class_taxon_ids) == {IO, URTICAE, NAPI, *NEW}
    assert answers.score(pixels[:2]).shape == (2, 5)

    # Where its photographs come again it is as it was.
    told = update("--epochs=0", model=with_retired, out=tmp_path / "later")
    assert told.code == 0
    assert any("1 returned" in line or "1 back" in line for line in told.lines)
    again = open_model(tmp_path / "later")
    assert all(c.active for c in again.classes)
    assert (head_of(tmp_path / "later")[retired] == before).all()


@pytest.mark.slow
def test_a_bundle_without_the_retired_class(with_retired, run, catalog_of, tmp_path):
    catalog = catalog_of(of_taxa(IO, URTICAE, NAPI, *NEW))
    out = tmp_path / "bundles"
    told = run("export", f"--model={with_retired}", f"--catalog={catalog}", f"--out={out}",
               "--quantize=int8,float32")  # fmt: skip
    assert told.code == 0, told.lines
    for quantization in ("int8", "float32"):
        bundle = out / quantization
        assert json.loads((bundle / "bundle.json").read_text())["output"]["shape"] == [1, 5]
        assert len((bundle / "labels.txt").read_text().splitlines()) == 5
        for path in bundle.rglob("*"):
            if path.suffix in (".csv", ".txt", ".json", ".md"):
                assert "Pieris rapae" not in path.read_text(), path


def parent_without(base: Model, tmp_path: Path, *names: str) -> Path:
    """A copy of the first release without some of its files."""
    copy = tmp_path / "earlier"
    copy.mkdir()
    for path in base.folder.iterdir():
        if path.name not in names:
            (copy / path.name).write_bytes(path.read_bytes())
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--keep=distill",), ("--epochs=0",)], ids=str)
def test_a_parent_of_an_earlier_version(update, base, catalog_of, tmp_path, flags):
    """It has neither what it was trained on, nor a release, nor a lineage."""
    parent = parent_without(base, tmp_path, "photographs.csv", "trained_on.parquet", "RELEASE.md")
    manifest = json.loads((parent / "model.json").read_text())
    for field in ("parent", "lineage", "release"):
        del manifest[field]
    (parent / "model.json").write_text(json.dumps(manifest))
    catalog = catalog_of(of_taxa(*NEW, IO))
    told = update(*flags, "--max_regression=100", model=parent, catalog=catalog)
    assert told.code == 0, told.lines
    made = open_model(tmp_path / "next").manifest
    assert made["kept"] == ("none" if "--epochs=0" in flags else "distill")
    assert [r["version"] for r in made["lineage"]] == ["1"]
    trained_on = read_trained_on(tmp_path / "next")
    assert trained_on is not None
    # Without a refit the row of the old one stays as it is.
    old = {} if "--epochs=0" in flags else {IO: 4}
    assert trained_on.photographs == {**old, ATALANTA: 4, CARDUI: 4}


def test_a_parent_of_another_kind(update, base, tmp_path):
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    parent = parent_without(base, tmp_path, "model.keras")
    keras.Model(inputs, keras.layers.Dense(4, "softmax")(pooled)).save(parent / "model.keras")
    told = update(model=parent)
    assert (told.code, told.last) == (
        2, f"taxonvision: {parent} is no backbone with a head; train anew",
    )  # fmt: skip
    assert not list(tmp_path.glob("next*"))


def test_nothing_to_learn_from(update, catalog_of, tmp_path):
    catalog = catalog_of(of_taxa(*NEW, numbers=(4, 5, 6, 7)))
    told = update(catalog=catalog)
    assert (told.code, told.lines) == (
        2, [f"taxonvision: {catalog} has no photographs in the split train to learn from"],
    )  # fmt: skip
    assert not list(tmp_path.glob("next*"))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_stands_there_stays(update, tmp_path, kind):
    place = tmp_path / "next"
    mine = place
    if kind == "folder":
        place.mkdir()
        mine = place / "mine"
    mine.write_text("mine")
    told = update()
    assert told.code == 2
    assert told.lines == [
        f"taxonvision: {place} exists and was not made by this command with these flags and "
        "inputs; choose another --out or add --overwrite"
    ]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--epochs=-1", "--epochs=-1"),
        ("--replay_photos=0", "--replay_photos=0"),
        ("--keep=some", "--keep=some"),
        ("--max_regression=101", "--max_regression=101"),
        ("--views=0", "--views=0"),
        ("--strategy=tpu", "no TPU was found as --tpu=local"),
        ("--changes=/no/such/table.csv", "/no/such/table.csv"),
        ("--label_smoothing=0.1 --tree_smoothing=10", "exclude each other; choose one"),
    ],
)
def test_refused_in_one_line(update, tmp_path, flags, message):
    told = update(*flags.split())
    assert told.code == 2
    [line] = told.lines
    assert message in line
    assert not list(tmp_path.glob("next*"))
