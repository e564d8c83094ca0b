import os
import signal

import duckdb
import pytest

from taxonvision.interrupts import interruptible, undisturbed


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """The tests may run where Ctrl-C is ignored, in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_a_query_ends_and_the_interruption_is_raised():
    with duckdb.connect() as opened, interruptible(opened) as connection:
        signal.signal(signal.SIGALRM, lambda signum, frame: press())
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            connection.execute(
                "SELECT sum(a.i + b.i) FROM range(10000000) a(i), range(10000000) b(i)"
            )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_between_queries_it_is_raised_at_once():
    with duckdb.connect() as opened, interruptible(opened) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        with pytest.raises(KeyboardInterrupt):
            press()


def test_errors_of_queries_stay_what_they_are():
    with (
        duckdb.connect() as opened,
        interruptible(opened) as connection,
        pytest.raises(duckdb.Error, match="nowhere"),
    ):
        connection.execute("FROM nowhere")


def test_what_must_not_be_disturbed_comes_to_its_end():
    done = []
    with pytest.raises(KeyboardInterrupt), undisturbed():
        press()
        done.append(True)
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
