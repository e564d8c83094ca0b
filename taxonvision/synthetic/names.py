"""Invented names: Latin-looking genera, families and epithets, English and German common names.

Every name is grown from its own generator; a name that was given before is drawn again, so that
the names of the first taxa stay the same however many more are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_ONSETS = (
    "Aur", "Bel", "Cal", "Cer", "Chry", "Cly", "Cor", "Cyn", "Dal", "Dry", "Elo", "Eri", "Fal",
    "Gal", "Glo", "Hel", "Hyl", "Ixi", "Jun", "Kal", "Lam", "Lyr", "Mar", "Mel", "Myr", "Nav",
    "Nem", "Nym", "Oen", "Oph", "Pal", "Phae", "Pol", "Pyr", "Quer", "Rho", "Sal", "Sel", "Syl",
    "Tal", "Ther", "Thy", "Ula", "Vel", "Ver", "Xan", "Yph", "Zel", "Zeph",
)  # fmt: skip
_MIDDLES = (
    "ab", "ad", "al", "am", "and", "ant", "ar", "ast", "av", "eb", "el", "en", "er", "ess", "et",
    "id", "il", "in", "ist", "od", "ol", "on", "or", "ost", "un", "ur", "yl", "ym", "yr",
)  # fmt: skip
# Genus endings by grammatical gender, for epithets must agree with them.
_FEMININE = ("a", "ia", "aea", "essa", "ona", "yris", "opsis", "alis", "ithea", "andra")
_MASCULINE = ("us", "ius", "odes", "ander", "ilus", "orus")
_EPITHET_STEMS = (
    "albomacul", "alpin", "ardent", "argente", "aurat", "brumal", "candid", "castane", "cinere",
    "clar", "corusc", "crepuscul", "decor", "dubi", "elegant", "ferrugine", "fasciat", "flammul",
    "fulgid", "fusc", "gracil", "guttat", "hesperid", "hyalin", "iridescent", "limbat", "lineol",
    "lucid", "lunulat", "marginat", "meridional", "mirabil", "montan", "nebulos", "nigrican",
    "niv", "obscur", "ocellat", "opalin", "palustr", "pict", "punctat", "purpurat", "reticulat",
    "rosace", "rubican", "rufesc", "sagittat", "serotin", "silvat", "sordid", "spectabil", "stell",
    "tenebros", "trivittat", "umbros", "undulat", "variegat", "velutin", "vernal", "virid",
    "vittat", "volubil", "zonat",
)  # fmt: skip
_LIKE_THIRD_DECLENSION = ("al", "il", "str")  # stems that take -is in both genders

# (English, German in the masculine nominative)
_LOOKS = (
    ("Dusky", "Dunkler"), ("Pale", "Blasser"), ("Golden", "Goldener"), ("Silver", "Silberner"),
    ("Mountain", "Alpiner"), ("Lesser", "Kleiner"), ("Greater", "Großer"),
    ("Banded", "Gebänderter"), ("Spotted", "Gefleckter"), ("Scalloped", "Gezackter"),
    ("Veiled", "Verschleierter"),
    ("Royal", "Königlicher"), ("Northern", "Nördlicher"), ("Southern", "Südlicher"),
    ("Eastern", "Östlicher"), ("Western", "Westlicher"), ("Rusty", "Rostiger"),
    ("Painted", "Bemalter"), ("Clouded", "Wolkiger"), ("Shining", "Leuchtender"),
    ("False", "Falscher"), ("Common", "Gemeiner"), ("Rare", "Seltener"), ("Brindled", "Gestromter"),
    ("Frosted", "Bereifter"), ("Marbled", "Marmorierter"), ("Eyed", "Augentragender"),
    ("Plain", "Schlichter"), ("Crimson", "Purpurner"), ("Ashen", "Aschgrauer"),
    ("Early", "Früher"), ("Late", "Später"), ("Hidden", "Verborgener"), ("Bright", "Heller"),
    ("Barred", "Gestreifter"), ("Velvet", "Samtiger"),
)  # fmt: skip
_MOTIFS = (
    ("Ember", "Glut"), ("Lantern", "Laternen"), ("Willow", "Weiden"), ("Harbour", "Hafen"),
    ("Saffron", "Safran"), ("Moon", "Mond"), ("Thistle", "Distel"), ("River", "Fluss"),
    ("Heath", "Heide"), ("Amber", "Bernstein"), ("Cinder", "Asche"), ("Meadow", "Wiesen"),
    ("Mirror", "Spiegel"), ("Storm", "Sturm"), ("Bramble", "Brombeer"), ("Dawn", "Morgen"),
    ("Evening", "Abend"), ("Cedar", "Zedern"), ("Copper", "Kupfer"), ("Garden", "Garten"),
    ("Glass", "Glas"), ("Honey", "Honig"), ("Iris", "Iris"), ("Juniper", "Wacholder"),
    ("Lagoon", "Lagunen"), ("Maple", "Ahorn"), ("Mist", "Nebel"), ("Oak", "Eichen"),
    ("Orchard", "Obst"), ("Poppy", "Mohn"), ("Quartz", "Quarz"), ("Rose", "Rosen"),
    ("Sand", "Sand"), ("Shadow", "Schatten"), ("Star", "Sternen"), ("Sun", "Sonnen"),
    ("Tide", "Gezeiten"), ("Violet", "Veilchen"), ("Wood", "Wald"), ("Winter", "Winter"),
)  # fmt: skip
_KINDS = (
    ("wing", "flügel"), ("sailor", "segler"), ("glider", "gleiter"), ("dancer", "tänzer"),
    ("tip", "falter"), ("skimmer", "flieger"), ("courtier", "höfling"), ("wanderer", "wanderer"),
    ("page", "page"), ("monk", "mönch"), ("herald", "herold"), ("drifter", "schweber"),
)  # fmt: skip


@dataclass
class NameBook:
    """The names given so far; a name is given once."""

    genus_stems: set[str] = field(default_factory=set)
    common_names: set[str] = field(default_factory=set)

    def genus(self, rng: np.random.Generator) -> str:
        """A genus, ASCII, capitalised; two genera differ in more than their ending."""
        middles = 1
        for attempt in range(1, 1_000_000):
            name = _pick(rng, _ONSETS) + "".join(_pick(rng, _MIDDLES) for _ in range(middles))
            name += _pick(rng, _FEMININE + _MASCULINE)
            stem = genus_stem(name)
            if stem not in self.genus_stems:
                self.genus_stems.add(stem)
                return name
            if attempt % 20 == 0:  # the short names are running out
                middles += 1
        raise AssertionError("the pool of genus names grows with every twentieth attempt")

    def common(
        self, rng: np.random.Generator, motif: int, kind: int, looks: set[int]
    ) -> tuple[str, str]:
        """An English and a German name; `looks` holds the adjectives the genus has used."""
        while True:
            free = [index for index in range(len(_LOOKS)) if index not in looks]
            look = int(rng.choice(free)) if free else int(rng.integers(len(_LOOKS)))
            looks.add(look)
            english = f"{_LOOKS[look][0]} {_MOTIFS[motif][0]} {_KINDS[kind][0].capitalize()}"
            german = f"{_LOOKS[look][1]} {_MOTIFS[motif][1]}{_KINDS[kind][1]}"
            if english not in self.common_names:
                self.common_names.add(english)
                return english, german
            # Every genus that shares motif and kind has eaten from the same adjectives.
            motif, kind = draw_group(rng)


def genus_stem(genus: str) -> str:
    """What is left of a genus without its ending: `Velunessa` and `Velunus` share a stem."""
    for ending in sorted(_FEMININE + _MASCULINE, key=len, reverse=True):
        if genus.endswith(ending) and len(genus) - len(ending) >= 4:
            return genus.removesuffix(ending)
    return genus


def family_name(type_genus: str) -> str:
    """The family named after its type genus, as the zoological code has it: stem and -idae."""
    return genus_stem(type_genus) + "idae"


def epithet(rng: np.random.Generator, genus: str, taken: set[str]) -> str:
    """A species epithet that agrees with the genus and is new in it; adds it to `taken`."""
    masculine = genus.endswith(_MASCULINE)
    for attempt in range(1_000_000):
        stem = _pick(rng, _EPITHET_STEMS)
        if attempt >= 20:  # a genus that has used nearly all of them gets compounds
            stem = f"sub{stem}" if attempt < 60 else f"{_pick(rng, _EPITHET_STEMS)}o{stem}"
        ending = "is" if stem.endswith(_LIKE_THIRD_DECLENSION) else ("us" if masculine else "a")
        if stem + ending not in taken:
            taken.add(stem + ending)
            return stem + ending
    raise AssertionError("compounds of two stems do not run out")


def draw_group(rng: np.random.Generator) -> tuple[int, int]:
    """The motif and the kind (indices) that the common names of one genus share."""
    return int(rng.integers(len(_MOTIFS))), int(rng.integers(len(_KINDS)))


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]
