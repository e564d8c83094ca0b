"""Darwin Core: archives of GBIF and iNaturalist, a lone occurrence table, a `.dwc` document.

Terms: dwc.tdwg.org/terms, and ac.tdwg.org (Audubon Core) for media.

- The photographs of an archive are the rows of its tables of media that are still images, those of
  a `.dwc` its data objects, those of a lone table the addresses in `associatedMedia`.
- What is captive or cultivated is casual, as iNaturalist grades it. Else a grade in
  `identificationVerificationStatus` counts, and iNaturalist's research-grade data set.
- A record that tells of an absence names no taxon.
- The licence is that of the photograph; only for a lone table it is that of the record.
- Common names count where the record tells its language; those of a `.dwc` are taken for English.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from taxonvision.catalog.sources.delimited import COMMA_SEPARATED, TAB_SEPARATED, read_header
from taxonvision.catalog.sources.dwc_media import (
    MEDIA_TERMS,
    place_photos,
    stage_associated_media,
    stage_media,
)
from taxonvision.catalog.sources.dwc_occurrences import (
    OBSERVED,
    OCCURRENCE_TERMS,
    stage_occurrences,
)
from taxonvision.catalog.sources.dwc_records import load_records
from taxonvision.catalog.sources.dwc_tables import TermTable, load
from taxonvision.catalog.sources.dwca_archive import META, Archive, find_meta, read_archive
from taxonvision.catalog.sources.listed_sql import listed_sql
from taxonvision.catalog.sources.records import Dialect, opened
from taxonvision.catalog.sources.unzip import member_names, unpack, unpacking
from taxonvision.catalog.staging import Source, Staging
from taxonvision.errors import UserError
from taxonvision.progress import working
from taxonvision.text import one_line

_KEYS = ("id", "gbifID", "occurrenceID", "catalogNumber")
_CORE = "dc_occurrences"
_TELLING = ("gbifID", "occurrenceID", "basisOfRecord", "eventDate", "decimalLatitude", "recordedBy")
_TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_DOCUMENTS = (".dwc", ".xml")
_TERMS = {term.lower(): term for term in (*_KEYS, *OCCURRENCE_TERMS)}


def stage_darwin_core(staging: Staging, path: Path, photos: Path | None) -> Source:
    """Stage an archive (folder or zip), an occurrence table or a `.dwc` document.

    Photographs lie below `photos`, by default the folder of the input. Raises UserError for what is
    none of these, is damaged or leads out of its folder.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    root = photos or (path if path.is_dir() else path.parent)
    with unpacking(path, staging.folder) as unpacked:
        others = _stage(staging, path, unpacked)
    with working("joining photographs and records"):
        place_photos(staging, root)
        _list(staging)
    return Source(root, others)


def _stage(staging: Staging, path: Path, unpacked: Path) -> dict[str, int]:
    """Stage what the input is; returns how many media of which kind are no photographs."""
    meta = find_meta(path) if path.is_dir() or zipfile.is_zipfile(path) else None
    if meta:
        return _stage_archive(staging, read_archive(path, meta, unpacked))
    file = _only_file(path, unpacked)
    if _is_xml(file):
        return _stage_document(staging, file)
    return _stage_archive(staging, Archive(_lone_table(file), ()))


def _stage_archive(staging: Staging, archive: Archive) -> dict[str, int]:
    lone = not archive.media
    core = load(staging, archive.core, _CORE, OCCURRENCE_TERMS, lists_photographs=lone)
    stage_occurrences(staging, core, lists_photographs=lone, english=False)
    if lone:
        return stage_associated_media(staging, OBSERVED)
    return stage_media(
        staging,
        [
            load(staging, table, f"dc_media_{i}", MEDIA_TERMS, lists_photographs=True)
            for i, table in enumerate(archive.media)
        ],
    )


def _stage_document(staging: Staging, file: Path) -> dict[str, int]:
    core, media = load_records(staging, file, (_CORE, OCCURRENCE_TERMS), ("dc_media", MEDIA_TERMS))
    stage_occurrences(staging, core, lists_photographs=False, english=True)
    return stage_media(staging, [media])


def _list(staging: Staging) -> None:
    """Make `listed`: the photographs, then the records without any."""
    photograph = listed_sql(
        row="p.row", photo_id="p.photo_id", path="p.path", url="p.url",
        observation_id="coalesce(o.observation_id, p.id, p.photo_id)", position="p.position",
        taxon_id="t.taxon_id", quality="o.quality", observer="o.observer", site="o.site",
        latitude="o.latitude", longitude="o.longitude", observed_on="o.observed_on",
        license="p.license", attribution="coalesce(p.attribution, o.attribution)", fault="p.fault",
        left_out="CASE WHEN p.again THEN 'duplicate' WHEN o.id IS NULL THEN 'no_observation' END",
    )  # fmt: skip
    record = listed_sql(
        row="(SELECT count(*) FROM dc_placed) + o.place", photo_id="o.observation_id",
        observation_id="o.observation_id", taxon_id="t.taxon_id", quality="o.quality",
        observer="o.observer", site="o.site", latitude="o.latitude", longitude="o.longitude",
        observed_on="o.observed_on", attribution="o.attribution",
        left_out="CASE WHEN o.again THEN 'duplicate' ELSE 'no_photograph' END",
    )  # fmt: skip
    staging.connection.execute(
        f"""
        CREATE TABLE listed AS
        SELECT {photograph} FROM dc_placed p
            LEFT JOIN {OBSERVED} o ON o.id = p.id AND NOT o.again
            LEFT JOIN taxon_of t USING (lineage)
        UNION ALL
        SELECT {record} FROM {OBSERVED} o LEFT JOIN taxon_of t USING (lineage)
            WHERE o.again OR o.id NOT IN (SELECT id FROM dc_placed WHERE id IS NOT NULL);
        DROP TABLE dc_placed; DROP TABLE {OBSERVED}; DROP TABLE taxon_of
        """  # noqa: S608
    )


def _only_file(path: Path, unpacked: Path) -> Path:
    """The one table of occurrences or document that is the input, or lies in it."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.lower().endswith(_TABLES + _DOCUMENTS))
        fitting = [file for file in files if _is_xml(file) or _is_of_occurrences(file)]
        if len(fitting) == 1:
            return fitting[0]
        found = f"several: {', '.join(p.name for p in fitting)}" if fitting else "none"
        raise UserError(
            f"{path} has no {META}, so that it must hold one table of occurrences or .dwc "
            f"document; it holds {found}"
        )
    if zipfile.is_zipfile(path):
        names = [n for n in member_names(path) if n.lower().endswith(_TABLES + _DOCUMENTS)]
        if len(names) != 1:
            raise UserError(
                f"{path} has no {META}, so that it must hold one table of occurrences or .dwc "
                f"document, not {len(names)}"
            )
        return unpack(path, names[0], unpacked)
    return path


def _is_xml(path: Path) -> bool:
    with opened(path) as file:
        start = file.read(200).removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith((b"<", b"\xff\xfe<\0", b"\xfe\xff\0<"))


def _is_of_occurrences(path: Path) -> bool:
    try:
        return bool(set(_lone_table(path).columns) & set(_TELLING))
    except UserError:
        return False


def _lone_table(path: Path) -> TermTable:
    """A table that is told by its header alone; UserError when it is none of occurrences."""
    dialect = _dialect(path)
    header = read_header(path, dialect)
    words = [re.split("[/#:]", name)[-1] for name in header]  # also dwc:eventDate
    columns = tuple(_TERMS.get(word.lower(), word) for word in words)
    key = next((name for name in _KEYS if name in columns), None)
    said = one_line(", ".join(header))[:500]
    if key is None:
        raise UserError(f"{path} has no column {' or '.join(_KEYS)}; it has: {said}")
    if not {"scientificName", "taxonID", "taxonKey", "species", "genus"} & set(columns):
        raise UserError(f"{path} has no column scientificName; it has: {said}")
    if not set(columns) & {*_TELLING, "associatedMedia"}:
        raise UserError(f"{path} is no table of occurrences; it has: {said}")
    return TermTable(path, dialect, columns, key, {})


def _dialect(path: Path) -> Dialect:
    """The dialect of a table without `meta.xml`, by its first line."""
    with opened(path) as file:
        line = file.readline(2**20)
    if b"\t" in line:
        return TAB_SEPARATED
    return Dialect(";", '"') if b";" in line and b"," not in line else COMMA_SEPARATED
