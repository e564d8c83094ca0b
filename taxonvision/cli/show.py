"""Answers for people, on stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

from taxonvision.errors import AlreadyDone
from taxonvision.progress import say
from taxonvision.text import for_screen

_WIDTH_OF_PIPES = 160


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns after the first whose cells begin with a digit or sign go right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    print(for_screen(f"\n{title}"))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = index > 0 and all(row[index][:1] in "0123456789+-–" for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left")
    for row in rows:
        # Text, so that a name is never read as markup.
        table.add_row(*(Text(for_screen(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _WIDTH_OF_PIPES
    Console(file=sys.stdout, width=width).print(table)


@contextlib.contextmanager
def telling_what_is_done() -> Iterator[None]:
    """Go on after an output that was made before, for a command that shows what is in it."""
    try:
        yield
    except AlreadyDone as done:
        say(f"already done: {done}")
