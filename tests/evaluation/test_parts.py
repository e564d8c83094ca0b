from __future__ import annotations

import itertools

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.evaluation import parts as module
from taxonvision.evaluation.parts import write_scored
from taxonvision.evaluation.score_files import read_scores, write_scores
from taxonvision.evaluation.scores import Labelled, keep
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.scoring import BATCH, score_photographs

WHOLE_PART = module.PART


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART", 4)


@pytest.fixture
def recognizer(small_bundle):
    return open_bundle(small_bundle).recognizer()


@pytest.fixture
def sources(photo_folder):
    return sorted(photo_folder.rglob("*.png"))[:22]


def labelled(recognizer, sources) -> Labelled:
    taxa = np.resize(np.array(recognizer.class_taxon_ids), len(sources))
    return Labelled.of([path.name for path in sources], taxa)


def refuse(source, reason):
    raise UserError(f"{source}: {reason}")


def scored(recognizer, sources, path, fault=refuse):
    write_scored(recognizer, labelled(recognizer, sources), sources, path, "scoring", fault)
    return path


def test_scores_are_those_of_one_photograph_after_the_other(recognizer, sources, tmp_path):
    full = [recognizer.score(recognizer.contract.read_one(path)[None]) for path in sources]
    photographs = labelled(recognizer, sources)
    expected = keep(photographs, full, recognizer.roll_up, recognizer.class_taxon_ids)
    write_scores(tmp_path / "expected.parquet", expected)
    found, expected = (
        read_scores(path)
        for path in (scored(recognizer, sources, tmp_path / "s.parquet"),
                     tmp_path / "expected.parquet")
    )  # fmt: skip
    assert found.photo_ids == expected.photo_ids
    for part in ("classes", "inner"):
        for name in ("starts", "taxon_ids", "scores"):
            ours, theirs = (getattr(getattr(each, part), name) for each in (found, expected))
            assert ours.tobytes() == theirs.tobytes()
    assert found.rest.tobytes() == expected.rest.tobytes()
    assert found.truth_scores.tobytes() == expected.truth_scores.tobytes()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_what_is_there_is_not_scored_again(recognizer, sources, tmp_path, capsys, monkeypatch):
    whole = scored(recognizer, sources, tmp_path / "whole.parquet")
    asked = []

    def dying(recognizer, sources):
        asked.append(len(sources))
        yield from itertools.islice(score_photographs(recognizer, sources), 11)
        raise KeyboardInterrupt

    path = tmp_path / "scores.parquet"
    monkeypatch.setattr(module, "score_photographs", dying)
    for _ in range(2):  # each gets two parts further
        with pytest.raises(KeyboardInterrupt):
            scored(recognizer, sources, path)
        assert not path.exists()
        assert f"kept in {tmp_path}; the same command" in capsys.readouterr().err
    monkeypatch.setattr(module, "score_photographs", score_photographs)
    scored(recognizer, sources, path)
    assert asked == [22, 14]
    assert "16 of 22 photographs are scored already" in capsys.readouterr().err
    assert path.read_bytes() == whole.read_bytes()
    monkeypatch.setattr(module, "score_photographs", None)
    scored(recognizer, sources, path)  # it is there


def test_parts_are_whole_batches():
    """Else who goes on would score other photographs together, which changes the last digits."""
    assert WHOLE_PART % BATCH == 0


def test_all_parts_may_be_there(recognizer, sources, tmp_path, monkeypatch):
    """A run may be killed between its last part and the file."""
    monkeypatch.setattr(module, "join_scores", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        scored(recognizer, sources, tmp_path / "scores.parquet")
    monkeypatch.undo()
    monkeypatch.setattr(module, "PART", 4)
    monkeypatch.setattr(module, "score_photographs", None)
    assert len(read_scores(scored(recognizer, sources, tmp_path / "scores.parquet"))) == 22


def test_a_photograph_that_cannot_be_read_is_refused_or_left_out(recognizer, sources, tmp_path):
    for position in (0, 5, *range(8, 12), 21):  # a whole part among them
        sources[position] = tmp_path / f"{position}.png"
    with pytest.raises(UserError, match=r"0\.png: no such file"):
        scored(recognizer, sources, tmp_path / "refused.parquet")
    assert not any(tmp_path.iterdir())
    faults = []
    path = scored(
        recognizer, sources, tmp_path / "scores.parquet",
        lambda source, reason: faults.append((source.name, str(reason))),
    )  # fmt: skip
    missing = ["0.png", "5.png", *(f"{i}.png" for i in range(8, 12)), "21.png"]
    assert faults == [(name, "no such file") for name in missing]
    scores = read_scores(path)
    readable = [path.name for path in sources if path.exists()]
    assert scores.photo_ids == readable
    truth = labelled(recognizer, sources).truth
    assert scores.truth.tolist() == [truth[i] for i, path in enumerate(sources) if path.exists()]


@pytest.mark.parametrize("content", [b"", b"PAR1 no more"])
def test_a_damaged_part_is_scored_again(recognizer, sources, tmp_path, content):
    whole = scored(recognizer, sources, tmp_path / "whole.parquet")
    path = tmp_path / "s.parquet"
    path.write_bytes(content)
    folder = path.with_suffix(".parts")
    folder.mkdir()
    (folder / f"{0:09d}.parquet").write_bytes(content)
    assert scored(recognizer, sources, path).read_bytes() == whole.read_bytes()
