"""Judge a nova unit on its own host: its log since its start, and its time to stop."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.evidence import STOP_TIMEOUT_TOO_SHORT
from holdfast.model import Outcome, Verdict
from holdfast.observations.nova import LogSpan, UnitLog
from holdfast.observations.systemd import StopTimeout

MESSAGING_TIMEOUT = "messaging_timeout"
SILENT_LOG = "silent_log"
LONG_LOG = "long_log"
UNNAMED_LOG = "no_process_in_log"

_SPANS: Mapping[LogSpan, str] = {
    "act": "since its restart",
    "running": "of the processes that run now",
    "start": "of its present start",
}


def no_messaging_timeouts(claim: str, log: UnitLog) -> Verdict:
    """PASS where the unit's log on this host shows no messaging timeout since its restart.

    In the outage of 2015-08-12 this was how the broker's failure showed in nova. The log is read from where it ended
    before the restart; in a check, where there was none, what the processes that run now have logged (``LogSpan``).
    Every nova service logs its start, so a log without any line is not this unit's: UNKNOWN. So is a journal that was
    read because there is no such file, and that has no line with a level: the unit logs elsewhere.
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


def _doubt(log: UnitLog, where: str, span: str) -> tuple[str, str]:
    """Return why a log without complaints proves nothing, as a reason code and a message; empty where it does."""
    if log.unnamed and log.span == "running":
        return UNNAMED_LOG, (
            f"no line of {where} names the process that wrote it (as oslo.log's formats do), so which are the {span}"
            " cannot be told"
        )
    if not log.lines:
        return SILENT_LOG, f"{where} has no {span}"
    if log.missing and not log.levels:
        return "other_log", (
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
