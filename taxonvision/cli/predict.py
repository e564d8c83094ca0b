"""Name the organisms on photographs.

Takes photographs and folders of any size, a model directory or a bundle; for a bundle TensorFlow is
not loaded. The answer goes to stdout or --out; with --out, the same command goes on where a run was
ended. Photographs that cannot be read are in the answer with the reason, and the exit code is 2.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags

from taxonvision.cli.models import open_recognizer
from taxonvision.cli.photographs import Listing, listed
from taxonvision.cli.show import show_table
from taxonvision.cli.values import recipe_of
from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError
from taxonvision.progress import say, track
from taxonvision.runtime.answer import Answer, Suggestion
from taxonvision.runtime.answer_file import FILE_FORMATS, write_answers
from taxonvision.runtime.answer_formats import TEXT_FORMATS, Named
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.scoring import score_photographs
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.text import of_path, several

USAGE = (
    "taxonvision predict --model=MODEL|BUNDLE PHOTO_OR_FOLDER... "
    "[--format=table|json|jsonl|csv|parquet --out=FILE]"
)
REQUIRED = ("model",)
TAKES_ARGUMENTS = True

_PROGRESS_FROM = 50
_BROKEN_SAID = 10


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("model", None, "model directory or bundle", flag_values=values)
    flags.DEFINE_enum(
        "format", "table", ["table", *FILE_FORMATS], "how to answer", flag_values=values
    )
    flags.DEFINE_string("out", None, "file for the answer instead of stdout", flag_values=values)
    flags.DEFINE_integer("top", 5, "suggestions a photograph", lower_bound=1, flag_values=values)
    flags.DEFINE_string(
        "language", "en", "language of the common names, as en or de", flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Predict and print."""
    _check(values, arguments)
    broken = _Broken()
    with listed(arguments) as listing:
        recognizer = open_recognizer(Path(values.model))

        def answers_from(start: int) -> Iterator[Named]:
            return broken.told(_answers(recognizer, listing, start, values))

        if values.out:
            inputs = {"model": recognizer.fingerprint, "photographs": listing.fingerprint}
            recipe = recipe_of("predict", values, inputs)
            write_answers(
                Path(values.out), values.format, len(listing), answers_from, recipe, broken.tell
            )
        elif values.format == "table":
            for named in answers_from(0):
                _show(*named)
        else:
            for text in TEXT_FORMATS[values.format].text(answers_from(0)):
                sys.stdout.write(text)
    broken.tell_rest("--format=csv" if values.format == "table" else "the answer")
    return 2 if broken.count else 0


def _check(values: flags.FlagValues, arguments: list[str]) -> None:
    """Raise UserError for what does not go together."""
    if values.out and values.format == "table":
        raise UserError(
            f"--out needs --format={', '.join(FILE_FORMATS[:-1])} or {FILE_FORMATS[-1]}; "
            "a table is for the screen"
        )
    if values.format == "parquet" and not values.out:
        raise UserError("--format=parquet needs --out=FILE; it is not for the screen")
    if not arguments:
        raise UserError(f"`predict` needs a photograph or a folder; usage: {USAGE}")
    if "" in arguments:  # which would be the folder that one is in, as of a variable without value
        raise UserError("`predict` is given an empty name for a photograph or a folder")


def _answers(
    recognizer: Recognizer, listing: Listing, start: int, values: flags.FlagValues
) -> Iterator[Named]:
    """What is said of each photograph but the first `start`, and how far it is."""
    paths, sources = itertools.tee(listing.paths(start))
    named = (
        (path, _answer(recognizer, scores, values))
        for path, scores in zip(paths, score_photographs(recognizer, sources), strict=True)
    )
    answers: Iterator[Named] = itertools.chain(named, listing.faulty(start))
    left = len(listing) - start
    flowing = not values.out and sys.stdout.isatty()  # answers on the screen tell it themselves
    yield from answers if left < _PROGRESS_FROM or flowing else track(answers, left, "naming")


def _answer(
    recognizer: Recognizer, scores: np.ndarray | PhotographError, values: flags.FlagValues
) -> Answer | PhotographError:
    if isinstance(scores, PhotographError):
        return scores
    return recognizer.answer(scores, values.top, values.language)


class _Broken:
    """Counts the photographs that cannot be read, and says the first of them."""

    def __init__(self) -> None:
        self.count = 0

    def told(self, answers: Iterator[Named]) -> Iterator[Named]:
        """Pass answers on, and tell the broken photographs among them."""
        for path, answer in answers:
            if isinstance(answer, PhotographError):
                self.tell(of_path(path), str(answer))
            yield path, answer

    def tell(self, photo: str, reason: str) -> None:
        """Count one, and say it if it is among the first."""
        self.count += 1
        if self.count <= _BROKEN_SAID:
            say(f"taxonvision: {photo}: {reason}")

    def tell_rest(self, where: str) -> None:
        """Say how many were not said, and what lists them."""
        rest = self.count - _BROKEN_SAID
        if rest > 0:
            say(
                f"taxonvision: {several(rest, 'more photograph')} cannot be read; {where} lists all"
            )


def _show(path: Path, answer: Answer | PhotographError) -> None:
    if isinstance(answer, PhotographError):
        return
    show_table(
        f"{of_path(path)}: {_in_words(answer)}",
        ("name", "common name", "rank", "score"),
        [(s.taxon.name, s.common_name, s.taxon.rank, f"{s.score:.1%}") for s in answer.suggestions],
    )


def _in_words(answer: Answer) -> str:
    """What is on the photograph as a whole."""
    if not answer.known:
        return "no organism that I know"
    if not answer.name:
        return "not sure"
    words = f"{_full_name(answer.name)}, {answer.name.score:.0%}"
    if answer.name.taxon.rank_level <= RANK_LEVELS["species"]:
        return words
    return f"sure of {words}; no species is sure"


def _full_name(suggestion: Suggestion) -> str:
    rank = "" if suggestion.taxon.rank == "species" else f"{suggestion.taxon.rank} "
    common = f" ({suggestion.common_name})" if suggestion.common_name else ""
    return f"{rank}{suggestion.taxon.name}{common}"
