"""Bundles damaged by accident and on purpose, made by a seed from a sound one.

`damaged` gives those in which something must be found; `flipped_models` those that may be as good
as before.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Files = dict[str, bytes]
SUMS = "SHA256SUMS"
_RETYPED = {str: 17, int: "17", float: "0.5", bool: "true", list: {}, dict: [], type(None): "none"}


@dataclass(frozen=True)
class Damaged:
    """What was done, and a function that writes it into an empty folder and tells the place."""

    what: str
    write: Callable[[Path], Path]


def read_files(folder: Path) -> Files:
    """The files of a bundle by name, without SHA256SUMS; its bundle.json with all of version 2."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != SUMS
    }
    manifest = json.loads(files["bundle.json"])
    added = dict.fromkeys(("calibration", "unknown", "validation", "region"))
    manifest = {**added, "profile": "taxonvision", "head": {"rank": None}, **manifest}
    manifest["output"].setdefault("unknown_logit", None)
    return files | {"bundle.json": as_json(manifest)}


def as_json(manifest) -> bytes:
    return json.dumps(manifest).encode()


def edited(files: Files, change: Callable[[dict], object]) -> Files:
    """With a change of bundle.json."""
    manifest = json.loads(files["bundle.json"])
    change(manifest)
    return files | {"bundle.json": as_json(manifest)}


def with_model(files: Files, content: bytes) -> Files:
    """With another model, of which bundle.json knows the size."""
    changed = edited(files, lambda manifest: manifest["model"].update(bytes=len(content)))
    return changed | {"model.tflite": content}


def with_thresholds(files: Files, *rows: str) -> Files:
    """With a table of thresholds by taxon, which bundle.json names."""
    changed = edited(files, lambda m: m["thresholds"].update(by_taxon="thresholds.csv"))
    return changed | {"thresholds.csv": "\n".join(["taxon_id,threshold", *rows, ""]).encode()}


def sealed(files: Files) -> Files:
    """With the checksums of these files, as somebody writes them who damages on purpose."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return files | {SUMS: "".join(lines).encode()}


def as_folder(files: Files, at: Path) -> Path:
    for name, content in files.items():
        (at / "bundle" / name).parent.mkdir(parents=True, exist_ok=True)
        (at / "bundle" / name).write_bytes(content)
    return at / "bundle"


def as_zip(files: Files, at: Path, *more: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(at / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*files.items(), *more]:
            archive.writestr(name, content)
    return at / "bundle.zip"


def damaged(files: Files, seed: int) -> Iterator[Damaged]:
    """Each must be refused or reported."""
    rng = random.Random(seed)
    for what, changed in (
        *_flips(files, rng),
        *_cuts(files, rng),
        *_swaps(files, rng),
        *_fields(files, rng),
        *_odd_texts(files),
        *_trees(files),
        *_thresholds(files),
        *_missing_and_more(files),
    ):
        write = as_zip if rng.random() < 0.25 else as_folder
        yield Damaged(what, lambda at, write=write, changed=changed: write(changed, at))
    yield from _folders(files)
    yield from _zips(files, rng)


def flipped_models(files: Files, seed: int, number: int) -> Iterator[Damaged]:
    """Bytes flipped in model.tflite, its checksum corrected: weights may be as good as before."""
    rng = random.Random(seed)
    for _ in range(number):
        content = _flipped(files["model.tflite"], rng, rng.choice([1, 1, 3, 10]))
        changed = sealed(files | {"model.tflite": content})
        yield Damaged("flipped model", lambda at, changed=changed: as_folder(changed, at))


def _flipped(content: bytes, rng: random.Random, times: int) -> bytes:
    changed = bytearray(content)
    for place in rng.sample(range(len(content)), times):
        changed[place] ^= rng.randrange(1, 256)
    return bytes(changed)


def _flips(files: Files, rng: random.Random) -> Iterator[tuple[str, Files]]:
    whole = sealed(files)
    for number in range(50):
        name = rng.choice(sorted(whole)) if number else SUMS
        yield f"flip in {name}", whole | {name: _flipped(whole[name], rng, rng.choice([1, 4]))}


def _cuts(files: Files, rng: random.Random) -> Iterator[tuple[str, Files]]:
    whole = sealed(files)
    for name in sorted(whole):
        cut = whole[name][: rng.randrange(len(whole[name]))]
        yield f"cut {name}", whole | {name: cut}
    for name in ("bundle.json", "taxonomy.csv", "labels.txt", "names/en.json", "golden/1.png"):
        yield f"cut {name}, sealed", sealed(files | {name: files[name][: len(files[name]) // 2]})
    for share in (0, 0.01, 0.3, 0.9):
        cut = files["model.tflite"][: int(share * len(files["model.tflite"]))]
        yield f"model cut at {share}, sealed", sealed(with_model(files, cut))


def _swaps(files: Files, rng: random.Random) -> Iterator[tuple[str, Files]]:
    whole = sealed(files)
    for _ in range(15):
        one, other = rng.sample(sorted(whole), 2)
        yield f"swap {one}, {other}", whole | {one: whole[other], other: whole[one]}
    for one, other in (
        ("model.tflite", "taxonomy.csv"),
        ("taxonomy.csv", "labels.txt"),
        ("labels.txt", "MODEL_CARD.md"),
        ("bundle.json", "names/en.json"),
        ("labels.txt", "names/en.json"),
        ("golden/1.png", "golden/1_exif1.jpg"),
        ("golden/2.png", "labels.txt"),
    ):
        yield f"swap {one}, {other}, sealed", sealed(files | {one: files[other], other: files[one]})


def _fields(files: Files, rng: random.Random) -> Iterator[tuple[str, Files]]:
    manifest = json.loads(files["bundle.json"])
    places = [place for place in _places(manifest) if isinstance(place[-1], str)]
    top = [place for place in places if len(place) == 1]
    deeper = [place for place in places if len(place) > 1]
    for place in [*top, *rng.sample(deeper, 25)]:
        yield f"without {place}", sealed(edited(files, lambda m, p=place: _at(m, p).pop(p[-1])))
    for place in [*rng.sample(top, 10), *rng.sample(deeper, 25)]:
        other = _RETYPED[type(_at(manifest, place)[place[-1]])]
        change = lambda m, p=place, other=other: _at(m, p).update({p[-1]: other})  # noqa: E731
        yield f"{place} = {other!r}", sealed(edited(files, change))


def _places(value, above=()) -> Iterator[tuple[str | int, ...]]:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield (*above, key)
        yield from _places(value[key], (*above, key))


def _at(value, place):
    for key in place[:-1]:
        value = value[key]
    return value


def _odd_texts(files: Files) -> Iterator[tuple[str, Files]]:
    for name in ("bundle.json", "names/en.json"):
        for what, text in (
            ("deep", b"[" * 100_000 + b"]" * 100_000),
            ("deep object", b'{"3":' * 100_000 + b"1" + b"}" * 100_000),
            ("twins", b'{"3": "a", "3": "b"}'),
            ("no number", b'{"3": NaN}'),
            ("no UTF-8", b'{"3": "\xff"}'),
            ("escape", b'{"3": "\\u001b[2J"}'),
            ("stranger", b'{"99": "nobody"}'),
        ):
            yield f"{what} {name}", sealed(files | {name: text})
    yield "large bundle.json", sealed(files | {"bundle.json": b"[" + b"[],\n" * 2**19 + b"[]]"})
    yield (
        "nested in a field",
        sealed(edited(files, lambda m: m.update(name=json.loads("[" * 400 + "]" * 400)))),
    )
    yield "newer", sealed(edited(files, lambda m: m.update(schema_version=3)))


def _trees(files: Files) -> Iterator[tuple[str, Files]]:
    header, *rows = files["taxonomy.csv"].decode().splitlines()
    columns = header.split(",")
    for number, row in enumerate([header, *rows]):
        kept = [line for line in (header, *rows) if line != row]
        yield f"taxonomy.csv without row {number}", _tree(files, kept)
    parent, leaf = (next(row for row in rows if (row[0] == ",") is root) for root in (True, False))

    def other(row: str, **cells: str) -> list[str]:
        values = dict(zip(columns, row.split(","), strict=True)) | cells
        return [header, *(",".join(values.values()) if r == row else r for r in rows)]

    ids = dict(zip(columns, leaf.split(","), strict=True))
    for what, lines in (
        ("its own ancestor", other(parent, parent_taxon_id=ids["taxon_id"])),
        ("twins", [header, *rows, leaf]),
        ("a parent that is not there", other(leaf, parent_taxon_id="12345")),
        ("a level above its parent's", other(leaf, rank_level="50")),
        ("an escape in a name", other(leaf, name="\x1b[31mred")),
        ("another name", other(leaf, name="somebody else")),
        ("no output", other(leaf, leaf_class_id="")),
        ("a gap in the outputs", other(leaf, leaf_class_id="77")),
        ("a negative output", other(leaf, leaf_class_id="-1")),
        ("nothing below an inner taxon", [header, *rows, ",900,20,genus,,Empty"]),
        ("an endless cell", [header, *rows, "1,901,10,species,," + "x" * 200_000]),
    ):
        yield f"taxonomy.csv with {what}", _tree(files, lines)
    for what, labels in (
        ("a line more", files["labels.txt"] + b"one more\n"),
        ("a line less", files["labels.txt"].split(b"\n", 1)[1]),
        ("lines turned round", b"\n".join(files["labels.txt"].split(b"\n")[-2::-1]) + b"\n"),
    ):
        yield f"labels.txt with {what}", sealed(files | {"labels.txt": labels})


def _tree(files: Files, lines: list[str]) -> Files:
    return sealed(files | {"taxonomy.csv": ("\n".join(lines) + "\n").encode()})


def _thresholds(files: Files) -> Iterator[tuple[str, Files]]:
    for what, rows in (
        ("a taxon that is not there", ["3,0.5", "12345,0.5"]),
        ("twins", ["3,0.5", "3,0.5"]),
        ("no number", ["3,NaN"]),
        ("a threshold above 1", ["3,1.5"]),
        ("a cell more", ["3,0.5,0.5"]),
        ("an escape", ["3,0.5\x1b[2J"]),
        ("an endless cell", ["3,0." + "5" * 200_000]),
        ("an id in other digits", ["\u0663,0.5"]),
    ):
        yield f"thresholds.csv with {what}", sealed(with_thresholds(files, *rows))
    whole = with_thresholds(files, "3,0.5")
    yield "thresholds.csv for labels.txt", sealed(whole | {"thresholds.csv": files["labels.txt"]})
    yield "thresholds.csv flipped", sealed(whole) | {"thresholds.csv": b"taxon_id,threshold\n3,0\n"}
    yield "thresholds.csv unnamed", sealed(files | {"thresholds.csv": whole["thresholds.csv"]})
    absent = {name: content for name, content in whole.items() if name != "thresholds.csv"}
    yield "thresholds.csv missing", sealed(absent)
    other = edited(whole, lambda m: m["thresholds"].update(by_taxon="../thresholds.csv"))
    yield "thresholds.csv elsewhere", sealed(other)


def _missing_and_more(files: Files) -> Iterator[tuple[str, Files]]:
    for name in (*sorted(files), SUMS):
        yield f"without {name}", {n: c for n, c in sealed(files).items() if n != name}
    for name in ("model.tflite", "labels.txt", "MODEL_CARD.md", "names/en.json", "golden/1.png"):
        kept = {n: c for n, c in files.items() if n != name}
        yield f"without {name}, sealed", sealed(kept)
    yield "a file more", sealed(files) | {"more.txt": b"?"}
    yield "a photograph more", sealed(files | {"golden/of_somebody.jpg": b"?"})
    yield "a language more", sealed(files | {"names/fr.json": b"{}"})
    for line in ("../outside", "/etc/passwd", "a\\..\\b", "C:x", "labels.txt", "a\x1b[2J", ""):
        more = f"{'0' * 64}  {line}\n".encode()
        yield f"checksum of {line!r}", (whole := sealed(files)) | {SUMS: whole[SUMS] + more}
    for what, change in (
        ("no licence", {"license": "all rights reserved"}),
        ("no attribution", {"license": "CC-BY", "attribution": " "}),
    ):
        yield what, sealed(edited(files, lambda m, c=change: m["golden"][0].update(c)))


def _folders(files: Files) -> Iterator[Damaged]:
    def link_to_file(at: Path) -> Path:
        place = as_folder(sealed(files), at)
        (place / "labels.txt").rename(at / "elsewhere")
        (place / "labels.txt").symlink_to(at / "elsewhere")
        return place

    def link_to_folder(at: Path) -> Path:
        place = as_folder(sealed(files), at)
        (place / "golden").rename(at / "elsewhere")
        (place / "golden").symlink_to(at / "elsewhere")
        return place

    def pipe(at: Path) -> Path:
        place = as_folder(sealed(files), at)
        (place / "labels.txt").unlink()
        os.mkfifo(place / "labels.txt")
        return place

    def only_a_pipe(at: Path) -> Path:
        os.mkfifo(at / "bundle")
        return at / "bundle"

    def empty(at: Path) -> Path:
        (at / "bundle").mkdir()
        return at / "bundle"

    yield Damaged("link to a file", link_to_file)
    yield Damaged("link to a folder", link_to_folder)
    yield Damaged("a pipe in it", pipe)
    yield Damaged("a pipe", only_a_pipe)
    yield Damaged("an empty folder", empty)
    yield Damaged("nothing", lambda at: at / "bundle")


def _zips(files: Files, rng: random.Random) -> Iterator[Damaged]:
    whole = sealed(files)
    for name in ("../outside", "/outside", "a/../../outside", "a\\..\\b", "C:\\x", "a\0b", "./a",
                 "labels.txt", "LABELS.TXT", "golden", "x\x1b[2J"):  # fmt: skip
        yield Damaged(
            f"zip with {name!r}", lambda at, name=name: as_zip(whole, at, (_entry(name), b"x"))
        )
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        entry = _entry("more")
        entry.external_attr = (kind | 0o777) << 16
        yield Damaged(f"zip of type {kind:o}", lambda at, e=entry: as_zip(whole, at, (e, b"/etc")))
    yield Damaged("zip bomb", lambda at: as_zip(whole, at, ("bomb", bytes(2**26))))
    many = [(f"a/{n}", b"") for n in range(3000)]
    yield Damaged("zip of many files", lambda at: as_zip(whole, at, *many))
    long = [(f"{n}{'x' * 2000}", b"") for n in range(1500)]
    yield Damaged("zip of long names", lambda at: as_zip(whole, at, *long))
    yield Damaged("empty zip", lambda at: as_zip({}, at))
    yield Damaged("folder in a zip", lambda at: as_zip({f"b/{n}": c for n, c in whole.items()}, at))
    for what, change in (
        ("encrypted", lambda data: _patched(data, 8, "<H", 1)),
        ("packed by bzip2", lambda data: _patched(data, 10, "<H", zipfile.ZIP_BZIP2)),
        ("said to be of 4 GB", lambda data: _patched(data, 24, "<I", 2**32 - 2)),
        ("said to be of 2 bytes", lambda data: _patched(data, 24, "<I", 2)),
        ("of no table", lambda data: data[:-22]),
        ("of zeros", lambda data: bytes(len(data))),
    ):
        yield Damaged(
            f"zip {what}", lambda at, change=change: _rewritten(as_zip(whole, at), change)
        )
    for _ in range(5):
        share = rng.random() * 0.98
        cut = lambda data, share=share: data[: int(share * len(data))]  # noqa: E731
        yield Damaged(f"zip cut at {share:.2f}", lambda at, c=cut: _rewritten(as_zip(whole, at), c))
    for _ in range(10):
        place = rng.random()
        flip = lambda data, place=place: _flipped_inside(data, place)  # noqa: E731
        yield Damaged("zip with a flip", lambda at, f=flip: _rewritten(as_zip(whole, at), f))


def _entry(name: str) -> zipfile.ZipInfo:
    """Named exactly so; ZipInfo itself mends names."""
    entry = zipfile.ZipInfo("x")
    entry.filename = name
    return entry


def _rewritten(place: Path, change: Callable[[bytes], bytes]) -> Path:
    place.write_bytes(change(place.read_bytes()))
    return place


def _patched(data: bytes, offset: int, form: str, value: int) -> bytes:
    """A field of the first entry in a zip's table of contents."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def _flipped_inside(data: bytes, place: float) -> bytes:
    """In the packed bytes of a file, not in a date that nobody reads."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    entry = entries[int(place * len(entries))]
    start = entry.header_offset + 30 + len(entry.filename)
    at = start + int(entry.compress_size * 0.5)
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
