from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.sources.files import entries, find_files, photographs

NAMES = st.text(st.sampled_from("a-0é\U0001f98b"), min_size=1, max_size=2)
PARTS = st.builds(str.__add__, NAMES, st.sampled_from(["", ".jpg", ".heic", ".txt"]))
PATHS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=20)


@given(PATHS)
def test_files_come_in_the_order_of_their_paths(paths):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in paths:
            if any((root / above).is_file() for above in (path, *Path(path).parents)):
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if not (root / path).is_dir():
                (root / path).touch()
        listed = [path for path, _ in entries(root)]
        assert listed == sorted(listed)
        expected = {str(p.relative_to(root)) + "/" * p.is_dir() for p in root.rglob("*")}
        assert set(listed) == expected
        files, one_by_one = find_files(root), dict(photographs(root))
        rejects = {reject.path: reject.reason for reject in files.rejects}
        assert [p for p in one_by_one if p not in rejects] == files.photos
        assert {p: one_by_one[p] for p in rejects} == rejects
        assert len(one_by_one) == len(files.photos) + len(rejects)
