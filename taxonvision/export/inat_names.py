"""`commonNames.tar.gz`, the common names as the Seek app has them: written and checked.

Source: inaturalist/SeekReactNative (utility/commonNamesHelpers.ts, languageHelpers.ts and
commonNamesIndex.example) and the tool that makes its files, inaturalist/inaturalist
(tools/seek_common_names.rb): a folder `commonNames` of scripts, each exporting a list of
`{i: taxon id, l: locale, n: name}`. `index.js`, which Seek imports, lists them.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from taxonvision.taxonomy.names import Names

_FOLDER = "commonNames/"
_INDEX = "index.js"
_HEAD, _TAIL = "const commonNames = ", ";\n\nexport default commonNames;\n"
_NAMES_PER_FILE = 10_000
_LOCALES_WITH_A_REGION = {code.lower(): code for code in ("pt-BR", "es-MX", "zh-CN", "zh-TW")}
_LOCALE = re.compile("[a-z][a-z0-9]*|ptBR|esMX|zhCN|zhTW")
_MAX_BYTES = 2**28  # a million names stay below


def packed_names(taxa: Mapping[int, int], names: Names) -> bytes:
    """The archive; equal names give equal bytes.

    Args:
        taxa: each taxon id of the tree, and the taxon whose names it bears.
        names: common names by language and taxon.
    """
    records = _records(taxa, names)
    starts = range(0, max(len(records), 1), _NAMES_PER_FILE)  # Seek wants one file at least
    scripts = {
        _script(number): f"{_HEAD}{_json(records[start : start + _NAMES_PER_FILE])}{_TAIL}"
        for number, start in enumerate(starts)
    }
    return _archive(scripts | {_INDEX: _index(len(scripts))})


def check_names(content: bytes, taxon_ids: Collection[int]) -> list[str]:
    """What is wrong with an archive, each without its subject; `taxon_ids` are those of the tree.

    Nothing may run in the app but lists of names and the index of them.
    """
    scripts = _unpacked(content)
    if isinstance(scripts, str):
        return [scripts]
    count = len(scripts) - 1
    expected = {_INDEX, *(_script(number) for number in range(count))}
    if not count or scripts.keys() != expected or scripts[_INDEX] != _index(count):
        return [
            f"does not hold {_script(0)}, ... and an {_INDEX} that lists them, and nothing else"
        ]
    wrong = {
        name: _wrong_records(text, taxon_ids) for name, text in scripts.items() if name != _INDEX
    }
    return [f"is unusable: {name} {reason}" for name, reason in wrong.items() if reason]


def _records(taxa: Mapping[int, int], names: Names) -> list[Mapping[str, Any]]:
    found: dict[tuple[int, str], str] = {}
    # The shorter code first: where two languages become one locale, that without a region stays.
    for language in sorted(names, key=lambda code: (len(code), code)):
        locale, by_taxon = _locale(language), names[language]
        for taxon_id, bears_names_of in taxa.items():
            name = by_taxon.get(bears_names_of)
            if name:
                found.setdefault((taxon_id, locale), name)
    return [{"i": i, "l": locale, "n": name} for (i, locale), name in sorted(found.items())]


def _locale(language: str) -> str:
    """As Seek asks for it: `de`, and `ptBR` for four locales with a region."""
    code = language.replace("_", "-").lower()
    known = _LOCALES_WITH_A_REGION.get(code)
    return known.replace("-", "") if known else code.split("-")[0]


def _script(number: int) -> str:
    return f"commonNamesDict-{number}.js"


def _index(count: int) -> str:
    names = [f"commonNames{number}" for number in range(count)]
    imports = [f'import {n} from "./commonNamesDict-{i}";\n' for i, n in enumerate(names)]
    return f"{''.join(imports)}\nexport default {{ {', '.join(names)} }};\n"


def _json(value: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _archive(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", fileobj=packed, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, text in files.items():
            content = text.encode("utf-8")
            entry = tarfile.TarInfo(f"{_FOLDER}{name}")  # of the year 1970 and of nobody
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _unpacked(content: bytes) -> dict[str, str] | str:
    """The text of each file by its name in the folder, or what is wrong."""
    try:
        # All at once and no further than the limit: a header alone may ask for gigabytes.
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        plain = unpacker.decompress(content, _MAX_BYTES + 1)
        if len(plain) > _MAX_BYTES:
            return f"unpacks to more than {_MAX_BYTES >> 20} MiB"
        if not unpacker.eof or unpacker.unused_data:
            return "is cut off, or has more behind its end"
        files = {}
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.type == tarfile.REGTYPE else None
                if file is None or not member.name.startswith(_FOLDER) or member.name in files:
                    return f"holds {member.name[:80]!r}, no file of {_FOLDER} or one that is twice"
                files[member.name] = file.read().decode("utf-8")
    except Exception as error:  # tarfile raises many kinds on damaged files
        return f"is no .tar.gz of text in UTF-8: {type(error).__name__}"
    return {name.removeprefix(_FOLDER): text for name, text in files.items()}


def _wrong_records(script: str, taxon_ids: Collection[int]) -> str:
    """What is wrong with a list of names; "" where nothing is."""
    try:
        if not (script.startswith(_HEAD) and script.endswith(_TAIL)):
            raise ValueError("no export")
        records = json.loads(script[len(_HEAD) : -len(_TAIL)])
        if not isinstance(records, list):
            raise ValueError("no list")
    except (ValueError, RecursionError):
        return "is not a list of names and its export"
    for record in records:
        if not isinstance(record, dict) or list(record) != ["i", "l", "n"]:
            return "has a record that is not {i, l, n}"
        number, locale, name = record.values()
        if type(number) is not int or number not in taxon_ids:
            return "names a taxon that is not in the tree"
        if not isinstance(locale, str) or not _LOCALE.fullmatch(locale):
            return "has a locale that Seek never asks for"
        if not isinstance(name, str) or not name.strip():
            return "has an empty name"
    return ""
