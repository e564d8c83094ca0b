"""The images of COCO files as listed photographs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from taxonvision.catalog.class_taxa import ClassTaxa
from taxonvision.catalog.rules import license_name
from taxonvision.catalog.sources.circumstances import date_in, degrees_in, iso_date
from taxonvision.catalog.sources.coco_json import CocoFile, Entry, Id, id_in, text_in
from taxonvision.catalog.sources.coco_labels import CocoLabels
from taxonvision.catalog.staging import ListedPhoto, Reject, Staging
from taxonvision.progress import say

_LARGEST_INTEGER = 2**31 - 1
_DATE_KEYS = ("date", "datetime", "date_captured")
_EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d)\b")
_NO_DATE = re.compile(r"none|null|nan|0000.*", re.I)


class _RefusedError(Exception):
    """The image cannot be listed; the message says why."""


class ImageLister:
    """Lists the images of several files and keeps what it cannot list."""

    def __init__(self, taxa: ClassTaxa, license: str, attribution: str) -> None:
        self._taxa = taxa
        self._license = license
        self._attribution = attribution
        self._listed: dict[str, tuple[int | None, str | None]] = {}
        self._rejects: list[Reject] = []
        self._unread_dates: list[str] = []
        self._read: list[tuple[str, int, int, int]] = []

    def photos(self, file: CocoFile, labels: CocoLabels) -> Iterator[ListedPhoto]:
        """The photographs of a file in its order; `file.images` is used up."""
        rows = len(file.images)
        faulty = duplicates = 0
        seen: set[Id] = set()
        file.images.reverse()
        for place in range(rows):
            image = file.images.pop()  # so that its memory is free again
            try:
                photo = self._photo(image, file, labels, seen)
            except _RefusedError as refused:
                image_id = id_in(image, "id", "image_id")
                where = f"images[{place}]" if image_id is None else f"image {image_id!r}"
                path = text_in(image.get("file_name")) if isinstance(image, dict) else None
                reason = f"{file.path.name}, {where[:80]}: {refused}"
                self._rejects.append(Reject(path or file.path.name, reason))
                faulty += 1
                continue
            faulty += bool(photo.fault)
            duplicates += photo.left_out == "duplicate"
            yield photo
        self._read.append((f"{file.path.name}: images", rows, faulty, duplicates))

    def finish(self, staging: Staging) -> None:
        """Hand over what became of the images, and those that could not be listed."""
        for name, rows, faulty, duplicates in self._read:
            used = rows - faulty - duplicates
            staging.add_table_read(name, rows, used=used, faulty=faulty, duplicates=duplicates)
        staging.add_rejects(self._rejects)
        if self._unread_dates:
            say(
                f"the dates of {len(self._unread_dates)} images are in no form that is read and "
                f"left blank, the first is {self._unread_dates[0][:60]!r}; write 2024-05-31"
            )

    def _photo(
        self, image: Entry, file: CocoFile, labels: CocoLabels, seen: set[Id]
    ) -> ListedPhoto:
        image_id = id_in(image, "id", "image_id")
        if image_id is None:
            raise _RefusedError("no id that is a number or text")
        if image_id in seen:
            raise _RefusedError("its id is listed before")
        seen.add(image_id)
        if image_id in labels.faults:
            raise _RefusedError(labels.faults[image_id])
        path, leads_out = _path_of(image)
        classes = labels.classes.get(image_id, ())
        taxon_ids = {self._taxa.taxon_ids[names] for names in classes}
        if len(taxon_ids) > 1:
            names = ", ".join(sorted(names[-1] for names in classes))
            raise _RefusedError(f"several taxa on one photograph: {names[:200]}")
        taxon_id = next(iter(taxon_ids), None)
        said = (taxon_id, file.split)
        if path in self._listed:
            if self._listed[path] != said:
                raise _RefusedError("its file is listed before, with another taxon or split")
            return ListedPhoto(path, path, taxon_id, file.split, left_out="duplicate")
        self._listed[path] = said
        fault = leads_out or ("marked as corrupt" if image.get("corrupt") is True else None)
        latitude = longitude = observed_on = None
        try:
            latitude = degrees_in(_number(image.get("latitude")), "latitude")
            longitude = degrees_in(_number(image.get("longitude")), "longitude")
            observed_on = self._date_of(image)
        except ValueError as error:
            fault = fault or str(error)
        return ListedPhoto(
            photo_id=path,
            path=path,
            taxon_id=taxon_id,
            split=file.split,
            license=_license_of(image, file) or self._license or None,
            attribution=text_in(image.get("rights_holder")) or self._attribution or None,
            fault=fault and f"{file.path.name}, {f'image {image_id!r}'[:80]}: {fault}",
            url=_url_of(image),
            observation_id=text_in(image.get("seq_id")),
            position=_integer(image.get("frame_num"), 0),
            site=text_in(image.get("location")),
            latitude=latitude,
            longitude=longitude,
            observed_on=observed_on,
            width=_integer(image.get("width"), 1),
            height=_integer(image.get("height"), 1),
            left_out=None if taxon_id is not None else "no_taxon",
        )

    def _date_of(self, image: Entry) -> str | None:
        """The date of an image; camera traps write it in many ways, and some cannot be read."""
        for key in _DATE_KEYS:
            text = text_in(image.get(key))
            if text and not _NO_DATE.fullmatch(text):
                day = iso_date(text) or iso_date(_EXIF_DATE.sub(r"\1-\2-\3", text, count=1))
                if day is not None:
                    return date_in(day.isoformat(), key)
                self._unread_dates.append(text)
                return None
        return None


def _path_of(image: Entry) -> tuple[str, str | None]:
    """The path of an image with forward slashes, and why it must not be opened.

    Raises _RefusedError where there is none.
    """
    name = image.get("file_name")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise _RefusedError("no file_name")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise _RefusedError("its file_name is not UTF-8") from None
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or parts[0].endswith(":") or ".." in parts:
        return name, "its file_name leads out of the folder of the photographs"
    return "/".join(part for part in parts if part not in ("", ".")) or name, None


def _license_of(image: Entry, file: CocoFile) -> str | None:
    """The licence of an image; an id that the file does not explain stays a number."""
    license_id = id_in(image, "license")
    if license_id is None:
        return None
    return file.licenses.get(license_id) or license_name(text_in(license_id) or "") or None


def _url_of(image: Entry) -> str | None:
    for key in ("url", "coco_url", "flickr_url"):
        url = text_in(image.get(key))
        if url and url.startswith("http"):
            return url
    return None


def _number(value: object) -> float | str | None:
    """What may be a number; NaN stands for none, as the competitions write it."""
    if isinstance(value, str):
        return value.strip()
    if value is None or value != value:
        return None
    return value if isinstance(value, int | float) else str(value)


def _integer(value: object, least: int) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and least <= value <= _LARGEST_INTEGER else None  # type: ignore[return-value,operator]
