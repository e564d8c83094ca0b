"""Extend a model for new taxa, photographs and changes of the tree by training only its head.

Class ids stay, new taxa get new rows, each photograph passes the frozen backbone once. Old taxa are
measured before and after on the same test photographs; a release that breaks them is refused
(exit 3) and put to `OUT.refused`. RELEASE.md and release.html tell what changed.
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
    names_of_fit,
    negatives_of,
    sampling_of,
)
from taxonvision.cli.values import define_seed, digest_of_table, optional_path, recipe_of
from taxonvision.errors import UserError
from taxonvision.models.directory import MANIFEST, open_model
from taxonvision.models.engine import load_keras
from taxonvision.models.trained_on import SAMPLED
from taxonvision.progress import say
from taxonvision.release.keep import AUTO, KEEPS
from taxonvision.storage import check_place
from taxonvision.taxonomy.changes import NO_CHANGES, Changes, read_changes
from taxonvision.training.signals import Notice

if TYPE_CHECKING:
    from taxonvision.release.options import UpdateOptions

USAGE = "taxonvision update --model=MODEL --catalog=CATALOG|SHARDS --out=MODEL [--epochs=20]"
REQUIRED = ("model", "catalog", "out")
_EPOCHS = 20


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("model", None, "the release to go on from", flag_values=values)
    flags.DEFINE_string(
        "catalog",
        None,
        "a catalog or its shards: all photographs, or only those of new taxa",
        flag_values=values,
    )
    flags.DEFINE_string("out", None, "the release to write", flag_values=values)
    flags.DEFINE_string(
        "changes",
        None,
        "table of taxonomic changes; by default the one that --catalog was ingested with",
        flag_values=values,
    )
    flags.DEFINE_string(
        "name", None, "what the model calls itself; by default as before", flag_values=values
    )
    flags.DEFINE_enum(
        "keep",
        AUTO,
        KEEPS,
        "what guards old taxa whose photographs are not all in the catalog: replay of kept "
        "features, distill from the model; auto takes the first that is needed and can be had",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "replay_photos",
        20,
        "at most so many old photographs of a taxon are replayed",
        lower_bound=1,
        upper_bound=SAMPLED,
        flag_values=values,
    )
    flags.DEFINE_float(
        "max_regression",
        0.5,
        "points of top-1 that old taxa may lose among themselves; a loss proven to be larger (95 % "
        "confidence) is refused",
        lower_bound=0.0,
        upper_bound=100.0,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "strict", False, "refuse as well what is not proven to be harmless", flag_values=values
    )
    flags.DEFINE_bool(
        "force", False, "publish what is refused; the model records it", flag_values=values
    )
    define_fit(
        values,
        epochs=f"by default {_EPOCHS}; 0: rows of new taxa are imprinted, for an answer in seconds",
        fewest_epochs=0,
    )
    define_negatives(values)
    define_seed("seed of all that is random", values)
    define_where(values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Make the release and say how well it does."""
    out = Path(values.out)
    parent, catalog = open_model(Path(values.model)), open_examples(Path(values.catalog))
    changes = _changes(optional_path(values.changes), catalog.folder)
    negatives, of_negatives = negatives_of(values)
    inputs = (
        inputs_of(catalog)
        | of_negatives
        | {
            "model": parent.fingerprint,
            "changes": digest_of_table(optional_path(changes.source)) if changes.lines else "",
        }
    )
    recipe = recipe_of("update", values, inputs, leaving_out=NOT_IN_RECIPES)
    check_place(out, MANIFEST, recipe, overwrite=values.overwrite)  # before TensorFlow is loaded
    with Notice() as notice:
        load_keras()
        from taxonvision.release.update import update

        options = _options(values, negatives)
        manifest = update(
            parent, catalog, changes, options, out, recipe,
            overwrite=values.overwrite, notice=notice,
        )  # fmt: skip
    if manifest is not None:
        release = manifest["release"]
        accuracy = manifest["metrics"].get("val_accuracy")
        say(
            f"{out}: version {release['version']}, {release['classes']['active']} classes"
            + (f", validation top-1 {accuracy:.1%}" if accuracy is not None else "")
            + "; RELEASE.md and release.html in it tell what changed"
        )
    return 0


def _changes(given_table: Path | None, catalog: Path) -> Changes:
    kept = catalog / "changes.csv"
    if given_table is None and not kept.is_file():  # of an earlier version
        return NO_CHANGES
    return read_changes(given_table or kept)


def _options(values: flags.FlagValues, negatives: Sequence[Path]) -> UpdateOptions:
    from taxonvision.release.keep import KeepOptions
    from taxonvision.release.options import UpdateOptions
    from taxonvision.training.head import HeadOptions

    epochs = given(values, "epochs", _EPOCHS)
    head = None
    unused = [f"--{name}" for name in names_of_fit() if values[name].present] if not epochs else []
    if unused:
        say(f"warning: no effect of {', '.join(unused)} with --epochs=0, which fits nothing")
    try:
        if epochs:
            fit = fit_options(values, "head", epochs, "float32")
            head = HeadOptions(
                fit, loss_options(values), sampling_of(values), values.batch_size, values.seed
            )
        return UpdateOptions(
            head=head,
            name=values.name,
            keep=KeepOptions(values.keep, values.replay_photos),
            max_regression=values.max_regression / 100,
            strict=values.strict,
            force=values.force,
            cache=cache_of(values),
            views=values.views,
            seed=values.seed,
            strategy=values.strategy,
            tpu=values.tpu,
            negatives=negatives,
        )
    except ValueError as error:
        raise UserError(f"`update`: {error}") from None
