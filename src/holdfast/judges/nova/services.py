"""Judge nova's service list: every service is up, and a heartbeat advances."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.evidence import HEALTHY
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Verdict
from holdfast.nova_services import binary_of
from holdfast.observations.nova import ExpectedService, ListedService, ServiceList

MAX_NAMED = 10  # services named in evidence


def services_up(claim: str, services: ServiceList) -> Verdict:
    """PASS where nova lists every service of the inventory as up; names those that are disabled.

    A disabled service is no fault. "Up" is a heartbeat within ``service_down_time``: what stopped a
    minute ago may still be up.
    """
    hidden = [each.name for each in services.expected if services.hides(each)]
    faults = {each: _fault(each, services.entry(each)) for each in services.expected}
    bad = {each: fault for each, fault in faults.items() if fault}
    evidence: dict[str, Json] = {
        "expected": len(faults),
        "disabled": _disabled(services.listed),
        "not_in_inventory": _not_in_inventory(services),
    }
    hosts = {
        host: {HEALTHY: all(each.host != host for each in bad)}
        for host in sorted({each.host for each in faults})
    }
    if hidden:
        message = (
            f"nova does not report {first_few(hidden)}: the database of a cell does not answer"
        )
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message, evidence)
    if bad:
        message = "; ".join(list(bad.values())[:MAX_NAMED])
        return Verdict(claim, Outcome.FAIL, "not_up", message, evidence, hosts)
    message = f"all {len(faults)} services of the inventory are up"
    if disabled := evidence["disabled"]:
        message += f"; disabled: {first_few(list(disabled))}"
    return Verdict(claim, Outcome.PASS, "up", message, evidence, hosts)


def heartbeat_advanced(
    claim: str, history: Sequence[ServiceList], service: str, host: str, times: int
) -> Verdict:
    """PASS where a service's heartbeat advanced twice during the gate; ask it after the restart.

    So ``times`` is two or more, with the service unchanged. The gate starts after the restart. The
    first advance may be the old process's last report, still on its way through a conductor; the second
    is the new process's. Enabling or disabling a service moves the same timestamp, so a change of its
    status starts the count again.
    """
    newest = history[-1]
    expected = newest.expected_on(service, host)
    if expected is None:
        message = f"the inventory has no {binary_of(service)} on {host}"
        return Verdict(claim, Outcome.UNKNOWN, "not_in_inventory", message)
    if newest.hides(expected):
        message = f"nova does not report {expected.name}: the database of its cell does not answer"
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message)
    fault = _fault(expected, newest.entry(expected))
    beats = _heartbeats_since_change([each.entry(expected) for each in history])
    evidence = {"advanced": len(beats) - 1, "wanted": times, "updated_at": beats[-1:]}
    hosts = {host: {HEALTHY: not fault}}
    if fault:
        return Verdict(claim, Outcome.FAIL, "not_up", fault, evidence, hosts)
    message = f"{expected.name}: heartbeat advanced {len(beats) - 1} of {times} times"
    if len(beats) <= times:
        return Verdict(claim, Outcome.FAIL, "not_advanced", message, evidence, hosts)
    return Verdict(claim, Outcome.PASS, "advanced", message, evidence, hosts)


def _fault(expected: ExpectedService, entry: ListedService | None) -> str:
    """Return why a service is not up, "" where it is."""
    if entry is None:
        name = f" (as {expected.known_as})" if expected.known_as != expected.host else ""
        return f"{expected.name}{name} is not in nova's service list"
    if entry.forced_down:
        return f"{expected.name} is forced down"
    if entry.state != "up":
        return f"{expected.name} is {entry.state}: last heartbeat {entry.updated_at or 'never'}"
    return ""


def _disabled(listed: Sequence[ListedService]) -> dict[str, str]:
    disabled = [each for each in listed if each.status == "disabled"]
    return {each.name: each.disabled_reason for each in disabled[:MAX_NAMED]}


def _not_in_inventory(services: ServiceList) -> list[str]:
    """Return what nova lists and no group of the inventory has: left from old hosts, or forgotten."""
    known = {(binary_of(each.service), each.known_as) for each in services.expected}
    names = [each.name for each in services.listed if (each.binary, each.known_as) not in known]
    return names[:MAX_NAMED]


def _heartbeats_since_change(entries: Sequence[ListedService | None]) -> list[str]:
    """Return the heartbeats since the service was last changed, each later than the one before."""
    beats: list[str] = []
    settings: tuple[str, str, bool] | None = None
    for entry in entries:
        now = (entry.status, entry.disabled_reason, entry.forced_down) if entry else None
        if entry is None or now != settings:
            beats = []
        settings = now
        if entry and entry.updated_at and (not beats or entry.updated_at > beats[-1]):
            beats.append(entry.updated_at)
    return beats
