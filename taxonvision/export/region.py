"""The taxa of a region: those a table lists, those photographed near a place, or both.

A bundle for a region has the rows of the head of these taxa and no others. Scores are then shared
among fewer, and the order of those kept stays as it was: a softmax never changes the order of its
logits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxonvision.catalog.catalog import Catalog
from taxonvision.errors import UserError
from taxonvision.models.directory import Model
from taxonvision.progress import say
from taxonvision.tables import Row, read_csv, reading_parquet, taxon_id_in
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.text import one_line

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Within = tuple[float, float, float]
"""Latitude and longitude in degrees (WGS 84), radius in kilometres."""
EARTH_RADIUS_KM = 6371.0088
"""Mean radius R1 of the Earth (IUGG), taken for that of a sphere."""
_FEWEST = 2
_NAMED = 5  # of a list in a sentence
_HALF_WAY_ROUND = math.pi * EARTH_RADIUS_KM
_MARGIN = 1e-6  # degrees, some 0.1 m: the filter of latitudes must not decide by rounding

# The haversine formula (Sinnott 1984, Sky and Telescope 68:159): exact on a sphere for small angles
# too, and periodic, so that neither the antimeridian nor a pole is a special case.
_LOCATED = """
SELECT class_id, latitude, 2 * $earth_radius * asin(least(1, sqrt(
    sin(radians(latitude - $latitude) / 2) ** 2 + cos(radians($latitude)) * cos(radians(latitude))
    * sin(radians(longitude - $longitude) / 2) ** 2))) AS distance
FROM read_parquet($table)
WHERE isfinite(latitude) AND isfinite(longitude) AND abs(latitude) <= 90 AND abs(longitude) <= 180
"""


@dataclass(frozen=True)
class Region:
    """The taxa that a bundle is cut to.

    Attributes:
        taxon_ids: of the classes kept, in the order of the head.
        of: active classes of the model.
        within: the place, where the taxa are those photographed near it.
    """

    taxon_ids: tuple[int, ...]
    of: int
    within: Within | None = None

    def positions(self, taxon_ids: Sequence[int]) -> list[int]:
        """Where the kept taxa stand in a head's taxa [C], in the order of the head."""
        kept = set(self.taxon_ids)
        return [position for position, taxon_id in enumerate(taxon_ids) if taxon_id in kept]

    def as_json(self) -> dict[str, Any]:
        """The record in bundle.json."""
        within = None if self.within is None else list(self.within)
        return {"taxa": len(self.taxon_ids), "of": self.of, "within": within}


def region_of(
    model: Model, catalog: Catalog, table: Path | None, within: Within | None
) -> Region | None:
    """The taxa that are in the table and were photographed near the place; None where all stay.

    Args:
        model: whose taxa.
        catalog: its photographs tell where a taxon lives.
        table: what `only_taxa` reads; None: every taxon.
        within: what `taxa_within` takes; None: anywhere.
    """
    region, limits = None, []
    if table is not None:
        region = only_taxa(table, model.classes, model.taxonomy)
        limits.append(f"listed in {table}")
    if within is not None:
        near = taxa_within(catalog, model.classes, *within)
        region = near if region is None else in_both(region, near)
        limits.append(f"photographed {_place(within)}")
    if region is not None:
        say(f"region: {len(region.taxon_ids)} of {region.of} taxa, {' and '.join(limits)}")
    return region


def only_taxa(table: Path, classes: Sequence[TaxonClass], taxonomy: Taxonomy) -> Region:
    """The classes at or below the taxa that a table lists; those unknown to the model are told.

    Args:
        table: a CSV with the column `taxon_id`, or where it has none `name`, scientific names
            whatever the case; other columns are passed over.
        classes: of the model.
        taxonomy: its tree.

    Raises UserError when the table cannot be read, a name is that of several taxa, or fewer than
    two classes are kept.
    """
    active = [c.taxon_id for c in classes if c.active]
    known = {taxon.taxon_id for taxon in taxonomy.closure(active)}
    rows = read_csv(table)
    if rows and not {"taxon_id", "name"} & rows[0].keys():
        raise UserError(
            f"{table} has no column taxon_id or name; it has: {', '.join(filter(None, rows[0]))}"
        )
    by_id = bool(rows) and "taxon_id" in rows[0]
    taxa_of_name = {} if by_id else _taxa_of_names(taxonomy, known)
    wanted: set[int] = set()
    unknown: dict[str, None] = {}  # in the order of the table
    for row in rows:
        taxon_id = (
            taxon_id_in(row, "taxon_id", table) if by_id else _named(row, table, taxa_of_name)
        )
        if taxon_id in known:
            wanted.add(taxon_id)
        else:
            unknown[row["taxon_id" if by_id else "name"]] = None
    if not wanted:
        raise UserError(
            f"{table} lists no taxon that the model knows; its taxa are in the model's classes.csv"
        )
    if unknown:
        say(
            f"warning: {len(unknown)} of the {len(wanted) + len(unknown)} taxa in {table} are not "
            f"known to the model: {_some(list(unknown))}"
        )
    kept = tuple(
        taxon_id
        for taxon_id in active
        if any(taxon.taxon_id in wanted for taxon in taxonomy.lineage(taxon_id))
    )
    return _checked(Region(kept, len(active)), f"{table} keeps")


def taxa_within(
    catalog: Catalog,
    classes: Sequence[TaxonClass],
    latitude: float,
    longitude: float,
    radius_km: float,
) -> Region:
    """The classes with a photograph within `radius_km` of a place, great-circle distance.

    Args:
        catalog: whose photographs of all splits; its classes are found in the model by taxon.
        classes: of the model.
        latitude: of the place, degrees.
        longitude: of the place, degrees.
        radius_km: kilometres.

    Raises UserError when no photograph has coordinates, none is within, or fewer than two classes
    are kept.
    """
    within = (latitude, longitude, radius_km)
    active = [c.taxon_id for c in classes if c.active]
    there = {catalog.classes[class_id].taxon_id for class_id in _class_ids_within(catalog, within)}
    elsewhere = len(there - set(active))
    if elsewhere:
        say(
            f"warning: {_place(within)} {catalog.folder} has photographs of {elsewhere} of its "
            "taxa that the model does not answer"
        )
    kept = tuple(taxon_id for taxon_id in active if taxon_id in there)
    return _checked(
        Region(kept, len(active), within), f"{_place(within)} {catalog.folder} has photographs of"
    )


def in_both(listed: Region, near: Region) -> Region:
    """The taxa of both regions of one model; UserError where fewer than two are."""
    both = tuple(listed.taxon_ids[position] for position in near.positions(listed.taxon_ids))
    within = near.within or listed.within
    return _checked(Region(both, listed.of, within), "--only_taxa and --within together keep")


def parse_within(text: str) -> Within:
    """What `--within=LAT,LNG,RADIUS_KM` means; UserError when it is no place on Earth."""
    try:
        latitude, longitude, radius = map(float, text.split(","))
    except ValueError:
        raise UserError(
            f"--within: {text!r} is not LAT,LNG,RADIUS_KM; write three numbers, as 47.37,8.54,50"
        ) from None
    for name, value, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        if not abs(value) <= most:
            raise UserError(
                f"--within: the {name} must lie between -{most} and {most}, not {value:g}"
            )
    if not 0 < radius <= math.ceil(_HALF_WAY_ROUND):
        raise UserError(
            "--within: the radius must lie above 0 and not above "
            f"{math.ceil(_HALF_WAY_ROUND)} km, half the way round the Earth, not {radius:g}"
        )
    return latitude, longitude, radius


def _taxa_of_names(taxonomy: Taxonomy, known: set[int]) -> dict[str, list[int]]:
    """Scientific names in small letters, and the known taxa that have them."""
    taxa: dict[str, list[int]] = {}
    for taxon in taxonomy:
        if taxon.taxon_id in known:
            taxa.setdefault(taxon.name.casefold(), []).append(taxon.taxon_id)
    return taxa


def _named(row: Row, table: Path, taxa_of_name: dict[str, list[int]]) -> int | None:
    name = one_line(row["name"])
    if not name:
        raise UserError(f"{table}, line {row.line}: the name is empty")
    taxa = taxa_of_name.get(name.casefold(), [])
    if len(taxa) > 1:
        raise UserError(
            f"{table}, line {row.line}: {name} is the name of {len(taxa)} taxa "
            f"({_some(list(map(str, taxa)))}); give the column taxon_id instead"
        )
    return taxa[0] if taxa else None


def _class_ids_within(catalog: Catalog, within: Within) -> list[int]:
    table = catalog.folder / "photos.parquet"
    latitude, longitude, radius = within
    values = {
        "table": str(table),
        "earth_radius": EARTH_RADIUS_KM,
        "latitude": latitude,
        "longitude": longitude,
    }
    height = math.degrees(radius / EARTH_RADIUS_KM) + _MARGIN
    with reading_parquet(table, "ingest") as connection:
        found = connection.execute(
            f"SELECT DISTINCT class_id FROM ({_LOCATED} AND latitude BETWEEN $south AND $north)"  # noqa: S608
            " WHERE distance <= $radius ORDER BY class_id",
            {**values, "south": latitude - height, "north": latitude + height, "radius": radius},
        ).fetchall()
        if not found:
            raise UserError(_why_none(connection, catalog.folder, values, within))
    return [class_id for (class_id,) in found]


def _why_none(
    connection: DuckDBPyConnection, folder: Path, values: dict[str, Any], within: Within
) -> str:
    ((nearest,),) = connection.execute(
        f"SELECT min(distance) FROM ({_LOCATED})",  # noqa: S608
        values,
    ).fetchall()
    if nearest is None:
        return (
            f"--within: no photograph of {folder} has coordinates; ingest them with latitude and "
            "longitude, or list the taxa with --only_taxa"
        )
    return (
        f"--within: no photograph of {folder} was taken {_place(within)}; the nearest was "
        f"{nearest:.1f} km away, choose a larger radius"
    )


def _checked(region: Region, what: str) -> Region:
    """The region; UserError where its classes are too few to choose among."""
    if len(region.taxon_ids) < _FEWEST:
        raise UserError(
            f"{what} {len(region.taxon_ids)} of the model's {region.of} taxa; a bundle needs at "
            f"least {_FEWEST}: choose a larger region"
        )
    return region


def _place(within: Within) -> str:
    latitude, longitude, radius = within
    return f"within {radius:g} km of {latitude:g}, {longitude:g}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
