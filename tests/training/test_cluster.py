from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.training.cluster import find_cluster

WORKERS = ["node1:2222", "node2:2222", "[fe80::1]:2222"]


def tf_config(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_nothing_in_the_environment_is_no_cluster():
    assert find_cluster({}) is None
    assert find_cluster({"TF_CONFIG": ""}) is None


def test_the_worker_of_tf_config():
    found = find_cluster(tf_config({"worker": WORKERS}, {"type": "worker", "index": 1}))
    assert (found.addresses, found.rank) == (tuple(WORKERS), 1)
    assert (found.local_rank, found.tasks_on_this_node) == (0, 1)
    assert found.said == "TF_CONFIG gave 3 tasks, this is task 1 (node2:2222)"


def test_a_chief_is_the_first_worker():
    cluster = {"worker": WORKERS[1:], "chief": WORKERS[:1]}
    chief = find_cluster(tf_config(cluster, {"type": "chief", "index": 0}))
    second = find_cluster(tf_config(cluster, {"type": "worker", "index": "0"}))
    assert chief.addresses == second.addresses == tuple(WORKERS)
    assert (chief.rank, second.rank) == (0, 1)


def test_the_tasks_of_slurm_and_tf_config_before_them():
    slurm = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "n[1-2]",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "1",
        "SLURMD_NODENAME": "n2",
        "PATH": "",
    }
    found = find_cluster(slurm)
    assert (found.rank, found.local_rank, found.tasks_on_this_node) == (3, 1, 2)
    assert found.said == f"SLURM gave 4 tasks, this is task 3 ({found.addresses[3]})"
    both = {**slurm, **tf_config({"worker": WORKERS}, {"type": "worker", "index": 0})}
    assert find_cluster(both).addresses == tuple(WORKERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG is not JSON"),
        ("[]", "no cluster or no task; it should read like"),
        ('{"cluster": {"worker": ["a:1"]}}', "no cluster or no task"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {}}', "the job ps; only chief"),
        ('{"cluster": {"worker": "a"}, "task": {}}', "the job worker has 'a', which is no host"),
        ('{"cluster": {"worker": ["a:99999"]}, "task": {}}', "'a:99999', which is no host:port"),
        ('{"cluster": {"worker": [7]}, "task": {}}', "has 7, which is no host:port"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {}}', "an address twice"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {}}', "the task's type is None"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "the task's index is 1, but the job worker has 1 address, counted from 0",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
            "the job chief has 0 address",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}',
            "the task's index is True",
        ),
    ],
)
def test_a_faulty_tf_config_is_refused_in_one_line(text, message):
    with pytest.raises(UserError, match="TF_CONFIG") as refused:
        find_cluster({"TF_CONFIG": text})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=4) | st.just("a:1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cluster", "task", "worker", "chief", "type", "index", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON.map(json.dumps) | st.text(min_size=1))
@example('{"cluster": {}, "task": {"type": []}}')
def test_any_tf_config_is_read_or_refused(text):
    try:
        found = find_cluster({"TF_CONFIG": text})
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= found.rank < len(found.addresses)
