import json
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxonvision.cli.main import main

FIRST = {
    "name": "butterflies", "version": "1", "fingerprint": "a" * 64, "made_on": "2026-07-01",
    "classes": {"active": 80, "retired": 0}, "changes": None, "gate": None, "catalog": "c1",
}  # fmt: skip
SECOND = {
    "name": "butterflies", "version": "2", "fingerprint": "b" * 64, "made_on": "2026-11-06",
    "classes": {"active": 98, "retired": 2},
    "changes": {"added": 20, "retired": 1, "merged": 1, "split": 0, "renamed": 3, "moved": 0},
    "gate": {"passed": False, "forced": True, "loss": 0.012}, "catalog": "c2",
}  # fmt: skip
THIRD = {
    **SECOND, "version": "3", "fingerprint": "d" * 64, "made_on": "2026-11-13",
    "changes": {"added": 0, "retired": 0, "merged": 0, "renamed": 0, "split": 0},
    "gate": {"passed": True, "forced": False, "loss": -0.0025},
}  # fmt: skip


@pytest.fixture
def model(tmp_path):
    """Writes a model.json, and nothing else, and gives its folder."""

    def write(value):
        text = value if isinstance(value, str) else json.dumps(value)
        (tmp_path / "model.json").write_text(text)
        return tmp_path

    return write


@pytest.fixture
def lineage(capsys):
    """Ask: exit code, stdout and stderr."""

    def ask(folder, *arguments):
        code = main(["lineage", f"--model={folder}", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return ask


def manifest_of(*chain, **more):
    """The model.json of the last of a chain."""
    *ancestors, last = chain
    own = {field: last[field] for field in ("name", "version", "fingerprint")}
    return {"schema_version": 1, **own, "lineage": ancestors, "release": last, **more}


def rows(out):
    """The cells of the table below its header."""
    lines = out.split("\n")
    return [re.split(r"\s{2,}", line.strip()) for line in lines[lines.index("") + 4 :] if line]


def test_the_chain_oldest_first(model, lineage):
    code, out, err = lineage(model(manifest_of(FIRST, SECOND, THIRD)))
    assert (code, err) == (0, "")
    assert out.startswith("\nbutterflies, version 3: 3 releases\n")
    assert re.split(r"\s{2,}", out.splitlines()[2].strip()) == [
        "version", "name", "made on", "taxa", "new", "retired", "merged", "renamed", "gate",
        "fingerprint",
    ]  # fmt: skip
    assert rows(out) == [
        ["1", "butterflies", "2026-07-01", "80", "–", "–", "–", "–", "–", "a" * 12],
        ["2", "butterflies", "2026-11-06", "98", "20", "1", "1", "3",
         "refused, lost 1.20, forced", "b" * 12],
        ["3", "butterflies", "2026-11-13", "98", "0", "0", "0", "0", "passed, gained 0.25",
         "d" * 12],
    ]  # fmt: skip


def test_json_is_one_array_of_the_same(model, lineage):
    code, out, err = lineage(model(manifest_of(FIRST, SECOND)), "--format=json")
    assert (code, err) == (0, "")
    assert json.loads(out) == [FIRST, SECOND]


def test_a_release_that_could_not_be_judged(model, lineage):
    forced = {**SECOND, "gate": {"passed": False, "forced": True, "loss": None}}
    assert "not judged, forced" in lineage(model(manifest_of(FIRST, forced)))[1]


def test_a_model_made_before_there_were_releases(model, lineage):
    old = {"schema_version": 1, "name": "old", "version": "1", "fingerprint": "f" * 64}
    code, out, err = lineage(model(old))
    assert (code, err) == (0, "")
    assert out.startswith("\nold, version 1: its first release\n")
    assert rows(out) == [["1", "old", "–", "–", "–", "–", "–", "–", "f" * 12]]
    (value,) = json.loads(lineage(model(old), "--format=json")[1])
    assert value["classes"] == {"active": None, "retired": None}


def test_names_cannot_steer_the_terminal(model, lineage):
    hostile = {**FIRST, "name": "[red]a\x1b[31m\n\u202eb\ud800", "fingerprint": "\x1b[0m\x9b\u202e"}
    for form in ("--format=table", "--format=json"):
        code, out, _ = lineage(model(manifest_of(hostile)), form)
        assert code == 0
        assert "[red]a" in out
        assert not re.search("[\x1b\x9b\u202e]", out)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", None, "name is missing"),
        ("name", ["a"], "name is missing"),
        ("version", True, "version is missing"),
        ("version", {}, "version is missing"),
        ("fingerprint", 3, "fingerprint is missing"),
        ("made_on", "yesterday", "made_on must be a date, not 'yesterday'"),
        ("made_on", 20260101, "made_on must be text"),
        ("catalog", [], "catalog must be text"),
        ("classes", 80, "classes must be whole numbers"),
        ("classes", {"active": -1}, "classes must be whole numbers"),
        ("classes", {"active": True}, "classes must be whole numbers"),
        ("classes", {"active": 10**30}, "classes must be whole numbers"),
        ("changes", [1], "changes must be whole numbers"),
        ("changes", {"added": "many"}, "changes must be whole numbers"),
        ("gate", "passed", "gate must have"),
        ("gate", {"passed": 1, "forced": False, "loss": 0}, "gate must have"),
        ("gate", {"passed": True, "forced": None, "loss": 0}, "gate must have"),
        ("gate", {"passed": True, "forced": False, "loss": "0"}, "gate must have"),
        ("gate", {"passed": True, "forced": False, "loss": float("nan")}, "gate must have"),
        ("gate", {"passed": True, "forced": False, "loss": 10**400}, "gate must have"),
    ],
)
def test_damaged_entries(model, lineage, field, value, said):
    folder = model(manifest_of({**FIRST, field: value}, SECOND))
    code, out, err = lineage(folder)
    assert (code, out) == (2, "")
    assert err.startswith(f"taxonvision: {folder / 'model.json'}, lineage[0]: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[1]", "has no schema_version"),
        ('{"schema_version": 99}', "newer taxonvision"),
        ('{"schema_version": 1, "name": "a", "version": "1"}', "lacks fingerprint"),
        (manifest_of(FIRST, lineage={"0": FIRST}), "lineage must be a list"),
        (manifest_of(FIRST, lineage=[[]]), "lineage[0] must be an object"),
        (manifest_of(FIRST, lineage=None), "lineage must be a list"),
        (manifest_of(FIRST, release="2"), "release must be an object"),
        (manifest_of(FIRST, release=SECOND), "release tells of another model"),
    ],
)
def test_damaged_files(model, lineage, value, said):
    code, out, err = lineage(model(value))
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_what_is_no_model(lineage, tmp_path):
    assert lineage(tmp_path)[2].startswith(f"taxonvision: {tmp_path} is no model")
    assert lineage(tmp_path / "none")[2].startswith(f"taxonvision: {tmp_path / 'none'} does not")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
entries = values | st.builds(
    lambda field, value: {**SECOND, field: value}, st.sampled_from(sorted(SECOND)), values
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=3), entries)
def test_whatever_is_told_is_shown_or_refused_in_one_line(model, lineage, ancestors, last):
    whole = {**manifest_of(SECOND), "lineage": ancestors, "release": last}
    folder = model(json.dumps(whole))
    for form in ("--format=table", "--format=json"):
        code, out, err = lineage(folder, form)
        assert (code, bool(out), err.count("\n")) in ((0, True, 0), (2, False, 1))


def test_only_model_json_and_no_tensorflow(model):
    folder = model(manifest_of(FIRST, SECOND))
    code = (
        "import sys; from taxonvision.cli.main import main;"
        f"main(['lineage', '--model={folder}']);"
        "print([m for m in ('tensorflow', 'keras', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
