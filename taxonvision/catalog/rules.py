"""The rules by which photographs and taxa become part of a catalog, named and numbered.

`inat` follows what iNaturalist says of its vision models: taxa with at least 100 photographs are
included, at most 5 photographs of one observation and about 1,000 of one taxon are used,
photographs of as many different observations as possible are preferred, hybrids are left out, and
a taxon with fewer photographs is learned as part of a coarser one.
(Sources: www.inaturalist.org/blog/63931-the-latest-computer-vision-model-updates and the blog's
posts on later models.)

`none` takes every taxon with one usable photograph, at any rank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from taxonvision.errors import UserError
from taxonvision.taxonomy.ranks import RANK_LEVELS

QUALITY_GRADES = ("research", "needs_id", "casual")
SPLIT_UNITS = ("observation", "observer", "site", "date")


@dataclass(frozen=True)
class Rules:
    """What is used. None and the empty tuple stand for no limit.

    Attributes:
        min_photos: photographs that a taxon needs to become a class.
        max_photos: photographs of a class that are used, of as many observations as possible.
        quality: grades that are used; where a source says nothing of quality all are.
        licenses: licences that are used, as CC-BY-NC.
        active_only: leave out taxa that the source calls inactive.
        hybrids: use hybrids.
        coarsest_rank: an observation must be identified to this rank or a finer one.
        roll_up_to: a taxon with too few photographs gives them to its parent, and that to its own,
            up to this rank.
        per_observation: photographs of an observation that are used in train.
        per_observation_held_out: the same in val and test.
    """

    min_photos: int = 1
    max_photos: int | None = None
    quality: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    active_only: bool = False
    hybrids: bool = True
    coarsest_rank: str | None = None
    roll_up_to: str | None = None
    per_observation: int | None = None
    per_observation_held_out: int | None = None

    def check(self) -> None:
        """Raise UserError for the first rule that cannot be."""
        for flag, rank in (("coarsest_rank", self.coarsest_rank), ("roll_up_to", self.roll_up_to)):
            if rank is not None and rank not in RANK_LEVELS:
                raise UserError(
                    f"--{flag}: {rank!r} is no rank; ranks are {', '.join(RANK_LEVELS)}"
                )
        unknown = [grade for grade in self.quality if grade not in QUALITY_GRADES]
        if unknown:
            raise UserError(
                f"--quality: {unknown[0]!r} is no grade; grades are {', '.join(QUALITY_GRADES)}"
            )
        if self.max_photos is not None and self.max_photos < self.min_photos:
            raise UserError(
                f"--max_photos={self.max_photos} is below --min_photos={self.min_photos}: "
                "no taxon can have as many and as few"
            )


RULES = {
    "none": Rules(),
    "inat": Rules(
        min_photos=100,
        max_photos=1000,
        quality=("research",),
        active_only=True,
        hybrids=False,
        coarsest_rank="species",
        roll_up_to="family",
        per_observation=5,
        per_observation_held_out=1,
    ),
}

_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z-]+)", re.I)
_PUBLIC_DOMAIN = {"zero": "CC0", "mark": "PDM"}
_CC_PARTS = re.compile(r"CC[ _-]+((?:BY|NC|ND|SA)(?:[ _-]+(?:BY|NC|ND|SA))*)(?![A-Z])", re.I)
_CC0 = re.compile(r"CC[ _-]?(?:0|zero)\b|\bzero\b", re.I)


def license_name(text: str) -> str:
    """The short name of a licence, `CC-BY-NC` or `CC0`; another text stays as it is.

    Reads the codes of iNaturalist and GBIF, their addresses at creativecommons.org and sentences as
    "some rights reserved (CC BY-NC)". Versions are dropped.
    """
    address = _CREATIVE_COMMONS.search(text)
    if address:
        kind, code = address[1].lower(), address[2].lower()
        return _PUBLIC_DOMAIN.get(code, text) if kind == "publicdomain" else f"CC-{code.upper()}"
    parts = _CC_PARTS.search(text)
    if parts:
        return "CC-" + "-".join(re.split(r"[ _-]+", parts[1].upper()))
    return "CC0" if _CC0.search(text) else text.strip()
