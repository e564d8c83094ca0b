from __future__ import annotations

import pytest

from taxonvision.catalog.catalog import open_catalog
from taxonvision.cli.main import main
from taxonvision.dataset.beam import in_pipeline
from taxonvision.errors import UserError

pytestmark = pytest.mark.slow  # importing Beam alone takes seconds


def test_a_pipeline_writes_the_bytes_that_processes_write(
    small_catalog, small_shards, prepare_small, content_of, tmp_path, capsys
):
    out = prepare_small(
        open_catalog(small_catalog), tmp_path / "out", write_shards=in_pipeline("DirectRunner")
    )
    assert content_of(out) == content_of(small_shards)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert "writing shards: 24 photographs" in capsys.readouterr().err


def test_an_unreadable_photograph_is_named_and_the_pipeline_resumes(
    own_catalog, small_shards, prepare_small, content_of, tmp_path
):
    path = own_catalog.root / "Pieris/Pieris napi/5.png"
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match=r"Pieris napi/5\.png is listed .*no such file"):
        prepare_small(own_catalog, tmp_path / "out", write_shards=in_pipeline("DirectRunner"))
    kept = list((tmp_path / "out.partial").glob("*.tfrecord-*"))
    assert kept
    path.write_bytes(whole)
    prepare_small(own_catalog, tmp_path / "out", write_shards=in_pipeline("DirectRunner"))
    assert content_of(tmp_path / "out") == content_of(small_shards)


def test_a_bug_in_a_worker_is_no_silence(small_catalog, prepare_small, tmp_path, monkeypatch):
    from taxonvision.dataset import beam

    def fail(job):
        raise ZeroDivisionError(f"no {job.shard.file}")

    monkeypatch.setattr(beam, "write_shard", fail)
    with pytest.raises(UserError, match=r"the Beam pipeline failed .*no taxonvision-"):
        prepare_small(
            open_catalog(small_catalog), tmp_path / "o", write_shards=in_pipeline("DirectRunner")
        )


def test_workers_that_write_elsewhere_are_noticed(
    small_catalog, prepare_small, tmp_path, monkeypatch
):
    from taxonvision.dataset import beam

    monkeypatch.setattr(beam, "write_shard", lambda job: None)
    with pytest.raises(UserError, match=r"ended without writing .* under the same paths"):
        prepare_small(
            open_catalog(small_catalog), tmp_path / "o", write_shards=in_pipeline("DirectRunner")
        )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--beam_runner=Nonsense"], "--beam_runner=Nonsense: Unexpected pipeline runner"),
        (["--beam_runner=Dataflow"], "Missing required option: project"),
        (
            ["--beam_runner=DirectRunner", "--beam_options=direct_num_workers=many"],
            "--beam_options: argument --direct_num_workers: invalid int value: 'many'",
        ),
    ],
)
def test_what_beam_does_not_take_is_one_sentence(small_catalog, tmp_path, capsys, flags, sentence):
    assert main(["prepare", f"--catalog={small_catalog}", f"--out={tmp_path / 'o'}", *flags]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
