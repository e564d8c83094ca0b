from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from taxonvision.catalog.catalog import open_catalog
from taxonvision.cli.main import main
from taxonvision.evaluation.results import KNOWN, MANIFEST, SCORES, KnownTaxa, write_known
from taxonvision.evaluation.score_files import write_scores
from taxonvision.evaluation.scores import Labelled, keep
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.storage import write_json
from taxonvision.taxonomy.names import write_names
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import write_taxonomy

TAXA = [3, 4, 5, 6]


@pytest.fixture(scope="module")
def catalog(small_catalog, tmp_path_factory):
    """A catalog that tests may move."""
    return shutil.copytree(small_catalog, tmp_path_factory.mktemp("compared") / "catalog")


@pytest.fixture(scope="module")
def results_of(catalog, tmp_path_factory):
    """Writes results of a model that names the test photographs so, with a score of 0.7."""

    def write(name, wrong=(), taxa=TAXA):
        opened = open_catalog(catalog)
        photos = opened.photos("test")
        truth = np.array([c.taxon_id for c in opened.classes])[photos.class_ids]
        best = [
            next(t for t in taxa if t != true) if row in wrong or true not in taxa else true
            for row, true in enumerate(truth.tolist())
        ]
        scores = np.array([[0.7 if t == b else 0.3 / (len(taxa) - 1) for t in taxa] for b in best])
        tree = opened.taxonomy.closure(taxa)
        folder = tmp_path_factory.mktemp("results") / name
        folder.mkdir()
        kept = keep(
            Labelled.of(photos.photo_ids, truth), [scores.astype(np.float32)],
            RollUp(tree, taxa), taxa,
        )  # fmt: skip
        write_scores(folder / SCORES, kept)
        write_known(folder / KNOWN, KnownTaxa(np.array(taxa), np.full(len(taxa), 3)))
        write_taxonomy(folder / "taxonomy.csv", opened.taxonomy)
        write_names(folder / "names.csv", opened.names)
        manifest = {
            "schema_version": 2,
            "model": {"bytes": 2_000_000 if name == "full" else 500_000},
            "catalog": {"fingerprint": opened.fingerprint, "folder": str(catalog)},
            "split": "test",
            "thresholds": Thresholds().as_json(),
            "median_latency_ms": 4.0,
            "threads": 1,
            "fingerprint": name,
        }
        write_json(folder / MANIFEST, manifest)
        return folder

    return write


@pytest.fixture(scope="module")
def folders(results_of):
    """Results of three models, of which the first names most photographs right."""
    wrong = {"full": [1], "int8": [1, 4, 5], "int4": range(8)}
    return {name: results_of(name, rows) for name, rows in wrong.items()}


@pytest.fixture
def compare(folders, tmp_path, capsys):
    """Compares: exit code, stdout and stderr; what is written is in `out`."""

    def run(*options, candidates=("int8",), out="out"):
        capsys.readouterr()
        code = main(
            [
                "compare", f"--reference={folders['full']}", f"--out={tmp_path / out}",
                f"--candidate={','.join(str(folders[name]) for name in candidates)}",
                "--replicates=100", *options,
            ]
        )  # fmt: skip
        return code, *capsys.readouterr()

    return run


def test_the_table_and_the_sentences(compare, tmp_path):
    code, shown, said = compare(candidates=("int8", "int4"))
    assert code == 0
    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line.split()}
    assert "8 photographs of the split test" in shown
    assert lines["full"][1:4] == ["2.00", "87.5%", "–"]
    assert lines["int8"][1:4] != lines["int4"][1:4]
    row = next(line for line in shown.splitlines() if line.startswith("int8 "))
    assert row.split()[:4] == ["int8", "0.50", "62.5%", "-25.0"]
    assert row.split()[-5:] == ["75.0%", "2", "0", "0.5", "4.0"]
    assert "int8 names 25.0 points fewer photographs right than full (95 % interval -" in shown
    assert "no larger than chance; it could still be up to" in shown
    assert "int4 names 87.5 points fewer" in shown
    assert "larger than chance (p = 0.016)" in shown
    assert f"{tmp_path / 'out' / 'report.html'} has the photographs" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.csv", "comparison.json", "flips.csv", "report.html", "taxa.csv",
    ]  # fmt: skip
    with (tmp_path / "out" / "flips.csv").open() as file:
        kinds = [(row["candidate"], row["kind"]) for row in csv.DictReader(file)]
    assert kinds == [("int8", "lost")] * 2 + [("int4", "lost")] * 7
    again = compare(candidates=("int8", "int4"))
    assert again[:2] == (0, shown)
    assert "already done" in again[2]


def test_a_refused_candidate_is_exit_3_and_the_comparison_is_written(compare, tmp_path):
    for _ in range(2):  # also when it was made before
        code, shown, said = compare("--max_drop=0.5", candidates=("int8", "int4"))
        assert code == 3
        assert "int4" in shown
        last = said.splitlines()[-1]
        assert last.startswith("taxonvision: refused: int4, among the taxa that full knows as well")
        assert "proven to be more than --max_drop=0.5" in last
        assert "int8," not in last
        gates = [
            row.get("gate")
            for row in json.loads((tmp_path / "out" / "comparison.json").read_text())["models"]
        ]
        assert [gate and gate["passed"] for gate in gates] == [None, True, False]


@pytest.mark.parametrize(
    "candidates", ["--candidate={int8},", "--candidate=,{int8}", "--candidate=,"]
)
def test_an_empty_candidate_is_said_to_be_empty(folders, tmp_path, capsys, candidates):
    flag = candidates.format(int8=folders["int8"])
    arguments = ["compare", f"--reference={folders['full']}", f"--out={tmp_path / 'out'}", flag]
    assert main(arguments) == 2
    assert "empty name between its commas" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_candidates_given_twice_are_refused_and_none_is_forgotten(compare, folders, tmp_path):
    code, _, said = compare(f"--candidate={folders['int4']}")
    assert (code, "--candidate" in said) == (2, True)
    assert not (tmp_path / "out").exists()


def test_strict_refuses_what_is_not_proven_harmless(compare):
    code, shown, _ = compare("--max_drop=0.5")
    assert code == 0
    assert "passed: int8, among" in shown
    assert "not proven to be more than --max_drop=0.5" in shown
    code, _, said = compare("--max_drop=0.5", "--strict", out="strict")
    assert code == 3
    assert "not proven to be within --max_drop=0.5, as --strict asks" in said
    assert "--strict without --max_drop" in compare("--strict", out="alone")[2]


def test_what_cannot_be_judged_is_refused(results_of, tmp_path, capsys):
    one, other = results_of("one", taxa=[3, 4]), results_of("other", taxa=[5, 6])
    arguments = ["compare", f"--reference={one}", f"--candidate={other}", f"--out={tmp_path / 'o'}"]
    assert main(arguments) == 0
    assert main([*arguments, "--overwrite", "--max_drop=100"]) == 3
    assert "could not be judged" in capsys.readouterr().err


@pytest.mark.parametrize("drop", ["-1", "101", "nan", "inf", "much"])
def test_a_drop_that_is_none(compare, tmp_path, drop):
    code, shown, said = compare(f"--max_drop={drop}")
    assert (code, shown) == (2, "")
    assert "max_drop" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_report_shows_the_photographs_of_the_recorded_catalog(compare, catalog, tmp_path):
    assert "shows no photographs" not in compare()[2]
    assert "data:image/" in (tmp_path / "out" / "report.html").read_text()
    moved = catalog.rename(catalog.with_name("moved"))
    try:
        _, _, said = compare(out="gone")
        assert f"the catalog {catalog} is not there: the report shows no photographs" in said
        assert "data:image/" not in (tmp_path / "gone" / "report.html").read_text()
        code, _, said = compare(f"--catalog={moved}", out="named")
        assert code == 0
        assert "shows no photographs" not in said
        assert "data:image/" in (tmp_path / "named" / "report.html").read_text()
    finally:
        moved.rename(catalog)


def test_a_catalog_that_has_changed_is_not_shown(compare, catalog, tmp_path):
    manifest = catalog / "catalog.json"
    before = manifest.read_text()
    value = json.loads(before)
    fingerprint = open_catalog(catalog).fingerprint
    manifest.write_text(before.replace(fingerprint, "f" * len(fingerprint)))
    try:
        assert value["fingerprint"] == fingerprint
        _, _, said = compare()
        assert f"the catalog {catalog} has changed: the report shows no photographs" in said
        _, _, said = compare(f"--catalog={catalog}", out="named")
        assert "photographs of the same id are taken for the same" in said
    finally:
        manifest.write_text(before)


def test_a_catalog_that_is_none(compare, tmp_path):
    code, _, said = compare(f"--catalog={tmp_path}")
    assert code == 2
    assert len(said.splitlines()) == 1


@pytest.mark.slow
def test_tensorflow_and_scipy_stats_stay_out(results_of, tmp_path):
    full, small = results_of("full"), results_of("small", wrong=[2])
    script = (
        "import sys\nfrom taxonvision.cli.main import main\n"
        f"assert main(['compare', '--reference={full}', '--candidate={small}',\n"
        f"             '--out={tmp_path / 'out'}', '--max_drop=50']) == 0\n"
        "heavy = ('tensorflow', 'keras', 'scipy.stats', 'ai_edge_litert')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
