from __future__ import annotations

import signal

import pytest

from taxonvision.errors import RequeueError
from taxonvision.training.signals import Notice


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_and_the_process_lives_on(sent):
    before = signal.getsignal(sent)
    with Notice() as notice:
        notice.only_note()
        assert not notice.given
        signal.raise_signal(sent)
        assert notice.given
        signal.raise_signal(sent)
        assert notice.given
    assert signal.getsignal(sent) is before


def test_before_there_is_work_to_save_it_ends_at_once():
    with pytest.raises(RequeueError, match="before it began"), Notice():
        signal.raise_signal(signal.SIGUSR1)


def test_what_was_there_before_is_back_after_an_error():
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    try:
        with pytest.raises(KeyError), Notice():
            raise KeyError
        signal.raise_signal(signal.SIGUSR1)
        assert calls == [1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_ctrl_c_still_interrupts():
    with pytest.raises(KeyboardInterrupt), Notice() as notice:
        signal.raise_signal(signal.SIGINT)
    assert not notice.given
