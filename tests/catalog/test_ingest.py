import hashlib
import io
import json
import shutil
import struct
import zlib
from collections import Counter

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taxonvision.catalog.catalog import MANIFEST, PHOTO_COLUMNS, SPLITS, open_catalog
from taxonvision.catalog.eligibility import COLUMNS as ELIGIBILITY_COLUMNS
from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.sources.folder import FolderOptions, listing_digest, stage_folder
from taxonvision.catalog.splits import split_by_hash
from taxonvision.errors import AlreadyDone, UserError
from taxonvision.storage import Recipe
from taxonvision.tables import read_csv


def picture(seed, kind="PNG", mode="RGB", size=(12, 8), **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def fill(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def make(root, out, *, overwrite=False, **options):
    folder = FolderOptions(**options)
    recipe = Recipe("ingest", {}, {"input": listing_digest(root)})
    return ingest(
        lambda staging: stage_folder(staging, root, folder),
        "folder",
        IngestOptions(),
        out,
        recipe,
        overwrite=overwrite,
    )


def rows(out, columns="*", where="true"):
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT {columns} FROM read_parquet(?) WHERE {where} ORDER BY ALL",
            [str(out / "photos.parquet")],
        ).fetchall()


def rejects(out):
    return {row["path"]: row["reason"] for row in read_csv(out / "rejects.csv")}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def root(tmp_path):
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "catalog"


@pytest.fixture
def small(root):
    """Two species of one genus, four photographs, a broken one and a text."""
    fill(
        root,
        {
            "Danaus/plexippus/1.png": picture(1),
            "Danaus/plexippus/2.jpg": picture(2, "JPEG", size=(20, 10)),
            "Danaus/chrysippus/1.png": picture(3),
            "Danaus/chrysippus/2.png": picture(4),
            "Danaus/chrysippus/broken.jpg": b"text",
            "Danaus/genutia/broken.jpg": b"",
            "notes.txt": b"hello",
        },
    )
    return root


# What is written.


def test_the_files_of_a_catalog(small, out):
    make(small, out)
    assert names(out) == [
        "catalog.json", "changes.csv", "classes.csv", "eligibility.csv", "names.csv",
        "near_duplicates.csv",
        "photos.parquet", "rejects.csv", "taxonomy.csv",
    ]  # fmt: skip
    assert names(out.parent) == ["catalog", "photos"]


def test_counts_add_up(small, out):
    manifest = make(small, out)
    assert json.loads((out / MANIFEST).read_text()) == manifest
    counts = manifest["counts"]
    assert (counts["photographs"], counts["used"], counts["rejected"]) == (6, 4, 2)
    assert counts["classes"] == 2
    assert counts["train"] + counts["val"] + counts["test"] == counts["used"]
    assert counts["other_files"] == {".txt": 1}
    assert len(rows(out)) == counts["used"]
    assert len(rejects(out)) == counts["rejected"]
    assert manifest["source"] == "folder"
    assert manifest["schema_version"] == 1


def test_columns_and_types_of_the_photographs(small, out):
    make(small, out, license="CC0-1.0")
    with duckdb.connect() as connection:
        described = connection.execute(
            "DESCRIBE SELECT * FROM read_parquet(?)", [str(out / "photos.parquet")]
        ).fetchall()
    assert {row[0]: row[1] for row in described} == PHOTO_COLUMNS
    assert [row[0] for row in described] == list(PHOTO_COLUMNS)


def test_a_row_tells_what_the_file_is(root, out):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = picture(1, "JPEG", size=(20, 10), exif=exif)
    fill(root, {"monarch/1.jpg": data})
    make(root, out, license="CC-BY-4.0", attribution='Ä. "B", C')
    (row,) = rows(out)
    *known, taxon_id, class_id, split = row[:10]
    digest = hashlib.sha256(data).hexdigest()
    assert known == ["monarch/1.jpg", "monarch/1.jpg", digest, 10, 20, 6, "monarch/1.jpg"]
    (monarch,) = read_csv(out / "classes.csv")
    assert (str(taxon_id), class_id) == (monarch["taxon_id"], 0)
    assert split == split_by_hash(digest)
    assert row[10:] == (None, None, None, "CC-BY", 'Ä. "B", C', None)


def test_unknown_license_is_null_in_the_table_and_empty_when_read(small, out):
    make(small, out)
    assert set(rows(out, "license, attribution")) == {(None, None)}
    catalog = open_catalog(out)
    for split in SPLITS:
        assert set(catalog.photos(split).licenses) <= {""}


def test_classes_in_order_of_their_scientific_name_and_photographs_of_their_class(
    root, out, tmp_path
):
    """The order of folders, ids and names is another each."""
    fill(
        root, {f"{folder}/{n}.png": picture(ord(folder) + n) for folder in "abc" for n in (200, 9)}
    )
    (tmp_path / "taxa.csv").write_text("class,taxon_id,scientific_name\na,3,Q\nb,1,R\nc,2,P\n")
    make(root, out, taxa=tmp_path / "taxa.csv")
    assert [tuple(row.values()) for row in read_csv(out / "classes.csv")] == [
        ("0", "2", "P", "species", "active", "1"),
        ("1", "3", "Q", "species", "active", "1"),
        ("2", "1", "R", "species", "active", "1"),
    ]
    assert rows(out, "DISTINCT class_id, taxon_id, path[1]") == [
        (0, 2, "c"),
        (1, 3, "a"),
        (2, 1, "b"),
    ]
    for split in SPLITS:
        paths = [path for _, path in rows(out, "class_id, path", where=f"split = '{split}'")]
        assert open_catalog(out).photos(split).photo_ids == paths


def test_eligibility_tells_of_every_taxon_seen(small, out):
    make(small, out)
    table = {row["name"]: row for row in read_csv(out / "eligibility.csv", ELIGIBILITY_COLUMNS)}
    assert list(table) == ["chrysippus", "genutia", "plexippus"]
    assert (table["chrysippus"]["photographs"], table["chrysippus"]["rejected"]) == ("3", "1")
    assert table["chrysippus"]["included"] == "true"
    assert sum(int(table["chrysippus"][split]) for split in SPLITS) == 2
    assert (table["genutia"]["included"], table["genutia"]["rejected"]) == ("false", "1")
    assert table["genutia"]["reason"] == "not included: its only photograph is faulty"
    assert table["chrysippus"]["reason"] == "included: 2 photographs; left out: 1 faulty"
    assert table["plexippus"]["reason"] == "included: 2 photographs"


def test_rejects_in_order_with_reasons(small, out):
    make(small, out)
    assert list(rejects(out).items()) == [
        ("Danaus/chrysippus/broken.jpg", "not an image of a known format"),
        ("Danaus/genutia/broken.jpg", "empty file"),
    ]


def test_names_and_tree(root, out, tmp_path):
    fill(root, {"monarch/1.png": picture(1)})
    (tmp_path / "taxa.csv").write_text(
        "class,taxon_id,scientific_name,common_name,common_name_de\n"
        "monarch,9,Danaus plexippus,Monarch,Monarchfalter\n"
    )
    (tmp_path / "tree.csv").write_text(
        "taxon_id,parent_taxon_id,rank_level,rank,name\n"
        "7,,30,family,Nymphalidae\n8,7,20,genus,Danaus\n9,8,10,species,Danaus plexippus\n"
        "5,7,20,genus,Vanessa\n"
    )
    make(root, out, taxa=tmp_path / "taxa.csv", taxonomy=tmp_path / "tree.csv")
    catalog = open_catalog(out)
    assert catalog.names == {"en": {9: "Monarch"}, "de": {9: "Monarchfalter"}}
    assert [t.name for t in catalog.taxonomy] == ["Nymphalidae", "Danaus", "Danaus plexippus"]
    assert [(c.taxon_id, c.name) for c in catalog.classes] == [(9, "Danaus plexippus")]


# Splits.


@given(st.binary(max_size=20))
def test_split_depends_on_the_content_alone(content):
    digest = hashlib.sha256(content).hexdigest()
    share = int(digest, 16) / 2**256
    assert split_by_hash(digest) == ("train" if share < 0.8 else "val" if share < 0.9 else "test")


def test_shares_of_the_splits():
    digests = [hashlib.sha256(bytes(4) + n.to_bytes(4)).hexdigest() for n in range(10_000)]
    counts = Counter(map(split_by_hash, digests))
    # Five standard deviations: sqrt(10,000 · 0.8 · 0.2) = 40 and sqrt(10,000 · 0.1 · 0.9) = 30.
    assert abs(counts["train"] - 8000) < 200
    assert abs(counts["val"] - 1000) < 150
    assert abs(counts["test"] - 1000) < 150


def test_a_photograph_keeps_its_split_when_others_come_and_it_is_renamed(root, out, tmp_path):
    fill(root, {f"A/{n}.png": picture(n) for n in range(30)})
    make(root, out)
    before = dict(rows(out, "sha256, split"))
    assert set(before.values()) == set(SPLITS)
    fill(root, {f"B/{n}.png": picture(n) for n in range(30, 60)})
    (root / "A" / "0.png").rename(root / "B" / "renamed.png")
    make(root, tmp_path / "second")
    after = dict(rows(tmp_path / "second", "sha256, split"))
    assert len(after) == 60
    assert before.items() <= after.items()


def test_splits_given_are_kept(root, out, tmp_path):
    given_splits = {f"A/{n}.png": SPLITS[n % 3] for n in range(12)}
    fill(root, {path: picture(n) for n, path in enumerate(given_splits)})
    fill(root, {"A/free.png": picture(99)})
    lines = [f"{path},A,{split}" for path, split in given_splits.items()] + ["A/free.png,A,"]
    (tmp_path / "labels.csv").write_text("file,class,split\n" + "\n".join(lines) + "\n")
    manifest = make(root, out, labels=tmp_path / "labels.csv")
    found = dict(rows(out, "path, split"))
    free = split_by_hash(hashlib.sha256(picture(99)).hexdigest())
    assert found == given_splits | {"A/free.png": free}
    assert [manifest["counts"][s] for s in SPLITS] == [4 + (s == free) for s in SPLITS]


# Twice the same, moved, changed.


def test_two_ingests_are_byte_identical_but_for_the_place(small, out, tmp_path):
    make(small, out)
    shutil.copytree(small, tmp_path / "elsewhere" / "deep")
    make(tmp_path / "elsewhere" / "deep", tmp_path / "second")
    for name in names(out):
        if name != MANIFEST:
            assert (out / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    first, second = (
        json.loads((place / MANIFEST).read_text()) for place in (out, tmp_path / "second")
    )
    different = {key for key in first if first[key] != second[key]}
    assert different == {"root", "root_from_catalog", "made_by"}


def test_the_fingerprint_tells_labels_splits_and_pixels_not_the_place(root, tmp_path):
    fill(root, {f"A/{n}.png": picture(n) for n in range(3)})
    labels = tmp_path / "labels.csv"

    def fingerprint(place, *lines):
        labels.write_text("file,class,split\n" + "\n".join(lines) + "\n")
        return make(place, tmp_path / "out", labels=labels, overwrite=True)["fingerprint"]

    base = ("A/0.png,X,train", "A/1.png,X,test", "A/2.png,Y,train")
    first = fingerprint(root, *base)
    assert fingerprint(root, *reversed(base)) == first
    assert fingerprint(root, base[0], "A/1.png,Y,test", base[2]) != first
    assert fingerprint(root, base[0], "A/1.png,X,val", base[2]) != first
    assert fingerprint(root, *base[:2], "A/2.png,Z,train") != first
    root.rename(tmp_path / "moved")
    assert fingerprint(tmp_path / "moved", *base) == first
    (tmp_path / "moved" / "A" / "0.png").write_bytes(picture(77))
    assert fingerprint(tmp_path / "moved", *base) != first


def test_catalog_and_photographs_moved_together_still_open(small, out, tmp_path):
    make(small, out)
    (tmp_path / "away").mkdir()
    small.rename(tmp_path / "away" / "photos")
    out.rename(tmp_path / "away" / "catalog")
    catalog = open_catalog(tmp_path / "away" / "catalog")
    paths = [path for split in SPLITS for path in catalog.photos(split).paths]
    assert len(paths) == 4
    assert all(path.is_file() for path in paths)


def test_only_the_catalog_moved_still_opens(small, out, tmp_path):
    make(small, out)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    out.rename(tmp_path / "deep" / "er" / "catalog")
    assert open_catalog(tmp_path / "deep" / "er" / "catalog").root == small


def test_photographs_that_are_gone_are_told(small, out):
    make(small, out)
    small.rename(small.with_name("gone"))
    with pytest.raises(UserError, match=f"the photographs of {out} were in {small}, which does"):
        open_catalog(out)


def test_what_is_no_catalog(tmp_path):
    with pytest.raises(UserError, match="does not exist; `taxonvision ingest` makes a catalog"):
        open_catalog(tmp_path / "none")
    with pytest.raises(UserError, match=r"is no catalog: it has no catalog\.json"):
        open_catalog(tmp_path)


def test_again_is_already_done_until_something_changes(small, out):
    make(small, out)
    with pytest.raises(AlreadyDone):
        make(small, out)
    fill(small, {"Danaus/plexippus/3.png": picture(5)})
    with pytest.raises(UserError, match="--overwrite"):
        make(small, out)
    assert make(small, out, overwrite=True)["counts"]["used"] == 5


def test_nothing_to_ingest(root, out):
    root.mkdir()
    with pytest.raises(UserError, match=f"there is no photograph below {root}"):
        make(root, out)
    fill(root, {"A/1.jpg": b"", "A/2.jpg": b"text", "0.heic": b""})
    with pytest.raises(UserError, match=r"none of the 3 files below .* can be used; 0\.heic: heic"):
        make(root, out)
    assert names(out.parent) == ["photos"]


# Photographs as a reader of the catalog gets them.


def test_photos_of_a_split_and_some_of_them(small, out):
    make(small, out, attribution="me")
    catalog = open_catalog(out)
    photos = {split: catalog.photos(split) for split in SPLITS}
    assert sum(map(len, photos.values())) == 4
    train = photos["train"]
    assert train.class_ids.dtype == np.int32
    order = list(zip(train.class_ids.tolist(), train.photo_ids, strict=True))
    assert order == sorted(order)
    assert train.paths == [small / photo_id for photo_id in train.photo_ids]
    chosen = train.take(np.arange(len(train))[::-1])
    assert chosen.photo_ids == train.photo_ids[::-1]
    assert chosen.paths == train.paths[::-1]
    assert chosen.class_ids.tolist() == train.class_ids.tolist()[::-1]
    assert chosen.attributions == ["me"] * len(train)
    assert len(catalog.photos("none")) == 0


def test_a_place_with_quotes_commas_and_emoji(tmp_path):
    root, out = tmp_path / 'it\'s, "my" 🦋', tmp_path / "o'ut; --"
    name = "Größe, \"x\" 'y' 🐛/a b's.png"
    fill(root, {name: picture(1)})
    make(root, out)
    catalog = open_catalog(out)
    (path,) = [path for split in SPLITS for path in catalog.photos(split).paths]
    assert path == root / name
    assert path.is_file()


# A tenth of the files broken in every way.


def bomb():
    def chunk(kind, body):
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b"")]
    )


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 8
    return picture(60, "JPEG", exif=exif)


def animation():
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def deep_grey():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(96, dtype=np.uint16).reshape(8, 12) * 600).save(buffer, "PNG")
    return buffer.getvalue()


GOOD = {
    "cmyk.jpg": picture(51, "JPEG", "CMYK"),
    "grey.jpg": picture(52, "JPEG", "L"),
    "sixteen bit.png": deep_grey(),
    "palette.png": picture(53, "PNG", "P", transparency=0),
    "rotated.JPEG": rotated(),
    "animation.gif": animation(),
    "quotes \"and\" 'commas', ü 🦋.png": picture(54),
    "a PNG by another name.jpg": picture(55),
}
BAD = {
    "zero.jpg": (b"", "empty file"),
    "truncated.jpg": (picture(56, "JPEG", size=(64, 64))[:-300], "damaged: "),
    "text, really.jpg": (b"dear diary", "not an image of a known format"),
    'b"o"mb.png': (bomb(), "20000 x 20000 pixels"),
    "phone.heic": (b"ftypheic", "heic is not read"),
}


@pytest.mark.filterwarnings("ignore:::PIL")  # as taxonvision.photograph asks for
def test_a_tenth_of_broken_files_of_every_kind(root, out):
    whole = {f"{'AB'[n % 2]}/{n:03}.png": picture(n) for n in range(100)}
    fill(root, whole)
    fill(root, {f"A/{name}": data for name, data in GOOD.items()})
    fill(root, {f"B/{name}": data for name, (data, _) in BAD.items()})
    (root / "B" / "dangling, link.jpg").symlink_to("gone.jpg")
    counts = make(root, out)["counts"]
    assert counts["used"] == len(whole) + len(GOOD)
    assert counts["rejected"] == len(BAD) + 1
    assert counts["photographs"] == len(whole) + len(GOOD) + len(BAD) + 1
    used = dict(rows(out, "path, orientation"))
    assert set(used) == set(whole) | {f"A/{name}" for name in GOOD}
    assert used["A/rotated.JPEG"] == 8
    found = rejects(out)
    assert found.pop("B/dangling, link.jpg") == "dangling link"
    assert set(found) == {f"B/{name}" for name in BAD}
    for name, (_, reason) in BAD.items():
        assert found[f"B/{name}"].startswith(reason)


def test_a_species_whose_files_are_all_unreadable_is_told_with_the_reason(tmp_path):
    root = tmp_path / "photos"
    for name in ("fox/1.png", "wolf/1.heic"):
        (root / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name, "PNG")
    make(root, tmp_path / "catalog")
    by_name = {row["name"]: row for row in read_csv(tmp_path / "catalog" / "eligibility.csv")}
    assert by_name["wolf"]["included"] == "false"
    assert by_name["wolf"]["rejected"] == "1"
    assert by_name["wolf"]["reason"] == "not included: its only photograph is faulty"
    (reject,) = read_csv(tmp_path / "catalog" / "rejects.csv")
    reason = "heic is not read; convert it to JPEG"
    assert reject == {"path": "wolf/1.heic", "line": "", "reason": reason}


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_catalog_with_a_damaged_table_is_one_sentence(tmp_path, damage):
    root = tmp_path / "photos"
    (root / "fox").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(root / "fox" / "1.png")
    make(root, tmp_path / "catalog")
    table = tmp_path / "catalog" / "photos.parquet"
    content = table.read_bytes()
    table.unlink()
    if damage == "truncated":
        table.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"photos\.parquet cannot be read .*; ingest again"):
        open_catalog(tmp_path / "catalog").photos("train")


def test_a_catalog_whose_manifest_lacks_a_field_is_one_sentence(tmp_path):
    root = tmp_path / "photos"
    (root / "fox").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(root / "fox" / "1.png")
    make(root, tmp_path / "catalog")
    (tmp_path / "catalog" / MANIFEST).write_text('{"schema_version": 1}')
    with pytest.raises(UserError, match="lacks root; make the catalog again"):
        open_catalog(tmp_path / "catalog")
