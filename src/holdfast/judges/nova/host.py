"""Judge a nova unit on its own host: its log since its start, and its time to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.evidence import ABSENT, STOP_TIMEOUT_TOO_SHORT
from holdfast.judges import systemd
from holdfast.judges.base import first_few
from holdfast.judges.nova.services import absences, left_out
from holdfast.model import Outcome, Unanswered, Verdict
from holdfast.observations.nova import (
    FleetLogs,
    FleetUnits,
    LogSpan,
    ServiceHost,
    ServiceList,
    UnitLog,
)
from holdfast.observations.systemd import StopTimeout

MESSAGING_TIMEOUT = "messaging_timeout"
SILENT_LOG = "silent_log"
LONG_LOG = "long_log"
UNNAMED_LOG = "no_process_in_log"
OTHER_LOG = "other_log"
ELSEWHERE = "elsewhere"
TOLD_IN_TIME = (SILENT_LOG, LONG_LOG, UNNAMED_LOG)

_SPANS: Mapping[LogSpan, str] = {
    "act": "since its restart",
    "running": "of the processes that run now",
    "start": "of its present start",
}


def no_messaging_timeouts(claim: str, log: UnitLog) -> Verdict:
    """PASS where the unit's log on this host shows no messaging timeout since its restart.

    In the outage of 2015-08-12 this was how the broker's failure showed in nova. The log is read from where it ended
    before the restart; in a check, where there was none, what the processes that run now have logged (``LogSpan``).
    Every nova service logs its start, so a log without any line is not this unit's: UNKNOWN. So is a file that has no
    line with a level, as that of uwsgi beside nova's own, and the journal that was read because there is no file.
    """
    where = f"{log.log} on {log.host}"
    span = f"lines of {log.unit} {_SPANS[log.span]}"
    evidence = {
        "log": log.log,
        "span": log.span,
        "lines": log.lines,
        "complaints": dict(log.complaints),
    }
    if log.complaints:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(log.complaints.items()))
        message = f"{where} has messaging timeouts in the {span}: {kinds}; the last at {log.last}"
        return Verdict(claim, Outcome.FAIL, MESSAGING_TIMEOUT, message, evidence)
    reason, fault = _doubt(log, where, span)
    if reason:
        return Verdict(claim, Outcome.UNKNOWN, reason, fault, evidence)
    message = f"{where}: no messaging timeout in {log.lines} {span}"
    return Verdict(claim, Outcome.PASS, "quiet", message, evidence)


def units_stay_up(claim: str, history: Sequence[FleetUnits], calm_seconds: float) -> Verdict:
    """PASS where the unit of every service runs on its host, and systemd has not just restarted it.

    A scheduler that dies every 20 s is up in nova's list nearly always. Several readings see a restart. What people
    took out of service before is left out and named, as in ``services_up``.
    """
    absent = _absent(history[-1].listed)
    verdict = systemd.judge_units(claim, [each.units for each in history], calm_seconds, absent)
    left = f"; left out: {left_out(absent)}" if absent else ""
    return replace(verdict, message=f"{verdict.message}{left}")


def logs_can_be_told(claim: str, fleet: FleetLogs) -> Verdict:
    """PASS where the log of every unit can be read: a run asks for it after a restart."""
    absent = _absent(fleet.listed)
    judged = {name: each for name, each in fleet.logs.items() if name not in absent}
    doubts = [fault for name, each in judged.items() if (fault := _untold(claim, name, each))]
    evidence = {"logs": len(judged), ABSENT: absent, "untold": doubts[:10]}
    if doubts or not judged:
        message = first_few(doubts) or "the inventory has no unit of nova"
        return Verdict(claim, Outcome.UNKNOWN, "cannot_be_told", message, evidence)
    message = f"the logs of {len(judged)} units can be read"
    return Verdict(claim, Outcome.PASS, "can_be_told", message, evidence)


def _untold(claim: str, name: str, log: UnitLog | Unanswered) -> str:
    """Return why a log cannot be told, "" where it can, or where a restart changes that."""
    if isinstance(log, Unanswered):
        return f"{name}: {log.cause}"
    verdict = no_messaging_timeouts(claim, log)
    unknown = verdict.outcome is Outcome.UNKNOWN and verdict.reason not in TOLD_IN_TIME
    return verdict.message if unknown else ""


def _absent(listed: ServiceList | Unanswered | None) -> dict[str, str]:
    return absences(listed) if isinstance(listed, ServiceList) else {}


def _doubt(log: UnitLog, where: str, span: str) -> tuple[str, str]:
    """Return why a log without complaints proves nothing, as a reason code and a message; empty where it does."""
    if not (log.levels or log.missing) and log.span != "start" and (log.lines or log.unnamed):
        return OTHER_LOG, (
            f"no line of {where} has a level such as INFO, so it is not the log of nova: which file does {log.unit}"
            " log to (nova_*_log)?"
        )
    if log.unnamed and log.span == "running":
        return UNNAMED_LOG, (
            f"no line of {where} names the process that wrote it (as oslo.log's formats do), so which are the {span}"
            " cannot be told"
        )
    if not log.lines:
        return SILENT_LOG, f"{where} has no {span}"
    if log.missing and not log.levels:
        return OTHER_LOG, (
            f"the log file of {log.unit} is not there, and {where} has {log.lines} {span}, none with a level such as"
            " INFO: which file does it log to (nova_*_log)?"
        )
    if log.cut:
        return (
            LONG_LOG,
            f"{where} has more {span} than are read: no messaging timeout in {log.lines}",
        )
    return "", ""


def stop_timeout_covers(
    claim: str, timeout: StopTimeout, seconds: float, required: bool
) -> Verdict:
    """PASS where systemd lets the unit finish what is in flight before it kills it.

    systemd must wait at least ``seconds``, nova's graceful shutdown. Debian 12's units have
    ``TimeoutStopSec=15`` where nova takes up to 60 s (180 s from nova 33), so systemd kills it during
    an operation. Without ``required`` a short time is a PASS with a warning.
    """
    has = "forever" if timeout.seconds == float("inf") else f"{timeout.seconds:g} s"
    evidence = {"stop_timeout": has, "graceful_shutdown_seconds": seconds}
    text = f"systemd waits {has} for {timeout.unit} on {timeout.host} to stop"
    if timeout.seconds >= seconds:
        return Verdict(claim, Outcome.PASS, "covered", text, evidence)
    message = (
        f"{text}, then kills it; nova takes up to {seconds:g} s to finish what is in flight: "
        f"set TimeoutStopSec={seconds:g} or more in a drop-in of {timeout.unit}"
    )
    outcome = Outcome.FAIL if required else Outcome.PASS
    return Verdict(claim, outcome, STOP_TIMEOUT_TOO_SHORT, message, evidence)


def service_host_is_local(claim: str, place: ServiceHost) -> Verdict:
    """PASS where nova on this host goes by the name that the inventory gives this host.

    A compute is disabled, and a service is asked, by its name; its unit is restarted at its host's address. Where the
    inventory has two addresses exchanged, one would be drained and another restarted, or one proved for another.
    """
    evidence = {"name": place.name, "source": place.source, "expected": place.known_as}
    if not place.name or "$" in place.name:
        message = f"the name of nova on {place.host} is not known: {place.source} is {place.name!r}"
        return Verdict(claim, Outcome.UNKNOWN, "not_known", message, evidence)
    if place.name == place.known_as:
        message = f"nova on {place.host} goes by {place.name} ({place.source})"
        return Verdict(claim, Outcome.PASS, "local", message, evidence)
    why = "nova_service_host" if place.from_variable else "its name there"
    message = (
        f"nova on the host that is reached as {place.host} goes by {place.name} ({place.source}), and the"
        f" inventory calls it {place.known_as} ({why}). If that is the right host, set"
        f" nova_service_host: {place.name} for {place.host}; else correct its ansible_host"
    )
    return Verdict(claim, Outcome.FAIL, ELSEWHERE, message, evidence)
