"""Gzipped tables unpacked into a pipe that DuckDB reads.

DuckDB could unpack them itself, at half the speed, but does not compare their checksums: it reads a
damaged file as other rows than were packed, or for ever.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from taxonvision.catalog.sources.records import opened
from taxonvision.catalog.staging import Staging
from taxonvision.errors import UserError

_CHUNK = 2**20


@contextlib.contextmanager
def plain(path: Path, staging: Staging) -> Iterator[Path]:
    """Yield where a file can be read, once and from its beginning: itself, or a pipe.

    Raises UserError for a gzipped file that is damaged. What the block does with the work database
    is then stopped: some garbage DuckDB would read for ever.
    """
    if path.suffix != ".gz":
        yield path
        return
    faults: list[UserError] = []
    chunks = _unpacked(path)
    first = next(chunks, b"")  # before DuckDB waits for a pipe that stays empty
    with tempfile.TemporaryDirectory(dir=staging.folder) as place:
        pipe = Path(place, path.name.removesuffix(".gz"))
        os.mkfifo(pipe)

        def unpack() -> None:
            try:
                with pipe.open("wb") as sink:
                    sink.write(first)
                    sink.writelines(chunks)
            except BrokenPipeError:  # the reader has stopped before the end
                pass
            except UserError as error:
                faults.append(error)
                staging.connection.interrupt()

        thread = threading.Thread(target=unpack)
        thread.start()
        try:
            yield pipe
        finally:
            # Should nobody read the pipe, now or when the thread comes to open it, this lets the
            # thread go on, and find no reader when it writes.
            while thread.is_alive():
                reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
                thread.join(0.01)
                os.close(reader)
            if faults:
                raise faults[0]


def _unpacked(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
