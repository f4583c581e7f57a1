"""Judges of what nova says of itself: its service list, heartbeats, and the work of a compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.evidence import HEALTHY
from holdfast.judges.base import Observation, Unanswered, first_few, unknown
from holdfast.model import Json, Outcome, Verdict

SILENT_CELL = "UNKNOWN"  # nova's status of a service whose cell's database does not answer
DONE = {"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"}
WAITS_FOR_USER = "finished"  # a resize to be confirmed, perhaps days from now
NAMED = 10  # so many are named in evidence


@dataclass(frozen=True, slots=True)
class Service:
    """One entry of nova's service list; ``host`` is nova's own name for the host."""

    binary: str
    host: str
    status: str
    state: str
    updated_at: str
    disabled_reason: str
    forced_down: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """A service that the inventory says there is; ``known_as``: nova's name for the ``host``."""

    binary: str
    host: str
    known_as: str

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.binary} on {self.host}"


@dataclass(frozen=True, slots=True)
class ServiceList:
    """What the inventory expects and what nova lists."""

    expected: Sequence[Expected]
    listed: Sequence[Service]

    def entry(self, expected: Expected) -> Service | None:
        """The listed service that is the expected one."""
        wanted = (expected.binary, expected.known_as)
        return next((each for each in self.listed if (each.binary, each.host) == wanted), None)

    def expects(self, binary: str, host: str) -> Expected | None:
        """The service of that name which the inventory says there is on a host."""
        return next((e for e in self.expected if (e.binary, e.host) == (binary, host)), None)

    def withholds(self, expected: Expected) -> bool:
        """A cell's database is silent, so that the service's entry is empty or left out."""
        entry = self.entry(expected)
        silent = not self.listed or any(each.status == SILENT_CELL for each in self.listed)
        return silent if entry is None else entry.status == SILENT_CELL


@dataclass(frozen=True, slots=True)
class Work:
    """What a compute has in flight, and its service as listed before and after that was asked.

    An API whose cell's database is silent answers 200 with empty lists (seen on nova 26), so the
    lists count only if the service was really there before and after.
    """

    host: str
    before: Service | None
    instances: Sequence[Instance]
    migrations: Sequence[Migration]
    after: Service | None


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance on the compute; ``task`` is its task_state, "" for none."""

    id: str
    status: str
    task: str

    @property
    def busy(self) -> bool:
        """An operation is in flight: a restart now puts such an instance into ERROR."""
        return bool(self.task) or self.status in {"BUILD", "REBUILD"}

    @property
    def words(self) -> str:
        """For messages."""
        return f"instance {self.id} is in {self.status}{f', {self.task}' if self.task else ''}"


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration from or to the compute."""

    id: str
    kind: str
    status: str

    @property
    def words(self) -> str:
        """For messages."""
        return f"{self.kind} {self.id} is {self.status}"


def services_up(claim: str, history: Sequence[Observation]) -> Verdict:
    """Every service of the inventory is listed by nova and up; disabled ones are named, not failed.

    "Up" is a heartbeat within ``service_down_time``: what died a minute ago may still read up.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    silent = [each.name for each in seen.expected if seen.withholds(each)]
    faults = {each: _not_up(each, seen.entry(each)) for each in seen.expected}
    bad = {each: words for each, words in faults.items() if words}
    evidence: dict[str, Json] = {
        "expected": len(faults),
        "disabled": _disabled(seen.listed),
        "not_in_inventory": _strangers(seen),
    }
    hosts = {
        host: {HEALTHY: all(each.host != host for each in bad)}
        for host in sorted({each.host for each in faults})
    }
    if silent:
        message = f"nova cannot tell of {first_few(silent)}: a cell's database does not answer"
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message, evidence)
    if bad:
        message = "; ".join(list(bad.values())[:NAMED])
        return Verdict(claim, Outcome.FAIL, "not_up", message, evidence, hosts)
    message = f"all {len(faults)} services of the inventory are up{_but(evidence['disabled'])}"
    return Verdict(claim, Outcome.PASS, "up", message, evidence, hosts)


def heartbeat_advanced(
    claim: str, history: Sequence[Observation], binary: str, host: str, times: int
) -> Verdict:
    """The heartbeat advanced so many times while this gate looked, and nobody changed the service.

    The gate starts after the restart. The first advance may be the old process's last report, on
    its way through a conductor; the second is the new one's. Whoever enables or disables a service
    moves the same timestamp, so a change of its status starts the count again.
    """
    last = history[-1]
    if isinstance(last, Unanswered):
        return unknown(claim, last)
    expected = last.expects(binary, host)
    if expected is None:
        message = f"the inventory has no {binary} on {host}"
        return Verdict(claim, Outcome.UNKNOWN, "not_in_inventory", message)
    if last.withholds(expected):
        message = f"nova cannot tell of {expected.name}: its cell's database does not answer"
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message)
    fault = _not_up(expected, last.entry(expected))
    beats = _beats_since_change(
        [each.entry(expected) for each in history if not isinstance(each, Unanswered)]
    )
    evidence = {"advanced": len(beats) - 1, "wanted": times, "updated_at": beats[-1:]}
    hosts = {host: {HEALTHY: not fault}}
    if fault:
        return Verdict(claim, Outcome.FAIL, "not_up", fault, evidence, hosts)
    message = f"{expected.name}: heartbeat advanced {len(beats) - 1} of {times} times"
    if len(beats) <= times:
        return Verdict(claim, Outcome.FAIL, "not_advanced", message, evidence, hosts)
    return Verdict(claim, Outcome.PASS, "advanced", message, evidence, hosts)


def compute_idle(claim: str, history: Sequence[Observation], wait_for_users: bool) -> Verdict:
    """No operation is in flight on the compute: no task, nothing in BUILD, no running migration.

    nova-compute sets what it finds half built at its start to ERROR. A migration that waits for a
    user's word is no operation in flight unless ``wait_for_users``.
    """
    seen = history[-1]
    if isinstance(seen, Unanswered):
        return unknown(claim, seen)
    hidden = any(each.status == SILENT_CELL for each in seen.instances)
    if hidden or not (_told(seen.before) and _told(seen.after)):
        message = f"nova does not know nova-compute on {seen.host} now: its lists may be empty"
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message)
    over = DONE if wait_for_users else DONE | {WAITS_FOR_USER}
    busy = [each.words for each in seen.instances if each.busy]
    moving = [each.words for each in seen.migrations if each.status not in over]
    waiting = [each.id for each in seen.migrations if each.status == WAITS_FOR_USER]
    evidence = {
        "instances": len(seen.instances),
        "busy": [*busy, *moving][:NAMED],
        "waiting_for_user": waiting[:NAMED],
    }
    if busy or moving:
        message = (
            f"{seen.host} has {len(busy) + len(moving)} in flight: {first_few([*busy, *moving])}"
        )
        return Verdict(claim, Outcome.FAIL, "in_flight", message, evidence)
    message = f"{seen.host}: none of {len(seen.instances)} instances has a task in flight"
    return Verdict(claim, Outcome.PASS, "idle", message, evidence)


def _told(entry: Service | None) -> bool:
    return entry is not None and entry.status != SILENT_CELL


def _not_up(expected: Expected, entry: Service | None) -> str:
    if entry is None:
        known = f" (as {expected.known_as})" if expected.known_as != expected.host else ""
        return f"{expected.name}{known} is not in nova's service list"
    if entry.forced_down:
        return f"{expected.name} is forced down"
    if entry.state != "up":
        return f"{expected.name} is {entry.state}: last heartbeat {entry.updated_at or 'never'}"
    return ""


def _disabled(listed: Sequence[Service]) -> dict[str, str]:
    off = [each for each in listed if each.status == "disabled"]
    return {f"{each.binary} on {each.host}": each.disabled_reason for each in off[:NAMED]}


def _strangers(seen: ServiceList) -> list[str]:
    """Listed by nova and in no group of the inventory: left over from old hosts, or forgotten."""
    known = {(each.binary, each.known_as) for each in seen.expected}
    return [
        f"{each.binary} on {each.host}"
        for each in seen.listed
        if (each.binary, each.host) not in known
    ][:NAMED]


def _beats_since_change(seen: Sequence[Service | None]) -> list[str]:
    """The heartbeats, each later than the one before, since the service was last changed."""
    beats: list[str] = []
    settings: tuple[str, str, bool] | None = None
    for entry in seen:
        now = (entry.status, entry.disabled_reason, entry.forced_down) if entry else None
        if entry is None or now != settings:
            beats = []
        settings = now
        if entry and entry.updated_at and (not beats or entry.updated_at > beats[-1]):
            beats.append(entry.updated_at)
    return beats


def _but(disabled: Json) -> str:
    return f"; disabled: {first_few(list(disabled))}" if disabled else ""
