"""Train a model on a catalog or its shards.

`--train=head` keeps the backbone frozen: every photograph goes through it once, then the head is
fitted. `--train=all` trains every layer, on one device, several, several machines, or a TPU. A run
that was ended goes on from its last checkpoint with the same command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from taxonvision.cli.examples import inputs_of, open_examples
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
_NOT_IN_RECIPES = ("strategy", "tpu", "checkpoint_steps")
"""They say where and how a model is trained, not what comes out: a run may move elsewhere."""


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    _define_what(values)
    _define_how(values)
    _define_where(values)
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


def _define_how(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "epochs",
        None,
        "times that all photographs are seen; by default 40 for the head alone, else 20",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "batch_size", 128, "photographs a step, over all devices", lower_bound=1, flag_values=values
    )
    flags.DEFINE_enum(
        "optimizer", "adamw", ["adamw", "sgd"], "sgd has a momentum of 0.9", flag_values=values
    )
    flags.DEFINE_float(
        "learning_rate",
        None,
        "the highest, for 256 photographs a step: scaled to --batch_size in proportion for sgd, "
        "to its square root for adamw; it falls along a cosine. By default 1.4e-3 for the head "
        "alone, else 1e-3; for sgd 0.1",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "warmup",
        None,
        "part of the steps in which the learning rate rises; by default 0 for the head alone, "
        "else 0.05",
        lower_bound=0.0,
        upper_bound=0.1,
        flag_values=values,
    )
    flags.DEFINE_float(
        "weight_decay",
        None,
        "of kernels; by default 4e-3 for the head alone, else 0.05; for sgd 1e-4",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "ema",
        0.0,
        "momentum of a moving average of the weights, which the model ends with; 0: none",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "augment",
        None,
        ["none", "light", "standard", "strong"],
        "what chance does to photographs; by default none for the head alone, else standard",
        flag_values=values,
    )
    flags.DEFINE_float(
        "label_smoothing",
        0.0,
        "part of each target that is spread over all classes",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "tree_smoothing",
        0.0,
        "spread targets over near taxa instead: the sharpness, say 10, less spreads more; 0: not "
        "at all",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "logit_adjustment",
        0.0,
        "make up for rare classes by so many times the logarithm of their share; 1 is usual",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_photos",
        0,
        "use at most so many photographs of a class; 0: all",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "sampling",
        1.0,
        "a class is seen in proportion to its photographs to this power: 1 as they are, 0 all "
        "classes alike",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "early_stopping",
        0,
        "stop when the validation loss has not fallen for so many epochs, and keep the best; "
        "0: never",
        lower_bound=0,
        flag_values=values,
    )


def _define_where(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "single", "mirrored", "multiworker", "tpu"],
        "the devices to train on; auto takes what it finds: --tpu, the tasks of TF_CONFIG or of "
        "SLURM, several GPUs",
        flag_values=values,
    )
    flags.DEFINE_string("tpu", None, "name of a TPU, local for this machine's", flag_values=values)
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
    flags.DEFINE_integer(
        "checkpoint_steps",
        500,
        "steps between two checkpoints; there is one after each epoch too",
        lower_bound=1,
        flag_values=values,
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Train and say how well the validation photographs are named."""
    catalog, out = open_examples(Path(values.catalog)), Path(values.out)
    inputs = inputs_of(catalog)
    init_from = optional_path(values.init_from)
    if init_from is not None:
        inputs["init_from"] = (
            digest_of_newest(init_from)
            if is_unfinished(init_from)
            else open_model(init_from).fingerprint
        )
        if values["backbone"].present:
            raise UserError("--init_from brings its own backbone; leave out --backbone")
    recipe = recipe_of("train", values, inputs, leaving_out=_NOT_IN_RECIPES)
    check_place(out, MANIFEST, recipe, overwrite=values.overwrite)  # before TensorFlow is loaded
    with Notice() as notice:
        load_keras()
        from taxonvision.training.train import train

        options = _options(values, init_from)
        manifest = train(catalog, options, out, recipe, overwrite=values.overwrite, notice=notice)
    if manifest is not None:
        accuracy = manifest["metrics"].get("val_accuracy")
        say(
            f"{out}: {len(catalog.classes)} classes on {manifest['backbone']['name']}"
            + (f", validation top-1 {accuracy:.1%}" if accuracy is not None else "")
        )
    return 0


def _options(values: flags.FlagValues, init_from: Path | None) -> TrainOptions:
    from taxonvision.dataset.balance import Sampling
    from taxonvision.training.fit_state import FitOptions
    from taxonvision.training.losses import LossOptions
    from taxonvision.training.network import NetworkOptions
    from taxonvision.training.optimizers import OptimizerOptions
    from taxonvision.training.options import TrainOptions
    from taxonvision.training.stages import parse_stages

    head = values.train == "head"
    sgd = values.optimizer == "sgd"

    def given(name: str, default: Any) -> Any:
        return default if values[name].value is None else values[name].value

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
            fit=FitOptions(
                stages=parse_stages(values.train, given("epochs", 40 if head else 20)),
                optimizer=OptimizerOptions(
                    name=values.optimizer,
                    learning_rate=given("learning_rate", 0.1 if sgd else 1.4e-3 if head else 1e-3),
                    weight_decay=given("weight_decay", 1e-4 if sgd else 4e-3 if head else 0.05),
                    warmup=given("warmup", 0.0 if head else 0.05),
                    ema=values.ema,
                ),
                float16=values.precision == "mixed_float16",
                checkpoint_steps=values.checkpoint_steps,
                early_stopping=values.early_stopping,
            ),
            loss=LossOptions(
                label_smoothing=values.label_smoothing,
                tree_smoothing=values.tree_smoothing,
                logit_adjustment=values.logit_adjustment,
            ),
            augmentation=given("augment", "none" if head else "standard"),
            sampling=Sampling(max_photos=values.max_photos, power=values.sampling),
            batch_size=values.batch_size,
            seed=values.seed,
            strategy=values.strategy,
            tpu=values.tpu,
            init_from=init_from,
            deterministic=values.deterministic,
        )
    except ValueError as error:
        raise UserError(f"`train`: {error}") from None
