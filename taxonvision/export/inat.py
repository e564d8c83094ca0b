"""What the iNaturalist and Seek apps read beside a model: the tree, twice, and the common names.

Source: inaturalist/vision-camera-plugin-inatvision (Node.java, Taxonomy.java; VCPNode.m,
VCPTaxonomy.m). `inat_rules` checks what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonvision.errors import UserError
from taxonvision.export.inat_names import packed_names
from taxonvision.progress import say, working
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.text import one_line, several

SIZE = 299
"""The side in pixels of the photograph that the apps give the model, as float32."""
TAXONOMY_CSV, TAXONOMY_JSON, COMMON_NAMES = "taxonomy.csv", "taxonomy.json", "commonNames.tar.gz"
COLUMNS = (
    "parent_taxon_id", "taxon_id", "rank_level", "leaf_class_id", "iconic_class_id",
    "spatial_class_id", "geo_threshold", "name",
)  # fmt: skip
"""The plugin finds columns by name; the app's search without a network reads the name from the
eighth. The three before it belong to a geographic model and stay empty."""
LIFE = 48460
"""The taxon above all; the apps add it themselves."""
LARGEST_ID = 2**31 - 1
"""The apps read ids as Java's Integer."""
# The apps show ranks whose level is divisible by ten.
_LEVELS_NOT_SHOWN = sorted({level for level in RANK_LEVELS.values() if level % 10}, reverse=True)


@dataclass(frozen=True)
class InatRow:
    """A row of the tree as the apps read it.

    Attributes:
        parent_taxon_id: None for a root.
        taxon_id: from 1 to `LARGEST_ID`.
        rank_level: a whole number, or with a fraction where iNaturalist has one (33.5 and 34.5).
        leaf_class_id: the model's output, for a row without children only.
        name: the scientific name without a comma or a quote.
        taxon: the taxon it stands for, another one where the row was added below it.
    """

    parent_taxon_id: int | None
    taxon_id: int
    rank_level: float
    leaf_class_id: int | None
    name: str
    taxon: int

    def as_json(self) -> dict[str, Any]:
        """The object in `taxonomy.json`: numbers, or None where a cell of the CSV is empty."""
        level = int(self.rank_level) if self.rank_level == int(self.rank_level) else self.rank_level
        values = (self.parent_taxon_id, self.taxon_id, level, self.leaf_class_id)
        return dict(zip(COLUMNS, (*values, None, None, None, self.name), strict=True))


def write_inat(
    folder: Path, taxonomy: Taxonomy, class_taxon_ids: Sequence[int], names: Names
) -> None:
    """Write `taxonomy.csv`, `taxonomy.json` and `commonNames.tar.gz` into an existing folder.

    Args:
        folder: where.
        taxonomy: a tree with all classes; only they and their ancestors are written.
        class_taxon_ids: the taxon of each output of the model.
        names: common names by language.

    Raises:
        UserError: a taxon id is too large for the apps.
    """
    rows = inat_rows(taxonomy, class_taxon_ids)
    changed = {row.taxon for row in rows if row.name != taxonomy[row.taxon].name}
    if changed:
        say(
            f"{several(len(changed), 'name')} with a comma or a quote, which the iNaturalist app "
            f"cannot read, got spaces instead in {folder.name}/{TAXONOMY_CSV}"
        )
    objects = [row.as_json() for row in rows]
    lines = [",".join(COLUMNS)]
    lines += [",".join("" if v is None else str(v) for v in each.values()) for each in objects]
    (folder / TAXONOMY_CSV).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    text = json.dumps(objects, ensure_ascii=False, separators=(",", ":"))
    (folder / TAXONOMY_JSON).write_text(text, encoding="utf-8")
    with working("packing common names for the iNaturalist app"):
        packed = packed_names({row.taxon_id: row.taxon for row in rows}, names)
    (folder / COMMON_NAMES).write_bytes(packed)


def inat_rows(taxonomy: Taxonomy, class_taxon_ids: Sequence[int]) -> list[InatRow]:
    """The rows of the classes and their ancestors, without Life, in the order of the tree.

    In the apps a taxon with children has no score of its own. So a class with classes below it
    gets a row without children there, with its name and its output. The id of such a row is the
    largest that is free, so that no taxon of iNaturalist will have it; its rank is the next below
    that the apps do not show, so that they show the taxon itself, whose score is never lower.

    Raises UserError for a taxon id that the apps cannot read.
    """
    tree = taxonomy.closure(class_taxon_ids)
    too_large = next((t for t in tree if t.taxon_id > LARGEST_ID), None)
    if too_large is not None:
        raise UserError(
            f"taxon {too_large.taxon_id} ({too_large.name}) cannot be written for the iNaturalist "
            f"app, whose ids end at {LARGEST_ID}; give it another taxon_id"
        )
    output_of = {taxon_id: output for output, taxon_id in enumerate(class_taxon_ids)}
    children = tree.children()
    free = _free_ids({taxon.taxon_id for taxon in tree} | {LIFE})
    rows = []
    for taxon in tree:
        taxon_id, output, name = taxon.taxon_id, output_of.get(taxon.taxon_id), _plain(taxon.name)
        inner = taxon_id in children or taxon_id == LIFE
        if taxon_id != LIFE:
            parent = None if taxon.parent_taxon_id == LIFE else taxon.parent_taxon_id
            own = None if inner else output
            rows.append(InatRow(parent, taxon_id, taxon.rank_level, own, name, taxon_id))
        if inner and output is not None:
            parent = None if taxon_id == LIFE else taxon_id
            level = next((lv for lv in _LEVELS_NOT_SHOWN if lv < taxon.rank_level), None)
            level = taxon.rank_level if level is None else level
            rows.append(InatRow(parent, next(free), level, output, name, taxon_id))
    return rows


def _free_ids(taken: Collection[int]) -> Iterator[int]:
    return (number for number in range(LARGEST_ID, 0, -1) if number not in taken)


def _plain(name: str) -> str:
    return one_line(name.replace(",", " ").replace('"', " ")) or "unnamed"
