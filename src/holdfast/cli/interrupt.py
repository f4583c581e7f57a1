"""What happens on Ctrl-C while a run is under way.

The first Ctrl-C (SIGINT) asks the run to stop at the next boundary: the host in hand is finished and
gated first. The second is the hard stop: the play is ended at once, and the state of its hosts is
read from the hosts. A closed terminal (SIGHUP) and SIGTERM also ask for the boundary, once. Each
request is confirmed with a message. While no run is under way, each of the three ends the command (exit_codes).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from types import FrameType

from holdfast.ansible.interfaces import StopSignal

BOUNDARY = (
    "Stopping at the next boundary: the host in hand is finished and gated first. "
    "Ctrl-C again is the hard stop."
)
HARD = (
    "HARD STOP: ending the play now, in the middle of a host's turn; "
    "then the state of the host is read from the host."
)
_TERMINATIONS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(stop: StopSignal, show: Callable[[str], None]) -> Iterator[None]:
    """Turn signals into requests on ``stop`` for as long as the block lasts; ``show`` confirms them.

    A handler may run in the middle of a write to the terminal and must not write itself. It puts
    its message into a queue that is safe to use there, and a thread prints it.
    """
    messages: SimpleQueue[str | None] = SimpleQueue()

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        stop.request()
        messages.put(HARD if stop.hard else BOUNDARY)

    def on_termination(number: int, _frame: FrameType | None) -> None:
        if not stop.at_boundary:
            stop.request()
            messages.put(f"{signal.Signals(number).name}: {BOUNDARY}")

    printer = Thread(target=_print_messages, args=(messages, show), daemon=True)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_TERMINATIONS)}
    printer.start()
    signal.signal(signal.SIGINT, on_interrupt)
    for number in _TERMINATIONS:
        signal.signal(number, on_termination)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        messages.put(None)
        printer.join()


def end_as_by_interrupt() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: what it has begun is cleaned up first.

    A signal that whoever started the program has switched off, as ``nohup`` does, stays so.
    """
    for number in _TERMINATIONS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _print_messages(messages: SimpleQueue[str | None], show: Callable[[str], None]) -> None:
    while (text := messages.get()) is not None:
        show(text)
