from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taxonvision.cli.main import main
from taxonvision.cli.photographs import listed
from taxonvision.cli.predict import _BROKEN_SAID
from taxonvision.errors import UserError
from taxonvision.runtime.answer_file import PART


@pytest.fixture
def photo(photo_folder) -> Path:
    return Path(photo_folder / "Aglais" / "Aglais io" / "0.png")


@pytest.fixture
def broken_folder(photo, tmp_path):
    """Three photographs, and twice as many that cannot be read as are said one by one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        os.link(photo, folder / f"{number}.png")
    for number in range(2 * _BROKEN_SAID):
        (folder / f"broken{number:02}.png").touch()
    return folder


@pytest.mark.parametrize("out", [True, False])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_first_broken_photographs_are_said_and_all_are_listed(
    small_bundle, broken_folder, tmp_path, capsys, kind, out
):
    command = ["predict", f"--model={small_bundle}", f"--format={kind}", str(broken_folder)]
    assert main([*command, *([f"--out={tmp_path / 'answers'}"] if out else [])]) == 2
    printed = capsys.readouterr()
    said = printed.err.splitlines()
    assert [line for line in said if "empty file" in line] == [
        f"taxonvision: {broken_folder}/broken{number:02}.png: empty file"
        for number in range(_BROKEN_SAID)
    ]
    assert f"{_BROKEN_SAID} more photographs cannot be read" in said[-1]
    text = (tmp_path / "answers").read_text() if out else printed.out
    answers = (
        [json.loads(line) for line in text.splitlines()]
        if kind == "jsonl"
        else list(csv.DictReader(io.StringIO(text)))
    )
    broken = [answer for answer in answers if answer.get("error")]
    assert len(broken) == 2 * _BROKEN_SAID
    assert {answer["error"] for answer in broken} == {"empty file"}


def test_a_table_of_parquet_is_typed(small_bundle, broken_folder, tmp_path):
    import duckdb

    out = tmp_path / "answers.parquet"
    command = ["predict", f"--model={small_bundle}", "--top=2", str(broken_folder)]
    assert main([*command, "--format=parquet", f"--out={out}"]) == 2
    assert main([*command, "--format=csv", f"--out={tmp_path / 'answers.csv'}"]) == 2
    with (tmp_path / "answers.csv").open() as file:
        texts = list(csv.DictReader(file))
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(out))
        assert table.columns == list(texts[0])
        types = dict(zip(table.columns, map(str, table.types), strict=True))
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
    assert (types["taxon_id"], types["score"], types["known"]) == ("BIGINT", "DOUBLE", "BOOLEAN")
    assert len(rows) == len(texts) == 3 * 2 + 2 * _BROKEN_SAID
    assert [row["score"] for row in rows[:6]] == [float(text["score"]) for text in texts[:6]]
    assert {row["taxon_id"] for row in rows[6:]} == {None}


def test_what_does_not_go_together_is_told(small_bundle, photo, tmp_path, capsys):
    command = ["predict", f"--model={small_bundle}", str(photo)]
    assert main([*command, "--format=parquet"]) == 2
    assert "--format=parquet needs --out=FILE" in capsys.readouterr().err
    assert main([*command, f"--out={tmp_path / 'out'}"]) == 2
    assert "--out needs --format=json, jsonl, csv or parquet" in capsys.readouterr().err
    assert main([*command, "--format=csv", f"--out={tmp_path}"]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert main([*command, ""]) == 2
    assert "empty name" in capsys.readouterr().err


def test_a_listing_is_read_from_anywhere(photo, broken_folder, tmp_path):
    (broken_folder / "raw.heic").touch()
    (broken_folder / "deep").mkdir()
    (broken_folder / "deep" / "link.jpg").symlink_to("nowhere")
    arguments = [str(photo), str(broken_folder), str(tmp_path / "none.jpg")]
    with listed(arguments) as listing:
        paths = list(listing.paths())
        below = sorted(broken_folder.glob("*.png"), key=str)
        assert paths == [photo, *below, tmp_path / "none.jpg"]
        faulty = [(path.name, str(reason)) for path, reason in listing.faulty()]
        assert faulty == [
            ("link.jpg", "dangling link"), ("raw.heic", "heic is not read; convert it to JPEG"),
        ]  # fmt: skip
        assert len(listing) == len(paths) + 2
        for start in (0, 1, len(paths) - 1, len(paths), len(paths) + 1, len(paths) + 2):
            assert list(listing.paths(start)) == paths[start:]
            left = [(path.name, str(reason)) for path, reason in listing.faulty(start)]
            assert left == faulty[max(0, start - len(paths)) :]


def test_a_listing_changes_with_what_is_in_the_files(broken_folder, tmp_path):
    def fingerprint(*more):
        with listed([str(broken_folder), *map(str, more)]) as listing:
            return listing.fingerprint

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint(tmp_path / "none.jpg") != first
    (broken_folder / "0.png").unlink()
    (broken_folder / "0.png").write_bytes(b"another")
    second = fingerprint()
    assert second != first
    (broken_folder / "0.png").rename(broken_folder / "00.png")
    assert fingerprint() not in (first, second)


def test_a_folder_without_photographs_is_told(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="there is no photograph in"), listed([str(tmp_path)]):
        pytest.fail("nothing is listed")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(small_bundle, photo, tmp_path, run_taxonvision):
    """Ended by Ctrl-C, then killed, then let be."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "0.png").touch()  # is known to be broken after all
    for number in range(1, 4 * PART):
        os.link(photo, folder / f"{number}.png")
    command = ["predict", f"--model={small_bundle}", "--format=parquet", str(folder)]
    assert main([*command, f"--out={tmp_path / 'whole'}"]) == 2
    out = tmp_path / "out"

    def ended_at(part: int, how: signal.Signals) -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "taxonvision", *command, f"--out={out}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        while not (tmp_path / "out.partial" / f"part-{part:06}").exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"ended too soon, with {process.wait(0.02)}")
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
        assert not out.exists()
        return process.returncode, said

    code, said = ended_at(0, signal.SIGINT)
    assert code == 130
    assert "is kept in" in said
    assert ended_at(1, signal.SIGKILL)[0] == -signal.SIGKILL
    done = run_taxonvision(*command, f"--out={out}")
    assert done.returncode == 2
    begun = re.search(r"going on after (\d+) photographs", done.stderr)
    assert begun
    assert int(begun[1]) in (2 * PART, 3 * PART)
    assert f"{folder / '0.png'}: empty file" in done.stderr
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "whole", "out"}
