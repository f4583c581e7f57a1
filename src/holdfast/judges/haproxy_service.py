"""Judge one haproxy around its reload: its configuration, its process, and whether it leads where it led before."""

from __future__ import annotations

import re
import shlex

from holdfast.evidence import BEFORE
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.haproxy_service import (
    ConfigurationCheck,
    ConfigurationChecks,
    HaproxyFigures,
    HaproxyService,
)

REFUSED, NO_RELOAD = "refused", "no_reload"


def configuration_valid(claim: str, seen: ConfigurationChecks, unit: str = "") -> Verdict:
    """PASS where haproxy accepts the files it was started with, and the unit, if one is named, can be reloaded.

    Where haproxy refuses its files, the message names file and line number. No line is quoted: it may hold a password.
    """
    checks = {host: each for host, each in seen.items() if isinstance(each, ConfigurationCheck)}
    silent = [each.cause for each in seen.values() if isinstance(each, Unanswered)]
    evidence: dict[str, Json] = {"files": {host: list(each.files) for host, each in checks.items()}}
    if refused := [_refusal(host, each) for host, each in checks.items() if each.rc != 0]:
        return Verdict(claim, Outcome.FAIL, REFUSED, first_few(refused), evidence)
    if fixed := [host for host, each in checks.items() if each.can_reload is False]:
        hosts = first_few(fixed, 5, ", ")
        message = f"{hosts}: the unit {unit} cannot be reloaded, only restarted (haproxy_act)"
        return Verdict(claim, Outcome.FAIL, NO_RELOAD, message, evidence)
    if silent or not checks:
        message = first_few(silent) or "the inventory has no haproxy to ask"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    files = list(dict.fromkeys(file for each in checks.values() for file in each.files))
    message = f"haproxy on {', '.join(checks)} accepts {first_few(files, 5, ', ')}"
    return Verdict(claim, Outcome.PASS, "valid", message, evidence)


def _refusal(host: str, seen: ConfigurationCheck) -> str:
    places = list(dict.fromkeys(re.findall(r"\[([^\[\]\s]+:\d+)\]", seen.output)))
    check = shlex.join(["haproxy", "-c", *(w for each in seen.files for w in ("-f", each))])
    where = f"at {first_few(places, 5, ', ')}" if places else " ".join(seen.files)
    return (
        f"{host}: haproxy refuses its configuration {where} (exit status {seen.rc});"
        f" what it says, on that host: {check}"
    )


def figures_known(claim: str, seen: HaproxyService) -> Verdict:
    """PASS where a haproxy tells its process, its sessions, what is open and up, and what commands have changed.

    The evidence is what later gates compare with.
    """
    figures = seen.figures
    evidence: dict[str, Json] = {"host": seen.host, BEFORE: figures.model_dump(mode="json")}
    if not figures.open or not seen.servers:
        message = (
            f"{seen.host}: haproxy leads nowhere: {len(figures.open)} frontends are open,"
            f" {len(seen.servers)} servers are known"
        )
        return Verdict(claim, Outcome.FAIL, "nothing", message, evidence)
    message = (
        f"{seen.host}: haproxy's process {seen.pid} has {seen.sessions} sessions;"
        f" {len(figures.open)} frontends are open, {len(figures.up)} of {len(seen.servers)} servers up,"
        f" {len(figures.restore)} changes by commands in effect"
    )
    return Verdict(claim, Outcome.PASS, "known", message, evidence)


def replaced(claim: str, seen: HaproxyService, was: HaproxyFigures) -> Verdict:
    """PASS where another process answers than before, so the configuration is in effect.

    The sessions of the old process are its own until they end: they are counted where its master tells them.
    """
    old = None if isinstance(seen.old, Unanswered) else seen.old
    evidence: dict[str, Json] = {
        "host": seen.host,
        "process": seen.pid,
        "sessions_before": was.sessions,
        "sessions": seen.sessions,
        "old_sessions": None if old is None else {str(pid): count for pid, count in old.items()},
    }
    if seen.pid == was.pid and seen.uptime >= was.uptime:
        message = (
            f"{seen.host}: the process {seen.pid} from before still answers,"
            " so the new configuration is not in effect"
        )
        return Verdict(claim, Outcome.FAIL, "same_process", message, evidence)
    if not seen.servers:
        message = f"{seen.host}: the new process knows no server"
        return Verdict(claim, Outcome.FAIL, "nothing", message, evidence)
    if isinstance(seen.old, Unanswered):
        kept = f"how many old sessions are left is not told: {seen.old.cause}"
    else:
        left = [f"{count} in process {pid}" for pid, count in seen.old.items()]
        kept = f"of {was.sessions} old sessions are left: {first_few(left, 5, ', ') or 'none'}"
    message = f"{seen.host}: process {seen.pid} answers, {seen.uptime} s old, with {seen.sessions} sessions; {kept}"
    return Verdict(claim, Outcome.PASS, "replaced", message, evidence)


def serves_as_before(
    claim: str, seen: HaproxyService, was: HaproxyFigures, accepted: str = ""
) -> Verdict:
    """PASS where every frontend that was open is open, and every server that was up is up.

    ``accepted``: why some may be gone from the configuration; never that one is there and does not serve.
    """
    known = {each.place for each in seen.servers}
    now = seen.figures
    lost = [each for each in [*was.open, *was.up] if each not in [*now.open, *now.up]]
    gone = [each for each in lost if each not in known and each not in seen.frontends]
    ill = [each for each in lost if each not in gone]
    evidence: dict[str, Json] = {"host": seen.host, "gone": gone, "ill": ill}
    if ill:
        message = f"{seen.host}: was open or up before, and is not now: {first_few(ill, 5, ', ')}"
        return Verdict(claim, Outcome.FAIL, "not_as_before", message, evidence)
    if gone and not accepted:
        message = (
            f"{seen.host}: was served before, and is not in the configuration any more: {first_few(gone, 5, ', ')}"
            " (haproxy_accepted_change)"
        )
        return Verdict(claim, Outcome.FAIL, "gone", message, evidence)
    if not now.open or not now.up:
        message = f"{seen.host}: no frontend is open, or no server is up"
        return Verdict(claim, Outcome.FAIL, "nothing", message, evidence)
    message = f"{seen.host}: {len(now.open)} frontends are open and {len(now.up)} servers up, all from before"
    if gone:
        evidence |= {"accepted": accepted}
        message = f"accepted ({accepted}): {first_few(gone, 5, ', ')} are gone; {message}"
        return Verdict(claim, Outcome.PASS, "accepted", message, evidence)
    return Verdict(claim, Outcome.PASS, "as_before", message, evidence)


def state_as_before(claim: str, seen: HaproxyService, was: HaproxyFigures) -> Verdict:
    """PASS where every server has the state and the weight that commands had given it before.

    A server that the new configuration does not have needs none.
    """
    known = [f"set server {each.place} " for each in seen.servers]
    now = seen.figures.restore
    lost = [
        command
        for command in was.restore
        if command not in now and any(command.startswith(each) for each in known)
    ]
    evidence: dict[str, Json] = {"host": seen.host, "lost": lost}
    if lost:
        message = f"{seen.host}: haproxy has lost what commands had changed; on its socket: {'; '.join(lost)}"
        return Verdict(claim, Outcome.FAIL, "lost", message, evidence)
    if not seen.servers:
        message = f"{seen.host}: haproxy knows no server"
        return Verdict(claim, Outcome.FAIL, "nothing", message, evidence)
    message = f"{seen.host}: {len(was.restore)} changes by commands are in effect as before"
    return Verdict(claim, Outcome.PASS, "as_before", message, evidence)
