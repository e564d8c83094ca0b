"""Ranks and their levels, as iNaturalist numbers them (70 is a kingdom, 10 a species)."""

from __future__ import annotations

RANK_LEVELS = {
    "stateofmatter": 100,
    "kingdom": 70,
    "phylum": 60,
    "subphylum": 57,
    "superclass": 53,
    "class": 50,
    "subclass": 47,
    "infraclass": 45,
    "superorder": 43,
    "order": 40,
    "suborder": 37,
    "infraorder": 35,
    "superfamily": 33,
    "epifamily": 32,
    "family": 30,
    "subfamily": 27,
    "supertribe": 26,
    "tribe": 25,
    "subtribe": 24,
    "genus": 20,
    "subgenus": 15,
    "section": 13,
    "complex": 11,
    "species": 10,
    "hybrid": 10,
    "subspecies": 5,
    "variety": 5,
    "form": 5,
}
MAIN_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
