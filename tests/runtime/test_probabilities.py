from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from taxonvision.runtime.probabilities import probabilities_of

LOGITS = arrays(np.float32, (3, 5), elements=st.floats(-30, 30, width=32))


@given(LOGITS)
def test_without_an_unknown_class_rows_add_up_to_one(logits):
    found = probabilities_of(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@given(LOGITS, st.floats(-30, 30))
def test_the_rest_is_the_sigmoid_of_how_high_all_logits_are(logits, unknown_logit):
    found = probabilities_of(logits, unknown_logit).astype(np.float64)
    energy = np.log(np.exp(logits.astype(np.float64)).sum(axis=1))
    known = 1 / (1 + np.exp(unknown_logit - energy))
    np.testing.assert_allclose(found.sum(axis=1), known, rtol=1e-4)
    np.testing.assert_allclose(found, probabilities_of(logits) * known[:, None], rtol=1e-4, atol=0)


def test_as_high_as_all_others_together_it_takes_a_half():
    found = probabilities_of(np.zeros((1, 4), np.float32), np.log(4))
    assert found.tolist() == [pytest.approx([0.125] * 4)]
