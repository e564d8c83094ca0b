from __future__ import annotations

import os

import pytest

from taxonvision.errors import AlreadyDone, UserError
from taxonvision.evaluation.threshold_files import COLUMNS, read_chosen, write_thresholds
from taxonvision.evaluation.thresholds import Tally, TaxonThreshold
from taxonvision.tables import read_csv
from taxonvision.taxonomy.tree import Taxon

CHOSEN = [
    TaxonThreshold(Taxon.of_rank(1, None, "genus", 'A "b", c'), 1.0, Tally(9, 0, 0), "rank"),
    TaxonThreshold(Taxon.of_rank(2, 1, "species", "Aglais io"), 5e-07, Tally(30, 3, 2), "taxon"),
    TaxonThreshold(Taxon.of_rank(3, 1, "species", "X"), 0.7, Tally(0, 0, 0), "default"),
]  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "thresholds.csv"
    write_thresholds(path, CHOSEN, overwrite=False)
    assert read_chosen(path) == {1: 1.0, 2: 5e-07, 3: 0.7}
    rows = read_csv(path, COLUMNS)
    assert rows[0]["name"] == 'A "b", c'
    assert rows[0]["precision"] == ""
    assert (rows[1]["named"], rows[1]["precision"], rows[1]["from"]) == ("3", "0.6667", "taxon")


def test_another_table_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "thresholds.csv"
    write_thresholds(path, CHOSEN, overwrite=False)
    before = path.read_bytes()
    with pytest.raises(AlreadyDone):
        write_thresholds(path, CHOSEN, overwrite=False)
    with pytest.raises(UserError, match="holds something else"):
        write_thresholds(path, CHOSEN[:1], overwrite=False)
    assert path.read_bytes() == before
    write_thresholds(path, CHOSEN[:1], overwrite=True)
    assert read_chosen(path) == {1: 1.0}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match="is a folder"):
        write_thresholds(tmp_path, CHOSEN, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_is_neither_read_nor_replaced(tmp_path, overwrite):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="is a pipe"):
        write_thresholds(pipe, CHOSEN, overwrite=overwrite)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("taxon_id,score\n3,0.5\n", "has no column threshold"),
        ("taxon_id,threshold\n3,1\n4,70\n", "line 3: threshold must be a fraction of 1, not '70'"),
        ("taxon_id,threshold\n3,nan\n", "line 2: threshold must be a fraction of 1, not 'nan'"),
        ("taxon_id,threshold\n3,\n", "line 2: threshold must be a fraction of 1, not ''"),
        ("taxon_id,threshold\nx,0.5\n", "line 2: taxon_id must be a whole number"),
        ("taxon_id,threshold\n3,0.5\n3,0.5\n", "line 3: taxon 3 is there twice"),
    ],
)  # fmt: skip
def test_a_garbled_table_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "thresholds.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_chosen(tmp_path / "thresholds.csv")
    with pytest.raises(UserError, match="does not exist"):
        read_chosen(tmp_path / "none.csv")
