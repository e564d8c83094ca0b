from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError
from taxonvision.runtime import answer_file
from taxonvision.runtime.answer import Answer, Suggestion
from taxonvision.runtime.answer_file import FILE_FORMATS, write_answers
from taxonvision.runtime.answer_formats import COLUMNS, TEXT_FORMATS
from taxonvision.storage import Recipe
from taxonvision.taxonomy.tree import Taxon
from taxonvision.text import of_path

RECIPE = Recipe("predict")
NUMBERS = {"place", "taxon_id", "score", "sure_taxon_id", "common_ancestor_taxon_id"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SUGGESTIONS = st.builds(
    Suggestion,
    st.builds(
        lambda taxon_id, name: Taxon.of_rank(taxon_id, None, "species", name),
        st.integers(1, 2**40),
        st.text(st.sampled_from('aé ",\n\r<'), min_size=1, max_size=6),
    ),
    TEXTS,
    st.floats(0, 1, width=32),
)
ANSWERS = st.one_of(
    st.builds(
        Answer,
        st.booleans(),
        st.lists(SUGGESTIONS, min_size=1, max_size=3),
        st.lists(SUGGESTIONS, max_size=2),
        st.none() | SUGGESTIONS,
        st.none() | SUGGESTIONS,
    ),
    st.builds(PhotographError, st.sampled_from(["empty file", 'damaged: "x", y'])),
)
PATHS = st.text(st.sampled_from('aä ",\n\r\udce9'), min_size=1, max_size=5).map(Path)
NAMED = st.lists(st.tuples(PATHS, ANSWERS), min_size=1, max_size=9)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(answer_file, "PART", 3)


def written(out, kind, answers, recipe=RECIPE, stop=None):
    """The bytes, where the run began, and which broken photographs it was told of."""
    told, began = [], []

    def answers_from(start):
        began.append(start)
        for number, named in enumerate(answers[start:], start):
            if number == stop:
                raise KeyboardInterrupt
            if isinstance(named[1], PhotographError):
                told.append(of_path(named[0]))
            yield named

    try:
        write_answers(
            out, kind, len(answers), answers_from, recipe,
            lambda photo, reason: told.append(photo),
        )  # fmt: skip
    except KeyboardInterrupt:
        assert stop is not None
        return None
    return out.read_bytes(), began[0], told


def parquet_rows(path):
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.read_parquet(str(path))
        assert dict(zip(rows.columns, map(str, rows.types), strict=True)) == COLUMNS
        return rows.fetchall()


@settings(max_examples=10)
@given(answers=NAMED)
def test_all_formats_hold_the_same(answers):
    with tempfile.TemporaryDirectory() as folder:
        outs = {kind: Path(folder) / kind for kind in FILE_FORMATS}
        texts = {kind: written(outs[kind], kind, answers)[0] for kind in FILE_FORMATS}
        for kind, text in TEXT_FORMATS.items():  # as on the screen
            assert texts[kind].decode() == "".join(text.text(answers))
        values = json.loads(texts["json"])
        plain = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        assert texts["json"].decode() == plain
        assert [json.loads(line) for line in texts["jsonl"].decode().split("\n")[:-1]] == values
        table = list(csv.reader(io.StringIO(texts["csv"].decode(), newline="")))
        assert table[0] == list(COLUMNS)
        typed = parquet_rows(outs["parquet"])
        assert len(typed) == len(table) - 1
        for row, cells in zip(typed, table[1:], strict=True):
            for column, value, cell in zip(COLUMNS, row, cells, strict=True):
                if value is None:
                    assert cell == ""
                elif column in NUMBERS:
                    assert float(cell) == value
                else:
                    assert cell == (str(value).lower() if column == "known" else value)
        photos = [value["photo"] for value in values]
        assert photos == [of_path(path) for path, _ in answers]
        for value in values:
            rows = [row for row in typed if row[0] == value["photo"]]
            if "error" in value:
                assert value["error"] in {row[7] for row in rows}
            else:
                names = [s["name"] for s in value["suggestions"]]
                assert set(names) <= {row[3] for row in rows}


@settings(max_examples=12)
@given(answers=NAMED, kind=st.sampled_from(FILE_FORMATS), data=st.data())
def test_a_run_that_was_ended_goes_on_to_the_same_bytes(answers, kind, data):
    stop = data.draw(st.integers(0, len(answers) - 1))
    with tempfile.TemporaryDirectory() as folder:
        whole, _, told = written(Path(folder) / "whole", kind, answers)
        out = Path(folder) / "out"
        out.write_text("old")
        written(out, kind, answers, stop=stop)
        assert out.read_text() == "old"
        assert written(out, kind, answers) == (whole, stop - stop % 3, told)
        assert sorted(path.name for path in Path(folder).iterdir()) == ["out", "whole"]


def test_answers_to_something_else_are_begun_anew(tmp_path):
    answers = [(Path(f"{number}.jpg"), PhotographError("empty file")) for number in range(7)]
    written(tmp_path / "out", "csv", answers, Recipe("predict", {"top": 1}), stop=5)
    _, began, told = written(tmp_path / "out", "csv", answers, Recipe("predict", {"top": 2}))
    assert (began, len(told)) == (0, 7)


def test_a_killed_join_is_done_again(tmp_path, monkeypatch):
    answers = [(Path(f"{number}.jpg"), PhotographError("empty file")) for number in range(6)]
    whole, _, _ = written(tmp_path / "whole", "jsonl", answers)

    def half(path, *_):
        path.write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(answer_file, "_join_texts", half)
        written(tmp_path / "out", "jsonl", answers, stop=6)
    assert not (tmp_path / "out").exists()
    assert written(tmp_path / "out", "jsonl", answers)[:2] == (whole, 6)


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        write_answers(tmp_path, "csv", 1, lambda start: iter(()), RECIPE, print)
