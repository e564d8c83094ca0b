"""A model names the photographs of a split; what it says is kept as results.

Scoring is what takes long. It depends on the model and the photographs alone, goes on where a
killed run ended, and is not done again for results whose figures are to be made in another way or
by another version of this program.
"""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import taxonvision
from taxonvision.catalog.examples import (
    Examples,
    LabelledPhotos,
    Observed,
    warn_if_shrunk_below,
)
from taxonvision.errors import AlreadyDone, UserError
from taxonvision.evaluation.bootstrap import REPLICATES
from taxonvision.evaluation.figures import write_figures
from taxonvision.evaluation.parts import write_scored
from taxonvision.evaluation.results import (
    KNOWN,
    MANIFEST,
    SCENES,
    SCHEMA_VERSION,
    SCORES,
    KnownTaxa,
    Results,
    write_known,
    write_own_thresholds,
)
from taxonvision.evaluation.score_files import are_whole, read_scores
from taxonvision.evaluation.scores import NO_TAXON, Labelled
from taxonvision.photograph import PhotographError, Source, listed_but_unusable
from taxonvision.progress import say, say_left_out
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.storage import (
    Recipe,
    digest_of,
    publish_resuming,
    read_json,
    replacing_file,
    write_json,
)
from taxonvision.taxonomy.names import Names, write_names
from taxonvision.taxonomy.tree import Taxonomy, write_taxonomy
from taxonvision.text import several

_SCORING = "scores 1"
"""Another one throws away what is scored of unfinished results."""
_TIMED_PHOTOGRAPHS = 50


@dataclass(frozen=True)
class Scenes:
    """Photographs without an organism, somewhere below a folder."""

    folder: Path
    paths: Sequence[Path]

    @property
    def by_id(self) -> dict[str, Source]:
        """The photographs by their paths from the folder, which are their ids."""
        return {path.relative_to(self.folder).as_posix(): path for path in self.paths}


def evaluate(
    recognizer: Recognizer,
    catalog: Examples,
    split: str,
    out: Path,
    recipe: Recipe,
    *,
    scenes: Scenes | None = None,
    replicates: int = REPLICATES,
    overwrite: bool = False,
) -> None:
    """Score all photographs of a split, of a catalog or its shards, and write the results `out`.

    Args:
        recognizer: the model.
        catalog: the catalog or its shards.
        split: which of the photographs.
        out: the folder to write. Where it holds results of the same recipe whose figures were made
            otherwise, their scores are taken over.
        recipe: how the photographs are scored; figures do not belong to it.
        scenes: photographs without an organism, to be scored as well.
        replicates: of the bootstrap that intervals come from; 0: no intervals.
        overwrite: replace what stands at `out`, and score again.

    Raises UserError when the split is empty, the model knows none of the catalog's taxa, or a
    photograph cannot be read.
    """
    figures = {"taxonvision": taxonvision.__version__, "replicates": replicates}
    before = None if overwrite else _made_before(out, recipe)
    scored = before is not None and before.get("schema_version") == SCHEMA_VERSION
    if before is not None and scored and figures.items() <= before.items():
        raise AlreadyDone(str(out))
    scored = scored and _scores_are_whole(out)
    photos = catalog.photos(split)
    truth = _truth(recognizer, catalog, split, photos)
    with publish_resuming(
        out, MANIFEST, recipe, version=_SCORING, overwrite=overwrite or before is not None
    ) as partial:
        if before is not None and scored:
            say(f"the scores in {out} are kept; the figures are made anew")
            _take_over(out, partial)
            latency = before["median_latency_ms"]
        else:
            latency = _median_latency(recognizer, photos.sources[:_TIMED_PHOTOGRAPHS])
            photographs = _labelled(photos.photo_ids, truth, catalog.observed(split))
            path, what = partial / SCORES, f"scoring {split}"
            write_scored(recognizer, photographs, photos.sources, path, what, _refuse)
            if scenes is not None:
                _score_scenes(recognizer, scenes, partial / SCENES)
        manifest = {
            **_described(recognizer, catalog, split, recipe),
            **figures,
            "scenes": None if scenes is None else {"folder": str(scenes.folder.absolute())},
            "median_latency_ms": latency,
        }
        results = _results(recognizer, catalog, partial, manifest)
        sources = dict(zip(photos.photo_ids, photos.sources, strict=True))
        if scenes is not None:
            sources = scenes.by_id | sources
        words = write_figures(results, recognizer, replicates, sources)
        with replacing_file(partial / MANIFEST) as file:
            write_json(file, {**manifest, "words": words})


def _made_before(out: Path, recipe: Recipe) -> Mapping[str, Any] | None:
    """What results of the same recipe say of themselves; None where `out` is anything else."""
    try:
        manifest = read_json(out / MANIFEST)
        return manifest if manifest["made_by"]["digest"] == recipe.digest else None
    except (UserError, KeyError, TypeError):
        return None


def _truth(
    recognizer: Recognizer, catalog: Examples, split: str, photos: LabelledPhotos
) -> np.ndarray:
    """The taxa of the photographs, int64 [n]; UserError where the model can name none of them."""
    if not len(photos):
        counts = {name: catalog.manifest["counts"][name] for name in ("train", "val", "test")}
        raise UserError(f"{catalog.folder} has no photograph in the split {split}: {counts}")
    truth = np.array([c.taxon_id for c in catalog.classes], np.int64)[photos.class_ids]
    known = np.isin(truth, recognizer.class_taxon_ids)
    if not known.any():
        raise UserError(
            f"{recognizer.name} knows none of the taxa in the split {split} of {catalog.folder}: "
            "the taxon ids of model and catalog differ"
        )
    if not known.all():
        say(
            f"warning: {several(int((~known).sum()), 'photograph')} of "
            f"{several(len(np.unique(truth[~known])), 'taxon')} that {recognizer.name} does not "
            "know will count as named wrong"
        )
    contract = recognizer.contract
    warn_if_shrunk_below(catalog, math.floor(contract.size / contract.crop_ratio))
    return truth


def _labelled(photo_ids: list[str], truth: np.ndarray, observed: Observed) -> Labelled:
    return Labelled(
        photo_ids, observed.observation_ids, truth, observed.latitudes, observed.longitudes
    )


def _refuse(source: Source, reason: PhotographError) -> None:
    raise UserError(listed_but_unusable(source, reason))


def _score_scenes(recognizer: Recognizer, scenes: Scenes, path: Path) -> None:
    """Write the scores of the scenes that can be read; UserError when none can."""
    names = list(scenes.by_id)
    faults: list[str] = []
    write_scored(
        recognizer,
        Labelled.of(names, np.full(len(names), NO_TAXON)),
        scenes.paths,
        path,
        "scoring scenes",
        lambda scene, reason: faults.append(f"{scene}: {reason}"),
    )
    say_left_out(faults, "--negatives")
    if not len(read_scores(path)):
        raise UserError(f"no photograph in {scenes.folder}, which --negatives names, can be read")


def _scores_are_whole(out: Path) -> bool:
    """Whether the scores of finished results can be read; says which of them cannot."""
    there = [SCORES, SCENES] if (out / SCENES).exists() else [SCORES]
    damaged = [name for name in there if not are_whole(out / name)]
    for name in damaged:
        say(f"{out / name} is damaged; the photographs are scored again")
    return not damaged


def _take_over(out: Path, partial: Path) -> None:
    """Copy the scores of finished results."""
    for name in (SCORES, SCENES):
        if (out / name).exists():
            with replacing_file(partial / name) as file:
                shutil.copyfile(out / name, file)


def _described(
    recognizer: Recognizer, catalog: Examples, split: str, recipe: Recipe
) -> dict[str, Any]:
    """What results.json says of the model and the photographs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "made_by": recipe.as_json(),
        "model": {
            "name": recognizer.name,
            "fingerprint": recognizer.fingerprint,
            "bytes": recognizer.bytes,
            "classes": len(recognizer.class_taxon_ids),
            "facts": dict(recognizer.facts),
        },
        "catalog": {
            "fingerprint": catalog.fingerprint,
            "folder": str(catalog.folder.absolute()),
        },
        "split": split,
        "thresholds": recognizer.thresholds.as_json(),
        "threads": recognizer.threads,
        "fingerprint": digest_of(
            [recognizer.fingerprint, catalog.fingerprint, split, recipe.digest]
        ),
    }


def _results(
    recognizer: Recognizer, catalog: Examples, folder: Path, manifest: Mapping[str, Any]
) -> Results:
    """The results in a folder that has the scores; writes what else is known beside them."""
    tree = _both_trees(recognizer.taxonomy, catalog.taxonomy)
    scenes = folder / SCENES
    results = Results(
        folder=folder,
        manifest=manifest,
        taxonomy=tree,
        scores=read_scores(folder / SCORES),
        known=_known(recognizer, catalog),
        scenes=read_scores(scenes) if scenes.exists() else None,
        names=_names_in(tree, catalog.names, recognizer.names),
        thresholds=recognizer.thresholds,
    )
    write_taxonomy(folder / "taxonomy.csv", results.taxonomy)
    write_names(folder / "names.csv", results.names)
    write_known(folder / KNOWN, results.known)
    write_own_thresholds(folder, results.thresholds)
    return results


def _both_trees(first: Taxonomy, second: Taxonomy) -> Taxonomy:
    return Taxonomy([*first, *(taxon for taxon in second if taxon.taxon_id not in first)])


def _known(recognizer: Recognizer, catalog: Examples) -> KnownTaxa:
    counts = catalog.count_by_class("train").tolist()
    trained = dict(zip((c.taxon_id for c in catalog.classes), counts, strict=True))
    taxon_ids = recognizer.class_taxon_ids
    return KnownTaxa(
        np.array(taxon_ids, np.int64), np.array([trained.get(t, 0) for t in taxon_ids], np.int64)
    )


def _names_in(tree: Taxonomy, *sources: Names) -> Names:
    """The common names of the tree's taxa; of two for one taxon the first source's."""
    names: dict[str, dict[int, str]] = {}
    for source in sources:
        for language, by_taxon in source.items():
            known = names.setdefault(language, {})
            known.update((t, name) for t, name in by_taxon.items() if t in tree and t not in known)
    return names


def _median_latency(recognizer: Recognizer, sources: Sequence[Source]) -> float:
    """Milliseconds that the model takes for one photograph, its decoding not counted."""
    seconds = []
    for batch in recognizer.contract.read_batches(sources, 1):
        start = time.perf_counter()
        recognizer.score(batch)
        seconds.append(time.perf_counter() - start)
    warm = seconds[len(seconds) // 5 :]
    return round(1000 * statistics.median(warm), 3)
