"""Flags of how and where a head or a network is fitted, for all commands that do so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from taxonvision.dataset.negatives import digest_of_scenes, scenes_in

if TYPE_CHECKING:
    from taxonvision.dataset.balance import Sampling
    from taxonvision.training.fit_state import FitOptions
    from taxonvision.training.losses import LossOptions

NOT_IN_RECIPES = ("strategy", "tpu", "checkpoint_steps", "cache")
"""They say where and how a model is trained, not what comes out: a run may move elsewhere."""


def define_fit(values: flags.FlagValues, *, epochs: str, fewest_epochs: int = 1) -> None:
    """Define how a head or a network is fitted; `epochs` says what the number is by default."""
    flags.DEFINE_integer(
        "epochs",
        None,
        f"times that all photographs are seen; {epochs}",
        lower_bound=fewest_epochs,
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
    flags.DEFINE_integer(
        "views",
        1,
        "for a head alone: looks at each photograph, the plain one and augmented ones; "
        "extraction takes so many times as long",
        lower_bound=1,
        upper_bound=64,
        flag_values=values,
    )


def names_of_fit() -> list[str]:
    """The flags of `define_fit` beside --epochs."""
    values = flags.FlagValues()
    define_fit(values, epochs="")
    return [name for name in values if name != "epochs"]


def define_where(values: flags.FlagValues) -> None:
    """Define where it is fitted, and where what is worth keeping lies."""
    flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "single", "mirrored", "multiworker", "tpu"],
        "the devices to train on; auto takes what it finds: --tpu, the tasks of TF_CONFIG or of "
        "SLURM, several GPUs",
        flag_values=values,
    )
    flags.DEFINE_string("tpu", None, "name of a TPU, local for this machine's", flag_values=values)
    define_cache(values)
    flags.DEFINE_integer(
        "checkpoint_steps",
        500,
        "steps between two checkpoints; there is one after each epoch too",
        lower_bound=1,
        flag_values=values,
    )


def define_cache(values: flags.FlagValues) -> None:
    """Define where the features of photographs are kept."""
    flags.DEFINE_string(
        "cache",
        None,
        "folder of the features of photographs, which all who use the same frozen backbone share; "
        "by default in the user's cache folder; on a cluster one that all workers see",
        flag_values=values,
    )


def define_negatives(values: flags.FlagValues) -> None:
    """Define what tells the model when there is nothing that it knows."""
    flags.DEFINE_string(
        "negatives",
        None,
        "folder of photographs without an organism, to find the score below which nothing is "
        "known; by default the model has a name for everything",
        flag_values=values,
    )


def negatives_of(values: flags.FlagValues) -> tuple[list[Path], dict[str, str]]:
    """The photographs without an organism, and what recipes record of them: no path."""
    if not values.negatives:
        return [], {"negatives": ""}
    folder = Path(values.negatives)
    scenes = scenes_in(folder)
    return scenes, {"negatives": digest_of_scenes(folder, scenes)}


def given(values: flags.FlagValues, name: str, default: Any) -> Any:
    """The value of a flag, or the default where the command line says nothing."""
    return default if values[name].value is None else values[name].value


def cache_of(values: flags.FlagValues) -> Path:
    """The folder of features."""
    from taxonvision.features.cache import default_cache

    return Path(values.cache) if values.cache else default_cache()


def fit_options(values: flags.FlagValues, trained: str, epochs: int, precision: str) -> FitOptions:
    """How to fit what `trained` names, in stages.

    Raises ValueError for values that exclude each other, UserError for stages that are none.
    """
    from taxonvision.training.fit_state import FitOptions
    from taxonvision.training.optimizers import OptimizerOptions
    from taxonvision.training.stages import parse_stages

    head, sgd = trained == "head", values.optimizer == "sgd"
    rate, decay = (0.1, 1e-4) if sgd else (1.4e-3, 4e-3) if head else (1e-3, 0.05)
    return FitOptions(
        stages=parse_stages(trained, epochs),
        optimizer=OptimizerOptions(
            name=values.optimizer,
            learning_rate=given(values, "learning_rate", rate),
            weight_decay=given(values, "weight_decay", decay),
            warmup=given(values, "warmup", 0.0 if head else 0.05),
            ema=values.ema,
        ),
        float16=precision == "mixed_float16",
        checkpoint_steps=values.checkpoint_steps,
        early_stopping=values.early_stopping,
    )


def loss_options(values: flags.FlagValues) -> LossOptions:
    """What is minimised; ValueError for values that exclude each other."""
    from taxonvision.training.losses import LossOptions

    return LossOptions(
        label_smoothing=values.label_smoothing,
        tree_smoothing=values.tree_smoothing,
        logit_adjustment=values.logit_adjustment,
    )


def sampling_of(values: flags.FlagValues) -> Sampling:
    """How often each class is seen."""
    from taxonvision.dataset.balance import Sampling

    return Sampling(max_photos=values.max_photos, power=values.sampling)
