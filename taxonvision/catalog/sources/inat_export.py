"""The table that iNaturalist's website exports of a search: a row an observation.

Columns differ over the years and with what the user asked for: inaturalist.org/observations/export.

- A row lists one photograph, the observation's first; the licence is the observation's.
- A name in a column `taxon_<rank>_name` tells the taxon's rank. A taxon whose rank has none is what
  lies below its lowest ancestor there: "Aculeata" below a suborder is an infraorder, "Copestylum
  marginatum" below a genus but of no species a complex, one word there a subgenus.
- Without such columns names tell the rank: two words are a species, three a subspecies, one a
  genus, or what its ending tells. Species hang below the genus of their first word, all below the
  group of `iconic_taxon_name`.
- Common names are taken for English, which is the export's default.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from taxonvision.catalog.sources.delimited import COMMA_SEPARATED, read_header
from taxonvision.catalog.sources.dwc_tables import TermTable, load, reject, tell
from taxonvision.catalog.sources.listed_sql import (
    date_fault_sql,
    date_sql,
    degrees_fault_sql,
    degrees_sql,
    listed_sql,
    quoted_sql,
)
from taxonvision.catalog.sources.media_urls import media_path_sql, parsed_urls_sql
from taxonvision.catalog.sources.named_ranks import (
    NamedTaxon,
    lineage_sql,
    named_taxon,
    rank_by_ending,
    stage_common_names,
    stage_named_taxa,
)
from taxonvision.catalog.sources.unzip import member_names, unpack, unpacking
from taxonvision.catalog.staging import Source, Staging
from taxonvision.errors import UserError
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.text import one_line

_RANK_COLUMNS = {f"taxon_{rank}_name": rank for rank in RANK_LEVELS}
_TAXON_COLUMNS = ("taxon_id", "scientific_name", "iconic_taxon_name", *_RANK_COLUMNS)
_COLUMNS = (
    "id", "uuid", "observed_on", "quality_grade", "license", "image_url", "user_id", "user_login",
    "user_name", "captive_cultivated", "latitude", "longitude", "common_name", *_TAXON_COLUMNS,
)  # fmt: skip
_TABLE = "export_rows"
_FAULT = f"""coalesce(
    CASE WHEN coalesce(uuid, id) IS NULL THEN 'no id' END,
    CASE WHEN taxon_id IS NOT NULL AND NOT coalesce(try_cast(taxon_id AS BIGINT) > 0, false)
        THEN 'taxon_id must be a whole number from 1, not ' || {quoted_sql("taxon_id")} END,
    CASE WHEN quality_grade NOT IN ('research', 'needs_id', 'casual')
        THEN 'quality_grade must be research, needs_id or casual, not '
            || {quoted_sql("quality_grade")} END,
    {degrees_fault_sql("latitude", "latitude", 90)},
    {degrees_fault_sql("longitude", "longitude", 180)},
    {date_fault_sql("observed_on", "observed_on")})"""

# Ranks whose names the export does not tell, from the top.
_WITHOUT_COLUMN = ("infraclass", "infraorder", "epifamily", "subgenus", "section", "complex")
# The groups that iNaturalist shows by icons, and what is above them.
_ICONIC: Mapping[str, tuple[tuple[str, str], ...]] = {
    **{name: (("kingdom", name),) for name in ("Animalia", "Plantae", "Fungi", "Chromista",
                                               "Protozoa")},
    "Mollusca": (("kingdom", "Animalia"), ("phylum", "Mollusca")),
    **{name: (("kingdom", "Animalia"), ("phylum", "Arthropoda"), ("class", name))
       for name in ("Insecta", "Arachnida")},
    **{name: (("kingdom", "Animalia"), ("phylum", "Chordata"), ("class", name))
       for name in ("Actinopterygii", "Amphibia", "Reptilia", "Aves", "Mammalia")},
}  # fmt: skip


def stage_inat_export(staging: Staging, path: Path, photos: Path | None) -> Source:
    """Stage an export: `.csv`, `.csv.gz`, or a zip that holds one.

    Photographs lie below `photos`, by default the folder of the export. Raises UserError for a
    table that is missing, lacks a column that is needed, or cannot be read.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; --input names the exported table, .csv or .zip")
    with unpacking(path, staging.folder) as unpacked:
        table = _table(path, unpacked)
        loaded = load(staging, table, _TABLE, _COLUMNS, lists_photographs=True)
    connection = staging.connection
    for column in table.columns:  # R writes NA for nothing
        if column in _COLUMNS:
            connection.execute(f'UPDATE {_TABLE} SET "{column}" = NULL WHERE "{column}" = \'NA\'')  # noqa: S608
    reject(staging, loaded, _FAULT, lists_photographs=True)
    _list(staging, photos or path.parent)
    ((duplicates,),) = connection.execute(
        "SELECT count(*) FROM listed WHERE left_out = 'duplicate'"
    ).fetchall()
    tell(staging, loaded, duplicates=duplicates)
    return Source(photos or path.parent)


def taxon_of_row(cells: Mapping[str, str]) -> NamedTaxon | None:
    """The taxon that a row with these cells (those that are filled) names; None where none."""
    names = {
        rank: name
        for column, rank in _RANK_COLUMNS.items()
        if (name := one_line(cells.get(column, "")))
    }
    scientific = one_line(cells.get("scientific_name", ""))
    taxon_id = int(cells["taxon_id"]) if "taxon_id" in cells else None
    if not scientific:
        return None
    words = scientific.split()
    if not names:
        names = dict(_ICONIC.get(cells.get("iconic_taxon_name", ""), ()))
        rank = _rank_of_name(scientific, names)
        if len(words) > 1 and RANK_LEVELS[rank] <= RANK_LEVELS["species"] and words[0] != "×":
            names["genus"] = words[0]
    else:
        rank = _rank_in_columns(scientific, names)
    if RANK_LEVELS[rank] < RANK_LEVELS["species"] and len(words) > 2 and "×" not in words:
        names.setdefault("species", " ".join(words[:2]))
    return named_taxon(names, rank, scientific, taxon_id=taxon_id)


def _table(path: Path, unpacked: Path) -> TermTable:
    """The table with its header checked, taken out of a zip."""
    if path.is_file() and zipfile.is_zipfile(path):
        names = [name for name in member_names(path) if name.lower().endswith(".csv")]
        if len(names) != 1:
            raise UserError(f"{path} must hold one .csv, not {len(names)}")
        path = unpack(path, names[0], unpacked)
    columns = read_header(path, COMMA_SEPARATED)
    needed = (("uuid", "id"), ("image_url",), ("taxon_id", "scientific_name"))
    missing = [" or ".join(names) for names in needed if not set(names) & set(columns)]
    if missing:
        raise UserError(
            f"{path} has no column {' and none '.join(missing)}, separated by commas; export the "
            f"observations again with it; it has: {one_line(', '.join(columns))[:500]}"
        )
    return TermTable(
        path, COMMA_SEPARATED, tuple(columns), "uuid" if "uuid" in columns else "id", {}
    )


def _list(staging: Staging, root: Path) -> None:
    """Make `listed` of the sound rows, and stage their taxa and names."""
    connection = staging.connection
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE export_observed AS SELECT *,
            coalesce(uuid, id) AS observation_id, {lineage_sql(_TAXON_COLUMNS)} AS lineage
        FROM ({parsed_urls_sql(f"(SELECT *, rowid AS place FROM {_TABLE})", "image_url")})
        """  # noqa: S608
    )
    stage_named_taxa(staging, "export_observed", _TAXON_COLUMNS, taxon_of_row)
    stage_common_names(staging, "export_observed", "common_name")
    columns = listed_sql(
        row="o.place", photo_id="coalesce(o.photo_id, o.observation_id)",
        path="CASE WHEN o.photo_id IS NOT NULL THEN"
        f" {media_path_sql(connection, root, 'export_observed')} END",
        url="o.image_url", observation_id="o.observation_id", position="0",
        taxon_id="coalesce(t.taxon_id, o.taxon_id::BIGINT)",
        quality="CASE WHEN lower(o.captive_cultivated) IN ('true', 't', 'yes') THEN 'casual'"
        " ELSE o.quality_grade END",
        observer="coalesce(o.user_login, o.user_id)", latitude=degrees_sql("o.latitude"),
        longitude=degrees_sql("o.longitude"), observed_on=date_sql("o.observed_on"),
        license="o.license", attribution="coalesce(o.user_name, o.user_login)",
        fault="o.unread",
        left_out="CASE WHEN o.place IN (FROM export_again) THEN 'duplicate'"
        " WHEN o.photo_id IS NULL THEN 'no_photograph' END",
    )  # fmt: skip
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE export_again AS SELECT unnest(list_sort(list(place))[2:])
            FROM export_observed GROUP BY observation_id HAVING count(*) > 1
            UNION SELECT unnest(list_sort(list(place))[2:])
            FROM export_observed WHERE photo_id IS NOT NULL GROUP BY photo_id HAVING count(*) > 1;
        CREATE TABLE listed AS SELECT {columns}
            FROM export_observed o LEFT JOIN taxon_of t USING (lineage);
        DROP TABLE export_observed; DROP TABLE taxon_of
        """  # noqa: S608
    )


def _rank_in_columns(scientific: str, names: Mapping[str, str]) -> str:
    """The rank of a taxon some of whose ancestors, and maybe itself, are named by rank."""
    same = [rank for rank, name in names.items() if name == scientific]
    if same:
        return same[-1]
    lowest = min(RANK_LEVELS[rank] for rank in names)
    if lowest == RANK_LEVELS["genus"] and " " in scientific:
        return "hybrid" if "×" in scientific else "complex"
    below = [
        rank for rank, level in RANK_LEVELS.items() if rank in _WITHOUT_COLUMN and level < lowest
    ]
    return below[0] if below else "form"


def _rank_of_name(scientific: str, iconic: Mapping[str, str]) -> str:
    words = scientific.split()
    if scientific in iconic.values():
        return next(rank for rank, name in iconic.items() if name == scientific)
    if scientific == "Life":
        return "stateofmatter"
    if "×" in words:
        return "hybrid"
    if len(words) == 1:
        return rank_by_ending(scientific) or "genus"
    return "species" if len(words) == 2 else "subspecies"
