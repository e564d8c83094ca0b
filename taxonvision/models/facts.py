"""What a model directory tells of how the model was made, for people who are shown its figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HYPERPARAMETERS = (
    "train", "top_share", "freeze_batch_norm", "image_size", "seed", "epochs", "batch_size",
    "optimizer", "learning_rate", "warmup", "weight_decay", "ema", "label_smoothing",
    "tree_smoothing", "logit_adjustment", "max_photos", "sampling", "early_stopping", "views",
    "augment", "precision", "deterministic",
)  # fmt: skip


def facts_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a `model.json` that may leave the machine: no path and no address.

    What the file does not tell is left out.
    """
    backbone = _part(manifest, "backbone")
    flags = _part(_part(manifest, "made_by"), "flags")
    parent = _part(manifest, "parent")
    facts = {
        "kind": "model",
        "version": manifest.get("version"),
        "made_on": _part(manifest, "release").get("made_on"),
        "backbone": backbone.get("name"),
        "pretrained": backbone.get("pretrained"),
        "trained": manifest.get("trained"),
        "parent": f"{parent.get('name')} {parent.get('version')}" if parent else None,
        "distilled": bool(manifest.get("distilled_from")) or None,
        "catalog": manifest.get("catalog"),
        "hyperparameters": {
            name: flags[name] for name in _HYPERPARAMETERS if flags.get(name) is not None
        },
        "temperature": _part(manifest, "calibration").get("temperature"),
        "placement": _devices(manifest.get("placement")),
        "packages": dict(_part(manifest, "packages")),
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value not in (None, {})}


def _devices(placement: Any) -> str | None:
    """`strategy multiworker: SLURM gave 4 tasks`; what follows may be the address of a machine."""
    return re.split(", | of ", placement)[0] if isinstance(placement, str) else None


def _part(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = manifest.get(name)
    return part if isinstance(part, Mapping) else {}
