"""False names: photographs without an organism for which an app would show a taxon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taxonvision.evaluation.scores import Scores
from taxonvision.progress import track
from taxonvision.runtime.answer import Decision, decide
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy


def are_named(
    scenes: Scores, taxonomy: Taxonomy, class_taxon_ids: Sequence[int], thresholds: Thresholds
) -> np.ndarray:
    """Bool [m]: whether a taxon is sure, or the best classes have a common ancestor.

    Each scene is decided on as `runtime.answer.decide` does.

    Args:
        scenes: scores of m photographs without an organism.
        taxonomy: the tree of the classes.
        class_taxon_ids: the model's classes.
        thresholds: the app's.
    """
    roll_up = RollUp(taxonomy, class_taxon_ids)
    position = {taxon_id: i for i, taxon_id in enumerate(class_taxon_ids)}
    numbers = track(range(len(scenes)), len(scenes), "deciding on scenes", "scenes", closing=False)
    named = (_has_name(decide(roll_up, _full(scenes, i, position), thresholds)) for i in numbers)
    return np.fromiter(named, bool, len(scenes))


def _has_name(decision: Decision) -> bool:
    return decision.sure is not None or decision.common_ancestor is not None


def _full(scenes: Scores, scene: int, position: dict[int, int]) -> np.ndarray:
    """One scene's scores of all classes, float64 [C].

    Of classes that were not kept only the sum is known. It is spread evenly: unless a model of
    very many classes knows nothing, each of them then is below the share that is dropped, as it
    was, and the sum of all is what it was.
    """
    begin, end = scenes.classes.starts[scene : scene + 2].tolist()
    kept = [position[taxon_id] for taxon_id in scenes.classes.taxon_ids[begin:end].tolist()]
    others = len(position) - len(kept)
    scores = np.full(len(position), float(scenes.rest[scene]) / others if others else 0.0)
    scores[kept] = scenes.classes.scores[begin:end]
    return scores
