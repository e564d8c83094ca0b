"""The classes of a head, `classes.csv`: a class id is a row of the head and never moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.tables import integer, read_csv, taxon_id_in, write_csv
from taxonvision.text import one_line

COLUMNS = ("class_id", "taxon_id", "name", "rank", "status", "since")
STATUSES = ("active", "retired")


@dataclass(frozen=True)
class TaxonClass:
    """One class: a taxon at any rank, and the release since which it is known."""

    class_id: int
    taxon_id: int
    name: str
    rank: str
    status: str
    since: str

    @property
    def active(self) -> bool:
        """Whether it is answered."""
        return self.status == "active"


def find_classes(path: Path) -> Path:
    """The `classes.csv` that `path` names: the file itself, or that of a model or a catalog."""
    if not path.is_dir():
        return path
    table = path / "classes.csv"
    if table.is_file():
        return table
    if (path / "bundle.json").is_file():
        raise UserError(
            f"{path} is a bundle, which numbers its outputs anew; give the model it was made from"
        )
    raise UserError(f"{path} has no classes.csv; give a model, a catalog or a classes.csv")


def read_classes(path: Path) -> list[TaxonClass]:
    """The classes by id; UserError when the ids do not count 0, 1, 2 ... or a taxon is repeated."""
    classes = []
    for row in read_csv(path, COLUMNS):
        if row["status"] not in STATUSES:
            raise UserError(
                f"{path}, line {row.line}: status must be active or retired, not {row['status']!r}"
            )
        classes.append(
            TaxonClass(
                class_id=integer(row, "class_id", path),
                taxon_id=taxon_id_in(row, "taxon_id", path),
                name=one_line(row["name"]),
                rank=row["rank"],
                status=row["status"],
                since=row["since"],
            )
        )
    classes.sort(key=lambda c: c.class_id)
    if [c.class_id for c in classes] != list(range(len(classes))):
        raise UserError(f"{path}: the class ids must count 0, 1, 2 ... without a gap")
    if len({c.taxon_id for c in classes}) != len(classes):
        raise UserError(f"{path}: a taxon has two classes")
    return classes


def active_ids(classes: Sequence[TaxonClass]) -> list[int]:
    """Ids of the classes that are answered."""
    return [each.class_id for each in classes if each.active]


def retired_ids(classes: Sequence[TaxonClass]) -> list[int]:
    """Ids of the classes that are not answered any more."""
    return [each.class_id for each in classes if not each.active]


def write_classes(path: Path, classes: Sequence[TaxonClass]) -> None:
    """Write `classes.csv`."""
    write_csv(path, COLUMNS, map(astuple, classes))
