"""When and where a photograph was taken, as sources write it: checked, or refused in words."""

from __future__ import annotations

import datetime
import math

from taxonvision.text import one_line

_LARGEST = {"latitude": 90, "longitude": 180}  # degrees


def degrees_in(value: str | float | None, name: str) -> float | None:
    """A latitude or longitude in degrees; None where nothing is said.

    Raises ValueError in words, with the `name` of what the value is.
    """
    if value is None or value == "":
        return None
    try:
        degrees = float(value)
    except (TypeError, ValueError, OverflowError):
        degrees = math.nan
    largest = _LARGEST[name]
    if not abs(degrees) <= largest:
        raise ValueError(f"{name} must be degrees from -{largest} to {largest}, not {_cut(value)}")
    return degrees


def date_in(text: str, name: str) -> str | None:
    """The date of an ISO 8601 date or time as `2024-05-31`; None where nothing is said.

    A date after tomorrow is wrong anywhere on Earth. Raises ValueError in words, with the `name`
    of what the text is.
    """
    if not text:
        return None
    day = iso_date(text)
    if day is None:
        raise ValueError(f"{name} must be a date as 2024-05-31, not {_cut(text)}")
    if day > datetime.date.today() + datetime.timedelta(days=1):
        raise ValueError(f"{name} lies in the future: {day.isoformat()}")
    return day.isoformat()


def iso_date(text: str) -> datetime.date | None:
    """The date of an ISO 8601 date or time; None where the text is none."""
    try:
        return datetime.datetime.fromisoformat(text).date()
    except ValueError:
        return None


def _cut(value: object) -> str:
    return repr(one_line(str(value))[:60])
