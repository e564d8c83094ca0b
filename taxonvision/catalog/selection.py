"""Which listed photographs are used, by the rules, in SQL over the work database.

Relations made here:

- `candidate`, one row a listed photograph: its taxon today and, where a rule looks at the row
  alone, its fate;
- `capped (row, taxon_id, fate)`, those that a rule about many photographs leaves out;
- `chosen (row, taxon_id, class_taxon_id, split)`, those that are used.

A photograph in neither of the last has its fate in `candidate`, its file is faulty, or its taxon
has too few photographs. Taxa in these are as observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.fates import FATES, FAULTY
from taxonvision.catalog.rules import Rules, license_name
from taxonvision.catalog.splits import draw_sql, split_sql
from taxonvision.tables import object_column
from taxonvision.taxonomy.ranks import RANK_LEVELS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_HYBRIDS = ("hybrid", "genushybrid", "infrahybrid")
_UNLIMITED = 2**31 - 1


def judge_rows(
    connection: DuckDBPyConnection, rules: Rules, taxon_today: Mapping[int, int | None]
) -> None:
    """Make `candidate` from `listed`.

    `taxon_today` maps taxa that were observed under an id of the past to the one of today, None
    where it was split into several.
    """
    connection.register("taxon_today", _today(taxon_today))
    coarsest = RANK_LEVELS[rules.coarsest_rank] if rules.coarsest_rank else None
    conditions = {
        FAULTY: "l.fault IS NOT NULL",
        "no_photograph": "l.path IS NULL",
        "no_taxon": "l.taxon_id IS NULL",
        "split_taxon": "was.taxon_id IS NOT NULL AND was.today IS NULL" if taxon_today else "",
        "unknown_taxon": "t.taxon_id IS NULL",
        "quality": f"l.quality NOT IN ({_texts(rules.quality)})" if rules.quality else "",
        "license": _license_condition(connection, rules),
        "inactive": "NOT t.active" if rules.active_only else "",
        "hybrid": "" if rules.hybrids else f"t.rank IN ({_texts(_HYBRIDS)})",
        "coarse": "" if coarsest is None else f"t.rank_level > {coarsest}",
    }
    cases = [f"WHEN {when} THEN '{fate}'::fate" for fate, when in conditions.items() if when]
    cases.insert(1, "WHEN l.left_out IS NOT NULL THEN l.left_out::fate")
    today = "coalesce(was.today, l.taxon_id)" if taxon_today else "l.taxon_id"
    was = "LEFT JOIN taxon_today was ON was.taxon_id = l.taxon_id" if taxon_today else ""
    connection.execute(
        f"""
        CREATE TYPE fate AS ENUM ({_texts(FATES)});
        CREATE TYPE split AS ENUM ({_texts(SPLITS)});
        CREATE TABLE candidate AS SELECT
            l.row, l.observation_key, l.position, l.split::split AS given, l.taxon_id,
            {today} AS taxon_today, {split_sql("l.split_position")}::split AS split,
            CASE {" ".join(cases)} END AS fate
        FROM listed l {was} LEFT JOIN listed_taxa t ON t.taxon_id = {today}
        """  # noqa: S608
    )
    connection.unregister("taxon_today")


def choose(
    connection: DuckDBPyConnection,
    rules: Rules,
    classes_of: Callable[[dict[int, int]], Mapping[int, int]],
    *,
    grouped: bool,
) -> None:
    """Make `capped` and `chosen` from `candidate`, `faulty_file (row)` and `unit_split`.

    Args:
        connection: the work database.
        rules: the rules.
        classes_of: from photographs by taxon to the class (a taxon id) that each taxon's
            photographs train; taxa that train none are absent.
        grouped: splits are those of `unit_split (row, split)`; else they follow from the
            observation's position alone.
    """
    split, unit_split = ("u.split::split", "JOIN unit_split u ON u.row = c.row") if grouped else (
        "c.split", "",
    )  # fmt: skip
    (any_faulty,) = connection.execute("SELECT EXISTS (FROM faulty_file)").fetchall()[0]
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE capped (row BIGINT, taxon_id BIGINT, fate fate);
        CREATE OR REPLACE VIEW live AS SELECT
            c.row, c.observation_key, c.taxon_id, c.taxon_today, c.position, {split} AS split
        FROM candidate c {unit_split} WHERE c.fate IS NULL
            {"AND c.row NOT IN (SELECT row FROM faulty_file)" if any_faulty else ""}
        """  # noqa: S608
    )
    _cap_observations(connection, rules)
    counts = connection.execute(
        """
        SELECT taxon_today, sum(n)::BIGINT FROM (
            SELECT taxon_today, count(*) AS n FROM live GROUP BY ALL
            UNION ALL SELECT taxon_today, -count(*) FROM over_observation GROUP BY ALL
        ) GROUP BY ALL HAVING sum(n) > 0 ORDER BY ALL
        """
    ).fetchall()
    classes = classes_of(dict(counts))
    connection.register(
        "class_of",
        {
            "taxon_id": np.array(list(classes), np.int64),
            "class_taxon_id": np.array(list(classes.values()), np.int64),
        },
    )
    connection.execute(
        """
        CREATE OR REPLACE TABLE chosen AS
            SELECT l.row, l.taxon_id, c.class_taxon_id, l.split, l.observation_key, l.position
            FROM live l JOIN class_of c ON c.taxon_id = l.taxon_today
            ANTI JOIN over_observation USING (row);
        INSERT INTO capped SELECT row, taxon_id, 'per_observation' FROM over_observation
        """
    )
    connection.unregister("class_of")
    _cap_classes(connection, rules)


def _cap_observations(connection: DuckDBPyConnection, rules: Rules) -> None:
    """Make `over_observation`: beyond the first so many photographs of one observation."""
    train = rules.per_observation or _UNLIMITED
    held_out = rules.per_observation_held_out or _UNLIMITED
    cap = f"CASE WHEN split = 'train'::split THEN {train} ELSE {held_out} END"
    limited = min(train, held_out) < _UNLIMITED
    # The window runs only over observations that have too many.
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE over_observation AS
        SELECT row, taxon_id, taxon_today FROM live
        SEMI JOIN (
            SELECT observation_key, taxon_today, split FROM live
            GROUP BY ALL HAVING count(*) > {cap}
        ) USING (observation_key, taxon_today, split)
        {"" if limited else "WHERE false"}
        QUALIFY row_number() OVER (
            PARTITION BY observation_key, taxon_today, split ORDER BY position, row) > {cap}
        """  # noqa: S608
    )


def _cap_classes(connection: DuckDBPyConnection, rules: Rules) -> None:
    """Only so many photographs of one class: the first of every observation, then the second ..."""
    if rules.max_photos is None:
        return
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE over AS SELECT row, taxon_id FROM (
            SELECT row, taxon_id, class_taxon_id, row_number() OVER (
                PARTITION BY observation_key, class_taxon_id ORDER BY position, row) AS turn
            FROM chosen SEMI JOIN (
                SELECT class_taxon_id FROM chosen GROUP BY ALL HAVING count(*) > {rules.max_photos}
            ) USING (class_taxon_id)
        ) JOIN listed_files USING (row)
        QUALIFY row_number() OVER (PARTITION BY class_taxon_id
            ORDER BY turn, {draw_sql("photo_id")}, row) > {rules.max_photos};
        INSERT INTO capped SELECT row, taxon_id, 'per_class' FROM over;
        CREATE OR REPLACE TABLE chosen AS SELECT * FROM chosen ANTI JOIN over USING (row)
        """  # noqa: S608
    )


def _license_condition(connection: DuckDBPyConnection, rules: Rules) -> str:
    if not rules.licenses:
        return ""
    found = connection.execute("SELECT DISTINCT license FROM listed_files").fetchall()
    allowed = {license_name(name) for name in rules.licenses}
    texts = [text for (text,) in found if text and license_name(text) in allowed]
    return f"coalesce(l.license NOT IN ({_texts(texts)}), true)" if texts else "true"


def _today(taxon_today: Mapping[int, int | None]) -> dict[str, np.ndarray]:
    today = object_column(taxon_today.values())
    return {"taxon_id": np.array(list(taxon_today), np.int64), "today": today}


def _texts(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
