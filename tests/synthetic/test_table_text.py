import re
import uuid

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.synthetic.table_text import (
    LARGEST_INTEGER,
    degrees,
    integers,
    lines,
    uuids,
    words,
)


@given(st.lists(st.integers(0, LARGEST_INTEGER), min_size=1))
def test_integers_are_written_in_decimal(values):
    text = lines([integers(np.array(values))]).decode()
    assert text == "".join(f"{value}\n" for value in values)


@given(st.lists(st.floats(-180, 180), min_size=1))
def test_degrees_have_ten_decimals_of_which_six_count(values):
    texts = lines([degrees(np.array(values))]).decode().splitlines()
    assert len(texts) == len(values)
    for text, value in zip(texts, values, strict=True):
        assert re.fullmatch(r"(0|-?[1-9]\d*|-0(?=\.0*[1-9]))\.\d{6}0000", text)
        assert abs(float(text) - value) <= 0.5000001e-6


def test_uuids_are_of_version_4_and_all_different():
    made = lines([uuids(np.random.default_rng(0), 1000)]).decode().splitlines()
    parsed = [uuid.UUID(text) for text in made]
    assert [str(one) for one in parsed] == made
    assert {(one.version, one.variant) for one in parsed} == {(4, uuid.RFC_4122)}
    assert len(set(parsed)) == 1000


@given(st.lists(st.tuples(st.text("abc", max_size=5), st.integers(0, 99999))))
def test_a_table_has_tabs_between_its_columns_and_ends_its_lines(rows):
    rows = [("first", 0), *rows]
    columns = [words([word for word, _ in rows]), "same", integers(np.array([n for _, n in rows]))]
    assert lines(columns).decode() == "".join(f"{word}\tsame\t{n}\n" for word, n in rows)
