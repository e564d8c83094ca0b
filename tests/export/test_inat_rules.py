from __future__ import annotations

import gzip
import io
import json
import tarfile

import numpy as np
import pytest

from taxonvision.export import inat_names
from taxonvision.export.inat import write_inat
from taxonvision.export.inat_rules import check_contents, check_inat
from taxonvision.runtime.tflite import Tensor
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon(1, None, "kingdom", "Animalia", 70),
        Taxon(3, 1, "genus", "Aglais", 20),
        Taxon(4, 3, "species", "Aglais io", 10),
        Taxon(5, 3, "species", "Aglais urticae", 10),
    ]
)
PHOTOGRAPHS = np.zeros((2, 299, 299, 3), np.uint8)


class Scorer:
    """A model of fixed scores."""

    def __init__(self, shape=(1, 299, 299, 3), dtype="float32", row=(0.5, 0.25, 0.25)) -> None:
        self.input = Tensor("photograph", shape, dtype)
        self.output = Tensor("scores", (1, len(row)), "float32")
        self.row = np.array(row, np.float32)

    def run(self, photographs):
        return np.tile(self.row, (len(photographs), 1))


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The three files of two species and their genus: lines 2 to 6 of the table are
    1 Animalia, 3 Aglais, 2147483647 the genus's own row, 4 and 5 the species.
    """
    folder = tmp_path_factory.mktemp("inat")
    write_inat(folder, TREE, [3, 4, 5], {"en": {4: "peacock"}})
    assert check_inat(folder, Scorer(), Scorer().run(PHOTOGRAPHS)) == []
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def findings(contents, model=None, **files):
    """What is said after some files were changed; `None` takes a file away."""
    changed = {**contents, **{f"{k[:8]}.{k[9:]}": v for k, v in files.items()}}
    changed = {name: content for name, content in changed.items() if content is not None}
    model = model or Scorer()
    return check_contents(changed, model, model.run(PHOTOGRAPHS))


def table_without_json(contents, old, new):
    """The table after a replacement, and what is said of it alone."""
    table = contents["taxonomy.csv"].decode()
    assert old in table
    content = table.replace(old, new).encode()
    found = findings(contents, taxonomy_csv=content)
    return [sentence for sentence in found if not sentence.startswith("taxonomy.json")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rank_level,leaf", "leaf,rank_level", "does not begin with the columns"),
        ("parent", "\ufeffparent", "does not begin with the columns"),
        ("Aglais io", "Aglais, io", "line 5: not 8 cells between commas"),
        ("Aglais io", 'Aglais "io"', "line 5: name must be"),
        ("Aglais io", "Aglais io ", "line 5: name must be"),
        ("Aglais io", "Aglais\rio", "line 5: name must be"),
        ("Aglais io", "", "line 5: name must be"),
        ("\n", "\r\n", "does not begin with the columns"),
        ("3,4,10", "3,4.0,10", "line 5: taxon_id must be"),
        ("3,4,10", "3,04,10", "line 5: taxon_id must be"),
        ("3,4,10", "3,٤,10", "line 5: taxon_id must be"),
        ("3,4,10", "3,-4,10", "line 5: taxon_id must be"),
        ("3,4,10", "3.0,4,10", "line 5: parent_taxon_id must be"),
        ("2147483647", "2147483648", "line 4: taxon_id must be"),
        ("4,10,1", "4,10.0,1", "line 5: rank_level must be"),
        ("4,10,1", "4,nan,1", "line 5: rank_level must be"),
        ("4,10,1", "4,10,1.0", "line 5: leaf_class_id must be"),
        ("4,10,1,,,", "4,10,1,,,0.5", "line 5: geo_threshold must be empty"),
        ("3,4,10", "3,5,10", "taxon 5 is listed twice"),
        ("3,4,10", "48460,4,10", "Life (48460) is named"),
        (",1,70", ",48460,70", "Life (48460) is named"),
        ("3,4,10", "9,4,10", "the parent 9 of taxon 4 is not listed"),
        (",1,70", "3,1,70", "taxon 1 is among its own ancestors"),
        ("4,10,1", "4,10,", "taxon 4 has neither children nor a leaf_class_id"),
        ("3,20,,", "3,20,3,", "taxon 3 has children and a leaf_class_id"),
        ("4,10,1", "4,10,2", "do not count 0, 1, 2 ... without a gap"),
        ("5,10,2", "5,10,3", "do not count 0, 1, 2 ... without a gap"),
    ],
)
def test_each_rule_of_the_table(contents, old, new, said):
    found = table_without_json(contents, old, new)
    assert said in " | ".join(found)


def test_a_rule_broken_often_is_one_sentence(contents):
    (first,) = table_without_json(contents, "Aglais", '"Aglais"')
    assert first.endswith("(and 3 more like it)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[1].update(taxon_id=3.0), "differs from line 3"),
        (lambda rows: rows[1].update(taxon_id="3"), "differs from line 3"),
        (lambda rows: rows[0].update(parent_taxon_id=48460), "differs from line 2"),
        (lambda rows: rows[3].update(name="Aglais"), "differs from line 5"),
        (lambda rows: rows[3].pop("geo_threshold"), "differs from line 5"),
        (lambda rows: rows[2].update(rank_level=15.0), "differs from line 4"),
        (lambda rows: rows.pop(), "is no list of 5 objects"),
    ],
)
def test_the_json_equals_the_table(contents, change, said):
    rows = json.loads(contents["taxonomy.json"])
    change(rows)
    (found,) = findings(contents, taxonomy_json=json.dumps(rows).encode())
    assert said in found


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"null", b"{}"])
def test_what_is_no_json_is_said(contents, content):
    (found,) = findings(contents, taxonomy_json=content)
    assert found.startswith("taxonomy.json is no")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Scorer(dtype="uint8"), "reads uint8 [1, 299, 299, 3], the apps give it float32"),
        (Scorer(shape=(1, 224, 224, 3)), "reads float32 [1, 224, 224, 3]"),
        (Scorer(shape=(2, 299, 299, 3)), "reads float32 [2, 299, 299, 3]"),
        (Scorer(row=(0.5, 0.5)), "the model has 2 outputs, taxonomy.csv 3 leaves"),
        (Scorer(row=(2.0, 1.0, -1.0)), "are no shares of 1"),
        (Scorer(row=(2.0, 0.0, -1.0)), "are no shares of 1"),
        (Scorer(row=(np.nan, 0.5, 0.5)), "are no shares of 1"),
    ],
)
def test_each_rule_of_the_model(contents, model, said):
    (found,) = findings(contents, model)
    assert said in found


def test_several_outputs_at_once_are_refused(contents):
    model = Scorer()
    model.output = Tensor("scores", (2, 3), "float32")
    (found,) = findings(contents, model)
    assert "the apps want float32 [1, N]" in found


def test_files_that_are_missing_or_links_are_said(contents, tmp_path):
    (tmp_path / "elsewhere").write_bytes(contents["taxonomy.csv"])
    (tmp_path / "taxonomy.csv").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "taxonomy.json").mkdir()
    assert check_inat(tmp_path, Scorer()) == [
        "taxonomy.csv is missing or no file",
        "taxonomy.json is missing or no file",
        "commonNames.tar.gz is missing or no file",
    ]


GOOD = {
    "commonNames/commonNamesDict-0.js": 'const commonNames = [{"i":4,"l":"en","n":"peacock"}]'
    ";\n\nexport default commonNames;\n",
    "commonNames/index.js": 'import commonNames0 from "./commonNamesDict-0";\n'
    "\nexport default { commonNames0 };\n",
}


def packed(files, **entry) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            for key, value in entry.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(text.encode()))
    return file.getvalue()


def with_record(record: str) -> bytes:
    text = GOOD["commonNames/commonNamesDict-0.js"]
    changed = text.replace('{"i":4,"l":"en","n":"peacock"}', record)
    assert changed != text
    return packed({**GOOD, "commonNames/commonNamesDict-0.js": changed})


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (b"", "cut off"),
        (b"PK\x03\x04", "no .tar.gz"),
        (packed(GOOD)[:-9], "cut off"),
        (packed(GOOD) * 2, "more behind its end"),
        (gzip.compress(b"no archive" * 99), "no .tar.gz"),
        (packed({"../commonNames/index.js": ""}), "no file of commonNames/"),
        (packed(GOOD, type=tarfile.SYMTYPE, linkname="/etc/passwd"), "no file of commonNames/"),
        (packed(GOOD, type=tarfile.LNKTYPE, linkname="/etc/passwd"), "no file of commonNames/"),
        (packed(GOOD, type=tarfile.CHRTYPE), "no file of commonNames/"),
        (packed({**GOOD, "commonNames/more.js": "alert(1)"}), "and nothing else"),
        (packed({"commonNames/index.js": GOOD["commonNames/index.js"]}), "and nothing else"),
        (packed({**GOOD, "commonNames/index.js": "alert(1)"}), "and nothing else"),
        (with_record('{"i":4,"l":"en","n":"peacock"}];alert(1);[1'), "no list|is not a list"),
        (with_record("[" * 100_000), "is not a list"),
        (with_record('{"i":4,"l":"en"}'), "not {i, l, n}"),
        (with_record('{"i":6,"l":"en","n":"peacock"}'), "not in the tree"),
        (with_record('{"i":4.0,"l":"en","n":"peacock"}'), "not in the tree"),
        (with_record('{"i":4,"l":"pt-BR","n":"peacock"}'), "locale"),
        (with_record('{"i":4,"l":"en","n":" "}'), "empty name"),
        (with_record('{"i":4,"l":"en","n":null}'), "empty name"),
    ],
)
def test_each_rule_of_the_common_names(contents, archive, said):
    changed = {**contents, "commonNames.tar.gz": archive}
    (found,) = check_contents(changed, Scorer())
    assert found.startswith("commonNames.tar.gz ")
    assert any(part in found for part in said.split("|"))


def test_the_good_archive_of_these_tests_is_good(contents):
    assert check_contents({**contents, "commonNames.tar.gz": packed(GOOD)}, Scorer()) == []


def test_a_bomb_is_not_unpacked(contents, monkeypatch):
    monkeypatch.setattr(inat_names, "_MAX_BYTES", 2**20)
    bomb = gzip.compress(bytes(2**22))
    (found,) = check_contents({**contents, "commonNames.tar.gz": bomb}, Scorer())
    assert found == "commonNames.tar.gz unpacks to more than 1 MiB"


def test_no_damage_crashes_the_checker(contents):
    rng = np.random.default_rng(0)
    silent = 0
    for turn in range(400):
        name = sorted(contents)[turn % 3]
        damaged = bytearray(contents[name])
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        found = check_contents(
            {**contents, name: bytes(damaged)}, Scorer(), Scorer().run(PHOTOGRAPHS[:1])
        )
        silent += not found
        assert all("\n" not in sentence for sentence in found)
    assert silent < 40  # a byte of a name or of gzip's header changes nothing that the apps need
