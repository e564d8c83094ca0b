from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from taxonvision.catalog.catalog import open_catalog
from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras
from taxonvision.storage import Recipe

load_keras()

from taxonvision.models.directory import open_model  # noqa: E402
from taxonvision.training.head import HeadOptions  # noqa: E402
from taxonvision.training.train import TrainOptions, train  # noqa: E402

TINY = TrainOptions(
    backbone="mobilenet_v2", pretrained=False, image_size=32, head=HeadOptions(epochs=2)
)


def catalog_of(tmp_path, splits):
    """A catalog with the classes and splits of `splits`: file to (class, split)."""
    root = tmp_path / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    for file in splits:
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(root / file)
    with (tmp_path / "labels.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "class", "split"])
        writer.writerows([file, *row] for file, row in splits.items())
    folder = FolderOptions(labels=tmp_path / "labels.csv")
    ingest(
        lambda staging: stage_folder(staging, root, folder),
        "folder",
        IngestOptions(),
        tmp_path / "catalog",
        Recipe("ingest"),
    )
    return open_catalog(tmp_path / "catalog")


@pytest.mark.slow
def test_any_backbone_with_a_head_for_the_classes(tmp_path):
    splits = {"1.png": ("fox", "train"), "2.png": ("wolf", "train"), "3.png": ("fox", "val")}
    catalog = catalog_of(tmp_path, splits)
    train(catalog, TINY, tmp_path / "model", Recipe("train"))
    model = open_model(tmp_path / "model")
    assert model.manifest["backbone"] == {"name": "MobileNetV2", "pretrained": False}
    assert model.manifest["catalog"] == catalog.fingerprint
    assert model.contract.size == 32
    assert 0 <= model.manifest["metrics"]["val_accuracy"] <= 1
    scores = model.recognizer().score(np.zeros((1, 32, 32, 3), np.uint8))
    assert scores.shape == (1, 2)


@pytest.mark.slow
def test_a_class_to_learn_nothing_of_and_no_photographs_to_validate_with(tmp_path, capsys):
    splits = {"1.png": ("fox", "train"), "2.png": ("wolf", "test"), "3.png": ("lynx", "train")}
    train(catalog_of(tmp_path, splits), TINY, tmp_path / "model", Recipe("train"))
    assert "warning: 1 classes have no photograph in the split train" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "model" / "model.json").read_text())["metrics"]
    assert "accuracy" in metrics
    assert not [name for name in metrics if name.startswith("val")]


@pytest.mark.parametrize(
    "splits",
    [
        {"1.png": ("fox", "train"), "2.png": ("fox", "train")},
        {"1.png": ("fox", "test"), "2.png": ("wolf", "test")},
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(tmp_path, splits):
    with pytest.raises(UserError, match="training needs two classes and photographs"):
        train(catalog_of(tmp_path, splits), TINY, tmp_path / "model", Recipe("train"))
    assert not (tmp_path / "model").exists()
