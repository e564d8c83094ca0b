"""What bundles are made of: the model, cut and factorised, and the photographs that judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from taxonvision.catalog.catalog import Catalog
from taxonvision.errors import UserError
from taxonvision.evaluation.unknown import FEWEST, say_too_few
from taxonvision.export.factorise import (
    check_rank,
    factorise,
    most_rank,
    with_common_logit,
)
from taxonvision.export.golden import GoldenFile, make_golden_files
from taxonvision.export.graph import exported_network
from taxonvision.export.head import ExportHead
from taxonvision.export.inat import SIZE as INAT_SIZE
from taxonvision.export.judge import Named, Score, scored
from taxonvision.export.options import AUTO_RANK, INAT, PROBABILITIES, ExportOptions
from taxonvision.export.photographs import Drawn, draw
from taxonvision.export.refit_factors import refit, smallest_rank
from taxonvision.export.region import Region
from taxonvision.export.scenes import (
    Scenes,
    Threshold,
    of_the_model,
    open_scenes,
    with_unknown_logit,
)
from taxonvision.features.store import FeatureStore
from taxonvision.models.backbones import Backbone
from taxonvision.models.directory import Model
from taxonvision.models.parts import parts_of
from taxonvision.models.resized import behind_a_resize
from taxonvision.progress import say
from taxonvision.runtime.contract import Contract
from taxonvision.taxonomy.classes import active_ids
from taxonvision.text import several

_FITTED_ON = 10_000
"""Photographs that a factorised head is fitted on, at most."""


@dataclass(frozen=True)
class Source:
    """What all bundles of one export share.

    Attributes:
        model: the full model.
        contract: how photographs become the input.
        backbone: from photographs to features.
        head: from features to logits, as it is exported.
        region: to which it was cut, None: to none.
        golden: the golden files.
        truth: int64 [n], the right outputs of the validation photographs.
        pixels: theirs, uint8 [n, S, S, 3].
        full: what the full model calls them, of the taxa that stay.
        uncompressed: what backbone and head call them before they are quantised.
        score: by backbone and head, run by Keras.
        scenes: without organisms, to fit a threshold with; None: that is `threshold`.
        threshold: the model's own.
    """

    model: Model
    contract: Contract
    backbone: Backbone
    head: ExportHead
    region: Region | None
    golden: Sequence[GoldenFile]
    truth: np.ndarray
    pixels: np.ndarray
    full: Named
    uncompressed: Named
    score: Score
    scenes: Scenes | None
    threshold: Threshold


def open_source(
    model: Model, catalog: Catalog, region: Region | None, options: ExportOptions
) -> Source:
    """Open the model, cut and factorise its head, draw photographs and name them.

    Raises UserError where the model, the catalog or an option does not allow it.
    """
    trained, kernel, bias = parts_of(model)
    backbone, contract = _sized(trained, model.contract, options)
    active = active_ids(model.classes)
    taxon_ids = tuple(model.classes[number].taxon_id for number in active)
    if len(active) < len(bias):
        kernel, bias = kernel[:, active], bias[active]
    whole = ExportHead(taxon_ids, (kernel,), bias)
    positions = list(range(len(bias))) if region is None else region.positions(taxon_ids)
    if isinstance(options.head_rank, int):
        check_rank(options.head_rank, len(kernel), len(positions))
    store = FeatureStore(options.cache, trained, model.contract)

    def held_out(head: ExportHead) -> Drawn:
        count, seed = options.validation_photographs, options.seed
        return draw(catalog, "val", head.taxon_ids, count, seed, store)

    in_factors = whole
    validation: Drawn | None = None
    if options.head_rank is not None:
        validation = held_out(whole)
        in_factors = _in_factors(whole, options.head_rank, catalog, options, store, validation)
    if region is not None:
        whole, in_factors = _cut(whole, in_factors, positions)
    if validation is None or region is not None:
        validation = held_out(whole)
    full = whole.tempered(model.temperature)
    head = full if in_factors is whole else in_factors.tempered(model.temperature)
    full = replace(full, unknown_logit=None if region else model.unknown_logit)
    known = None if region or options.negatives else of_the_model(model)
    scenes = None
    if known is not None:
        head = replace(head, unknown_logit=model.unknown_logit)
    elif options.negatives and len(validation) < FEWEST:
        raise UserError(
            f"--negatives needs {FEWEST} validation photographs beside them, which show a taxon of "
            f"the bundle; there are {len(validation)}"
        )
    elif len(validation) >= FEWEST:
        scenes = open_scenes(options.negatives, contract, options.seed)
        head = with_unknown_logit(head, validation.features, validation.truth, scenes, backbone)
    else:
        say_too_few(several(len(validation), "validation photograph"), "the bundle")
    score = _score(exported_network(backbone.model, head, PROBABILITIES))
    pixels = validation.pixels(contract, "reading validation photographs")
    if backbone is not trained:  # it sees other pixels
        uncompressed = Named.of(scored(score, pixels, "naming validation photographs"))
    else:
        uncompressed = Named.of(head.probabilities(validation.features))
    return Source(
        model=model,
        contract=contract,
        backbone=backbone,
        head=head,
        region=region,
        golden=make_golden_files(catalog, contract, score, options.seed, options.licenses),
        truth=validation.truth,
        pixels=pixels,
        full=Named.of(full.probabilities(validation.features)),
        uncompressed=uncompressed,
        score=score,
        scenes=None if head.unknown_logit is None else scenes,
        threshold=known or Threshold(),
    )


def _sized(
    backbone: Backbone, contract: Contract, options: ExportOptions
) -> tuple[Backbone, Contract]:
    """Backbone and contract of the size that the profile asks for.

    UserError for a network that would have to be given less than it was trained with.
    """
    if options.profile != INAT or contract.size == INAT_SIZE:
        return backbone, contract
    if contract.size > INAT_SIZE:
        raise UserError(
            f"the model reads {contract.size} pixels and cannot run at {INAT_SIZE}, which "
            f"--profile=inat needs; train with --image_size={INAT_SIZE}"
        )
    network = behind_a_resize(backbone.model, INAT_SIZE)
    return (
        replace(backbone, model=network, image_size=INAT_SIZE),
        Contract(INAT_SIZE, contract.crop_ratio),
    )


def _in_factors(
    whole: ExportHead,
    rank: int | str,
    catalog: Catalog,
    options: ExportOptions,
    store: FeatureStore,
    validation: Drawn,
) -> ExportHead:
    """The head in two factors; UserError where they cannot be had.

    They are those of all taxa, whatever the region: its bundle then orders taxa as the full one.
    """
    if rank == AUTO_RANK and len(validation) < FEWEST:
        raise UserError(
            f"--head_rank=auto judges by {FEWEST} validation photographs or more, of which there "
            f"are {len(validation)}: give a number, or more of them by --validation_photographs"
        )
    learned = draw(catalog, "train", whole.taxon_ids, _FITTED_ON, options.seed, store)
    if not len(learned):
        raise UserError(
            f"{catalog.folder} has no photograph in the split train of a taxon that the model "
            "knows, to fit a factorised head on"
        )
    kernel, bias, features = whole.kernels[0], whole.bias, learned.features
    if rank == AUTO_RANK:
        factors = smallest_rank(
            kernel,
            bias,
            features,
            validation.features,
            validation.truth,
            options.max_loss,
            seed=options.seed,
        )
    else:
        rough = factorise(kernel, bias, features, int(rank) - 1)
        held_out = validation.features if len(validation) >= FEWEST else None
        factors = refit(rough, kernel, bias, features, seed=options.seed, held_out=held_out)
        factors = with_common_logit(factors, kernel, bias, features)
    if factors is None:
        return whole
    return ExportHead(whole.taxon_ids, (factors.down, factors.up), factors.bias)


def _cut(
    whole: ExportHead, in_factors: ExportHead, positions: list[int]
) -> tuple[ExportHead, ExportHead]:
    """Both to the taxa of a region, of which there may be so few that factors save nothing."""
    cut = whole.cut(positions)
    rank = in_factors.rank
    if rank is None:
        return cut, cut
    if rank > most_rank(len(whole.kernels[0]), len(positions)):
        say(f"factors of rank {rank} save nothing in this region: its head stays as it is")
        return cut, cut
    return cut, in_factors.cut(positions)


def _score(network: keras.Model) -> Score:
    def score(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(network.predict_on_batch(pixels), np.float32)

    return score
