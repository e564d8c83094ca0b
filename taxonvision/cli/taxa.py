"""Say whether taxa are included in a catalog, and if not, why.

NAME is a scientific name, a common name in any language, or a taxon id; a misspelling is forgiven
where it is clear what is meant. For a genus or a family the taxa below it are listed too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absl import flags

from taxonvision.catalog.lookup import Found, Lookup, TaxonAnswer, TaxonLine, open_lookup
from taxonvision.cli.show import show_table
from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.text import for_screen

USAGE = "taxonvision taxa --catalog=CATALOG NAME... [--format=table|json]"
REQUIRED = ("catalog",)
TAKES_ARGUMENTS = True

_MOST_BELOW = 20


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("catalog", None, "the catalog to ask", flag_values=values)
    flags.DEFINE_enum("format", "table", ["table", "json"], "how to answer", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Look the names up and print what is known of them."""
    if not arguments:
        raise UserError(f"`taxa` needs a name; usage: {USAGE}")
    answers: list[tuple[str, Found, TaxonAnswer]] = []
    unknown = 0
    most_below = None if values.format == "json" else _MOST_BELOW
    with open_lookup(Path(values.catalog)) as lookup:
        words = [for_screen(word) for word in arguments]  # they may hold bytes that are no text
        for word, found in _found(lookup, words):
            unknown += not found.taxon_ids
            if found.by == "nearest name":
                _remark(word, found)
            answers += [(word, found, lookup.answer(i, most_below)) for i in found.taxon_ids]
    if values.format == "json":
        print(json.dumps([_as_value(*a) for a in answers], indent=2, ensure_ascii=False))
    else:
        for _, _, answer in answers:
            _show(answer)
    return 2 if unknown else 0


def _found(lookup: Lookup, arguments: list[str]) -> Iterator[tuple[str, Found]]:
    """Each argument and what it means; all together where they are one name without quotes."""
    together = " ".join(arguments)
    found = lookup.find(together)
    if len(arguments) == 1 or found.by != "nearest name":
        yield together, found
    else:
        for word in arguments:
            yield word, lookup.find(word)


def _remark(word: str, found: Found) -> None:
    if found.taxon_ids:
        say(f"no taxon {word!r}; nearest: {found.nearest[0]}")
    elif found.nearest:
        say(f"taxonvision: no taxon {word!r}; nearest: {', '.join(found.nearest)}")
    else:
        say(f"taxonvision: no taxon {word!r}, and no name that comes near")


def _as_value(word: str, found: Found, answer: TaxonAnswer) -> dict[str, Any]:
    return {
        "asked": word,
        "found_by": found.by,
        **asdict(answer.line),
        "common_names": answer.common_names,
        "ancestors": answer.ancestors,
        "below": {
            "taxa": answer.taxa_below,
            "classes": answer.classes_below,
            "lines": [asdict(line) for line in answer.below],
        },
    }


def _show(answer: TaxonAnswer) -> None:
    line = answer.line
    below = f", below {answer.ancestors[-1]}" if answer.ancestors else ""
    show_table(
        f"{line.name}, rank {line.rank}, taxon {line.taxon_id}{below}",
        (
            "included", "class", "photographs", "faulty", "left out", "usable", "from below",
            "train", "val", "test", "missing",
        ),
        [(
            "yes" if line.included else "no", _class_of(line), str(line.photographs),
            str(line.rejected), str(line.left_out), str(line.usable), str(line.from_below),
            str(line.train), str(line.val), str(line.test), _missing(line),
        )],
    )  # fmt: skip
    print(for_screen(line.reason))
    if answer.common_names:
        names = (f"{name} ({language})" for language, name in answer.common_names.items())
        print(for_screen(f"common names: {', '.join(names)}"))
    if answer.below:
        _show_below(answer)


def _show_below(answer: TaxonAnswer) -> None:
    show_table(
        f"below {answer.line.name}: {answer.taxa_below} taxa, {answer.classes_below} of them "
        "classes",
        (
            "name", "rank", "class", "photographs", "usable", "train", "val", "test", "missing",
            "why",
        ),
        [
            (
                line.name, line.rank, _class_of(line), str(line.photographs), str(line.usable),
                str(line.train), str(line.val), str(line.test), _missing(line), line.reason,
            )
            for line in answer.below
        ],
    )  # fmt: skip
    more = answer.taxa_below - len(answer.below)
    if more > 0:
        print(f"and {more} more")


def _class_of(line: TaxonLine) -> str:
    """The id of the class that a taxon's photographs train, and what is not usual about it."""
    if line.class_id is None:
        return "–"
    remarks = [line.class_name or ""] if line.class_taxon_id != line.taxon_id else []
    remarks += ["retired"] if line.class_status == "retired" else []
    return ", ".join([str(line.class_id), *remarks])


def _missing(line: TaxonLine) -> str:
    return "–" if line.missing is None else str(line.missing)
