import json
import subprocess
import sys

import pytest

from taxonvision.catalog.catalog import MANIFEST, SCHEMA_VERSION
from taxonvision.cli.main import main
from taxonvision.tables import write_csv


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """A genus with 30 species, one of them a class, and a homonym of the genus."""
    folder = tmp_path_factory.mktemp("taxa") / "catalog"
    folder.mkdir()
    species = [(100 + i, f"Bombus {'abcdefghijklmnopqrstuvwxyz1234'[i] * 6}") for i in range(30)]
    write_csv(
        folder / "taxonomy.csv",
        ("taxon_id", "parent_taxon_id", "rank_level", "rank", "name"),
        [
            (1, "", 30, "family", "Apidae"),
            (2, 1, 20, "genus", "Bombus"),
            (3, "", 20, "genus", "Apis"),
            (4, 1, 20, "genus", "Apis"),
            *((i, 2, 10, "species", name) for i, name in species),
        ],
    )
    names = [(100, "en", "[red]bee\x1b[0m"), (101, "de", "Erdhummel"), (2, "en", "Bumble Bees")]
    write_csv(folder / "names.csv", ("taxon_id", "language", "name"), names)
    write_csv(
        folder / "classes.csv",
        ("class_id", "taxon_id", "name", "rank", "status", "since"),
        [
            (0, 100, "Bombus aaaaaa", "species", "active", "1"),
            (1, 2, "Bombus", "genus", "active", "1"),
            (2, 3, "Apis", "genus", "retired", "1"),
        ],
    )
    write_csv(
        folder / "eligibility.csv",
        (
            "taxon_id", "name", "rank", "photographs", "rejected", "left_out", "usable",
            "from_below", "train", "val", "test", "included", "class_taxon_id", "missing", "reason",
        ),
        [
            (i, name, "species", 200 - i, 1, 2, 197 - i, 0, 180 - i, 9, 8,
             "true" if i == 100 else "false", 100 if i == 100 else 2, 0 if i == 100 else i - 99,
             "included: 97 photographs" if i == 100 else f"not included: {i - 99} missing")
            for i, name in species
        ],
    )  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps({"schema_version": SCHEMA_VERSION}))
    return folder


@pytest.fixture
def taxa(catalog, capsys):
    """Ask: exit code, stdout and stderr."""

    def ask(*arguments):
        code = main(["taxa", f"--catalog={catalog}", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return ask


def cells(out, first):
    """The cells of the table row that begins with `first`."""
    (row,) = (line for line in out.splitlines() if line.split("  ")[0] == first)
    return row.split()[len(first.split()) :]


def test_a_species(taxa):
    code, out, err = taxa("Bombus bbbbbb")
    assert (code, err) == (0, "")
    assert "\nBombus bbbbbb, rank species, taxon 101, below Bombus\n" in out
    expected = ["1,", "Bombus", "99", "1", "2", "96", "0", "79", "9", "8", "2"]
    assert cells(out, "no") == expected
    assert "\nnot included: 2 missing\ncommon names: Erdhummel (de)\n" in out


def test_a_class(taxa):
    out = taxa("100")[1]
    assert cells(out, "yes") == ["0", "100", "1", "2", "97", "0", "80", "9", "8", "0"]
    assert "included: 97 photographs\n" in out


def test_a_genus_lists_the_largest_below_it(taxa):
    code, out, _ = taxa("bumble bees")
    assert code == 0
    assert "\nBombus, rank genus, taxon 2, below Apidae\n" in out
    assert "\nbelow Bombus: 30 taxa, 1 of them classes\n" in out
    rows = [line.split()[1] for line in out.splitlines() if line.startswith("Bombus ")]
    assert rows == [letter * 6 for letter in "abcdefghijklmnopqrst"]
    assert cells(out, "Bombus aaaaaa")[:4] == ["species", "0", "100", "97"]
    assert out.endswith("\nand 10 more\n")


def test_a_misspelling_is_answered_with_a_remark(taxa):
    code, out, err = taxa("Bombus bbbbb")
    assert (code, err) == (0, "no taxon 'Bombus bbbbb'; nearest: Bombus bbbbbb\n")
    assert out == taxa("Bombus bbbbbb")[1]


def test_unknown_names_are_exit_code_2(taxa):
    assert taxa("Papilio machaon") == (
        2, "", "taxonvision: no taxon 'Papilio machaon', and no name that comes near\n",
    )  # fmt: skip
    code, out, err = taxa("bees")
    assert (code, out) == (0, taxa("Bombus")[1])
    code, out, err = taxa("Bombu")
    assert (code, out) == (2, "")
    assert err == "taxonvision: no taxon 'Bombu'; nearest: Bombus\n"


def test_the_known_ones_are_answered_beside_the_unknown(taxa):
    code, out, err = taxa("Bombus bbbbbb", "Papilio")
    assert (code, out) == (2, taxa("Bombus bbbbbb")[1])
    assert err.startswith("taxonvision: no taxon 'Papilio'")


def test_homonyms_are_all_answered(taxa):
    out = taxa("apis")[1]
    assert "Apis, rank genus, taxon 3\n" in out
    assert "no         2, retired  " in out
    assert "Apis, rank genus, taxon 4, below Apidae\n" in out


def test_a_name_without_quotation_marks_is_one_name(taxa):
    assert taxa("Bombus", "bbbbbb") == taxa("Bombus bbbbbb")
    several = json.loads(taxa("Apidae", "Bombus", "--format=json")[1])
    assert [value["taxon_id"] for value in several] == [1, 2]


def test_json_is_one_array_with_everything(taxa):
    code, out, err = taxa("--format=json", "Bumble Bee", "Bombus bbbbbb", "xyz")
    assert code == 2
    assert "nearest: Bombus (Bumble Bees)\n" in err
    genus, species = json.loads(out)
    assert (genus["asked"], genus["found_by"]) == ("Bumble Bee", "nearest name")
    assert (genus["taxon_id"], genus["common_names"]) == (2, {"en": "Bumble Bees"})
    assert (genus["below"]["taxa"], genus["below"]["classes"]) == (30, 1)
    assert [line["taxon_id"] for line in genus["below"]["lines"]] == list(range(100, 130))
    assert species["found_by"] == "scientific name"
    assert species["ancestors"] == ["Apidae", "Bombus"]
    assert {
        key: species[key]
        for key in ("included", "class_id", "class_taxon_id", "photographs", "rejected", "left_out",
                    "usable", "from_below", "train", "val", "test", "missing", "reason")
    } == {
        "included": False, "class_id": 1, "class_taxon_id": 2, "photographs": 99, "rejected": 1,
        "left_out": 2, "usable": 96, "from_below": 0, "train": 79, "val": 9, "test": 8,
        "missing": 2, "reason": "not included: 2 missing",
    }  # fmt: skip
    assert taxa("--format=json", "xyz")[1] == "[]\n"


def test_names_cannot_steer_the_terminal(taxa):
    out = taxa("Bombus aaaaaa")[1]
    assert "common names: [red]bee\N{REPLACEMENT CHARACTER}[0m (en)\n" in out
    assert "\x1b" not in taxa("x\x1b[31m")[2]


def test_words_that_are_no_text(taxa):
    code, out, err = taxa("--format=json", "Bombus \udcff")
    assert (code, out) == (2, "[]\n")
    assert err.startswith("taxonvision: no taxon 'Bombus ")


def test_what_is_refused(taxa, capsys, tmp_path):
    code, out, err = taxa()
    assert (code, out) == (2, "")
    assert err.startswith("taxonvision: `taxa` needs a name; usage: taxonvision taxa ")
    assert main(["taxa", f"--catalog={tmp_path}", "Bombus"]) == 2
    assert capsys.readouterr().err.startswith(f"taxonvision: {tmp_path} is no catalog")


def test_a_catalog_that_was_ingested(small_catalog, capsys):
    assert main(["taxa", f"--catalog={small_catalog}", "--format=json", "Tagpfauenauge"]) == 0
    (value,) = json.loads(capsys.readouterr().out)
    assert (value["name"], value["included"], value["class_id"]) == ("Aglais io", True, 0)
    assert (value["photographs"], value["train"], value["val"], value["test"]) == (6, 3, 1, 2)


def test_tensorflow_stays_out(catalog):
    code = (
        "import sys; from taxonvision.cli.main import main;"
        f"main(['taxa', '--catalog={catalog}', 'Bombus bbbbb']);"
        "print([m for m in ('tensorflow', 'keras', 'rich.progress') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
