"""Text from elsewhere made fit for one line, a screen or a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Control characters move the cursor or colour a terminal; bidirectional ones reorder what is read.
_MOST_DECIMALS = 4
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """The text without control characters and line breaks, which become spaces."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def reason_of(error: Exception, longest: int | None = None) -> str:
    """What an exception of a library says, on one line and cut; its class where it says nothing."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def for_screen(text: str) -> str:
    """The text as a terminal may show it: control characters but line breaks are marked."""
    lines = [_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", line) for line in text.split("\n")]
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")


def of_path(path: Path) -> str:
    """The path as text; bytes of it that are no UTF-8 are written in hexadecimal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def several(count: int, noun: str) -> str:
    """`1 photograph`, `2 photographs`, `2 classes`, `2 taxa`."""
    return f"{count} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """`photographs`, `classes`, `taxa`, `countries`."""
    if noun.endswith("taxon"):
        return f"{noun[:-2]}a"
    if noun.endswith("y"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def percent(share: float) -> str:
    """A fraction of 1 as `88.6%`, with as many decimals as tell it from 0 and from all."""
    digits = 1
    while 0 < share < 1 and digits < _MOST_DECIMALS and round(share, digits + 2) in (0, 1):
        digits += 1
    return f"{share:.{digits}%}"
