from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_comparison import HOSTILE, candidate, change, comparison, model

from taxonvision.evaluation.comparison.comparison import Comparison, Difference, Gate, TaxonChange
from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.report.comparison_page import write_comparison_report
from taxonvision.evaluation.report.flips_gallery import galleries
from taxonvision.evaluation.report.forest import Group, Line, differences, forest


class Page(HTMLParser):
    """A page's tags with the names of their attributes, its text, and its data for the search."""

    def __init__(self, path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, ...]] = []
        self.shown: list[str] = []
        self._inside: list[str] = []
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside[-1:]):
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())

    @property
    def searched(self):
        return json.loads(re.search(r'id="searched">(.*?)</script>', self.html, re.S)[1])


@pytest.fixture
def page_of(tmp_path):
    def write(shown: Comparison, photographs=None) -> Page:
        write_comparison_report(tmp_path / "report.html", shown, photographs or {})
        return Page(tmp_path / "report.html")

    return write


def test_the_page_says_what_the_comparison_says(page_of):
    gates = (Gate("int8", False, True, 0.002, 0.02, "int8 loses more than may be lost"),)
    page = page_of(comparison(max_drop=0.005, gates=gates))
    assert "int8 names 1 point fewer photographs right. a second sentence." in page.text
    assert "Refused: int8 loses more than may be lost." in page.text
    assert "100 photographs of 80 observations, split test" in page.text
    assert "1 to 9 training photographs" in page.text
    assert "10 training photographs or more" in page.text
    assert "4.10 MB 29%" in page.text


def test_names_are_text_and_never_html(page_of):
    benign = page_of(comparison(candidate("plain"), candidate("other")))
    hostile = page_of(
        comparison(
            candidate(HOSTILE), candidate(HOSTILE + "2"), species=HOSTILE, common=HOSTILE + "!",
            reference=model(HOSTILE), split=HOSTILE,
        )
    )  # fmt: skip
    assert hostile.tags == benign.tags
    assert HOSTILE in hostile.text
    assert "49" not in hostile.text.replace(HOSTILE, "")
    assert hostile.searched["names"][2] == HOSTILE


def test_nothing_is_fetched(page_of, tmp_path):
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.jpg")
    page = page_of(comparison(), {"photo0": tmp_path / "a.jpg"})
    assert "://" not in page.html
    assert page.html.count("data:image/jpeg") == 1
    assert "default-src 'none'" in page.html
    assert not any(tag in ("link", "iframe", "img", "object") for tag, *_ in page.tags)


def test_a_gallery_is_bounded_and_the_rest_is_counted():
    found = galleries(comparison(candidate("a", 300, 3), candidate("b", 0, 50)))
    assert [(g.lost_more + len(g.lost), g.won_more + len(g.won)) for g in found] == [
        (300, 3), (0, 50),
    ]  # fmt: skip
    assert sum(len(g.lost) + len(g.won) for g in found) <= 96
    assert [each.photo_id for each in found[0].lost[:2]] == ["photo0", "photo1"]
    many = galleries(comparison(*(candidate(str(n), 50, 50) for n in range(20))))
    assert all(g.lost and g.won for g in many)


def test_the_search_knows_all_names_and_sums_up_the_tree(page_of):
    found = page_of(comparison(candidate("a"), candidate("b"))).searched
    assert found["names"] == ["Aglais", "Pieris", "Aglais io", "Aglais urticae", "Pieris rapae"]
    assert found["common"][2] == ["peacock", "Tagpfauenauge"]
    assert found["photographs"] == [60, 40, 30, 30, 40]
    assert found["reference"] == [53, 30, 25, 28, 30]
    assert [each["name"] for each in found["candidates"]] == ["a", "b"]
    assert found["candidates"][0]["right"] == [49, 33, 21, 28, 33]
    assert found["candidates"][0]["lost"] == [4, 0, 4, 0, 0]
    assert found["candidates"][0]["won"] == [0, 3, 0, 0, 3]


def test_taxa_that_one_model_lacks_are_told(page_of):
    lost = candidate(
        taxa_lost=1, taxa_shared=2, shared=None,
        taxa=(TaxonChange(3, 30, 25, 0, 25, 0, True, False),),
    )  # fmt: skip
    text = page_of(comparison(lost)).text
    assert "no class of int8" in text
    assert "1 only full" in text


def test_the_same_photographs_are_drawn_once():
    assert [g.title for g in differences(comparison()).groups] == [
        "Top 1, taxa that both know", "Mean over taxa, taxa that both know",
    ]  # fmt: skip
    extended = comparison(candidate(taxa_new=1))
    assert Counter(g.title.split(", ")[1] for g in differences(extended).groups) == {
        "taxa that both know": 2, "all taxa": 2,
    }  # fmt: skip


shares = st.floats(-1, 1)


@settings(max_examples=20)
@given(st.lists(st.tuples(shares, shares, shares).map(sorted), max_size=5), st.floats(0, 1))
def test_every_interval_lies_on_the_axis(triples, max_drop):
    lines = [
        Line("", Difference(0.0, middle, Interval(low, high), None))
        for low, middle, high in triples
    ]
    drawn = forest([Group("", lines)], max_drop)
    assert drawn.place(0.0) == "50.00%"
    left, right = 0.0, 100.0
    for low, middle, high in triples:
        places = [float(drawn.place(value)[:-1]) for value in (low, middle, high)]
        assert left <= places[0] <= places[1] <= places[2] <= right
        # None is cut: where it is drawn can be read back.
        assert places[0] / 50 - 1 == pytest.approx(low / drawn.reach, abs=2e-4)
        assert places[2] / 50 - 1 == pytest.approx(high / drawn.reach, abs=2e-4)
    widest = max([max_drop, *(abs(end) for low, _, high in triples for end in (low, high))])
    assert drawn.reach <= max(0.002, 2.1 * widest)


@pytest.mark.parametrize(
    ("low", "high", "tone"), [(-0.02, -0.01, "worse"), (0.01, 0.02, "better"), (-0.01, 0.0, "")]
)
def test_only_what_leaves_out_zero_is_coloured(low, high, tone):
    assert Line("", change(bounds=Interval(low, high))).tone == tone


def test_a_photograph_that_is_gone_is_told(page_of, tmp_path):
    page = page_of(comparison(), {"photo0": tmp_path / "gone.jpg"})
    assert page.html.count("This photograph cannot be shown") == 7
