"""Name the organisms on photographs.

Takes photographs and folders, a model directory or a bundle; for a bundle TensorFlow is not loaded.
The answer goes to stdout or --out; photographs that cannot be read are told and the exit code is 2.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags

from taxonvision.catalog.sources.files import find_files
from taxonvision.cli.models import open_recognizer
from taxonvision.cli.show import show_table
from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError
from taxonvision.progress import say, track
from taxonvision.runtime.answer import Answer, Suggestion
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.storage import replacing_file
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.text import of_path

USAGE = (
    "taxonvision predict --model=MODEL|BUNDLE PHOTO_OR_FOLDER... [--format=table|json|jsonl|csv]"
)
REQUIRED = ("model",)
TAKES_ARGUMENTS = True

_CSV_COLUMNS = (
    "photo", "place", "taxon_id", "name", "common_name", "rank", "score", "error", "known",
    "sure_taxon_id", "sure_name", "common_ancestor_taxon_id", "common_ancestor_name",
)  # fmt: skip
_PROGRESS_FROM = 50


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("model", None, "model directory or bundle", flag_values=values)
    flags.DEFINE_enum(
        "format", "table", ["table", "json", "jsonl", "csv"], "how to answer", flag_values=values
    )
    flags.DEFINE_string("out", None, "file for the answer instead of stdout", flag_values=values)
    flags.DEFINE_integer("top", 5, "suggestions a photograph", lower_bound=1, flag_values=values)
    flags.DEFINE_string(
        "language", "en", "language of the common names, as en or de", flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Predict and print."""
    if values.out and values.format == "table":
        raise UserError("--out needs --format=json, jsonl or csv; a table is for the screen")
    paths, faulty = _photographs(arguments)
    recognizer = open_recognizer(Path(values.model))
    answers = _answers(recognizer, paths, values.top, values.language)
    if len(paths) >= _PROGRESS_FROM:
        answers = track(answers, len(paths), "naming")
    failed = 0
    done = []
    for path, answer in itertools.chain(answers, faulty):
        done.append((path, answer))
        if isinstance(answer, PhotographError):
            failed += 1
            say(f"taxonvision: {of_path(path)}: {answer}")
    if values.format == "table":
        _show(done)
    else:
        text = _FORMATS[values.format](done)
        if values.out:
            with replacing_file(Path(values.out)) as partial:
                partial.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    return 2 if failed else 0


def _photographs(arguments: list[str]) -> tuple[list[Path], list[tuple[Path, PhotographError]]]:
    """The photographs named and those in folders, and what in folders cannot be one and why."""
    if not arguments:
        raise UserError(f"`predict` needs a photograph or a folder; usage: {USAGE}")
    paths: list[Path] = []
    faulty: list[tuple[Path, PhotographError]] = []
    for argument in map(Path, arguments):
        if not argument.is_dir():
            paths.append(argument)
            continue
        files = find_files(argument)
        if not files.photos:
            raise UserError(f"there is no photograph in {argument}")
        paths += [argument / path for path in sorted(files.photos)]
        faulty += [(argument / r.path, PhotographError(r.reason)) for r in files.rejects]
    return paths, faulty


def _answers(
    recognizer: Recognizer, paths: list[Path], top: int, language: str
) -> Iterator[tuple[Path, Answer | PhotographError]]:
    for path, pixels in zip(paths, recognizer.contract.read(paths), strict=True):
        if isinstance(pixels, PhotographError):
            yield path, pixels
        else:
            yield path, recognizer.answer(recognizer.score(pixels[None])[0], top, language)


def _show(answers: list[tuple[Path, Answer | PhotographError]]) -> None:
    for path, answer in answers:
        if isinstance(answer, PhotographError):
            continue
        show_table(
            f"{of_path(path)}: {_in_words(answer)}",
            ("name", "common name", "rank", "score"),
            [
                (s.taxon.name, s.common_name, s.taxon.rank, f"{s.score:.1%}")
                for s in answer.suggestions
            ],
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


def _as_value(path: Path, answer: Answer | PhotographError) -> dict[str, Any]:
    if isinstance(answer, PhotographError):
        return {"photo": of_path(path), "error": str(answer)}
    return {
        "photo": of_path(path),
        "known": answer.known,
        "sure": _suggestion(answer.sure) if answer.sure else None,
        "common_ancestor": _suggestion(answer.common_ancestor) if answer.common_ancestor else None,
        "suggestions": [_suggestion(s) for s in answer.suggestions],
        "branch": [_suggestion(s) for s in answer.branch],
    }


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    taxon = suggestion.taxon
    return {
        "taxon_id": taxon.taxon_id,
        "name": taxon.name,
        "common_name": suggestion.common_name,
        "rank": taxon.rank,
        "score": round(suggestion.score, 6),
    }


def _json(answers: list[tuple[Path, Answer | PhotographError]]) -> str:
    return json.dumps([_as_value(*a) for a in answers], indent=2, ensure_ascii=False) + "\n"


def _jsonl(answers: list[tuple[Path, Answer | PhotographError]]) -> str:
    return "".join(json.dumps(_as_value(*a), ensure_ascii=False) + "\n" for a in answers)


def _csv(answers: list[tuple[Path, Answer | PhotographError]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for path, answer in answers:
        if isinstance(answer, PhotographError):
            writer.writerow({"photo": of_path(path), "error": str(answer)})
            continue
        whole = {"known": "true" if answer.known else "false"}
        for column, found in (("sure", answer.sure), ("common_ancestor", answer.common_ancestor)):
            if found:
                whole[f"{column}_taxon_id"] = str(found.taxon.taxon_id)
                whole[f"{column}_name"] = found.taxon.name
        for place, suggestion in enumerate(answer.suggestions, start=1):
            row = {"photo": of_path(path), "place": place, **_suggestion(suggestion), **whole}
            writer.writerow(row)
    return text.getvalue()


_FORMATS = {"json": _json, "jsonl": _jsonl, "csv": _csv}
