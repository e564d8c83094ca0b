from __future__ import annotations

import datetime
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import numpy as np
import pytest

from taxonvision.catalog.eligibility import COLUMNS as ELIGIBILITY
from taxonvision.errors import UserError
from taxonvision.evaluation.intervals import Interval
from taxonvision.release.gate import Answers, judge
from taxonvision.release.notes import MARKDOWN, PAGE, write_release_notes
from taxonvision.release.record import PhotographCounts, Release
from taxonvision.tables import write_csv
from taxonvision.taxonomy.classes import TaxonClass, write_classes
from taxonvision.taxonomy.differences import Differences, Merged, Moved, Renamed, Split
from taxonvision.taxonomy.tree import Taxon, Taxonomy

OLD = {101: "Pieris rapae", 102: "Pieris brassicae"}
FAMILIES = ("Pieridae", "Nymphalidae", "Papilionidae", "Lycaenidae")
VIENNA, NAIROBI, TOKYO, OCEAN = (48.2, 16.4), (-1.3, 36.8), (35.7, 139.7), (0.0, -30.0)
HOSTILE = '<script src="https://evil.example/x.js">|[a](http://b)*_`#&\u202e'


class Page(HTMLParser):
    """A page taken apart: its text, tags and addresses. What is left open is an error."""

    VOID = frozenset({"meta", "link", "br", "path", "img"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for key, value in attrs if key in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", "".join(self.words))


def taxon_class(class_id, taxon_id, name, since="2", status="active") -> TaxonClass:
    return TaxonClass(class_id, taxon_id, name, "species", status, since)


def make_release(new: int, name=lambda i: f"Novus taxon{i}", **changed) -> Release:
    """Two old species and `new` new ones in four families; without a catalog."""
    taxa = [
        Taxon.of_rank(1, None, "kingdom", "Animalia"),
        *(Taxon.of_rank(10 + i, 1, "family", family) for i, family in enumerate(FAMILIES)),
        *(Taxon.of_rank(i, 10, "species", old) for i, old in OLD.items()),
        *(Taxon.of_rank(1000 + i, 10 + i % 4, "species", name(i)) for i in range(new)),
    ]
    old = [taxon_class(i, *item, since="1") for i, item in enumerate(OLD.items())]
    added = tuple(taxon_class(len(OLD) + i, 1000 + i, name(i)) for i in range(new))
    return replace(
        Release(
            name="butterflies",
            version="2",
            made_on=datetime.date(2026, 11, 20),
            parent_name="butterflies",
            parent_version="1",
            fingerprint="0123456789abcdef" * 4,
            backbone="efficientnet_lite0",
            differences=Differences(added=added),
            classes=[*old, *added],
            taxonomy=Taxonomy(taxa),
            names={"en": {101: "Cabbage White", 10: "Whites"}, "de": {102: "Großer Kohlweißling"}},
            verdict=None,
            forced=False,
            photographs=PhotographCounts({"train": 1200, "test": 300}, 1000, 500, 7),
            seconds={"features": 100.0, "refit": 20.4},
            devices=2,
        ),
        **changed,
    )


def make_catalog(folder: Path, release: Release, rows, missed=()) -> Path:
    """A catalog whose class ids are not the release's: `rows` of taxon id and coordinates."""
    folder.mkdir()
    classes = [
        replace(c, class_id=i) for i, c in enumerate(sorted(release.classes, key=lambda c: c.name))
    ]
    write_classes(folder / "classes.csv", classes)
    class_ids = {c.taxon_id: c.class_id for c in classes}
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE photos (class_id INTEGER, latitude DOUBLE, longitude DOUBLE)"
        )
        connection.executemany(
            "INSERT INTO photos VALUES (?, ?, ?)",
            [(class_ids[taxon_id], *coordinates) for taxon_id, *coordinates in rows],
        )
        connection.execute(f"COPY photos TO '{folder / 'photos.parquet'}' (FORMAT parquet)")
    lines = [
        (
            taxon_id, name, "species", has, 0, 0, has, 0, 0, 0, 0, "false", above, lacks, reason
        )
        for taxon_id, name, has, lacks, above, reason in missed
    ]  # fmt: skip
    write_csv(folder / "eligibility.csv", ELIGIBILITY, lines)
    return folder


def make_verdict(new_taxon: int | None = None):
    """Ten photographs of each old taxon: the first one loses two, and one to the new taxon."""
    truth = np.repeat([101, 102], 10)
    shared = truth.copy()
    shared[0] = shared[1] = 102
    everyone = shared.copy()
    known = [101, 102]
    if new_taxon:
        everyone[2] = new_taxon
        known.append(new_taxon)
        truth = np.append(truth, [new_taxon] * 4)
        everyone = np.append(everyone, [new_taxon] * 3 + [101])
        shared = np.append(shared, [0] * 4)
    before = np.where(np.isin(truth, [101, 102]), truth, 0)
    return judge(
        Answers(truth, before, shared, before, everyone), np.array([101, 102]), np.array(known)
    )


def written(tmp_path: Path, release: Release) -> tuple[str, Page]:
    write_release_notes(tmp_path, release)
    return (tmp_path / MARKDOWN).read_text(encoding="utf-8"), Page(tmp_path / PAGE)


def row(markdown: str, start: str) -> list[str]:
    """The cells of the first line of a table that begins with `start`."""
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def release(tmp_path) -> Release:
    release = make_release(4, verdict=make_verdict(1000))
    rows = [
        *([(1000, *VIENNA)] * 5),
        *([(1000, *NAIROBI)] * 2),
        *([(1001, *VIENNA)] * 3),
        *([(1002, *TOKYO)] * 4),
        (1002, *OCEAN),
        (1003, None, None),
        (1003, 91.0, 10.0),
        (1003, 10.0, float("nan")),
        (1003, 10.0, float("inf")),
        *([(101, *NAIROBI)] * 50),  # old: not counted
    ]
    missed = [
        (500, "Colias hyale", 49, 1, None, "not included: 49 of 50"),
        (501, "Aporia crataegi", 20, 30, 10, "not included: 20 of 50; left out: 2 faulty"),
        (502, "Never seen", 0, 50, None, "not included: none"),
        (101, "Pieris rapae", 3, 47, None, "not included"),  # known from before
    ]
    return replace(release, catalog=make_catalog(tmp_path / "catalog", release, rows, missed))


def test_the_page_needs_nothing_from_elsewhere(release, tmp_path):
    _, page = written(tmp_path, release)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert page.addresses == []
    assert "url(" not in page.source
    assert "://" not in page.source
    assert {"svg", "circle", "table", "details"} <= set(page.tags)
    assert '<meta name="viewport"' in page.source


def test_both_tell_the_same_of_new_taxa(release, tmp_path):
    markdown, page = written(tmp_path, release)
    assert "4 taxa that the release before did not know, by family." in markdown
    assert "+4new taxa6 taxa known now" in page.text.replace("> ", "")
    assert row(markdown, "*Novus taxon0*") == ["*Novus taxon0*", "7", "3 of 4", "Austria, Kenya"]
    assert row(markdown, "*Novus taxon2*") == ["*Novus taxon2*", "5", "–", "Japan"]
    assert row(markdown, "*Novus taxon3*") == ["*Novus taxon3*", "4", "–", ""]
    for each in release.differences.added:
        assert each.name in page.text
    assert "### Whites (Pieridae): 1" in markdown
    assert "### Nymphalidae: 1" in markdown


def test_regions_count_each_taxon_once_and_photographs_with_coordinates(release, tmp_path):
    markdown, page = written(tmp_path, release)
    assert row(markdown, "Western Europe") == ["Western Europe", "2", "8"]
    assert row(markdown, "Eastern Africa") == ["Eastern Africa", "1", "2"]
    assert row(markdown, "At sea") == ["At sea", "1", "1"]
    assert row(markdown, "Austria") == ["Austria", "2", "8"]
    assert "4 photographs without valid coordinates are not counted." in markdown
    assert "4 photographs without valid coordinates are not counted." in page.text
    assert "coordinates of 15 photographs" in page.text


def test_the_map_has_a_dot_where_the_photographs_are(release, tmp_path):
    _, page = written(tmp_path, release)
    circles = re.findall(r'<circle class="s(\d)" cx="([\d.]+)" cy="([\d.]+)">', page.source)
    assert sorted(circles) == [
        ("1", "150.0", "90.0"),
        ("1", "216.8", "91.3"),
        ("1", "319.7", "54.3"),
        ("5", "196.4", "41.8"),
    ]
    assert "48° N, 16° E: 2 new taxa, 8 photographs" in page.text
    assert 'role="img" aria-labelledby="map-title map-text"' in page.source
    assert "Most in Western Europe (2)" in page.text


def test_just_missed_names_the_nearest_and_what_they_lack(release, tmp_path):
    markdown, page = written(tmp_path, release)
    assert "2 taxa have photographs, but too few." in markdown
    assert row(markdown, "*Colias hyale*") == ["*Colias hyale*", "49", "1", ""]
    assert row(markdown, "*Aporia crataegi*")[1:] == [
        "20",
        "30",
        "answered as Whites (Pieridae); left out: 2 faulty",
    ]
    assert markdown.index("Colias hyale") < markdown.index("Aporia crataegi")
    assert "Never seen" not in markdown + page.text


def test_better_and_worse(release, tmp_path):
    markdown, page = written(tmp_path, release)
    cells = row(markdown, "Top 1, among the taxa both")
    assert cells[1:3] == ["100.0%", "90.0%"]
    assert cells[3].startswith("−10.0 (−")
    assert row(markdown, "Top 1, among all taxa")[2] == "85.0%"
    assert "2 photographs were named right before and wrong now" in markdown
    assert "1 taxon lost, 0 gained, 1 stayed as good." in markdown
    lost = row(markdown, "Cabbage White (*Pieris rapae*) | 10")
    assert lost == ["Cabbage White (*Pieris rapae*)", "10", "10", "8"]
    assert "1 photograph of old taxa, right before, now bears the name of" in markdown
    assert row(markdown, "Cabbage White (*Pieris rapae*) | *Novus")[1:] == ["*Novus taxon0*", "1"]
    assert "75.0% of 4 test photographs of 1 taxon" in markdown
    assert "3 of 4 test photographs of 1 taxon that the release before could not" in page.text
    assert release.verdict.reason[1:] in page.text


@pytest.mark.parametrize(
    ("passed", "judged", "forced", "words"),
    [
        (True, True, False, "Passed the gate."),
        (False, True, False, "Refused by the gate, not published."),
        (False, True, True, "Published by force, against the gate."),
        (False, False, False, "Not judged, not published."),
    ],
)
def test_the_gate_is_told(tmp_path, passed, judged, forced, words):
    verdict = replace(make_verdict(), passed=passed, judged=judged, reason="they lose 3 points")
    markdown, page = written(tmp_path, make_release(1, verdict=verdict, forced=forced))
    assert f"**{words}** They lose 3 points." in markdown
    assert f"{words} They lose 3 points." in page.text


def test_nothing_judged_is_said(tmp_path):
    answers = Answers(*(np.array([], np.int64) for _ in range(5)))
    verdict = judge(answers, np.array([101]), np.array([101, 1000]))
    for release in (make_release(1), make_release(1, verdict=verdict)):
        markdown, page = written(tmp_path, release)
        for text in (markdown, page.text):
            assert "Not judged" in text
            assert "no test photograph shows a taxon that both releases know" in text
            assert "How well the new taxa are named is not known" in text


def test_without_a_catalog_or_its_tables_the_notes_say_what_is_unknown(tmp_path):
    markdown, page = written(tmp_path, make_release(3))
    assert "Unknown: the photographs came as shards" in markdown
    assert "came as shards" in page.text
    assert "circle" not in page.tags
    (tmp_path / "empty").mkdir()
    markdown, page = written(tmp_path, make_release(3, catalog=tmp_path / "empty"))
    assert "Unknown: the catalog has no table of photographs." in markdown
    assert "Unknown: the photographs came without a list" in markdown
    assert "the catalog has no table of photographs" in page.text


@pytest.mark.parametrize("damaged", ["photos.parquet", "eligibility.csv"])
def test_a_damaged_table_is_one_sentence(release, tmp_path, damaged):
    table = release.catalog / damaged
    table.write_bytes(b"taxon_id,name\n1,x\n")
    with pytest.raises(UserError, match=f"{damaged} cannot be read .*; ingest again"):
        write_release_notes(tmp_path, release)
    assert not (tmp_path / PAGE).exists()


def test_no_coordinates_at_all(tmp_path):
    release = make_release(1)
    catalog = make_catalog(tmp_path / "catalog", release, [(1000, None, None)] * 2)
    markdown, page = written(tmp_path, replace(release, catalog=catalog))
    assert "none of the 2 photographs of new taxa has coordinates" in markdown
    assert "none of the 2 photographs has coordinates" in page.text
    assert "No taxon with photographs lacks some" in markdown


def test_no_new_taxa(tmp_path):
    release = make_release(0, verdict=make_verdict())
    catalog = make_catalog(tmp_path / "catalog", release, [(101, *VIENNA)])
    markdown, page = written(tmp_path, replace(release, catalog=catalog))
    assert "## New taxa\n\nNone.\n" in markdown
    assert "0new taxa2 taxa known now" in page.text.replace("> ", "")
    assert "By region" not in markdown + page.text
    assert "Other changes" not in markdown + page.text


def test_other_changes(tmp_path):
    old = [taxon_class(i, *item, since="1") for i, item in enumerate(OLD.items())]
    gone = taxon_class(9, 900, "Pieris mannii", since="1", status="retired")
    after = replace(old[1], name="Pieris grandis")
    changes = Differences(
        returned=(taxon_class(11, 902, "Pieris ergane"),),
        retired=(gone,),
        merged=(Merged(old[0], (old[0], replace(gone, taxon_id=903, name="Pieris minor"))),),
        split=(Split(replace(gone, taxon_id=904, name="Pieris lata"), (old[0], old[1])),),
        renamed=(Renamed(old[1], after),),
        moved=(Moved(old[0], "", "Pierina"),),
    )
    markdown, page = written(tmp_path, make_release(0, differences=changes))
    rapae = "Cabbage White (*Pieris rapae*)"
    assert "**Retired** (no longer answered): *Pieris mannii*" in markdown
    assert "**Back again**: *Pieris ergane*" in markdown
    assert row(markdown, f"{rapae}, *Pieris minor*")[1] == rapae
    assert row(markdown, "*Pieris lata*")[1] == f"{rapae}, *Pieris brassicae*"
    assert row(markdown, "*Pieris brassicae* | *")[1] == "*Pieris grandis*"
    assert row(markdown, f"{rapae} | the root")[1:] == ["the root", "Pierina"]
    for words in ("Retired", "Back again", "Merged", "Split", "Renamed", "Moved in the tree"):
        assert words in page.text


def test_time_and_cost(tmp_path):
    markdown, page = written(tmp_path, make_release(1))
    for text in (markdown, page.text):
        assert "2 min 0 s on 2 CPU cores: 4.0 CPU core minutes." in text
    assert row(markdown, "features") == ["features", "1 min 40 s"]
    assert row(markdown, "passed through")[1] == "500"
    assert row(markdown, "in the catalog, train")[1] == "1\N{NARROW NO-BREAK SPACE}200"


def test_hostile_names_do_nothing(tmp_path):
    release = make_release(2, name=lambda i: f"{HOSTILE}{i}", verdict=make_verdict(1000))
    release = replace(
        release,
        name=HOSTILE,
        backbone=HOSTILE,
        names={"en": {1000: HOSTILE + "\n\n# top"}},
        seconds={HOSTILE: 1.0},
    )
    missed = [(500, HOSTILE, 1, 2, None, f"; left out: {HOSTILE}")]
    catalog = make_catalog(tmp_path / "catalog", release, [(1000, *VIENNA)], missed)
    markdown, page = written(tmp_path, replace(release, catalog=catalog))
    assert not {"script", "a"} & set(page.tags)
    assert page.addresses == []
    assert '<script src="https://evil.example/x.js">|[a](http://b)*_`#&' in page.text
    assert "<" not in markdown
    assert "://" not in markdown
    assert not re.search(r"(?<!\\)[\[\]`]", markdown.replace("`0123456789ab`", ""))
    headings = [line for line in markdown.splitlines() if re.match("# ", line)]
    assert len(headings) == 1
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in markdown.splitlines()]
    in_tables = [n for n in widths if n]
    assert set(in_tables) <= {3, 4, 5}


@pytest.mark.slow
def test_five_thousand_new_taxa_make_a_page_of_bearable_size(tmp_path):
    release = make_release(5000)
    rng = np.random.default_rng(3)
    places = np.stack([rng.uniform(-60, 75, 15000), rng.uniform(-180, 180, 15000)], axis=1)
    taxa = np.repeat(np.arange(1000, 6000), 3)
    release = replace(release, catalog=tmp_path / "catalog")
    make_large_catalog(release, taxa, places)
    markdown, page = written(tmp_path, release)
    assert page.tags.count("tr") > 5000
    assert page.tags.count("details") == 4
    assert "<details open" not in page.source
    assert len(page.source) < 3_000_000
    assert markdown.count("| *Novus taxon") == 5000
    assert "+5\N{NARROW NO-BREAK SPACE}000" in page.text


def make_large_catalog(release: Release, taxa: np.ndarray, places: np.ndarray) -> None:
    release.catalog.mkdir()
    write_classes(release.catalog / "classes.csv", release.classes)
    with duckdb.connect() as connection:
        columns = {
            "class_id": (taxa - 1000 + len(OLD)).astype(np.int32),
            "latitude": places[:, 0].copy(),
            "longitude": places[:, 1].copy(),
        }
        connection.register("photos", columns)
        target = release.catalog / "photos.parquet"
        connection.execute(f"COPY (SELECT * FROM photos) TO '{target}' (FORMAT parquet)")


def test_a_loss_that_is_no_loss_has_no_sign(tmp_path):
    verdict = make_verdict()
    same = replace(verdict.shared, top1_after=1.0, top1_difference=Interval(-0.0001, 0.0001))
    markdown, _ = written(tmp_path, make_release(0, verdict=replace(verdict, shared=same)))
    assert row(markdown, "Top 1, among the taxa both")[3] == "0.0 (0.0 to 0.0)"
