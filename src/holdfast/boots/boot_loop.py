"""``BootLoop``: asks for servers, watches them until each has ended, and deletes what the test made.

No request is repeated: neither the one for a server nor the one for its deletion. Nova, the clock and the wait are
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.boots.failures import classify, fault_text
from holdfast.boots.model import Boot, BootEnd, FailureKind, Seen, WantedServer
from holdfast.errors import CannotTell, HoldfastError

POLL_SECONDS = 1.0
LATE_SECONDS = 120.0
"""How long after a request that was not answered its server is still looked for, before nothing is taken for all."""

DELETE_SECONDS = 300.0
"""How long deletions may take before what is still there counts as left."""


class Refusal(HoldfastError):
    """Nova, or keystone, refused a server; none was made."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Nova(Protocol):
    """What the loop needs of nova."""

    def create(self, server: WantedServer) -> str:
        """Ask for a server once and return its id.

        Raises:
            Refusal: it was refused, and none was made.
            CannotTell: there was no answer; it may be made.
        """
        ...

    def listed(self) -> Mapping[str, Seen]:
        """Return the servers of this test by their ids; one that is deleted is not there.

        Raises:
            CannotTell: nova did not say, or not of all cells.
        """
        ...

    def delete(self, server: str) -> None:
        """Ask for a server's deletion once.

        Raises:
            CannotTell: it was refused or not answered.
        """
        ...


@dataclass(frozen=True, slots=True)
class LoopTimer:
    """A steady clock in seconds, and a wait."""

    clock: Callable[[], float]
    wait: Callable[[float], object]


@dataclass(slots=True)
class _Slot:
    """A boot while it is under way."""

    wanted: WantedServer
    asked: float | None = None
    ended: float | None = None
    server: str = ""
    unanswered: str = ""
    doing: str = ""
    outcome: BootEnd = "not_asked"
    kind: FailureKind | None = None
    fault: str = ""

    @property
    def under_way(self) -> bool:
        return self.asked is not None and self.ended is None

    def end(self, at: float, outcome: BootEnd, fault: str = "") -> None:
        self.fault, self.outcome = fault, outcome
        self.ended = at  # last: whoever sees it may rely on the others

    def fail(self, at: float, kind: FailureKind, fault: str) -> None:
        self.kind = kind
        self.end(at, "failed", fault)


@dataclass(slots=True)
class BootLoop:
    """One test. ``stopped`` is asked at each step; ``tell`` is given what to show at each look at nova.

    1. Ask for every server, ``at_once`` requests at a time, each once. A request that is not answered is no failure
       yet: its server is looked for by its name.
    2. Look at nova until each server is ACTIVE or in ERROR. One that is neither after ``within`` seconds has failed as
       slow; where nova did not say what it is, its end is not known.
    3. Delete every server that carries the test's id, each once, and look until none is there. One that a request
       without an answer makes late is found too, for two minutes.
    """

    nova: Nova
    timer: LoopTimer
    at_once: int
    within: float
    stopped: Callable[[], bool] = lambda: False
    tell: Callable[[str], object] = lambda _: None
    _began: float = 0.0
    _slots: list[_Slot] = field(default_factory=list)
    _silent: str = ""

    def boot(self, wanted: Sequence[WantedServer]) -> None:
        """Ask for the servers and return when each has ended, or when the test was stopped.

        No request is under way when it returns.
        """
        self._began = self.timer.clock()
        self._slots = [_Slot(each) for each in wanted]
        with ThreadPoolExecutor(self.at_once) as pool:
            asked = [pool.submit(self._ask, slot) for slot in self._slots]
            try:
                self._watch(asked)
            finally:
                for each in asked:
                    each.cancel()
        for each in asked:
            if not each.cancelled():
                each.result()
        if self.stopped():
            self._look()
            for slot in self._slots:
                if slot.under_way:
                    slot.end(self._now, "unknown", "stopped before its end was seen")

    def boots(self) -> list[Boot]:
        """Return every boot as it is now."""
        return [
            Boot(
                host=slot.wanted.host,
                number=slot.wanted.number,
                name=slot.wanted.name,
                server=slot.server,
                asked=_rounded(slot.asked),
                ended=_rounded(slot.ended),
                outcome="unknown" if slot.under_way else slot.outcome,
                kind=slot.kind,
                fault=slot.fault,
            )
            for slot in self._slots
        ]

    def clean_up(self) -> list[str]:
        """Delete what the test made; return the names of the servers that are not known to be deleted, and why.

        Also for a test of another process: nova's list alone says what carries the id.
        """
        refused: dict[str, str] = {}
        sent: set[str] = set()
        began = self.timer.clock()
        with ThreadPoolExecutor(self.at_once) as pool:
            while True:
                there = self._listed()
                if there is not None:
                    fresh = [server for server in there if server not in sent]
                    sent.update(fresh)
                    refused.update(pool.map(self._delete, fresh))
                    self.tell(f"{len(there)} to delete")
                    if not there and not self._may_come:
                        return []
                if self.timer.clock() - began > DELETE_SECONDS:
                    return self._left(there, refused)
                self._pause()

    def _left(self, there: Mapping[str, Seen] | None, refused: Mapping[str, str]) -> list[str]:
        if there is None:
            return [f"not known: {self._silent}"]
        return [
            f"{seen.name} ({seen.doing}{f'; {said}' if (said := refused.get(server)) else ''})"
            for server, seen in there.items()
        ]

    @property
    def _may_come(self) -> bool:
        """Whether a server may still be made by a request that was not answered."""
        return any(
            slot.unanswered and not slot.server and self._now - (slot.asked or 0.0) < LATE_SECONDS
            for slot in self._slots
        )

    @property
    def _now(self) -> float:
        return self.timer.clock() - self._began

    def _delete(self, server: str) -> tuple[str, str]:
        try:
            self.nova.delete(server)
        except CannotTell as error:
            return server, error.message
        return server, ""

    def _ask(self, slot: _Slot) -> None:
        if self.stopped():
            return
        slot.outcome = "unknown"
        slot.asked = self._now
        try:
            slot.server = self.nova.create(slot.wanted)
        except Refusal as refusal:
            if slot.under_way:
                slot.fail(self._now, classify(refusal.message), fault_text(refusal.message))
        except CannotTell as error:
            slot.unanswered = error.message

    def _watch(self, asked: Sequence[Future[None]]) -> None:
        while not self.stopped():
            took = self.timer.clock()
            self._look()
            took = self.timer.clock() - took
            self._give_up()
            self.tell(self._line())
            if all(each.done() for each in asked) and not any(s.under_way for s in self._slots):
                return
            self._pause(took)

    def _pause(self, took: float = 0.0) -> None:
        self.timer.wait(max(POLL_SECONDS, 2 * took))

    def _listed(self) -> Mapping[str, Seen] | None:
        """Return nova's list, None where it gave none; ``_silent`` then has the cause."""
        try:
            there = self.nova.listed()
        except CannotTell as error:
            self._silent = error.message
            return None
        self._silent = ""
        by_name = {slot.wanted.name: slot for slot in self._slots}
        for server, seen in there.items():
            if slot := by_name.get(seen.name):
                slot.server = slot.server or server
        return there

    def _look(self) -> None:
        under_way = [slot for slot in self._slots if slot.under_way]
        if not under_way or (there := self._listed()) is None:
            return
        # By name: the answer to a request may come while nova is asked.
        by_name: dict[str, list[Seen]] = {}
        for seen in there.values():
            by_name.setdefault(seen.name, []).append(seen)
        for slot in under_way:
            found = by_name.get(slot.wanted.name, [])
            self._take(slot, found[0] if len(found) == 1 else None)

    def _take(self, slot: _Slot, seen: Seen | None) -> None:
        """Take what nova says of a server; None where it lists none of that name, or several."""
        slot.doing = seen.doing if seen else ""
        if seen is None or not slot.under_way:
            return
        if seen.status == "ACTIVE":
            slot.end(self._now, "active")
        elif seen.status == "ERROR":
            kind = classify(seen.message, seen.details)
            text = fault_text(seen.message, seen.details) or "nova gives no fault"
            slot.fail(self._now, kind, text)

    def _give_up(self) -> None:
        """End the boots whose time is over."""
        for slot in self._slots:
            if not slot.under_way or self._now - (slot.asked or 0.0) < self.within:
                continue
            if slot.doing and not self._silent:
                text = f"{slot.doing} after {self.within:.0f} s"
                slot.fail(self._now, FailureKind.SLOW, text)
            else:
                unlisted = "nova does not list it" if slot.server else ""
                slot.end(self._now, "unknown", self._silent or slot.unanswered or unlisted)

    def _line(self) -> str:
        asked = sum(slot.asked is not None for slot in self._slots)
        ends = [slot.outcome for slot in self._slots if slot.ended is not None]
        line = f"{asked} of {len(self._slots)} asked for, {ends.count('active')} active"
        failed = ends.count("failed")
        line += f", {failed} failed" if failed else ""
        silent = f"; nova does not answer: {self._silent}" if self._silent else ""
        return f"{line} ({self._now:.0f} s){silent}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
