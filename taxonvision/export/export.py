"""A model becomes bundles, each checked on the spot against the full model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.catalog.catalog import Catalog
from taxonvision.errors import AlreadyDone, GateRefusedError, UserError
from taxonvision.export.golden import GoldenFile, make_golden_files
from taxonvision.export.recipes import RECIPES
from taxonvision.export.write_bundle import Agreement, write_bundle
from taxonvision.models.classifier import only
from taxonvision.models.directory import Model
from taxonvision.models.tflite import to_tflite
from taxonvision.photograph import read_upright
from taxonvision.progress import say
from taxonvision.runtime.bundle import MANIFEST, check_golden, open_bundle
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.storage import Recipe, check_place, publish
from taxonvision.taxonomy.classes import active_ids, retired_ids


@dataclass(frozen=True)
class Limits:
    """How far a golden photograph's scores may be from the full model's before a bundle is refused.

    Attributes:
        share: no score may move by more than this share of the full model's best score.
        margin: a name must stay the same where the full model's best score is further than this
            above its second.
    """

    share: float
    margin: float


LIMITS = {
    "float32": Limits(0.002, 0.002),
    "float16": Limits(0.05, 0.05),
    "dynamic": Limits(0.6, 0.5),
    "int8": Limits(0.6, 0.5),
}
"""A score near one half moves far when its logit moves a little, so the limits for 8 bits are wide:
they catch a broken graph, not a slightly worse one. `taxonvision compare` measures the latter."""


@dataclass(frozen=True)
class ExportOptions:
    """How bundles are made.

    Attributes:
        quantize: names of recipes, each of which gives one bundle.
        input_type: uint8 or float32; None: uint8 for int8, float32 for the others.
        calibration_photographs: how many photographs of the split train give int8 its ranges.
        seed: draws calibration and golden photographs.
    """

    quantize: Sequence[str]
    input_type: str | None = None
    calibration_photographs: int = 100
    seed: int = 0


def export(
    model: Model,
    catalog: Catalog,
    options: ExportOptions,
    out: Path,
    recipes: Mapping[str, Recipe],
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write one bundle a quantisation, at `out` or, when there are several, at `out/NAME`.

    Args:
        model: the model to compress.
        catalog: where calibration and golden photographs come from.
        options: how.
        out: where.
        recipes: how each bundle is made, by the name of the quantisation.
        overwrite: replace what stands there.

    Returns:
        The bundles that were written now. Those made before are told and left.

    Raises:
        AlreadyDone: all of them were made before.
        UserError: the split train is empty, or an output stands there already.
        GateRefusedError: a compressed model does not agree with the full one.
    """
    places = _places(options, out)
    pending = dict(places)
    for name, place in places.items():
        try:
            check_place(place, MANIFEST, recipes[name], overwrite=overwrite)
        except AlreadyDone:
            del pending[name]
    if not pending:
        raise AlreadyDone(str(out))
    for name in [name for name in places if name not in pending]:
        say(f"already done: {places[name]}")
    keras_model = model.load()
    full = model.recognizer_of(keras_model)
    if retired_ids(model.classes):
        keras_model = only(keras_model, active_ids(model.classes))
    calibration = _calibration(catalog, model, options) if "int8" in pending else np.empty(0)
    golden = make_golden_files(catalog, model.contract, full.score, options.seed)
    graphs: dict[str, bytes] = {}
    for name, place in pending.items():
        input_type = options.input_type or ("uint8" if name == "int8" else "float32")
        graph_input = "float32" if name == "int8" else input_type
        if graph_input not in graphs:
            say("converting to TFLite")
            graphs[graph_input] = to_tflite(keras_model, 1, graph_input)
        with publish(place, MANIFEST, recipes[name], overwrite=overwrite) as partial:
            content = RECIPES[name](graphs[graph_input], calibration, input_type)
            compressed = TFLiteModel(content, "model.tflite")
            expected, agreement = _judge(name, compressed, golden, full)
            write_bundle(
                partial, model, content, compressed, name,
                list(zip(golden, expected, strict=True)), agreement, recipes[name],
            )  # fmt: skip
            _check_as_a_client(partial)
    return list(pending.values())


def _places(options: ExportOptions, out: Path) -> dict[str, Path]:
    if len(options.quantize) == 1:
        return {options.quantize[0]: out}
    if (out / MANIFEST).exists():
        raise UserError(f"{out} is a bundle; choose another --out for several of them")
    return {name: out / name for name in options.quantize}


def _calibration(catalog: Catalog, model: Model, options: ExportOptions) -> np.ndarray:
    """Photographs of the split train, the classes in turn, as uint8 [n, S, S, 3]."""
    photos = catalog.photos("train")
    if not len(photos):
        raise UserError(f"{catalog.folder} has no photograph in the split train to calibrate with")
    shuffled = np.random.default_rng(options.seed).permutation(len(photos))
    turn = np.empty(len(photos), np.int64)
    seen: dict[int, int] = {}
    for index in shuffled.tolist():
        class_id = int(photos.class_ids[index])
        turn[index] = seen[class_id] = seen.get(class_id, -1) + 1
    in_turn = shuffled[np.argsort(turn[shuffled], kind="stable")]
    chosen = photos.take(in_turn[: options.calibration_photographs])
    return np.concatenate(list(model.contract.read_batches(chosen.paths, 32)))


def _judge(
    name: str, compressed: TFLiteModel, golden: Sequence[GoldenFile], full: Recognizer
) -> tuple[np.ndarray, Agreement]:
    """Scores of the compressed model on the golden files, and how they compare with the full one's.

    Raises GateRefusedError when a score is too far off, or a name changes that was no close call.
    """
    pixels = np.stack([full.contract.apply(read_upright(file.content)) for file in golden])
    expected = compressed.run(pixels)
    reference = full.score(pixels)
    difference = np.abs(expected - reference).max(axis=1)
    same = expected.argmax(axis=1) == reference.argmax(axis=1)
    second, best = np.sort(reference, axis=1)[:, -2:].T
    limits = LIMITS[name]
    moved = ~(difference <= limits.share * best)  # also where a score is not a number
    renamed = ~same & (best - second > limits.margin)
    if (moved | renamed).any():
        raise GateRefusedError(
            f"the {name} model does not agree with the full one: scores differ by up to "
            f"{difference.max():.3f} and {int(same.sum())} of {len(golden)} golden photographs "
            "keep their name; no bundle was written"
        )
    return expected, Agreement(len(golden), int(same.sum()), float(difference.max()))


def _check_as_a_client(folder: Path) -> None:
    """Open the finished bundle as a client does and check it against its own golden photographs."""
    bundle = open_bundle(folder)
    findings = check_golden(bundle, bundle.recognizer())
    if findings:
        raise GateRefusedError(f"the bundle contradicts itself: {'; '.join(findings)}")
