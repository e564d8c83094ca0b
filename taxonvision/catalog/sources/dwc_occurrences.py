"""Darwin Core occurrences: who saw what, where and when, with which quality."""

from __future__ import annotations

from taxonvision.catalog.sources.dwc_tables import Loaded, reject, tell
from taxonvision.catalog.sources.dwc_taxa import TAXON_COLUMNS, taxon_of_record
from taxonvision.catalog.sources.listed_sql import (
    date_fault_sql,
    date_sql,
    degrees_fault_sql,
    degrees_sql,
    quoted_sql,
)
from taxonvision.catalog.sources.named_ranks import (
    lineage_sql,
    stage_common_names,
    stage_named_taxa,
)
from taxonvision.catalog.staging import Staging

OCCURRENCE_TERMS = (
    "occurrenceID", "eventDate", "year", "month", "day", "decimalLatitude", "decimalLongitude",
    "captive", "establishmentMeans", "degreeOfEstablishment", "identificationVerificationStatus",
    "datasetName", "datasetKey", "occurrenceStatus", "recordedBy", "recordedByID",
    "inaturalistLogin", "rightsHolder", "license", "locationID", "associatedMedia",
    "vernacularName", "language", *TAXON_COLUMNS,
)  # fmt: skip
OBSERVED = "dc_observed"

_RESEARCH_GRADE = "iNaturalist research-grade observations"
_RESEARCH_GRADE_KEY = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"  # GBIF's key of that data set
_OBSERVATION_PAGE = "://www.inaturalist.org/observations/"
_DATE_PARTS = "try_cast(year || '-' || month || '-' || day AS DATE)"

_FAULT = f"""coalesce(
    {degrees_fault_sql('"decimalLatitude"', "decimalLatitude", 90)},
    {degrees_fault_sql('"decimalLongitude"', "decimalLongitude", 180)},
    {date_fault_sql('"eventDate"', "eventDate", _DATE_PARTS)})"""

_QUALITY = f"""CASE
    WHEN lower(captive) IN ('captive', 'cultivated', 'true', 'yes', '1')
        OR lower(establishmentMeans) IN ('captive', 'cultivated', 'managed')
        OR lower(degreeOfEstablishment) IN ('captive', 'cultivated', 'managed') THEN 'casual'
    WHEN lower(identificationVerificationStatus) IN ('research', 'needs_id', 'casual')
        THEN lower(identificationVerificationStatus)
    WHEN datasetName = '{_RESEARCH_GRADE}' OR datasetKey = '{_RESEARCH_GRADE_KEY}' THEN 'research'
    END"""

_LANGUAGE = r"""CASE WHEN lower("language") IN ('english', 'eng') THEN 'en'
    WHEN regexp_full_match("language", '[A-Za-z]{2,3}([-_][A-Za-z]+)?')
        THEN lower(regexp_extract("language", '^[A-Za-z]+')) END"""


def stage_occurrences(
    staging: Staging, table: Loaded, *, lists_photographs: bool, english: bool
) -> None:
    """Make the table `dc_observed` of a table of `OCCURRENCE_TERMS`, and stage its taxa and names.

    One row an occurrence: `place`, by which they are in order; the key `id`; what `listed` says of
    it; and `again`, true for a key that was there before.

    Args:
        staging: where the table is.
        table: the table, which is dropped.
        lists_photographs: a row is one photograph listed: one with the key of another stays, as a
            duplicate. Else it is faulty.
        english: common names are in English where the record tells no language.
    """
    connection = staging.connection
    key = f'"{table.key}"'
    fault = f"CASE WHEN {key} IS NULL THEN 'no {table.key}' ELSE {_FAULT} END"
    reject(staging, table, fault, lists_photographs=lists_photographs)
    repeated = (
        f"(SELECT unnest(list_sort(list(rowid))[2:]) FROM {table.name} GROUP BY {key}"  # noqa: S608
        " HAVING count(*) > 1)"
    )
    duplicates = 0
    if lists_photographs:
        ((duplicates,),) = connection.execute(
            f"SELECT count(*) - count(DISTINCT {key}) FROM {table.name}"  # noqa: S608
        ).fetchall()
    else:
        sentence = f"'the occurrence ' || {quoted_sql(key)} || ' is listed before'"
        reject(
            staging, table, f"CASE WHEN rowid IN {repeated} THEN {sentence} END",
            lists_photographs=False,
        )  # fmt: skip
    tell(staging, table, duplicates=duplicates)
    lineage = lineage_sql(TAXON_COLUMNS)
    connection.execute(
        "CREATE OR REPLACE VIEW dc_named AS SELECT *, rowid AS place,"  # noqa: S608
        " CASE WHEN lower(occurrenceStatus) IS DISTINCT FROM 'absent'"
        f" THEN {lineage} END AS lineage FROM {table.name}"
    )
    stage_named_taxa(staging, "dc_named", TAXON_COLUMNS, taxon_of_record)
    language = f"coalesce({_LANGUAGE}, 'en')" if english else _LANGUAGE
    stage_common_names(staging, "dc_named", "vernacularName", language)
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE {OBSERVED} AS SELECT
            place,
            {key} AS id,
            CASE WHEN starts_with(occurrenceID, 'https{_OBSERVATION_PAGE}') THEN occurrenceID
                WHEN starts_with(occurrenceID, 'http{_OBSERVATION_PAGE}')
                    THEN 'https' || occurrenceID[5:]
                ELSE {key} END AS observation_id,
            lineage,
            {_QUALITY} AS quality,
            coalesce(inaturalistLogin, recordedByID, recordedBy) AS observer,
            locationID AS site,
            {degrees_sql('"decimalLatitude"')} AS latitude,
            {degrees_sql('"decimalLongitude"')} AS longitude,
            {date_sql('"eventDate"', _DATE_PARTS)} AS observed_on,
            license,
            coalesce(rightsHolder, recordedBy) AS attribution,
            associatedMedia AS media,
            {f"place IN {repeated}" if duplicates else "false"} AS again
        FROM dc_named;
        DROP VIEW dc_named; DROP TABLE {table.name}
        """  # noqa: S608
    )
