import copy
import datetime
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staged import staged

from taxonvision.catalog.sources.coco import CocoOptions, stage_coco
from taxonvision.catalog.sources.coco_taxa import lineage_of
from taxonvision.errors import UserError

FUTURE = datetime.date.today() + datetime.timedelta(days=3)


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.json"):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def listed(path, **options):
    return staged(lambda staging: stage_coco(staging, path, CocoOptions(**options)))


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        listed(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lineage(listing, taxon_id):
    return "/".join(f"{t.rank}:{t.name}" for t in reversed(listing.taxonomy.lineage(taxon_id)))


def taxa(listing):
    """Path to lineage of the photographs that are neither faulty nor left out."""
    usable = [photo for photo in listing.photos if not photo.fault and not photo.left_out]
    return {photo.path: lineage(listing, photo.taxon_id) for photo in usable}


def rejects(listing):
    """Path to reason; faults of listed photographs and rejects."""
    faults = {photo.path: photo.fault for photo in listing.photos if photo.fault}
    return faults | {reject.path: reject.reason for reject in listing.rejects}


def one(image=None, annotation=None, category=None):
    """A file of one image; the changes replace or add keys, None takes a key out."""
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 5}],
        "categories": [{"id": 5, "name": "fox"}],
    }
    changes = {"images": image, "annotations": annotation, "categories": category}
    for key, change in changes.items():
        entry = content[key][0] | (change or {})
        content[key] = [{name: value for name, value in entry.items() if value is not None}]
    return content


# The published layouts.

INAT_2021 = {
    "info": {"year": 2021},
    "images": [
        {
            "id": 0, "width": 500, "height": 375, "license": 0, "rights_holder": "Ann B.",
            "file_name": "train/00000_Animalia_Annelida/a.jpg",
            "date": "2010-07-14 23:19:00+00:00", "latitude": 43.83, "longitude": -71.22,
            "location_uncertainty": 77,
        },
        {
            "id": 1, "width": 500, "height": 333, "license": 1, "rights_holder": "C",
            "file_name": "train/00001_Animalia_Chordata/b.jpg",
            "date": "", "latitude": float("nan"), "longitude": float("nan"),
            "location_uncertainty": float("nan"),
        },
    ],
    "categories": [
        {
            "id": 0, "name": "Lumbricus terrestris", "common_name": "Common Earthworm",
            "supercategory": "Animalia", "kingdom": "Animalia", "phylum": "Annelida",
            "class": "Clitellata", "order": "Haplotaxida", "family": "Lumbricidae",
            "genus": "Lumbricus", "specific_epithet": "terrestris",
            "image_dir_name": "00000_Animalia_Annelida",
        },
        {
            "id": 1, "name": "Vulpes vulpes", "common_name": "Red Fox", "supercategory": "Mammals",
            "kingdom": "Animalia", "phylum": "Chordata", "class": "Mammalia",
            "order": "Carnivora", "family": "Canidae", "genus": "Vulpes",
            "specific_epithet": "vulpes", "image_dir_name": "00001_Animalia_Chordata",
        },
        {"id": 2, "name": "Vulpes zerda", "common_name": "Fennec", "kingdom": "Animalia"},
    ],
    "annotations": [
        {"id": 0, "image_id": 0, "category_id": 0}, {"id": 1, "image_id": 1, "category_id": 1},
    ],
    "licenses": [
        {
            "id": 0, "name": "Attribution-NonCommercial License",
            "url": "http://creativecommons.org/licenses/by-nc/4.0/",
        },
        {"id": 1, "name": "All rights reserved", "url": ""},
    ],
}  # fmt: skip


def test_inaturalist_2021_has_ranks_names_places_and_licences(write):
    listing = listed(write(INAT_2021))
    worm, fox = listing.photos
    assert lineage(listing, worm.taxon_id) == (
        "kingdom:Animalia/phylum:Annelida/class:Clitellata/order:Haplotaxida/family:Lumbricidae/"
        "genus:Lumbricus/species:Lumbricus terrestris"
    )
    assert listing.names == {"en": {worm.taxon_id: "Common Earthworm", fox.taxon_id: "Red Fox"}}
    assert "Vulpes zerda" not in {taxon.name for taxon in listing.taxonomy}
    assert worm.path == worm.photo_id == "train/00000_Animalia_Annelida/a.jpg"
    assert (worm.license, worm.attribution) == ("CC-BY-NC", "Ann B.")
    assert (worm.observed_on, worm.latitude, worm.longitude) == ("2010-07-14", 43.83, -71.22)
    assert (worm.width, worm.height) == (500, 375)
    assert (worm.observation_id, worm.site, worm.split) == (None, None, None)
    assert (fox.license, fox.observed_on, fox.latitude) == ("All rights reserved", None, None)
    assert listing.rejects == []


def test_ids_are_hashes_of_names_and_stay(write):
    first, second = listed(write(INAT_2021)), listed(write(INAT_2021))
    assert [p.taxon_id for p in first.photos] == [p.taxon_id for p in second.photos]
    names = {taxon.taxon_id: taxon.name for taxon in first.taxonomy}
    assert names[1_713_675_790] == "Animalia"


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ({"name": "Danaus plexippus", "supercategory": "Insecta"},
         "class:Insecta/species:Danaus plexippus"),
        ({"name": "Quercus", "supercategory": "Plantae"}, "kingdom:Plantae/genus:Quercus"),
        ({"name": "Felidae", "supercategory": "Mammalia"}, "class:Mammalia/family:Felidae"),
        ({"name": "Helix pomatia", "supercategory": "Mollusca"},
         "phylum:Mollusca/species:Helix pomatia"),
        ({"name": "Junco hyemalis hyemalis", "supercategory": "Aves"},
         "class:Aves/subspecies:Junco hyemalis hyemalis"),
        ({"name": "Opuntia basilaris var. basilaris", "supercategory": "Plantae"},
         "kingdom:Plantae/variety:Opuntia basilaris var. basilaris"),
        ({"name": "Mentha × piperita", "supercategory": "Plantae"},
         "kingdom:Plantae/hybrid:Mentha × piperita"),
        ({"name": "8141", "supercategory": "Plantae"}, "kingdom:Plantae/species:8141"),
        ({"name": "Animalia", "supercategory": "Animalia"}, "kingdom:Animalia"),
        ({"name": "cat", "supercategory": "animal"}, "class:animal/species:cat"),
        ({"name": "Red fox cub", "supercategory": "animal"}, "class:animal/species:Red fox cub"),
        ({"name": "deer"}, "species:deer"),
        ({"name": "Deer", "supercategory": None}, "species:Deer"),
        ({"name": "Aa mathewsii (Rchb.f.) Schltr.", "order": "Asparagales",
          "family": "Orchidaceae"},
         "order:Asparagales/family:Orchidaceae/species:Aa mathewsii (Rchb.f.) Schltr."),
        ({"name": "Quercus", "family": "Fagaceae", "genus": "Quercus"},
         "family:Fagaceae/genus:Quercus"),
        ({"name": "x1f", "kingdom": "k9", "genus": "g2", "phylum": float("nan")},
         "kingdom:k9/genus:g2/species:x1f"),
    ],
)  # fmt: skip
def test_the_lineage_of_a_category(category, expected):
    assert "/".join(f"{rank}:{name}" for rank, name in lineage_of(category)) == expected


CAMERA_TRAPS = {
    "info": {"version": "1.0", "description": "cameras"},
    "images": [
        {
            "id": "s1-1", "file_name": "loc\\7\\s1-1.JPG", "seq_id": "s1", "seq_num_frames": 2,
            "frame_num": 0, "location": "7", "datetime": "2013:10:31 05:18:17",
            "width": 1920, "height": 1080,
        },
        {
            "id": "s1-2", "file_name": "loc/7/s1-2.JPG", "seq_id": "s1", "seq_num_frames": 2,
            "frame_num": 1, "location": 7, "datetime": "2013-10-31 05:18:18",
        },
        {"id": "e", "file_name": "e.jpg", "seq_id": "s2", "location": "8", "datetime": "None"},
        {"id": "m", "file_name": "m.jpg", "seq_id": "s3", "datetime": "31-Oct-2013 at noon"},
        {"id": "c", "file_name": "c.jpg", "seq_id": "s4", "corrupt": True},
        {"id": "h", "file_name": "h.jpg"},
        {"id": "o", "file_name": "o.jpg"},
    ],
    "categories": [
        {"id": 0, "name": "empty"}, {"id": 1, "name": "red deer"}, {"id": 2, "name": "wild boar"},
        {"id": 3, "name": "human"}, {"id": 4, "name": "Misfire"},
    ],
    "annotations": [
        {"id": "a", "image_id": "s1-1", "category_id": 1, "sequence_level_annotation": True},
        {"id": "b", "image_id": "s1-2", "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0]},
        {"id": "c", "image_id": "s1-2", "category_id": 1, "bbox": [9.0, 2.0, 3.0, 4.0]},
        {"id": "d", "image_id": "e", "category_id": 0},
        {"id": "e", "image_id": "m", "category_id": 2},
        {"id": "f", "image_id": "m", "category_id": 1},
        {"id": "g", "image_id": "c", "category_id": 4},
        {"id": "h", "image_id": "c", "category_id": 1},
        {"id": "i", "image_id": "h", "category_id": 3},
        {"id": "j", "image_id": "h", "category_id": 0},
    ],
}  # fmt: skip


def test_camera_traps_have_sequences_places_and_images_without_a_taxon(write, capsys):
    listing = listed(write(CAMERA_TRAPS))
    first, second = listing.photos[:2]
    assert taxa(listing) == {
        "loc/7/s1-1.JPG": "species:red deer",
        "loc/7/s1-2.JPG": "species:red deer",
        "h.jpg": "species:human",
    }
    assert {photo.path: photo.left_out for photo in listing.photos if photo.left_out} == {
        "e.jpg": "no_taxon", "o.jpg": "no_taxon",
    }  # fmt: skip
    assert (first.observation_id, first.site, first.position) == ("s1", "7", 0)
    assert (second.observation_id, second.site, second.position) == ("s1", "7", 1)
    assert first.observed_on == second.observed_on == "2013-10-31"
    assert rejects(listing) == {
        "m.jpg": "data.json, image 'm': several taxa on one photograph: red deer, wild boar",
        "c.jpg": "data.json, image 'c': marked as corrupt",
    }
    assert "wild boar" not in taxa(listing).values()
    assert "dates" not in capsys.readouterr().err  # none of an image that is listed


def test_dates_that_cannot_be_read_are_told(write, capsys):
    (photo,) = listed(write(one({"datetime": "31-Oct-2013 at noon"}))).photos
    assert (photo.observed_on, photo.fault) == (None, None)
    assert "the dates of 1 images are in no form that is read" in capsys.readouterr().err


def test_herbarium_files_name_their_ids_otherwise(write):
    listing = listed(
        write(
            {
                "images": [{"image_id": "00000__001", "file_name": "000/00/1.jpg", "license": 0}],
                "annotations": [
                    {"genus_id": 1, "institution_id": 15, "category_id": 0,
                     "image_id": "00000__001"},
                ],
                "categories": [
                    {"category_id": 0, "scientificName": "Abies amabilis", "family": "Pinaceae",
                     "genus": "Abies", "species": "amabilis", "authors": "(Dougl.) Forbes"},
                ],
                "license": [{"license": 0, "name": "CC BY 4.0", "url": "-"}],
            }
        )
    )  # fmt: skip
    assert taxa(listing) == {"000/00/1.jpg": "family:Pinaceae/genus:Abies/species:Abies amabilis"}
    assert listing.photos[0].license == "CC-BY"


def test_a_test_set_without_annotations_is_left_out(write):
    listing = listed(write({"images": [{"id": 1, "file_name": "test/a.jpg"}]}))
    assert [(photo.path, photo.left_out) for photo in listing.photos] == [
        ("test/a.jpg", "no_taxon")
    ]
    assert len(listing.taxonomy) == 0


# Files, folders and splits.


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train2017.json", "val2017.json"), ["train", "val"]),
        (("train_mini.json", "val.json", "public_test.json"), ["test", "train", "val"]),
        (("instances_train2019.json", "instances_val2019.json"), ["train", "val"]),
        (("train.json",), [None]),
        (("annotations.json",), [None]),
    ],
)
def test_file_names_give_the_splits_where_there_are_several(write, tmp_path, names, splits):
    for name in names:
        write(one({"file_name": f"{name}.jpg"}), name)
    listing = listed(tmp_path)
    assert [photo.split for photo in listing.photos] == splits
    assert listing.source.root == tmp_path
    assert len(listing.taxonomy) == 1


def test_one_file_alone_gives_no_split(write, tmp_path):
    assert listed(write(one(), "train2018.json")).photos[0].split is None


def test_photographs_elsewhere(write, tmp_path):
    (tmp_path / "photos").mkdir()
    path = write(one())
    assert listed(path).source.root == tmp_path
    assert listed(path, photos=tmp_path / "photos").source.root == tmp_path / "photos"
    assert "--photos names" in refusal(path, photos=tmp_path / "none")


def test_folders_in_which_it_is_not_clear_what_is_meant(write, tmp_path):
    assert "holds no JSON files named by their splits" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "none.json")
    write(one(), "a.json")
    write(one(), "b.json")
    assert "it holds a.json, b.json; give --input one file" in refusal(tmp_path)
    write(one(), "train.json")
    write(one(), "train_mini.json")
    assert "two files for train, train.json and train_mini.json" in refusal(tmp_path)


def test_a_file_in_two_splits_is_faulty_and_one_listed_twice_a_duplicate(write, tmp_path):
    train = one()
    train["images"] += [{"id": 2, "file_name": "./a.jpg"}, {"id": 3, "file_name": "b.jpg"}]
    train["annotations"] += [{"image_id": 2, "category_id": 5}, {"image_id": 3, "category_id": 5}]
    write(train, "train.json")
    write(one({"file_name": "b.jpg"}), "val.json")
    listing = listed(tmp_path)
    assert [(photo.path, photo.split, photo.left_out) for photo in listing.photos] == [
        ("a.jpg", "train", None), ("a.jpg", "train", "duplicate"), ("b.jpg", "train", None),
    ]  # fmt: skip
    assert rejects(listing) == {
        "b.jpg": "val.json, image 1: its file is listed before, with another taxon or split"
    }


def test_licence_and_attribution_of_what_has_none(write):
    options = {"license": "CC0-1.0", "attribution": "all of us"}
    (photo,) = listed(write(one()), **options).photos
    assert (photo.license, photo.attribution) == ("CC0-1.0", "all of us")
    (photo,) = listed(write(one({"license": 3, "rights_holder": "me"})), **options).photos
    assert (photo.license, photo.attribution) == ("3", "me")


# Known taxa.


def test_tables_give_the_taxa_by_the_names_of_categories(write, tmp_path):
    taxa_table = tmp_path / "taxa.csv"
    taxa_table.write_text(
        "class,taxon_id,scientific_name,common_name_de\n"
        "red deer,42,Cervus elaphus,Rothirsch\nwild boar,42,,\nhuman,1,,\n"
    )
    tree = tmp_path / "tree.csv"
    tree.write_text(
        "taxon_id,parent_taxon_id,rank_level,rank,name\n"
        "7,,40,order,Artiodactyla\n42,7,10,species,Cervus elaphus\n1,,10,species,Homo sapiens\n"
        "99,7,10,species,Sus scrofa\n"
    )
    listing = listed(write(CAMERA_TRAPS), taxa=taxa_table, taxonomy=tree)
    assert taxa(listing) == {
        "loc/7/s1-1.JPG": "order:Artiodactyla/species:Cervus elaphus",
        "loc/7/s1-2.JPG": "order:Artiodactyla/species:Cervus elaphus",
        "m.jpg": "order:Artiodactyla/species:Cervus elaphus",  # two categories of one taxon
        "h.jpg": "species:Homo sapiens",
    }
    assert {taxon.taxon_id for taxon in listing.taxonomy} == {1, 7, 42}
    assert listing.names == {"de": {42: "Rothirsch"}}
    taxa_table.write_text("class,taxon_id\nred deer,42\n")
    assert "has no line for the class 'human'" in refusal(write(CAMERA_TRAPS), taxa=taxa_table)
    assert "--taxonomy needs --taxa" in refusal(write(CAMERA_TRAPS), taxonomy=tree)


# Bad input.


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"images": [\n{"id": 1,}]}', ", line 2, column 10: no valid JSON: "),
        ("", ", line 1, column 1: no valid JSON: "),
        ("[1, 2]", " is no COCO file: it must be one object with images"),
        ({"image": [], "info": {}}, " is no COCO file: it has no images; it has: image, info"),
        ({"images": {"1": "a.jpg"}}, ": images must be a list, not dict"),
        ({"images": [], "annotations": "none"}, ": annotations must be a list, not str"),
        ({"images": [], "annotations": [{}]}, " has annotations and no categories"),
        (one(category={"id": [5]}), ": categories[0] has no id that is a number or text"),
        (one(category={"name": None}), ": the category 5 has no name"),
        (one(category={"name": " \n"}), ": the category 5 has no name"),
        ("[" * 100_000, " cannot be read: too deep, or a number too long"),
        ('{"images": [' + "1" * 5000 + "]}", " cannot be read: too deep, or a number too long"),
    ],
)
def test_files_that_cannot_be_used(write, content, sentence):
    path = write(content)
    assert refusal(path).startswith(f"{path}{sentence}")


def test_categories_listed_twice_and_files_in_other_forms(write, tmp_path):
    content = one()
    content["categories"] *= 2
    assert "the category 5 is listed twice" in refusal(write(content))
    path = tmp_path / "data.json.gz"
    path.write_bytes(b"\x1f\x8b123")
    assert "is compressed; unpack it" in refusal(path)
    path.write_bytes(b'{"images":\n ["caf\xe9"]}')
    assert f"{path}, line 2: not UTF-8" in refusal(path)


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        (one({"id": None}), "a.jpg", "data.json, images[0]: no id that is a number or text"),
        (one({"id": True}), "a.jpg", "data.json, images[0]: no id that is a number or text"),
        (one({"file_name": None}), "data.json", "data.json, image 1: no file_name"),
        (one({"file_name": 7}), "7", "data.json, image 1: no file_name"),
        (one({"file_name": "\ud800.jpg"}), "?.jpg",
         "data.json, image 1: its file_name is not UTF-8"),
        (one(annotation={"category_id": 6}), "a.jpg",
         "data.json, image 1: annotations[0] names no category that is listed"),
        (one(annotation={"category_id": None}), "a.jpg",
         "data.json, image 1: annotations[0] names no category that is listed"),
        (one({"file_name": "/etc/a.jpg"}), "/etc/a.jpg",
         "data.json, image 1: its file_name leads out of the folder of the photographs"),
        (one({"file_name": "b/../../a.jpg"}), "b/../../a.jpg",
         "data.json, image 1: its file_name leads out of the folder of the photographs"),
        (one({"file_name": "C:\\a.jpg"}), "C:\\a.jpg",
         "data.json, image 1: its file_name leads out of the folder of the photographs"),
        (one({"latitude": 91}), "a.jpg",
         "data.json, image 1: latitude must be degrees from -90 to 90, not '91'"),
        (one({"longitude": "west"}), "a.jpg",
         "data.json, image 1: longitude must be degrees from -180 to 180, not 'west'"),
        (one({"longitude": {}}), "a.jpg",
         "data.json, image 1: longitude must be degrees from -180 to 180, not '{}'"),
        (one({"date": f"{FUTURE} 12:00:00"}), "a.jpg",
         f"data.json, image 1: date lies in the future: {FUTURE}"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_used(write, content, path, reason):
    listing = listed(write(content))
    assert {photo.path: photo.fault for photo in listing.photos} | {
        reject.path: reject.reason for reject in listing.rejects if reject.is_photograph
    } == {path: reason}


def test_ids_listed_twice_and_entries_that_are_no_objects(write):
    content = one()
    content["images"] += [{"id": 1, "file_name": "b.jpg"}, "c.jpg", None]
    listing = listed(write(content))
    assert taxa(listing) == {"a.jpg": "species:fox"}
    assert [(reject.path, reject.reason) for reject in listing.rejects] == [
        ("b.jpg", "data.json, image 1: its id is listed before"),
        ("data.json", "data.json, images[2]: no id that is a number or text"),
        ("data.json", "data.json, images[3]: no id that is a number or text"),
    ]


def test_annotations_of_no_image_are_told_and_are_no_photographs(write):
    content = one()
    content["annotations"] += [{"image_id": 2, "category_id": 5}, 7]
    listing = listed(write(content))
    assert taxa(listing) == {"a.jpg": "species:fox"}
    assert [(reject.reason, reject.is_photograph) for reject in listing.rejects] == [
        ("annotations[1] names no image that is listed", False),
        ("annotations[2] names no image that is listed", False),
    ]


# Whatever a file holds, every image is listed or rejected.

ids = st.sampled_from([1, 2, 3, "1", "x", None, True, 1.0, [], {}])
texts = st.sampled_from(
    ["a.jpg", "b.jpg", "/a", "../a", "", " ", "a\0b", "\ud800", "empty", "fox", "Vulpes", 5, None]
)
values = st.sampled_from([0, -1, 91.5, 10**30, float("nan"), float("inf"), "x", "12", [], {}, True])
dates = st.sampled_from(["2013-10-31", "2999-01-01", "0000-00-00", "31.1.2013", "", 7, None, []])
image = st.fixed_dictionaries(
    {"id": ids, "file_name": texts},
    optional={
        "latitude": values, "longitude": values, "width": values, "frame_num": values,
        "datetime": dates, "seq_id": texts, "location": texts, "license": ids, "corrupt": values,
        "rights_holder": texts, "url": texts,
    },
)  # fmt: skip
annotation = st.fixed_dictionaries({}, optional={"image_id": ids, "category_id": ids})
category = st.fixed_dictionaries(
    {"id": ids, "name": texts},
    optional={"supercategory": texts, "genus": texts, "family": texts, "common_name": texts},
)
GOOD_CATEGORIES = [
    {"id": 1, "name": "fox"}, {"id": 2, "name": "Vulpes", "supercategory": "Mammalia"},
    {"id": "x", "name": "empty"},
]  # fmt: skip
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
files = st.fixed_dictionaries(
    {
        "images": st.lists(image | junk, max_size=8),
        "annotations": st.lists(annotation | junk, max_size=8),
        "categories": st.just(GOOD_CATEGORIES) | st.lists(category | junk, max_size=4),
    },
    optional={"licenses": st.lists(st.fixed_dictionaries({"id": ids, "name": texts}), max_size=2)},
)


@settings(max_examples=60)
@given(files)
def test_every_image_is_listed_or_rejected(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.json")
        path.write_text(json.dumps(content))
        try:
            listing = listed(path)
        except UserError as error:
            assert content["categories"] != GOOD_CATEGORIES
            assert "\n" not in str(error)
            return
    refused = [reject for reject in listing.rejects if reject.is_photograph]
    assert len(content["images"]) == len(listing.photos) + len(refused)
    for photo in listing.photos:
        assert photo.taxon_id is None or photo.taxon_id in listing.taxonomy
        assert (photo.taxon_id is None) == (photo.left_out == "no_taxon") or photo.left_out
        assert photo.fault or ".." not in photo.path.split("/")


@settings(max_examples=40)
@given(junk | files.map(lambda content: copy.copy(content) | {"images": 3}))
def test_any_json_is_a_catalog_or_a_sentence(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.json")
        path.write_text(json.dumps(content))
        with pytest.raises(UserError) as caught:
            listed(path)
    assert str(path) in str(caught.value)
