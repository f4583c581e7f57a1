"""Judge a nova unit on its own host: its log since its start, and its time to stop."""

from __future__ import annotations

from holdfast.evidence import STOP_TIMEOUT_TOO_SHORT
from holdfast.model import Outcome, Verdict
from holdfast.observations.nova import UnitLog
from holdfast.observations.systemd import StopTimeout

MESSAGING_TIMEOUT = "messaging_timeout"
SILENT_LOG = "silent_log"
LONG_LOG = "long_log"


def no_messaging_timeouts(claim: str, log: UnitLog) -> Verdict:
    """PASS where the unit's log on this host shows no messaging timeout since the unit's start.

    In the outage of 2015-08-12 this was how the broker's failure showed in nova. Every nova service
    logs its start, so a log without any line since then is not this unit's: UNKNOWN.
    """
    where = f"{log.log} on {log.host}"
    evidence = {
        "log": log.log,
        "since": log.since,
        "lines": log.lines,
        "complaints": dict(log.complaints),
    }
    if log.undated:
        message = (
            f"no line of {where} begins with a time like {log.since}; can it log to the journal?"
        )
        return Verdict(claim, Outcome.UNKNOWN, "undated_log", message, evidence)
    if not log.lines:
        message = f"{where} has no line since {log.unit} started at {log.since}"
        return Verdict(claim, Outcome.UNKNOWN, SILENT_LOG, message, evidence)
    if log.complaints:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(log.complaints.items()))
        message = (
            f"{where} has messaging timeouts since {log.since}: {kinds}; the last at {log.last}"
        )
        return Verdict(claim, Outcome.FAIL, MESSAGING_TIMEOUT, message, evidence)
    if log.cut:
        message = (
            f"{where}: only the newest {log.lines} lines were read, no messaging timeout in them"
        )
        return Verdict(claim, Outcome.UNKNOWN, LONG_LOG, message, evidence)
    message = f"{where}: {log.lines} lines since {log.since}, no messaging timeout"
    return Verdict(claim, Outcome.PASS, "quiet", message, evidence)


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
