"""What many tests share: small catalogs, and one small trained model with its bundles."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_features(tmp_path_factory):
    """Features are kept among the tests, and not in the cache of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def eager():
    """Tracing a step takes longer than the few steps of a test."""
    from taxonvision.models.engine import load_keras

    load_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _run(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taxonvision", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="session")
def run_taxonvision():
    """Runs the real command in a process of its own."""
    return _run


@dataclass(frozen=True)
class Workshop:
    """The folders of a small quick start that ran to its end, and what it printed."""

    work: Path
    stdout: str
    stderr: str

    @property
    def synth(self) -> Path:
        return self.work / "synth"

    @property
    def catalog(self) -> Path:
        return self.work / "catalog"

    @property
    def model(self) -> Path:
        return self.work / "model"

    def bundle(self, quantization: str = "int8") -> Path:
        return self.work / "bundles" / quantization

    def results(self, name: str = "full") -> Path:
        return self.work / "results" / name


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    """A quick start with six species, run once for all tests that need a trained model."""
    work = tmp_path_factory.mktemp("quickstart")
    done = _run("quickstart", f"--workdir={work}", "--taxa=6", "--photos_per_taxon=12")
    assert done.returncode == 0, done.stderr
    return Workshop(work, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory) -> Path:
    """Four classes in two genera, six small photographs each: noise of one colour a class."""
    import numpy as np
    from PIL import Image

    root = tmp_path_factory.mktemp("photos")
    colors = {
        "Aglais/Aglais io": (200, 40, 40),
        "Aglais/Aglais urticae": (200, 140, 40),
        "Pieris/Pieris rapae": (40, 160, 60),
        "Pieris/Pieris napi": (40, 60, 200),
    }
    rng = np.random.default_rng(7)
    for folder, color in colors.items():
        (root / folder).mkdir(parents=True)
        for number in range(6):
            noise = rng.normal(0, 25, (48, 64, 3))
            pixels = (np.array(color) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    rows = [
        (path.relative_to(root).as_posix(), path.parent.name, split)
        for folder in colors
        for path, split in zip(
            sorted((root / folder).iterdir()), ["train"] * 3 + ["val"] + ["test"] * 2, strict=True
        )
    ]
    lines = ["file,class,split", *(",".join(row) for row in rows)]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def small_catalog(photo_folder, tmp_path_factory) -> Path:
    """A catalog of `photo_folder` with its splits."""
    from taxonvision.catalog.ingest import IngestOptions, ingest
    from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
    from taxonvision.storage import Recipe
    from taxonvision.tables import write_csv

    out = tmp_path_factory.mktemp("catalog") / "catalog"
    tables = tmp_path_factory.mktemp("tables")
    write_csv(
        tables / "taxa.csv",
        ("class", "taxon_id", "scientific_name", "common_name", "common_name_de"),
        [
            ("Aglais io", 3, "Aglais io", "peacock", "Tagpfauenauge"),
            ("Aglais urticae", 4, "Aglais urticae", "small tortoiseshell", "Kleiner Fuchs"),
            ("Pieris rapae", 5, "Pieris rapae", "small white", "Kleiner Kohlweißling"),
            ("Pieris napi", 6, "Pieris napi", "green-veined white", ""),
        ],
    )
    write_csv(
        tables / "taxonomy.csv",
        ("taxon_id", "parent_taxon_id", "rank_level", "rank", "name"),
        [
            (1, "", 20, "genus", "Aglais"), (2, "", 20, "genus", "Pieris"),
            (3, 1, 10, "species", "Aglais io"), (4, 1, 10, "species", "Aglais urticae"),
            (5, 2, 10, "species", "Pieris rapae"), (6, 2, 10, "species", "Pieris napi"),
        ],
    )  # fmt: skip
    folder = FolderOptions(
        labels=photo_folder / "labels.csv",
        taxa=tables / "taxa.csv",
        taxonomy=tables / "taxonomy.csv",
        license="CC0-1.0",
        attribution="the tests",
    )
    ingest(
        lambda staging: stage_folder(staging, photo_folder, folder),
        "folder",
        IngestOptions(),
        out,
        Recipe("ingest"),
    )
    return out


@pytest.fixture(scope="session")
def small_model(small_catalog, tmp_path_factory) -> Path:
    """A model directory whose network is tiny: 32 × 32 pixels, one convolution, a fitted head."""
    from small_models import features_of, small_backbone, write_small_model

    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.dataset.balance import Sampling

    catalog, backbone = open_catalog(small_catalog), small_backbone()

    from taxonvision.training.feeds import FeatureFeed, Features
    from taxonvision.training.fit_state import FitOptions
    from taxonvision.training.head import Head, fit_head
    from taxonvision.training.losses import Loss
    from taxonvision.training.optimizers import OptimizerOptions
    from taxonvision.training.signals import Notice
    from taxonvision.training.stages import Stage

    photos = catalog.photos("train")
    values = features_of(backbone, photos)
    train, none = Features(values, photos.class_ids), Features(values[:0], photos.class_ids[:0])
    head, outcome = fit_head(
        FeatureFeed(train, none, 4, Sampling(), 0),
        Head.zeros(values.shape[1], 4),
        Loss(),
        FitOptions([Stage("head", 0, 60)], OptimizerOptions(learning_rate=0.8, weight_decay=0)),
        Notice(),
        tmp_path_factory.mktemp("fit"),
    )
    out = tmp_path_factory.mktemp("model") / "model"
    write_small_model(
        out, "four butterflies", backbone, head.kernel, head.bias, catalog, photos,
        outcome.history,
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def small_bundle(small_model, small_catalog, tmp_path_factory) -> Path:
    """The int8 bundle of the small model."""
    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.export.export import export
    from taxonvision.export.options import ExportOptions
    from taxonvision.models.directory import open_model
    from taxonvision.storage import Recipe

    out = tmp_path_factory.mktemp("bundle") / "bundle"
    export(
        open_model(small_model),
        open_catalog(small_catalog),
        None,
        ExportOptions(["int8"]),
        out,
        {"int8": Recipe("export")},
    )
    return out
