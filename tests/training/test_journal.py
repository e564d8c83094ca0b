from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras

load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.training.journal import Journal, epoch_line  # noqa: E402
from taxonvision.training.step import Sums  # noqa: E402

ROW = {
    "epoch": 3,
    "trained": "all",
    "step": 12,
    "loss": 1.23456,
    "accuracy": 0.5,
    "val_loss": 2.0,
    "val_accuracy": 0.375,
    "photographs_per_second": 86.4,
}


def shown(folder):
    """What TensorBoard shows: (tag, step) to values or encoded images."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return {
        (value.tag, event.step): tf.make_ndarray(value.tensor)
        for path in (folder / "logs").iterdir()
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    }


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        (0, ""),
        (5.4, ", 5 s left"),
        (99.4, ", 99 s left"),
        (600, ", 10 min left"),
        (36_000, ", 10.0 h left"),
    ],
)
def test_an_epoch_is_a_line_for_people(seconds, left):
    assert epoch_line(ROW, 20, seconds) == (
        "epoch 3 of 20 (all): loss 1.235, accuracy 50.0%, validation loss 2.000, "
        "validation accuracy 37.5%, 86 photographs/s" + left
    )
    without = {name: value for name, value in ROW.items() if not name.startswith("val")}
    assert epoch_line(without, 20, 0) == (
        "epoch 3 of 20 (all): loss 1.235, accuracy 50.0%, 86 photographs/s"
    )


def test_all_is_written_by_the_chief(tmp_path, capsys):
    journal = Journal(tmp_path, writes=True)
    images = np.full((2, 8, 8, 3), 200.0, np.float32)
    journal.photographs(tf.constant(images))
    journal.step(7, Sums(6.0, 1.0, 4.0), lambda: pytest.fail("rates are dear"))
    journal.step(40, Sums(6.0, 1.0, 4.0), lambda: 0.25)
    journal.epoch([{**ROW, "epoch": 2}, ROW], 20, 60.0)
    journal.close()
    found = shown(tmp_path)
    assert found["loss", 7] == 1.5
    assert found["accuracy", 7] == 0.25
    assert found["learning_rate", 40] == 0.25
    assert found["val_loss", 12] == 2
    assert found["val_accuracy", 12] == 0.375
    width, height, *pictures = found["augmented", 0]
    assert (width, height) == (b"8", b"8")
    assert [tf.io.decode_png(picture)[0, 0, 0] for picture in pictures] == [200, 200]
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == ",".join(ROW)
    assert [line[:6] for line in lines[1:]] == ["2,all,", "3,all,"]
    assert capsys.readouterr().err.startswith("epoch 3 of 20 (all): ")


def test_others_write_nothing(tmp_path, capsys):
    journal = Journal(tmp_path, writes=False)
    journal.photographs(tf.zeros((2, 8, 8, 3)))
    journal.step(7, Sums(6.0, 1.0, 4.0), lambda: pytest.fail("asked for"))
    journal.epoch([ROW], 20, 60.0)
    journal.close()
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_a_run_that_goes_on_adds_to_what_there_is(tmp_path):
    for step in (1, 2):
        journal = Journal(tmp_path, writes=True)
        journal.step(step, Sums(1.0, 1.0, 1.0), lambda: 0.1)
        journal.close()
    assert {("loss", 1), ("loss", 2)} <= shown(tmp_path).keys()


def test_logs_that_cannot_be_written_are_one_sentence(tmp_path):
    journal = Journal(tmp_path, writes=True)

    class Full:
        def as_default(self, step):
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

        def close(self):
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    journal._writer = Full()
    with pytest.raises(UserError, match=r"logs cannot be written: No space left .*is kept"):
        journal.epoch([ROW], 20, 0.0)
    journal.close()
