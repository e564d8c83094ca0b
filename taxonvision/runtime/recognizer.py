"""A model of any kind, opened: pixels in, scores and names out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from taxonvision.runtime.answer import Answer, Node, Suggestion, best_classes, decide
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy

Scorer = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, size, size, 3] to float32 probabilities [N, C]."""


@dataclass(frozen=True)
class Recognizer:
    """A model directory, a bundle or a bare TFLite file, opened.

    Attributes:
        name: what the model calls itself.
        fingerprint: SHA-256 that names exactly these weights.
        bytes: size of the model's file.
        threads: threads the scorer uses, 0 where it decides itself.
        contract: how photographs become its input.
        class_taxon_ids: taxon id of each output, in the order of the scores.
        taxonomy: the tree over them.
        names: common names by language.
        score: uint8 [N, size, size, 3] to float32 probabilities [N, C].
        thresholds: what it takes to name a taxon.
        another: makes one more scorer, of so many threads, that runs beside the others and gives
            the same scores; None where there is only `score`.
        facts: what is told of how it was made, for people: `kind`, `version`, `backbone` and
            others (`models.facts`, `runtime.bundle`), any of which may be missing or of any type.
    """

    name: str
    fingerprint: str
    bytes: int
    threads: int
    contract: Contract
    class_taxon_ids: tuple[int, ...]
    taxonomy: Taxonomy
    names: Names = field(repr=False)
    score: Scorer = field(repr=False)
    thresholds: Thresholds = field(default_factory=Thresholds)
    another: Callable[[int], Scorer] | None = field(default=None, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def roll_up(self) -> RollUp:
        """The arithmetic of the tree over this model's classes."""
        return RollUp(self.taxonomy, self.class_taxon_ids)

    def answer(self, scores: np.ndarray, top: int, language: str) -> Answer:
        """Put one photograph's scores, float [C], into names."""
        decision = decide(self.roll_up, scores, self.thresholds)
        ids = self.roll_up.node_ids

        def named(node: Node) -> Suggestion:
            return self._suggestion(int(ids[node.index]), node.score, language)

        return Answer(
            known=decision.known,
            suggestions=[
                self._suggestion(self.class_taxon_ids[i], float(scores[i]), language)
                for i in best_classes(scores, top)
            ],
            branch=[named(node) for node in decision.branch],
            sure=named(decision.sure) if decision.sure else None,
            common_ancestor=named(decision.common_ancestor) if decision.common_ancestor else None,
        )

    def _suggestion(self, taxon_id: int, score: float, language: str) -> Suggestion:
        common_name = self.names.get(language, {}).get(taxon_id, "")
        return Suggestion(self.taxonomy[taxon_id], common_name, score)
