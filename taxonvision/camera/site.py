"""The camera page with a bundle in it: a folder of files that any HTTPS host can serve."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from taxonvision.camera.vendoring import FOLDER, RECORD, VERSION
from taxonvision.errors import UserError
from taxonvision.runtime.bundle_files import CHECKSUMS, list_files
from taxonvision.runtime.device_files import device_file
from taxonvision.storage import Recipe, publish

MANIFEST = "site.json"
WORKER = "service-worker.js"
INDEX = "index.html"
SCHEMA_VERSION = 1

_VERSION_IN_WORKER = b'"development"'
_NOT_OF_THE_SITE = ("README.md", RECORD)
# A bundle is from elsewhere: a page or a script in it would act in the name of the site.
_OF_A_BUNDLE = re.compile(
    r"bundle\.json|model\.tflite|taxonomy\.csv|labels\.txt|thresholds\.csv|MODEL_CARD\.md|"
    r"names/[A-Za-z][A-Za-z0-9_-]*\.json|golden/[A-Za-z0-9_-]+\.(png|jpe?g)"
)


@dataclass(frozen=True)
class Site:
    """All files of a site, held in memory: what is served is what was verified.

    Attributes:
        files: bytes by name; `site.json` and the service worker hold the version.
        recipe: command and inputs; equal recipes, equal sites.
    """

    files: Mapping[str, bytes]
    recipe: Recipe


def assemble(bundle: Path, web: Traversable | None = None) -> Site:
    """The page, LiteRT.js and a bundle as one site.

    Args:
        bundle: folder or zip, verified before; what the format does not name is left out.
        web: the folder of the page; None: that of this package.

    Raises:
        UserError: LiteRT.js is missing, or the bundle cannot be read or put on a site.
    """
    files = _page_files(device_file("web") if web is None else web)
    files |= {f"bundle/{name}": content for name, content in _bundle_files(bundle)}
    return _sealed(files)


def write_site(site: Site, out: Path, *, overwrite: bool) -> None:
    """Write a site into a folder; raises what `storage.publish` raises."""
    with publish(out, MANIFEST, site.recipe, overwrite=overwrite) as folder:
        for name, content in site.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def _page_files(web: Traversable) -> dict[str, bytes]:
    """The files below the folder of the page that are for a browser."""
    if not web.joinpath(*FOLDER.parts, VERSION).is_file():
        raise UserError(
            "the camera lacks LiteRT.js: it is fetched when taxonvision is installed, and there "
            "was no network then; install taxonvision again with one"
        )
    vendored = f"{FOLDER}/"
    return {
        name: file.read_bytes()
        for name, file in sorted(_walk(web))
        if name not in _NOT_OF_THE_SITE
        and (name.startswith(vendored) or not name.startswith("vendor/"))
    }


def _walk(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):  # what editors and systems leave around
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{above}{entry.name}/")
        else:
            yield above + entry.name, entry


def _bundle_files(bundle: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a bundle that its format names, and their SHA256SUMS."""
    files = list_files(bundle)
    kept = [name for name in files.sums if _OF_A_BUNDLE.fullmatch(name)]
    for name in files.sums:
        if name.startswith("golden/") and name not in kept:
            raise UserError(f"{bundle}: {name!r} cannot be put on a site: name it .png or .jpg")
    for name in kept:
        yield name, files.read(name)
    yield CHECKSUMS, "".join(f"{files.sums[name]}  {name}\n" for name in kept).encode()


def _sealed(files: Mapping[str, bytes]) -> Site:
    """A site whose manifest and service worker know its version, a hash over all files."""
    if files.get(WORKER, b"").count(_VERSION_IN_WORKER) != 1:
        raise ValueError(f"{WORKER} has no place for the version")
    digests = {name: hashlib.sha256(content).digest() for name, content in sorted(files.items())}
    listed = "".join(f"{digest.hex()}  {name}\n" for name, digest in digests.items())
    version = hashlib.sha256(listed.encode()).hexdigest()
    recipe = Recipe("camera", inputs={"files": version})
    del digests[WORKER]  # browsers keep it themselves
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "version": version,
        "files": list(digests),
        "integrity": {name: _integrity(digest) for name, digest in digests.items()},
        "made_by": recipe.as_json(),
    }
    worker = files[WORKER].replace(_VERSION_IN_WORKER, json.dumps(version).encode())
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return Site(dict(files) | {WORKER: worker, MANIFEST: text.encode()}, recipe)


def _integrity(digest: bytes) -> str:
    """As the browser's `fetch` compares it."""
    return f"sha256-{base64.b64encode(digest).decode()}"
