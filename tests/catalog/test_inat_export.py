"""Exports of iNaturalist's website: those of several years as they are, and faulty ones."""

import csv
import datetime
import gzip
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staged import staged

from taxonvision.catalog.sources.inat_export import stage_inat_export, taxon_of_row
from taxonvision.errors import UserError

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "inat_formats"
FUTURE = (datetime.date.today() + datetime.timedelta(days=3)).isoformat()
STATIC = "https://static.inaturalist.org/photos"
COLUMNS = ("id", "uuid", "observed_on", "quality_grade", "license", "image_url", "user_login",
           "captive_cultivated", "latitude", "longitude", "scientific_name", "common_name",
           "iconic_taxon_name", "taxon_id")  # fmt: skip


def listed(path, photos=None):
    return staged(lambda staging: stage_inat_export(staging, path, photos))


def refusal(path):
    with pytest.raises(UserError) as refused:
        listed(path)
    return str(refused.value)


def lineage(found, taxon_id):
    return "/".join(f"{t.rank}:{t.name}" for t in reversed(found.taxonomy.lineage(taxon_id)))


def row(number, **cells):
    return {
        "id": number, "observed_on": "2019-05-01", "quality_grade": "research",
        "license": "CC-BY", "image_url": f"{STATIC}/{number}/medium.jpg?15", "user_login": "ada",
        "captive_cultivated": "false", "scientific_name": "Argia apicalis",
        "common_name": "Blue-fronted Dancer", "iconic_taxon_name": "Insecta", "taxon_id": "7",
        **cells,
    }  # fmt: skip


def export(path, *rows, columns=COLUMNS):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[row.get(column, "") for column in columns] for row in rows])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def without(*columns):
    return tuple(column for column in COLUMNS if column not in columns)


# --- the real files ---


@pytest.mark.parametrize(
    ("name", "counts", "qualities", "taxa"),
    [
        ("export_2017_Lycaena_xanthoides.csv", (89, 89, 0, 0), {"research"}, 5),
        ("observations_export.csv", (47, 47, 0, 0), {"research", "needs_id"}, 37),
        ("export_2025_observations-568611.csv.gz", (1309, 1285, 0, 24),
         {"research", "needs_id", "casual"}, 1143),
    ],
)  # fmt: skip
def test_exports_of_several_years(name, counts, qualities, taxa):
    found = listed(DATA / name)
    assert (found.tables, found.rejects) == ({name: counts}, [])
    assert len(found.photos) == counts[0]
    assert {photo.quality for photo in found.photos} == qualities
    assert len(found.taxonomy) == taxa
    assert all(photo.taxon_id in found.taxonomy for photo in found.photos)
    assert sum(photo.left_out == "duplicate" for photo in found.photos) == counts[3]


def test_cells_of_the_export_of_2017():
    found = listed(DATA / "export_2017_Lycaena_xanthoides.csv")
    first = found.photos[0]
    assert first.url == f"{STATIC}/8739335/medium.jpg?1498807714"
    assert (first.photo_id, first.path) == ("8739335", "photos/8739335/medium.jpg")
    assert (first.observation_id, first.taxon_id) == ("6857531", 59125)
    assert (first.latitude, first.longitude) == (37.4418821934, -121.3239097595)
    assert (first.observed_on, first.license) == ("2017-06-29", None)
    assert (first.observer, first.attribution) == ("hfabian", "hfabian")
    assert found.names == {"en": {59125: "Great Copper"}}
    assert lineage(found, 59125) == (
        "kingdom:Animalia/phylum:Arthropoda/class:Insecta/genus:Lycaena/species:Lycaena xanthoides"
    )


def test_taxa_of_the_export_of_2019():
    found = listed(DATA / "observations_export.csv")
    assert lineage(found, 47925).endswith("class:Insecta/family:Coenagrionidae")
    assert lineage(found, 47975).endswith("class:Insecta/genus:Argia/species:Argia apicalis")
    assert found.taxonomy[47975].parent_taxon_id == 47977  # as some observations of the genus say


def test_taxa_of_the_export_of_2025():
    found = listed(DATA / "export_2025_observations-568611.csv.gz")
    assert found.photos[0].observation_id == "9da7d6ee-cd01-477e-8efe-f9dfb1c36255"
    assert found.photos[0].attribution == "David Kaposi"
    assert lineage(found, 6317).endswith(
        "order:Apodiformes/family:Trochilidae/subfamily:Trochilinae/tribe:Mellisugini/"
        "genus:Calypte/species:Calypte anna"
    )
    own = {taxon_id: lineage(found, taxon_id).split("/")[-2:] for taxon_id in
           (1102264, 126545, 630955, 326777)}  # fmt: skip
    assert own == {
        1102264: ["genus:Copestylum", "complex:Copestylum marginatum"],
        126545: ["genus:Lasioglossum", "subgenus:Dialictus"],
        630955: ["superfamily:Apoidea", "epifamily:Anthophila"],
        326777: ["suborder:Apocrita", "infraorder:Aculeata"],
    }
    assert sum(p.left_out == "no_photograph" for p in found.photos) == 3
    # One photograph of a flower and its visitor is listed for both.
    again = next(p for p in found.photos if p.left_out == "duplicate")
    assert len({p.taxon_id for p in found.photos if p.photo_id == again.photo_id}) == 2


# --- rows ---


def test_what_becomes_of_rows(tmp_path):
    path = export(
        tmp_path / "o.csv",
        row(1, image_url=""), row(2, captive_cultivated="true"), row(3, taxon_id="", uuid="u-3"),
        row(4, scientific_name="", taxon_id="", common_name=""),
        row(2, image_url=f"{STATIC}/20/medium.jpg"), row(5, image_url=f"{STATIC}/3/medium.jpg"),
        row(6, image_url="http://flickr.example.org/a.heic"), row(7, scientific_name=""),
        row(1, image_url="NA", license="NA", observed_on="NA"),
    )  # fmt: skip
    found = listed(path)
    assert found.tables == {"o.csv": (9, 6, 0, 3)}
    assert [(p.observation_id, p.left_out, p.fault) for p in found.photos] == [
        ("1", "no_photograph", None), ("2", None, None), ("u-3", None, None), ("4", None, None),
        ("2", "duplicate", None), ("5", "duplicate", None),
        ("6", None, "heic is not read; convert it to JPEG"), ("7", None, None),
        ("1", "duplicate", None),
    ]  # fmt: skip
    assert [p.taxon_id for p in found.photos[:4]] == [7, 7, 7, None]
    assert [p.quality for p in found.photos[:3]] == ["research", "casual", "research"]
    assert [p.path for p in found.photos[:3]] == [
        None, "photos/2/medium.jpg", "photos/3/medium.jpg",
    ]  # fmt: skip


def test_faulty_rows_have_their_lines(tmp_path):
    path = export(
        tmp_path / "o.csv",
        row(1, common_name="two\nlines"), row("", common_name="none"), row(2, latitude="90.5"),
        row(3, longitude="west"), row(4, observed_on=FUTURE), row(5, observed_on="6/29/2017"),
        row(6, quality_grade="good"), row(7, taxon_id="x"), row(8, taxon_id="-1"), row(9),
    )  # fmt: skip
    path.write_text(path.read_text() + "10,too,short\n" + ",".join("x" * 20) + "\n")
    found = listed(path)
    assert [p.observation_id for p in found.photos] == ["1", "9"]
    assert sorted((r.line, r.reason) for r in found.rejects) == [
        (4, "no id"), (5, "latitude must be degrees from -90 to 90, not '90.5'"),
        (6, "longitude must be degrees from -180 to 180, not 'west'"),
        (7, f"observed_on lies in the future: {FUTURE}"),
        (8, "observed_on must be a date as 2024-05-31, not '6/29/2017'"),
        (9, "quality_grade must be research, needs_id or casual, not 'good'"),
        (10, "taxon_id must be a whole number from 1, not 'x'"),
        (11, "taxon_id must be a whole number from 1, not '-1'"),
        (13, "fewer cells than the header has columns (14)"),
        (14, "more cells than the header has columns (14)"),
    ]  # fmt: skip
    assert all(r.is_photograph and r.path == "o.csv" for r in found.rejects)
    assert found.tables == {"o.csv": (12, 2, 10, 0)}


def test_ways_to_hand_it_over(tmp_path):
    path = export(tmp_path / "o.csv", row(1))
    zipped = tmp_path / "o.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(path, "observations-1.csv")
    packed = tmp_path / "o.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for file in (path, zipped, packed):
        found = listed(file)
        assert found.source.root == tmp_path
        assert [p.photo_id for p in found.photos] == ["1"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").touch()
    assert listed(path).photos[0].path == "photos/1.jpg"
    other = listed(path, tmp_path / "photos")
    assert (other.source.root, other.photos[0].path) == (tmp_path / "photos", "1.jpg")
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.write(path, "observations-2.csv")
    assert refusal(zipped) == f"{zipped} must hold one .csv, not 2"


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        (without("image_url"), "image_url"), (without("id", "uuid"), "uuid or id"),
        (without("taxon_id", "scientific_name"), "taxon_id or scientific_name"),
        (without("image_url", "id", "uuid"), "uuid or id and none image_url"),
    ],
)  # fmt: skip
def test_columns_that_are_needed(tmp_path, columns, missing):
    path = export(tmp_path / "o.csv", row(1), columns=columns)
    assert refusal(path).startswith(
        f"{path} has no column {missing}, separated by commas; export the observations again"
    )


def test_what_is_no_export(tmp_path):
    path = tmp_path / "o.csv"
    assert refusal(path) == f"{path} does not exist"
    assert refusal(tmp_path).startswith(f"{tmp_path} is a folder; --input names the exported table")
    path.write_text("id;image_url;taxon_id\n1;2;3\n")
    assert "has no column uuid or id" in refusal(path)
    path.write_bytes("id,image_url,taxon_id\n".encode("utf-16"))
    assert refusal(path) == f"{path}, line 1: not UTF-8; save it as UTF-8"


def test_few_columns_do(tmp_path):
    columns = ("image_url", "scientific_name", "id")
    found = listed(export(tmp_path / "o.csv", row(1), columns=columns))
    (photo,) = found.photos
    assert lineage(found, photo.taxon_id) == "genus:Argia/species:Argia apicalis"
    assert (photo.quality, photo.license, photo.observed_on) == (None, None, None)
    found = listed(export(tmp_path / "o.csv", row(1), columns=("image_url", "taxon_id", "id")))
    assert (found.photos[0].taxon_id, len(found.taxonomy)) == (7, 0)


# --- taxa ---


@pytest.mark.parametrize(
    ("name", "iconic", "path"),
    [
        ("Argia apicalis", "", "genus:Argia/species:Argia apicalis"),
        ("Anas platyrhynchos domesticus", "",
         "genus:Anas/species:Anas platyrhynchos/subspecies:Anas platyrhynchos domesticus"),
        ("Anas × rubripes", "", "genus:Anas/hybrid:Anas × rubripes"),
        ("× Chitalpa tashkentensis", "", "hybrid:× Chitalpa tashkentensis"),
        ("Argia", "", "genus:Argia"), ("Rosaceae", "Plantae", "kingdom:Plantae/family:Rosaceae"),
        ("Mollusca", "Mollusca", "kingdom:Animalia/phylum:Mollusca"),
        ("Life", "", "stateofmatter:Life"),
        ("Homo sapiens", "Unknown", "genus:Homo/species:Homo sapiens"),
        ("Turdus merula", "Aves",
         "kingdom:Animalia/phylum:Chordata/class:Aves/genus:Turdus/species:Turdus merula"),
    ],
)  # fmt: skip
def test_taxa_by_their_names_alone(name, iconic, path):
    taxon = taxon_of_row({"scientific_name": name, "iconic_taxon_name": iconic, "taxon_id": "3"})
    assert "/".join(f"{rank}:{part}" for rank, part in taxon.path) == path
    assert taxon.ids == (*[None] * path.count("/"), 3)


@pytest.mark.parametrize(
    ("name", "ranks", "path"),
    [
        ("Aus bus", {"genus": "Aus", "species": "Aus bus"}, "genus:Aus/species:Aus bus"),
        ("Aus", {"genus": "Aus"}, "genus:Aus"),
        ("Aus × bus", {"genus": "Aus"}, "genus:Aus/hybrid:Aus × bus"),
        ("Aus bus cus", {"genus": "Aus", "subspecies": "Aus bus cus"},
         "genus:Aus/species:Aus bus/subspecies:Aus bus cus"),
        ("Xus", {"class": "Insecta", "subclass": "Pterygota"},
         "class:Insecta/subclass:Pterygota/infraclass:Xus"),
        ("Xus", {"species": "Aus bus"}, "species:Aus bus/form:Xus"),
    ],
)  # fmt: skip
def test_taxa_by_columns_of_ranks(name, ranks, path):
    cells = {f"taxon_{rank}_name": part for rank, part in ranks.items()}
    taxon = taxon_of_row({"scientific_name": name, **cells})
    assert "/".join(f"{rank}:{part}" for rank, part in taxon.path) == path


ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["1", "2", "3", ""])},
        optional={
            "image_url": st.sampled_from(["", "NA", f"{STATIC}/1/medium.jpg", "x"]),
            "latitude": st.sampled_from(["1", "91", "x"]),
            "observed_on": st.sampled_from(["2020-02-30", FUTURE, "2020"]),
            "taxon_id": st.sampled_from(["", "0", "5", "NA", "1" * 30]),
            "scientific_name": st.sampled_from(["", "NA", "×", "a b c d", "Ä", '"', "\n", "a,b"]),
        },
    ),
    max_size=10,
)


@pytest.mark.slow
@settings(max_examples=30)
@given(ROWS, st.booleans())
def test_every_row_is_listed_or_faulty(cells, without_names):
    columns = without("scientific_name") if without_names else COLUMNS
    rows = [row(each["id"], **{k: v for k, v in each.items() if k != "id"}) for each in cells]
    with tempfile.TemporaryDirectory() as folder:
        found = listed(export(Path(folder, "o.csv"), *rows, columns=columns))
    ((count, used, faulty, duplicates),) = found.tables.values()
    assert count == len(rows) == used + faulty + duplicates
    assert len(found.photos) == used + duplicates
    assert len(found.rejects) == faulty == len({r.line for r in found.rejects})
    sound = [p for p in found.photos if p.left_out != "duplicate"]
    assert len({p.observation_id for p in sound}) == len(sound)
