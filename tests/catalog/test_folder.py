import datetime
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from staged import staged

from taxonvision.catalog import class_taxa
from taxonvision.catalog.class_taxa import taxa_of_paths
from taxonvision.catalog.sources.folder import FolderOptions, listing_digest, stage_folder
from taxonvision.errors import UserError
from taxonvision.text import one_line


@pytest.fixture
def root(tmp_path):
    """The input; nothing is opened while listing, so that empty files do."""
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def table(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def fill(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def classes(listing):
    """Path to lineage as rank:name from the root down, of photographs without a fault."""
    return {
        photo.path: "/".join(
            f"{taxon.rank}:{taxon.name}"
            for taxon in reversed(listing.taxonomy.lineage(photo.taxon_id))
        )
        for photo in listing.photos
        if not photo.fault and not photo.left_out
    }


def rejects(listing):
    """Path to reason, of files with and without a known class."""
    faults = {photo.path: photo.fault for photo in listing.photos if photo.fault}
    return faults | {reject.path: reject.reason for reject in listing.rejects}


def splits(listing):
    return {photo.path: photo.split for photo in listing.photos}


def listed(root, **options):
    return staged(lambda staging: stage_folder(staging, root, FolderOptions(**options)))


def refusal(root, **options):
    with pytest.raises(UserError) as caught:
        listed(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Folders as classes and as taxonomy.


def test_a_folder_is_a_species_without_parents(root):
    fill(root, "monarch/1.jpg", "monarch/2.JPG", "comma/1.png")
    listing = listed(root)
    assert classes(listing) == {
        "comma/1.png": "species:comma",
        "monarch/1.jpg": "species:monarch",
        "monarch/2.JPG": "species:monarch",
    }
    assert splits(listing) == dict.fromkeys(classes(listing))
    assert [photo.photo_id for photo in listing.photos] == list(classes(listing))
    assert len(listing.taxonomy) == 2


def test_nested_folders_are_family_genus_species(root):
    fill(root, "Nymphalidae/Danaus/Danaus plexippus/1.jpg", "Nymphalidae/Vanessa/V. io/1.jpg")
    assert classes(listed(root)) == {
        "Nymphalidae/Danaus/Danaus plexippus/1.jpg": (
            "family:Nymphalidae/genus:Danaus/species:Danaus plexippus"
        ),
        "Nymphalidae/Vanessa/V. io/1.jpg": "family:Nymphalidae/genus:Vanessa/species:V. io",
    }


def test_seven_levels_reach_the_kingdom_and_eight_are_too_many(root):
    fill(root, "k/p/c/o/f/g/s/1.jpg", "k/p/c/o/f/g/s/t/1.jpg")
    listing = listed(root)
    assert classes(listing) == {
        "k/p/c/o/f/g/s/1.jpg": (
            "kingdom:k/phylum:p/class:c/order:o/family:f/genus:g/species:s"
        )
    }  # fmt: skip
    assert rejects(listing) == {
        "k/p/c/o/f/g/s/t/1.jpg": "in a folder deeper than the 7 levels of ranks"
    }


def test_uneven_depth_and_photographs_of_an_inner_node(root):
    fill(root, "F/G/S/1.jpg", "F/G/2.jpg", "F/3.jpg", "lone/4.jpg", "G/S/5.jpg")
    assert classes(listed(root)) == {
        "F/G/S/1.jpg": "family:F/genus:G/species:S",
        "F/G/2.jpg": "family:F/genus:G",
        "F/3.jpg": "family:F",
        "lone/4.jpg": "species:lone",
        "G/S/5.jpg": "genus:G/species:S",
    }


def test_levels_name_the_folders_from_the_top(root):
    fill(root, "F/T/1.jpg", "F/2.jpg", "F/T/S/U/3.jpg")
    listing = listed(root, levels=("family", "tribe", "species"))
    assert classes(listing) == {"F/T/1.jpg": "family:F/tribe:T", "F/2.jpg": "family:F"}
    assert rejects(listing) == {
        "F/T/S/U/3.jpg": "in a folder deeper than the 3 levels of ranks"
    }  # fmt: skip


def test_unknown_level(root):
    fill(root, "a/1.jpg")
    assert "--levels: 'gattung' is no rank; ranks are" in refusal(root, levels=("gattung",))


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_train_val_test_on_top(root, val):
    fill(root, "train/A/1.jpg", f"{val}/A/2.jpg", "test/A/B/3.jpg", "test/4.jpg", "5.jpg")
    listing = listed(root)
    assert splits(listing) == {
        "train/A/1.jpg": "train", f"{val}/A/2.jpg": "val", "test/A/B/3.jpg": "test",
    }  # fmt: skip
    assert classes(listing) == {
        "train/A/1.jpg": "genus:A",
        f"{val}/A/2.jpg": "genus:A",
        "test/A/B/3.jpg": "genus:A/species:B",
    }
    assert set(rejects(listing)) == {"5.jpg", "test/4.jpg"}


@pytest.mark.parametrize("other", ["monarch", "val", "train"])
def test_classes_called_as_splits_are_none_where_the_layout_is_another(root, other):
    others = ["monarch", "train"] if other == "train" else [other]
    fill(root, "test/1.jpg", *(f"{name}/1.jpg" for name in others))
    listing = listed(root)
    assert classes(listing) == {f"{n}/1.jpg": f"species:{n}" for n in ["test", *others]}
    assert set(splits(listing).values()) == {None}


def test_photographs_outside_of_class_folders_are_rejected(root):
    fill(root, "stray.jpg", "A/1.jpg")
    assert rejects(listed(root)) == {"stray.jpg": "not in a class folder and no --labels given"}


@pytest.mark.parametrize("filled", ["A/1.jpg", "A/broken.heic"])
def test_empty_class_folder_is_named(root, filled):
    fill(root, filled, "C/notes.txt")
    (root / "B").mkdir()
    sentence = refusal(root)
    assert sentence.startswith(f"the class folder {root / 'B'} and 1 more holds no photograph")


def test_class_folder_with_nothing_but_a_faulty_file_is_not_empty(root):
    fill(root, "A/1.jpg", "B/1.heic")
    assert set(classes(listed(root))) == {"A/1.jpg"}


def test_class_that_one_split_lacks_is_not_empty(root):
    fill(root, "train/A/1.jpg")
    (root / "val" / "A").mkdir(parents=True)
    assert splits(listed(root)) == {"train/A/1.jpg": "train"}
    (root / "val" / "B").mkdir()
    assert f"the class folder {root / 'val' / 'B'} holds no photograph" in refusal(root)


def test_empty_input_lists_nothing(root):
    listing = listed(root)
    assert (listing.photos, listing.rejects, listing.source.other_files) == ([], [], {})


@pytest.mark.parametrize("make", [False, True])
def test_input_that_is_no_folder(root, make):
    if make:
        (root / "x").write_text("file")
    assert f"{root / 'x'} is not a folder; --input" in refusal(root / "x")


def test_license_and_attribution_of_all(root):
    fill(root, "A/1.jpg")
    (photo,) = listed(root, license="CC0-1.0", attribution="me, myself").photos
    assert (photo.license, photo.attribution) == ("CC0-1.0", "me, myself")


# Files of every kind.


def test_names_with_spaces_quotes_commas_umlauts_emoji(root):
    names = ["a b", "q\"uo'te", "com,ma", "Füchse", "🦋", "line\nbreak", "#%?&", "-dash"]
    fill(root, *(f"{name}/{name}.jpg" for name in names))
    listing = listed(root)
    assert classes(listing) == {
        f"{name}/{name}.jpg": f"species:{name.replace(chr(10), ' ')}" for name in names
    }
    assert listing.rejects == []


def test_name_that_is_not_utf_8(root):
    fill(root, "A/1.jpg")
    (root / "A" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"")
    listing = listed(root)
    assert rejects(listing) == {"A/caf\\xe9.jpg": "the file name is not UTF-8"}
    assert list(classes(listing)) == ["A/1.jpg"]
    assert listing_digest(root)


def test_formats_that_are_not_read_and_other_files(root):
    fill(root, "A/1.jpg", "A/2.HEIC", "A/3.nef", "A/notes.txt", "A/b.TXT", "A/README", "c.csv")
    fill(root, "A/.hidden.jpg", ".git/x.jpg", "__MACOSX/A/1.jpg", "A/@eaDir/1.jpg")
    listing = listed(root)
    assert list(classes(listing)) == ["A/1.jpg"]
    assert rejects(listing) == {
        "A/2.HEIC": "heic is not read; convert it to JPEG",
        "A/3.nef": "nef is not read; convert it to JPEG",
    }
    assert listing.source.other_files == {".txt": 2, "without suffix": 1, ".csv": 1}


def test_links_to_folders_and_files_are_followed(root, tmp_path):
    fill(tmp_path, "elsewhere/deep/1.jpg", "single.jpg")
    fill(root, "A/0.jpg")
    (root / "B").symlink_to(tmp_path / "elsewhere")
    (root / "A" / "2.jpg").symlink_to(tmp_path / "single.jpg")
    listing = listed(root)
    assert set(classes(listing)) == {"A/0.jpg", "A/2.jpg", "B/deep/1.jpg"}
    assert listing.rejects == []


def test_two_links_to_one_folder_are_no_loop(root, tmp_path):
    fill(tmp_path, "elsewhere/1.jpg")
    for name in "AB":
        (root / name).symlink_to(tmp_path / "elsewhere")
    listing = listed(root)
    assert set(classes(listing)) == {"A/1.jpg", "B/1.jpg"}
    assert listing.rejects == []


def test_loops_end(root):
    fill(root, "A/1.jpg", "B/C/1.jpg")
    (root / "A" / "self").symlink_to(root / "A")
    (root / "B" / "C" / "top").symlink_to("../..")
    (root / "A" / "round.jpg").symlink_to("round.jpg")
    listing = listed(root)
    assert set(classes(listing)) == {"A/1.jpg", "B/C/1.jpg"}
    assert rejects(listing) == {
        "A/self": "link back to a folder above it",
        "B/C/top": "link back to a folder above it",
        "A/round.jpg": "dangling link",
    }


def test_a_root_that_is_a_link(root, tmp_path):
    fill(root, "A/1.jpg")
    (root / "A" / "up").symlink_to(root)
    (tmp_path / "link").symlink_to(root)
    listing = listed(tmp_path / "link")
    assert list(classes(listing)) == ["A/1.jpg"]
    assert list(rejects(listing)) == ["A/up"]


def test_dangling_links_to_files_and_folders(root):
    fill(root, "A/1.jpg")
    (root / "A" / "2.jpg").symlink_to("gone.jpg")
    (root / "B").symlink_to("/no/such/folder")
    assert rejects(listed(root)) == {"A/2.jpg": "dangling link", "B": "dangling link"}


def test_a_pipe_is_never_opened(root):
    fill(root, "A/1.jpg")
    os.mkfifo(root / "A" / "2.jpg")
    listing = listed(root)
    assert list(classes(listing)) == ["A/1.jpg"]
    assert rejects(listing) == {"A/2.jpg": "a pipe, socket or device, no file"}


# A table of labels.


def test_labels_name_class_and_split(root, table):
    fill(root, "x/1.jpg", "2.jpg", "x/y/3.jpg", "4.jpg")
    labels = table(
        "labels.csv",
        'file,note,class,split\nx/1.jpg,,monarch,train\n./2.jpg,,"comma, the",test\n'
        "x/y/3.jpg,,monarch,val\n4.jpg,,monarch,\n",
    )
    listing = listed(root, labels=labels)
    assert classes(listing) == {
        "x/1.jpg": "species:monarch", "2.jpg": "species:comma, the",
        "x/y/3.jpg": "species:monarch", "4.jpg": "species:monarch",
    }  # fmt: skip
    assert splits(listing) == {
        "x/1.jpg": "train", "2.jpg": "test", "x/y/3.jpg": "val", "4.jpg": None,
    }  # fmt: skip
    assert listing.rejects == []


def test_label_where_there_is_no_class(root, table):
    fill(root, "1.jpg")
    both = table("both.csv", "file,label,class\n1.jpg,LABEL,class\n")
    alone = table("alone.csv", "file,label\n1.jpg,LABEL\n")
    assert classes(listed(root, labels=both)) == {"1.jpg": "species:class"}
    assert classes(listed(root, labels=alone)) == {"1.jpg": "species:LABEL"}
    assert splits(listed(root, labels=alone)) == {"1.jpg": None}


@pytest.mark.parametrize(
    ("word", "split"),
    [("Train", "train"), ("training", "train"), ("val", "val"), ("valid", "val"), ("dev", "val"),
     ("VALIDATION", "val"), (" test ", "test"), ("testing", "test")],
)  # fmt: skip
def test_words_for_splits(root, table, word, split):
    fill(root, "1.jpg")
    labels = table("labels.csv", f"file,class,split\n1.jpg,A,{word}\n")
    assert splits(listed(root, labels=labels)) == {"1.jpg": split}


def test_unknown_split_names_file_and_line(root, table):
    fill(root, "1.jpg", "2.jpg")
    labels = table("labels.csv", "file,class,split\n\n1.jpg,A,train\n2.jpg,A,tset\n")
    assert refusal(root, labels=labels) == (
        f"{labels}, line 4: split must be train, val or test, not 'tset'"
    )


def test_faulty_rows_and_unlabelled_files_are_rejected(root, table):
    fill(root, "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.heic", "6.txt")
    (root / "7.jpg").symlink_to("gone")
    labels = table(
        "labels.csv",
        "file,class\n1.jpg,A\n1.jpg,B\ngone.jpg,A\n2.jpg,\n5.heic,A\n6.txt,A\n7.jpg,A\n3.jpg,A\n",
    )
    listing = listed(root, labels=labels)
    assert classes(listing) == {"1.jpg": "species:A", "3.jpg": "species:A"}
    assert {reject.path: reject.reason for reject in listing.rejects} == {
        "1.jpg": "labels.csv, line 3: listed before, in line 2, and otherwise",
        "2.jpg": "labels.csv, line 5: no class",
        "4.jpg": "not listed in labels.csv",
    }
    assert {photo.path: photo.fault for photo in listing.photos if photo.fault} == {
        "5.heic": "heic is not read; convert it to JPEG",
        "6.txt": "labels.csv, line 7: no such photograph below --input",
        "7.jpg": "dangling link",
        "gone.jpg": "labels.csv, line 4: no such photograph below --input",
    }
    assert listing.tables == {"labels.csv": (8, 2, 6, 0)}


def test_a_line_that_says_the_same_again_is_a_duplicate(root, table):
    fill(root, "1.jpg")
    labels = table("labels.csv", "file,class,split\n1.jpg,A,val\n./1.jpg,A,valid\n")
    listing = listed(root, labels=labels)
    assert [(photo.path, photo.left_out) for photo in listing.photos] == [
        ("1.jpg", None), ("1.jpg", "duplicate"),
    ]  # fmt: skip
    assert len({photo.taxon_id for photo in listing.photos}) == 1
    assert rejects(listing) == {}
    assert listing.tables == {"labels.csv": (2, 1, 0, 1)}


def test_a_line_that_says_something_else_again_is_faulty(root, table):
    fill(root, "1.jpg")
    labels = table("labels.csv", "file,class,site\n1.jpg,A,here\n1.jpg,A,there\n")
    listing = listed(root, labels=labels)
    assert [photo.site for photo in listing.photos] == ["here"]
    assert rejects(listing) == {
        "1.jpg": "labels.csv, line 3: listed before, in line 2, and otherwise"
    }


def test_labels_tell_when_where_and_by_whom(root, table):
    fill(root, "1.jpg", "2.jpg")
    columns = (
        "file,class,observation_id,observer,site,observed_on,latitude,longitude,license,attribution"
    )
    labels = table(
        "labels.csv",
        f"{columns}\n1.jpg,A,77,ann,pond,2024-02-29,-12.5,180,CC0-1.0,Ann\n2.jpg,A,,,,,,,,\n",
    )
    one, two = listed(root, labels=labels, license="CC-BY-4.0", attribution="all of us").photos
    assert (one.observation_id, one.observer, one.site) == ("77", "ann", "pond")
    assert (one.observed_on, one.latitude, one.longitude) == ("2024-02-29", -12.5, 180.0)
    assert (one.license, one.attribution) == ("CC0-1.0", "Ann")
    assert (two.observation_id, two.observer, two.site) == (None, None, None)
    assert (two.observed_on, two.latitude, two.longitude) == (None, None, None)
    assert (two.license, two.attribution) == ("CC-BY-4.0", "all of us")


def test_location_where_there_is_no_site(root, table):
    fill(root, "1.jpg")
    labels = table("labels.csv", "file,class,location\n1.jpg,A,camera 7\n")
    assert [photo.site for photo in listed(root, labels=labels).photos] == ["camera 7"]


FUTURE = datetime.date.today() + datetime.timedelta(days=3)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("latitude", "90.01", "latitude must be degrees from -90 to 90, not '90.01'"),
        ("latitude", "nan", "latitude must be degrees from -90 to 90, not 'nan'"),
        ("longitude", "west", "longitude must be degrees from -180 to 180, not 'west'"),
        ("longitude", "-181", "longitude must be degrees from -180 to 180, not '-181'"),
        ("observed_on", "31.5.2024", "observed_on must be a date as 2024-05-31, not '31.5.2024'"),
        ("observed_on", "2023-02-29", "observed_on must be a date as 2024-05-31, not '2023-02-29'"),
        ("observed_on", FUTURE.isoformat(), f"observed_on lies in the future: {FUTURE}"),
    ],
)
def test_a_row_with_an_impossible_place_or_date_is_faulty(root, table, column, value, reason):
    fill(root, "1.jpg")
    labels = table("labels.csv", f"file,class,{column}\n\n1.jpg,A,{value}\n")
    (photo,) = listed(root, labels=labels).photos
    assert photo.fault == f"labels.csv, line 3: {reason}"
    assert photo.taxon_id


cells = st.sampled_from(["a.jpg", "./a.jpg", "b.jpg", "sub/c.jpg", "d.heic", "gone.jpg", "x.txt"])
kinds = st.sampled_from(["A", "B", ""])
places = st.sampled_from(["", "10", "91", "x"])


@given(st.lists(st.tuples(cells, kinds, places), min_size=1, max_size=12))
def test_lines_and_unlisted_files_are_listed_or_rejected(lines):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "photos")
        fill(root, "a.jpg", "b.jpg", "sub/c.jpg", "d.heic", "x.txt")
        text = "".join(f"{','.join(line)}\n" for line in lines)
        labels = Path(folder, "labels.csv")
        labels.write_text(f"file,class,latitude\n{text}")
        listing = listed(root, labels=labels)
    named = {path.removeprefix("./") for path, _, _ in lines}
    unlisted = {"a.jpg", "b.jpg", "sub/c.jpg", "d.heic"} - named
    assert len(lines) + len(unlisted) == len(listing.photos) + len(listing.rejects)
    assert {p.path for p in listing.photos} | {r.path for r in listing.rejects} == named | unlisted


@pytest.mark.parametrize("levels", [("genus", "family"), ("species", "species")])
def test_levels_must_descend(root, levels):
    fill(root, "A/B/1.jpg")
    assert "--levels must descend" in refusal(root, levels=levels)


def test_levels_place_the_classes_of_a_table_that_are_named_as_their_folders(root, table):
    fill(root, "F/G/S/1.jpg", "F/G/2.jpg")
    labels = table("labels.csv", "file,class,split\nF/G/S/1.jpg,S,test\nF/G/2.jpg,G,train\n")
    listing = listed(root, labels=labels, levels=("family", "genus", "species"))
    assert classes(listing) == {
        "F/G/S/1.jpg": "family:F/genus:G/species:S",
        "F/G/2.jpg": "family:F/genus:G",
    }
    assert splits(listing) == {"F/G/S/1.jpg": "test", "F/G/2.jpg": "train"}
    assert classes(listed(root, labels=labels))["F/G/S/1.jpg"] == "species:S"


@pytest.mark.parametrize("line", ["F/G/S/1.jpg,other", "1.jpg,S", "F/G/S/T/1.jpg,T"])
def test_levels_do_not_place_a_class_that_is_not_its_folder(root, table, line):
    fill(root, line.split(",")[0])
    labels = table("labels.csv", f"file,class\n{line}\n")
    sentence = refusal(root, labels=labels, levels=("family", "genus", "species"))
    assert f"{line.split(',')[0]} is not in a folder of these levels" in sentence


def test_levels_do_not_go_with_taxa(root, table):
    fill(root, "monarch/1.jpg")
    taxa = table("taxa.csv", "class,taxon_id\nmonarch,1\n")
    assert "with --taxa they come by --taxonomy" in refusal(root, taxa=taxa, levels=("species",))


@pytest.mark.parametrize("manifest", ["catalog.json", "bundle.json", "results.json"])
def test_outputs_of_ours_are_no_classes(root, manifest):
    fill(root, "A/1.jpg", f"out/{manifest}", "out/golden/1.png")
    listing = listed(root)
    assert classes(listing) == {"A/1.jpg": "species:A"}
    assert rejects(listing) == {}


def test_labels_make_folders_mean_nothing(root, table):
    fill(root, "train/A/1.jpg", "val/B/2.jpg")
    (root / "empty").mkdir()
    labels = table("labels.csv", "file,class\ntrain/A/1.jpg,X\nval/B/2.jpg,X\n")
    listing = listed(root, labels=labels)
    assert set(classes(listing).values()) == {"species:X"}
    assert set(splits(listing).values()) == {None}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,species\n1.jpg,A\n", "has no column class or label; it has: file, species"),
        ("class\nA\n", "has no column file"),
        ("file,class\n", "has no line after its header"),
    ],
)
def test_labels_that_cannot_be_used(root, table, text, sentence):
    fill(root, "1.jpg")
    labels = table("labels.csv", text)
    assert refusal(root, labels=labels).startswith(f"{labels} {sentence}")
    assert refusal(root, labels=root / "none.csv") == f"{root / 'none.csv'} does not exist"


# Known taxa.

TAXA = (
    "class,taxon_id,scientific_name,common_name,common_name_de,note\n"
    "monarch,48662,Danaus plexippus,Monarch,Monarchfalter,x\n"
    "comma,55626,Polygonia c-album,Comma,,y\n"
    "unused,7,Aglais io,Peacock,Tagpfauenauge,z\n"
)
TREE = (
    "taxon_id,parent_taxon_id,rank_level,rank,name\n"
    "47922,,30,family,Nymphalidae\n"
    "48662,47922,10,species,Danaus plexippus\n"
    "55626,47922,10,species,Polygonia c-album\n"
)


def test_taxa_give_ids_and_names_in_every_language(root, table):
    fill(root, "monarch/1.jpg", "comma/1.jpg")
    listing = listed(root, taxa=table("taxa.csv", TAXA))
    assert {photo.path: photo.taxon_id for photo in listing.photos} == {
        "monarch/1.jpg": 48662, "comma/1.jpg": 55626,
    }  # fmt: skip
    assert classes(listing)["monarch/1.jpg"] == "species:Danaus plexippus"
    assert listing.names == {
        "en": {48662: "Monarch", 55626: "Comma", 7: "Peacock"},
        "de": {48662: "Monarchfalter", 7: "Tagpfauenauge"},
    }


def test_taxonomy_gives_the_tree(root, table):
    fill(root, "monarch/1.jpg")
    listing = listed(root, taxa=table("taxa.csv", TAXA), taxonomy=table("tree.csv", TREE))
    assert classes(listing) == {"monarch/1.jpg": "family:Nymphalidae/species:Danaus plexippus"}


def test_taxa_without_photographs_are_not_listed(root, table):
    fill(root, "monarch/1.jpg")
    taxa, tree = table("taxa.csv", TAXA), table("tree.csv", TREE)
    assert {taxon.taxon_id for taxon in listed(root, taxa=taxa).taxonomy} == {48662}
    listing = listed(root, taxa=taxa, taxonomy=tree)
    assert {taxon.taxon_id for taxon in listing.taxonomy} == {47922, 48662}


def test_two_classes_of_one_taxon_are_one(root, table):
    fill(root, "old name/1.jpg", "new name/1.jpg")
    taxa = table("taxa.csv", "class,taxon_id\nold name,5\nnew name,5\n")
    assert {photo.taxon_id for photo in listed(root, taxa=taxa).photos} == {5}


def test_class_missing_in_taxa(root, table):
    fill(root, "monarch/1.jpg", "zebra/1.jpg", "ant/1.jpg")
    taxa = table("taxa.csv", TAXA)
    assert refusal(root, taxa=taxa) == f"{taxa} has no line for the class 'ant' and 1 more"


def test_taxon_missing_in_the_tree(root, table):
    fill(root, "unused/1.jpg")
    taxa, tree = table("taxa.csv", TAXA), table("tree.csv", TREE)
    assert refusal(root, taxa=taxa, taxonomy=tree) == (
        f"{tree} has no taxon 7, which {taxa} gives to the class 'unused'"
    )


def test_faults_of_the_taxa_name_file_and_line(root, table):
    fill(root, "A/1.jpg")
    twice = table("twice.csv", "class,taxon_id\nA,1\nA,2\n")
    words = table("words.csv", "class,taxon_id\n\nA,one\n")
    assert refusal(root, taxa=twice) == f"{twice}, line 3: class 'A' is listed twice"
    assert f"{words}, line 3: taxon_id must be a whole number" in refusal(root, taxa=words)
    assert "has no column taxon_id" in refusal(root, taxa=table("t.csv", "class,id\nA,1\n"))


def test_taxonomy_alone(root, table):
    fill(root, "A/1.jpg")
    assert "--taxonomy needs --taxa" in refusal(root, taxonomy=table("tree.csv", TREE))


# Taxon ids of folders without any.

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
paths = st.lists(names, min_size=1, max_size=7).map(tuple)


@given(st.lists(paths, max_size=20, unique=True))
def test_hashed_ids_are_positive_31_bit_distinct_and_stable(class_paths):
    taxa = taxa_of_paths(sorted(class_paths), ())
    tree, ids = taxa.taxonomy, taxa.taxon_ids
    assert all(0 < taxon_id < 2**31 for taxon_id in ids.values())
    assert len(set(ids.values())) == len(ids) == len(tree)
    assert set(ids) == {path[:depth] for path in class_paths for depth in range(1, len(path) + 1)}
    for path, taxon_id in ids.items():
        names = [one_line(name) or "unnamed" for name in reversed(path)]
        assert [taxon.name for taxon in tree.lineage(taxon_id)] == names
        assert taxa_of_paths([path], ()).taxon_ids[path] == taxon_id


def test_hashed_ids_never_change_between_releases(root):
    fill(root, "Nymphalidae/Danaus/1.jpg")
    listing = listed(root)
    assert {taxon.name: taxon.taxon_id for taxon in listing.taxonomy} == {
        "Nymphalidae": 1_857_529_888, "Danaus": 1_608_315_729,
    }  # fmt: skip


def test_the_same_name_below_another_parent_is_another_taxon(root):
    fill(root, "A/minor/1.jpg", "B/minor/1.jpg")
    assert len({photo.taxon_id for photo in listed(root).photos}) == 2


def test_a_collision_is_hashed_again(root, monkeypatch):
    real = class_taxa.hashlib.sha256

    def colliding(data):
        return real(data if b"#" in data else b"the same for all")

    monkeypatch.setattr(class_taxa.hashlib, "sha256", colliding)
    fill(root, "A/1.jpg", "B/1.jpg", "C/1.jpg")
    ids = [photo.taxon_id for photo in listed(root).photos]
    assert len(set(ids)) == 3
    assert all(0 < taxon_id < 2**31 for taxon_id in ids)
    assert ids == [photo.taxon_id for photo in listed(root).photos]


# The digest of what was listed.


def test_digest_sees_files_change(root):
    fill(root, "A/1.jpg", "A/2.jpg")
    (root / "A" / "gone.jpg").symlink_to("gone")
    digests = [listing_digest(root)]
    assert listing_digest(root) == digests[0]

    def changed():
        digests.append(listing_digest(root))
        assert len(set(digests)) == len(digests)

    (root / "A" / "1.jpg").write_bytes(b"longer")
    changed()
    os.utime(root / "A" / "2.jpg", ns=(1, 1))
    changed()
    (root / "A" / "2.jpg").rename(root / "A" / "3.jpg")
    changed()
    (root / "A" / "gone.jpg").unlink()
    changed()
