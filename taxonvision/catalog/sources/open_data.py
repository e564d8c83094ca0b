"""iNaturalist Open Data: observations, photos, taxa and observers, tab separated, maybe gzipped.

Source of the layout: github.com/inaturalist/inaturalist-open-data.
"""

from __future__ import annotations

from pathlib import Path

from taxonvision.catalog.sources.ancestry import stage_taxa
from taxonvision.catalog.sources.delimited import TAB_SEPARATED, load_table, reject_rows
from taxonvision.catalog.sources.photo_files import path_and_url_sql
from taxonvision.catalog.splits import position_sql
from taxonvision.catalog.staging import Source, Staging
from taxonvision.errors import UserError
from taxonvision.progress import working

OBSERVATIONS = {
    "observation_uuid": "UUID",
    "observer_id": "BIGINT",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "taxon_id": "BIGINT",
    "quality_grade": "VARCHAR",
    "observed_on": "DATE",
}
PHOTOS = {
    "photo_id": "BIGINT",
    "observation_uuid": "VARCHAR",
    "observer_id": "BIGINT",
    "extension": "VARCHAR",
    "license": "VARCHAR",
    "width": "INTEGER",
    "height": "INTEGER",
    "position": "INTEGER",
}
OBSERVERS = {"observer_id": "BIGINT", "login": "VARCHAR", "name": "VARCHAR"}

_READ = ["jpg", "jpeg", "jpe", "png", "gif", "webp", "bmp", "tif", "tiff"]


def stage_open_data(staging: Staging, folder: Path, photos: Path | None) -> Source:
    """Stage the tables in `folder`; photographs lie below `photos`, by default the folder itself.

    Raises UserError for a table that is missing or cannot be read.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder; --input names the folder that holds observations.csv, "
            "photos.csv, taxa.csv and observers.csv (or .csv.gz)"
        )
    paths = {name: _table(folder, name) for name in ("observations", "photos", "taxa")}
    root = photos or folder

    def stage_others(staging: Staging) -> None:
        _stage_observations(staging, paths["observations"])
        _stage_observers(staging, _find(folder, "observers"))
        stage_taxa(staging, paths["taxa"])

    # A gzipped table is read by one core only, so that two are read at once.
    with working("reading the tables"):
        staging.at_once(stage_others, lambda staging: _stage_photos(staging, paths["photos"]))
    _list(staging, root)
    return Source(root)


def tables_of(folder: Path) -> list[Path]:
    """The tables that are there."""
    names = ("observations", "photos", "taxa", "observers")
    return [path for name in names if (path := _find(folder, name))]


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}.csv", folder / f"{name}.csv.gz")
    return next((path for path in candidates if path.is_file()), None)


def _table(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if path is None:
        raise UserError(f"{folder} has neither {name}.csv nor {name}.csv.gz")
    return path


def _stage_observations(staging: Staging, path: Path) -> None:
    connection = staging.connection
    rows = load_table(
        staging, path, "od_observations", OBSERVATIONS, dialect=TAB_SEPARATED,
        required=tuple(OBSERVATIONS),
        computed={
            "observation_key": "hash(observation_uuid::VARCHAR)",
            "split_position": position_sql("observation_uuid::VARCHAR"),
        },
    )  # fmt: skip
    connection.execute(
        """
        CREATE TEMP TABLE faults AS SELECT rowid AS faulty, observation_uuid AS id, CASE
            WHEN observation_uuid IS NULL THEN 'no observation_uuid'
            WHEN NOT coalesce(latitude BETWEEN -90 AND 90, true)
                THEN 'latitude must lie between -90 and 90, not ' || latitude
            WHEN NOT coalesce(longitude BETWEEN -180 AND 180, true)
                THEN 'longitude must lie between -180 and 180, not ' || longitude
            WHEN observed_on > current_date + 1
                THEN 'observed_on lies in the future: ' || observed_on
            END AS reason
        FROM od_observations WHERE reason IS NOT NULL;
        INSERT INTO faults
            SELECT rowid, observation_uuid,
                'the observation ' || observation_uuid || ' is listed before'
            FROM od_observations SEMI JOIN (
                SELECT observation_key FROM od_observations WHERE observation_uuid IS NOT NULL
                GROUP BY observation_key HAVING count(*) > 1
            ) USING (observation_key)
            QUALIFY row_number() OVER (PARTITION BY observation_key ORDER BY rowid) > 1;
        """
    )
    reject_rows(staging, path, "od_observations", "observation_uuid", TAB_SEPARATED)
    _tell(staging, path, rows, "od_observations")


def _stage_observers(staging: Staging, path: Path | None) -> None:
    if path is None:  # they serve only for lines of credit
        staging.connection.execute(
            "CREATE TABLE od_observers (observer_id BIGINT, login VARCHAR, name VARCHAR)"
        )
        return
    rows = load_table(
        staging, path, "od_observers", OBSERVERS, dialect=TAB_SEPARATED,
        required=("observer_id", "login"),
    )  # fmt: skip
    staging.connection.execute(
        """
        CREATE TEMP TABLE faults AS
        SELECT unnest(list_sort(list(rowid))[2:]) AS faulty, observer_id AS id,
            'the observer ' || observer_id || ' is listed before' AS reason
        FROM od_observers GROUP BY observer_id HAVING count(*) > 1
        """
    )
    reject_rows(staging, path, "od_observers", "observer_id", TAB_SEPARATED)
    _tell(staging, path, rows, "od_observers")


def _stage_photos(staging: Staging, path: Path) -> None:
    connection = staging.connection
    rows = load_table(
        staging, path, "od_photos", PHOTOS, dialect=TAB_SEPARATED,
        required=("photo_id", "observation_uuid", "extension", "license", "position"),
        computed={"observation_key": "hash(lower(observation_uuid))"},
        dropped=("observation_uuid",),
        lists_photographs=True,
    )  # fmt: skip
    connection.execute(
        """
        CREATE TEMP TABLE faults AS SELECT rowid AS faulty, photo_id AS id, CASE
            WHEN photo_id IS NULL THEN 'no photo_id'
            WHEN photo_id < 0 THEN 'photo_id must not be negative'
            WHEN extension IS NULL THEN 'no extension'
            WHEN lower(extension) NOT IN (SELECT unnest(?))
                THEN 'photographs of the kind ' || extension[:20] || ' are not read'
            END AS reason
        FROM od_photos WHERE reason IS NOT NULL
        """,
        [_READ],
    )
    reject_rows(staging, path, "od_photos", "photo_id", TAB_SEPARATED, lists_photographs=True)
    _tell(staging, path, rows, "od_photos")


def _list(staging: Staging, root: Path) -> None:
    """Make `listed` and `listed_files`."""
    connection = staging.connection
    path_of, url = path_and_url_sql(connection, root, "od_photos")
    connection.execute(
        f"""
        CREATE TABLE od_again AS SELECT rowid AS row FROM od_photos SEMI JOIN (
                SELECT photo_id FROM od_photos
                WHERE (SELECT NOT bool_and(ascending) FROM (  -- as a rule, which spares sorting
                    SELECT photo_id > lag(photo_id, 1, -1) OVER () AS ascending FROM od_photos
                ))
                GROUP BY photo_id HAVING count(*) > 1
            ) USING (photo_id)
            QUALIFY row_number() OVER (PARTITION BY photo_id ORDER BY rowid) > 1;
        CREATE VIEW observed_taxa AS SELECT DISTINCT taxon_id FROM od_observations;
        CREATE VIEW listed_files AS SELECT
            rowid AS row, photo_id::VARCHAR AS photo_id, {path_of} AS path, license FROM od_photos;
        CREATE VIEW listed AS SELECT
            p.rowid AS row,
            p.photo_id::VARCHAR AS photo_id,
            {path_of} AS path,
            {url} AS url,
            p.observation_key,
            o.observation_uuid::VARCHAR AS observation_id,
            o.split_position,
            p.position,
            o.taxon_id,
            o.quality_grade AS quality,
            o.observer_id::VARCHAR AS observer,
            NULL::VARCHAR AS site,
            o.latitude, o.longitude, o.observed_on,
            p.license,
            coalesce(nullif(w.name, 'None'), w.login) AS attribution,
            p.width, p.height,
            NULL::VARCHAR AS split,
            NULL::VARCHAR AS fault,
            CASE WHEN a.row IS NOT NULL THEN 'duplicate'
                WHEN o.observation_key IS NULL THEN 'no_observation' END AS left_out
        FROM od_photos p
        LEFT JOIN od_observations o ON o.observation_key = p.observation_key
        LEFT JOIN od_observers w ON w.observer_id = p.observer_id
        LEFT JOIN od_again a ON a.row = p.rowid
        """  # noqa: S608
    )


def _tell(staging: Staging, path: Path, rows: int, table: str) -> None:
    """Say how many rows of a table are used."""
    (used,) = staging.connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608
    staging.add_table_read(path.name, rows, used=used, faulty=rows - used)
