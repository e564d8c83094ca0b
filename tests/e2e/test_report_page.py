"""The report of results in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browser import Browser, open_browser
from small_results import likely, photographs_of, results_of, small_tree

from taxonvision.evaluation.metrics.measure import measure
from taxonvision.evaluation.report.in_words import in_words
from taxonvision.evaluation.report.results_page import write_results_report
from taxonvision.runtime.contract import Contract
from taxonvision.taxonomy.tree import Taxon, Taxonomy

pytestmark = pytest.mark.slow

BUTTERFLIES = (
    Path(__file__).resolve().parents[2].parent / "shared" / "data" / "butterflies100"
)  # beside the checkout
TREE_CHART = "document.querySelector('[data-chart=tree]')"
HOSTILE = {
    "a script": "</script><script>window.hacked=1</script>",
    "a picture": '<img src=x onerror="window.hacked=1">',
    "a link": '<a href="javascript:window.hacked=1">name</a>',
    "bold": "<b>name</b>",
    "a comment": "<!--<script>",
    "a template": "${window.hacked=1}{{7*7}}%{label}",
    "a colour": "@ink",
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def report_of(results, photographs) -> Path:
    path = results.folder / "report.html"
    evaluation = measure(results, 50)
    write_results_report(path, results, evaluation, in_words(results, evaluation), photographs)
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The report of five taxa, one without test photographs, and of one that is no class."""
    folder = tmp_path_factory.mktemp("report")
    tree, classes = small_tree()
    rng = np.random.default_rng(3)
    truth = [*rng.choice([11, 12, 21, 22], 60).tolist(), *[99] * 5]
    names = {
        "en": {11: "small white", 31: "European peacock"},
        "de": {11: "Kleiner Kohlweißling", 31: "Tagpfauenauge"},
        "ru": {31: "Павлиний глаз"},
    }
    results = results_of(folder, tree, classes, likely(rng, truth, classes), truth, names)
    return report_of(results, photographs_of(folder / "photos", truth))


@pytest.fixture
def page(browser: Browser, report: Path) -> Browser:
    """The report opened anew, on a desk, in the light."""
    browser.resize(1280, 900)
    browser.prefer("light")
    browser.open(report)
    return browser


def draw_all(browser: Browser) -> None:
    """Scroll to every chart and wait until it is drawn."""
    for number in range(browser.run("return document.querySelectorAll('[data-chart]').length")):
        chart = f"document.querySelectorAll('[data-chart]')[{number}]"
        browser.run(f"{chart}.scrollIntoView()")
        browser.wait_for(f"{chart}.querySelector('.main-svg') !== null")


def search(browser: Browser, text: str) -> list[str]:
    """Paste a name; what is suggested."""
    return browser.run(
        """
        const field = document.getElementById("search");
        field.focus();
        field.value = arguments[0];
        field.dispatchEvent(new Event("input"));
        return [...document.querySelectorAll("#found [role=option]")].map((o) => o.innerText);
        """,
        text,
    )


def shown(browser: Browser) -> str:
    return browser.find("#taxon").text


def check_nothing_is_wrong(browser: Browser, page: Path) -> None:
    assert browser.complaints() == []
    assert browser.fetched() == [page.absolute().as_uri()]


def test_it_draws_all_charts_without_a_complaint_or_a_request(page, report):
    draw_all(page)
    for name in ("tree", "reliability", "coverage", "ancestor", "tail"):
        marks = f"[data-chart={name}] :is(.slice, .point, .trace)"
        assert page.run(f"return document.querySelectorAll('{marks}').length") > 0, name
    check_nothing_is_wrong(page, report)


def test_the_search_finds_taxa_by_any_of_their_names(page, report):
    assert search(page, "PIERIS")[0].startswith("Pieris")
    for name in ("Kleiner Kohlweißling", "kohlweiss", "small wh", "rapae"):
        assert search(page, name)[0].startswith("Pieris rapae"), name
    assert search(page, "павлиний")[0].startswith("Aglais io")
    assert search(page, "no such taxon") == []
    assert "No taxon of this name." in page.find("#found").text
    check_nothing_is_wrong(page, report)


def test_the_search_works_by_keyboard_and_tells_what_is_known(page):
    page.find("#search").send_keys("pieris")
    assert len(page.driver.find_elements("css selector", "#found [role=option]")) == 3
    page.find("#search").send_keys("\ue015\ue007")  # arrow down, enter
    assert page.run("return document.getElementById('found').hidden")
    text = shown(page)
    assert text.startswith("Pieris ")
    assert "test photographs named right" in text
    assert "training photographs" in text
    assert "The taxa above it" in text
    page.find("#taxon > :last-child tr:last-child button").click()
    assert shown(page).startswith("Lepidoptera")


def test_the_search_says_what_is_not_known(page):
    search(page, "Tagpfauenauge")
    page.find("#search").send_keys("\ue007")
    assert "No test photograph shows it" in shown(page)
    search(page, "glaucus")
    page.find("#search").send_keys("\ue007")
    assert "This is no class of this model" in shown(page)
    assert "0.0% of 5 test photographs named right" in shown(page)


def test_the_sunburst_zooms_and_comes_back(page):
    page.run(f"{TREE_CHART}.scrollIntoView()")
    slices = "document.querySelectorAll('[data-chart=tree] .slice').length"
    whole = page.wait_for(slices)
    genus = page.run(
        "return [...document.querySelectorAll('[data-chart=tree] .slice')]"
        ".find((s) => s.textContent === 'Pieris').querySelector('path')"
    )
    click_within(page, genus)
    page.wait_for(f"{TREE_CHART}.data[0].level === '10'")
    page.wait_for(f"{slices} === 3")  # the genus and its two species
    centre = page.run(
        "return [...document.querySelectorAll('[data-chart=tree] .slice')]"
        ".find((s) => s.textContent === 'Pieris').querySelector('path')"
    )
    click_within(page, centre)
    page.wait_for(f"{slices} === {whole}")


def click_within(page: Browser, path) -> None:
    """Click on a sector; the middle of its box may be another's."""
    from selenium.webdriver.common.action_chains import ActionChains

    x, y = page.run(
        """
        const path = arguments[0], box = path.getBBox(), svg = path.ownerSVGElement;
        for (let i = 1; i < 400; i++) {
          const point = svg.createSVGPoint();
          point.x = box.x + box.width * ((i % 20) / 20);
          point.y = box.y + box.height * (Math.floor(i / 20) / 20);
          if (!path.isPointInFill(point)) continue;
          const at = point.matrixTransform(path.getScreenCTM());
          if (document.elementFromPoint(at.x, at.y) === path) return [at.x, at.y];
        }
        throw new Error("no point of the sector is seen");
        """,
        path,
    )
    actions = ActionChains(page.driver)
    actions.w3c_actions.pointer_action.move_to_location(round(x), round(y))
    actions.w3c_actions.pointer_action.click()
    actions.perform()


def test_the_tree_is_an_icicle_too(page):
    page.run(f"{TREE_CHART}.scrollIntoView()")
    page.find("[data-kind=icicle]").click()
    page.wait_for(f"{TREE_CHART}.data[0].type === 'icicle'")
    assert page.find("[data-kind=icicle]").get_attribute("aria-pressed") == "true"
    assert page.find("[data-kind=sunburst]").get_attribute("aria-pressed") == "false"
    assert page.complaints() == []


def test_dark_is_dark_in_the_charts_too(page):
    draw_all(page)
    colours = (
        "[getComputedStyle(document.body).backgroundColor,"
        "getComputedStyle(document.querySelector('[data-chart=coverage] .xtick text')).fill]"
    )
    light = page.run(f"return {colours}")
    page.prefer("dark")
    page.wait_for(f"{colours}.every((colour, i) => colour !== {light}[i])")
    paper, ink = ([int(x) for x in c[4:-1].split(",")] for c in page.run(f"return {colours}"))
    assert max(paper) < 60 and min(ink) > 120
    page.prefer("light")
    page.wait_for(f"{colours}.every((colour, i) => colour === {light}[i])")


def test_on_a_phone_nothing_is_wider_than_the_screen(page):
    page.resize(390, 844, phone=True)
    draw_all(page)
    search(page, "rapae")
    page.find("#search").send_keys("\ue007")
    width = "[document.documentElement.scrollWidth, window.innerWidth]"
    assert page.run(f"return {width}") == [390, 390]


def test_what_is_printed_has_all_charts_in_the_light(page):
    page.prefer("dark")
    page.run(
        "addEventListener('beforeprint', () => { window.printed = "
        "[...document.querySelectorAll('[data-chart] .xtick text')]"
        ".map((text) => getComputedStyle(text).fill); })"
    )
    assert page.pdf().startswith(b"%PDF")
    inks = page.wait_for("window.printed")
    assert len(inks) > 10
    assert all(max(int(x) for x in ink[4:-1].split(",")) < 140 for ink in inks)
    assert page.run("return document.querySelectorAll('[data-chart] .main-svg').length") >= 5


def test_hostile_names_are_shown_and_do_nothing(browser, tmp_path):
    taxa = [
        Taxon.of_rank(1, None, "genus", "Genus"),
        *(
            Taxon.of_rank(10 + i, 1, "species", f"{name} {i}")
            for i, name in enumerate(HOSTILE.values())
        ),
    ]
    classes = [taxon.taxon_id for taxon in taxa[1:]]
    truth = classes * 3
    names = {"en": {i: f"common {name}" for i, name in zip(classes, HOSTILE.values(), strict=True)}}
    scores = likely(np.random.default_rng(1), truth, classes)
    scores[: len(classes)] = np.roll(scores[: len(classes)], 1, axis=1)  # mistakes of all of them
    model = "".join(HOSTILE.values())
    results = results_of(tmp_path, Taxonomy(taxa), classes, scores, truth, names, model)
    path = report_of(results, photographs_of(tmp_path / "photos", truth))
    browser.resize(1280, 900)
    browser.open(path)
    draw_all(browser)
    for i, name in enumerate(HOSTILE.values()):
        assert search(browser, f"{name} {i}")[0].startswith(f"{name} {i}")
        browser.find("#search").send_keys("\ue007")
        assert shown(browser).startswith(f"{name} {i}")
        assert f"common {name}" in shown(browser)
    labels = browser.run(f"return {TREE_CHART}.textContent")
    assert "<b>name</b> 3" in labels
    assert "@ink 6" in labels
    assert browser.run("return document.querySelectorAll('img, a:not([href^=\"#\"])').length") == 0
    assert browser.run("return window.hacked") is None
    check_nothing_is_wrong(browser, path)


@pytest.fixture(scope="module")
def butterflies(tmp_path_factory) -> tuple[Path, int]:
    """The report for real photographs of a hundred taxa, named by their colours, and the taxa."""
    if not BUTTERFLIES.is_dir():
        pytest.skip(f"the photographs of butterflies are not at {BUTTERFLIES}")
    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.catalog.ingest import IngestOptions, ingest
    from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
    from taxonvision.storage import Recipe

    folder = tmp_path_factory.mktemp("butterflies")
    options = FolderOptions(
        labels=BUTTERFLIES / "labels.csv",
        taxa=BUTTERFLIES / "class_taxa.csv",
        taxonomy=BUTTERFLIES / "taxonomy.csv",
    )
    ingest(
        lambda staging: stage_folder(staging, BUTTERFLIES / "images", options),
        "folder",
        IngestOptions(),
        folder / "catalog",
        Recipe("ingest"),
    )
    catalog = open_catalog(folder / "catalog")
    learned, tested = catalog.photos("val"), catalog.photos("test")
    means = np.zeros((len(catalog.classes), colours_of(learned).shape[1]))
    np.add.at(means, learned.class_ids, colours_of(learned))
    means /= np.bincount(learned.class_ids)[:, None]
    distances = np.linalg.norm(colours_of(tested)[:, None] - means, axis=2)
    likelihood = np.exp(-distances / 40)
    classes = [each.taxon_id for each in catalog.classes]
    truth = [classes[class_id] for class_id in tested.class_ids]
    results = results_of(
        folder,
        catalog.taxonomy,
        classes,
        likelihood / likelihood.sum(axis=1, keepdims=True),
        truth,
        catalog.names,
        "butterflies by colour",
    )
    sources = {f"photo{i}": source for i, source in enumerate(tested.sources)}
    return report_of(results, sources), len(catalog.taxonomy)


def colours_of(photos) -> np.ndarray:
    """Photographs of 8 × 8 pixels: float [n, 192]."""
    pixels = np.concatenate(list(Contract(8).read_batches(photos.sources, 100)))
    return pixels.reshape(len(pixels), -1).astype(float)


def lowest_contrast(browser: Browser) -> float:
    """The lowest ratio of luminances between a name in the tree and the colour behind it."""
    colours = browser.run(
        """
        const fill = (part) => getComputedStyle(part).fill.match(/[\\d.]+/g).map(Number);
        return [...document.querySelectorAll("[data-chart=tree] .slice")]
          .filter((slice) => slice.querySelector("text"))
          .map((slice) => [fill(slice.querySelector("path")), fill(slice.querySelector("text"))]);
        """
    )
    assert len(colours) > 20
    levels = np.array(colours)[..., :3] / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    luminance = np.sort(linear @ (0.2126, 0.7152, 0.0722) + 0.05, axis=1)
    return float((luminance[:, 1] / luminance[:, 0]).min())


def test_the_report_for_butterflies(browser, butterflies):
    report, taxa = butterflies
    assert report.stat().st_size < 10_000_000
    browser.resize(1280, 900)
    browser.prefer("light")
    browser.open(report)
    draw_all(browser)
    assert browser.run("return document.querySelectorAll('.pair').length") == 18
    assert f"all {taxa} taxa" in browser.find("#find").text
    photographs = browser.run(
        "return [...document.querySelectorAll(':is(.pair, .gallery) .photo:not(.missing)')]"
        ".map((photo) => getComputedStyle(photo).backgroundImage.slice(0, 16))"
    )
    assert len(photographs) > 30
    assert set(photographs) == {'url("data:image/'}
    assert search(browser, "monarch")[0].startswith("Danaus plexippus")
    browser.find("#search").send_keys("\ue007")
    assert "of 5 test photographs named right" in shown(browser)
    assert "Nymphalidae" in shown(browser)
    browser.run(f"{TREE_CHART}.scrollIntoView()")
    family = browser.run(
        "return [...document.querySelectorAll('[data-chart=tree] .slice')]"
        ".find((s) => s.textContent === 'Nymphalidae').querySelector('path')"
    )
    assert lowest_contrast(browser) >= 4.5
    click_within(browser, family)
    browser.wait_for(f"{TREE_CHART}.data[0].level")
    check_nothing_is_wrong(browser, report)
    browser.resize(390, 844, phone=True)
    assert browser.run("return document.documentElement.scrollWidth") == 390
