"""Signals while a run is under way become requests to stop, each confirmed with a message."""

from __future__ import annotations

import os
import signal

import pytest

from holdfast.ansible.interfaces import StopSignal
from holdfast.cli.interrupt import interruptible


def send(number: int, stop: StopSignal) -> None:
    os.kill(os.getpid(), number)
    assert stop.at_boundary  # the handler ran before kill returned


def test_first_interrupt_asks_for_the_boundary_with_a_message() -> None:
    stop, messages = StopSignal(), list[str]()
    with interruptible(stop, messages.append):
        send(signal.SIGINT, stop)
        assert not stop.hard
    assert len(messages) == 1
    assert "next boundary" in messages[0]


def test_second_interrupt_is_the_hard_stop_with_a_message() -> None:
    stop, messages = StopSignal(), list[str]()
    with interruptible(stop, messages.append):
        send(signal.SIGINT, stop)
        send(signal.SIGINT, stop)
        assert stop.hard
    assert messages[1].startswith("HARD STOP")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_closed_terminal_never_becomes_a_hard_stop(number: signal.Signals) -> None:
    stop, messages = StopSignal(), list[str]()
    with interruptible(stop, messages.append):
        send(number, stop)
        send(number, stop)
        assert not stop.hard
    assert len(messages) == 1
    assert messages[0].startswith(number.name)


def test_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(StopSignal(), lambda _: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
