"""Photographs of a split by column, and parts of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.dataset.stored import StoredPhotos


def photographs(files, *, whole):
    """One for each file number given."""
    count = len(files)
    numbers = np.arange(count)
    return StoredPhotos(
        files=[Path(f"{number}.file") for number in range(5)],
        file_numbers=np.array(files, np.int32),
        offsets=numbers * 100,
        lengths=np.full(count, -1) if whole else numbers + 7,
        class_ids=numbers.astype(np.int32) % 3,
        photo_id=[f"p{number}" for number in range(count)].__getitem__,
        contents=np.stack([numbers, numbers + 50], axis=1).astype(np.uint64),
        shrink_to=256,
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.booleans(), st.data())
def test_those_taken_are_the_same_photographs(files, whole, data):
    photos = photographs(files, whole=whole)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(files) - 1))), np.int64)
    part = photos.take(chosen)
    assert len(part) == len(chosen)
    assert {path.name for path in part.files} == {f"{files[n]}.file" for n in chosen}
    assert [part.name(n) for n in range(len(part))] == [photos.name(n) for n in chosen.tolist()]
    assert part.class_ids.tolist() == photos.class_ids[chosen].tolist()
    assert part.contents.tolist() == photos.contents[chosen].tolist()
    assert part.file_numbers.dtype == np.int32
    assert part.shrink_to == 256
    again = part.take(np.arange(len(part))[::-1])
    assert [again.name(n) for n in range(len(part))] == [photos.name(n) for n in chosen[::-1]]
