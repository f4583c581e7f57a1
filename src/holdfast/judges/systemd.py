"""Judge systemd units: active, stays up, unchanged since a known start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.evidence import ABSENT, HEALTHY, HOSTS, INVOCATION_ID, OUTLIVE, UNIT
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.systemd import GroupState, Machine, UnitState, UnitStates, unit_on

NO_SUCH_UNIT = "no_such_unit"
NOT_ACTIVE = "not_active"
RESTARTED = "restarted_meanwhile"
CHANGED = "restarted_since"
DIED = "died"
JUST_RESTARTED = "just_restarted"
ONE_MACHINE = "one_machine"
ANOTHER_HOST = "another_host"

# systemctl(1), "is-active": a unit does its work while it reloads.
_WORKING = {"active", "reloading", "refreshing"}
# From these states a unit becomes active only by another start, with another InvocationID.
_ENDED = {"inactive", "failed", "deactivating"}


def is_active(claim: str, unit: UnitState, calm_seconds: float) -> Verdict:
    """PASS where the unit is active on this host, and systemd has not just restarted it (a one-shot: ran to success).

    One that systemd restarts every 20 s is active nearly always. So a start by systemd itself counts only
    when it has lasted for ``calm_seconds``. One that is not twice as old has its age as ``outlive`` in the
    evidence: so long the start that follows must last at least.
    """
    return _calm(_judge_state(claim, unit), unit, calm_seconds)


def stays_up(
    claim: str,
    history: Sequence[UnitState],
    invocation_id: str,
    calm_seconds: float,
    outlive_seconds: float,
) -> Verdict:
    """PASS where the unit is active and is not started again during the gate.

    With ``invocation_id``, that start must still run; else the first one seen. The services of
    2015-08-12 came up and failed minutes later; systemd had started them again by the time somebody
    checked, so "active" alone proved nothing. ``calm_seconds`` as in ``is_active``. The start must have
    lasted for ``outlive_seconds``: the interval after which the unit was seen to fail before.
    """
    unit = history[-1]
    first = next((each.invocation_id for each in history if each.invocation_id), "")
    expected = invocation_id or first
    if unit.invocation_id != expected:
        return _restarted(claim, unit, RESTARTED, expected)
    more = unit.restarts - history[0].restarts
    if more > 0:
        return _restarted(claim, unit, RESTARTED, expected, f"systemd restarted it {more} times")
    verdict = _judge_start(claim, unit) if expected else _judge_state(claim, unit)
    return _outlived(_calm(verdict, unit, calm_seconds), unit, outlive_seconds)


def has_run_for(claim: str, unit: UnitState, seconds: float) -> Verdict:
    """PASS where the unit's present start has lasted for so many seconds.

    For a gate beside another claim that can show a fault only so long after a restart.
    """
    verdict = _judge_state(claim, unit)
    if not verdict.passed or not seconds:
        return verdict
    if unit.age is None:
        message = f"{verdict.message}, and since when is not known"
        return replace(
            verdict, outcome=Outcome.UNKNOWN, reason="age_unknown", message=message, hosts={}
        )
    message = f"{verdict.message}, for {unit.age:.0f} s; a fault may show after {seconds:.0f} s"
    if unit.age >= seconds:
        return replace(verdict, message=message)
    return replace(verdict, outcome=Outcome.FAIL, reason="too_young", message=message, hosts={})


def unchanged_since(
    claim: str, units: UnitStates, starts: Mapping[str, Mapping[str, str]]
) -> Verdict:
    """PASS where every unit still runs in the start that is given: nothing restarted it since.

    The hosts that are not well are in the facts, a silent one with ``healthy`` None: there may be hundreds of others.
    """
    bad, doubts = [], []
    facts: dict[str, dict[str, Json]] = {}
    for host, ids in starts.items():
        for unit, expected in ids.items():
            verdict = _unchanged(claim, units.get(unit_on(host, unit)), host, expected)
            if verdict.outcome is Outcome.FAIL:
                bad.append(verdict)
                facts[host] = {HEALTHY: False}
            elif not verdict.passed:
                doubts.append(verdict)
                facts.setdefault(host, {HEALTHY: None})
    evidence: dict[str, Json] = {HOSTS: len(starts)}
    # What waiting cannot mend comes first: it ends the gate.
    bad.sort(key=lambda verdict: verdict.reason == NOT_ACTIVE)
    if worst := [*bad, *doubts]:
        message = first_few([each.message for each in worst])
        return Verdict(claim, worst[0].outcome, worst[0].reason, message, evidence, facts)
    message = f"nothing was restarted since on {first_few(list(starts), separator=', ')}"
    return Verdict(claim, Outcome.PASS, "unchanged", message, evidence)


def _unchanged(
    claim: str, found: UnitState | Unanswered | None, host: str, expected: str
) -> Verdict:
    unit = found or Unanswered("it was not asked")
    if isinstance(unit, Unanswered):
        cause = unit.cause.removeprefix(f"{host}: ")
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", f"{host}: {cause}")
    if unit.invocation_id != expected:
        return _restarted(claim, unit, CHANGED, expected)
    return _judge_start(claim, unit)


def active_everywhere(claim: str, group: GroupState, calm_seconds: float) -> Verdict:
    """PASS where the unit is active on every one of the named hosts, and on none just restarted by systemd.

    Asked before each batch about hosts of the group, in a small group about all (docs/adr/0063): one that died since it
    was last looked at would be the second that is out.
    """
    verdicts = {
        host: is_active(claim, each[0], calm_seconds)
        for host, each in group.hosts.items()
        if not isinstance(each, Unanswered)
    }
    silent = _silent(group)
    bad = [each for each in verdicts.values() if each.outcome is Outcome.FAIL]
    doubts = [each.message for each in verdicts.values() if each.outcome is Outcome.UNKNOWN]
    evidence: dict[str, Json] = {"unit": group.unit, "hosts": len(group.hosts)}
    facts = {host: {HEALTHY: each.passed} for host, each in verdicts.items()}
    if bad:
        message = first_few([*(each.message for each in bad), *doubts, *silent])
        return Verdict(claim, Outcome.FAIL, bad[0].reason, message, evidence, facts)
    if doubts or silent or not verdicts:
        message = first_few([*doubts, *silent]) or "no host was named"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence, facts)
    message = f"{group.unit} is active on {first_few(list(verdicts), separator=', ')}"
    return Verdict(claim, Outcome.PASS, "active", message, evidence, facts)


def units_stay_up(claim: str, history: Sequence[UnitStates], calm_seconds: float) -> Verdict:
    """PASS where every host's unit is active, and systemd has not just restarted it.

    One reading sees how old each start is and how often systemd has restarted the unit; several see it restarted.
    """
    return judge_units(claim, history, calm_seconds, {})


def judge_units(
    claim: str, history: Sequence[UnitStates], calm_seconds: float, absent: Mapping[str, str]
) -> Verdict:
    """Return ``units_stay_up`` without the units that are in ``absent``, with the reason."""
    newest = {name: each for name, each in history[-1].items() if name not in absent}
    silent = [
        f"{name}: {each.cause}" for name, each in newest.items() if isinstance(each, Unanswered)
    ]
    verdicts: list[Verdict] = []
    ages: dict[str, float] = {}
    for name, unit in newest.items():
        if not isinstance(unit, Unanswered):
            known = [each.get(name) for each in history]
            states = [each for each in known if isinstance(each, UnitState)]
            verdicts.append(stays_up(claim, states, "", calm_seconds, 0))
            ages |= {name: unit.age} if unit.age is not None else {}
    bad = [each for each in verdicts if each.outcome is Outcome.FAIL]
    doubts = [*(v.message for v in verdicts if v.outcome is Outcome.UNKNOWN), *silent]
    evidence: dict[str, Json] = {"units": len(newest), ABSENT: dict(absent)}
    if bad:
        message = first_few([*(each.message for each in bad), *doubts])
        return Verdict(claim, Outcome.FAIL, bad[0].reason, message, evidence)
    if doubts or not verdicts:
        message = first_few(doubts) or "the inventory has no such unit"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    message = f"{len(verdicts)} units are active"
    if ages:
        youngest = min(ages, key=lambda name: ages[name])
        message += f"; the last to start: {youngest}, {ages[youngest]:.0f} s ago"
    return Verdict(claim, Outcome.PASS, "active", message, evidence)


def machines_distinct(claim: str, group: GroupState) -> Verdict:
    """PASS where each of the named hosts is a machine of its own, and none says that it is another of the inventory.

    Else an act meant for one host would reach another: two names of one machine are restarted twice, and
    with two addresses exchanged the host that was drained is not the one that is restarted.
    """
    machines = {
        host: each[1] for host, each in group.hosts.items() if not isinstance(each, Unanswered)
    }
    evidence: dict[str, Json] = {HOSTS: len(group.hosts)}
    if fault := _one_machine(machines):
        return Verdict(claim, Outcome.FAIL, ONE_MACHINE, fault, evidence)
    if fault := _another_host(machines, group.names):
        return Verdict(claim, Outcome.FAIL, ANOTHER_HOST, fault, evidence)
    mute = [
        f"{host} says nothing of itself"
        for host, machine in machines.items()
        if not machine.boot_id
    ]
    if (silent := _silent(group) + mute) or not machines:
        message = first_few(silent) or "no host was named"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    message = f"{len(machines)} hosts of the inventory are as many machines"
    return Verdict(claim, Outcome.PASS, "distinct", message, evidence)


def _one_machine(machines: Mapping[str, Machine]) -> str:
    """Return which two hosts are one machine, "" where none are."""
    owners: dict[Machine, str] = {}
    for host, machine in machines.items():
        other = owners.setdefault(machine, host)
        if other != host and machine.boot_id:
            known_by = f"hostname {machine.hostname}, machine id {machine.machine_id}"
            return f"{other} and {host} are one machine ({known_by})"
    return ""


def _another_host(machines: Mapping[str, Machine], names: Sequence[str]) -> str:
    """Return which host says that it is another of the inventory, "" where none does."""
    known = {_short(name): name for name in reversed(names)}
    for host, machine in machines.items():
        named = known.get(_short(machine.hostname))
        if named and _short(machine.hostname) != _short(host):
            says = f"the machine at the address of {host} says that it is {machine.hostname}"
            return f"{says}, and {named} is another host of the inventory"
    return ""


def _short(name: str) -> str:
    """Return the part of a host's name before the first dot."""
    return name.partition(".")[0].lower()


def _silent(group: GroupState) -> list[str]:
    return [
        f"{host}: {each.cause.removeprefix(f'{host}: ')}"
        for host, each in group.hosts.items()
        if isinstance(each, Unanswered)
    ]


def _calm(verdict: Verdict, unit: UnitState, seconds: float) -> Verdict:
    """Return the verdict, as a FAIL where systemd itself started the unit less than so many seconds ago."""
    if not verdict.passed or not unit.restarts:
        return verdict
    times = "once" if unit.restarts == 1 else f"{unit.restarts} times"
    history = f"systemd has restarted it {times} since somebody last started it"
    if unit.age is None:
        message = f"{verdict.message}; {history}, and how long ago is not known"
        return replace(
            verdict, outcome=Outcome.UNKNOWN, reason="age_unknown", message=message, hosts={}
        )
    message = f"{verdict.message}, started {unit.age:.0f} s ago; {history}"
    if unit.age >= seconds:
        outlive = unit.age if unit.age <= 2 * seconds else 0
        return replace(verdict, message=message, evidence={**verdict.evidence, OUTLIVE: outlive})
    message += f", so this start must last for {seconds:.0f} s to count"
    facts = {unit.host: {HEALTHY: False}}
    return replace(
        verdict, outcome=Outcome.FAIL, reason=JUST_RESTARTED, message=message, hosts=facts
    )


def _outlived(verdict: Verdict, unit: UnitState, seconds: float) -> Verdict:
    """Return the verdict, as a FAIL where the start has not lasted for so many seconds."""
    if not verdict.passed or not seconds or (unit.age is not None and unit.age >= seconds):
        return verdict
    age = "an unknown time" if unit.age is None else f"{unit.age:.0f} s"
    before = f"systemd itself had started it {seconds:.0f} s before this run took the host"
    message = f"{verdict.message}, for {age}; {before}, so it must last longer"
    return replace(verdict, outcome=Outcome.FAIL, reason="too_young", message=message)


def _judge_start(claim: str, unit: UnitState) -> Verdict:
    """Judge a unit in the start that must still run: one that has ended does not come back, so it is ``DIED``."""
    verdict = _judge_state(claim, unit)
    ended = verdict.reason == NOT_ACTIVE and unit.active_state in _ENDED
    return replace(verdict, reason=DIED) if ended else verdict


def _judge_state(claim: str, unit: UnitState) -> Verdict:
    """Judge the present state alone (systemd(1), "UNITS"; a one-shot that has run is ``inactive``)."""
    if unit.load_state in {"not-found", "masked", "bad-setting", "error"}:
        message = f"{unit.name} on {unit.host} is {unit.load_state}"
        return Verdict(claim, Outcome.FAIL, NO_SUCH_UNIT, message, _evidence(unit))
    state = f"{unit.active_state} ({unit.sub_state})"
    if unit.active_state in _WORKING:
        return _verdict(claim, unit, Outcome.PASS, "active", f"is {state}")
    ran = unit.kind == "oneshot" and unit.result == "success" and unit.invocation_id
    if ran and unit.active_state == "inactive":
        return _verdict(claim, unit, Outcome.PASS, "ran_to_success", "ran and ended with success")
    result = "" if unit.result in {"", "success"} else f", result {unit.result}"
    return _verdict(claim, unit, Outcome.FAIL, NOT_ACTIVE, f"is {state}{result}")


def _restarted(claim: str, unit: UnitState, reason: str, expected: str, how: str = "") -> Verdict:
    how = how or f"its InvocationID is {unit.invocation_id or 'empty'}, expected {expected}"
    message = f"was started again: {how}; it is {unit.active_state} ({unit.sub_state})"
    return _verdict(claim, unit, Outcome.FAIL, reason, message, expected_invocation_id=expected)


def _verdict(
    claim: str, unit: UnitState, outcome: Outcome, reason: str, message: str, **more: Json
) -> Verdict:
    passed = outcome is Outcome.PASS
    return Verdict(
        claim,
        outcome,
        reason,
        f"{unit.name} on {unit.host} {message}",
        evidence={**_evidence(unit), **more},
        hosts={unit.host: {HEALTHY: passed}},
    )


def _evidence(unit: UnitState) -> dict[str, Json]:
    return {
        UNIT: unit.name,
        "active_state": unit.active_state,
        "sub_state": unit.sub_state,
        "result": unit.result,
        INVOCATION_ID: unit.invocation_id,
        "restarts": unit.restarts,
        "age": unit.age,
        OUTLIVE: 0,
    }
