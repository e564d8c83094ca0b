from __future__ import annotations

import csv
import random
import re
import signal

import numpy as np
import pytest
from tiny_fit import STEPS, Killed, TinyFeed, TinyRun, same, without_speed

from taxonvision import progress
from taxonvision.errors import RequeueError, UserError
from taxonvision.models.engine import load_keras

load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.training import checkpoints, loop  # noqa: E402
from taxonvision.training.checkpoints import Checkpoints  # noqa: E402
from taxonvision.training.optimizers import OptimizerOptions  # noqa: E402
from taxonvision.training.unfinished import START  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run to its end: its folder, the run and what it brought."""
    tf.config.run_functions_eagerly(True)
    folder = tmp_path_factory.mktemp("undisturbed")
    run = TinyRun(folder, "head:1,all", epochs=3)
    return folder, run, run.run()


def scalars(folder, tag):
    """What TensorBoard shows: values by step."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return {
        event.step: float(tf.make_ndarray(value.tensor))
        for path in sorted((folder / "logs").iterdir())
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == tag
    }


def test_the_history_tells_of_each_epoch(undisturbed):
    folder, _, outcome = undisturbed
    assert [row["epoch"] for row in outcome.history] == [1, 2, 3]
    assert [row["trained"] for row in outcome.history] == ["head", "all", "all"]
    assert [row["step"] for row in outcome.history] == [3, 6, 9]
    assert outcome.kept == outcome.history[-1]
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch",
        "trained",
        "step",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "photographs_per_second",
    ]
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in outcome.history]
    assert all(row["val_accuracy"] * 5 == round(row["val_accuracy"] * 5) for row in outcome.history)


def test_tensorboard_shows_each_step(undisturbed):
    folder, _, outcome = undisturbed
    losses = scalars(folder, "loss")
    assert list(losses) == list(range(9))
    for number, row in enumerate(outcome.history):
        of_epoch = [losses[step] for step in range(number * STEPS, (number + 1) * STEPS)]
        assert np.mean(of_epoch) == pytest.approx(row["loss"], rel=1e-6)
    assert scalars(folder, "learning_rate") == {0: pytest.approx(3.2 * 4 / 256)}
    assert list(scalars(folder, "val_loss")) == [3, 6, 9]


def test_the_validation_loss_is_that_of_the_weights_it_ends_with(undisturbed):
    _, run, outcome = undisturbed
    (inputs, labels), *others = run.feed.validation()
    assert not others
    logits = run.network(inputs, training=False)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    assert outcome.kept["val_loss"] == pytest.approx(float(tf.reduce_mean(losses)), rel=1e-5)


def test_an_epoch_is_one_line(tmp_path, capsys):
    TinyRun(tmp_path, epochs=2).run()
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("epoch 1 of 2 (all): loss ")
    for part in ("accuracy ", "validation loss ", "validation accuracy ", "photographs/s"):
        assert part in first
    assert first.endswith(" left")
    assert second.startswith("epoch 2 of 2 (all): loss ")
    assert not second.endswith(" left")


def test_long_epochs_say_how_far_they_are(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0)
    TinyRun(tmp_path, epochs=1).run()
    first, second, _ = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"epoch 1 of 1: 4/12 photographs, \d+/s, \d+ s left", first)
    # The second step is read while the third runs.
    assert re.fullmatch(
        r"epoch 1 of 1: 8/12 photographs, \d+/s, \d+ s left, loss \d\.\d{3}.*", second
    )


def test_without_validation_photographs_there_is_nothing_of_them(tmp_path, capsys):
    outcome = TinyRun(tmp_path, epochs=1, feed=TinyFeed(held_out=0)).run()
    assert "validation" not in capsys.readouterr().err
    assert [name for name in outcome.kept if name.startswith("val")] == []


def test_what_a_stage_does_not_train_stays(tmp_path):
    run = TinyRun(tmp_path, "head", epochs=1)
    before, head = run.backbone.get_weights(), run.weights[-2]
    run.run()
    assert same(before, run.backbone.get_weights())  # the statistics too
    assert (head != run.weights[-2]).any()


def test_top_blocks_leave_the_layers_below_as_they_are(tmp_path):
    run = TinyRun(tmp_path, "top_blocks", epochs=1)  # one of two
    before = [layer.get_weights() for layer in run.backbone.layers]
    run.run()
    moved = [
        layer.name.rstrip("_0123456789")
        for layer, weights in zip(run.backbone.layers, before, strict=True)
        if not same(weights, layer.get_weights())
    ]
    assert moved == ["batch_normalization"]


def test_a_seed_gives_the_same_weights_and_another_others(tmp_path, undisturbed):
    _, first, _ = undisturbed
    again = TinyRun(tmp_path / "again", "head:1,all", epochs=3)
    again.run()
    assert same(first.weights, again.weights)
    other = TinyRun(tmp_path / "other", "head:1,all", epochs=2, feed=TinyFeed(seed=1))
    other.run()
    assert not same(first.weights, other.weights)


@pytest.mark.parametrize(
    ("at", "sent"),
    [
        (0, signal.SIGTERM),
        (4, signal.SIGUSR1),
        (8, signal.SIGTERM),
    ],
)
def test_a_signal_checkpoints_at_once_and_the_run_goes_on(tmp_path, undisturbed, capsys, at, sent):
    _, whole, outcome = undisturbed
    run = TinyRun(tmp_path, "head:1,all", epochs=3, checkpoint_steps=500)
    run.feed.before = lambda number: number == at and signal.raise_signal(sent)
    with run.notice, pytest.raises(RequeueError) as told:
        run.run()
    # The step that was about to begin is done, and at most one more whose batch was taken.
    assert Checkpoints(tmp_path / "checkpoints").newest() in (at + 1, at + 2)
    step = Checkpoints(tmp_path / "checkpoints").newest()
    assert str(told.value) == (f"step {step} of 9: checkpointed, exiting with 85 to be requeued")
    capsys.readouterr()
    again = TinyRun(tmp_path, "head:1,all", epochs=3, checkpoint_steps=500)
    after = again.run()
    assert capsys.readouterr().err.startswith(f"going on from step {step} of 9\n")
    assert same(again.weights, whole.weights)
    assert without_speed(after.history) == without_speed(outcome.history)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_signal_during_validation(tmp_path, undisturbed, monkeypatch, epoch):
    _, whole, outcome = undisturbed
    run = TinyRun(tmp_path, "head:1,all", epochs=3)
    validation, calls = run.feed.validation, []

    def told():
        calls.append(1)
        if len(calls) == epoch:
            signal.raise_signal(signal.SIGTERM)
        return validation()

    monkeypatch.setattr(run.feed, "validation", told)
    with run.notice, pytest.raises(RequeueError, match=f"^step {epoch * STEPS} of 9: checkpointed"):
        run.run()
    again = TinyRun(tmp_path, "head:1,all", epochs=3)
    after = again.run()
    assert same(again.weights, whole.weights)
    assert without_speed(after.history) == without_speed(outcome.history)


@pytest.mark.parametrize("is_network", [True, False])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path, is_network):
    if is_network:
        (tmp_path / START).write_text("{}")
    feed = TinyFeed()
    run = TinyRun(tmp_path, epochs=3, feed=feed)

    def break_at(number):
        if number == 5:
            run.network.trainable_variables[0].assign(
                np.full(run.network.trainable_variables[0].shape, np.nan)
            )

    feed.before = break_at
    with pytest.raises(UserError) as refused:
        run.run()
    advice = (
        "the last checkpoint is kept: go on from it with a lower --learning_rate, "
        f"--init_from={tmp_path} and another --out"
        if is_network
        else "begin again with a lower --learning_rate"
    )
    assert str(refused.value) == f"the loss is nan at step 5; {advice}"
    kept = Checkpoints(tmp_path / "checkpoints")
    assert kept.newest() == 4


@pytest.mark.parametrize("last", [False, True])
def test_weights_that_are_no_numbers_are_not_checkpointed(tmp_path, last):
    """The step that breaks them has a finite loss still."""
    feed = TinyFeed(held_out=0)
    run = TinyRun(tmp_path, epochs=2, feed=feed, checkpoint_steps=1)
    step = loop.TrainingStep.__call__
    broken_by = 5 if last else 3

    def breaking(self, inputs, labels, number, stop):
        sums = step(self, inputs, labels, number, stop)
        if number == broken_by:
            kernel = run.network.trainable_variables[0]
            kernel.assign(np.full(kernel.shape, np.inf))
        return sums

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.TrainingStep, "__call__", breaking)
        with pytest.raises(UserError, match="--learning_rate") as refused:
            run.run()
    assert str(refused.value).startswith(
        f"weights are not finite after step {broken_by + 1}; begin again"
    )
    assert Checkpoints(tmp_path / "checkpoints").newest() == broken_by


def test_early_stopping_ends_with_the_best(tmp_path, capsys, monkeypatch):
    losses = [3.0, 2.0, 2.5, 1.0, 1.5, 1.25, 1.125, 1.0, 1.0]
    weights = []
    run = TinyRun(tmp_path, "head:2,all", epochs=9, early_stopping=3)

    def validation():
        weights.append(run.weights)
        return loop.Sums(losses[len(weights) - 1], 0, 1)

    monkeypatch.setattr(run.fit, "_validation", validation)
    outcome = run.run()
    assert len(outcome.history) == 7
    assert outcome.kept["epoch"] == 4
    assert same(run.weights, weights[3])
    assert not same(run.weights, weights[6])
    assert capsys.readouterr().err.endswith("the weights of epoch 4, the best, are kept\n")
    again = TinyRun(tmp_path, "head:2,all", epochs=9, early_stopping=3)
    assert again.run() == outcome  # killed at the very end
    assert same(again.weights, weights[3])


def test_early_stopping_does_not_end_an_earlier_stage(tmp_path, monkeypatch):
    run = TinyRun(tmp_path, "head:4,all", epochs=6, early_stopping=1)
    numbers = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    monkeypatch.setattr(run.fit, "_validation", lambda: loop.Sums(next(numbers), 0, 1))
    outcome = run.run()
    # The best is of the first stage; the last has an epoch of patience.
    assert [row["trained"] for row in outcome.history] == ["head"] * 4 + ["all"] * 2
    assert outcome.kept["epoch"] == 1


def test_the_best_may_be_the_last(tmp_path, capsys, monkeypatch):
    run = TinyRun(tmp_path, epochs=3, early_stopping=1)
    numbers = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr(run.fit, "_validation", lambda: loop.Sums(next(numbers), 0, 1))
    outcome = run.run()
    assert outcome.kept["epoch"] == 3
    assert "the best" not in capsys.readouterr().err


def test_averaged_weights_are_validated_and_kept(tmp_path, monkeypatch):
    options = OptimizerOptions("sgd", learning_rate=1.0, ema=0.5)
    run = TinyRun(tmp_path, epochs=2, optimizer=options)
    step, after = loop.TrainingStep.__call__, []
    validate, validated = run.fit._validation, []

    def watched(self, *arguments):
        sums = step(self, *arguments)
        after.append([np.asarray(v) for v in run.network.trainable_variables])
        return sums

    def validation():
        validated.append([np.asarray(v) for v in run.network.trainable_variables])
        return validate()

    monkeypatch.setattr(loop.TrainingStep, "__call__", watched)
    monkeypatch.setattr(run.fit, "_validation", validation)
    run.run()
    average = after[0]
    averages = []
    for weights in after:
        average = [0.5 * a + 0.5 * w for a, w in zip(average, weights, strict=True)]
        averages.append(average)
    for found, expected in zip(validated, (averages[2], averages[5]), strict=True):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    assert same(validated[1], [np.asarray(v) for v in run.network.trainable_variables])
    assert not same(validated[1], after[5])


def crash(patch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Let a process end at the moment of this number; returns what moments there were.

    There is one before each step, each validation, each epoch's line, and of each file that is
    written one before it is begun, before it has its name, and after that.
    """
    passed: list[str] = []

    def moment(name):
        passed.append(name)
        if len(passed) == at:
            raise Killed

    def before(owner, name):
        original = getattr(owner, name)

        def called(*arguments, **options):
            moment(f"before {name}")
            return original(*arguments, **options)

        patch.setattr(owner, name, called)

    before(loop.TrainingStep, "__call__")
    before(loop.ValidationStep, "__call__")
    before(loop.Journal, "epoch")
    before(checkpoints.np, "savez")
    before(checkpoints.os, "fsync")
    before(checkpoints.Checkpoints, "steps")  # those of old steps are removed
    return passed


def test_killed_at_any_moment_a_run_ends_with_the_same_bits(tmp_path):
    setting = {"train": "head:1,all", "epochs": 3, "early_stopping": 2}
    whole = TinyRun(tmp_path / "whole", **setting)
    expected = whole.run()
    with pytest.MonkeyPatch.context() as patch:
        moments = crash(patch, 0)
        TinyRun(tmp_path / "counted", **setting).run()
    assert len(moments) > 30
    chance = random.Random(2)
    kinds = sorted(set(moments))
    chosen = {chance.choice([n for n, m in enumerate(moments, 1) if m == kind]) for kind in kinds}
    for at in sorted({*chosen, len(moments), *chance.sample(range(2, len(moments)), 2)}):
        folder = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            crash(patch, at)
            TinyRun(folder, **setting).run()
        again = TinyRun(folder, **setting)
        outcome = again.run()
        assert same(again.weights, whole.weights), moments[at - 1]
        assert without_speed(outcome.history) == without_speed(expected.history)
        assert outcome.kept["epoch"] == expected.kept["epoch"]


def test_a_network_of_other_weights_is_given_all_of_a_checkpoint(tmp_path, undisturbed):
    _, whole, _ = undisturbed
    run = TinyRun(tmp_path, "head:1,all", epochs=3)

    def kill(number):
        if number == 5:
            raise Killed

    run.feed.before = kill
    with pytest.raises(Killed):
        run.run()
    assert Checkpoints(tmp_path / "checkpoints").newest() == 4
    again = TinyRun(tmp_path, "head:1,all", epochs=3, network_seed=1)
    again.run()
    assert same(again.weights, whole.weights)
