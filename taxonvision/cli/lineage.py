"""Print the chain of releases a model comes from, the oldest first.

All of it is in the model's own model.json; the models before need not be there any more. Changes of
taxa count from one release to the next; the gate's loss is in points of top-1 on the taxa that both
releases know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from absl import flags

from taxonvision.cli.show import show_table
from taxonvision.release.lineage import GateRecord, PastRelease, read_lineage
from taxonvision.text import for_screen

USAGE = "taxonvision lineage --model=MODEL [--format=table|json]"
REQUIRED = ("model",)

_ALWAYS_SHOWN = {"added": "new", "retired": "retired", "merged": "merged"}
_SHOWN_WHERE_ANY = {
    "split": "split", "renamed": "renamed", "moved": "moved", "returned": "returned",
}  # fmt: skip
_DIGITS = 12  # of a fingerprint


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("model", None, "the model whose releases to print", flag_values=values)
    flags.DEFINE_enum("format", "table", ["table", "json"], "how to answer", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Read the chain and print it."""
    chain = read_lineage(Path(values.model))
    if values.format == "json":
        text = json.dumps([_as_value(release) for release in chain], indent=2, ensure_ascii=False)
        print(for_screen(text))
    else:
        _show(chain)
    return 0


def _as_value(release: PastRelease) -> dict[str, Any]:
    """As `model.json` has it."""
    value = asdict(release)
    active, retired = value.pop("active"), value.pop("retired")
    return {**value, "classes": {"active": active, "retired": retired}}


def _show(chain: Sequence[PastRelease]) -> None:
    kinds = _ALWAYS_SHOWN | {
        kind: column
        for kind, column in _SHOWN_WHERE_ANY.items()
        if any((release.changes or {}).get(kind) for release in chain)
    }
    latest = chain[-1]
    show_table(
        f"{latest.name}, version {latest.version}: "
        f"{'its first release' if len(chain) == 1 else f'{len(chain)} releases'}",
        ("version", "name", "made on", "taxa", *kinds.values(), "gate", "fingerprint"),
        [
            (
                release.version,
                release.name,
                release.made_on or "–",
                _number(release.active),
                *(_number((release.changes or {}).get(kind)) for kind in kinds),
                _in_words(release.gate),
                release.fingerprint[:_DIGITS],
            )
            for release in chain
        ],
    )


def _number(count: int | None) -> str:
    return "–" if count is None else str(count)


def _in_words(gate: GateRecord | None) -> str:
    if gate is None:
        return "–"
    if gate.loss is None:
        said = "not judged"
    else:
        change = f"{'lost' if gate.loss >= 0 else 'gained'} {abs(100 * gate.loss):.2f}"
        said = f"{'passed' if gate.passed else 'refused'}, {change}"
    return f"{said}, forced" if gate.forced else said
