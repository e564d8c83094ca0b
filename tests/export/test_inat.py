from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.export import inat_names
from taxonvision.export.inat import LARGEST_ID, LIFE, inat_rows, write_inat
from taxonvision.export.inat_rules import check_inat
from taxonvision.runtime.tflite import Tensor
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

BUTTERFLIES = Taxonomy(
    [
        Taxon(LIFE, None, "stateofmatter", "Life", 100),
        Taxon(1, LIFE, "kingdom", "Animalia", 70),
        Taxon(2, 1, "zoosubsection", "Papilionoidea", 33.5),
        Taxon(3, 2, "genus", "Aglais", 20),
        Taxon(4, 3, "species", "Aglais io", 10),
        Taxon(5, 3, "species", 'Aglais "urticae", L.', 10),
        Taxon(6, 2, "genus", "Pieris", 20),
        Taxon(7, LIFE, "kingdom", "Plantae", 70),
    ]
)
CLASSES = [5, 3, 4, 7]
NAMES = {
    "en": {3: "tortoiseshells", 4: "peacock", 6: "whites", 7: "plants"},
    "de": {4: "Tagpfauenauge"},
    "pt-BR": {7: "plantas"},
    "en-GB": {4: "European peacock", 5: "small tortoiseshell"},
}


class Scorer:
    """A model of fixed scores."""

    def __init__(self, outputs: int, side: int = 299, dtype: str = "float32") -> None:
        self.input = Tensor("photograph", (1, side, side, 3), dtype)
        self.output = Tensor("scores", (1, outputs), "float32")
        self.row = np.full(outputs, 1 / max(outputs, 1), np.float32)

    def run(self, photographs):
        return np.tile(self.row, (len(photographs), 1))


class App:
    """The Android plugin: Node.java and Taxonomy.java, read and descended as they do."""

    def __init__(self, table: Path) -> None:
        header, *lines = table.read_text().splitlines()
        columns = header.split(",")
        self.nodes = {"48460": {"rank_level": "100", "name": "Life", "taxon_id": "48460"}}
        for line in lines:
            node = dict(zip(columns, line.strip().split(",", len(columns) - 1), strict=True))
            self.nodes[node["taxon_id"]] = node
        self.children: dict[str, list[str]] = {key: [] for key in self.nodes}
        for key, node in self.nodes.items():
            if key != "48460":
                self.children[node["parent_taxon_id"] or "48460"].append(key)
        self.size = sum(bool(node.get("leaf_class_id")) for node in self.nodes.values())

    def scores(self, outputs, key="48460") -> dict[str, float]:
        if not self.children[key]:
            return {key: outputs[int(self.nodes[key]["leaf_class_id"])]}
        found: dict[str, float] = {}
        for child in self.children[key]:
            found |= self.scores(outputs, child)
        return found | {key: sum(found[child] for child in self.children[key])}


def written(folder: Path, taxonomy=BUTTERFLIES, classes=CLASSES, names=NAMES) -> Path:
    folder.mkdir(exist_ok=True)
    write_inat(folder, taxonomy, classes, names)
    return folder


def records(folder: Path) -> list[dict]:
    found = []
    with tarfile.open(folder / "commonNames.tar.gz") as archive:
        for member in archive:
            text = archive.extractfile(member).read().decode()
            if member.name != "commonNames/index.js":
                text = text.removeprefix("const commonNames = ")
                found += json.loads(text.removesuffix(";\n\nexport default commonNames;\n"))
    return found


def test_the_table_as_the_app_reads_it(tmp_path, capsys):
    folder = written(tmp_path / "inat")
    assert (folder / "taxonomy.csv").read_text().splitlines() == [
        "parent_taxon_id,taxon_id,rank_level,leaf_class_id,iconic_class_id,spatial_class_id,"
        "geo_threshold,name",
        ",1,70,,,,,Animalia",
        "1,2,33.5,,,,,Papilionoidea",
        "2,3,20,,,,,Aglais",
        "3,2147483647,15,1,,,,Aglais",
        "3,4,10,2,,,,Aglais io",
        "3,5,10,0,,,,Aglais urticae L.",
        ",7,70,3,,,,Plantae",
    ]
    assert "1 name with a comma or a quote" in capsys.readouterr().err
    first, second, *_ = json.loads((folder / "taxonomy.json").read_text())
    nothing = {"iconic_class_id": None, "spatial_class_id": None, "geo_threshold": None}
    assert first == nothing | {
        "parent_taxon_id": None, "taxon_id": 1, "rank_level": 70, "leaf_class_id": None,
        "name": "Animalia",
    }  # fmt: skip
    assert (second["rank_level"], type(first["rank_level"])) == (33.5, int)
    assert check_inat(folder, Scorer(4), Scorer(4).run(range(2))) == []


def test_common_names_as_seek_reads_them(tmp_path):
    folder = written(tmp_path / "inat")
    assert records(folder) == [
        {"i": 3, "l": "en", "n": "tortoiseshells"},
        {"i": 4, "l": "de", "n": "Tagpfauenauge"},
        {"i": 4, "l": "en", "n": "peacock"},
        {"i": 5, "l": "en", "n": "small tortoiseshell"},
        {"i": 7, "l": "en", "n": "plants"},
        {"i": 7, "l": "ptBR", "n": "plantas"},
        {"i": LARGEST_ID, "l": "en", "n": "tortoiseshells"},
    ]
    with tarfile.open(folder / "commonNames.tar.gz") as archive:
        assert archive.extractfile("commonNames/index.js").read().decode() == (
            'import commonNames0 from "./commonNamesDict-0";\n\nexport default { commonNames0 };\n'
        )


def test_many_names_become_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(inat_names, "_NAMES_PER_FILE", 3)
    folder = written(tmp_path / "inat")
    assert len(records(folder)) == 7
    with tarfile.open(folder / "commonNames.tar.gz") as archive:
        scripts = [f"commonNames/commonNamesDict-{n}.js" for n in range(3)]
        assert archive.getnames() == [*scripts, "commonNames/index.js"]
        index = archive.extractfile("commonNames/index.js").read().decode()
        assert index.endswith("export default { commonNames0, commonNames1, commonNames2 };\n")
    assert check_inat(folder, Scorer(4)) == []


def test_without_names_there_is_an_empty_list(tmp_path):
    folder = written(tmp_path / "inat", names={})
    assert records(folder) == []
    assert check_inat(folder, Scorer(4)) == []


def test_equal_input_gives_equal_bytes(tmp_path):
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    turned = {language: dict(reversed(by.items())) for language, by in reversed(NAMES.items())}
    write_inat(other, BUTTERFLIES, CLASSES, turned)
    for name in ("taxonomy.csv", "taxonomy.json", "commonNames.tar.gz"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    with tarfile.open(fileobj=io.BytesIO((one / "commonNames.tar.gz").read_bytes())) as archive:
        assert {(m.mtime, m.uid, m.uname, m.mode) for m in archive} == {(0, 0, "", 0o644)}


def test_added_rows_take_ids_that_are_free():
    taxa = [
        Taxon(LARGEST_ID, None, "family", "F", 30),
        Taxon(5, LARGEST_ID, "genus", "G", 20),
        Taxon(LARGEST_ID - 2, 5, "species", "S", 10),
        Taxon(6, LARGEST_ID - 2, "subspecies", "T", 5),
        Taxon(7, 6, "form", "U", 5),
    ]
    ids = [taxon.taxon_id for taxon in taxa]
    rows = inat_rows(Taxonomy(taxa), ids)
    added = [(row.taxon_id, row.parent_taxon_id, row.rank_level) for row in rows[1::2]]
    assert added == [
        (LARGEST_ID - 1, LARGEST_ID, 27),
        (LARGEST_ID - 3, 5, 15),
        (LARGEST_ID - 4, LARGEST_ID - 2, 5),
        (LARGEST_ID - 5, 6, 5),
    ]


def test_a_class_life_becomes_a_root_of_its_own(tmp_path):
    folder = written(tmp_path / "inat", classes=[LIFE, 4])
    assert ",2147483647,57,0,,,,Life" in (folder / "taxonomy.csv").read_text().splitlines()
    assert check_inat(folder, Scorer(2)) == []


def test_an_id_that_java_cannot_read_is_refused(tmp_path):
    tree = Taxonomy([Taxon(2**31, None, "genus", "Aglais", 20)])
    with pytest.raises(
        UserError, match=r"taxon 2147483648 \(Aglais\) .* whose ids end at 2147483647"
    ):
        write_inat(tmp_path, tree, [2**31], {})
    assert list(tmp_path.iterdir()) == []


@st.composite
def trees_with_classes(draw):
    """A tree, some of its taxa as classes, in any order."""
    count = draw(st.integers(1, 25))
    ids = draw(
        st.lists(
            st.sampled_from([LIFE, LARGEST_ID, LARGEST_ID - 1]) | st.integers(1, 99_999),
            min_size=count, max_size=count, unique=True,
        )
    )  # fmt: skip
    if LIFE in ids:  # it is above all, and nothing is beside it
        ids.remove(LIFE)
        ids.insert(0, LIFE)
    levels = st.sampled_from([70, 60, 50, 40, 33.5, 33, 30, 20, 11, 10, 5])
    taxa = []
    for number, taxon_id in enumerate(ids):
        above = [None, *ids[:number]] if LIFE not in ids else ids[:number] or [None]
        level = 100 if taxon_id == LIFE else draw(levels)
        name = draw(st.text(max_size=12))
        taxa.append(Taxon(taxon_id, draw(st.sampled_from(above)), "rank", name, level))
    classes = draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    languages = st.sampled_from(["en", "de", "pt_BR", "zh-Hant"])
    words = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
    names = draw(st.dictionaries(languages, st.dictionaries(st.sampled_from(ids), words)))
    return Taxonomy(taxa), classes, names


@given(case=trees_with_classes(), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_app_rolls_up_any_tree_as_we_do(tmp_path_factory, case, seed):
    taxonomy, classes, names = case
    folder = written(tmp_path_factory.mktemp("any") / "inat", taxonomy, classes, names)
    assert check_inat(folder, Scorer(len(classes))) == []
    app = App(folder / "taxonomy.csv")
    assert app.size == len(classes)
    outputs = np.random.default_rng(seed).dirichlet(np.ones(len(classes)))
    found = app.scores(outputs)
    roll_up = RollUp(taxonomy.closure(classes), classes)
    expected = roll_up.node_scores(outputs[None])[0]
    for taxon_id, score in zip(roll_up.node_ids.tolist(), expected, strict=True):
        assert found[str(taxon_id)] == pytest.approx(score)
        added = [
            key
            for key in app.children[str(taxon_id)]
            if int(key) not in taxonomy and taxon_id != LIFE
        ]
        for key in added:  # the app shows the taxon, not the row below it
            level = float(app.nodes[key]["rank_level"])
            assert level % 10 != 0
            assert level <= taxonomy[taxon_id].rank_level
