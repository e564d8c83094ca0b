"""Outputs are written beside their place and renamed into it, and say how they were made.

A killed run leaves the old output or the new one, never half of one. What is unfinished lies in
`OUT.partial/`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from taxonvision.errors import AlreadyDone, UserError

WHOLE = "whole"
"""What `replacing_file_resuming` takes for the finished file in the folder that it yields."""
_MARK = ".made_by"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True)
class Recipe:
    """How an output is made: the command, its flags and the fingerprints of what it reads."""

    command: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over command, flags and inputs: equal digests, equal outputs."""
        return digest_of([self.command, dict(self.flags), dict(self.inputs)])

    def as_json(self) -> dict[str, Any]:
        """The record kept in an output's manifest."""
        return {
            "command": self.command,
            "flags": dict(self.flags),
            "inputs": dict(self.inputs),
            "digest": self.digest,
        }


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """The JSON value in `path`; UserError when it is missing or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON with a final newline."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_manifest(
    folder: Path,
    manifest: str,
    noun: str,
    made_by: str,
    schema: int,
    fields: Mapping[str, type | tuple[type, ...]] = MappingProxyType({}),
) -> dict:
    """The manifest of a noun on disk, its schema version and the types of its fields checked.

    `noun` and `made_by` name the thing and the command that makes it, for the sentence of the
    UserError raised when the folder is missing, is something else, or is newer than this program.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; `taxonvision {made_by}` makes a {noun}")
    if not (folder / manifest).is_file():
        raise UserError(
            f"{folder} is no {noun}: it has no {manifest}; `taxonvision {made_by}` makes one"
        )
    value = read_json(folder / manifest)
    found = value.get("schema_version") if isinstance(value, dict) else None
    if not isinstance(found, int):
        raise UserError(f"{folder / manifest} has no schema_version; make the {noun} again")
    if found > schema:
        raise UserError(
            f"{folder} was written by a newer taxonvision ({noun} schema {found}, "
            f"this one reads {schema}); install the newer version"
        )
    for field_name, kind in fields.items():
        if not isinstance(value.get(field_name), kind):
            raise UserError(f"{folder / manifest} lacks {field_name}; make the {noun} again")
    return value


def check_place(out: Path, manifest: str, recipe: Recipe, *, overwrite: bool) -> None:
    """Raise when `out` must not be written.

    AlreadyDone when it was made by the same recipe (its manifest holds the digest under `made_by`),
    UserError when anything else stands there and `overwrite` is false.
    """
    if overwrite or not (out.exists() or out.is_symlink()):
        return
    if _digest_at(out / manifest) == recipe.digest:
        raise AlreadyDone(str(out))
    if not (out.is_dir() and not any(out.iterdir())):
        raise UserError(
            f"{out} exists and was not made by this command with these flags and inputs; "
            "choose another --out or add --overwrite"
        )


@contextlib.contextmanager
def publish(out: Path, manifest: str, recipe: Recipe, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` when the block ends well.

    Raises what `check_place` raises, before the block and again after it, since somebody may have
    put something there meanwhile. When the block raises, also by Ctrl-C, `out` stays as it was.
    """
    check_place(out, manifest, recipe, overwrite=overwrite)
    with replacing(out) as partial:
        yield partial
        check_place(out, manifest, recipe, overwrite=overwrite)


@contextlib.contextmanager
def publish_resuming(
    out: Path, manifest: str, recipe: Recipe, *, version: str, overwrite: bool
) -> Iterator[Path]:
    """`publish` for long work that goes on where it ended.

    When the block raises or the process is killed, `OUT.partial` stays, and the next run of the
    same recipe and version is given it with all that is in it. The block writes the manifest last
    and whole: where it is there, nothing is left to be done.
    """
    check_place(out, manifest, recipe, overwrite=overwrite)
    with _partial_of(out) as partial:
        finished = _digest_at(partial / manifest) == recipe.digest
        with _going_on(partial, _mark_of(recipe, version), finished=finished):
            yield partial
        try:
            check_place(out, manifest, recipe, overwrite=overwrite)
        except AlreadyDone:  # by another machine meanwhile
            shutil.rmtree(partial, ignore_errors=True)
            raise
        (partial / _MARK).unlink(missing_ok=True)
        _move_into_place(partial, out)


@contextlib.contextmanager
def replacing_file_resuming(path: Path, recipe: Recipe, *, version: str) -> Iterator[Path]:
    """`replacing_file` for long work that goes on where it ended.

    Yields the folder `PATH.partial`, as `publish_resuming` does. The block writes the whole file
    there last, under the name `WHOLE`; it then takes the place of `path`, whatever file stood
    there.
    """
    path = place_of_file(path)
    with _partial_of(path) as partial:
        with _going_on(partial, _mark_of(recipe, version)):
            yield partial
        try:
            (partial / WHOLE).replace(path)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from None
        shutil.rmtree(partial)


def place_of_file(path: Path) -> Path:
    """Where a file that a flag names is to be written: where links lead to.

    A link such as /dev/stdout must not be replaced. UserError for what is no file, as a folder or a
    pipe.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; choose another --out")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is a pipe or a device; --out names a file")
    return path.resolve() if path.is_symlink() else path


@contextlib.contextmanager
def _going_on(partial: Path, mark: str, *, finished: bool = False) -> Iterator[None]:
    """Empty a folder whose mark is another one, unless it is finished.

    When the block raises, what is in the folder stays for whoever has the same mark.
    """
    try:
        if not (finished or _text_of(partial / _MARK) == mark):
            _make_empty(partial)
            with (partial / _MARK).open("w") as file:
                file.write(mark)
                file.flush()
                os.fsync(file.fileno())  # without it, what follows belongs to nobody
        yield
    except BaseException:
        if partial.is_dir() and {path.name for path in partial.iterdir()} <= {_MARK}:
            shutil.rmtree(partial)  # there is nothing to go on with
        raise


def set_aside(out: Path, suffix: str) -> Path:
    """Move what `publish_resuming` yields to `OUT` + suffix instead; returns where it is then.

    To be called in its block, which must then raise. What a run before set aside is replaced.
    """
    place = _beside(out, suffix)
    partial = partial_of(out)
    (partial / _MARK).unlink(missing_ok=True)
    _move_into_place(partial, place)
    return place


def partial_of(out: Path) -> Path:
    """Where the unfinished work of `publish_resuming` lies, for those who only read it."""
    return _beside(out, ".partial")


def check_unfinished(out: Path, recipe: Recipe, precious: str, *, version: str) -> None:
    """Raise UserError when `publish_resuming` would throw away another recipe's unfinished work.

    `precious` is the name of what is worth keeping in it.
    """
    partial = partial_of(out)
    mark = _mark_of(recipe, version)
    if (partial / precious).exists() and _text_of(partial / _MARK) != mark:
        raise UserError(
            f"{partial} holds the unfinished work of a run with other flags or inputs: run it "
            f"again to go on with it, choose another --out, or remove {partial}"
        )


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Yield an empty folder `OUT.partial` that takes `out`'s place when the block ends well.

    Raises UserError when it cannot be made, or when another process is writing it.
    """
    with _partial_of(out) as partial:
        _make_empty(partial)  # of what a killed run left
        try:
            yield partial
            _move_into_place(partial, out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextlib.contextmanager
def _partial_of(out: Path) -> Iterator[Path]:
    """The path `OUT.partial`, its parent made, while no other run may write `out`."""
    partial = partial_of(out)
    with contextlib.ExitStack() as held:
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(out))
        except OSError as error:
            raise UserError(f"{partial} cannot be made: {error.strerror}") from None
        yield partial


def _mark_of(recipe: Recipe, version: str) -> str:
    return digest_of([recipe.digest, version])


def _make_empty(partial: Path) -> None:
    try:
        if partial.exists():
            _remove(partial)
        partial.mkdir()
    except OSError as error:
        raise UserError(f"{partial} cannot be made: {error.strerror}") from None


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; the file written there takes its place when all ends well."""
    partial = _beside(path, ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):  # gone already, or its folder could not be made
            partial.unlink()


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the lock `.OUT.lock` beside `out`; UserError when another run holds it.

    It is a file of its own since `OUT.partial` comes and goes while the lock is held. It is removed
    before it is let go, so that whoever still gets it notices and makes a new one; a killed run
    leaves the file, unlocked.
    """
    path = out.with_name(f".{out.name}.lock")
    lock = _lock(path, out)
    while not _is_at(lock, path):  # removed by its holder between our opening and locking it
        os.close(lock)
        lock = _lock(path, out)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(lock)


def _lock(path: Path, out: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # NFS locks only what may be written
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            f"{out} is being written by another run; wait for it or choose another --out"
        ) from None
    except OSError:
        pass  # a file system without locks
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _beside(place: Path, suffix: str) -> Path:
    """The path beside `place` with `suffix` at the end of its name."""
    if place.name in ("", ".."):  # also "." and "/", which have no name to add to
        raise UserError(f"{place} is no place for an output; give it a name of its own")
    return place.with_name(place.name + suffix)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _digest_at(manifest: Path) -> str | None:
    try:
        made_by = json.loads(manifest.read_text(encoding="utf-8"))["made_by"]
        return str(made_by["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _move_into_place(partial: Path, out: Path) -> None:
    """Rename `partial` to `out`; what stood there is exchanged in one step, then removed."""
    if not (out.exists() or out.is_symlink()):
        partial.rename(out)
    elif out.is_dir() and not out.is_symlink() and _exchange(partial, out):
        shutil.rmtree(partial)
    else:  # a file, a link, or a file system that cannot exchange: two renames, close together
        old = _beside(out, ".replaced")
        _remove(old)  # of a run killed between the two renames
        try:
            out.rename(old)
            partial.rename(out)
        except BaseException:
            if not (out.exists() or out.is_symlink()):
                old.rename(out)
            raise
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders atomically with Linux's renameat2; False where that is not to be had."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = (os.fsencode(first), os.fsencode(second))
    return renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0
