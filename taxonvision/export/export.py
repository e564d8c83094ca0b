"""A model becomes bundles, each checked on the spot against the full model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from taxonvision.catalog.catalog import Catalog
from taxonvision.errors import AlreadyDone, GateRefusedError, UserError
from taxonvision.export.graph import exported_network
from taxonvision.export.inat_rules import check_inat
from taxonvision.export.judge import (
    Named,
    Score,
    judge_golden,
    refuse_broken,
    scored,
    validation_record,
)
from taxonvision.export.mediapipe import with_metadata
from taxonvision.export.options import INAT, LOGITS, MEDIAPIPE, ExportOptions
from taxonvision.export.photographs import calibration_pixels
from taxonvision.export.recipes import RECIPES
from taxonvision.export.region import Region
from taxonvision.export.scenes import fit_threshold, moved
from taxonvision.export.source import Source, open_source
from taxonvision.export.write_bundle import Compressed, write_bundle
from taxonvision.models.directory import Model
from taxonvision.models.tflite import to_tflite
from taxonvision.progress import say
from taxonvision.runtime.bundle import MANIFEST, check_golden, open_bundle
from taxonvision.runtime.probabilities import probabilities_of
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.storage import Recipe, check_place, publish


def export(
    model: Model,
    catalog: Catalog,
    region: Region | None,
    options: ExportOptions,
    out: Path,
    recipes: Mapping[str, Recipe],
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write one bundle a quantisation, at `out` or, when there are several, at `out/NAME`.

    Args:
        model: the model to compress.
        catalog: where all photographs come from.
        region: the taxa that stay; None: all.
        options: how.
        out: where.
        recipes: how each bundle is made, by the name of the quantisation.
        overwrite: replace what stands there.

    Returns:
        The bundles that were written now. Those made before are told and left.

    Raises:
        AlreadyDone: all of them were made before.
        UserError: the model, the catalog or an option does not allow it, or an output stands there
            already; the sentence says which.
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
    source = open_source(model, catalog, region, options)
    calibration = np.empty(0)
    if "int8" in pending:
        calibration = calibration_pixels(
            catalog, source.contract, options.calibration_photographs, options.seed
        )
    graphs: dict[str, bytes] = {}
    for name, place in pending.items():
        # int8 is made of a graph that reads float32, whatever its own input.
        graph_input = "float32" if name == "int8" else options.input_of(name)
        if graph_input not in graphs:
            graphs[graph_input] = _graph(source, options, graph_input)
        with publish(place, MANIFEST, recipes[name], overwrite=overwrite) as partial:
            content = RECIPES[name](graphs[graph_input], calibration, options.input_of(name))
            if options.profile == MEDIAPIPE:
                content = _described(content, source, options.input_of(name))
            compressed = _compressed(source, options, name, content)
            write_bundle(partial, source, options, compressed, recipes[name])
            _check_as_a_client(partial, compressed, options)
    return list(pending.values())


def _places(options: ExportOptions, out: Path) -> dict[str, Path]:
    if len(options.quantize) == 1:
        return {options.quantize[0]: out}
    if (out / MANIFEST).exists():
        raise UserError(f"{out} is a bundle; choose another --out for several of them")
    return {name: out / name for name in options.quantize}


def _graph(source: Source, options: ExportOptions, input_type: str) -> bytes:
    """The float32 TFLite graph of backbone and head."""
    network = exported_network(source.backbone.model, source.head, options.output_type)
    say("converting to TFLite")
    return to_tflite(network, 1, input_type)


def _described(content: bytes, source: Source, input_type: str) -> bytes:
    """A quantised graph with the metadata that MediaPipe reads."""
    model = source.model
    labels = [model.taxonomy[taxon_id].name for taxon_id in source.head.taxon_ids]
    description = f"Names {len(labels)} taxa; release {model.manifest['version']}."
    return with_metadata(
        content, labels, name=model.name, description=description, input_dtype=input_type
    )


def _compressed(source: Source, options: ExportOptions, recipe: str, content: bytes) -> Compressed:
    """A quantised graph, judged; GateRefusedError where it is another model."""
    graph = TFLiteModel(content, "model.tflite")
    score = _probabilities(graph, options.output_type, source.head.unknown_logit)
    expected, agreement, against = judge_golden(
        recipe, source.golden, source.contract, score, source.score
    )
    this = Named.of(scored(score, source.pixels, f"judging {recipe}"))
    refuse_broken(recipe, against, source.uncompressed, this)
    threshold = moved(source.threshold, this, source.truth)
    if source.scenes is not None:
        threshold = fit_threshold(source.scenes, score, this, source.truth)
    return Compressed(
        quantization=recipe,
        content=content,
        graph=graph,
        golden=list(zip(source.golden, expected, strict=True)),
        agreement=agreement,
        validation=validation_record(source.full, this, source.truth),
        threshold=threshold,
    )


def _probabilities(graph: TFLiteModel, output_type: str, unknown_logit: float | None) -> Score:
    if output_type != LOGITS:
        return graph.run
    return lambda pixels: probabilities_of(graph.run(pixels), unknown_logit)


def _check_as_a_client(folder: Path, compressed: Compressed, options: ExportOptions) -> None:
    """Open the finished bundle as a client does and check it against its own golden photographs."""
    bundle = open_bundle(folder)
    findings = check_golden(bundle, bundle.recognizer())
    if options.profile == INAT:
        scores = np.stack([row for _, row in compressed.golden])
        findings += check_inat(folder / INAT, compressed.graph, scores)
    if findings:
        raise GateRefusedError(f"the bundle contradicts itself: {'; '.join(findings)}")
