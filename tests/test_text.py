from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.text import for_screen, of_path, one_line, percent, several


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (1, "class", "1 class"), (2, "class", "2 classes"), (0, "task", "0 tasks"),
        (1, "taxon", "1 taxon"), (3, "more taxon", "3 more taxa"), (2, "country", "2 countries"),
    ],
)  # fmt: skip
def test_several(count, noun, said):
    assert several(count, noun) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0.0%"), (1, "100.0%"), (0.886, "88.6%"), (0.9994, "99.9%"), (0.99951, "99.95%"),
        (0.99996, "99.996%"), (0.0004, "0.04%"), (1 / 3, "33.3%"),
    ],
)  # fmt: skip
def test_only_all_are_a_hundred_percent(share, said):
    assert percent(share) == said


@given(st.text())
def test_one_line_is_one_line_without_controls(text):
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)
    assert one_line(line) == line


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_ordinary_names_stay_as_they_are(text):
    assert one_line(text) == for_screen(text) == text


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\rb", "\x07", "\x9b2J", "left\u202etfel"])
def test_what_steers_a_terminal_is_marked(text):
    shown = for_screen(text)
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert not set(shown) & set("\x1b\r\x07\x9b\u202e")


def test_line_breaks_stay_on_the_screen():
    assert for_screen("\n$ taxonvision synth\n") == "\n$ taxonvision synth\n"


def test_a_file_name_that_is_no_utf8_can_be_shown_and_written():
    path = Path(os.fsdecode(b"caf\xe9.jpg"))
    assert of_path(path) == "caf\\xe9.jpg"
    assert for_screen(str(path)).encode("utf-8")
