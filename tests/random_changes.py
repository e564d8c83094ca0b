"""Tables of changes as hypothesis draws them, among the taxa 1 to 14."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.taxonomy.changes import Change, Changes


@st.composite
def changes_and_eligible(draw):
    """Merges and splits, and taxa that there still are after them."""
    lines = []
    for line in range(2, draw(st.integers(2, 7))):
        taxon_id = draw(st.integers(1, 14))
        if draw(st.booleans()):
            others = draw(st.lists(st.integers(1, 14), min_size=2, max_size=3, unique=True))
            lines += [Change("split", taxon_id, new, line=line) for new in others]
        else:
            lines.append(Change("merged", taxon_id, draw(st.integers(1, 14)), line=line))
    try:
        changes = Changes(lines)
    except UserError:
        assume(False)
    ids = [i for i in range(1, 15) if changes.current(i) == i]
    return changes, draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
