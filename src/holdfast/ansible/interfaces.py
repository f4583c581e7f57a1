"""The engine's interfaces to Ansible: read an inventory, read a playbook, run a play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from holdfast.journal.events import HostEnd, PlayEnd
from holdfast.model import Json
from holdfast.plan.model import Playbook, SiteInventory


@dataclass(frozen=True, slots=True)
class Play:
    """One ``ansible-playbook`` to start.

    ``limit`` are the hosts that it may reach, and that must all be in its result (empty: all hosts);
    ``ident`` names it within its run and becomes a directory. Every text in ``variables`` reaches
    the play as text, never as a template. ``over_when_done``: nothing follows once all of its hosts are done.
    """

    run: str
    ident: str
    playbook: str
    inventory: str
    limit: tuple[str, ...] = ()
    variables: Mapping[str, Json] = field(default_factory=dict)
    over_when_done: bool = False


@dataclass(frozen=True, slots=True)
class PlayResult:
    """How a play ended, as in ``events.BatchEnded``.

    ``ok`` only if the process exited with 0, every host of the limit is in the statistics, and none
    of them failed or was unreachable. ``messages`` has the output of the failed task per host, and
    under "" what concerns no host.
    """

    status: PlayEnd
    hosts: Mapping[str, HostEnd]
    messages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a play does now: the task of a host, or the reading of a gate (``text``)."""

    host: str
    task: str
    text: str


class StopSignal:
    """A request to stop the run: at the next boundary, or hard. Safe to use in a signal handler.

    The first request is for the boundary, a later one for the hard stop.
    """

    def __init__(self) -> None:
        # Plain attributes: a signal handler must not wait for a lock that it interrupted.
        self.at_boundary = False
        self.hard = False

    def request(self, *, hard: bool = False) -> None:
        """Request a stop; the second time, or with ``hard``, the hard one."""
        self.hard = self.hard or hard or self.at_boundary
        self.at_boundary = True


class StartedPlay(Protocol):
    """A play that has started. A parked one only asks, and acts on no service before its word."""

    def go(self, variables: Mapping[str, Json]) -> bool:
        """Give a parked play its word, with the variables that were not known when it started.

        False where it has ended before its word: nothing was touched, no word was given, and nothing of it is left.
        """
        ...

    def result(self) -> PlayResult | None:
        """Return how the play ended; None while it runs.

        With ``over_when_done`` it is ``ok`` already when every host is done and no task has failed; ``finish`` waits
        for the processes, which only end.
        """
        ...

    def interrupt(self) -> None:
        """End every process of the play at once; its result is ``interrupted`` then, unless it had ended."""
        ...

    def end(self) -> None:
        """End the play, and return when every process of it has ended; one that waits for its word is untouched."""
        ...


class PlayRunner(Protocol):
    """Runs plays, several at a time. It belongs to one thread."""

    def start(
        self, play: Play, on_progress: Callable[[Progress], None], *, parked: bool = False
    ) -> StartedPlay:
        """Start a play; with ``parked`` one that waits for its word before its first act (docs/adr/0055).

        Raises:
            InvalidInput: it could not be started at all; nothing was touched.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Return when a play has said something or has ended, and at the latest after so many seconds."""
        ...

    def finish(self) -> list[str]:
        """Return when the processes of every play that was over have ended; a sentence for each that failed since."""
        ...

    def end_strays(self, run: str) -> list[int]:
        """End the processes of plays that outlived the run's driver, and return their ids."""
        ...


TICK_SECONDS = 0.2
"""How often at least it is asked whether a play is to be interrupted."""


def run_play(
    runner: PlayRunner,
    play: Play,
    on_progress: Callable[[Progress], None],
    interrupted: Callable[[], bool],
) -> PlayResult:
    """Start the play and return how it ended; once ``interrupted`` returns true it is ended at once.

    Raises:
        InvalidInput: it could not be started at all; nothing was touched.
    """
    return watch_play(runner, runner.start(play, on_progress), interrupted)


def watch_play(
    runner: PlayRunner, started: StartedPlay, interrupted: Callable[[], bool]
) -> PlayResult:
    """Return how a play that has started ended; once ``interrupted`` returns true it is ended at once."""
    with ExitStack() as unended:
        # Whatever fails here: no process of the play may keep running unobserved.
        unended.callback(started.end)
        while True:
            if interrupted():
                started.interrupt()
            if (result := started.result()) is not None:
                unended.pop_all()
                return result
            runner.wait(TICK_SECONDS)


class InventoryReader(Protocol):
    """Reads the groups and hosts of a site."""

    def read(self, site: Path, limit: str) -> SiteInventory:
        """Return the site, with ``selected`` set where a limit is given.

        Raises:
            InvalidInput: it is missing, cannot be read (or a vault cannot be opened), does not set
                holdfast_site, or the limit or a part of it matches no host.
        """
        ...


class PlaybookReader(Protocol):
    """Reads a playbook's policy."""

    def read(self, name: str, variables: Mapping[str, Json]) -> Playbook:
        """Return the playbook, with the templates of its policy resolved by these variables.

        Raises:
            InvalidInput: there is no such playbook, or it declares no usable policy.
        """
        ...
