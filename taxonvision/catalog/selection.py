"""Which listed photographs are used, by the rules, in SQL over the work database.

Relations made here:

- `candidate`, one row a listed photograph: its taxon today and, where a rule looks at the row
  alone, its fate;
- `chosen (row, class_taxon_id, split)`, the photographs that are used;
- `capped (row, fate)`, those that one rule about many photographs leaves out.

A photograph in neither has its fate in `candidate`, or its taxon has too few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.catalog.fates import FATES, FAULTY
from taxonvision.catalog.rules import Rules, license_name
from taxonvision.catalog.splits import split_sql
from taxonvision.taxonomy.ranks import RANK_LEVELS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_HYBRIDS = ("hybrid", "genushybrid")


def judge_rows(
    connection: DuckDBPyConnection, rules: Rules, taxon_today: Mapping[int, int | None]
) -> None:
    """Make `candidate` from `listed`.

    `taxon_today` maps taxa that were observed under an id of the past to the one of today, None
    where it was split into several.
    """
    connection.register("taxon_today", _today(taxon_today))
    conditions = {
        FAULTY: "l.fault IS NOT NULL",
        "no_photograph": "l.path IS NULL",
        "no_taxon": "l.taxon_id IS NULL",
        "split_taxon": "was.taxon_id IS NOT NULL AND was.today IS NULL",
        "unknown_taxon": "t.taxon_id IS NULL",
        "quality": f"l.quality NOT IN ({_texts(rules.quality)})" if rules.quality else "",
        "license": _license_condition(connection, rules),
        "inactive": "NOT t.active" if rules.active_only else "",
        "hybrid": "" if rules.hybrids else f"t.rank IN ({_texts(_HYBRIDS)})",
        "coarse": f"t.rank_level > {RANK_LEVELS[rules.coarsest_rank]}"
        if rules.coarsest_rank
        else "",
    }
    cases = [
        f"WHEN {condition} THEN '{fate}'" for fate, condition in conditions.items() if condition
    ]
    cases.insert(1, "WHEN l.left_out IS NOT NULL THEN l.left_out::fate")
    connection.execute(f"CREATE TYPE fate AS ENUM ({_texts(FATES)})")
    connection.execute(
        f"""
        CREATE TABLE candidate AS SELECT
            l.row, l.photo_id, l.observation_key, l.split_position, l.position,
            l.split AS given, l.taxon_id,
            {"coalesce(was.today, l.taxon_id)" if taxon_today else "l.taxon_id"} AS taxon_today,
            CASE {" ".join(cases)} END::fate AS fate
        FROM listed l
        LEFT JOIN taxon_today was ON was.taxon_id = l.taxon_id
        LEFT JOIN listed_taxa t
            ON t.taxon_id = {"coalesce(was.today, l.taxon_id)" if taxon_today else "l.taxon_id"}
        """  # noqa: S608
    )
    connection.unregister("taxon_today")


def choose(
    connection: DuckDBPyConnection,
    rules: Rules,
    classes_of: Callable[[dict[int, int]], Mapping[int, int]],
) -> None:
    """Make `chosen` and `capped` from `candidate`, `faulty_file (row)` and `unit_split`.

    Args:
        connection: the work database.
        rules: the rules.
        classes_of: from photographs by taxon to the class (a taxon id) that each taxon's
            photographs train; taxa that train none are absent.

    `unit_split (row, split)` holds the splits that do not follow from the observation's position
    alone.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE live AS SELECT
            c.row, c.photo_id, c.observation_key, c.taxon_today, c.position,
            coalesce(u.split, {split_sql("c.split_position")}) AS split
        FROM candidate c LEFT JOIN unit_split u ON u.row = c.row
        WHERE c.fate IS NULL AND c.row NOT IN (SELECT row FROM faulty_file);
        CREATE OR REPLACE TABLE capped (row BIGINT, fate fate);
        """  # noqa: S608
    )
    _cap_observations(connection, rules)
    counts = connection.execute(
        "SELECT taxon_today, count(*) FROM live ANTI JOIN capped USING (row) GROUP BY ALL"
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
        CREATE OR REPLACE TABLE chosen AS SELECT l.row, c.class_taxon_id, l.split
        FROM live l JOIN class_of c ON c.taxon_id = l.taxon_today ANTI JOIN capped USING (row)
        """
    )
    connection.unregister("class_of")
    _cap_classes(connection, rules)


def _cap_observations(connection: DuckDBPyConnection, rules: Rules) -> None:
    """Only so many photographs of one observation, the first ones."""
    held_out, train = rules.per_observation_held_out, rules.per_observation
    if held_out is None and train is None:
        return
    unlimited = 2**31 - 1
    cap = f"CASE WHEN split = 'train' THEN {train or unlimited} ELSE {held_out or unlimited} END"
    # The window runs only over observations that have too many.
    connection.execute(
        f"""
        INSERT INTO capped SELECT row, 'per_observation' FROM live
        SEMI JOIN (
            SELECT observation_key, taxon_today FROM live
            GROUP BY ALL HAVING count(*) > {min(train or unlimited, held_out or unlimited)}
        ) USING (observation_key, taxon_today)
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
        CREATE OR REPLACE TEMP TABLE crowd AS
            SELECT c.row, c.class_taxon_id, l.observation_key, l.position, l.photo_id
            FROM chosen c JOIN live l USING (row)
            SEMI JOIN (
                SELECT class_taxon_id FROM chosen GROUP BY ALL HAVING count(*) > {rules.max_photos}
            ) USING (class_taxon_id);
        CREATE OR REPLACE TEMP TABLE over AS SELECT row FROM (
            SELECT row, class_taxon_id, photo_id, row_number() OVER (
                PARTITION BY observation_key, class_taxon_id ORDER BY position, row) AS turn
            FROM crowd
        )
        QUALIFY row_number() OVER (PARTITION BY class_taxon_id
            ORDER BY turn, md5_number_lower(photo_id), row) > {rules.max_photos};
        INSERT INTO capped SELECT row, 'per_class' FROM over;
        CREATE OR REPLACE TABLE chosen AS SELECT * FROM chosen ANTI JOIN over USING (row);
        DROP TABLE crowd; DROP TABLE over;
        """  # noqa: S608
    )


def _license_condition(connection: DuckDBPyConnection, rules: Rules) -> str:
    if not rules.licenses:
        return ""
    found = connection.execute("SELECT DISTINCT license FROM listed").fetchall()
    allowed = {license_name(name) for name in rules.licenses}
    texts = [text for (text,) in found if text and license_name(text) in allowed]
    return f"coalesce(l.license NOT IN ({_texts(texts)}), true)" if texts else "true"


def _today(taxon_today: Mapping[int, int | None]) -> dict[str, np.ndarray]:
    today = np.empty(len(taxon_today), dtype=object)
    today[:] = list(taxon_today.values())
    return {"taxon_id": np.array(list(taxon_today), np.int64), "today": today}


def _texts(values: tuple[str, ...] | list[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
