"""Which taxon a Darwin Core record names: its rank, name without authors, place and id.

Terms: dwc.tdwg.org/terms/#taxon; GBIF adds keys of its backbone and the accepted name of a synonym.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from taxonvision.catalog.sources.named_ranks import NamedTaxon, named_taxon, rank_by_ending
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.text import one_line

RANKS = ("kingdom", "phylum", "class", "order", "superfamily", "family", "subfamily", "tribe",
         "subtribe", "genus", "subgenus", "species")  # fmt: skip
KEYS = {f"{rank}Key": rank for rank in RANKS}
TAXON_COLUMNS = (
    *RANKS, *KEYS, "taxonRank", "scientificName", "acceptedScientificName", "taxonID", "taxonKey",
    "acceptedTaxonKey",
)  # fmt: skip

_LARGEST_ID = 2**53 - 1  # the largest whole number that every JSON reader keeps
_NUMBER = re.compile(r"(?:.*[/:=#])?(\d{1,16})/?")
_RANK_WORDS = {
    "regnum": "kingdom", "division": "phylum", "divisio": "phylum", "classis": "class",
    "ordo": "order", "familia": "family", "fam.": "family", "gen.": "genus", "sp": "species",
    "sp.": "species", "subsp": "subspecies", "subsp.": "subspecies", "ssp": "subspecies",
    "ssp.": "subspecies", "infraspecific_name": "subspecies", "var": "variety", "var.": "variety",
    "varietas": "variety", "f": "form", "f.": "form", "fo.": "form", "forma": "form",
    "nothospecies": "hybrid", "species_aggregate": "complex", "species aggregate": "complex",
    "aggregate": "complex",
}  # fmt: skip
_MARKERS = frozenset({"subsp.", "ssp.", "var.", "f.", "fo.", "forma", "nothosubsp.", "nothovar."})
_UNPLACED = re.compile(r"(incertae sedis|unknown|unassigned|not assigned|unranked)\b.*", re.I)
_EPITHET = re.compile(r"[a-z][a-zà-ÿ-]+")
# Words of a line of authors that look as epithets do.
_PARTICLES = frozenset({
    "ab", "al", "and", "auct", "da", "dal", "de", "del", "della", "den", "der", "des", "di", "do",
    "dos", "du", "emend", "et", "ex", "in", "la", "le", "nec", "nom", "non", "sensu", "ten", "ter",
    "und", "van", "vel", "vom", "von", "y", "zu",
})  # fmt: skip


def taxon_of_record(cells: Mapping[str, str]) -> NamedTaxon | None:
    """The taxon that a record with these cells (`TAXON_COLUMNS`, filled ones only) names.

    - GBIF's accepted name and key count before those of a synonym. Only a record without GBIF's
      keys is known by its `taxonID`, a number or an address that ends in one.
    - A record whose rank is not one of ours is told by its name: as one of the columns of ranks,
      a species of two words, a subspecies of three, a family and so on by its ending. Else
      (barcode clusters, cultivars) it counts as its lowest ancestor.
    - What is below a species hangs below the species of its first two words.
    - None: the record names nothing.
    """
    names = _ancestors(cells)
    ids = {rank: key for column, rank in KEYS.items() if (key := number_in(cells.get(column, "")))}
    taxon_id = _own_id(cells)
    scientific = cells.get("scientificName", "")
    accepted = cells.get("acceptedScientificName") or scientific
    name = canonical_name(accepted)
    by_key = [r for r in names if taxon_id is not None and ids.get(r) == taxon_id]
    # The rank is that of the synonym.
    rank = _known_rank(cells.get("taxonRank", "")) if accepted == scientific else ""
    if by_key:
        rank = by_key[-1]
    elif not rank or (rank not in names and _says_less(name, rank)):
        rank = _rank_by_name(name, names)
    if not rank:
        if not names:
            return None
        rank, taxon_id = list(names)[-1], None
    if RANK_LEVELS[rank] < RANK_LEVELS["species"]:
        words = name.split()
        if len(words) > 2 and "×" not in words:
            names.setdefault("species", " ".join(words[:2]))
    return named_taxon(names, rank, names.get(rank) or name, ids, taxon_id or ids.get(rank))


def canonical_name(text: str) -> str:
    """A scientific name without authors and year, subgenus in parentheses, and marks of rank.

    "Danaus plexippus (Linnaeus, 1758)" is "Danaus plexippus".
    """
    words = one_line(text).split()
    kept: list[str] = []
    epithets = 0
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        if word in ("×", "x", "X") and after:
            kept.append("×")
        elif not kept or kept == ["×"]:
            kept.append(word)
        elif _is_epithet(after) and (
            word in _MARKERS or (word.startswith("(") and word.endswith(")") and not epithets)
        ):
            continue
        elif _is_epithet(word.removeprefix("×")) and epithets < 2:
            kept.append(word)
            epithets += 1
        elif kept[-1] == "×":
            kept.append(word)
        else:
            break
    return " ".join(kept)


def number_in(text: str) -> int | None:
    """The id in a cell that is a number or an address that ends in one; None in others."""
    found = _NUMBER.fullmatch(text.strip())
    number = int(found[1]) if found else 0
    return number if 0 < number <= _LARGEST_ID else None


def _is_epithet(word: str) -> bool:
    return bool(_EPITHET.fullmatch(word)) and word not in _PARTICLES


def _ancestors(cells: Mapping[str, str]) -> dict[str, str]:
    """The names in the columns of ranks, from the kingdom on."""
    names = {}
    for rank in RANKS:
        name = one_line(cells.get(rank, ""))
        if rank == "subgenus" and name.endswith(")"):  # Bombus (Pyrobombus)
            name = name[:-1].rpartition("(")[2].strip()
        if name and not _UNPLACED.fullmatch(name):
            names[rank] = name
    return names


def _own_id(cells: Mapping[str, str]) -> int | None:
    for column in ("acceptedTaxonKey", "taxonKey", "taxonID"):
        if column in cells:
            return number_in(cells[column])
    return None


def _known_rank(text: str) -> str:
    word = text.strip().lower()
    word = _RANK_WORDS.get(word, word)
    return word if word in RANK_LEVELS else ""


def _says_less(name: str, rank: str) -> bool:
    """True for a name that is none of this rank, as "Danaus sp." of a species."""
    return not name or (rank == "species" and " " not in name)


def _rank_by_name(name: str, names: Mapping[str, str]) -> str:
    if not name:
        return ""
    same = [rank for rank, other in names.items() if other == name]
    if same:
        return same[-1]
    words = name.split()
    if "×" in words:
        return "hybrid"
    if len(words) > 1 and all(map(_is_epithet, words[1:])):
        return "species" if len(words) == 2 else "subspecies"
    lowest = min((RANK_LEVELS[rank] for rank in names), default=100)
    rank = rank_by_ending(name) if len(words) == 1 else None
    return rank if rank and RANK_LEVELS[rank] < lowest else ""
