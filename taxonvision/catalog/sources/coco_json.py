"""The JSON files of COCO's annotation format, read and checked as far as all must hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonvision.catalog.rules import license_name
from taxonvision.catalog.splits import split_named
from taxonvision.errors import UserError
from taxonvision.text import one_line

Id = int | str
_ID = (int, str)
Entry = Mapping[str, Any]

# train2017, val_2018, train_mini, public_test, instances_val2017, train_2017_bboxes
_NAME = re.compile(r"(?:public_|instances_)?([a-z]+?)[_-]?(?:\d{4})?(?:_mini|_bboxes)?\.json", re.I)
_COMPRESSED = (b"\x1f\x8b", b"PK")


@dataclass(frozen=True)
class CocoFile:
    """One file; `images` and `annotations` are as they stand there, not yet checked.

    Attributes:
        path: the file.
        split: which split its images are; None: not said.
        images: what should be objects with an id and a file name.
        annotations: what should be objects with an image's and a category's id.
        categories: the categories by id; `name` is text, `common_name` text or None.
        licenses: short names of licences by id.
    """

    path: Path
    split: str | None
    images: list[Any]
    annotations: list[Any]
    categories: Mapping[Id, Entry]
    licenses: Mapping[Id, str]


def coco_files(path: Path) -> list[tuple[Path, str | None]]:
    """The JSON files that `path`, a file or a folder, stands for, and the split of each.

    In a folder the names tell the splits, as train2017.json and val2017.json do. One file alone
    gives no split: its photographs are to be split.

    Raises UserError where there is no file, or it is not clear which are meant.
    """
    if path.is_file():
        return [(path, None)]
    if not path.is_dir():
        raise UserError(f"{path} does not exist; --input names a JSON file or its folder")
    by_split: dict[str, Path] = {}
    tables = sorted(path.glob("*.json"))
    for file in tables:
        match = _NAME.fullmatch(file.name)
        split = split_named(match[1]) if match else None
        if split in by_split:
            raise UserError(
                f"{path} holds two files for {split}, {by_split[split].name} and {file.name}; "
                "keep one of them there, or give --input one file"
            )
        if split:
            by_split[split] = file
    if len(by_split) > 1:
        return [(file, split) for split, file in by_split.items()]
    if len(tables) == 1:
        return [(tables[0], None)]
    found = f"; it holds {', '.join(file.name for file in tables[:5])}" if tables else ""
    raise UserError(
        f"{path} holds no JSON files named by their splits, as train.json and val.json{found}; "
        "give --input one file"
    )


def read_coco(path: Path, split: str | None) -> CocoFile:
    """Read one file.

    Raises UserError for a file that is no JSON or lacks its images, and for categories without an
    id or a name, or with one id twice.
    """
    content = _load(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is no COCO file: it must be one object with images")
    images = _list_in(content, "images", path)
    if images is None:
        keys = one_line(", ".join(map(str, content)))[:200]
        raise UserError(f"{path} is no COCO file: it has no images; it has: {keys}")
    annotations = _list_in(content, "annotations", path) or []
    categories = _list_in(content, "categories", path)
    if annotations and categories is None:
        raise UserError(f"{path} has annotations and no categories, which say what they mean")
    licenses = content.get("licenses", content.get("license"))
    return CocoFile(
        path, split, images, annotations, _categories(categories or [], path), _licenses(licenses)
    )


def text_in(value: object) -> str | None:
    """The text of a value on one line, fit for any table; None for what is no text or number."""
    if isinstance(value, str):
        if value.isprintable():  # nearly all are, and millions come through here
            return " ".join(value.split()) or None
        return one_line(value.encode("utf-8", "replace").decode("utf-8")) or None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return str(value)


def id_in(entry: object, *keys: str) -> Id | None:
    """The id under the first of the `keys` that an entry has; None where it has none."""
    if isinstance(entry, dict):
        for key in keys:
            value = entry.get(key)
            if isinstance(value, _ID) and value is not True and value is not False:
                return value
    return None


def _load(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if content.startswith(_COMPRESSED):
        raise UserError(f"{path} is compressed; unpack it and give --input the JSON file")
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{path}, {where}: no valid JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} cannot be read: too deep, or a number too long") from None


def _list_in(content: Entry, key: str, path: Path) -> list[Any] | None:
    value = content.get(key)
    if value is not None and not isinstance(value, list):
        raise UserError(f"{path}: {key} must be a list, not {type(value).__name__}")
    return value


def _categories(entries: list[Any], path: Path) -> dict[Id, Entry]:
    categories: dict[Id, Entry] = {}
    for place, entry in enumerate(entries):
        category_id = id_in(entry, "id", "category_id")
        if category_id is None:
            raise UserError(f"{path}: categories[{place}] has no id that is a number or text")
        name = text_in(entry.get("name", entry.get("scientificName")))
        if name is None:
            raise UserError(f"{path}: the category {category_id!r} has no name")
        if category_id in categories:
            raise UserError(f"{path}: the category {category_id!r} is listed twice")
        common_name = text_in(entry.get("common_name"))
        categories[category_id] = {**entry, "name": name, "common_name": common_name}
    return categories


def _licenses(entries: object) -> dict[Id, str]:
    """Licences by id: the address says more clearly which one it is than the name."""
    licenses = {}
    for entry in entries if isinstance(entries, list) else []:
        license_id = id_in(entry, "id", "license")
        if license_id is not None:
            name, url = text_in(entry.get("name")), text_in(entry.get("url"))
            text = url if url and license_name(url) != url else name or url
            if text:
                licenses[license_id] = license_name(text)
    return licenses
