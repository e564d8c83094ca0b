from __future__ import annotations

import re

from taxonvision import progress
from taxonvision.progress import say, track


def test_items_are_passed_on_and_the_end_is_told(capsys):
    assert list(track(range(7), 7, "drawing")) == list(range(7))
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"drawing: 7 photographs in \d+\.\d s, \d+/s\n", err)


def test_batches_count_for_what_is_in_them(capsys):
    batches = [[1, 2, 3], [4]]
    assert list(track(batches, 4, "scoring", unit="epochs", size=len)) == batches
    assert capsys.readouterr().err.startswith("scoring: 4 epochs in ")


def test_long_work_is_told_now_and_then_with_the_time_left(capsys, monkeypatch):
    seconds = iter(range(0, 1000, 6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    list(track(range(5), 5, "opening", unit="files"))
    assert capsys.readouterr().err.splitlines() == [
        "opening: 2/5 files, 0/s, 18 s left",
        "opening: 4/5 files, 0/s, 6 s left",
        "opening: 5 files in 36.0 s, 0/s",
    ]


def test_lines_get_rarer_and_hold_what_else_is_to_be_shown(capsys, monkeypatch):
    seconds = iter(range(0, 10_000, 30))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    list(track(range(60), 60, "epoch 1", note=lambda: "loss 0.5", closing=False))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 1: 1/60 photographs, 0/s, 1770 s left, loss 0.5"
    done = [int(re.search(r"(\d+)/60", line)[1]) for line in lines]
    assert len(done) < 30  # of 59 chances, each 30 s apart
    assert done[-1] - done[-2] > done[1] - done[0]
    assert not any(" in " in line for line in lines)


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(["a", "b"], 2, "naming")) == ["a", "b"]
    shown = capsys.readouterr().err
    assert "naming" in shown
    assert "2/2 photographs" in shown


def test_what_steers_a_terminal_is_not_said(capsys):
    say("a\x1b[31mb")
    assert "\x1b" not in capsys.readouterr().err
