"""How reports and notes call a taxon: by its common and its scientific name."""

from __future__ import annotations

from dataclasses import dataclass

from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxonomy

_LANGUAGE = "en"
_ITALIC = RANK_LEVELS["genus"]  # names of genera and what is below are set in italics


@dataclass(frozen=True)
class Label:
    """The names of a taxon; `common` is "" where there is none, `rank` where it is unknown."""

    scientific: str
    common: str = ""
    rank: str = ""

    @property
    def italic(self) -> bool:
        """Whether the scientific name is set in italics."""
        return RANK_LEVELS.get(self.rank, _ITALIC + 1) <= _ITALIC


class Labels:
    """The labels of taxa by id."""

    def __init__(self, taxonomy: Taxonomy, names: Names) -> None:
        self._taxonomy = taxonomy
        self._common = names.get(_LANGUAGE, {})

    def __call__(self, taxon_id: int, scientific: str = "", rank: str = "") -> Label:
        """The label of a taxon; `scientific` and `rank` overrule the tree, or stand in for it."""
        if taxon_id in self._taxonomy:
            taxon = self._taxonomy[taxon_id]
            scientific, rank = scientific or taxon.name, rank or taxon.rank
        common = self._common.get(taxon_id, "")
        scientific = scientific or f"taxon {taxon_id}"
        return Label(scientific, common if common != scientific else "", rank)
