"""SQL that tables of observations share on their way to `listed`: places, dates, columns."""

from __future__ import annotations

from taxonvision.catalog.splits import position_sql
from taxonvision.catalog.staging import LISTED

_DAY = r"^\d{4}-\d{2}-\d{2}([T /].*)?$"
_PART = r"^\d{4}(-\d{2})?(/.*)?$"


def listed_sql(**values: str) -> str:
    """The columns of `listed` from SQL expressions, NULL where none is given.

    `observation_id` serves for the key and the position of the split too.
    """
    observation = values["observation_id"]
    values = {
        "observation_key": f"md5_number_lower({observation})",
        "split_position": position_sql(observation),
        **values,
    }
    return ", ".join(
        f"({values.get(name, 'NULL')})::{kind} AS {name}" for name, kind in LISTED.items()
    )


def quoted_sql(value: str) -> str:
    """A text expression in quotation marks, on one line and cut, for a sentence."""
    return f"'''' || {_cut(value)} || ''''"


def degrees_sql(value: str) -> str:
    """A latitude or longitude of a text expression (DOUBLE); NULL for what is none."""
    return f"try_cast({value} AS DOUBLE)"


def degrees_fault_sql(value: str, name: str, largest: int) -> str:
    """What is wrong with a latitude (`largest` 90) or longitude (180); NULL where nothing is."""
    return (
        f"CASE WHEN NOT coalesce({degrees_sql(value)} BETWEEN -{largest} AND {largest}, false)"
        f" AND {value} IS NOT NULL THEN"
        f" '{name} must be degrees from -{largest} to {largest}, not ' || {quoted_sql(value)} END"
    )


def date_sql(value: str, fallback: str = "NULL::DATE") -> str:
    """The day of an ISO 8601 date, time, or interval, whose start counts (DATE).

    `fallback` where there is none, NULL for a month or year.
    """
    return (
        f"CASE WHEN regexp_matches({value}, '{_DAY}') THEN try_cast({value}[:10] AS DATE)"
        f" WHEN regexp_matches({value}, '{_PART}') THEN NULL ELSE {fallback} END"
    )


def date_fault_sql(value: str, name: str, fallback: str = "NULL::DATE") -> str:
    """What is wrong with a date: none at all, or after tomorrow, which it is nowhere on Earth."""
    day = date_sql(value, fallback)
    year = f"try_cast({value}[:4] AS INTEGER)"
    return (
        f"CASE WHEN coalesce({day}, make_date({year}, 1, 1)) > current_date + 1"
        f" THEN '{name} lies in the future: ' || {_cut(f'coalesce({value}, ({day})::VARCHAR)')}"
        f" WHEN {value} IS NOT NULL AND {day} IS NULL"
        f" AND NOT regexp_matches({value}, '{_PART}') OR year({day}) < 1"
        f" THEN '{name} must be a date as 2024-05-31, not ' || {quoted_sql(value)} END"
    )


def _cut(value: str) -> str:
    return f"regexp_replace({value}, '[[:cntrl:]]+', ' ', 'g')[:60]"
