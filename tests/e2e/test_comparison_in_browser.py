"""The page of a comparison in a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browser import open_browser
from PIL import Image
from small_comparison import HOSTILE, candidate, comparison

from taxonvision.evaluation.report.comparison_page import write_comparison_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    Image.new("RGB", (300, 200), (200, 60, 40)).save(folder / "a.jpg")
    second = candidate(HOSTILE, lost=2, won=0)
    shown = comparison(candidate("int8"), second, species=HOSTILE, common="peacock", max_drop=0.01)
    path = folder / "report.html"
    write_comparison_report(path, replace(shown, split=HOSTILE), {"photo0": folder / "a.jpg"})
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def opened(browser, page):
    browser.open(page)
    return browser


def choose(browser, select, value):
    browser.run(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))",
        select,
        value,
    )


def seen(browser) -> list[list[str]]:
    """Of each side of the gallery that is seen: whose, lost or won, and how many photographs."""
    return browser.run(
        "return [...document.querySelectorAll('.side')].filter(s => s.offsetParent)"
        ".map(s => [s.closest('.flips').dataset.of, s.dataset.kind,"
        " s.querySelectorAll('figure').length])"
    )


def test_it_opens_without_network_and_runs_nothing_of_others(opened, page):
    pages = [address for address in opened.fetched() if not address.startswith("chrome://")]
    assert set(pages) == {page.as_uri()}
    assert opened.complaints() == []
    assert opened.run("return document.images.length") == 0
    assert HOSTILE in opened.run("return document.body.innerText")


def test_photographs_are_chosen_by_candidate_and_kind(opened):
    everything = [["0", "lost", 4], ["0", "won", 3], ["1", "lost", 2], ["1", "won", 0]]
    assert seen(opened) == everything
    choose(opened, "of", "0")
    assert seen(opened) == everything[:2]
    choose(opened, "kind", "won")
    assert seen(opened) == [["0", "won", 3]]
    choose(opened, "of", "")
    assert seen(opened) == [["0", "won", 3], ["1", "won", 0]]
    choose(opened, "kind", "")
    assert seen(opened) == everything


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("KOHLWEISSLING", ["Pieris rapae"]),
        ("Tagfalter", []),
        ("kohlweiß", ["Pieris rapae"]),
        ("peacock", [HOSTILE]),
        ("aglais", ["Aglais", "Aglais urticae"]),
        ("onerror", [HOSTILE]),
    ],
)
def test_the_search_finds_a_taxon_by_any_of_its_names(opened, query, found):
    opened.find("#search").send_keys(query)
    names = opened.run(
        "return [...document.querySelectorAll('#found tbody td:first-child > :first-child')]"
        ".map(e => e.textContent)"
    )
    assert names == found
    assert opened.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_nothing_to_push_sideways(opened, scheme):
    opened.resize(390, 844, phone=True)
    opened.prefer(scheme)
    assert opened.run("return document.documentElement.scrollWidth") <= 390
    ink, paper = opened.run(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    brightness = [sum(map(int, color[4:-1].split(","))) for color in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")


def test_it_prints(opened):
    assert opened.pdf().startswith(b"%PDF")
