"""What features depend on besides the photograph: only equal spaces may share them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.runtime.contract import Contract
from taxonvision.storage import digest_of

if TYPE_CHECKING:
    import keras

SCHEMA_VERSION = 1
"""Counts up when the files of the cache, or the pixels of a view, become others.

It also must where a backbone gives other features with the same weights: activations, padding and
scaling have none, and the key does not cover the graph.
"""


@dataclass(frozen=True)
class FeatureSpace:
    """All that decides which features a photograph has.

    Attributes:
        backbone: name of the frozen network.
        weights: `weights_digest` of it.
        contract: how photographs become its input.
        view: 0 for what the contract shows, else the number of an augmented view (`views`).
        shrunk_to: `Examples.shrunk_to`; the pixels of shards are not quite those of the originals.

    """

    backbone: str
    weights: str
    contract: Contract
    view: int = 0
    shrunk_to: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over all of them and the schema: equal digests, equal features."""
        return digest_of([SCHEMA_VERSION, self.as_json()])

    def as_json(self) -> dict[str, Any]:
        """The record kept beside the features."""
        return asdict(self)


def weights_digest(backbone: keras.Model) -> str:
    """SHA-256 over the names, shapes and bytes of all weights of a network, in their order.

    Names are those within a layer: the layers' own are counted by Keras as they come into being.
    """
    total = hashlib.sha256()
    for variable in backbone.weights:
        values = np.ascontiguousarray(variable.numpy())
        total.update(f"{variable.name} {values.dtype} {values.shape}\n".encode())
        total.update(values.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
