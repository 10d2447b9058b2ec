"""Signals: the first asks to stop, the second within two seconds ends at once."""

import os
import signal
import time

import pytest

from ringrift.core.interrupt import Terminated, cooperative_stop, terminate_as_exception


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_sets_the_flag_and_handlers_come_back(number, code):
    before = signal.getsignal(number)
    with cooperative_stop() as stop:
        assert not stop.requested
        assert stop.exit_code == 0
        send(number)
        assert stop.requested
        assert stop.exit_code == code
        assert stop.wait(10)
    assert signal.getsignal(number) is before


def test_the_second_signal_within_two_seconds_raises():
    def stop_twice():
        with cooperative_stop():
            send(signal.SIGINT)
            send(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        stop_twice()


def test_a_second_signal_later_only_asks_again(monkeypatch):
    with cooperative_stop() as stop:
        send(signal.SIGINT)
        monkeypatch.setattr("ringrift.core.interrupt.TWICE_WITHIN_S", -1.0)
        send(signal.SIGINT)
        assert stop.requested


def test_sigterm_is_an_exception_where_nothing_stops_cooperatively():
    def be_terminated():
        with terminate_as_exception():
            send(signal.SIGTERM)

    with pytest.raises(Terminated):
        be_terminated()


def test_a_request_without_a_signal_counts_as_interrupted():
    with cooperative_stop() as stop:
        stop.request()
        assert stop.exit_code == 130
