from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.dataset.tfrecord import (
    AFTER_PAYLOAD,
    BEFORE_PAYLOAD,
    record,
    serialize_example,
)

FEATURES = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=300),
    st.one_of(st.binary(max_size=400), st.integers(0, 2**63 - 1)),
    max_size=5,
)


@pytest.mark.slow  # loads TensorFlow
@given(FEATURES)
def test_tensorflow_reads_the_examples(features):
    import tensorflow as tf

    data = serialize_example(features)
    example = tf.train.Example.FromString(data)
    assert example.features.feature.keys() == features.keys()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            assert feature.bytes_list.value[:] == [value]
        else:
            assert feature.int64_list.value[:] == [value]
    assert len(example.SerializeToString()) == len(data)


@pytest.mark.slow
@pytest.mark.parametrize("payloads", [[b""], [b"a", b"", bytes(100_000), b"\xff" * 127]])
def test_tensorflow_reads_the_records_and_would_write_the_same(tmp_path, payloads):
    import tensorflow as tf

    path = tmp_path / "file"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    assert b"".join(map(record, payloads)) == path.read_bytes()


def test_the_payload_lies_where_it_is_said():
    data = record(b"payload")
    assert data[BEFORE_PAYLOAD:-AFTER_PAYLOAD] == b"payload"
