"""The checksums of gzipped tables, which DuckDB does not compare.

It reads a damaged file as other rows than were packed, or for ever.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from taxonvision.catalog.sources.records import opened
from taxonvision.errors import UserError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CHUNK = 2**20


@contextlib.contextmanager
def comparing_sums(path: Path, connection: DuckDBPyConnection) -> Iterator[None]:
    """Unpack a gzipped file beside what the block does with `connection`, to compare its sums.

    UserError, as soon as it is known, for a file that is damaged; the block's query is then
    stopped. Nothing is done for other files.
    """
    if path.suffix != ".gz":
        yield
        return
    faults: list[UserError] = []
    left = threading.Event()

    def compare() -> None:
        try:
            with opened(path) as file:
                while file.read(_CHUNK) and not left.is_set():
                    pass
        except UserError as error:
            faults.append(error)
            connection.interrupt()

    thread = threading.Thread(target=compare)
    thread.start()
    try:
        yield
    except BaseException:
        if not faults:
            left.set()
        raise
    finally:
        thread.join()
        if faults:
            raise faults[0]
