"""Trees that hypothesis draws."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from taxonvision.taxonomy.tree import Taxon


@st.composite
def forests(draw, ranks: Sequence[str], largest_id: int) -> tuple[list[Taxon], list[int]]:
    """Taxa, parents before children, and the ids of classes on any of them, in any order."""
    ids = draw(st.lists(st.integers(1, largest_id), min_size=1, max_size=25, unique=True))
    taxa = [
        Taxon.of_rank(
            taxon_id,
            draw(st.none() | st.sampled_from(ids[:position])) if position else None,
            draw(st.sampled_from(ranks)),
            f"T{taxon_id}",
        )
        for position, taxon_id in enumerate(ids)
    ]
    return taxa, draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
