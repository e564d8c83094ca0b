"""The notes of a release: `RELEASE.md`, and `release.html`, which opens offline.

They answer what people ask when a new release is announced: which taxa are new and where they live,
which are still missing and why, what got better and what got worse.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taxonvision.evaluation.report.page import number, render
from taxonvision.geography.regions import AT_SEA
from taxonvision.progress import working
from taxonvision.release.groups import group
from taxonvision.release.missed import find_missed
from taxonvision.release.performance import performance
from taxonvision.release.places import Dot, find_places
from taxonvision.release.record import Release
from taxonvision.release.world_map import draw_map
from taxonvision.taxonomy.labels import Labels
from taxonvision.text import one_line

MARKDOWN = "RELEASE.md"
PAGE = "release.html"
_PACKAGE = "taxonvision.release"
_MOST_COUNTRIES = 15
_MOST_MISSED = 50
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")


def write_release_notes(folder: Path, release: Release) -> None:
    """Write `RELEASE.md` and `release.html` into a folder.

    What the catalog cannot tell is said to be unknown. Raises UserError when its tables are
    damaged.
    """
    with working("writing the release notes"):
        values = _values(release)
        render(folder / MARKDOWN, "release.md", _PACKAGE, _FILTERS, **values)
        render(folder / PAGE, "release.html", _PACKAGE, _FILTERS, **values)


def _values(release: Release) -> dict[str, Any]:
    """What the templates show."""
    changed, catalog = release.differences, release.catalog
    label = Labels(release.taxonomy, release.names)
    new = changed.added
    places = find_places(catalog, [c.taxon_id for c in new]) if catalog and new else None
    known = [c.taxon_id for c in release.classes if c.active]
    missed = find_missed(catalog, known, _MOST_MISSED) if catalog else None
    seconds = sum(release.seconds.values())
    return {
        "release": release,
        "changed": changed,
        "label": label,
        "new": new,
        "known": len(known),
        "homes": bool(places and places.located),
        "tested": {each.taxon_id: each for each in release.verdict.new_taxa.by_taxon}
        if release.verdict
        else {},
        "grouping": group(new, release.taxonomy),
        "places": places,
        "map": draw_map(places.dots) if places and places.dots else None,
        "at_sea": AT_SEA,
        "most_countries": _MOST_COUNTRIES,
        "missed": missed,
        "verdict": release.verdict,
        "performance": performance(release.verdict) if release.verdict else None,
        "seconds": seconds,
        "device_seconds": seconds * release.devices,
    }


def _duration(seconds: float) -> str:
    """`0.4 s`, `38 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{number(minutes // 60)} h {minutes % 60} min"


def _work(device_seconds: float, device: str) -> str:
    """Time times devices, as `8.3 CPU core minutes`."""
    if device_seconds < 60:
        return f"{device_seconds:.0f} {device} seconds"
    if device_seconds < 3600:
        return f"{device_seconds / 60:.1f} {device} minutes"
    return f"{device_seconds / 3600:,.1f} {device} hours"


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):.0f}\N{DEGREE SIGN} {positive if value >= 0 else negative}"


def _where(dot: Dot) -> str:
    """`48° N, 16° E`."""
    return f"{_degrees(dot.latitude, 'N', 'S')}, {_degrees(dot.longitude, 'E', 'W')}"


def _plain(text: str) -> str:
    """Text for a line of Markdown, in a table too: nothing in it marks up, links or ends a cell."""
    escaped = _SPECIAL.sub(r"\\\1", html.escape(one_line(str(text)), quote=False))
    # GitHub makes links of bare addresses.
    return re.sub(r"(?i)(?<=\bwww)\.|(?<=[a-z]):(?=//)|@", lambda m: f"&#{ord(m[0])};", escaped)


def _place(share: float, reach: float) -> str:
    """Where a difference lies on an axis from -reach to +reach points: from 0 to 100 (percent)."""
    return f"{min(max(50 + 50 * 100 * share / reach, 0), 100):.1f}"


_FILTERS: Mapping[str, Callable[..., str]] = {
    "duration": _duration,
    "work": _work,
    "where": _where,
    "place": _place,
    "plain": _plain,
}
