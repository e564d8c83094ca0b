"""A template filled in: an HTML page that opens offline; values are text and never HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from taxonvision import text

if TYPE_CHECKING:
    import jinja2

_PACKAGE = "taxonvision.evaluation.report"


def render(
    path: Path,
    template: str,
    package: str = _PACKAGE,
    filters: Mapping[str, Callable[..., str]] = MappingProxyType({}),
    **values: Any,
) -> None:
    """Write a template filled in; values are escaped in HTML and in nothing else.

    Args:
        path: the file.
        template: its name; it may extend this package's `page.html` and use its `macros.html`.
        package: the package in whose `templates/` it is.
        filters: more filters than those of this package.
        **values: what is filled in.
    """
    environment = _environment(package)
    environment.filters.update(filters)
    path.write_text(environment.get_template(template).render(**values), encoding="utf-8")


@lru_cache
def _environment(package: str) -> jinja2.Environment:
    """Where the templates of a package are found; it keeps those that were compiled."""
    import jinja2

    packages = dict.fromkeys((package, _PACKAGE))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(each) for each in packages]),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def number(value: float) -> str:
    """`12 345`, with a space that does not break a line."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(count: int, noun: str) -> str:
    """`1 taxon`, `2 taxa`, `1 204 photographs`."""
    return f"{number(count)} {noun if count == 1 else text.plural(noun)}"


def percent(share: float | None) -> str:
    """`93.4%`; a dash where nothing could be measured."""
    return "–" if share is None else text.percent(share)


def points(share: float) -> str:
    """A difference in points of percent with its sign, as `+0.4`; plain `0.0` without."""
    signed = f"{100 * share:+.1f}"
    return "0.0" if signed in ("+0.0", "-0.0") else signed.replace("-", "\N{MINUS SIGN}")


def megabytes(count: int) -> str:
    """`4.10 MB`."""
    return f"{count / 1e6:.2f} MB"


def sentence(words: str) -> str:
    """The words with a large first letter."""
    return words[:1].upper() + words[1:]


_FILTERS: Mapping[str, Callable[..., str]] = {
    "number": number,
    "counted": counted,
    "percent": percent,
    "points": points,
    "megabytes": megabytes,
    "sentence": sentence,
}
