from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxonvision.cli.main import main
from taxonvision.runtime.bundle import open_bundle
from taxonvision.tables import read_csv


@pytest.fixture(scope="module")
def results(small_bundle, small_catalog, tmp_path_factory) -> Path:
    """What the small bundle says of the photographs that it has learned from."""
    out = tmp_path_factory.mktemp("results") / "results"
    flags = [f"--model={small_bundle}", f"--catalog={small_catalog}", f"--out={out}"]
    assert main(["evaluate", *flags, "--split=train"]) == 0
    return out


@pytest.fixture
def choose(results, tmp_path, capsys):
    def run(*flags, out=tmp_path / "thresholds.csv"):
        code = main(["thresholds", f"--results={results}", f"--out={out}", *flags])
        return code, *capsys.readouterr()

    return run


def test_it_writes_the_table_and_shows_the_ranks(choose, tmp_path):
    code, table, said = choose("--fewest=3", "--precision=0.9")
    assert code == 0
    rows = {int(row["taxon_id"]): row for row in read_csv(tmp_path / "thresholds.csv")}
    assert set(rows) == {1, 2, 3, 4, 5, 6}
    # Three photographs of each species and six of each genus.
    assert sum(int(rows[genus]["photographs"]) for genus in (1, 2)) == 12
    for row in rows.values():
        if row["from"] == "taxon" and row["precision"]:
            assert float(row["precision"]) >= 0.9
    assert "12 photographs of the split train" in table
    assert [line.split()[0] for line in table.splitlines()[-2:]] == ["genus", "species"]
    assert "warning: these are photographs of the split train" in said
    assert "6 taxa" in said


def test_a_second_run_is_done_and_another_is_refused(choose, tmp_path):
    assert choose("--fewest=3")[0] == 0
    before = (tmp_path / "thresholds.csv").read_bytes()
    code, table, said = choose("--fewest=3")
    assert (code, "already done" in said, "genus" in table) == (0, True, True)
    code, _, said = choose("--fewest=30")
    assert (code, "--overwrite" in said) == (2, True)
    assert (tmp_path / "thresholds.csv").read_bytes() == before
    assert choose("--fewest=30", "--overwrite")[0] == 0
    assert {row["from"] for row in read_csv(tmp_path / "thresholds.csv")} == {"default"}


@pytest.mark.parametrize(
    "flag", ["--precision=95", "--precision=-0.1", "--precision=nan", "--fewest=0"]
)
def test_flags_out_of_range(choose, flag, tmp_path):
    assert choose(flag)[0] == 2
    assert not list(tmp_path.iterdir())


def predicted(capsys, bundle, photos):
    assert main(["predict", f"--model={bundle}", "--format=json", *map(str, photos)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_from_results_to_what_a_bundle_says(
    choose, small_model, small_catalog, photo_folder, tmp_path, capsys
):
    # Aglais and its two species are never to be named, the others above another threshold.
    assert choose("--fewest=3")[0] == 0
    chosen = {
        int(row["taxon_id"]): float(row["threshold"])
        for row in read_csv(tmp_path / "thresholds.csv")
    }
    edited = {**dict.fromkeys(chosen, 0.4), 1: 1.0, 3: 1.0, 4: 1.0, 77: 0.5}
    rows = [f"{taxon_id},{threshold}" for taxon_id, threshold in edited.items()]
    (tmp_path / "edited.csv").write_text("\n".join(["taxon_id,threshold", *rows]))

    def export(*flags):
        made_of = [f"--model={small_model}", f"--catalog={small_catalog}"]
        return main(["export", *made_of, f"--out={tmp_path / 'bundle'}", *flags])

    assert export(f"--thresholds={tmp_path / 'edited.csv'}") == 0
    assert "for 7 taxa, 1 of which is not in the model" in capsys.readouterr().err
    assert export(f"--thresholds={tmp_path / 'edited.csv'}") == 0
    assert "already done" in capsys.readouterr().err
    assert export(f"--thresholds={tmp_path / 'thresholds.csv'}") == 2  # another table
    assert main(["verify", str(tmp_path / "bundle")]) == 0
    del edited[77]
    assert open_bundle(tmp_path / "bundle").thresholds.by_taxon == edited
    capsys.readouterr()
    answers = predicted(capsys, tmp_path / "bundle", [photo_folder])
    for answer in answers:
        above = [one for one in answer["branch"] if one["score"] > edited[one["taxon_id"]]]
        assert answer["sure"] == (above[-1] if above else None)
    assert {answer["sure"]["taxon_id"] for answer in answers if answer["sure"]} == {5, 6}
    (tmp_path / "few.csv").write_text("name,taxon_id\nPieris rapae,5\nAglais io,3\n")
    region = [f"--only_taxa={tmp_path / 'few.csv'}", "--overwrite"]
    assert export(f"--thresholds={tmp_path / 'edited.csv'}", *region) == 0
    kept = open_bundle(tmp_path / "bundle").thresholds.by_taxon
    assert kept == {taxon_id: edited[taxon_id] for taxon_id in (1, 2, 3, 5)}
