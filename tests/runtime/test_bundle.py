from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.photograph import read_upright
from taxonvision.runtime.bundle import Bundle, check_golden, is_bundle, open_bundle
from taxonvision.runtime.thresholds import Thresholds


@pytest.fixture
def bundle(small_bundle, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(small_bundle, tmp_path / "bundle"))


def seal(folder: Path) -> None:
    """Write SHA256SUMS anew, as somebody would who damages a bundle on purpose."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "SHA256SUMS"]
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n"
        for p in files
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def edit(folder: Path, change) -> None:
    manifest = json.loads((folder / "bundle.json").read_text())
    change(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))
    seal(folder)


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return target


def test_folder_and_zip_give_the_same_answers(bundle, tmp_path):
    archive = zipped(bundle, tmp_path / "bundle.zip")
    assert is_bundle(bundle)
    assert is_bundle(archive)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    opened = [open_bundle(path) for path in (bundle, archive)]
    scores = [one.recognizer().score(pixels) for one in opened]
    assert (scores[0] == scores[1]).all()
    assert np.allclose(scores[0].sum(axis=1), 1, atol=1e-5)
    assert opened[0].fingerprint == opened[1].fingerprint


def test_names_in_every_language_come_with_it(bundle):
    names = open_bundle(bundle).names()
    assert names["en"][3] == "peacock"
    assert names["de"][5] == "Kleiner Kohlweißling"
    assert 6 not in names["de"]


def test_golden_photographs_agree_and_a_changed_model_does_not(bundle):
    opened = open_bundle(bundle)
    recognizer = opened.recognizer()
    assert check_golden(opened, recognizer) == []
    first = opened.golden[0]
    entry = next(iter(first.top))

    def shift(manifest):
        manifest["golden"][0]["top"][0]["score"] = first.top[entry] - 2 * first.tolerance

    edit(bundle, shift)
    changed = open_bundle(bundle)
    assert check_golden(changed, changed.recognizer()) == [
        f"{first.file}: a score differs by {2 * first.tolerance:.4f}, more than {first.tolerance:g}"
    ]


def test_exact_golden_photographs_are_not_cut_again(bundle):
    edit(bundle, set_in("contract", "crop_ratio", 0.5))
    opened = open_bundle(bundle)
    recognizer = opened.recognizer()
    inputs = []

    def score(pixels):
        inputs.extend(pixels)
        return recognizer.score(pixels)

    check_golden(opened, dataclasses.replace(recognizer, score=score))
    assert {golden.exact for golden in opened.golden} == {True, False}
    for golden, pixels in zip(opened.golden, inputs, strict=True):
        whole = np.asarray(read_upright(opened.read(golden.file)))
        assert np.array_equal(pixels, whole) == golden.exact


def test_version_1_is_still_read(bundle):
    def as_version_1(manifest):
        manifest.update(schema_version=1, thresholds={"shown": 0.6})
        del manifest["output"]

    edit(bundle, as_version_1)
    opened = open_bundle(bundle)
    assert opened.thresholds == Thresholds(shown=0.6)
    assert opened.output_kind == "probabilities"
    assert check_golden(opened, opened.recognizer()) == []


def with_thresholds(folder: Path, content: bytes, name: str = "thresholds.csv") -> Path:
    (folder / "thresholds.csv").write_bytes(content)
    edit(folder, set_in("thresholds", "by_taxon", name))
    return folder


def test_thresholds_by_taxon_come_with_it(bundle):
    before = open_bundle(bundle).thresholds
    with_thresholds(bundle, b"taxon_id,threshold\n3,0.25\r\n1,1\n4,1e-3\n")
    opened = open_bundle(bundle)
    expected = dataclasses.replace(before, by_taxon={3: 0.25, 1: 1.0, 4: 0.001})
    assert opened.thresholds == opened.recognizer().thresholds == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "its columns are not"),
        (b"taxon_id,threshold,more\n3,0.25,1\n", "its columns are not"),
        (b"threshold,taxon_id\n0.25,3\n", "its columns are not"),
        (b"taxon_id,threshold\n3\n", "no taxon id and number"),
        (b"taxon_id,threshold\n\n3,0.25\n", "no taxon id and number"),
        (b"taxon_id,threshold\n3,0.25,1\n", "no taxon id and number"),
        (b"taxon_id,threshold\n3,nan\n", "no taxon id and number"),
        (b"taxon_id,threshold\n3, 0.25\n", "no taxon id and number"),
        (b"taxon_id,threshold\n3,1.01\n", "no fraction of 1"),
        (b"taxon_id,threshold\n3,-0.1\n", "no fraction of 1"),
        (b"taxon_id,threshold\n3,9e999\n", "no fraction of 1"),
        (b"taxon_id,threshold\n3.0,0.5\n", "no whole number"),
        (b"taxon_id,threshold\n9223372036854775808,0.5\n", "no whole number"),
        (b"taxon_id,threshold\n3,0.5\n4,0.5\n3,0.5\n", "taxon 3 stands in it twice"),
        (b"taxon_id,threshold\n3,0.5\xff\n", "utf-8"),
        (b'taxon_id,threshold\n3,"0.5\n', "unexpected end"),
    ],
)
def test_garbled_thresholds_by_taxon_are_one_sentence(bundle, content, sentence):
    with_thresholds(bundle, content)
    with pytest.raises(UserError, match=f"thresholds.csv cannot be read: .*{sentence}"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["labels.txt", "../thresholds.csv", 3, ["thresholds.csv"]])
def test_the_table_of_thresholds_has_one_name(bundle, name):
    with_thresholds(bundle, b"taxon_id,threshold\n3,0.5\n", name)
    with pytest.raises(UserError, match=r"thresholds.by_taxon is .* and not thresholds.csv"):
        open_bundle(bundle)


def test_a_table_of_thresholds_that_is_not_there(bundle):
    edit(bundle, set_in("thresholds", "by_taxon", "thresholds.csv"))
    with pytest.raises(UserError, match=r"'thresholds\.csv' is not listed in SHA256SUMS"):
        open_bundle(bundle)


def test_logits_become_probabilities(bundle):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    given = open_bundle(bundle).recognizer().score(pixels)
    edit(bundle, set_in("output", "kind", "logits"))
    scores = open_bundle(bundle).recognizer().score(pixels)
    assert scores.dtype == np.float32
    powers = np.exp(given)
    assert scores == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-6)


@pytest.mark.parametrize("name", ["model.tflite", "taxonomy.csv", "bundle.json", "labels.txt"])
def test_a_flipped_byte_is_found(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(UserError, match="is damaged: it differs from SHA256SUMS"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["model.tflite", "taxonomy.csv", "SHA256SUMS", "golden/1.png"])
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(UserError, match=name):
        open_bundle(bundle)


@pytest.mark.parametrize("line", ["0  ../secret", "0  /etc/passwd", "nonsense", "0  a\\..\\b"])
def test_checksums_cannot_lead_outside(bundle, line):
    with (bundle / "SHA256SUMS").open("a") as sums:
        sums.write(line + "\n")
    with pytest.raises(UserError, match="unusable line"):
        open_bundle(bundle)


def test_a_file_left_out_of_the_checksums_is_noticed(bundle):
    lines = (bundle / "SHA256SUMS").read_text().splitlines(keepends=True)
    (bundle / "SHA256SUMS").write_text("".join(x for x in lines if "model.tflite" not in x))
    with pytest.raises(UserError, match=r"does not list model\.tflite"):
        open_bundle(bundle)


def test_a_nul_in_the_checksums_is_an_unusable_line(bundle):
    with (bundle / "SHA256SUMS").open("a") as sums:
        sums.write("0  a\0b\n")
    with pytest.raises(UserError, match="unusable line"):
        open_bundle(bundle)


def is_refused(folder: Path, match: str) -> None:
    """Opening it, or else using all of it, ends in one sentence."""
    with pytest.raises(UserError, match=match) as caught:
        use(folder)
    assert "\n" not in str(caught.value)


def use(folder: Path) -> None:
    opened = open_bundle(folder)
    opened.names()
    recognizer = opened.recognizer()
    check_golden(opened, recognizer)
    recognizer.answer(np.arange(len(recognizer.class_taxon_ids)), 5, "en")


@pytest.mark.parametrize("packed", [False, True])
def test_only_listed_files_are_served(bundle, tmp_path, packed):
    (tmp_path / "outside.json").write_text('{"3": "secret"}')
    (bundle / "more.json").write_text("{}")
    place = zipped(bundle, tmp_path / "bundle.zip") if packed else bundle
    read = open_bundle(place).read
    assert read("labels.txt")
    for name in ("more.json", "../outside.json", str(tmp_path / "outside.json"), "SHA256SUMS", ""):
        with pytest.raises(UserError, match="is not listed in SHA256SUMS"):
            read(name)


@pytest.mark.parametrize("code", ["../../outside", "", "/etc", "de.x", "dé", "en\n", "1", 3, None])
def test_languages_are_codes(bundle, code):
    (bundle.parent / "outside.json").write_text('{"3": "secret"}')
    edit(bundle, lambda manifest: manifest.update(languages=[code]))
    with pytest.raises(UserError, match=r"bundle\.json lacks or garbles a field"):
        open_bundle(bundle)


def test_a_language_without_its_listed_file_is_refused(bundle):
    edit(bundle, lambda manifest: manifest["languages"].append("fr"))
    is_refused(bundle, r"'names/fr\.json' is not listed")


def test_a_golden_photograph_outside_is_not_read(bundle):
    shutil.copy(bundle / "golden" / "1.png", bundle.parent / "1.png")
    edit(bundle, lambda manifest: manifest["golden"][0].update(file="../1.png"))
    is_refused(bundle, r"'\.\./1\.png' is not listed")


def test_a_file_exchanged_after_the_opening_is_noticed(bundle):
    opened = open_bundle(bundle)
    (bundle / "labels.txt").write_text("another")
    with pytest.raises(UserError, match=r"labels\.txt is damaged"):
        opened.read("labels.txt")


def test_a_pipe_is_not_waited_for(bundle):
    (bundle / "labels.txt").unlink()
    os.mkfifo(bundle / "labels.txt")
    with pytest.raises(UserError, match=r"labels\.txt cannot be read: no regular file"):
        open_bundle(bundle)


def test_a_damaged_zip_is_one_sentence_wherever_the_damage_is(bundle, tmp_path):
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in bundle.rglob("*"):
            target.write(path, path.relative_to(bundle))
    whole = archive.read_bytes()
    for position in range(0, len(whole), len(whole) // 300):
        archive.write_bytes(whole[:position] + b"\xff\xff\xff" + whole[position + 3 :])
        try:
            use(archive)
        except UserError as error:
            assert "\n" not in str(error)


def set_in(*path):
    """A change of bundle.json: the last of `path` is set at the place named by the others."""

    def change(manifest):
        place = manifest
        for step in path[:-2]:
            place = place[step]
        place[path[-2]] = path[-1]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (set_in("contract", "size", 0), "size must be from 1 to 8192"),
        (set_in("contract", "size", -32), "size must be from 1 to 8192"),
        (set_in("contract", "size", 10**9), "size must be from 1 to 8192"),
        (set_in("contract", "size", 32.5), "no whole number"),
        (set_in("contract", "size", True), "no whole number"),
        (set_in("contract", "crop_ratio", 0), "crop_ratio must be"),
        (set_in("contract", "crop_ratio", 1.5), "crop_ratio must be"),
        (set_in("contract", "crop_ratio", "nan"), "crop_ratio must be"),
        (set_in("contract", "crop_ratio", 10**400), "OverflowError"),
        (set_in("thresholds", "shown", "nan"), "no number"),
        (set_in("thresholds", "shown", float("nan")), "is no JSON"),
        (set_in("thresholds", "shown", -1), "no fraction"),
        (set_in("output", "kind", "degrees"), "'degrees' is none of probabilities, logits"),
        (set_in("output", "kind", []), "is none of"),
        (set_in("name", "\ud800"), "is no JSON"),
        (set_in("golden", 0, "top", []), "expects no taxon"),
        (set_in("golden", 0, "top", 0, "taxon_id", 99), "expects taxon 99, which is no output"),
        (set_in("golden", 0, "top", 0, "taxon_id", 2**63), "no whole number of 64 bits"),
        (set_in("golden", 0, "top", 0, "score", "nan"), "no fraction"),
        (set_in("golden", 0, "tolerance", "inf"), "no fraction"),
        (set_in("golden", 0, "file", "labels.txt"), r"labels\.txt is no photograph"),
    ],
)
def test_a_garbled_field_is_one_sentence(bundle, change, sentence):
    edit(bundle, change)
    is_refused(bundle, sentence)


def test_a_number_beyond_all_numbers_is_refused(bundle):
    text = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(text.replace('"size": 32', '"size": 1e999'))
    seal(bundle)
    is_refused(bundle, r"bundle\.json is no JSON")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nothing", "is no JSON"),
        (DEEP, "is no JSON"),
        ("\ufffe", "is no JSON"),
        ("[]", "does not hold a name for each taxon id"),
        ('{"3": null}', "does not hold a name for each taxon id"),
        ('{"three": "peacock"}', "three"),
        ('{"9223372036854775808": "peacock"}', "64 bits"),
        ('{"3": "\\ud800"}', "is no JSON"),
        (f'{{"3{"0" * 5000}": "peacock"}}', "limit"),
    ],
)
def test_garbled_names_are_one_sentence(bundle, text, sentence):
    (bundle / "names" / "en.json").write_text(text)
    seal(bundle)
    is_refused(bundle, rf"names/en\.json.*{sentence}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("file", ["bundle.json", "names/en.json"])
def test_json_is_utf_8_as_other_readers_expect(bundle, file, encoding):
    (bundle / file).write_text((bundle / file).read_text(encoding="utf-8"), encoding=encoding)
    seal(bundle)
    is_refused(bundle, rf"{file} is no JSON")


def test_json_a_mile_deep_is_refused(bundle):
    (bundle / "bundle.json").write_text(DEEP)
    seal(bundle)
    is_refused(bundle, r"bundle\.json is no JSON")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("2,9,10,species,,", "lacks a name"),
        ('2,9,10,species,,"Pieris\nrapae"', "lacks a name of one line"),
        ("2,9,10,species,", "not as many cells"),
        ("2,9,10,species,,Pieris,more", "not as many cells"),
        ("2,9223372036854775808,10,species,,Pieris", "64 bits"),
        ("9223372036854775808,9,10,species,,Pieris", "64 bits"),
        ("2,9,nan,species,,Pieris", "rank_level"),
        ("2,9,ten,species,,Pieris", "ten"),
        ("2,9,1_0,species,,Pieris", "rank_level"),
        ('2,9,10,"spe\ncies",,Pieris', "a rank"),
        ("2, 9,10,species,,Pieris", "' 9' is no whole number"),
        ("2,09,10,species,,Pieris", "'09' is no whole number"),
        ("2,\u0669,10,species,,Pieris", "is no whole number"),
        ("2,9,10,species,3,Pieris", "do not count"),
        ('2,9,10,species,,"Pieris', "unexpected end of data"),
    ],
)
def test_a_garbled_row_of_the_tree_is_one_sentence(bundle, row, sentence):
    with (bundle / "taxonomy.csv").open("a") as table:
        table.write(row + "\n")
    seal(bundle)
    is_refused(bundle, rf"taxonomy\.csv.*{sentence}")


@pytest.mark.parametrize("wrong", [lambda scores: scores * 1.1, lambda scores: scores - 1e-3])
def test_scores_that_are_no_shares_of_1_are_found(bundle, wrong):
    opened = open_bundle(bundle)
    lenient = tuple(dataclasses.replace(golden, tolerance=1) for golden in opened.golden)
    opened, recognizer = dataclasses.replace(opened, golden=lenient), opened.recognizer()
    assert check_golden(opened, recognizer) == []
    odd = dataclasses.replace(recognizer, score=lambda pixels: wrong(recognizer.score(pixels)))
    assert check_golden(opened, odd) == [
        f"{golden.file}: the model's scores are no shares of 1" for golden in lenient
    ]


def test_a_score_that_is_no_number_differs(bundle):
    opened = open_bundle(bundle)
    recognizer = opened.recognizer()

    def second_is_lost(pixels):
        scores = recognizer.score(pixels)
        scores[:, np.argsort(-scores[0])[1]] = np.nan
        return scores

    findings = check_golden(opened, dataclasses.replace(recognizer, score=second_is_lost))
    assert len(findings) == len(opened.golden)


def test_a_newer_format_is_refused_and_unknown_fields_are_passed_over(bundle):
    edit(bundle, lambda manifest: manifest.update(hologram=True))
    assert isinstance(open_bundle(bundle), Bundle)
    edit(bundle, lambda manifest: manifest.update(schema_version=99))
    with pytest.raises(UserError, match="newer taxonvision"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "field", ["name", "quantization", "output", "contract", "thresholds", "languages", "golden"]
)
def test_a_lacking_field_is_one_sentence(bundle, field):
    edit(bundle, lambda manifest: manifest.pop(field))
    with pytest.raises(UserError, match=field):
        open_bundle(bundle)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    )
)
def test_any_json_is_opened_or_refused_in_one_sentence(small_bundle, tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("odd")
    for name in ("model.tflite", "taxonomy.csv"):
        shutil.copy(small_bundle / name, folder / name)
    (folder / "bundle.json").write_text(json.dumps(value))
    seal(folder)
    with pytest.raises(UserError):
        open_bundle(folder)


VALUES = st.one_of(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
    st.sampled_from([0, -1, 1, 3, 2**31, 2**63, 10**400, 1e308, "3", "en", "nan", "../x", [], {}]),
    st.sampled_from([50, 400, 900]).map(lambda depth: json.loads("[" * depth + "]" * depth)),
)
ODD_ONES = {
    int: st.sampled_from([0, -1, 1, 3, 99, 2**31, 2**63, 10**400]),
    float: st.floats(),
    str: st.sampled_from(["", "0", "99", "-1", str(2**63), "nan", "../x", "labels.txt", "\ud800"]),
    list: st.just([]),
}
"""Of the kind that stood there, which passes the first checks."""


def places(value):
    """All containers in a JSON value, each with each of its keys."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def mutate(draw, value):
    """Drop or replace something somewhere in a JSON value."""
    if not draw(st.integers(0, 20)):
        return draw(VALUES)
    container, key = draw(st.sampled_from(list(places(value)) or [({}, "3")]))
    if draw(st.booleans()):
        kind = type(container.get(key) if isinstance(container, dict) else container[key])
        container[key] = draw(ODD_ONES.get(kind, VALUES) | VALUES)
    elif key in container or isinstance(container, list):
        del container[key]
    return value


def mutate_table(draw, text):
    rows = list(csv.reader(io.StringIO(text)))
    row = draw(st.sampled_from(rows))
    place = draw(st.integers(0, len(row) - 1))
    if draw(st.booleans()):
        row[place] = draw(ODD_ONES[str] | VALUES.map(str) | st.text(max_size=5))
    else:
        del row[place]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("name", ["bundle.json", "taxonomy.csv", "names/en.json"])
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_bundle_with_a_random_change_is_used_or_refused(bundle, small_bundle, name, data):
    text = (small_bundle / name).read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 2))):
        if name.endswith(".csv"):
            text = mutate_table(data.draw, text)
        else:
            text = json.dumps(mutate(data.draw, json.loads(text)))
    (bundle / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    seal(bundle)
    try:
        use(bundle)
    except UserError as error:
        assert "\n" not in str(error)


def test_a_model_that_does_not_fit_the_tree_is_refused(bundle):
    rows = (bundle / "taxonomy.csv").read_text().splitlines()
    kept = [row for row in rows if "Pieris napi" not in row]
    (bundle / "taxonomy.csv").write_text("\n".join(kept) + "\n")
    seal(bundle)
    with pytest.raises(UserError, match=r"taxonomy\.csv"):
        open_bundle(bundle).recognizer()


def test_a_truncated_model_is_refused(bundle):
    content = (bundle / "model.tflite").read_bytes()
    (bundle / "model.tflite").write_bytes(content[:100])
    seal(bundle)
    with pytest.raises(UserError, match="no TFLite model that LiteRT can run"):
        open_bundle(bundle).recognizer()
