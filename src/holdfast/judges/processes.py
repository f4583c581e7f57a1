"""Judge what hosts say of their services' processes: what is wrong with each, the worst first.

The order matters: a process that is stopped has no connection either, and that is not why it is silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from holdfast.evidence import CAUSES, HEALTHY, UNREACHED, WAITING
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.processes import STOPPED, Login, Peer, ServiceProcess, ServiceProcesses

CALM_SECONDS = 120
"""A start by systemd itself counts when it has lasted so long (claims.systemd.CALM_SECONDS)."""

FRESH_SECONDS = 120
"""A complaint counts for so long: what is repaired logs nothing new."""

STALLED = 3
"""So often the kernel sends the same data again before a connection counts as cut: about 1.5 s without any answer."""

SKEW_SECONDS = 5
_CONNECTED = ("nova-conductor", "nova-scheduler", "nova-compute")
"""Services that hold a connection to a broker as long as they run; the API and metadata open one when they need it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong: a code that programs compare, a text without the host, and figures."""

    code: str
    text: str
    figures: Mapping[str, Json]


def processes_run(claim: str, processes: ServiceProcesses) -> Verdict:
    """PASS where the process of every broker runs on its host and is not frozen.

    A frozen broker accepts connections and answers nothing; systemd shows it as active.
    """
    return _judge(claim, processes, "runs")


def processes_connected(claim: str, processes: ServiceProcesses) -> Verdict:
    """PASS where every service of nova runs on its host, is not frozen, and those that take calls are connected.

    Asked of the hosts themselves: from outside, a service that is stopped, masked, frozen, cut off or refused by the
    broker looks the same.
    """
    return _judge(claim, processes, "runs and is connected")


def _judge(claim: str, processes: ServiceProcesses, does: str) -> Verdict:
    answered = {name: each for name, each in processes.items() if isinstance(each, ServiceProcess)}
    silent = {name: each.cause for name, each in processes.items() if isinstance(each, Unanswered)}
    found = {name: cause for name, each in answered.items() if (cause := _cause(each, answered))}
    causes = {
        name: {"host": answered[name].unit.host, "service": answered[name].service}
        | {"cause": cause.code, "text": cause.text, **cause.figures}
        for name, cause in found.items()
    }
    unreached = {name.rpartition(" on ")[2]: cause for name, cause in silent.items()}
    waiting = {each.unit.host: dict(each.waiting) for each in answered.values() if each.waiting}
    evidence: dict[str, Json] = {CAUSES: causes, UNREACHED: unreached, "asked": len(processes)}
    evidence |= {WAITING: waiting} if waiting else {}
    ill = {str(each["host"]) for each in causes.values()}
    hosts = {each.unit.host: {HEALTHY: each.unit.host not in ill} for each in answered.values()}
    texts = [f"{name} {cause.text}" for name, cause in found.items()]
    if found:
        reason = next(iter(found.values())).code
        message = first_few([*texts, *silent.values()])
        return Verdict(claim, Outcome.FAIL, reason, message, evidence, hosts)
    if silent or not processes:
        message = first_few(list(silent.values())) or "the inventory has no such service"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence, hosts)
    message = f"each of {len(processes)} services {does}"
    return Verdict(claim, Outcome.PASS, "runs", message, evidence, hosts)


def _cause(process: ServiceProcess, others: Mapping[str, ServiceProcess]) -> Cause | None:
    """Return what is wrong with a service, None where nothing is."""
    found = (rule(process) for rule in (*_UNIT_RULES, *_PROCESS_RULES))
    first = _masked(process) or _refused_at_start(process, others)
    return first or next((each for each in found if each), None) or _unconnected(process, others)


def _masked(process: ServiceProcess) -> Cause | None:
    if process.states or "masked" not in {process.unit.load_state, process.unit_file}:
        return None
    return Cause(
        "masked", "is masked and not running, so nothing may start it", _stopped_for(process)
    )


def _missing(process: ServiceProcess) -> Cause | None:
    if process.unit.load_state in {"not-found", "bad-setting", "error"}:
        return Cause("no_such_unit", f"has no usable unit: {process.unit.load_state}", {})
    return None


def _flapping(process: ServiceProcess) -> Cause | None:
    """A start by systemd itself that has not lasted, or the wait for the next one."""
    unit = process.unit
    waits = unit.active_state == "activating" and unit.sub_state == "auto-restart"
    young = unit.age is not None and unit.age < CALM_SECONDS
    if not waits and not (unit.restarts and young):
        return None
    figures = {"restarts": unit.restarts, "age": unit.age}
    if unit.restarts == 1 and not waits:
        text = f"was started again by systemd {unit.age:.0f} s ago, and counts as well after {CALM_SECONDS} s"
        return Cause("restarted", text, figures)
    often = "once" if unit.restarts == 1 else f"{unit.restarts} times"
    last = "" if waits or unit.age is None else f", the last time {unit.age:.0f} s ago"
    why = f"; it ended with status {process.status}" if process.status else ""
    return Cause("flapping", f"is flapping: systemd has restarted it {often}{last}{why}", figures)


def _refused_at_start(
    process: ServiceProcess, others: Mapping[str, ServiceProcess]
) -> Cause | None:
    """A service that the broker refuses when it starts ends, with success or without, and may be started again."""
    unit = process.unit
    if (unit.restarts and unit.active_state != "active") or _flapping(process):
        process = replace(process, complaints={**process.earlier, **process.complaints})
        told = _fresh(process, "refused")
    elif unit.active_state in {"inactive", "failed"}:
        told = _fresh(process, "refused", float("inf"))
    else:
        told = None
    if told is None:
        return None
    differs, same_as = _difference(process, others)
    text = f"has ended, refused by the brokers (ACCESS_REFUSED, {told}){differs and f': {differs}'}"
    return Cause("refused", text, {"differs": differs, "same_as": same_as})


def _failed(process: ServiceProcess) -> Cause | None:
    if process.unit.active_state != "failed":
        return None
    text = f"has failed: result {process.unit.result}, exit status {process.status}"
    return Cause("failed", text, _stopped_for(process))


def _stopped(process: ServiceProcess) -> Cause | None:
    state = process.unit.active_state
    if state == "inactive":
        text = "is not running: it was stopped, or ended by itself without an error"
        return Cause("stopped", text, _stopped_for(process))
    if state not in {"active", "reloading", "refreshing"}:
        return Cause("changing", f"is {state} ({process.unit.sub_state})", {})
    return None


def _frozen(process: ServiceProcess) -> Cause | None:
    stopped = sum(state == STOPPED for state in process.states)
    if process.frozen:
        return Cause(
            "frozen", "is frozen (its control group is)", {"processes": len(process.states)}
        )
    if not stopped:
        return None
    of = "" if stopped == len(process.states) else f", {stopped} of {len(process.states)} processes"
    return Cause("frozen", f"is frozen (process state {STOPPED}{of})", {"processes": stopped})


def _full(process: ServiceProcess) -> Cause | None:
    if not process.full:
        return None
    return Cause(
        "full",
        f"has no space left: the file system of {process.full} is full",
        {"directory": process.full},
    )


def _no_database(process: ServiceProcess) -> Cause | None:
    if (text := _fresh(process, "database")) is None:
        return None
    return Cause("database", f"gets no connection to its database ({text})", {})


def _skewed(process: ServiceProcess) -> Cause | None:
    if abs(process.skew) <= SKEW_SECONDS:
        return None
    way = "behind" if process.skew < 0 else "ahead of"
    text = f"has a clock that is {abs(process.skew):.0f} s {way} the controller's"
    return Cause("skewed", text, {"skew": round(process.skew)})


_Rule = Callable[[ServiceProcess], Cause | None]
_UNIT_RULES: tuple[_Rule, ...] = (_missing, _flapping, _failed, _stopped)
_PROCESS_RULES: tuple[_Rule, ...] = (_frozen, _full, _no_database, _skewed)


def _unconnected(process: ServiceProcess, others: Mapping[str, ServiceProcess]) -> Cause | None:
    """Return why a service that takes calls has no sound connection to a broker."""
    if process.service not in _CONNECTED:
        return None
    sound = [each for each in process.peers if each.established and each.unacknowledged < STALLED]
    cut = [each for each in process.peers if each.established and each.unacknowledged >= STALLED]
    refused = _fresh(process, "refused")
    if refused is not None and not sound:
        differs, same_as = _difference(process, others)
        text = f"is refused by the brokers (ACCESS_REFUSED, {refused}){differs and f': {differs}'}"
        return Cause("refused", text, {"differs": differs, "same_as": same_as})
    if cut:
        return Cause(
            "cut_off",
            f"runs and is cut off: {_describe(cut)}",
            {"peers": [each.name for each in cut]},
        )
    if sound:
        return None
    attempts = [each for each in process.peers if each.attempted]
    heard = _fresh(process, "unreachable")
    logged = f"; its log: AMQP server unreachable, {heard}" if heard else ""
    tries = f": {_describe(attempts)}" if attempts else ""
    figures = {"peers": [each.name for each in attempts], "age": process.unit.age}
    return Cause("unconnected", f"runs and has no connection to a broker{tries}{logged}", figures)


def _describe(peers: list[Peer]) -> str:
    told = [
        f"no answer from {each.name} (SYN-SENT)"
        if each.attempted
        else f"what it sends to {each.name} is not acknowledged (sent again {each.unacknowledged} times)"
        for each in peers
    ]
    return first_few(told)


def _fresh(process: ServiceProcess, kind: str, within: float = FRESH_SECONDS) -> str | None:
    """Return how often a service complains of this, where the last time is within so many seconds; else None.

    What was logged before the connection came back is over.
    """
    complaint, back = process.complaints.get(kind), process.complaints.get("connected")
    if complaint is None or (complaint.age is not None and complaint.age > within):
        return None
    ages = [each.age for each in (back, complaint) if each and each.age is not None]
    if kind != "database" and len(ages) == 2 and ages[0] <= ages[1]:
        return None
    when = "" if complaint.age is None else f", the last {complaint.age:.0f} s ago"
    return f"{complaint.count} log lines{when}"


def _difference(process: ServiceProcess, others: Mapping[str, ServiceProcess]) -> tuple[str, str]:
    """Return which part of its login is not its peers', and the peer whose login it has; "" where that is not known.

    The file is read now, and the service has read it when it started.
    """
    own = process.login
    peers = {
        each.unit.host: each.login
        for each in others.values()
        if each.login and each.unit.host != process.unit.host and each.service == process.service
    }
    if own is None or not peers:
        return "", ""
    parts = list(_parts(own, peers))
    peer = next(iter(peers))
    if parts:
        return f"the {' and the '.join(parts)} in its nova.conf is not that of {peer}", ""
    why = "so the file was corrected and the service not restarted since, or the account itself was changed"
    return f"its nova.conf has the login of {peer}, {why}", peer


def _parts(own: Login, peers: Mapping[str, Login]) -> Iterator[str]:
    for part in ("user", "password", "brokers"):
        usual = Counter(getattr(each, part) for each in peers.values()).most_common(1)[0][0]
        if getattr(own, part) != usual:
            yield {"brokers": "list of brokers"}.get(part, part)


def _stopped_for(process: ServiceProcess) -> dict[str, Json]:
    since = process.stopped_for
    return {} if since is None else {"seconds": round(since)}
