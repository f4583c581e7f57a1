"""Ctrl-C while a run is under way: first the next boundary, then the hard stop. Both are said by name.

A closed terminal (SIGHUP) and a polite end (SIGTERM) ask for the boundary as well: a host in hand is
finished and gated rather than left half restarted.
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
    "afterwards the host is asked what state it is in."
)
_POLITE = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(stop: StopSignal, say: Callable[[str], None]) -> Iterator[None]:
    """Turn signals into requests on ``stop`` for as long as the block lasts.

    A handler may run in the middle of a write to the terminal, so it writes nothing itself: it
    leaves its words in a queue that is safe to use there, and a thread of its own says them.
    """
    words: SimpleQueue[str | None] = SimpleQueue()

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        stop.ask()
        words.put(HARD if stop.hard else BOUNDARY)

    def on_farewell(number: int, _frame: FrameType | None) -> None:
        if not stop.at_boundary:
            stop.ask()
            words.put(f"{signal.Signals(number).name}: {BOUNDARY}")

    speaker = Thread(target=_speak, args=(words, say), daemon=True)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_POLITE)}
    speaker.start()
    signal.signal(signal.SIGINT, on_interrupt)
    for number in _POLITE:
        signal.signal(number, on_farewell)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        words.put(None)
        speaker.join()


def _speak(words: SimpleQueue[str | None], say: Callable[[str], None]) -> None:
    while (text := words.get()) is not None:
        say(text)
