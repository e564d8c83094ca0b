"""Thresholds by taxon, chosen on results, for a model that is exported."""

from __future__ import annotations

from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.evaluation.threshold_files import read_chosen
from taxonvision.models.directory import Model
from taxonvision.progress import say
from taxonvision.taxonomy.classes import active_ids


def own_thresholds(model: Model, table: Path | None) -> dict[int, float]:
    """The thresholds that `taxonvision thresholds` chose, by taxon id, of taxa in the model's tree.

    Empty without a table. Raises UserError for a table that cannot be read, and for one of
    another model.
    """
    if table is None:
        return {}
    chosen = read_chosen(table)
    tree = model.taxonomy.closure(model.classes[n].taxon_id for n in active_ids(model.classes))
    own = {taxon_id: value for taxon_id, value in chosen.items() if taxon_id in tree}
    if not own:
        raise UserError(
            f"{table} has no threshold for a taxon of the model {model.name}; choose them with "
            "`taxonvision thresholds` on its results"
        )
    if len(own) < len(chosen):
        strangers = len(chosen) - len(own)
        say(
            f"warning: {table} has thresholds for {len(chosen)} taxa, {strangers} of which "
            f"{'is' if strangers == 1 else 'are'} not in the model and left out"
        )
    return own
