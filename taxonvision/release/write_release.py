"""A release on disk: the model, what the gate found, and the notes."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from taxonvision.catalog.catalog import Catalog
from taxonvision.catalog.examples import Examples
from taxonvision.dataset.balance import used_photographs
from taxonvision.dataset.stored import StoredPhotos
from taxonvision.features.store import FeatureStore, Filled
from taxonvision.models.classifier import assemble
from taxonvision.models.directory import Lineage, release_of, write_model
from taxonvision.parallel import cores
from taxonvision.release.keep import Kept
from taxonvision.release.notes import write_release_notes
from taxonvision.release.options import UpdateOptions
from taxonvision.release.parent import Parent
from taxonvision.release.plan import Plan
from taxonvision.release.record import PhotographCounts, Release
from taxonvision.release.refit import Fitted
from taxonvision.release.verdict import Verdict
from taxonvision.storage import Recipe, write_json
from taxonvision.taxonomy.classes import retired_ids
from taxonvision.training.calibrate import Calibrated
from taxonvision.training.strategies import Placement, on_cpu

GATE = "gate.json"
"""All that the gate found; `model.json` has the headline."""


@dataclass(frozen=True)
class Made:
    """What the making of a release brought.

    Attributes:
        plan: its classes.
        photos: of the catalog, by split.
        filled: what the extraction of their features took.
        kept: what guarded old taxa.
        fitted: the head.
        calibrated: its temperature and its threshold.
        verdict: of the gate.
        seconds: step to how long it took.
    """

    plan: Plan
    photos: Mapping[str, StoredPhotos]
    filled: Sequence[Filled]
    kept: Kept
    fitted: Fitted
    calibrated: Calibrated
    verdict: Verdict
    seconds: Mapping[str, float]


def write_release(
    folder: Path,
    recipe: Recipe,
    parent: Parent,
    examples: Examples,
    made: Made,
    options: UpdateOptions,
    store: FeatureStore,
    placement: Placement,
) -> None:
    """Write the model with all that belongs to it into the existing `folder`."""
    forced = options.force and not made.verdict.passed
    found = made.verdict.as_json(made.plan.taxonomy)
    write_json(folder / GATE, found)
    headline = {name: found[name] for name in ("judged", "passed", "reason", "loss")}
    plan, head, train = made.plan, made.fitted.head, made.photos["train"]
    before = parent.model
    class_ids = plan.class_ids[train.class_ids]
    used = _used(made, class_ids, options)
    manifest = write_model(
        folder,
        assemble(
            parent.backbone.model,
            head.kernel,
            head.bias,
            retired_ids(plan.classes),
            made.calibrated.temperature,
            made.calibrated.unknown_logit,
        ),
        name=options.name or before.name,
        recipe=recipe,
        contract=before.contract,
        classes=plan.classes,
        taxonomy=plan.taxonomy,
        names=plan.names,
        history=made.fitted.history,
        facts={
            "backbone": before.manifest["backbone"],
            "trained": "head",
            "kept": made.kept.how,
            "placement": placement.reason,
            "catalog": examples.fingerprint,
            "cache": store.as_json(),
            "shrunk_to": examples.shrunk_to,
            "metrics": dict(made.fitted.metrics),
            **made.calibrated.as_json(),
            "changes": plan.differences.as_json(),
            "seconds": {step: round(seconds, 1) for step, seconds in made.seconds.items()},
        },
        trained_on=parent.trained_on.as_of(plan.changes.current).with_more(
            plan.taxon_ids[class_ids[used]], train.contents[used]
        ),
        lineage=Lineage(
            version=plan.version,
            ancestors=[*before.manifest.get("lineage", ()), release_of(before)],
            changes=plan.differences.counts,
            gate={**headline, "forced": forced},
        ),
    )
    catalog = examples.folder if isinstance(examples, Catalog) else None
    release = _record(manifest, parent, made, catalog, placement, forced=forced)
    write_release_notes(folder, release)


def _used(made: Made, class_ids: np.ndarray, options: UpdateOptions) -> np.ndarray:
    """Which training photographs, of classes int32 [n], changed a row: their numbers."""
    if options.head is None:  # only rows of new taxa were
        return np.flatnonzero(np.isin(class_ids, made.fitted.imprinted))
    rows = np.concatenate([class_ids, made.kept.class_ids])
    used = used_photographs(rows, options.head.sampling, options.head.seed)
    return used[used < len(class_ids)]


def _record(
    manifest: Mapping[str, Any],
    parent: Parent,
    made: Made,
    catalog: Path | None,
    placement: Placement,
    *,
    forced: bool,
) -> Release:
    """What the notes tell."""
    plan = made.plan
    gpus = bool(tf.config.list_physical_devices("GPU"))
    return Release(
        name=manifest["name"],
        version=plan.version,
        made_on=datetime.date.fromisoformat(manifest["release"]["made_on"]),
        parent_name=parent.model.name,
        parent_version=parent.model.manifest["version"],
        fingerprint=manifest["fingerprint"],
        backbone=parent.backbone.name,
        differences=plan.differences,
        classes=plan.classes,
        taxonomy=plan.taxonomy,
        names=plan.names,
        verdict=made.verdict,
        forced=forced,
        photographs=PhotographCounts(
            by_split={split: len(photos) for split, photos in made.photos.items()},
            cached=sum(counts.known for counts in made.filled),
            extracted=sum(counts.extracted for counts in made.filled),
            replayed=len(made.kept.class_ids),
        ),
        seconds=made.seconds,
        devices=placement.workers * cores() if on_cpu(placement) else placement.replicas,
        device="CPU core" if on_cpu(placement) else "GPU" if gpus else "TPU core",
        catalog=catalog,
    )
