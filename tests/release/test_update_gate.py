"""`update` where old taxa are at stake: what guards them, and what the gate does with the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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
    Wanted,
    of_taxa,
)

from taxonvision.cli.main import main
from taxonvision.models.classifier import take_apart
from taxonvision.models.directory import open_model
from taxonvision.models.engine import load_keras
from taxonvision.models.trained_on import read_trained_on

load_keras()


from taxonvision.release import update as module  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]
WRONG = Wanted(dict.fromkeys(OLD_AND_NEW, range(10)), shown_as={IO: NAPI, NAPI: RAPAE, RAPAE: IO})
"""Old taxa are taught under wrong names, and tested under their own."""
FAR = ("--learning_rate=3", "--epochs=6")
"""Until nothing is left of what the parent knew."""


@pytest.fixture
def update(base, tmp_path, capsys) -> Callable[..., tuple[int, list[str]]]:
    """Makes the release after another; its exit code and what it said."""

    def call(
        catalog: Path, *flags: str, model: Path = base.folder, out: Path = tmp_path / "next"
    ) -> tuple[int, list[str]]:
        capsys.readouterr()
        own = [f"--model={model}", f"--catalog={catalog}", f"--out={out}", "--batch_size=8"]
        code = main(["update", *own, f"--cache={tmp_path / 'cache'}", "--epochs=2", *flags])
        return code, capsys.readouterr().err.splitlines()

    return call


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_old_photographs_are_replayed_where_their_features_are_kept(
    update, old_catalog, catalog_of, tmp_path
):
    code, _ = update(old_catalog, "--epochs=0", "--force", out=tmp_path / "b")
    assert code == 0
    # The test split has photographs of old taxa; some that the parent was trained on are held out.
    only_new = catalog_of(Wanted(dict.fromkeys(NEW, range(10)) | dict.fromkeys(OLD, (4, 5, 6, 7))))
    code, told = update(only_new, "--replay_photos=3", model=tmp_path / "b")
    assert code == 0, told
    assert (
        "4 old taxa have no photographs to train on in the catalog: kept features of 12 old "
        "photographs of 4 taxa are replayed"
    ) in told
    model = open_model(tmp_path / "next")
    assert model.manifest["kept"] == "replay"
    assert model.manifest["release"]["gate"]["passed"]
    trained_on = read_trained_on(tmp_path / "next")
    assert trained_on is not None
    assert trained_on.photographs == dict.fromkeys(OLD_AND_NEW, 4)
    assert "12" in (tmp_path / "next" / "RELEASE.md").read_text()
    # More views than were kept are no reason not to replay.
    code, told = update(only_new, "--views=2", model=tmp_path / "b", out=tmp_path / "views")
    assert (code, open_model(tmp_path / "views").manifest["kept"]) == (0, "replay")


def test_without_kept_features_the_parents_opinion_guards(update, catalog_of, tmp_path):
    catalog = catalog_of(Wanted(dict.fromkeys(NEW, range(10)) | dict.fromkeys(OLD, (5, 6, 7))))
    code, told = update(catalog)
    assert code == 0, told
    assert any(line.endswith(": the parent's opinion is held on to") for line in told)
    assert open_model(tmp_path / "next").manifest["kept"] == "distill"
    code, told = update(catalog, "--keep=replay", out=tmp_path / "other")
    assert code == 2
    assert "to replay; name the parent's --cache" in told[-1]
    assert not list(tmp_path.glob("other*"))


def test_how_far_old_rows_drift_with_each_guard(update, base, old_catalog, catalog_of, tmp_path):
    """Distillation keeps the opinion of the old taxa better than nothing does."""
    catalog = catalog_of(Wanted(dict.fromkeys(NEW, range(10)) | dict.fromkeys(OLD, (5, 6))))
    codes = [
        update(catalog, *FAR, f"--keep={how}", "--force", out=tmp_path / how)[0]
        for how in ("distill", "none")
    ]
    assert codes == [0, 0]

    def drift(folder: Path) -> float:
        _, before, _ = take_apart(base.load())
        _, kernel, _ = take_apart(open_model(folder).load())
        moved = kernel[:, :4] - before
        return float(np.square(moved - moved.mean(axis=1, keepdims=True)).sum())

    assert drift(tmp_path / "distill") < drift(tmp_path / "none")
    assert open_model(tmp_path / "none").manifest["kept"] == "none"


def test_imprinted_rows_leave_old_ones_bit_for_bit(update, base, all_catalog, tmp_path):
    code, told = update(all_catalog, "--epochs=0")
    assert code == 0, told
    model = open_model(tmp_path / "next")
    _, before, bias = take_apart(base.load())
    _, kernel, new_bias = take_apart(model.load())
    assert (kernel[:, :4] == before).all()
    assert (new_bias[:4] == bias).all()
    assert (kernel[:, 4:] != 0).any(axis=0).all()
    assert model.manifest["metrics"] == {}
    found = json.loads((tmp_path / "next" / "gate.json").read_text())
    assert found["loss"] == 0
    assert found["new_taxa"]["photographs"] == 10
    assert (tmp_path / "next" / "history.csv").read_text() == "epoch\n"


def test_what_is_refused_lies_beside_and_nothing_is_touched(update, catalog_of, tmp_path):
    out, refused = tmp_path / "next", tmp_path / "next.refused"
    wrong = catalog_of(WRONG)
    code, told = update(wrong, *FAR)
    assert code == 3, "\n".join(told)
    assert not out.exists()
    assert not (tmp_path / "next.partial").exists()
    said = told[-1]
    assert said.startswith("taxonvision: ")
    assert said.endswith(
        f"; {out} stays as it was, the model and its report are in {refused}, --force publishes"
    )
    assert sum("proven to be more than --max_regression" in line for line in told) == 1
    model = open_model(refused)
    gate = model.manifest["release"]["gate"]
    assert (gate["passed"], gate["forced"]) == (False, False)
    assert gate["loss"] > 0.1
    assert gate["reason"] in said
    assert (refused / "RELEASE.md").is_file()
    assert (refused / "release.html").is_file()
    assert not {"checkpoints", ".made_by"} & {path.name for path in refused.iterdir()}
    assert model.load().outputs[0].shape[1] == 6

    # Again: what was set aside is replaced.
    (refused / "RELEASE.md").write_text("old")
    assert update(wrong, *FAR)[0] == 3
    assert (refused / "RELEASE.md").read_text() != "old"
    assert open_model(refused).fingerprint == model.fingerprint

    # By force it is published, and says so.
    code, told = update(wrong, *FAR, "--force")
    assert code == 0
    assert any(line.startswith("published by --force: ") for line in told)
    gate = open_model(out).manifest["release"]["gate"]
    assert (gate["passed"], gate["forced"]) == (False, True)
    assert "Published by force" in (out / "release.html").read_text()


def test_a_good_release_is_not_replaced_by_one_that_is_refused(
    update, all_catalog, catalog_of, tmp_path
):
    assert update(all_catalog, "--epochs=0")[0] == 0
    good = bytes_in(tmp_path / "next")
    assert update(catalog_of(WRONG), *FAR, "--overwrite")[0] == 3
    assert bytes_in(tmp_path / "next") == good
    assert open_model(tmp_path / "next.refused").manifest["version"] == "2"


def test_nobody_elses_folder_is_taken_for_what_was_set_aside(update, catalog_of, tmp_path):
    mine = tmp_path / "next.refused" / "mine"
    mine.parent.mkdir()
    mine.write_text("mine")
    code, told = update(catalog_of(WRONG), *FAR)
    assert code == 2
    assert f"{mine.parent}" in told[-1]
    assert mine.read_text() == "mine"


def test_no_old_taxon_to_judge_by(update, catalog_of, tmp_path):
    code, told = update(catalog_of(of_taxa(*NEW)))
    assert code == 3
    assert told[-1].startswith("taxonvision: whether the old taxa lose could not be judged")
    assert open_model(tmp_path / "next.refused").manifest["release"]["gate"]["judged"] is False


def test_strict_and_the_limit(update, all_catalog, catalog_of, tmp_path):
    code, told = update(all_catalog, "--epochs=0", "--strict")
    assert code == 3
    assert "as --strict asks" in told[-1]
    code, _ = update(all_catalog, "--epochs=0", "--strict", "--max_regression=40")
    assert code == 0
    wrong = catalog_of(WRONG)
    code, _ = update(wrong, *FAR, "--max_regression=100", out=tmp_path / "wrong")
    assert code == 0
    manifest = open_model(tmp_path / "wrong").manifest
    assert manifest["release"]["gate"]["passed"]


@pytest.fixture(scope="module")
def whole(base, all_catalog, tmp_path_factory) -> str:
    """The fingerprint of what an undisturbed run makes."""
    out = tmp_path_factory.mktemp("whole") / "next"
    own = [f"--model={base.folder}", f"--catalog={all_catalog}", f"--out={out}", "--batch_size=8"]
    assert main(["update", *own, "--epochs=2"]) == 0
    return open_model(out).fingerprint


@pytest.mark.parametrize("moment", ["fitted", "written", "about to be published"])
def test_killed_at_any_moment_nothing_is_published(
    update, all_catalog, tmp_path, monkeypatch, moment, whole
):
    assert update(all_catalog, "--epochs=0")[0] == 0
    good = bytes_in(tmp_path / "next")
    names = {
        "fitted": "refit",
        "written": "write_release",
        "about to be published": "remove_unfinished",
    }

    class Killed(BaseException):
        """The process ends here."""

    real = getattr(module, names[moment])

    def killed(*arguments, **options):
        real(*arguments, **options)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, names[moment], killed)
        update(all_catalog, "--overwrite")
    assert bytes_in(tmp_path / "next") == good
    code, _ = update(all_catalog, "--overwrite")
    assert code == 0
    assert open_model(tmp_path / "next").fingerprint == whole


def test_tested_photographs_that_the_parent_knows_are_told_of(
    update, old_catalog, all_catalog, base, tmp_path, monkeypatch, catalog_of
):
    """They would flatter the parent."""
    monkeypatch.setattr("meadow.SPLITS", ("test",) * 2 + ("train",) * 4 + ("val",) + ("test",) * 3)
    code, told = update(catalog_of(of_taxa(*OLD, CARDUI)), "--force")
    assert code == 0
    assert (
        "warning: the parent was trained on 8 or more of the test photographs, which are left out "
        "of the gate; ingest with --splits_from"
    ) in told


def test_taxa_that_were_split_off_are_imprinted(update, old_catalog, catalog_of, tmp_path):
    """Each by its own photographs: their rows begin as copies of one."""
    split = [
        {"kind": "split", "taxon_id": URTICAE, "new_taxon_id": part} for part in (ATALANTA, CARDUI)
    ]
    catalog = catalog_of(of_taxa(IO, RAPAE, NAPI, *NEW, changes=split))
    code, told = update(catalog, "--epochs=0")
    assert code == 0, told
    assert any(line.endswith("version 1: 1 split") for line in told)
    model = open_model(tmp_path / "next")
    _, kernel, _ = take_apart(model.load())
    first, second = (c.class_id for c in model.classes if c.taxon_id in NEW)
    assert (kernel[:, first] != kernel[:, second]).any()
    found = json.loads((tmp_path / "next" / "gate.json").read_text())["new_taxa"]
    assert found["right"] > 5  # of ten; copies would name all of them alike


@pytest.mark.parametrize("flags", [("--epochs=0",), FAR], ids=["imprinted", "fitted"])
def test_a_new_taxon_that_cannot_be_learned_is_told_of(update, catalog_of, flags):
    numbers = dict.fromkeys((*OLD, ATALANTA), range(10)) | {CARDUI: range(4, 10)}
    code, told = update(catalog_of(Wanted(numbers)), "--force", *flags)
    assert code == 0
    assert (
        "warning: 1 class without photographs in the split train cannot be learned: Vanessa cardui"
    ) in told


def test_early_stopping_needs_photographs_to_validate_with(update, catalog_of, tmp_path):
    catalog = catalog_of(Wanted(dict.fromkeys(OLD_AND_NEW, (0, 1, 2, 3, 5, 6))))
    code, told = update(catalog, "--early_stopping=1")
    assert (code, told) == (
        2,
        [
            f"taxonvision: {catalog} has no photographs in the split val, which --early_stopping "
            "needs"
        ],
    )
    assert update(catalog, out=tmp_path / "other")[0] == 0


def test_the_refused_release_is_not_its_own_parent(update, catalog_of, tmp_path):
    assert update(catalog_of(WRONG), *FAR)[0] == 3
    refused = tmp_path / "next.refused"
    before = bytes_in(refused)
    code, told = update(catalog_of(of_taxa(*OLD_AND_NEW)), model=refused)
    assert (code, len(told)) == (2, 1)
    assert told[0].startswith(f"taxonvision: {refused}, where the release would go if it was")
    assert bytes_in(refused) == before


def test_flags_that_change_nothing_are_told_of(update, all_catalog):
    code, told = update(all_catalog, "--epochs=0", "--label_smoothing=0.1", "--sampling=0.5")
    assert code == 0
    assert told[0] == (
        "warning: no effect of --batch_size, --label_smoothing, --sampling with --epochs=0, which "
        "fits nothing"
    )


def test_a_model_whose_classes_do_not_fit_its_head_is_refused(update, base, all_catalog, tmp_path):
    damaged = Path(shutil.copytree(base.folder, tmp_path / "damaged"))
    lines = (damaged / "classes.csv").read_text().splitlines()
    (damaged / "classes.csv").write_text("\n".join(lines[:-1]) + "\n")
    code, told = update(all_catalog, model=damaged)
    assert code == 2
    assert told[-1] == (
        f"taxonvision: {damaged} has 4 rows in its head and 3 classes; take it from a copy, or "
        "train anew"
    )
