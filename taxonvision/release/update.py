"""The next release of a model: its head grown for new taxa, refitted, judged and described.

A photograph passes the frozen backbone once in the life of all releases that share it; what is
fitted is the head alone.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from taxonvision.catalog.catalog import Catalog
from taxonvision.catalog.examples import Examples
from taxonvision.dataset.stored import stored_photos
from taxonvision.errors import GateRefusedError, UserError
from taxonvision.features.cache import default_cache
from taxonvision.features.cached import CachedFeatures
from taxonvision.features.rows import Rows
from taxonvision.features.store import FeatureStore
from taxonvision.models.backbones import Backbone
from taxonvision.models.classifier import assemble, take_apart
from taxonvision.models.directory import Lineage, Model, is_model, release_of, write_model
from taxonvision.models.trained_on import TrainedOn, among, read_trained_on
from taxonvision.parallel import cores
from taxonvision.progress import say
from taxonvision.release.answers import judge_heads
from taxonvision.release.grow import NEW, SPLIT, Grown, grow_head
from taxonvision.release.imprint import imprint
from taxonvision.release.keep import DISTILL, KeepOptions, Kept, Listed, keep_old_taxa
from taxonvision.release.lineage import read_lineage
from taxonvision.release.notes import write_release_notes
from taxonvision.release.plan import Plan, plan_release
from taxonvision.release.record import PhotographCounts, Release
from taxonvision.release.verdict import Verdict
from taxonvision.storage import Recipe, read_json, set_aside, write_json
from taxonvision.taxonomy.changes import Changes
from taxonvision.taxonomy.classes import retired_ids
from taxonvision.text import several
from taxonvision.training.extraction import extract, features_of, with_contents
from taxonvision.training.feeds import Features
from taxonvision.training.head import Guard, Head, HeadOptions, fit_active
from taxonvision.training.signals import Notice
from taxonvision.training.strategies import Placement, lost_workers_told, place
from taxonvision.training.unfinished import remove_unfinished, unfinished_model

REFUSED = ".refused"
"""Where a release goes that the gate refuses: OUT.refused."""
GATE = "gate.json"
"""All that the gate found; `model.json` has the headline."""
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class UpdateOptions:
    """How the next release is made.

    Attributes:
        head: how the head is refitted; None: not at all, rows of new taxa are imprinted.
        name: what the model calls itself; None: as its parent does.
        keep: what guards old taxa whose photographs are not all at hand.
        max_regression: the loss of top-1 among old taxa that is let pass, a fraction of 1.
        strict: whether a loss above it must be ruled out, not only unproven.
        force: publish whatever the gate says.
        cache: folder of features.
        views: looks at each photograph that the head is fitted on.
        seed: of all that is random.
        strategy: one of `strategies.CHOICES`.
        tpu: the name of a TPU; None: none.
    """

    head: HeadOptions | None
    name: str | None = None
    keep: KeepOptions = field(default_factory=KeepOptions)
    max_regression: float = 0.005
    strict: bool = False
    force: bool = False
    cache: Path = field(default_factory=default_cache)
    views: int = 1
    seed: int = 0
    strategy: str = "auto"
    tpu: str | None = None


def update(
    parent: Model,
    examples: Examples,
    changes: Changes,
    options: UpdateOptions,
    out: Path,
    recipe: Recipe,
    *,
    overwrite: bool = False,
    notice: Notice | None = None,
) -> Mapping[str, Any] | None:
    """Make the release `out` that follows `parent`; returns its manifest, None for other workers.

    Args:
        parent: the release before, of any backbone.
        examples: a catalog or shards of all photographs or only of new ones.
        changes: what became of taxa.
        options: how.
        out: where.
        recipe: how it is made.
        overwrite: replace what stands there.
        notice: tells that the process must end soon.

    Raises:
        UserError: the parent, the examples or a flag do not allow it; the sentence says which.
        GateRefusedError: old taxa fare worse than is let pass; what was made is in `OUT.refused`.
        RequeueError: told to stop.
    """
    read_lineage(parent.folder)  # what is damaged in it would be handed on
    plan = plan_release(parent, examples, changes)
    if not examples.manifest["counts"]["train"]:
        raise UserError(f"{examples.folder} has no photographs in the split train to learn from")
    if options.head and options.head.fit.early_stopping and not examples.manifest["counts"]["val"]:
        raise UserError(
            f"{examples.folder} has no photographs in the split val, which --early_stopping needs"
        )
    refused = Path(f"{out}{REFUSED}")
    if refused.exists() and not is_model(refused):
        raise UserError(
            f"{refused}, where the release would go if it was refused, is something else; "
            "choose another --out, or move it"
        )
    placement = place(options.strategy, options.tpu)
    if placement.chief:
        say(placement.reason)
        say(f"{parent.folder}, version {parent.manifest['version']}: {plan.differences.in_words()}")
    notice = notice or Notice()
    with (
        lost_workers_told(),
        unfinished_model(out, recipe, chief=placement.chief, overwrite=overwrite) as folder,
    ):
        notice.only_note()
        keras.utils.set_random_seed(options.seed)
        tf.config.experimental.enable_op_determinism()
        making = _Making(parent, examples, plan, options, placement, notice, folder)
        making.extract()
        if not placement.chief:
            return None
        verdict = making.release(recipe)
        remove_unfinished(folder)
        if not verdict.passed and not options.force:
            place_of_it = set_aside(out, REFUSED)
            raise GateRefusedError(
                f"{verdict.reason}; {out} stays as it was, the model and its report are in "
                f"{place_of_it}, --force publishes"
            )
        say(verdict.reason if verdict.passed else f"published by --force: {verdict.reason}")
        return dict(read_json(folder / "model.json"))


@dataclass(frozen=True)
class _Fitted:
    """A head and how it came about."""

    head: Head
    history: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)


class _Making:
    """A release that is being made, and how long its steps took."""

    def __init__(
        self,
        parent: Model,
        examples: Examples,
        plan: Plan,
        options: UpdateOptions,
        placement: Placement,
        notice: Notice,
        folder: Path,
    ) -> None:
        self._parent, self._examples, self._plan, self._options = parent, examples, plan, options
        self._placement, self._notice, self._folder = placement, notice, folder
        self._seconds: dict[str, float] = {}
        self._photos = {split: with_contents(stored_photos(examples, split)) for split in _SPLITS}
        with self._timed("opening the parent"):
            try:
                network, kernel, bias = take_apart(parent.load())
                self._backbone = Backbone(
                    str(parent.manifest["backbone"]["name"]),
                    network,
                    parent.contract.size,
                    parent.contract.crop_ratio,
                    bool(parent.manifest["backbone"]["pretrained"]),
                )
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{parent.folder} is no backbone with a head; train anew") from None
        self._before = Head(kernel, bias)
        self._store = FeatureStore(
            options.cache,
            self._backbone,
            parent.contract,
            shrunk_to=examples.shrunk_to,
            views=options.views,
            strategy=placement.strategy,
        )

    def extract(self) -> None:
        """See to it that the features of all photographs are kept; waits for all workers."""
        with self._timed("features"):
            self._filled = extract(self._store, self._photos, self._placement, self._notice)

    def release(self, recipe: Recipe) -> Verdict:
        """Write the model and its notes; returns what the gate says of it."""
        plan = self._plan
        features = {split: self._features(split) for split in _SPLITS}
        trained_on = read_trained_on(self._parent.folder) or TrainedOn.nothing()
        kept = self._keep(trained_on.as_of(plan.changes.current), features["train"])
        say(kept.reason)
        self._warn_of_unlearned(features["train"])
        grown = grow_head(
            self._before.kernel,
            self._before.bias,
            self._parent.classes,
            plan.classes,
            trained_on.photographs,
            plan.changes,
        )
        with self._timed("head"):
            fitted = self._fit(
                grown, _with_replayed(features["train"], kept), features["val"], kept
            )
        with self._timed("gate"):
            verdict = self._judge(fitted.head, features["test"])
        manifest = self._write(recipe, fitted, verdict, kept, trained_on)
        self._describe(manifest, verdict, kept)
        return verdict

    def _features(self, split: str) -> Features:
        """The features of a split, with the class ids of this release."""
        found = features_of(self._store, self._photos[split])
        return replace(found, class_ids=self._plan.class_ids[found.class_ids])

    def _warn_of_unlearned(self, train: Features) -> None:
        added = self._plan.classes[len(self._parent.classes) :]
        seen = set(train.class_ids.tolist())
        names = [each.name for each in added if each.class_id not in seen]
        if names:
            say(
                f"warning: {several(len(names), 'new class')} without photographs in the split "
                f"train cannot be learned: {', '.join(names[:5])}{' ...' if names[5:] else ''}"
            )

    def _keep(self, trained_on: TrainedOn, train: Features) -> Kept:
        known = {self._plan.changes.current(c.taxon_id) for c in self._parent.classes if c.active}
        old = {taxon: number for taxon, number in self._plan.active.items() if taxon in known}
        contents = {split: photos.contents for split, photos in self._photos.items()}
        tested = int(among(contents["test"], trained_on.contents).sum())
        if tested:
            say(
                f"warning: the parent was trained on {tested} or more of the test photographs, "
                "which flatters it; ingest with --splits_from"
            )
        held_out = np.concatenate([contents["val"], contents["test"]])
        listed = Listed(train.class_ids, contents["train"], held_out)
        refit = self._options.head is not None
        return keep_old_taxa(self._options.keep, trained_on, old, listed, self._store, refit=refit)

    def _fit(self, grown: Grown, train: Features, held_out: Features, kept: Kept) -> _Fitted:
        """Refit the head, or imprint the rows of new taxa."""
        options, plan = self._options, self._plan
        if options.head is None:
            # Those split off start as copies of one row, which tells none from the others.
            new = np.flatnonzero(np.isin(grown.origins, (NEW, SPLIT)))
            old = np.setdiff1d(np.array(list(plan.active.values()), np.int64), new)
            return _Fitted(
                Head(
                    *imprint(
                        grown.kernel, grown.bias, train.values, train.class_ids,
                        new=new, old=old, seed=options.seed,
                    )
                )
            )  # fmt: skip
        start = Head(grown.kernel, grown.bias)
        guard = None
        if kept.how == DISTILL:
            old = np.array(
                [c.class_id for c in self._parent.classes if plan.classes[c.class_id].active]
            )
            before = Head(grown.kernel[:, old].copy(), grown.bias[old].copy())
            guard = Guard(before, old, options.keep.weight)
        head, outcome = fit_active(
            start, plan.classes, plan.taxonomy, train, held_out, options.head, self._notice,
            self._folder, guard,
        )  # fmt: skip
        metrics = {name: value for name, value in outcome.kept.items() if name != "trained"}
        return _Fitted(head, outcome.history, metrics)

    def _judge(self, after: Head, test: Features) -> Verdict:
        options, before = self._options, self._before
        return judge_heads(
            (before.kernel, before.bias),
            self._parent.classes,
            (after.kernel, after.bias),
            self._plan,
            test.values,
            test.class_ids,
            max_regression=options.max_regression,
            strict=options.strict,
        )

    def _write(
        self, recipe: Recipe, fitted: _Fitted, verdict: Verdict, kept: Kept, trained_on: TrainedOn
    ) -> Mapping[str, Any]:
        """Write the model; returns its manifest."""
        parent, plan, options = self._parent, self._plan, self._options
        head, train = fitted.head, self._photos["train"]
        model = assemble(self._backbone.model, head.kernel, head.bias, retired_ids(plan.classes))
        taxa = plan.taxon_ids[plan.class_ids[train.class_ids]]
        found = verdict.as_json(plan.taxonomy)
        write_json(self._folder / GATE, found)
        headline = {name: found[name] for name in ("judged", "passed", "reason", "loss")}
        forced = not verdict.passed and options.force
        return write_model(
            self._folder,
            model,
            name=options.name or parent.name,
            recipe=recipe,
            contract=parent.contract,
            classes=plan.classes,
            taxonomy=plan.taxonomy,
            names=plan.names,
            history=fitted.history,
            facts={
                "backbone": parent.manifest["backbone"],
                "trained": "head",
                "kept": kept.how,
                "placement": self._placement.reason,
                "catalog": self._examples.fingerprint,
                "cache": self._store.as_json(),
                "metrics": dict(fitted.metrics),
                "changes": plan.differences.as_json(),
                "seconds": {step: round(seconds, 1) for step, seconds in self._seconds.items()},
            },
            trained_on=trained_on.as_of(plan.changes.current).with_more(taxa, train.contents),
            lineage=Lineage(
                version=plan.version,
                ancestors=[*parent.manifest.get("lineage", ()), release_of(parent)],
                changes=plan.differences.counts,
                gate={**headline, "forced": forced},
            ),
        )

    def _describe(self, manifest: Mapping[str, Any], verdict: Verdict, kept: Kept) -> None:
        """Write the release notes."""
        parent, plan, placement = self._parent, self._plan, self._placement
        replicas = placement.replicas
        gpus = bool(tf.config.list_physical_devices("GPU"))
        write_release_notes(
            self._folder,
            Release(
                name=manifest["name"],
                version=plan.version,
                made_on=datetime.date.fromisoformat(manifest["release"]["made_on"]),
                parent_name=parent.name,
                parent_version=parent.manifest["version"],
                fingerprint=manifest["fingerprint"],
                backbone=self._parent.manifest["backbone"]["name"],
                differences=plan.differences,
                classes=plan.classes,
                taxonomy=plan.taxonomy,
                names=plan.names,
                verdict=verdict,
                forced=not verdict.passed and self._options.force,
                photographs=PhotographCounts(
                    by_split={split: len(photos) for split, photos in self._photos.items()},
                    cached=sum(counts.known for counts in self._filled),
                    extracted=sum(counts.extracted for counts in self._filled),
                    replayed=len(kept.class_ids),
                ),
                seconds=self._seconds,
                devices=replicas if gpus else cores(),
                device="GPU" if gpus else "CPU core",
                catalog=self._examples.folder if isinstance(self._examples, Catalog) else None,
            ),
        )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._seconds[step] = time.monotonic() - start


def _with_replayed(train: Features, kept: Kept) -> Features:
    """The features to train on, and those of old photographs that are replayed, in every view."""
    if kept.features is None:
        return train
    values, *views = (_joined(look, kept.features) for look in (train.values, *train.views))
    return Features(values, np.concatenate([train.class_ids, kept.class_ids]), tuple(views))


def _joined(listed: Rows, replayed: CachedFeatures) -> Rows:
    assert isinstance(listed, CachedFeatures)  # as all that the store gives
    return listed.joined(replayed)
