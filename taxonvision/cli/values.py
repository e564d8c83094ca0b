"""From flag values to what the library takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from absl import flags

from taxonvision.errors import UserError
from taxonvision.storage import Recipe, file_digest

_NOT_IN_RECIPES = frozenset({"out", "overwrite", "flagfile", "undefok"})


def define_seed(help_text: str, values: flags.FlagValues) -> None:
    """Define --seed with the range that NumPy, TensorFlow and Keras all take."""
    flags.DEFINE_integer(
        "seed", 0, help_text, lower_bound=0, upper_bound=2**32 - 1, flag_values=values
    )


def optional_path(value: str | None) -> Path | None:
    """The path a flag names, None where it is not given."""
    return Path(value) if value else None


def digest_of_table(path: Path | None) -> str:
    """SHA-256 of a table that a flag names, "" for none; UserError when it cannot be read."""
    if path is None:
        return ""
    try:
        return file_digest(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def recipe_of(
    command: str,
    values: flags.FlagValues,
    inputs: Mapping[str, str],
    leaving_out: Collection[str] = (),
) -> Recipe:
    """How the output of a command is made; flags that name an input count by its fingerprint.

    `leaving_out` names flags that do not change what comes out.
    """
    kept = {
        name: values[name].value
        for name in values
        if not (name in _NOT_IN_RECIPES or name in inputs or name in leaving_out)
    }
    return Recipe(command, kept, inputs)
