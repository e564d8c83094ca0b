"""The head as it is exported: rows of the taxa that are kept, in one matrix or two factors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from taxonvision.features.rows import Rows
from taxonvision.runtime.probabilities import probabilities_of

_AT_ONCE = 256


@dataclass(frozen=True)
class ExportHead:
    """From features to logits, without retired classes.

    Attributes:
        taxon_ids: of the C outputs.
        kernels: float32 [D, C]; or [D, R] and [R, C], one after the other.
        bias: float32 [C].
        unknown_logit: of nothing that is known, beside the others; None: there is none.
    """

    taxon_ids: tuple[int, ...]
    kernels: tuple[np.ndarray, ...]
    bias: np.ndarray
    unknown_logit: float | None = None

    @property
    def rank(self) -> int | None:
        """R, None for one matrix."""
        return self.kernels[0].shape[1] if len(self.kernels) > 1 else None

    def cut(self, positions: Sequence[int]) -> ExportHead:
        """Some of the outputs, in this order; their logits stay what they are."""
        chosen = list(positions)
        *first, last = self.kernels
        taxon_ids = tuple(self.taxon_ids[i] for i in chosen)
        kernels = (*first, np.ascontiguousarray(last[:, chosen]))
        return replace(self, taxon_ids=taxon_ids, kernels=kernels, bias=self.bias[chosen])

    def tempered(self, temperature: float) -> ExportHead:
        """The same with logits divided by a temperature."""
        if temperature == 1:
            return self
        *first, last = self.kernels
        divisor = np.float32(temperature)
        return replace(self, kernels=(*first, last / divisor), bias=self.bias / divisor)

    def logits(self, features: Rows) -> Iterator[np.ndarray]:
        """Those of photographs with features [n, D]: float32 batches [b, C]."""
        for start in range(0, len(features), _AT_ONCE):
            hidden = features[start : start + _AT_ONCE]
            for kernel in self.kernels:
                hidden = hidden @ kernel
            yield hidden + self.bias

    def probabilities(self, features: Rows) -> Iterator[np.ndarray]:
        """The same for probabilities."""
        for logits in self.logits(features):
            yield probabilities_of(logits, self.unknown_logit)
