"""The Kotlin library of export/android, compiled by the real compiler, against what Python does.

It needs `kotlinc`, a JDK or JRE and Android's org.json: Debian's `kotlin` and
`libandroid-json-java`. The two files that need Android itself are compiled against declarations of
what they use (tests/e2e/android/stubs) and do not run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_photographs import odd_photographs
from PIL import Image

from taxonvision.photograph import decode, read_upright
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.probabilities import probabilities_of
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.tables import write_csv

pytestmark = pytest.mark.slow

LIBRARY = Path(__file__).parents[2] / "export" / "android"
HARNESS = Path(__file__).parent / "android"
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")  # starts sooner
ORG_JSON = Path("/usr/share/java/com.android.json.jar")

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Run:
    """Compiles library and harness once; runs a command of the harness and gives its JSON."""
    missing = [tool for tool in ("kotlinc", "java") if not shutil.which(tool)]
    missing += [str(ORG_JSON)] * (not ORG_JSON.exists())
    if missing:
        problem = f"{', '.join(missing)} not there: apt install kotlin libandroid-json-java"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
    folder = tmp_path_factory.mktemp("kotlin")
    jar = folder / "harness.jar"
    (folder / "Example.kt").write_text(_example(), encoding="utf-8")
    sources = sorted([*LIBRARY.rglob("*.kt"), HARNESS / "Harness.kt", folder / "Example.kt"])
    done = subprocess.run(
        ["kotlinc", "-include-runtime", "-cp", ORG_JSON, "-d", jar, *sources, HARNESS / "stubs"],
        env={**os.environ, "JAVA_OPTS": " ".join(JAVA)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ".kt:" not in done.stderr, done.stderr  # no warning either

    def run(*arguments: str | Path) -> Any:
        command = ["java", *JAVA, "-cp", f"{jar}:{ORG_JSON}", "HarnessKt", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_it_opens_a_bundle(library, small_bundle, tmp_path):
    new, old, damaged, odd, none = (_copy(small_bundle, tmp_path / str(i)) for i in range(5))
    _edit(new, lambda manifest: manifest.update(schema_version=3))

    def to_version_1(manifest):
        manifest.update(schema_version=1, thresholds={"shown": 0.5})
        for field in ("profile", "head", "calibration", "unknown", "validation", "region"):
            manifest.pop(field, None)

    _edit(old, to_version_1)
    _edit(odd, lambda manifest: manifest["thresholds"].pop("kept_share"))
    _edit(none, lambda manifest: manifest["thresholds"]["common_ancestor"].update(leaves=0))
    strange, tabled, rowless = (_copy(small_bundle, tmp_path / f"table{i}") for i in range(3))
    _edit(strange, lambda manifest: manifest["thresholds"].update(by_taxon="labels.txt"))
    for folder, rows in ((tabled, "3,0.25\n1,1\n"), (rowless, "3,0.25\n1,1.5\n")):
        (folder / "thresholds.csv").write_text(f"taxon_id,threshold\n{rows}")
        _edit(folder, lambda manifest: manifest["thresholds"].update(by_taxon="thresholds.csv"))
    labels = (damaged / "labels.txt").read_text()
    (damaged / "labels.txt").write_text(labels.replace("Aglais io", "Aglais oi"))
    opened, newer, older, broken, garbled, leafless, *by_taxon = library(
        "open", small_bundle, new, old, damaged, odd, none, strange, tabled, rowless
    )
    assert opened["schema"] == 2
    assert opened["labels"] == ["Aglais io", "Aglais urticae", "Pieris napi", "Pieris rapae"]
    assert opened["names"] == {
        language: len(names) for language, names in open_bundle(small_bundle).names().items()
    }
    assert opened["model"] == (small_bundle / "model.tflite").stat().st_size
    assert "newer format 3" in newer and "up to 2" in newer
    assert older["schema"] == 1
    assert "shown=0.5" in older["thresholds"] and "ancestorLeaves=15" in older["thresholds"]
    assert broken == "labels.txt is damaged: it differs from SHA256SUMS"
    assert "bundle.json lacks or garbles a field" in garbled and "kept_share" in garbled
    assert leafless == "bundle.json garbles a field: a common ancestor of 0 leaves"
    assert "byTaxon={}" in opened["thresholds"]
    assert by_taxon[0] == "bundle.json garbles a field: labels.txt is none of thresholds.csv"
    assert "byTaxon={1=1.0, 3=0.25}" in by_taxon[1]["thresholds"]
    assert by_taxon[2] == "thresholds.csv has a garbled row: 1,1.5"


def test_it_prepares_the_same_pixels(library, small_bundle, tmp_path):
    bundle = _copy(small_bundle, tmp_path / "bundle")
    # 0.5 of a shorter side of 45 is 22.5, which is rounded to 22.
    _edit(bundle, lambda manifest: manifest["contract"].update(size=16, crop_ratio=0.5))
    photographs = _odd_photographs(tmp_path)
    for path, pixels in _prepared(library, bundle, photographs, tmp_path).items():
        expected = Contract(16, 0.5).apply(read_upright(path)).astype(int)
        difference = np.abs(pixels.reshape(expected.shape) - expected)
        assert difference.max() <= 1, path
        # Rows first or columns first rounds otherwise in a photograph that lies on its side.
        sideways = decode(path.read_bytes())[1] >= 5
        assert difference.mean() < (0.5 if sideways or path.suffix == ".jpg" else 0.005), path


def test_golden_photographs_give_the_same_pixels(library, small_bundle, tmp_path):
    contract = open_bundle(small_bundle).contract
    golden = sorted((small_bundle / "golden").iterdir())
    assert [path.suffix for path in golden].count(".jpg") == 3
    for path, pixels in _prepared(library, small_bundle, golden, tmp_path).items():
        expected = contract.apply(read_upright(path)).astype(int)
        difference = np.abs(pixels.reshape(expected.shape) - expected)
        assert difference.max() <= (0 if path.suffix == ".png" else 1), path
        assert difference.mean() < 0.5, path


def test_the_golden_check_passes_and_finds_what_is_wrong(library, small_bundle, tmp_path):
    golden = sorted((small_bundle / "golden").iterdir())
    recognizer = open_bundle(small_bundle).recognizer()
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.mkdir(), wrong.mkdir()
    for path, pixels in _prepared(library, small_bundle, golden, tmp_path).items():
        size = recognizer.contract.size
        scores = recognizer.score(pixels.astype(np.uint8).reshape(1, size, size, 3))[0]
        name = f"{hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest()}.f32"
        scores.astype("<f4").tofile(right / name)
        swapped = np.roll(scores, 1) if path.name == "2.png" else scores
        swapped.astype("<f4").tofile(wrong / name)
    passed, failed = library("check", small_bundle, right, wrong)
    assert passed == []
    assert len(failed) == 1
    assert failed[0].startswith("golden/2.png: a score differs by ")

    def exact_ones_alone(manifest):
        manifest["contract"]["crop_ratio"] = 0.5  # those are cut already
        manifest["golden"] = [entry for entry in manifest["golden"] if entry["exact"]]

    cut = _copy(small_bundle, tmp_path / "cut")
    _edit(cut, exact_ones_alone)
    assert library("check", cut, right) == [[]]


def test_it_gives_the_same_answers(library, small_bundle, tmp_path):
    rng = np.random.default_rng(5)
    cases = [_random_case(small_bundle, tmp_path / str(i), rng) for i in range(20)]
    found = library("answer", *cases)
    kinds = dict.fromkeys(("unknown", "sure", "ancestor", "unsure", "inner", "own"), 0)
    for case, answers in zip(cases, found, strict=True):
        recognizer = _recognizer(case / "bundle")
        outputs = np.fromfile(case / "scores.f32", "<f4").reshape(len(answers), -1)
        parents = {taxon.parent_taxon_id for taxon in recognizer.taxonomy}
        for row, answer in zip(outputs, answers, strict=True):
            expected = recognizer.answer(recognizer.score(row[None])[0], 5, "en")
            assert answer["known"] == expected.known
            assert answer["name"] == (expected.name.taxon.name if expected.name else None)
            _assert_same(answer["suggestions"], expected.suggestions)
            _assert_same(answer["branch"], expected.branch)
            for key, one in (
                ("sure", expected.sure),
                ("common_ancestor", expected.common_ancestor),
            ):
                _assert_same([answer[key]] if answer[key] else [], [one] if one else [])
            kinds["unknown"] += not expected.known
            kinds["sure"] += expected.sure is not None
            kinds["ancestor"] += expected.common_ancestor is not None
            kinds["unsure"] += expected.known and expected.name is None
            by_taxon = recognizer.thresholds.by_taxon
            kinds["own"] += bool(expected.sure) and expected.sure.taxon.taxon_id in by_taxon
            kinds["inner"] += expected.branch[-1].taxon.taxon_id in parents
    assert min(kinds.values()) > 10, kinds


def _example() -> str:
    """The Kotlin of the README, which has to compile too."""
    text = (LIBRARY / "README.md").read_text(encoding="utf-8")
    return text.split("```kotlin\n")[1].split("```")[0]


def _assert_same(found: Sequence[dict[str, Any]], expected: Sequence[Any]) -> None:
    assert [one["taxon_id"] for one in found] == [one.taxon.taxon_id for one in expected]
    assert [one["name"] for one in found] == [one.taxon.name for one in expected]
    assert [one["common_name"] for one in found] == [one.common_name for one in expected]
    assert [one["score"] for one in found] == pytest.approx(
        [one.score for one in expected], abs=1e-6
    )


def _recognizer(folder: Path) -> Recognizer:
    """A bundle without its model, whose output is given."""
    bundle = open_bundle(folder)
    taxonomy, taxon_ids = bundle.taxa()

    def score(output: np.ndarray) -> np.ndarray:
        if bundle.output_kind == "probabilities":
            return output
        return probabilities_of(output, bundle.unknown_logit)

    return Recognizer(
        name="", fingerprint="", bytes=0, threads=0, contract=bundle.contract,
        class_taxon_ids=taxon_ids, taxonomy=taxonomy, names=bundle.names(), score=score,
        thresholds=bundle.thresholds,
    )  # fmt: skip


def _random_case(small_bundle: Path, case: Path, rng: np.random.Generator) -> Path:
    """A random tree with classes at tips and on inner nodes, random thresholds, and outputs."""
    bundle = _copy(small_bundle, case / "bundle")
    nodes = int(rng.integers(5, 60))
    parents = [int(rng.integers(-1, i)) if i > 2 else -1 for i in range(nodes)]
    depths: list[int] = []
    for parent in parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    levels = (40, 33, 30, 20, 10, 5)
    has_class = [i not in parents or rng.random() < 0.4 for i in range(nodes)]
    outputs = iter(rng.permutation(sum(has_class)).tolist())
    ids = rng.permutation(10**12 + np.arange(nodes)).tolist()
    names = [f'"x" {i}, of no rank' if i % 7 == 0 else f"Ünit {i}" for i in range(nodes)]
    rows = [
        (ids[parents[i]] if parents[i] >= 0 else None, ids[i], levels[min(depths[i], 5)], "rank",
         next(outputs) if has_class[i] else None, names[i])
        for i in rng.permutation(nodes)
    ]  # fmt: skip
    write_csv(
        bundle / "taxonomy.csv",
        ("parent_taxon_id", "taxon_id", "rank_level", "rank", "leaf_class_id", "name"),
        rows,
    )
    common_names = {str(taxon_id): f"<b>{taxon_id}</b> ż" for taxon_id in ids[::2]}
    (bundle / "names" / "en.json").write_text(json.dumps(common_names), encoding="utf-8")
    tied = bool(rng.random() < 0.5)
    thresholds = Thresholds(
        kept_share=float(rng.choice([0, 0.001, 0.001 if tied else 0.2])),
        shown=float(rng.choice([0.5, 0.7, 0.95])),
        ancestor_score=float(rng.choice([0.6 if tied else 0.3, 0.6, 0.78])),
        ancestor_leaves=int(rng.choice([1, 3, 15])),
        ancestor_share=float(rng.choice([0.01, 0.3])),
        ancestor_rank_levels=(20, 40) if rng.random() < 0.5 else (20, 33),
        unknown=float(rng.choice([0, 0.5])),
    )
    own = [(taxon_id, rng.choice([0, 0.3001, 0.9001, 1])) for taxon_id in ids[::3]]
    has_own = bool(rng.random() < 0.5)
    if has_own:
        write_csv(bundle / "thresholds.csv", ("taxon_id", "threshold"), own)
    logits = bool(rng.random() < 0.3)

    def edit(manifest):
        manifest["thresholds"] = thresholds.as_json()
        if has_own:
            manifest["thresholds"]["by_taxon"] = "thresholds.csv"
        manifest["output"]["kind"] = "logits" if logits else "probabilities"
        manifest["output"]["unknown_logit"] = 5.5 if rng.random() < 0.7 else None
        manifest["languages"] = ["en"]

    classes = sum(has_class)
    scores = rng.dirichlet(np.full(classes, rng.choice([0.05, 0.3, 1])), 20).astype("<f4")
    if logits:
        scores = rng.normal(0, 5, scores.shape).astype("<f4")
    elif tied:  # 64ths that are all kept and add up to 1: no rounding decides between equals
        scores[:8] = rng.multinomial(64, np.full(classes, 1 / classes), 8) / 64
    if not logits:
        scores[8] = np.eye(classes)[int(rng.integers(classes))]
        scores[9:] *= rng.random((11, 1))  # the rest is the probability of nothing known
    scores.tofile(case / "scores.f32")
    _edit(bundle, edit)
    return case


def _odd_photographs(folder: Path) -> list[Path]:
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return odd_photographs(folder, coarse, rng)


def _prepared(
    library: Run, bundle: Path, photographs: Sequence[Path], out: Path
) -> dict[Path, np.ndarray]:
    """The pixels that the library makes of each photograph, int64."""
    files = library("prepare", bundle, out, *photographs)
    return {
        photograph: np.fromfile(file, np.uint8).astype(int)
        for photograph, file in zip(photographs, files, strict=True)
    }


def _copy(bundle: Path, to: Path) -> Path:
    return Path(shutil.copytree(bundle, to))


def _edit(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change bundle.json and bring SHA256SUMS up to date."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    change(manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    lines = io.StringIO()
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and path.name != "SHA256SUMS":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.write(f"{digest}  {path.relative_to(bundle).as_posix()}\n")
    (bundle / "SHA256SUMS").write_text(lines.getvalue())
