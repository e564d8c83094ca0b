"""Train a model on a catalog or its shards.

`--train=head` keeps the backbone frozen: every photograph goes through it once, then the head is
fitted. `--train=all` trains every layer, on one device, several, several machines, or a TPU. A run
that was ended goes on from its last checkpoint with the same command.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from taxonvision.cli.examples import inputs_of, open_examples
from taxonvision.cli.fit_flags import (
    NOT_IN_RECIPES,
    cache_of,
    define_fit,
    define_negatives,
    define_where,
    fit_options,
    given,
    loss_options,
    negatives_of,
    sampling_of,
)
from taxonvision.cli.values import define_seed, optional_path, recipe_of
from taxonvision.errors import UserError
from taxonvision.models.directory import MANIFEST, open_model
from taxonvision.models.engine import load_keras
from taxonvision.progress import say
from taxonvision.storage import check_place
from taxonvision.training.signals import Notice
from taxonvision.training.unfinished import digest_of_newest, is_unfinished

if TYPE_CHECKING:
    from taxonvision.training.options import TrainOptions

USAGE = "taxonvision train --catalog=CATALOG|SHARDS --out=MODEL [--train=head|all --strategy=auto]"
REQUIRED = ("catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    _define_what(values)
    define_fit(values, epochs="by default 40 for the head alone, else 20")
    _define_network_fit(values)
    define_negatives(values)
    define_where(values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def _define_what(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "catalog", None, "the catalog to learn from, or its shards", flag_values=values
    )
    flags.DEFINE_string("out", None, "the model to write", flag_values=values)
    flags.DEFINE_string(
        "backbone",
        "efficientnet_lite0",
        "efficientnet_lite0 to 4 (only 0 has weights without a download), a network of "
        "keras.applications, or hub:PRESET of keras-hub",
        flag_values=values,
    )
    flags.DEFINE_bool("pretrained", True, "start from the published weights", flag_values=values)
    flags.DEFINE_string(
        "init_from",
        None,
        "a model to start from, or the checkpoints of one, OUT.partial: its backbone, and its head "
        "for the taxa that it knows",
        flag_values=values,
    )
    flags.DEFINE_string(
        "train",
        "head",
        "what is trained, the rest is frozen: head, top_blocks or all; staged, with epochs: "
        "head:2,top_blocks:3,all",
        flag_values=values,
    )
    flags.DEFINE_float(
        "top_share",
        0.3,
        "for top_blocks: which share of the backbone's layers, from the top",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "freeze_batch_norm",
        None,
        "keep the statistics, scales and offsets of batch normalisation; by default where training "
        "starts from weights",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "image_size",
        0,
        "side of the input in pixels; 0: the backbone's own",
        lower_bound=0,
        upper_bound=4096,
        flag_values=values,
    )
    define_seed("seed of all that is random", values)
    flags.DEFINE_string("name", "taxonvision", "what the model calls itself", flag_values=values)


def _define_network_fit(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "augment",
        None,
        ["none", "light", "standard", "strong"],
        "what chance does to photographs; by default none for the head alone, else standard",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "mixed_bfloat16", "mixed_float16"],
        "what layers compute in; the model's weights are float32 in any case",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "deterministic",
        None,
        "the same seed gives the same weights; by default on CPUs, on GPUs it costs speed",
        flag_values=values,
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Train and say how well the validation photographs are named."""
    return learn("train", values)


def learn(command: str, values: flags.FlagValues, teacher: Path | None = None) -> int:
    """Train by the flags of `define` for a command, with a teacher by those of `distill`."""
    catalog, out = open_examples(Path(values.catalog)), Path(values.out)
    negatives, of_negatives = negatives_of(values)
    inputs = inputs_of(catalog) | of_negatives
    if teacher is not None:
        inputs["teacher"] = open_model(teacher).fingerprint
    init_from = optional_path(values.init_from)
    if init_from is not None:
        inputs["init_from"] = (
            digest_of_newest(init_from)
            if is_unfinished(init_from)
            else open_model(init_from).fingerprint
        )
        if values["backbone"].present:
            raise UserError("--init_from brings its own backbone; leave out --backbone")
    recipe = recipe_of(command, values, inputs, leaving_out=NOT_IN_RECIPES)
    check_place(out, MANIFEST, recipe, overwrite=values.overwrite)  # before TensorFlow is loaded
    with Notice() as notice:
        load_keras()
        from taxonvision.training.train import train

        options = _options(command, values, init_from, negatives, teacher)
        manifest = train(catalog, options, out, recipe, overwrite=values.overwrite, notice=notice)
    if manifest is not None:
        accuracy = manifest["metrics"].get("val_accuracy")
        say(
            f"{out}: {len(catalog.classes)} classes on {manifest['backbone']['name']}"
            + (f", validation top-1 {accuracy:.1%}" if accuracy is not None else "")
        )
    return 0


def _options(
    command: str,
    values: flags.FlagValues,
    init_from: Path | None,
    negatives: Sequence[Path],
    teacher: Path | None,
) -> TrainOptions:
    from taxonvision.training.network import NetworkOptions
    from taxonvision.training.options import TrainOptions
    from taxonvision.training.teacher import TeacherOptions

    head = values.train == "head"
    epochs = given(values, "epochs", 40 if head else 20)
    try:
        return TrainOptions(
            name=values.name,
            network=NetworkOptions(
                backbone=values.backbone,
                pretrained=values.pretrained,
                image_size=values.image_size or None,
                precision=values.precision,
                top_share=values.top_share,
                frozen_batch_norm=values.freeze_batch_norm,
            ),
            fit=fit_options(values, values.train, epochs, values.precision),
            loss=loss_options(values),
            augmentation=given(values, "augment", "none" if head else "standard"),
            sampling=sampling_of(values),
            batch_size=values.batch_size,
            seed=values.seed,
            strategy=values.strategy,
            tpu=values.tpu,
            init_from=init_from,
            cache=cache_of(values),
            views=values.views,
            deterministic=values.deterministic,
            negatives=negatives,
            teacher=None
            if teacher is None
            else TeacherOptions(teacher, values.teacher_weight, values.softness),
        )
    except ValueError as error:
        raise UserError(f"`{command}`: {error}") from None
