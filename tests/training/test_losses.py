from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from taxonvision.models.engine import load_keras
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy

load_keras()

import tensorflow as tf  # noqa: E402

from taxonvision.training.losses import LossOptions, Teacher, make_loss  # noqa: E402

# Two genera; the fourth class is retired.
TREE = Taxonomy(
    [
        *(Taxon.of_rank(i, None, "genus", f"G{i}") for i in (1, 2)),
        *(Taxon.of_rank(i, i // 10, "species", f"S{i}") for i in (10, 11, 20, 21)),
    ]
)
CLASSES = [
    TaxonClass(n, i, f"S{i}", "species", "retired" if i == 21 else "active", "1")
    for n, i in enumerate((10, 11, 20, 21))
]
COUNTS = np.array([90, 9, 1, 0])
TARGETS = np.array([[1, 0, 0, 0], [0, 0.3, 0.7, 0]], np.float32)
LOGITS = np.array([[2, -1, 0.5, 3], [0, 0, 1, -2]], np.float32)
ALL = [
    LossOptions(),
    LossOptions(label_smoothing=0.1),
    LossOptions(tree_smoothing=3.0),
    LossOptions(logit_adjustment=1.0),
    LossOptions(tree_smoothing=3.0, logit_adjustment=0.5),
]


def made(**options):
    return make_loss(LossOptions(**options), COUNTS, CLASSES, TREE)


def cross_entropy(targets, logits):
    return -(targets * log_softmax(logits, axis=1)).sum(1)


def test_without_options_it_is_cross_entropy():
    found = made()(TARGETS, LOGITS)
    assert (found.shape, found.dtype) == ((2,), tf.float32)
    np.testing.assert_allclose(found, cross_entropy(TARGETS, LOGITS), 1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_of_one_class_each_it_is_what_keras_has(seed, class_count):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (4, class_count)).astype(np.float32)
    labels = rng.integers(0, class_count, 4)
    tree = Taxonomy(Taxon.of_rank(i, None, "species", str(i)) for i in range(1, class_count + 1))
    classes = [TaxonClass(i, i + 1, str(i), "species", "active", "1") for i in range(class_count)]
    loss = make_loss(LossOptions(label_smoothing=0.2), np.ones(class_count, int), classes, tree)
    found = loss(np.eye(class_count, dtype=np.float32)[labels], logits)
    expected = tf.keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.2, reduction="none"
    )(np.eye(class_count)[labels], logits)
    np.testing.assert_allclose(found, expected, 1e-5)


def test_retired_classes_get_nothing_of_what_is_spread():
    spread = np.array([0.1, 0.1, 0.1, 0])
    loss = made(label_smoothing=0.3)
    expected = cross_entropy(0.7 * TARGETS + spread, LOGITS)
    np.testing.assert_allclose(loss(TARGETS, LOGITS), expected, 1e-6)
    assert loss.kept == pytest.approx((0.8 * 3 + 0.7) / 4)


def test_the_tree_spreads_to_the_genus_first():
    near, far = np.exp(-1.5), np.exp(-3)
    row = np.array([1, near, far, 0]) / (1 + near + far)
    loss = made(tree_smoothing=3.0)
    np.testing.assert_allclose(loss(TARGETS[:1], LOGITS[:1]), cross_entropy(row, LOGITS[:1]), 1e-5)
    assert 0 < loss.kept < 1


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logits_are_adjusted_by_the_priors(tau):
    """A class without photographs has the prior of the rarest."""
    adjusted = LOGITS + tau * np.log([0.9, 0.09, 0.01, 0.01])
    found = made(logit_adjustment=tau)(TARGETS, LOGITS)
    np.testing.assert_allclose(found, cross_entropy(TARGETS, adjusted), 1e-5)


def test_classes_seen_equally_often_are_not_adjusted():
    loss = make_loss(LossOptions(logit_adjustment=1.0), np.full(4, 7), CLASSES, TREE)
    np.testing.assert_allclose(loss(TARGETS, LOGITS), made()(TARGETS, LOGITS), 1e-5)


def test_adjusted_logits_favour_the_rare_in_the_gradient():
    logits = tf.constant(np.zeros((1, 4), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = made(logit_adjustment=1.0)(TARGETS[1:], logits)
    gradient = tape.gradient(loss, logits).numpy()[0]
    # The softmax of the priors less the target: rare classes are hardly pushed down.
    np.testing.assert_allclose(gradient, np.array([90, 9, 1, 1]) / 101 - TARGETS[1], atol=1e-6)


@pytest.mark.parametrize("options", ALL, ids=str)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_graph_gives_the_same_and_needs_no_other_shapes(options, compiled):
    loss = make_loss(options, COUNTS, CLASSES, TREE)
    spec = tf.TensorSpec((2, 4), tf.float32)
    graph = tf.function(loss, input_signature=(spec, spec), jit_compile=compiled)
    assert graph.get_concrete_function().output_shapes == (2,)
    np.testing.assert_allclose(graph(TARGETS, LOGITS), loss(TARGETS, LOGITS), 1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_logits_of_mixed_precision_are_summed_in_full(dtype):
    logits = tf.cast(LOGITS, dtype)
    for options in ALL:
        loss = make_loss(options, COUNTS, CLASSES, TREE)
        found = loss(TARGETS, logits)
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, loss(TARGETS, tf.cast(logits, tf.float32)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1, not 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing must be"),
        ({"label_smoothing": float("nan")}, "label_smoothing must be"),
        ({"tree_smoothing": -1.0}, "tree_smoothing must be a number from 0 on, not -1.0"),
        ({"tree_smoothing": float("inf")}, "tree_smoothing must be"),
        ({"logit_adjustment": float("nan")}, "logit_adjustment must be"),
        ({"label_smoothing": 0.1, "tree_smoothing": 5.0}, "exclude each other; choose one"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)


def test_counts_that_do_not_fit():
    with pytest.raises(ValueError, match="3 counts of 4 classes"):
        make_loss(LossOptions(), COUNTS[:3], CLASSES, TREE)
    with pytest.raises(ValueError, match="no photograph"):
        make_loss(LossOptions(logit_adjustment=1.0), 0 * COUNTS, CLASSES, TREE)


def teacher_of(columns, weight=1.0, temperature=2.0, seed=0):
    """A teacher of two features, and its kernel and bias."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(2, len(columns))).astype(np.float32)
    bias = rng.normal(size=len(columns)).astype(np.float32)
    return Teacher(kernel, bias, np.array(columns), weight, temperature), kernel, bias


INPUTS = np.array([[1, -1], [0.5, 2]], np.float32)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_a_teacher_tells_the_divergence_of_the_classes_that_it_knows(temperature):
    teacher, kernel, bias = teacher_of([0, 2], weight=0.5, temperature=temperature)
    earlier = log_softmax((INPUTS @ kernel + bias) / temperature, axis=1)
    now = log_softmax(LOGITS[:, [0, 2]] / temperature, axis=1)
    expected = 0.5 * temperature**2 * (np.exp(earlier) * (earlier - now)).sum(axis=1)
    found = teacher(INPUTS, LOGITS)
    np.testing.assert_allclose(found, expected, 1e-5)
    assert (found.numpy() > 0).all()


def test_a_teacher_has_nothing_to_say_against_its_own_opinion():
    teacher, kernel, bias = teacher_of([3, 1])
    logits = np.full((2, 4), 9, np.float32)  # of classes that it does not know
    logits[:, [3, 1]] = INPUTS @ kernel + bias + 7  # and however high all are
    np.testing.assert_allclose(teacher(INPUTS, logits), [0, 0], atol=1e-5)


def test_a_teacher_is_heard_beside_the_targets():
    teacher, _, _ = teacher_of([0, 1])
    for options in ALL:
        alone = make_loss(options, COUNTS, CLASSES, TREE)
        taught = make_loss(options, COUNTS, CLASSES, TREE, teacher)
        expected = alone(TARGETS, LOGITS) + teacher(INPUTS, LOGITS)  # of logits not adjusted
        np.testing.assert_allclose(taught(TARGETS, LOGITS, INPUTS), expected, 1e-5)
        assert taught.kept == alone.kept


def test_a_graph_hears_the_teacher_too():
    teacher, _, _ = teacher_of([0, 1])
    loss = make_loss(LossOptions(), COUNTS, CLASSES, TREE, teacher)
    graph = tf.function(loss)
    np.testing.assert_allclose(graph(TARGETS, LOGITS, INPUTS), loss(TARGETS, LOGITS, INPUTS), 1e-5)


def test_a_teacher_does_not_learn():
    teacher, _, _ = teacher_of([0, 1])
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = teacher(INPUTS, logits)
    assert tape.watched_variables() == ()
    gradient = tape.gradient(loss, logits)
    assert (np.asarray(gradient)[:, 2:] == 0).all()  # what it does not know is left alone
