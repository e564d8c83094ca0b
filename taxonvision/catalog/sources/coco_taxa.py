"""Which taxa COCO's categories are, by their names, ranks and supercategories."""

from __future__ import annotations

import re

from taxonvision.catalog.sources.coco_json import Entry, text_in
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS

NO_TAXON = frozenset({"empty", "blank", "misfire", "unknown"})
"""Names of categories that are no taxon. People and vehicles are classes as others are."""

# iNaturalist's iconic groups, the supercategories of its competitions of 2017 to 2019
_ICONIC = {
    **dict.fromkeys(
        ("Plantae", "Animalia", "Fungi", "Chromista", "Protozoa", "Bacteria"), "kingdom"
    ),
    "Mollusca": "phylum",
    **dict.fromkeys(
        ("Insecta", "Aves", "Reptilia", "Mammalia", "Amphibia", "Actinopterygii", "Arachnida"),
        "class",
    ),
}
_OTHER_GROUP = "class"  # most groups that people sort photographs by are as wide as a class
_RANK_OF_FORM = (
    (re.compile(r".*(?:×|\bx\b).*"), "hybrid"),
    (re.compile(r".*\bvar\. .*"), "variety"),
    (re.compile(r".*\b(?:ssp|subsp)\. .*"), "subspecies"),
    (re.compile(r".*\bf\. [a-z].*"), "form"),
    (re.compile(r"[A-Z][a-z]+(?:idae|aceae)"), "family"),
    (re.compile(r"[A-Z][a-z-]+ [a-z-]+ [a-z-]+"), "subspecies"),
    (re.compile(r"[A-Z][a-z-]+"), "genus"),
)


def lineage_of(category: Entry) -> tuple[tuple[str, str], ...]:
    """The ranks and names from the root to a category, the category itself last.

    1. Given ranks (`kingdom` to `genus`) are its ancestors.
    2. Else the supercategory is its parent: a kingdom, phylum or class where it is one of
       iNaturalist's iconic groups, a class where it is another.
    3. The category is a species. Where its parent is a scientific name its own says more: a third
       word, or `ssp.`, is a subspecies, one word a genus, or a family by its ending.
    """
    name = str(category["name"])
    above = [
        (rank, value)
        for rank in MAIN_RANKS[:-1]
        if (value := text_in(category.get(rank))) is not None
    ]
    scientific = bool(above)
    group = text_in(category.get("supercategory"))
    if not above and group and group != name:
        scientific = group in _ICONIC
        above = [(_ICONIC.get(group, _OTHER_GROUP), group)]
    if above and above[-1][1] == name:
        return tuple(above)
    coarsest = RANK_LEVELS[above[-1][0]] if above else RANK_LEVELS["stateofmatter"]
    rank = _rank_of_name(name) if scientific or name in _ICONIC else "species"
    return (*above, (rank if RANK_LEVELS[rank] < coarsest else "species", name))


def _rank_of_name(name: str) -> str:
    forms = (rank for form, rank in _RANK_OF_FORM if form.fullmatch(name))
    return _ICONIC.get(name) or next(forms, "species")
