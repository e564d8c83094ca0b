"""Train a model on a catalog or its shards.

The backbone stays frozen: every photograph goes through it once, then the head is fitted.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.cli.examples import inputs_of, open_examples
from taxonvision.cli.values import define_seed, recipe_of
from taxonvision.models.directory import MANIFEST
from taxonvision.models.engine import load_keras
from taxonvision.progress import say
from taxonvision.storage import check_place

USAGE = "taxonvision train --catalog=CATALOG|SHARDS --out=MODEL [--backbone=NAME --epochs=40]"
REQUIRED = ("catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
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
    flags.DEFINE_enum(
        "train", "head", ["head"], "what is trained; the rest is frozen", flag_values=values
    )
    flags.DEFINE_integer(
        "image_size",
        0,
        "side of the input in pixels; 0: the backbone's own",
        lower_bound=0,
        upper_bound=4096,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "epochs", 40, "times the head sees all features", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "batch_size", 128, "photographs a step, over all devices", lower_bound=1, flag_values=values
    )
    flags.DEFINE_float(
        "learning_rate",
        1e-3,
        "highest learning rate of AdamW; it falls along a cosine",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "weight_decay", 4e-3, "weight decay of AdamW", lower_bound=0.0, flag_values=values
    )
    define_seed("seed of all that is random", values)
    flags.DEFINE_string("name", "taxonvision", "what the model calls itself", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Train and say how well the validation photographs are named."""
    catalog, out = open_examples(Path(values.catalog)), Path(values.out)
    recipe = recipe_of("train", values, inputs_of(catalog))
    check_place(out, MANIFEST, recipe, overwrite=values.overwrite)  # before TensorFlow is loaded
    load_keras()
    from taxonvision.training.head import HeadOptions
    from taxonvision.training.train import TrainOptions, train

    if not values.pretrained:
        say("warning: the backbone keeps its random weights, only a head is trained on them")
    options = TrainOptions(
        backbone=values.backbone,
        pretrained=values.pretrained,
        image_size=values.image_size or None,
        name=values.name,
        head=HeadOptions(
            epochs=values.epochs,
            batch_size=values.batch_size,
            learning_rate=values.learning_rate,
            weight_decay=values.weight_decay,
            seed=values.seed,
        ),
    )
    manifest = train(catalog, options, out, recipe, overwrite=values.overwrite)
    accuracy = manifest["metrics"].get("val_accuracy")
    say(
        f"{out}: {len(catalog.classes)} classes on {manifest['backbone']['name']}"
        + (f", validation top-1 {accuracy:.1%}" if accuracy is not None else "")
    )
    return 0
