"""TensorFlow Datasets: any set of image classification that is prepared; nothing is downloaded.

A catalog names files, so the photographs are unpacked, the encoded bytes as they are, to
`<split>/<class>/<number>.jpg`; those that are left out are not.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxonvision.catalog.class_taxa import ClassTaxa, taxa_of_paths, taxa_of_tables
from taxonvision.catalog.splits import split_named
from taxonvision.catalog.staging import ListedPhoto, Reject, Source, Staging
from taxonvision.chatter import without_chatter
from taxonvision.errors import UserError
from taxonvision.progress import track
from taxonvision.text import one_line, reason_of

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

_INFO = "dataset_info.json"
_UNLABELLED = "unlabelled"
_LONGEST_FOLDER_NAME = 60  # characters of up to 4 bytes; file systems allow 255 bytes
_SUFFIXES = (
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"\x89PNG"), ".png"),
    (re.compile(rb"GIF8"), ".gif"),
    (re.compile(rb"BM"), ".bmp"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
    (re.compile(rb"II\*\0|MM\0\*"), ".tif"),
)


@dataclass(frozen=True)
class TfdsOptions:
    """How a prepared data set is read.

    Attributes:
        data_dir: the folder of prepared data sets; None: TFDS's own.
        taxa: table `class`, `taxon_id`, `scientific_name` ...; a class is the name of a label. It
            must name every label.
        taxonomy: the tree as `taxonomy.csv`.
        license: licence of all photographs, for example CC0-1.0.
        attribution: line of credit of all photographs.
    """

    data_dir: Path | None = None
    taxa: Path | None = None
    taxonomy: Path | None = None
    license: str = ""
    attribution: str = ""


@dataclass(frozen=True)
class _Prepared:
    """An opened data set, and which of its features are the photograph and its class."""

    builder: DatasetBuilder
    image: str
    label: str
    names: list[str]
    splits: dict[str, str | None]
    """What each split is called here; None: its photographs are to be split."""


def stage_tfds(staging: Staging, name: str, options: TfdsOptions) -> Source:
    """Unpack the photographs of a prepared data set and list them.

    Args:
        staging: what is filled; the photographs are written to its folder for them.
        name: `NAME`, `NAME:VERSION` or `NAME/CONFIG:VERSION`, or the folder of a prepared set.
        options: how it is read.

    Every example is listed or rejected.

    Raises:
        UserError: the set is not prepared, damaged, or not one of image classification; a table
            cannot be used.
        ModuleNotFoundError: TensorFlow Datasets is not installed.
    """
    if options.taxonomy and not options.taxa:
        raise UserError("--taxonomy needs --taxa, the table of which class is which taxon")
    prepared = _open(prepared_folder(name, options.data_dir))
    class_paths = [(label,) for label in prepared.names]
    taxa = (
        taxa_of_tables(class_paths, options.taxa, options.taxonomy)
        if options.taxa
        else taxa_of_paths(class_paths, ())
    )
    unpacker = _Unpacker(prepared, taxa, options, staging.photographs)
    total = sum(prepared.builder.info.splits[split].num_examples for split in prepared.splits)
    staging.add_photos(track(unpacker.photos(), total, "unpacking"))
    unpacker.finish(staging)
    staging.add_names(taxa.names)
    return Source(staging.photographs)


def prepared_folder(name: str, data_dir: Path | None) -> Path:
    """The folder of a prepared data set, given by name or itself.

    Raises UserError where there is none.
    """
    if Path(name, _INFO).is_file():
        return Path(name)
    holds_none = f"{name} holds no {_INFO}; --input names a data set or its folder"
    if Path(name).is_dir() and os.sep in name:
        raise UserError(holds_none)
    tfds = _load_tfds()
    try:
        # unlike `tfds.builder` this asks no server what a set looks like that is not here
        builder = tfds.core.read_only_builder.builder_from_files(
            name, data_dir=None if data_dir is None else str(data_dir)
        )
    except tfds.core.DatasetNotFoundError:
        if Path(name).is_dir():
            raise UserError(holds_none) from None
        where = data_dir or tfds.core.constants.DATA_DIR
        raise UserError(
            f"the data set {name} is not prepared in {where}; name another with --data_dir, or "
            f"prepare it with: tfds build {name} --data_dir={where}"
        ) from None
    except Exception as error:  # of many kinds
        raise UserError(f"--input={name} names no data set: {reason_of(error, 200)}") from None
    return Path(builder.data_path)


def _load_tfds() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_chatter():
        import tensorflow_datasets

    return tensorflow_datasets


def _open(folder: Path) -> _Prepared:
    tfds = _load_tfds()
    try:
        builder = tfds.builder_from_directory(str(folder))
    except Exception as error:  # of many kinds, for its tables may be damaged in many ways
        raise UserError(f"{folder} cannot be opened ({reason_of(error, 200)})") from None
    features = dict(sorted(builder.info.features.items()))
    images = [key for key, f in features.items() if type(f) is tfds.features.Image]
    labels = [key for key, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    keys = builder.info.supervised_keys
    if isinstance(keys, tuple) and len(keys) == 2 and keys[0] in images and keys[1] in labels:
        images, labels = [keys[0]], [keys[1]]
    if len(images) != 1 or len(labels) != 1:
        found = ", ".join(f"{key} ({type(f).__name__})" for key, f in features.items())
        raise UserError(
            f"{folder} is no set of image classification: it must have one Image and one "
            f"ClassLabel, and has {one_line(found)[:300]}"
        )
    names = [one_line(name) or "unnamed" for name in features[labels[0]].names]
    splits = [name for name, split in builder.info.splits.items() if split.num_examples]
    if not splits:
        raise UserError(f"{folder} holds no examples; prepare it again")
    named = {name: split_named(name) if len(splits) > 1 else None for name in splits}
    return _Prepared(builder, images[0], labels[0], names, named)


class _Unpacker:
    """Writes the photographs, lists them and keeps what it cannot list."""

    def __init__(
        self, prepared: _Prepared, taxa: ClassTaxa, options: TfdsOptions, folder: Path
    ) -> None:
        self._prepared = prepared
        self._taxa = taxa
        self._options = options
        self._folder = folder
        self._used: set[int] = set()
        self._rejects: list[Reject] = []
        self._read: list[tuple[str, int, int, int]] = []
        self._contents: set[bytes] = set()

    def photos(self) -> Iterator[ListedPhoto]:
        """The photographs, those of train, val and test before those of other splits."""
        given = self._prepared.splits
        ordered = sorted(given, key=lambda split: given[split] is None)
        repeats = any(given.values()) and not all(given.values())
        for split in ordered:
            yield from self._of_split(split, repeats)

    def finish(self, staging: Staging) -> None:
        """Hand over the taxa that have photographs, and the examples that were not listed."""
        staging.add_taxonomy(self._taxa.taxonomy.closure(sorted(self._used)))
        staging.add_rejects(self._rejects)
        for name, rows, faulty, duplicates in self._read:
            used = rows - faulty - duplicates
            staging.add_table_read(name, rows, used=used, faulty=faulty, duplicates=duplicates)

    def _of_split(self, split: str, repeats: bool) -> Iterator[ListedPhoto]:
        """The photographs of a split.

        Where some splits are train, val or test and others are not (`mini`, a part of train), a
        photograph of the others that is in one of the former is a duplicate.
        """
        rows = faulty = duplicates = 0
        as_given = self._prepared.splits[split]
        for number, (data, label) in enumerate(_examples(self._prepared, split)):
            rows += 1
            photo = self._photo(split, number, data, label)
            if isinstance(photo, Reject):
                self._rejects.append(photo)
                faulty += 1
                continue
            if repeats:
                content = hashlib.blake2b(data, digest_size=16).digest()
                if as_given:
                    self._contents.add(content)
                elif content in self._contents:
                    duplicates += 1
                    photo = replace(photo, left_out="duplicate")
            if not photo.left_out:
                assert photo.path is not None
                file = self._folder / photo.path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            yield photo
        name = f"{self._prepared.builder.info.full_name}: {split}"
        self._read.append((name, rows, faulty, duplicates))

    def _photo(self, split: str, number: int, data: bytes, label: int) -> ListedPhoto | Reject:
        names = self._prepared.names
        if not -1 <= label < len(names):
            return Reject(split, f"example {number}: the label {label} has no name")
        suffix = next((suffix for magic, suffix in _SUFFIXES if magic.match(data)), None)
        if suffix is None:
            return Reject(split, f"example {number}: its photograph is in no format that is read")
        folder = _UNLABELLED
        taxon_id = None
        if label >= 0:
            folder = _folder_name(names[label])
            taxon_id = self._taxa.taxon_ids[names[label],]
            self._used.add(taxon_id)
        path = f"{split}/{folder}/{number:06}{suffix}"
        return ListedPhoto(
            photo_id=path,
            path=path,
            taxon_id=taxon_id,
            split=self._prepared.splits[split],
            license=self._options.license or None,
            attribution=self._options.attribution or None,
            left_out=None if label >= 0 else "no_taxon",
        )


def _examples(prepared: _Prepared, split: str) -> Iterator[tuple[bytes, int]]:
    """The encoded photographs and labels of a split, in the order in which they are stored."""
    tfds = _load_tfds()
    builder, image, label = prepared.builder, prepared.image, prepared.label
    skip = {image: tfds.decode.SkipDecoding()}
    try:
        with without_chatter():
            if builder.info.file_format in tfds.core.FileFormat.with_random_access():
                examples = iter(builder.as_data_source(split=split, decoders=skip))
            else:
                wanted = tfds.decode.PartialDecoding({image: True, label: True}, decoders=skip)
                config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
                dataset = builder.as_dataset(split=split, decoders=wanted, read_config=config)
                examples = iter(tfds.as_numpy(dataset))
    except Exception as error:  # of many kinds: TensorFlow's own and those of other file formats
        raise _damaged(prepared, split, error) from None
    while True:
        try:
            example = next(examples)
        except StopIteration:
            return
        except Exception as error:
            raise _damaged(prepared, split, error) from None
        yield bytes(example[image]), int(example[label])


def _damaged(prepared: _Prepared, split: str, error: Exception) -> UserError:
    reason = reason_of(error, 200)
    return UserError(
        f"{prepared.builder.data_path}: the split {split} cannot be read ({reason}); "
        "prepare the data set again"
    )


def _folder_name(label: str) -> str:
    """The name of a label as a folder may have it."""
    return re.sub(r"[^\w() .-]+", "_", label)[:_LONGEST_FOLDER_NAME].strip(". ") or "_"
