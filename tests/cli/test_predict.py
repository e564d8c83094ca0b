from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest

from taxonvision.cli.main import main
from taxonvision.runtime.thresholds import Thresholds

UNSURE = {"shown": 1.0, "ancestor_score": 0.0, "ancestor_share": 0.0}
"""The genus of the best class is the common ancestor, whatever the scores are."""


@pytest.fixture
def photo(photo_folder) -> Path:
    return Path(photo_folder / "Aglais" / "Aglais io" / "0.png")


@pytest.fixture
def bundle_with(small_bundle, tmp_path):
    """Makes a copy of the small bundle with other thresholds and other English names."""

    def make(thresholds: Thresholds, **names: str) -> Path:
        folder = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
        manifest = json.loads((folder / "bundle.json").read_text())
        manifest["thresholds"] = thresholds.as_json()
        (folder / "bundle.json").write_text(json.dumps(manifest))
        english = json.loads((folder / "names" / "en.json").read_text())
        english.update({taxon_id.removeprefix("taxon"): name for taxon_id, name in names.items()})
        (folder / "names" / "en.json").write_text(json.dumps(english))
        sums = (folder / "SHA256SUMS").read_text().splitlines()
        files = [line.split("  ")[1] for line in sums]
        lines = [f"{hashlib.sha256((folder / f).read_bytes()).hexdigest()}  {f}\n" for f in files]
        (folder / "SHA256SUMS").write_text("".join(lines))
        return folder

    return make


@pytest.fixture
def predict(photo, capsys):
    def run(bundle: Path, kind: str) -> str:
        assert main(["predict", f"--model={bundle}", f"--format={kind}", str(photo)]) == 0
        return str(capsys.readouterr().out)

    return run


def title(table: str) -> str:
    return next(line for line in table.splitlines() if line)


def answer_of(predict, bundle):
    (answer,) = json.loads(predict(bundle, "json"))
    assert json.loads(predict(bundle, "jsonl")) == answer
    rows = list(csv.DictReader(io.StringIO(predict(bundle, "csv"))))
    assert [row["name"] for row in rows] == [s["name"] for s in answer["suggestions"]]
    return answer, rows


def test_a_sure_species(bundle_with, predict, photo):
    bundle = bundle_with(Thresholds(shown=0.0))
    answer, rows = answer_of(predict, bundle)
    sure = answer["sure"]
    assert (sure["name"], sure["rank"]) == ("Aglais io", "species")
    assert answer["common_ancestor"] is None
    assert answer["known"] is True
    for row in rows:
        assert (row["known"], row["sure_taxon_id"], row["sure_name"]) == ("true", "3", "Aglais io")
        assert row["common_ancestor_taxon_id"] == row["common_ancestor_name"] == ""
    assert title(predict(bundle, "table")) == f"{photo}: Aglais io (peacock), {sure['score']:.0%}"


def test_a_common_ancestor_where_no_species_is_sure(bundle_with, predict, photo):
    bundle = bundle_with(Thresholds(**UNSURE), taxon1="small\x1b[31m [red]foxes")
    answer, rows = answer_of(predict, bundle)
    assert answer["sure"] is None
    found = answer["common_ancestor"]
    assert (found["taxon_id"], found["name"], found["rank"]) == (1, "Aglais", "genus")
    assert found["score"] == pytest.approx(answer["branch"][0]["score"], abs=0.01)
    for row in rows:
        assert (row["known"], row["sure_taxon_id"]) == ("true", "")
        assert (row["common_ancestor_taxon_id"], row["common_ancestor_name"]) == ("1", "Aglais")
    # The name is text from elsewhere.
    assert title(predict(bundle, "table")) == (
        f"{photo}: sure of genus Aglais (small\N{REPLACEMENT CHARACTER}[31m [red]foxes), "
        f"{found['score']:.0%}; no species is sure"
    )


def test_no_organism_that_the_model_knows(bundle_with, predict, photo):
    bundle = bundle_with(Thresholds(shown=0.0, unknown=1.0))
    answer, rows = answer_of(predict, bundle)
    assert answer["known"] is False
    assert answer["sure"] is answer["common_ancestor"] is None
    assert answer["suggestions"][0]["name"] == "Aglais io"
    assert answer["branch"]
    assert {row["known"] for row in rows} == {"false"}
    assert {row["sure_name"] for row in rows} == {""}
    assert title(predict(bundle, "table")) == f"{photo}: no organism that I know"


def test_nothing_is_sure(bundle_with, predict, photo):
    bundle = bundle_with(Thresholds(shown=1.0, ancestor_rank_levels=(30, 33)))
    answer, _ = answer_of(predict, bundle)
    assert answer["known"] is True
    assert answer["sure"] is answer["common_ancestor"] is None
    assert title(predict(bundle, "table")) == f"{photo}: not sure"
