"""What a source lists becomes a catalog: rules, splits, class ids, and every photograph opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import taxonvision
from taxonvision.catalog import grouping, opening
from taxonvision.catalog.catalog import (
    MANIFEST,
    PHOTO_COLUMNS,
    SCHEMA_VERSION,
    SPLITS,
    fingerprint,
)
from taxonvision.catalog.class_ids import EarlierClasses, grow_classes, next_release
from taxonvision.catalog.eligibility import Decision, Tally, decide, total, write_eligibility
from taxonvision.catalog.fates import FAULTY, LEFT_OUT, USED
from taxonvision.catalog.rules import Rules, license_name
from taxonvision.catalog.selection import choose, judge_rows
from taxonvision.catalog.staging import Source, Staging, staging_in
from taxonvision.catalog.taxa import ObservedTaxa, read_observed_taxa
from taxonvision.errors import UserError
from taxonvision.progress import working
from taxonvision.storage import Recipe, publish, write_json
from taxonvision.tables import write_csv, write_parquet
from taxonvision.taxonomy.changes import NO_CHANGES, Changes, write_changes
from taxonvision.taxonomy.classes import TaxonClass, write_classes
from taxonvision.taxonomy.names import write_names
from taxonvision.taxonomy.tree import write_taxonomy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LATER_FATES = {
    "per_observation": "per_observation",
    "per_class": "per_class",
    "faulty_file": FAULTY,
}

Stage = Callable[[Staging], Source]
"""Fills the work database and says where the photographs are."""


@dataclass(frozen=True)
class IngestOptions:
    """How listed photographs become a catalog.

    Attributes:
        rules: which are used.
        split_by: what is never torn between splits: observation, observer, site or date.
        near_duplicates: photographs that look alike are not torn either (only if opened).
        check_photos: open every photograph that is used; without, the catalog lists what to fetch.
        earlier: classes whose ids are kept.
        retire_absent: retire those of them without photographs.
        splits_from: an earlier catalog's `photos.parquet`, whose splits are kept.
        changes: what became of taxa.
    """

    rules: Rules = field(default_factory=Rules)
    split_by: str = "observation"
    near_duplicates: bool = True
    check_photos: bool = True
    earlier: EarlierClasses | None = None
    retire_absent: bool = False
    splits_from: Path | None = None
    changes: Changes = NO_CHANGES


def ingest(
    stage: Stage,
    source_name: str,
    options: IngestOptions,
    out: Path,
    recipe: Recipe,
    *,
    overwrite: bool = False,
) -> Mapping[str, Any]:
    """Write the catalog `out` of what `stage` lists; returns its manifest.

    Faulty photographs and rows go to `rejects.csv` with the reason and stop nothing. Where the
    rules leave nothing over, the catalog is written without classes.

    Raises UserError when nothing is listed, and when all of it is faulty.
    """
    options.rules.check()
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        work, written = partial / "work", partial / "photos"
        with staging_in(work, written) as staging:
            source = stage(staging)
            manifest = _write(staging.connection, source, options, partial)
        shutil.rmtree(work)
        root = out / "photos" if source.root == written else source.root
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "made_by": recipe.as_json(),
            "taxonvision": taxonvision.__version__,
            "source": source_name,
            "root": str(root.absolute()),
            "root_from_catalog": os.path.relpath(root.absolute(), out.absolute()),
            **manifest,
            "fingerprint": fingerprint(partial),
        }
        write_json(partial / MANIFEST, manifest)
    return manifest


def _write(
    connection: DuckDBPyConnection, source: Source, options: IngestOptions, partial: Path
) -> dict[str, Any]:
    """Write the tables of the catalog; returns what its manifest says of them."""
    _refuse_nothing(connection, source.root)
    connection.execute(
        "CREATE VIEW IF NOT EXISTS listed_files AS SELECT row, photo_id, path, license FROM listed;"
        "CREATE VIEW IF NOT EXISTS observed_taxa AS SELECT DISTINCT taxon_id FROM listed"
    )
    taxa = read_observed_taxa(connection, options.changes, options.earlier)
    decisions = _select(connection, source.root, options, taxa)
    tallies = _tally(connection)
    fates = total(list(tallies.values()))
    (unread,) = _one(connection, "SELECT count(*) FROM rejects WHERE is_photograph")
    fates[FAULTY] += unread
    _write_rejects(connection, partial / "rejects.csv")
    if not fates[USED] and fates[FAULTY] == sum(fates.values()):
        raise UserError(_all_faulty(connection, source.root, fates[FAULTY]))
    classes = _classes(decisions, taxa, options)
    _write_photos(connection, partial / "photos.parquet", classes)
    write_classes(partial / "classes.csv", classes)
    of_taxa = {taxon_id: tally for taxon_id, tally in tallies.items() if taxon_id is not None}
    seen = {*of_taxa, *decisions, *(c.taxon_id for c in classes)}
    tree = taxa.taxonomy.closure(taxon_id for taxon_id in seen if taxon_id in taxa.taxonomy)
    write_taxonomy(partial / "taxonomy.csv", tree)
    write_names(
        partial / "names.csv",
        {code: {t: n for t, n in by.items() if t in tree} for code, by in taxa.names.items()},
    )
    write_eligibility(
        partial / "eligibility.csv", of_taxa, decisions, tree, options.rules, options.changes
    )
    write_changes(partial / "changes.csv", options.changes)
    torn = grouping.write_near_duplicates(connection, partial / "near_duplicates.csv")
    (alike,) = _one(connection, "SELECT count(*) FROM near_duplicates")
    splits = dict(
        connection.execute("SELECT split, count(*) FROM chosen GROUP BY split").fetchall()
    )
    return {
        "counts": {
            "photographs": sum(fates.values()),
            "used": fates[USED],
            "rejected": fates[FAULTY],
            "left_out": {fate: fates[fate] for fate in LEFT_OUT if fates[fate]},
            "classes": sum(c.active for c in classes),
            **{split: splits.get(split, 0) for split in SPLITS},
            "near_duplicates": alike,
            "near_duplicates_across_splits": torn,
            "tables": {
                name: {"rows": rows, "used": used, "faulty": faulty, "duplicates": duplicates}
                for name, rows, used, faulty, duplicates in connection.execute(
                    'SELECT name, "rows", used, faulty, duplicates FROM tables_read ORDER BY name'
                ).fetchall()
            },
            "other_files": dict(sorted(source.other_files.items())),
        },
        "photos_checked": options.check_photos,
    }


def _select(
    connection: DuckDBPyConnection, root: Path, options: IngestOptions, taxa: ObservedTaxa
) -> Mapping[int, Decision]:
    """Make `chosen`; returns what becomes of each taxon.

    Opening a photograph may tell that it is broken or much like another, which changes what is
    chosen, so that this goes on until all that is chosen has been opened.
    """
    connection.execute(opening.TABLES + grouping.TABLES)
    if options.splits_from:
        grouping.read_earlier_splits(connection, options.splits_from)
    with working("judging the photographs"):
        judge_rows(connection, options.rules, taxa.today)
    near_duplicates = options.near_duplicates and options.check_photos
    grouped = grouping.needs_grouping(connection, options.split_by, near_duplicates=near_duplicates)
    kept = {
        today
        for c in (options.earlier.classes if options.earlier else [])
        if c.active and (today := options.changes.current(c.taxon_id)) is not None
    }
    decisions: dict[int, Decision] = {}

    def classes_of(usable: dict[int, int]) -> dict[int, int]:
        decisions.clear()
        decisions.update(decide(usable, taxa.taxonomy, options.rules, kept))
        return {t: d.class_taxon_id for t, d in decisions.items() if d.class_taxon_id is not None}

    while True:
        if grouped:
            with working("keeping together what belongs together"):
                grouping.split_units(connection, options.split_by, near_duplicates=near_duplicates)
        with working("applying the rules"):
            choose(connection, options.rules, classes_of, grouped=grouped)
        if not options.check_photos or not opening.open_photographs(connection, root):
            return decisions


def _classes(
    decisions: Mapping[int, Decision], taxa: ObservedTaxa, options: IngestOptions
) -> list[TaxonClass]:
    eligible = {taxon_id for taxon_id, d in decisions.items() if d.class_taxon_id == taxon_id}
    previous = options.earlier.classes if options.earlier else []
    return grow_classes(
        previous,
        eligible,
        taxa.taxonomy,
        since=next_release(previous, options.earlier.version if options.earlier else ""),
        changes=options.changes,
        retire_absent=options.retire_absent,
    )


def _tally(connection: DuckDBPyConnection) -> dict[int | None, Tally]:
    """What became of the photographs, by the taxon as observed (None: no taxon)."""
    rows = connection.execute(
        """
        SELECT taxon_id, coalesce(fate::VARCHAR, 'too_few'), count(*) FROM candidate GROUP BY ALL
        UNION ALL SELECT taxon_id, fate::VARCHAR, count(*) FROM capped GROUP BY ALL
        UNION ALL SELECT taxon_id, 'faulty_file', count(*) FROM candidate
            SEMI JOIN faulty_file USING (row) GROUP BY ALL
        UNION ALL SELECT taxon_id, split::VARCHAR, count(*) FROM chosen GROUP BY ALL
        """
    ).fetchall()
    tallies: dict[int | None, Tally] = {}
    for taxon_id, fate, count in rows:
        tally = tallies.setdefault(taxon_id, Tally())
        if fate in SPLITS:
            tally.splits[fate] = count
        if fate in (*SPLITS, *_LATER_FATES):  # counted as too few before
            tally.fates["too_few"] -= count
            fate = _LATER_FATES.get(fate, USED)
        tally.fates[fate] = tally.fates.get(fate, 0) + count
    return tallies


def _write_photos(connection: DuckDBPyConnection, path: Path, classes: list[TaxonClass]) -> None:
    connection.register(
        "class_ids",
        {
            "taxon_id": np.array([c.taxon_id for c in classes], np.int64),
            "class_id": np.array([c.class_id for c in classes], np.int32),
        },
    )
    texts = [
        text
        for (text,) in connection.execute(
            "SELECT DISTINCT license FROM listed_files WHERE license IS NOT NULL"
        ).fetchall()
    ]
    connection.register(
        "license_names",
        {
            "text": np.array(texts, dtype=object),
            "name": np.array([license_name(text) for text in texts], dtype=object),
        },
    )
    found = {
        "sha256": "o.sha256",
        "width": "coalesce(o.width, l.width)",
        "height": "coalesce(o.height, l.height)",
        "orientation": "o.orientation",
        "class_id": "k.class_id",
        "split": "h.split",
        "license": "nullif(n.name::VARCHAR, '')",
    }
    columns = ", ".join(
        f"({found.get(name, f'l.{name}')})::{kind} AS {name}"
        for name, kind in PHOTO_COLUMNS.items()
    )
    query = (
        f"SELECT {columns} FROM listed l JOIN chosen h ON h.row = l.row"  # noqa: S608
        " JOIN class_ids k ON k.taxon_id = h.class_taxon_id"
        " LEFT JOIN opened o ON o.row = l.row LEFT JOIN license_names n ON n.text = l.license"
    )
    # One thread writes the rows in the order in which they are listed, so that every run gives the
    # same bytes; several would need a sort, which is dearer for tables larger than memory.
    connection.execute("SET threads = 1")
    with working(f"writing {path.name}"):
        write_parquet(path, connection, query)


def _write_rejects(connection: DuckDBPyConnection, path: Path) -> None:
    rows = connection.execute(
        """
        SELECT path, line, reason FROM rejects
        UNION ALL
        SELECT coalesce(l.path, l.photo_id), NULL, coalesce(l.fault, f.reason)
        FROM listed l LEFT JOIN faulty_file f ON f.row = l.row
        WHERE l.fault IS NOT NULL OR f.reason IS NOT NULL
        ORDER BY ALL
        """
    ).fetchall()
    write_csv(path, ("path", "line", "reason"), rows)


def _refuse_nothing(connection: DuckDBPyConnection, root: Path) -> None:
    (nothing,) = _one(connection, "SELECT NOT EXISTS (FROM listed) AND NOT EXISTS (FROM rejects)")
    if nothing:
        raise UserError(f"there is no photograph below {root}")


def _all_faulty(connection: DuckDBPyConnection, root: Path, count: int) -> str:
    path, reason = _one(
        connection,
        """
        SELECT path, reason FROM (
            SELECT path, reason FROM rejects
            UNION ALL SELECT path, fault FROM listed WHERE fault IS NOT NULL
            UNION ALL SELECT l.path, f.reason FROM faulty_file f JOIN listed l USING (row)
        ) ORDER BY ALL LIMIT 1
        """,
    )
    return f"none of the {count} files below {root} can be used; {path}: {reason}"


def _one(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
