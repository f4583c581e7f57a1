"""Judge nova's service list: every service is up, and a heartbeat advances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.evidence import ABSENT, DOWN, HEALTHY, LEFT, UNSEEN
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Verdict
from holdfast.nova_services import RPC_SERVICES, binary_of, groups_of
from holdfast.observations.nova import OURS, ExpectedService, ListedService, ServiceList

LISTED_TWICE = "listed_twice"
LEFT_BY_RUN = "left_by_run"
MAX_NAMED = 10  # services named in evidence
_NO_HOSTS = f"the inventory has no host in {', '.join(groups_of(RPC_SERVICES))}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a service is not known to be up. ``UNKNOWN``: nova lists it more than once, and not all entries are up."""

    outcome: Outcome
    text: str


def services_up(claim: str, services: ServiceList) -> Verdict:
    """PASS where nova lists every service of the inventory as up; names those that are disabled.

    A disabled service is no fault. One that people disabled and that is down or forced down is left out and named: in a
    large fleet some host is always under repair. "Up" is a heartbeat within ``service_down_time``: what stopped a
    minute ago may still be up.
    """
    absent = absences(services)
    judged = [each for each in services.expected if each.name not in absent]
    hidden = [each.name for each in judged if services.hides(each)]
    bad = {each: fault for each in judged if (fault := _fault(services, each))}
    evidence: dict[str, Json] = {
        "expected": len(services.expected),
        ABSENT: absent,
        "disabled": {each.name: each.disabled_reason for each in _disabled(services)[:MAX_NAMED]},
        "not_in_inventory": _not_in_inventory(services)[:MAX_NAMED],
        DOWN: {each.name: _heartbeat(services, each) for each in list(bad)[:MAX_NAMED]},
    }
    ill = {each.host for each in bad}
    hosts = {host: {HEALTHY: host not in ill} for host in sorted({each.host for each in judged})}
    if hidden:
        message = (
            f"nova does not report {first_few(hidden)}: the database of a cell does not answer"
        )
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message, evidence)
    if bad:
        outcomes = {fault.outcome for fault in bad.values()}
        outcome = Outcome.FAIL if Outcome.FAIL in outcomes else Outcome.UNKNOWN
        reason = "not_up" if outcome is Outcome.FAIL else LISTED_TWICE
        message = first_few([fault.text for fault in bad.values()], MAX_NAMED)
        return Verdict(claim, outcome, reason, message, evidence, hosts)
    if not judged:
        message = f"no service is expected to be up: {left_out(absent) or _NO_HOSTS}"
        return Verdict(claim, Outcome.UNKNOWN, "none_expected", message, evidence)
    message = f"all {len(judged)} services of the inventory are up{_remarks(services, absent)}"
    return Verdict(claim, Outcome.PASS, "up", message, evidence, hosts)


def none_left_disabled(claim: str, services: ServiceList) -> Verdict:
    """PASS where no compute is disabled by a run of Holdfast.

    A run disables a compute for the time of its turn, with its id as the reason. Where the run ended in between, the
    compute stays disabled and gets no new instance. Whether the run is under way is not known here.
    """
    expected = [each for each in services.expected if each.service == "compute"]
    unlisted = [each for each in expected if services.hides(each) or not services.entries(each)]
    names = {each.known_as: each.host for each in expected}
    left = {
        names.get(each.known_as, each.known_as): each.disabled_reason.removeprefix(OURS)
        for each in services.listed
        if each.status == "disabled" and each.disabled_reason.startswith(OURS)
    }
    if left:
        message = first_few(
            [f"nova-compute on {host} is disabled by run {run}" for host, run in left.items()]
        )
        unseen = [f"nova does not list {each.name}" for each in unlisted]
        return Verdict(claim, Outcome.FAIL, LEFT_BY_RUN, message, {LEFT: left, UNSEEN: unseen})
    if unlisted or not expected:
        missing = first_few([each.name for each in unlisted])
        message = f"nova does not list {missing}" if missing else "no compute is expected"
        return Verdict(claim, Outcome.UNKNOWN, "unlisted", message)
    message = f"none of {len(expected)} computes is disabled by a run"
    return Verdict(claim, Outcome.PASS, "none_left", message)


def heartbeat_advanced(
    claim: str, history: Sequence[ServiceList], service: str, host: str, times: int
) -> Verdict:
    """PASS where a service's heartbeat advanced twice during the gate; ask it after the restart.

    So ``times`` is two or more, with the service unchanged. The gate starts after the restart. The
    first advance may be the old process's last report, still on its way through a conductor; the second
    is the new process's. Enabling or disabling a service moves the same timestamp, so a change of its
    status starts the count again. Where nova lists it more than once, all of them must advance: which of them was
    restarted is not known.
    """
    newest = history[-1]
    expected = newest.expected_on(service, host)
    if expected is None:
        message = f"the inventory has no {binary_of(service)} on {host}"
        return Verdict(claim, Outcome.UNKNOWN, "not_in_inventory", message)
    if newest.hides(expected):
        message = f"nova does not report {expected.name}: the database of its cell does not answer"
        return Verdict(claim, Outcome.UNKNOWN, "cell_silent", message)
    fault, entries = _fault(newest, expected), newest.entries(expected)
    beats = min((_beats(history, expected, entry.id) for entry in entries), key=len, default=[])
    advanced = max(0, len(beats) - 1)
    evidence = {"advanced": advanced, "wanted": times, "updated_at": beats[-1:]}
    hosts = {host: {HEALTHY: not fault}}
    if fault:
        reason = "not_up" if fault.outcome is Outcome.FAIL else LISTED_TWICE
        return Verdict(claim, fault.outcome, reason, fault.text, evidence, hosts)
    message = f"{expected.name}: heartbeat advanced {advanced} of {times} times"
    if advanced >= times:
        return Verdict(claim, Outcome.PASS, "advanced", message, evidence, hosts)
    if len(entries) > 1:
        message += f"; {listed_twice(entries)}"
        return Verdict(claim, Outcome.UNKNOWN, LISTED_TWICE, message, evidence, hosts)
    return Verdict(claim, Outcome.FAIL, "not_advanced", message, evidence, hosts)


def absences(services: ServiceList) -> dict[str, str]:
    """Return the expected services that people took out of service before, by name, and the reason nova has."""
    absent = {}
    for each in services.expected:
        entries = services.entries(each)
        if entries and all(entry.is_taken_out for entry in entries):
            entry = entries[0]
            down = "forced down" if entry.forced_down else f"down since {entry.updated_at}"
            absent[each.name] = f"disabled ({entry.disabled_reason or 'no reason'}), {down}"
    return absent


def left_out(absent: Mapping[str, str]) -> str:
    """Return the absences for a message, "" where there are none."""
    return first_few([f"{name}: {reason}" for name, reason in absent.items()])


def listed_twice(entries: Sequence[ListedService]) -> str:
    """Return that nova has several entries of one service, with their ids, and what to type."""
    listed = ", ".join(f"{each.id} {each.state or each.status}" for each in entries)
    return (
        f"nova lists it {len(entries)} times ({listed}): delete a stale one, "
        "openstack compute service delete ID"
    )


def _fault(services: ServiceList, expected: ExpectedService) -> Fault | None:
    """Return why a service is not known to be up, None where it is."""
    entries, twins = services.entries(expected), services.twins(expected)
    down = [each for each in entries if not each.is_up]
    if entries and len(entries) < len(twins):
        names = ", ".join(each.host for each in twins)
        text = f"{names} are one host for nova ({expected.known_as}): check nova_service_host"
        return Fault(Outcome.UNKNOWN, text)
    if len(entries) > 1 and down:
        return Fault(Outcome.UNKNOWN, f"{_down(expected, down[0])}; {listed_twice(entries)}")
    if not entries or down:
        return Fault(Outcome.FAIL, _down(expected, down[0] if down else None))
    return None


def _down(expected: ExpectedService, entry: ListedService | None) -> str:
    if entry is None:
        name = f" (as {expected.known_as})" if expected.known_as != expected.host else ""
        return f"{expected.name}{name} is not in nova's service list"
    if entry.forced_down:
        return f"{expected.name} is forced down"
    return f"{expected.name} is {entry.state}: last heartbeat {entry.updated_at or 'never'}"


def _heartbeat(services: ServiceList, expected: ExpectedService) -> dict[str, Json]:
    """Return the host of a service that is not up, and its newest heartbeat, "" where nova has none."""
    entries = services.entries(expected)
    newest = max((each.updated_at for each in entries), default="")
    forced = any(each.forced_down for each in entries)
    return {"host": expected.host, "updated_at": newest, "forced_down": forced}


def _remarks(services: ServiceList, absent: Mapping[str, str]) -> str:
    """Return what a passing verdict adds: services that are left out, disabled, or in no group of the inventory.

    Each is named once. Those that a run disabled are ``none_left_disabled``'s.
    """
    gone = [services.entries(each) for each in services.expected if each.name in absent]
    disabled = dict.fromkeys(
        each.name
        for each in _disabled(services)
        if not any(each in entries for entries in gone)
        and not each.disabled_reason.startswith(OURS)
    )
    remarks = {
        "left out": left_out(absent),
        "disabled": first_few(list(disabled)),
        "not in the inventory": first_few(_not_in_inventory(services)),
    }
    return "".join(f"; {what}: {text}" for what, text in remarks.items() if text)


def _disabled(services: ServiceList) -> list[ListedService]:
    return [each for each in services.listed if each.status == "disabled"]


def _not_in_inventory(services: ServiceList) -> list[str]:
    """Return what nova lists and no group of the inventory has: left from old hosts, or forgotten."""
    known = {(binary_of(each.service), each.known_as) for each in services.expected}
    return [
        each.name
        for each in services.listed
        if (each.binary, each.known_as) not in known and each.known_as not in services.in_hand
    ]


def _beats(history: Sequence[ServiceList], expected: ExpectedService, ident: str) -> list[str]:
    """Return the heartbeats of one entry since it was last changed, each later than the one before."""
    beats: list[str] = []
    settings: tuple[str, str, bool] | None = None
    for services in history:
        entry = next((each for each in services.entries(expected) if each.id == ident), None)
        now = (entry.status, entry.disabled_reason, entry.forced_down) if entry else None
        if now != settings:
            beats = []
        settings = now
        if entry and entry.updated_at and (not beats or entry.updated_at > beats[-1]):
            beats.append(entry.updated_at)
    return beats
