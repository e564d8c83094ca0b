import io

import pytest
from PIL import Image
from staged import staged

from taxonvision.catalog.sources.tfds import TfdsOptions, prepared_folder, stage_tfds
from taxonvision.errors import UserError

VERSION = "1.0.0"


def encoded(number, kind="JPEG"):
    """A photograph of its own for each number."""
    file = io.BytesIO()
    Image.new("RGB", (12, 8), (number % 256, number // 256, 99)).save(file, kind)
    return file.getvalue()


def classification(names=("red fox", "Vulpes/zerda"), **more):
    import tensorflow_datasets as tfds

    return {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=names), **more}


@pytest.fixture
def prepare(tmp_path):
    """Writes a prepared set in the published layout; returns the folder of prepared sets."""
    import tensorflow_datasets as tfds

    def prepare(splits, features=None, supervised=("image", "label"), name="tiny"):
        folder = tmp_path / "prepared" / name / VERSION
        folder.mkdir(parents=True)
        info = tfds.core.DatasetInfo(
            builder=tfds.core.dataset_info.DatasetIdentity(
                name=name, version=tfds.core.Version(VERSION), data_dir=str(folder), module_name=""
            ),
            features=tfds.features.FeaturesDict(features or classification()),
            supervised_keys=supervised,
        )
        writer = tfds.core.SequentialWriter(info, max_examples_per_shard=2)
        writer.initialize_splits(list(splits))
        writer.add_examples(splits)
        writer.close_splits(list(splits))
        return tmp_path / "prepared"

    return prepare


def examples(labels, start=0, kind="JPEG"):
    return [{"image": encoded(start + i, kind), "label": label} for i, label in enumerate(labels)]


def listed(name, tmp_path, **options):
    options = TfdsOptions(**options)
    return staged(lambda staging: stage_tfds(staging, str(name), options), tmp_path / "unpacked")


def refusal(name, tmp_path, **options):
    with pytest.raises(UserError) as caught:
        listed(name, tmp_path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files(tmp_path):
    root = tmp_path / "unpacked"
    return {path.relative_to(root).as_posix() for path in root.rglob("*.*")}


def taxa(listing):
    return {
        photo.path: (listing.taxonomy[photo.taxon_id].name, photo.split)
        for photo in listing.photos
        if not photo.left_out
    }


def test_a_folder_that_holds_no_data_set(tmp_path):
    assert "holds no dataset_info.json; --input names a data set" in refusal(tmp_path, tmp_path)
    assert "--taxonomy needs --taxa" in refusal("x", tmp_path, taxonomy=tmp_path / "tree.csv")


@pytest.mark.slow
@pytest.mark.parametrize("by_name", ["tiny", f"tiny:{VERSION}", None])
def test_a_prepared_set_is_unpacked_by_name_and_by_folder(prepare, tmp_path, by_name):
    data_dir = prepare({"train": examples([0, 1, 0]), "validation": examples([1], 90, "PNG")})
    folder = data_dir / "tiny" / VERSION
    name, options = (by_name, {"data_dir": data_dir}) if by_name else (folder, {})
    listing = listed(name, tmp_path, **options, license="CC0-1.0", attribution="us")
    assert taxa(listing) == {
        "train/red fox/000000.jpg": ("red fox", "train"),
        "train/Vulpes_zerda/000001.jpg": ("Vulpes/zerda", "train"),
        "train/red fox/000002.jpg": ("red fox", "train"),
        "validation/Vulpes_zerda/000000.png": ("Vulpes/zerda", "val"),
    }
    assert files(tmp_path) == set(taxa(listing))
    assert (tmp_path / "unpacked/train/red fox/000002.jpg").read_bytes() == encoded(2)
    assert {(photo.license, photo.attribution) for photo in listing.photos} == {("CC0-1.0", "us")}
    assert {taxon.rank for taxon in listing.taxonomy} == {"species"}
    assert listing.source.root == tmp_path / "unpacked"
    assert listing.tables == {"tiny/1.0.0: train": (3, 3, 0, 0),
                              "tiny/1.0.0: validation": (1, 1, 0, 0)}  # fmt: skip
    assert prepared_folder(str(name), options.get("data_dir")) == folder


@pytest.mark.slow
def test_one_split_is_none_and_classes_without_photographs_are_no_taxa(prepare, tmp_path):
    data_dir = prepare({"train": examples([0, 0])})
    listing = listed("tiny", tmp_path, data_dir=data_dir)
    assert [photo.split for photo in listing.photos] == [None, None]
    assert [taxon.name for taxon in listing.taxonomy] == ["red fox"]


@pytest.mark.slow
def test_examples_without_a_label_and_parts_of_other_splits_are_left_out(prepare, tmp_path):
    splits = {
        "mini": examples([1], 1) + examples([0], 70),
        "train": examples([0, 1, 1]),
        "test": examples([-1, 0], 40),
    }
    listing = listed("tiny", tmp_path, data_dir=prepare(splits))
    assert taxa(listing) == {
        "train/red fox/000000.jpg": ("red fox", "train"),
        "train/Vulpes_zerda/000001.jpg": ("Vulpes/zerda", "train"),
        "train/Vulpes_zerda/000002.jpg": ("Vulpes/zerda", "train"),
        "test/red fox/000001.jpg": ("red fox", "test"),
        "mini/red fox/000001.jpg": ("red fox", None),
    }
    assert {photo.path: photo.left_out for photo in listing.photos if photo.left_out} == {
        "test/unlabelled/000000.jpg": "no_taxon",
        "mini/Vulpes_zerda/000000.jpg": "duplicate",
    }
    assert files(tmp_path) == set(taxa(listing))
    assert listing.tables["tiny/1.0.0: mini"] == (2, 1, 0, 1)


@pytest.mark.slow
def test_photographs_in_no_format_are_rejected(prepare, tmp_path):
    bad = {"image": b"no photograph", "label": 0}
    listing = listed("tiny", tmp_path, data_dir=prepare({"train": [*examples([0]), bad]}))
    assert len(listing.photos) == 1
    assert [(reject.path, reject.reason) for reject in listing.rejects] == [
        ("train", "example 1: its photograph is in no format that is read")
    ]
    assert listing.tables == {"tiny/1.0.0: train": (2, 1, 1, 0)}


@pytest.mark.slow
def test_of_several_labels_the_supervised_one_is_the_class(prepare, tmp_path):
    import tensorflow_datasets as tfds

    features = classification(group=tfds.features.ClassLabel(names=["mammals"]))
    splits = {"train": [example | {"group": 0} for example in examples([1])]}
    listing = listed("tiny", tmp_path, data_dir=prepare(splits, features))
    assert taxa(listing) == {"train/Vulpes_zerda/000000.jpg": ("Vulpes/zerda", None)}
    prepare(splits, features, supervised=None, name="other")
    sentence = refusal("other", tmp_path, data_dir=tmp_path / "prepared")
    assert "one ClassLabel, and has group (ClassLabel), image (Image), label (Cla" in sentence


@pytest.mark.slow
def test_sets_of_something_else_name_their_features(prepare, tmp_path):
    import tensorflow_datasets as tfds

    features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
    data_dir = prepare({"train": [{"text": "a", "label": 0}]}, features, ("text", "label"))
    sentence = refusal("tiny", tmp_path, data_dir=data_dir)
    assert sentence.endswith(
        "one Image and one ClassLabel, and has label (ClassLabel), text (Text)"
    )


@pytest.mark.slow
def test_tables_give_the_taxa_by_the_names_of_labels(prepare, tmp_path):
    table = tmp_path / "taxa.csv"
    table.write_text("class,taxon_id,scientific_name,common_name\nred fox,42,Vulpes vulpes,Fox\n")
    data_dir = prepare({"train": examples([0])})
    assert refusal("tiny", tmp_path, data_dir=data_dir, taxa=table) == (
        f"{table} has no line for the class 'Vulpes/zerda'"
    )
    with table.open("a") as file:
        file.write("Vulpes/zerda,7,,\n")
    listing = listed("tiny", tmp_path, data_dir=data_dir, taxa=table)
    assert [(taxon.taxon_id, taxon.name) for taxon in listing.taxonomy] == [(42, "Vulpes vulpes")]
    assert listing.names == {"en": {42: "Fox"}}


@pytest.mark.slow
def test_what_is_not_prepared_is_not_downloaded(prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data_dir = prepare({"train": examples([0])})
    for name in ("tf_flowers", "tiny:2.0.0", "no_such_set"):
        sentence = refusal(name, tmp_path, data_dir=data_dir)
        assert sentence.startswith(f"the data set {name} is not prepared in {data_dir}")
        assert sentence.endswith(f"prepare it with: tfds build {name} --data_dir={data_dir}")
    assert refusal("../x", tmp_path, data_dir=data_dir).startswith("--input=../x names no data set")


@pytest.mark.slow
def test_damaged_sets_are_one_sentence(prepare, tmp_path):
    folder = prepare({"train": examples([0, 0, 1])}) / "tiny" / VERSION
    (shard, *_) = sorted(folder.glob("*.tfrecord-*"))
    shard.write_bytes(shard.read_bytes()[:-9])
    sentence = refusal(folder, tmp_path)
    assert sentence.startswith(f"{folder}: the split train cannot be read (")
    assert sentence.endswith("); prepare the data set again")
    shard.unlink()
    assert "prepare the data set again" in refusal(folder, tmp_path)
    (folder / "dataset_info.json").write_text("{")
    assert refusal(folder, tmp_path).startswith(f"{folder} cannot be opened (")


@pytest.mark.slow
def test_sets_in_random_access_formats(tmp_path):
    import tensorflow_datasets as tfds
    from etils import epath

    class Stored(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = epath.Path(tmp_path)

        def _info(self):
            features = tfds.features.FeaturesDict(classification())
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"everything": enumerate(examples([0, 1, -1]))}

        def _generate_examples(self):
            raise NotImplementedError

    builder = Stored(data_dir=tmp_path / "prepared", file_format="array_record")
    builder.download_and_prepare()
    listing = listed("stored", tmp_path, data_dir=tmp_path / "prepared")
    assert sorted(name for name, _ in taxa(listing).values()) == ["Vulpes/zerda", "red fox"]
    assert len(listing.photos) == 3
    assert {(tmp_path / "unpacked" / path).read_bytes() for path in files(tmp_path)} == {
        encoded(0), encoded(1),
    }  # fmt: skip
