"""Darwin Core in the layouts of GBIF and iNaturalist, and in all that is wrong with such files."""

import csv
import datetime
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from staged import staged

from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.sources.darwin_core import stage_darwin_core
from taxonvision.catalog.sources.dwc_taxa import canonical_name, number_in, taxon_of_record
from taxonvision.errors import UserError
from taxonvision.storage import Recipe

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FUTURE = (datetime.date.today() + datetime.timedelta(days=3)).isoformat()
TERMS = "http://rs.tdwg.org/dwc/terms/"
BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"


def listed(path, photos=None):
    return staged(lambda staging: stage_darwin_core(staging, path, photos))


def refusal(path):
    with pytest.raises(UserError) as refused:
        listed(path)
    return str(refused.value)


def rejects(found):
    return sorted((r.path, r.line, r.reason, r.is_photograph) for r in found.rejects)


def lineage(found, taxon_id):
    return "/".join(f"{t.rank}:{t.name}" for t in reversed(found.taxonomy.lineage(taxon_id)))


# --- the real files ---


def test_the_occurrence_core_of_inaturalist():
    found = listed(DATA / "inat_formats" / "observations_dwca.csv")
    assert found.tables == {"observations_dwca.csv": (50, 50, 0, 0)}
    assert (len(found.photos), found.rejects) == (50, [])
    assert {photo.left_out for photo in found.photos} == {"no_photograph"}
    assert {photo.quality for photo in found.photos} == {"research"}
    first = found.photos[0]
    assert (first.path, first.taxon_id, first.observer) == (None, 47993, "kueda")
    assert (first.latitude, first.longitude) == (37.9028158758, -122.2834661155)
    assert (first.observed_on, first.attribution) == ("2008-03-17", "Ken-ichi Ueda")
    assert first.observation_id == "https://www.inaturalist.org/observations/38"
    assert lineage(found, 47993) == (
        "kingdom:Animalia/phylum:Arthropoda/class:Insecta/order:Hymenoptera/"
        "family:Ichneumonidae/genus:Ophion"
    )
    domestic = lineage(found, 122767)
    assert domestic.endswith(
        "family:Columbidae/genus:Columba/species:Columba livia/variety:Columba livia domestica"
    )
    assert lineage(found, 127452).endswith("family:Pterophoridae/subfamily:Pterophorinae")


@pytest.mark.parametrize(
    ("name", "quality"), [("observations.dwc", "research"), ("test_captive.dwc", "casual")]
)
def test_the_documents_of_inaturalist(name, quality):
    found = listed(DATA / "inat_formats" / name)
    assert found.tables == {name: (1, 1, 0, 0), f"{name}: dataObject": (2, 2, 0, 0)}
    assert [photo.photo_id for photo in found.photos] == ["72181173", "72180675"]
    assert [photo.position for photo in found.photos] == [0, 1]
    first = found.photos[0]
    assert first.path == "photos/72181173/medium.jpeg"
    assert first.url == f"{BUCKET}/72181173/original.jpeg"
    assert first.license == "http://creativecommons.org/licenses/by-nc/4.0"
    assert (first.attribution, first.observer) == ("Alex Bairstow", "Alex Bairstow")
    assert (first.taxon_id, first.observed_on) == (48978, "2020-05-09")
    assert first.observation_id == "https://www.inaturalist.org/observations/45524803"
    assert {photo.quality for photo in found.photos} == {quality}
    assert found.names == {"en": {48978: "Colorful Dirona"}}
    assert lineage(found, 48978).endswith("family:Dironidae/genus:Dirona/species:Dirona picta")


def test_taxa_alone_are_no_occurrences():
    folder = DATA / "inat_taxonomy" / "inaturalist-taxonomy.dwca"
    assert refusal(folder).endswith(
        "has no meta.xml, so that it must hold one table of occurrences or .dwc document; "
        "it holds none"
    )
    assert "taxa.csv is no table of occurrences; it has: id, taxonID" in refusal(
        folder / "taxa.csv"
    )


# --- archives ---

GBIF = {
    "gbifID": "http://rs.gbif.org/terms/1.0/gbifID",
    "license": "http://purl.org/dc/terms/license",
    "rightsHolder": "http://purl.org/dc/terms/rightsHolder",
    **{
        name: TERMS + name
        for name in (
            "datasetName", "occurrenceID", "recordedBy", "occurrenceStatus", "establishmentMeans",
            "eventDate", "year", "month", "day", "decimalLatitude", "decimalLongitude", "taxonID",
            "scientificName", "kingdom", "phylum", "class", "order", "family", "genus", "taxonRank",
        )
    },
    **{
        name: f"http://rs.gbif.org/terms/1.0/{name}"
        for name in ("taxonKey", "acceptedTaxonKey", "genusKey", "speciesKey", "species",
                     "acceptedScientificName")
    },
}  # fmt: skip
MULTIMEDIA = ("type", "format", "identifier", "creator", "license", "rightsHolder")

MONARCH = {
    "gbifID": "1001", "occurrenceID": "http://www.inaturalist.org/observations/77",
    "datasetName": "iNaturalist research-grade observations", "recordedBy": "Ada",
    "occurrenceStatus": "PRESENT", "eventDate": "2019-05-01T10:20:30", "decimalLatitude": "48.2",
    "decimalLongitude": "16.4", "taxonID": "https://www.inaturalist.org/taxa/48662",
    "scientificName": "Danaus plexippus (Linnaeus, 1758)", "species": "Danaus plexippus",
    "kingdom": "Animalia", "class": "Insecta", "family": "Nymphalidae", "genus": "Danaus",
    "genusKey": "5133083", "speciesKey": "5133088", "taxonKey": "5133088",
    "acceptedTaxonKey": "5133088", "taxonRank": "SPECIES",
    "acceptedScientificName": "Danaus plexippus (Linnaeus, 1758)",
}  # fmt: skip
# A synonym of it, a genus, a barcode cluster, a record without photographs, and one of an absence.
SYNONYM = {
    **MONARCH, "gbifID": "1002", "occurrenceID": "urn:2", "datasetName": "Moths of Atlantis",
    "scientificName": "Papilio archippus Fabricius, 1793", "taxonKey": "99", "eventDate": "2019-05",
    "establishmentMeans": "MANAGED",
}  # fmt: skip
GENUS = {
    **MONARCH, "gbifID": "1003", "occurrenceID": "urn:3", "scientificName": "Danaus Kluk, 1780",
    "species": "", "speciesKey": "", "taxonKey": "5133083", "acceptedTaxonKey": "5133083",
    "taxonRank": "GENUS", "acceptedScientificName": "Danaus Kluk, 1780", "datasetName": "",
    "eventDate": "", "year": "2018", "month": "2", "day": "3",
}  # fmt: skip
CLUSTER = {
    **GENUS, "gbifID": "1004", "occurrenceID": "urn:4", "scientificName": "BOLD:AAA1234",
    "acceptedScientificName": "BOLD:AAA1234", "taxonKey": "77", "acceptedTaxonKey": "77",
    "taxonRank": "UNRANKED", "eventDate": "2019-05-01/2019-06-30",
}  # fmt: skip
UNSEEN = {**MONARCH, "gbifID": "1005", "occurrenceID": "urn:5"}
ABSENT = {**MONARCH, "gbifID": "1006", "occurrenceID": "urn:6", "occurrenceStatus": "ABSENT"}
RECORDS = [MONARCH, SYNONYM, GENUS, CLUSTER, UNSEEN, ABSENT]


def medium(core_id, identifier, **cells):
    return {
        "gbifID": core_id, "type": "StillImage", "format": "image/jpeg", "identifier": identifier,
        "creator": "Ada", "license": "CC-BY", "rightsHolder": "", **cells,
    }  # fmt: skip


MEDIA = [
    medium("1001", f"{BUCKET}/12/original.jpeg"),
    medium("1001", f"{BUCKET}/11/original.JPG", rightsHolder="Bo", format=""),
    medium("1002", "https://media.example.org/moths/Photo%207.PNG?size=full", license=""),
    medium("1003", "https://media.example.org/get?id=9", format="image/png"),
    medium("1004", f"{BUCKET}/12/original.jpeg"),
    medium("1005", "https://xeno.example.org/1.mp3", type="Sound", format="audio/mpeg"),
    medium("1006", f"{BUCKET}/13/original.jpg", type=""),
    medium("9999", f"{BUCKET}/14/original.jpg"),
    medium("1002", "https://media.example.org/moths/raw.dng"),
    medium("1002", "https://media.example.org/about", type="", format="text/html"),
]


def table(columns, rows, delimiter="\t"):
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=delimiter, lineterminator="\n",
        quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
    )  # fmt: skip
    writer.writerow(columns)
    writer.writerows([[row.get(column, "") for column in columns] for row in rows])
    return text.getvalue()


def described(kind, row_type, location, key, fields, **attributes):
    said = {
        "encoding": "UTF-8", "fieldsTerminatedBy": "\\t", "linesTerminatedBy": "\\n",
        "fieldsEnclosedBy": "", "ignoreHeaderLines": "1", "rowType": row_type, **attributes,
    }  # fmt: skip
    attributes = " ".join(f"{name}='{value}'" for name, value in said.items())
    fields = "\n".join(f"    <field {field}/>" for field in fields)
    tag = "id" if kind == "core" else "coreid"
    return (
        f"  <{kind} {attributes}>\n    <files><location>{location}</location></files>\n"
        f'    <{tag} index="{key}"/>\n{fields}\n  </{kind}>\n'
    )


def meta(*tables):
    return f'<archive xmlns="http://rs.tdwg.org/dwc/text/">\n{"".join(tables)}</archive>\n'


def gbif_files(records=RECORDS, media=MEDIA):
    """The files of a download from GBIF."""
    occurrence = [f'index="{i}" term="{term}"' for i, term in enumerate(GBIF.values())]
    multimedia = [
        f'index="{i}" term="http://purl.org/dc/terms/{name}"'
        for i, name in enumerate(MULTIMEDIA, 1)
    ]
    return {
        "meta.xml": meta(
            described("core", TERMS + "Occurrence", "occurrence.txt", 0, occurrence),
            described("extension", "http://rs.gbif.org/terms/1.0/Multimedia", "multimedia.txt", 0,
                      multimedia),
            described("extension", TERMS + "Occurrence", "verbatim.txt", 0, occurrence),
        ),
        "occurrence.txt": table(tuple(GBIF), records),
        "multimedia.txt": table(("gbifID", *MULTIMEDIA), media),
        "verbatim.txt": table(tuple(GBIF), records),
        "metadata.xml": "<eml/>", "citations.txt": "cite\n", "rights.txt": "CC-BY\n",
        "dataset/50c9509d-22c7-4a22-a47d-8c48425ef4a7.xml": "<eml/>",
    }  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Writes files into a folder or zip, which it returns."""

    def write(files, name="archive"):
        place = tmp_path / name
        if name.endswith(".zip"):
            with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
                for file, content in files.items():
                    archive.writestr(file, content)
            return place
        shutil.rmtree(place, ignore_errors=True)
        for file, content in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            data = content if isinstance(content, bytes) else content.encode()
            (place / file).write_bytes(data)
        return place

    return write


@pytest.mark.parametrize("name", ["archive", "archive.zip"])
@pytest.mark.parametrize("top", ["", "0012345-240101/"])
def test_a_download_from_gbif(write, name, top):
    place = write({top + file: content for file, content in gbif_files().items()}, name)
    found = listed(place)
    assert found.source.root == (place if name == "archive" else place.parent)
    assert found.tables == {"occurrence.txt": (6, 6, 0, 0), "multimedia.txt": (10, 10, 0, 0)}
    assert found.source.other_files == {"sound": 1, "text/html": 1}
    assert found.rejects == []
    ids = [photo.photo_id for photo in found.photos]
    moth, get, raw = ids[2], ids[3], ids[7]
    assert {len(moth), len(get), len(raw)} == {16}
    assert [(p.photo_id, p.path, p.left_out, p.fault) for p in found.photos] == [
        ("12", "photos/12/medium.jpeg", None, None),
        ("11", "photos/11/medium.JPG", None, None),
        (moth, f"photos/{moth}/medium.PNG", None, None),
        (get, f"photos/{get}/medium.png", None, None),
        ("12", "photos/12/medium.jpeg", "duplicate", None),
        ("13", "photos/13/medium.jpg", None, None),
        ("14", "photos/14/medium.jpg", "no_observation", None),
        (raw, f"photos/{raw}/medium.dng", None, "dng is not read; convert it to JPEG"),
        ("1005", None, "no_photograph", None),
    ]
    assert [p.taxon_id for p in found.photos] == [
        5133088, 5133088, 5133088, 5133083, 5133083, None, None, 5133088, 5133088,
    ]  # fmt: skip
    quality = [p.quality for p in found.photos]
    assert quality == ["research"] * 2 + ["casual", None, None, "research", None, "casual"] + [
        "research"
    ]
    days = [p.observed_on for p in found.photos]
    assert days[:5] == ["2019-05-01", "2019-05-01", None, "2018-02-03", "2019-05-01"]
    assert [p.attribution for p in found.photos[:3]] == ["Ada", "Bo", "Ada"]
    assert [p.license for p in found.photos[:3]] == ["CC-BY", "CC-BY", None]
    assert [p.position for p in found.photos] == [0, 1, 0, 0, 0, 0, 0, 1, None]
    observations = [p.observation_id for p in found.photos]
    assert observations[0] == "https://www.inaturalist.org/observations/77"
    assert observations[2] == observations[7] == "1002"
    assert lineage(found, 5133088) == (
        "kingdom:Animalia/class:Insecta/family:Nymphalidae/genus:Danaus/species:Danaus plexippus"
    )


def inat_files(observations, media):
    """The archive that iNaturalist hands to GBIF."""
    core = ("id", "occurrenceID", "catalogNumber", "recordedBy", "captive", "eventDate",
            "decimalLatitude", "decimalLongitude", "occurrenceRemarks", "taxonID", "scientificName",
            "taxonRank", "kingdom", "family", "genus", "license", "inaturalistLogin")  # fmt: skip
    extension = ("id", "type", "format", "identifier", "references", "creator", "license",
                 "rightsHolder", "catalogNumber")  # fmt: skip
    csv_ = {"fieldsTerminatedBy": ",", "fieldsEnclosedBy": "&quot;"}
    return {
        "meta.xml": meta(
            described("core", TERMS + "Occurrence", "observations.csv", 0,
                      [f'index="{i}" term="{TERMS}{name}"' for i, name in enumerate(core) if i],
                      **csv_),
            described("extension", "http://rs.gbif.org/terms/1.0/Multimedia", "media.csv", 0,
                      [f'index="{i}" term="http://purl.org/dc/terms/{name}"'
                       for i, name in enumerate(extension) if i],
                      **csv_),
        ),
        "observations.csv": table(core, observations, ","),
        "media.csv": table(extension, media, ","),
    }  # fmt: skip


def observation(number, **cells):
    return {
        "id": number, "occurrenceID": f"https://www.inaturalist.org/observations/{number}",
        "recordedBy": "Ada", "inaturalistLogin": "ada", "captive": "wild", "taxonID": "48662",
        "scientificName": "Danaus plexippus", "taxonRank": "species", "kingdom": "Animalia",
        "family": "Nymphalidae", "genus": "Danaus", "eventDate": "2019-05-01", **cells,
    }  # fmt: skip


def image(number, photo, **cells):
    return {"id": number, "type": "StillImage", "format": "image/jpeg",
            "identifier": f"{BUCKET}/{photo}/original.jpg", "license": "http://cc/by/4.0/",
            "rightsHolder": "Ada", **cells}  # fmt: skip


def test_the_archive_of_inaturalist(write):
    remarks = 'Two lines,\nand a "quotation"'
    place = write(
        inat_files(
            [
                observation(1, occurrenceRemarks=remarks), observation(2, captive="captive"),
                observation(3, decimalLatitude="91", decimalLongitude="0"),
                observation(2, scientificName="Danaus gilippus", taxonID="9"),
                observation(4, eventDate=FUTURE), observation("", occurrenceID="x"),
            ],
            [image(1, 5), image(2, 6), image(3, 7), image(1, 8), image(1, "", identifier=""),
             image(1, "", identifier="photo.jpg")],
        )
    )  # fmt: skip
    found = listed(place)
    assert rejects(found) == [
        ("media.csv", 6, "neither accessURI nor identifier", True),
        ("media.csv", 7, "accessURI or identifier must be the address of a photograph, not "
         "'photo.jpg'", True),
        ("observations.csv", 5, "decimalLatitude must be degrees from -90 to 90, not '91'", False),
        ("observations.csv", 6, "the occurrence '2' is listed before", False),
        ("observations.csv", 7, f"eventDate lies in the future: {FUTURE}", False),
        ("observations.csv", 8, "no core id", False),
    ]  # fmt: skip
    assert found.tables == {"observations.csv": (6, 2, 4, 0), "media.csv": (6, 4, 2, 0)}
    assert [(p.photo_id, p.taxon_id, p.quality, p.left_out) for p in found.photos] == [
        ("5", 48662, None, None), ("6", 48662, "casual", None), ("7", None, None, "no_observation"),
        ("8", 48662, None, None),
    ]  # fmt: skip
    assert {p.observer for p in found.photos if p.taxon_id} == {"ada"}


def test_audubon_core_defaults_and_tables_without_header(write):
    ac = "http://rs.tdwg.org/ac/terms/"
    files = {
        "meta.xml": meta(
            described("core", TERMS + "Occurrence", "data/o.txt", 1,
                      [f'index="0" term="{TERMS}scientificName"',
                       f'index="1" term="{TERMS}OccurrenceId"',
                       f'index="3" term="{TERMS}eventDate"', 'index="2" term="a&quot;b\'c"',
                       f'default="species" term="{TERMS}taxonRank"',
                       f'index="0" default="Nobody" term="{TERMS}recordedBy"',
                       f'default="true" term="{TERMS}captive"'],
                      ignoreHeaderLines="0", fieldsTerminatedBy="|", encoding="utf8"),
            described("extension", ac + "Multimedia", "m.txt", 0,
                      [f'index="1" term="{ac}accessURI"', 'index="2" term="http://x/UsageTerms"',
                       'index="3" term="http://x/type"', 'index="3" term="http://x/Owner"',
                       'default="Eve" term="http://x/creator"'], ignoreHeaderLines="2"),
        ),
        "data/o.txt": "Aus bus Foo, 1999|o1|?|2020-02-03\nCus dus|o2||\n",
        "m.txt": "two\nlines\no1\thttp://a/b.jpg\tCC0\tStillImage\no1\thttp://a/b\tBY\tMovingImage\n"
        "o2\thttp://a/c.jpg\t\thttp://purl.org/dc/dcmitype/StillImage\n",
    }  # fmt: skip
    found = listed(write(files))
    assert found.tables == {"o.txt": (2, 2, 0, 0), "m.txt": (3, 3, 0, 0)}
    assert found.source.other_files == {"movingimage": 1}
    assert [(p.url, p.license, p.attribution, p.quality) for p in found.photos] == [
        ("http://a/b.jpg", "CC0", "Eve", "casual"), ("http://a/c.jpg", None, "Eve", "casual"),
    ]  # fmt: skip
    assert [lineage(found, p.taxon_id) for p in found.photos] == [
        "species:Aus bus", "species:Cus dus",
    ]  # fmt: skip


def test_photographs_are_found_where_they_lie(write):
    other = "https://media.example.org"
    media = [
        medium("1001", f"{BUCKET}/12/original.jpeg"), medium("1001", f"{other}/1/moth.jpg"),
        medium("1001", f"{other}/2/IMG.jpg"), medium("1001", f"{other}/3/IMG.jpg"),
        medium("1001", f"{other}/get?id=4"),
    ]  # fmt: skip
    photos = {"images/photos/moth.jpg": b"", "images/12.jpeg": b""}
    place = write({**gbif_files([MONARCH], media), **photos})
    found = listed(place, place / "images")
    assert found.source.root == place / "images"
    ids = [p.photo_id for p in found.photos]
    assert [p.path for p in found.photos] == [
        "12.jpeg", "photos/moth.jpg", f"{ids[2]}.jpg", f"{ids[3]}.jpg", "photos/get",
    ]  # fmt: skip
    assert len(set(ids)) == 5


def test_an_archive_without_media_has_those_of_its_records(write):
    files = inat_files([observation(1), observation(2)], [])
    files["meta.xml"] = meta(
        described("core", TERMS + "Occurrence", "o.csv", 0,
                  ['index="0" term="x/\\&quot;; DROP TABLE rejects; --"',
                   f'index="1" term="{TERMS}associatedMedia"',
                   f'index="2" term="{TERMS}scientificName"'],
                  fieldsTerminatedBy=";", fieldsEnclosedBy="&quot;"),
    )  # fmt: skip
    files["o.csv"] = 'id;media;name\n1;"http://a/1.jpg | http://a/2.jpg";Aus\n2;;Aus\n'
    found = listed(write(files))
    assert [(p.url, p.left_out) for p in found.photos] == [
        ("http://a/1.jpg", None), ("http://a/2.jpg", None), (None, "no_photograph"),
    ]  # fmt: skip


OCCURRENCE = f'rowType="{TERMS}Occurrence"'
FILES = "<files><location>o.txt</location></files>"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("<archive/>", "meta.xml describes no core"),
        ("<archive>", "meta.xml, line 1: not XML: no element found"),
        ("<a/>", "meta.xml, line 1: the document is <a>, not <archive>"),
        ('<!DOCTYPE archive [<!ENTITY a "b">]>\n<archive/>',
         "meta.xml, line 1: a document type is declared, which is not read; remove it"),
        (f'<archive>\n<core rowType="{TERMS}Taxon"/></archive>',
         f"line 2: the core is {TERMS}Taxon, not Occurrence: the archive lists no observations"),
        (f"<archive><core {OCCURRENCE}/></archive>", "a table must be in one file, not 0"),
        (f"<archive><core {OCCURRENCE}>{FILES * 2}</core></archive>",
         "a table must be in one file, not 2"),
        (f"<archive><core {OCCURRENCE}>{FILES.replace('o.txt', '../o.txt')}</core></archive>",
         "'../o.txt' is no file of the archive"),
        (f"<archive><core {OCCURRENCE}>{FILES.replace('o.txt', '/etc/passwd')}</core></archive>",
         "'/etc/passwd' is no file of the archive"),
        (f"<archive><core {OCCURRENCE}>{FILES.replace('o.txt', 'p.txt')}</core></archive>",
         "lacks p.txt, which meta.xml names"),
        (f"<archive><core {OCCURRENCE}>{FILES}</core></archive>",
         "there must be one <id index=...>"),
        (f'<archive><core {OCCURRENCE}>{FILES}<id index="-1"/></core></archive>',
         "index must be the number of a column, not '-1'"),
        (f'<archive><core {OCCURRENCE} ignoreHeaderLines="1">{FILES}<id index="0"/>'
         '<field index="7" term="x/eventDate"/></core></archive>',
         "o.txt, line 1: 3 columns, but meta.xml describes column 8"),
        (f'<archive><core {OCCURRENCE} encoding="latin1">{FILES}<id index="0"/></core></archive>',
         "tables in latin1 are not read; save them as UTF-8"),
        (f'<archive><core {OCCURRENCE} linesTerminatedBy="x">{FILES}<id index="0"/></core>'
         "</archive>", r"linesTerminatedBy must be \n or \r\n"),
        (f'<archive><core {OCCURRENCE} fieldsTerminatedBy="||">{FILES}<id index="0"/></core>'
         "</archive>", "fieldsTerminatedBy must be one character, fieldsEnclosedBy one or none"),
        (f'<archive><core {OCCURRENCE} ignoreHeaderLines="x">{FILES}<id index="0"/></core>'
         "</archive>", "ignoreHeaderLines must be a small number, not 'x'"),
        ("<archive>" + "<a>" * 50 + "</a>" * 50 + "</archive>", "nested more than 20 deep"),
        ("<?xml version='1.0' encoding='nonsense'?><archive/>", "not XML: unknown encoding"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["archive", "archive.zip"])
def test_descriptions_that_cannot_be_followed(write, content, sentence, name):
    place = write({"meta.xml": content, "o.txt": "id,b,c\n"}, name)
    said = refusal(place)
    assert sentence in said
    assert said.startswith(str(place))


def test_zips_that_are_meant_to_do_harm(write, tmp_path):
    files = gbif_files()
    assert refusal(write({**files, "../evil.txt": ""}, "a.zip")).endswith(
        "a.zip: ../evil.txt leads out of the archive's folder"
    )
    assert "leads out" in refusal(write({**files, "/etc/evil": ""}, "a.zip"))
    assert "leads out" in refusal(write({**files, "..\\evil": ""}, "a.zip"))
    bomb = write({**files, "occurrence.txt": b"\0" * 2**26}, "a.zip")
    assert "occurrence.txt would unpack to 67108864 bytes, more than 250 times" in refusal(bomb)
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("meta.xml", files["meta.xml"])
        archive.writestr(link, "/etc/passwd")
    assert refusal(tmp_path / "b.zip").endswith("b.zip: link is a link")
    damaged = bytearray(write(files, "a.zip").read_bytes())
    damaged[200:400] = bytes(200)
    (tmp_path / "c.zip").write_bytes(damaged)
    assert "c.zip cannot be unpacked" in refusal(tmp_path / "c.zip")
    assert not list(tmp_path.parent.glob("evil*"))


def test_only_what_is_needed_is_unpacked(write):
    files = {**gbif_files(), "huge.bin": b"\0" * 2**26}  # which would be refused
    unpacked = []

    def stage(staging):
        before = set(staging.folder.rglob("*"))
        source = stage_darwin_core(staging, write(files, "a.zip"), None)
        unpacked.extend({path.name for path in {*staging.folder.rglob("*.*")} - before})
        return source

    staged(stage)
    assert sorted(unpacked) == ["meta.xml", "multimedia.txt", "occurrence.txt"]


def test_media_of_many_kinds_are_counted(write):
    media = [medium("1001", f"{BUCKET}/1/a.jpg", type=f"k{chr(97 + i)}") for i in range(26)]
    media += [medium("1001", f"{BUCKET}/1/a", type="/", format=""), *media[:3]]
    found = listed(write(gbif_files([MONARCH], media)))
    assert found.source.other_files["of another kind"] == 7
    assert len(found.source.other_files) == 21
    assert sum(found.source.other_files.values()) == 30
    assert [p.left_out for p in found.photos] == ["no_photograph"]


# --- a lone table ---

LONE = ("occurrenceID", "scientificName", "taxonRank", "genus", "eventDate", "decimalLatitude",
        "decimalLongitude", "associatedMedia", "license", "vernacularName",
        "language")  # fmt: skip


def lone(tmp_path, *rows, columns=LONE, delimiter=","):
    path = tmp_path / "occurrences.csv"
    text = table(columns, [dict(zip(columns, row, strict=False)) for row in rows], delimiter)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_lone_table(tmp_path, delimiter):
    media = "https://a.org/1.jpg | https://a.org/2.mp3|https://a.org/2.jpg"
    path = lone(
        tmp_path,
        ("o1", "Aus bus", "species", "Aus", "2020-01-02", "1", "2", media, "CC0", "the bus", "en"),
        ("o2", "Aus bus", "species", "Aus", "", "", "", "", "CC0", "der Bus", "de"),
        ("o1", "Aus cus", "species", "Aus", "", "", "", "https://a.org/3.jpg", "", "no", ""),
        ("o3", "Aus", "genus", "Aus", "", "x", "", "https://a.org/4.jpg"),
        ("o4", "Aus bus", "species", "Aus", "", "", "", "https://a.org/5.wav", "", "a bus", "en"),
        delimiter=delimiter,
    )
    found = listed(path)
    assert found.tables == {"occurrences.csv": (5, 3, 1, 1)}
    assert found.source.other_files == {"mp3": 1, "wav": 1}
    assert [(p.observation_id, p.url, p.license, p.left_out) for p in found.photos] == [
        ("o1", "https://a.org/1.jpg", "CC0", None), ("o1", "https://a.org/2.jpg", "CC0", None),
        ("o2", None, None, "no_photograph"), ("o1", None, None, "duplicate"),
        ("o4", None, None, "no_photograph"),
    ]  # fmt: skip
    reason = "decimalLatitude must be degrees from -90 to 90, not 'x'"
    assert rejects(found) == [("occurrences.csv", 5, reason, True)]
    (bus,) = {p.taxon_id for p in found.photos[:3]}
    assert found.names == {"en": {bus: "a bus"}, "de": {bus: "der Bus"}}
    assert found.taxonomy[bus].name == "Aus bus"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("a,b", "has no column id or gbifID or occurrenceID or catalogNumber; it has: a, b"),
        ("id,eventDate", "has no column scientificName; it has: id, eventDate"),
        ("id,scientificName", "is no table of occurrences; it has: id, scientificName"),
    ],
)
def test_tables_that_are_none_of_occurrences(tmp_path, header, sentence):
    (tmp_path / "t.csv").write_text(f"{header}\n1,2\n")
    assert refusal(tmp_path / "t.csv").endswith(f"t.csv {sentence}")


def test_a_folder_or_zip_with_one_table(write):
    text = table(("dwc:OccurrenceID", "http://rs/terms/scientificName", "EVENTDATE"), [])
    files = {"occurrences.csv": text + "1\tAus bus\t2020-02-02\n", "notes.txt": "a note\n"}
    found = listed(write(files))
    assert [(p.observation_id, p.observed_on) for p in found.photos] == [("1", "2020-02-02")]
    assert "it must hold one table of occurrences or .dwc document, not 2" in refusal(
        write(files, "a.zip")
    )
    assert "it holds several: more.csv, occurrences.csv" in refusal(
        write({**files, "more.csv": files["occurrences.csv"]})
    )
    del files["notes.txt"]
    assert len(listed(write(files, "a.zip")).photos) == 1


def test_missing_input(tmp_path):
    assert refusal(tmp_path / "none.zip") == f"{tmp_path / 'none.zip'} does not exist"


CELL = st.sampled_from(
    ["", "", "1", "91", "x", "nan", '"', 'a"b', "2020-01-02", FUTURE, "2020", "http://a/1.jpg",
     "http://a/2.jpg|http://a/2.mp3", "Aus bus", "ä"]
)  # fmt: skip
ROW = st.tuples(
    st.sampled_from(["1", "2", "3", "4", ""]),
    st.sampled_from(["Aus bus", "Aus", "", 'Aus "bus']),
    st.sampled_from(["2020-01-02", "2020", "", FUTURE, "x"]),
    st.sampled_from(["1", "", "", "91"]),
    st.sampled_from(["http://a/1.jpg", "http://a/2.jpg|http://a/2.mp3", "", "http://a/3.jpg"]),
).map(list)


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.lists(ROW | st.lists(CELL, min_size=1, max_size=6), max_size=8), st.sampled_from(",\t")
)  # fmt: skip
def test_rows_of_a_lone_table_add_up(rows, delimiter):
    columns = ("id", "scientificName", "eventDate", "decimalLatitude", "associatedMedia")
    lines = [delimiter.join(row) for row in rows if delimiter.join(row)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text("\n".join([delimiter.join(columns), *lines, ""]), encoding="utf-8")
        found = listed(path)
    count, used, faulty, duplicates = found.tables["t.csv"]
    assert count == used + faulty + duplicates
    if '"' not in "".join(lines):  # which may join lines
        assert count == len(lines)
    assert len(found.rejects) == sum(r.is_photograph for r in found.rejects) == faulty
    assert len({r.line for r in found.rejects}) == faulty
    assert all(2 <= r.line <= len(lines) + 1 for r in found.rejects)
    again = [p for p in found.photos if p.left_out == "duplicate" and p.url is None]
    assert len(again) == duplicates
    assert len({p.observation_id for p in found.photos}) == used
    assert {p.left_out for p in found.photos} <= {None, "duplicate", "no_photograph"}


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 4), CELL, CELL), max_size=8),
    st.lists(st.tuples(st.integers(1, 6), CELL), max_size=8),
)
def test_rows_of_an_archive_add_up(records, images):
    files = inat_files(
        [observation(i, eventDate=day, decimalLatitude=north) for i, day, north in records],
        [image(i, "", identifier=url) for i, url in images],
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        found = listed(Path(folder))
    assert found.tables["observations.csv"][0] == len(records)
    assert found.tables["media.csv"][0] == len(images)
    for rows, used, faulty, duplicates in found.tables.values():
        assert rows == used + faulty + duplicates
    photographs = [p for p in found.photos if p.url]
    assert len(photographs) + sum(r.is_photograph for r in found.rejects) == len(images)
    known = {p.observation_id for p in found.photos if p.left_out != "no_observation"}
    sound = found.tables["observations.csv"][1]
    assert len({o for o in known if o.startswith("https:")}) <= sound
    assert all(r.line for r in found.rejects)


# --- documents ---


def document(*records):
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<dwr:SimpleDarwinRecordSet '
        'xmlns:dwr="http://rs.tdwg.org/dwc/xsd/simpledarwincore/" '
        f'xmlns:dwc="{TERMS}" xmlns:eol="http://www.eol.org/transfer/content/1.0">\n'
        + "".join(f"<dwr:SimpleDarwinRecord>\n{r}\n</dwr:SimpleDarwinRecord>\n" for r in records)
        + "</dwr:SimpleDarwinRecordSet>"
    )


def terms(**cells):
    return "".join(f"<dwc:{name}>{cell}</dwc:{name}>" for name, cell in cells.items())


def test_faulty_records_of_a_document(tmp_path):
    photo = f"<eol:dataObject>{terms(accessURI=f'{BUCKET}/5/original.jpg')}</eol:dataObject>"
    nothing = f"<eol:dataObject>{terms(type='StillImage')}</eol:dataObject>"
    sound = terms(occurrenceID="o1", scientificName="Aus bus")
    path = tmp_path / "x.dwc"
    path.write_text(
        document(
            sound + photo + nothing,
            terms(occurrenceID="o2", decimalLatitude="99") + photo.replace("/5/", "/6/"),
            sound, terms(scientificName="Aus bus"), terms(catalogNumber="7", scientificName="Aus"),
        )
    )  # fmt: skip
    found = listed(path)
    assert rejects(found) == [
        ("x.dwc", 3, "neither accessURI nor identifier", True),
        ("x.dwc", 6, "decimalLatitude must be degrees from -90 to 90, not '99'", False),
        ("x.dwc", 9, "the occurrence 'o1' is listed before", False),
        ("x.dwc", 12, "no occurrence id", False),
    ]
    assert found.tables == {"x.dwc": (5, 2, 3, 0), "x.dwc: dataObject": (3, 2, 1, 0)}
    assert [(p.photo_id, p.left_out) for p in found.photos] == [
        ("5", None), ("6", "no_observation"), ("7", "no_photograph"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<html>\n</html>", "line 1: the document is <html>, not <SimpleDarwinRecordSet>"),
        (document("<a>"), "line 5: not XML: mismatched tag"),
        (document()[:-5], "not XML: unclosed token"),
        ('<?xml version="1.0"?>\n<!DOCTYPE x SYSTEM "file:///etc/passwd">\n' + document()[40:],
         "line 2: a document type is declared, which is not read; remove it"),
        (document(terms(occurrenceID="a\0b")), "line 4: not XML: not well-formed (invalid token)"),
        (document(terms(occurrenceID="&undefined;")), "line 4: not XML: undefined entity"),
    ],
)  # fmt: skip
def test_documents_that_cannot_be_read(tmp_path, text, sentence):
    (tmp_path / "x.dwc").write_text(text)
    assert f"{tmp_path / 'x.dwc'}, {sentence}" in refusal(tmp_path / "x.dwc") or (
        sentence in refusal(tmp_path / "x.dwc") and not sentence.startswith("line")
    )


# --- taxa ---


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Danaus plexippus (Linnaeus, 1758)", "Danaus plexippus"),
        ("Canis lupus familiaris Linnaeus, 1758", "Canis lupus familiaris"),
        ("Aus bus subsp. cus (L.) de Vries", "Aus bus cus"),
        ("Aus bus f. cus Foo", "Aus bus cus"),
        ("Bombus (Pyrobombus) impatiens Cresson", "Bombus impatiens"),
        ("Quercus alba L.", "Quercus alba"), ("Aus bus ex Foo", "Aus bus"),
        ("Ixodes de Geer, 1778", "Ixodes"), ("× Chitalpa", "× Chitalpa"),
        ("Anas platyrhynchos × rubripes", "Anas platyrhynchos × rubripes"),
        ("Anas x rubripes Foo", "Anas × rubripes"), ("BOLD:AAA1234", "BOLD:AAA1234"),
        ("Rosa 'Peace'", "Rosa"), ("Aus\n bus", "Aus bus"), ("", ""),
    ],
)  # fmt: skip
def test_names_without_authors(text, name):
    assert canonical_name(text) == name


@given(st.text())
def test_any_name_has_a_canonical_one(text):
    name = canonical_name(text)
    assert canonical_name(name) == name


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("48978", 48978), ("https://www.inaturalist.org/taxa/48978", 48978), ("gbif:5", 5),
        ("urn:lsid:marinespecies.org:taxname:140656", 140656), ("x/7/", 7), ("0", None),
        ("4QHKG", None), ("", None), ("12.5", None), ("99999999999999999", None), ("-3", None),
    ],
)  # fmt: skip
def test_numbers_in_cells(text, number):
    assert number_in(text) == number


@pytest.mark.parametrize(
    ("cells", "path", "own"),
    [
        ({"scientificName": "Aus bus", "taxonRank": "species", "taxonID": "5"},
         "species:Aus bus", 5),
        ({"scientificName": "Aus bus", "taxonRank": "Species ", "family": "Aidae"},
         "family:Aidae/species:Aus bus", None),
        ({"scientificName": "Aus", "taxonRank": "species", "genus": "Aus"}, "genus:Aus", None),
        ({"scientificName": "Aus", "genus": "Aus", "taxonID": "5"}, "genus:Aus", 5),
        ({"scientificName": "Aus bus cus", "taxonRank": "ssp.", "genus": "Aus"},
         "genus:Aus/species:Aus bus/subspecies:Aus bus cus", None),
        ({"scientificName": "Aus bus × Cus dus", "genus": "Aus"},
         "genus:Aus/hybrid:Aus bus × Cus dus", None),
        ({"scientificName": "Aidae", "order": "Ales"}, "order:Ales/family:Aidae", None),
        ({"scientificName": "Papilionoidea", "taxonRank": "superfamily", "order": "Lepidoptera",
          "family": ""}, "order:Lepidoptera/superfamily:Papilionoidea", None),
        ({"scientificName": "BOLD:AAA1", "taxonRank": "UNRANKED", "taxonKey": "7", "genus": "Aus",
          "genusKey": "6"}, "genus:Aus", 6),
        ({"scientificName": "Rosa 'Peace'", "taxonRank": "cultivar", "taxonID": "3",
          "genus": "Rosa"}, "genus:Rosa", 3),
        ({"genus": "Aus", "subgenus": "Aus (Bus)", "scientificName": "Aus dus",
          "taxonRank": "species"}, "genus:Aus/subgenus:Bus/species:Aus dus", None),
        ({"kingdom": "incertae sedis", "genus": "Aus", "scientificName": "Aus bus",
          "taxonRank": "species"}, "genus:Aus/species:Aus bus", None),
        ({"scientificName": "Xus yus L.", "taxonKey": "8", "acceptedTaxonKey": "9",
          "acceptedScientificName": "Aus bus cus Foo", "taxonRank": "SPECIES", "genus": "Aus",
          "species": "Aus bus", "speciesKey": "4"},
         "genus:Aus/species:Aus bus/subspecies:Aus bus cus", 9),
        ({"scientificName": "Aus bus L.", "taxonKey": "4QHKG", "taxonID": "3", "species": "Aus bus",
          "taxonRank": "SPECIES"}, "species:Aus bus", None),
        ({"family": "Aidae", "genus": "Aus"}, "family:Aidae/genus:Aus", None),
    ],
)  # fmt: skip
def test_which_taxon_a_record_names(cells, path, own):
    taxon = taxon_of_record({name: cell for name, cell in cells.items() if cell})
    assert ("/".join(f"{rank}:{name}" for rank, name in taxon.path), taxon.ids[-1]) == (path, own)


def test_records_that_name_nothing():
    assert taxon_of_record({}) is None
    assert taxon_of_record({"scientificName": "BOLD:AAA1", "taxonRank": "unranked"}) is None


# --- to the catalog ---


def test_an_archive_with_its_photographs_becomes_a_catalog(write, tmp_path):
    files = gbif_files()
    picture = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 90, 10)).save(picture, "JPEG")
    files["photos/11/medium.JPG"] = picture.getvalue()
    picture = io.BytesIO()
    Image.new("RGB", (8, 6), (10, 90, 200)).save(picture, "JPEG")
    files["photos/12/medium.jpeg"] = picture.getvalue()
    place = write(files)
    manifest = ingest(
        lambda staging: stage_darwin_core(staging, place, None),
        "dwca", IngestOptions(), tmp_path / "catalog", Recipe("ingest"),
    )  # fmt: skip
    counts = manifest["counts"]
    assert (counts["photographs"], counts["used"], counts["rejected"]) == (9, 2, 3)
    assert counts["left_out"] == {
        "duplicate": 1, "no_photograph": 1, "no_observation": 1, "no_taxon": 1,
    }  # fmt: skip
    assert counts["classes"] == 1
    assert counts["tables"]["occurrence.txt"]["rows"] == 6
    names = (tmp_path / "catalog" / "classes.csv").read_text()
    assert "5133088,Danaus plexippus,species" in names


# --- many rows ---


@pytest.mark.slow
def test_photographs_are_listed_in_the_order_of_their_table(write):
    """DuckDB works on pieces of 122,880 rows, and not all of its joins keep their order."""
    count = 600_000
    media = "".join(
        f"{i // 3}\tStillImage\timage/jpeg\t{BUCKET}/{i}/original.jpg\t\t\t\n" for i in range(count)
    )
    files = gbif_files([MONARCH], [])
    files["multimedia.txt"] += media
    place = write(files)

    def stage(staging):
        source = stage_darwin_core(staging, place, None)
        query = 'SELECT "row", photo_id::BIGINT AS photo FROM listed WHERE url IS NOT NULL'
        disorder = staging.connection.execute(f"SELECT count(*) FROM ({query}) WHERE row != photo")
        assert disorder.fetchall() == [(0,)]
        staging.connection.execute("CREATE OR REPLACE TABLE listed AS FROM listed LIMIT 1")
        return source

    assert staged(stage).tables["multimedia.txt"] == (count, count, 0, 0)
