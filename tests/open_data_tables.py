"""Small tables in the layout of iNaturalist Open Data, and what an ingest makes of them."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from taxonvision.catalog.catalog import MANIFEST
from taxonvision.catalog.eligibility import COLUMNS
from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.rules import Rules
from taxonvision.catalog.sources.open_data import stage_open_data
from taxonvision.storage import Recipe
from taxonvision.synthetic.open_data import OBSERVATIONS, OBSERVERS, PHOTOS, TAXA
from taxonvision.tables import read_csv

ANIMALS = [
    (48460, "", 100, "stateofmatter", "Life"),
    (1, "48460", 70, "kingdom", "Animalia"),
    (30, "48460/1", 30, "family", "Nymphalidae"),
    (20, "48460/1/30", 20, "genus", "Aglais"),
    (21, "48460/1/30/20", 10, "species", "Aglais io"),
    (22, "48460/1/30/20", 10, "species", "Aglais urticae"),
    (23, "48460/1/30/20/21", 5, "subspecies", "Aglais io geisha"),
    (24, "48460/1/30/20", 10, "hybrid", "Aglais io × urticae"),
    (25, "48460/1/30/20", 10, "species", "Aglais antiqua"),
    (40, "48460/1/30", 20, "genus", "Vanessa"),
    (41, "48460/1/30/40", 10, "species", "Vanessa atalanta"),
]
"""Taxa, of which 25 is a name out of use."""
INACTIVE = (25,)


def uuid(number):
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def observation(number, taxon_id=21, **cells):
    row = {
        "observation_uuid": uuid(number), "observer_id": 1, "latitude": "48.2", "longitude": "16.4",
        "positional_accuracy": "", "taxon_id": taxon_id, "quality_grade": "research",
        "observed_on": "2020-05-01",
    }  # fmt: skip
    return row | cells


def photo(number, of, **cells):
    row = {
        "photo_uuid": uuid(number), "photo_id": number, "observation_uuid": uuid(of),
        "observer_id": 1, "extension": "jpg", "license": "CC-BY", "width": 640, "height": 480,
        "position": 0,
    }  # fmt: skip
    return row | cells


def taxon(taxon_id, ancestry, rank_level, rank, name, active="true"):
    cells = (taxon_id, ancestry, rank_level, rank, name, active)
    return dict(zip(TAXA, cells, strict=True))


def observer(number, login="ada", name="None"):
    return {"observer_id": number, "login": login, "name": name}


def animals():
    return [taxon(*row, "false" if row[0] in INACTIVE else "true") for row in ANIMALS]


@dataclass
class Tables:
    """The four tables, rows as dictionaries."""

    observations: list = field(default_factory=list)
    photos: list = field(default_factory=list)
    taxa: list = field(default_factory=animals)
    observers: list = field(default_factory=lambda: [observer(1)])

    def see(self, taxon_id, photos=1, **cells):
        """Add an observation with photographs, and return its number; `photo_...` go to these."""
        number = len(self.observations) + 1
        of_photos = {k.removeprefix("photo_"): v for k, v in cells.items() if k[:6] == "photo_"}
        of_observation = {k: v for k, v in cells.items() if k[:6] != "photo_"}
        self.observations.append(observation(number, taxon_id, **of_observation))
        for position in range(photos):
            photo_id = len(self.photos) + 1
            self.photos.append(photo(photo_id, number, **({"position": position} | of_photos)))
        return number

    def text(self, name):
        columns = {"observations": OBSERVATIONS, "photos": PHOTOS, "taxa": TAXA,
                   "observers": OBSERVERS}[name]  # fmt: skip
        rows = [[str(row[column]) for column in columns] for row in getattr(self, name)]
        return "".join("\t".join(cells) + "\n" for cells in [columns, *rows])

    def write(self, folder, suffix=".csv"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("observations", "photos", "taxa", "observers"):
            write_bytes(folder / f"{name}{suffix}", self.text(name).encode())
        return folder


def write_bytes(path, content):
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)


@dataclass(frozen=True)
class Made:
    """What an ingest wrote."""

    out: Path
    manifest: dict

    @property
    def counts(self):
        return self.manifest["counts"]

    @property
    def photos(self):
        """The rows of photos.parquet by photo id."""
        with duckdb.connect() as connection:
            found = connection.execute(
                "FROM read_parquet(?) ORDER BY photo_id", [str(self.out / "photos.parquet")]
            )
            columns = [column[0] for column in found.description]
            rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
        return {row["photo_id"]: row for row in rows}

    @property
    def splits(self):
        """Split by photo id."""
        return {photo_id: row["split"] for photo_id, row in self.photos.items()}

    @property
    def eligibility(self):
        """The rows by taxon id."""
        rows = read_csv(self.out / "eligibility.csv", COLUMNS)
        return {int(row["taxon_id"]): row for row in rows}

    @property
    def rejects(self):
        """Path, line and reason of each."""
        return [tuple(row.values()) for row in read_csv(self.out / "rejects.csv")]

    @property
    def classes(self):
        """Class id, taxon id and name of the active ones; others with a minus before the name."""
        return [
            (int(row["class_id"]), int(row["taxon_id"]),
             row["name"] if row["status"] == "active" else f"-{row['name']}")
            for row in read_csv(self.out / "classes.csv")
        ]  # fmt: skip

    @property
    def near_duplicates(self):
        return [dict(row) for row in read_csv(self.out / "near_duplicates.csv")]


def made(folder, out, rules=None, photos=None, overwrite=True, **options):
    """Ingest the tables in `folder`, by default unchecked; what came of it adds up."""
    chosen = IngestOptions(rules=rules or Rules(), **({"check_photos": False} | options))
    manifest = ingest(
        lambda staging: stage_open_data(staging, folder, photos),
        "inat_open_data",
        chosen,
        out,
        Recipe("ingest"),
        overwrite=overwrite,
    )
    adds_up(manifest["counts"])
    return Made(out, manifest)


def opened(out):
    """A catalog that was written by a command."""
    from taxonvision.storage import read_json

    found = Made(out, read_json(out / MANIFEST))
    adds_up(found.counts)
    return found


def adds_up(counts):
    """Photographs and rows are each used, faulty, or left out for a reason."""
    left_out = sum(counts["left_out"].values())
    assert counts["photographs"] == counts["used"] + counts["rejected"] + left_out
    assert counts["used"] == counts["train"] + counts["val"] + counts["test"]
    for table in counts["tables"].values():
        assert table["rows"] == table["used"] + table["faulty"] + table["duplicates"]
