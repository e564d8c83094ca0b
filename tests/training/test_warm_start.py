from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_train  # noqa: F401 - brings the backbone

from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
from taxonvision.cli.main import main
from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras
from taxonvision.storage import Recipe
from taxonvision.tables import write_csv
from taxonvision.taxonomy.classes import TaxonClass

load_keras()

from taxonvision.models.classifier import take_apart  # noqa: E402
from taxonvision.models.directory import open_model  # noqa: E402
from taxonvision.training.network import NetworkOptions, start_backbone  # noqa: E402
from taxonvision.training.warm_start import WarmStart, read_warm_start  # noqa: E402


def classes_of(*taxon_ids):
    return [
        TaxonClass(number, taxon_id, f"taxon {taxon_id}", "species", "active", "1")
        for number, taxon_id in enumerate(taxon_ids)
    ]


def parts_of(folder):
    """The weights of the backbone, and the head's rows by taxon id."""
    model = open_model(folder)
    backbone, kernel, bias = take_apart(model.load())
    rows = {c.taxon_id: (*kernel[:, c.class_id], bias[c.class_id]) for c in model.classes}
    return backbone.get_weights(), rows


@pytest.fixture(scope="module")
def first(small_catalog, tmp_path_factory) -> Path:
    """A model of four taxa, its layers all trained."""
    out = tmp_path_factory.mktemp("first") / "model"
    flags = ["--backbone=tiny", "--nopretrained", "--train=all", "--epochs=2", "--batch_size=4"]
    flags += ["--nofreeze_batch_norm", "--learning_rate=0.1", "--augment=none"]
    assert main(["train", f"--catalog={small_catalog}", f"--out={out}", *flags]) == 0
    return out


@pytest.fixture(scope="module")
def grown_catalog(photo_folder, tmp_path_factory) -> Path:
    """Three of the four taxa, one more before them, and their order turned round."""
    folder = tmp_path_factory.mktemp("grown")
    names = {"Pieris napi": ("A", 6), "Aglais urticae": ("D", 4), "Aglais io": ("C", 3)}
    for name, (new, _) in names.items():
        shutil.copytree(photo_folder / name.partition(" ")[0] / name, folder / "photos" / new)
    shutil.copytree(photo_folder / "Pieris" / "Pieris rapae", folder / "photos" / "B")
    write_csv(
        folder / "taxa.csv",
        ("class", "taxon_id", "scientific_name"),
        [*((new, taxon, name) for name, (new, taxon) in names.items()), ("B", 99, "Zerynthia")],
    )
    ingest(
        lambda staging: stage_folder(
            staging, folder / "photos", FolderOptions(taxa=folder / "taxa.csv")
        ),
        "folder",
        IngestOptions(),
        folder / "catalog",
        Recipe("ingest"),
    )
    return folder / "catalog"


def test_rows_go_by_taxon_and_not_by_position():
    rows = {taxon: (np.full(2, taxon, np.float32), np.float32(-taxon)) for taxon in (30, 10, 20)}
    warm = WarmStart("f", "tiny", False, 32, [], rows)
    classes = classes_of(20, 40, 30)
    head = warm.head(classes)
    assert head.kernel.tolist() == [[20, 0, 30], [20, 0, 30]]
    assert head.bias.tolist() == [-20, 0, -30]
    assert warm.shared(classes) == 2
    assert warm.shared(classes_of(40)) == 0


@pytest.mark.slow
def test_the_command_starts_from_a_model(first, grown_catalog, tmp_path, capsys):
    out = tmp_path / "second"
    flags = [f"--init_from={first}", "--train=all", "--epochs=1", "--learning_rate=0"]
    assert main(["train", f"--catalog={grown_catalog}", f"--out={out}", *flags]) == 0
    assert f"starting from {first}, which knows 3 of the 4 taxa\n" in capsys.readouterr().err
    (before, old), (after, new) = parts_of(first), parts_of(out)
    # Its statistics are frozen: training starts from weights.
    assert all((one == other).all() for one, other in zip(before, after, strict=True))
    assert len(new) == 4
    for taxon in (3, 4, 6):
        assert new[taxon] == old[taxon]
    assert not np.any(new[99])
    assert [c.taxon_id for c in open_model(first).classes] != [
        c.taxon_id for c in open_model(out).classes
    ]
    assert open_model(out).manifest["initial_model"] == open_model(first).fingerprint


@pytest.mark.slow
def test_a_head_alone_starts_from_a_model_too(first, small_catalog, tmp_path):
    out = tmp_path / "second"
    flags = [f"--init_from={first}", "--epochs=1", "--learning_rate=0"]
    assert main(["train", f"--catalog={small_catalog}", f"--out={out}", *flags]) == 0
    (before, old), (after, new) = parts_of(first), parts_of(out)
    assert all((one == other).all() for one, other in zip(before, after, strict=True))
    for taxon, row in old.items():
        np.testing.assert_allclose(new[taxon], row, atol=1e-5)


@pytest.mark.slow
def test_weights_of_another_network_are_refused(small_model):
    """It calls itself tiny too, but has no normalisation."""
    with pytest.raises(UserError, match=r"^the weights do not fit tiny: "):
        start_backbone(NetworkOptions(), read_warm_start(small_model))


@pytest.mark.slow
def test_a_model_brings_its_own_backbone(first, small_catalog, tmp_path, capsys):
    flags = [f"--init_from={first}", "--backbone=tiny", f"--out={tmp_path / 'second'}"]
    assert main(["train", f"--catalog={small_catalog}", *flags]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == ("taxonvision: --init_from brings its own backbone; leave out --backbone")
    assert list(tmp_path.iterdir()) == []
