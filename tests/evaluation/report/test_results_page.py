from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from small_results import likely, photographs_of, results_of, small_tree

from taxonvision.evaluation.metrics.measure import measure
from taxonvision.evaluation.report.results_page import write_results_report

HOSTILE = '</script><img src=x onerror="hacked=1"><!--<script>'


@pytest.fixture(autouse=True)
def _without_plotly(monkeypatch):
    """Its 5 MB are slow to look through."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* plotly */")


def page_of(results, photographs, words=()) -> str:
    path = results.folder / "report.html"
    write_results_report(path, results, measure(results, 20), words, photographs)
    return path.read_text(encoding="utf-8")


def json_in(page: str, name: str):
    """The JSON in the script of an id, read as strictly as a browser reads it."""
    text = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)[1]

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def small(tmp_path):
    """Results on forty photographs, five of a taxon that is no class, and the photographs."""
    tree, classes = small_tree()
    rng = np.random.default_rng(3)
    truth = [*rng.choice(classes, 35).tolist(), *[99] * 5]
    names = {"en": {11: "small white", 31: "peacock"}, "de": {31: "Tagpfauenauge"}}
    results = results_of(tmp_path, tree, classes, likely(rng, truth, classes), truth, names)
    return results, photographs_of(tmp_path / "photos", truth)


def test_it_says_the_figures_and_the_sentences_without_a_script(small):
    results, photographs = small
    page = page_of(results, photographs, ["A good model, & no <b>better</b>."])
    figures = measure(results, 20).figures
    text = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "A good model, &amp; no &lt;b&gt;better&lt;/b&gt;." in text
    for key in ("top1", "top5", "macro_top1", "average_precision", "coverage_at_95"):
        assert f"{figures[key]:.1%}" in text
        assert f"{figures['intervals'][key]['low']:.1%}" in text
    for rank in figures["ranks"]:
        assert f"<td>{rank}</td>" in text
    assert "Papilio glaucus" in text and "no class" in text


def test_it_asks_for_nothing_from_elsewhere(small):
    page = page_of(*small)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert not re.search(r"<(link|iframe|object|embed|img)\b|\b(src|action)=", page)
    assert set(re.findall(r'href="(.)', page)) == {"#"}
    assert {address[:11] for address in re.findall(r"url\(([^)]*)\)", page)} == {"data:image/"}


def test_every_photograph_is_in_it_once(small):
    results, photographs = small
    page = page_of(results, photographs)
    numbers = re.findall(r"^\.p(\d+) { background-image", page, re.M)
    assert len(numbers) == len(set(numbers)) > 5
    shown = re.findall(r'class="photo p(\d+)"', page)
    assert set(shown) == set(numbers)


def test_missing_and_damaged_photographs_have_the_reason_in_their_place(small):
    results, photographs = small
    for path in photographs.values():
        path.write_bytes(b"no image")
    page = page_of(results, photographs)
    assert "This photograph cannot be shown: not an image of a known format." in page
    assert "This photograph cannot be shown: not at hand." in page_of(results, {})
    assert "background-image: url" not in page


def test_scenes_that_get_a_name_are_shown(small):
    results, photographs = small
    tree, classes = small_tree()
    scores = np.full((2, 5), 0.01)
    scores[0, 0], scores[1] = 0.96, 0.2
    scenes = results_of(results.folder, tree, classes, scores, [0, 0])
    manifest = {**results.manifest, "scenes": {"folder": str(results.folder / "scenes")}}
    results = replace(results, scenes=scenes.scores, manifest=manifest)
    assert "a scene, most like Pieris rapae, not shown: no such file" in page_of(results, {})
    (results.folder / "scenes").mkdir()
    photographs["photo1"].rename(results.folder / "scenes" / "photo0")
    assert 'aria-label="a scene, most like Pieris rapae"' in page_of(results, {})


def test_links_within_the_page_lead_somewhere(small):
    page = page_of(*small)
    targets = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_names_are_text_and_never_html(tmp_path):
    from taxonvision.taxonomy.tree import Taxon, Taxonomy

    tree = Taxonomy([Taxon.of_rank(i, None, "species", f"{HOSTILE}{i}") for i in (1, 2)])
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    results = results_of(
        tmp_path, tree, [1, 2], scores, [1, 2, 2], {"en": {1: HOSTILE}}, model=HOSTILE
    )
    page = page_of(results, {}, [HOSTILE])
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script")
    assert json_in(page, "taxa")["names"] == [f"{HOSTILE}1", f"{HOSTILE}2"]
    tree_of_page = json_in(page, "figures")["tree"]["data"][0]
    assert not any("<img" in label for label in tree_of_page["labels"] + tree_of_page["hovertext"])


@pytest.mark.parametrize("case", ["all right", "all wrong", "one taxon", "one photograph", "ties"])
def test_degenerate_results_have_a_page(tmp_path, case):
    tree, classes = small_tree()
    truth = [11] * 6 if case in ("one taxon", "one photograph") else [11, 12, 21, 22, 31, 11]
    truth = truth[:1] if case == "one photograph" else truth
    scores = np.full((len(truth), len(classes)), 1e-4)
    for row, taxon_id in enumerate(truth):
        scores[row, (classes.index(taxon_id) + (case == "all wrong")) % len(classes)] = 0.9
    if case == "ties":
        scores[:] = 0.2
    page = page_of(results_of(tmp_path, tree, classes, scores, truth), {})
    assert ("No photograph was named wrong." in page) == (case not in ("all wrong", "ties"))
    assert json_in(page, "figures").keys() == {
        "tree",
        "reliability",
        "coverage",
        "ancestor",
        "tail",
    }
    assert len(json_in(page, "taxa")["names"]) == len(tree)
