"""``build_plan``: checks a runbook, a site and the playbooks' policies against each other."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from holdfast.errors import InvalidInput, RunbookError
from holdfast.model import GATE_DEADLINE_SECONDS, Json, LeaseMode
from holdfast.plan.decide import SURVEY_DEADLINE_SECONDS
from holdfast.plan.model import (
    SOAK,
    Plan,
    PlannedApprove,
    PlannedCheck,
    PlannedRoll,
    PlannedStep,
    PlannedWait,
    Playbook,
    SiteInventory,
)
from holdfast.runbook.inputs import fill
from holdfast.runbook.model import (
    ApproveStep,
    CheckStep,
    RollStep,
    Runbook,
    SettleSpec,
    Step,
    WaitStep,
    WorkStep,
)
from holdfast.text import did_you_mean, format_duration

SOAK_SECONDS = 1800
"""Longer than the 25 minutes for which everything looked fine on 2015-08-12."""

LAG = "holdfast_lag_tolerant"
"""The variable with which a roll waits for replicas (playbooks/tasks/pace.yml)."""

SHOWN_SECONDS = 2
"""How long after a length of the site its effect is surely written."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """Functions that look names up; both raise ``InvalidInput`` for a name that does not exist.

    ``playbook(name, variables)`` reads a playbook's policy; ``claim_group(entry)`` checks a claim
    with its parameters and returns the group it is about ("" for none).
    """

    playbook: Callable[[str, Mapping[str, Json]], Playbook]
    claim_group: Callable[[Json], str]


def build_plan(
    runbook: Runbook,
    site: SiteInventory,
    inputs: Mapping[str, Json],
    limit: str,
    lookups: Lookups,
) -> Plan:
    """Apply the runbook to the site and return the plan; nothing is touched.

    Raises:
        InvalidInput: a name is unknown, a group or the limit has no hosts, a batch is too large.
    """
    planner = _Planner(runbook, site, inputs, lookups)
    steps = tuple(planner.step(step) for step in runbook.steps)
    _refuse_empty_limit(steps, site, limit)
    return Plan(
        runbook=runbook.name,
        runbook_hash=runbook.hash,
        site=site.name,
        inventory=site.path,
        inputs=dict(inputs),
        limit=limit,
        leases=_leases(runbook, site.name, steps),
        steps=steps,
        sweep_seconds=runbook.sweep_seconds,
    )


@dataclass(frozen=True, slots=True)
class _Planner:
    runbook: Runbook
    site: SiteInventory
    inputs: Mapping[str, Json]
    lookups: Lookups

    def step(self, step: Step) -> PlannedStep:
        try:
            return self._planned(step, fill(step.work, self.inputs))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise RunbookError(self.runbook.path, step.line, f"{where}: {fault['msg']}") from None
        except InvalidInput as error:
            message = f"step {step.number}: {error.message}"
            raise RunbookError(
                self.runbook.path, step.line, message, remedy=error.remedy
            ) from error

    def _planned(self, step: Step, work: WorkStep) -> PlannedStep:
        named = {"number": step.number, "title": step.title}
        if isinstance(work, RollStep):
            return self._roll(named, work)
        if isinstance(work, ApproveStep):
            policy = self.runbook.approvals
            return PlannedApprove(**named, question=work.approve, **policy.model_dump())
        return self._inspection(named, work)

    def _inspection(self, named: dict[str, Json], work: CheckStep | WaitStep) -> PlannedStep:
        why = ""
        if isinstance(work, WaitStep):
            kind: type[PlannedWait | PlannedCheck] = PlannedWait
            seconds, why = (work.wait.seconds, "") if work.wait.seconds else _soak(self.site)
            settle = SettleSpec(seconds=seconds, readings=work.wait.readings)
            claims = tuple(work.wait.gates)
        else:
            kind, settle, claims = PlannedCheck, work.settle, tuple(work.check)
        claims += _lag(work)
        return kind(
            **named,
            why=why,
            claims=claims,
            hosts=self._inspected_hosts(claims, work.hosts),
            settle=settle,
            deadline_seconds=_deadline(work.deadline_seconds, settle),
        )

    def _inspected_hosts(self, claims: Iterable[Json], hosts: str | None) -> tuple[str, ...]:
        """Return the hosts of claims about one host each; a claim about a group needs none."""
        for claim in claims:
            group = self.lookups.claim_group(claim)
            if group and hosts:
                raise InvalidInput(
                    f"{claim} is about the group {group}: put it into a step without hosts"
                )
            if not group and not hosts:
                raise InvalidInput(f"{claim} is about one host: name its group, with hosts: GROUP")
            self._group(group or str(hosts))
        return self._group(hosts) if hosts else ()

    def _roll(self, named: dict[str, Json], work: RollStep) -> PlannedRoll:
        playbook = self.lookups.playbook(work.roll, work.vars)
        policy = playbook.policy
        _known("variable", work.vars, playbook.variables, work.roll)
        if work.hosts != policy.group:
            raise InvalidInput(f"{work.roll} acts on {policy.group}, not on {work.hosts}")
        sizes = work.growth or [int(work.window or work.batch)]
        if sizes[-1] > policy.batch_max:
            raise InvalidInput(
                f"a {_what(work)} of {sizes[-1]} is larger than {work.roll} allows "
                f"({policy.batch_max}): {policy.batch_max_reason}"
            )
        self._inspected_hosts((*policy.survey, *_lag(work)), None)
        group, selected = self._group(work.hosts), self.site.selected
        hosts = tuple(host for host in group if selected is None or host in selected)
        if 1 < len(group) == len(hosts) <= sizes[0] and not work.canary:
            raise InvalidInput(
                f"a {_what(work)} of {sizes[0]} is the whole group {work.hosts}: "
                "the service would be out everywhere at once",
                remedy=f"use a smaller {_what(work)}, or a canary",
            )
        lasts, why = self._lasts(playbook, work)
        return PlannedRoll(
            **named,
            lasts_seconds=lasts,
            why=why,
            playbook=work.roll,
            hosts=hosts,
            batch=sizes[-1],
            growth=tuple(work.growth or ()),
            window=work.window is not None,
            canary=work.canary,
            canary_settle=work.canary_settle,
            canary_deadline_seconds=(
                _roll_deadline(work, work.canary_settle) if work.canary_settle else None
            ),
            variables=work.vars | ({LAG: work.lag_tolerant} if work.lag_tolerant else {}),
            settle=work.settle,
            deadline_seconds=_roll_deadline(work, work.settle),
            policy=policy,
        )

    def _lasts(self, playbook: Playbook, work: RollStep) -> tuple[int, str]:
        """Return how long after its restart a host is verified at least, and why; 0 where the policy does not say."""
        known = {**playbook.variables, **self.site.lengths, **work.vars}
        longest, why = 0.0, ""
        for name, reason in playbook.policy.outlasts.items():
            if not isinstance(known[name], (int, float)):
                raise InvalidInput(f"{name} is {known[name]!r}, which is no number of seconds")
            if (seconds := float(known[name])) > longest:
                longest, why = seconds, f"{name} is {seconds:g} s; {reason}"
        return (math.ceil(longest) + SHOWN_SECONDS, why) if why else (0, "")

    def _group(self, group: str) -> tuple[str, ...]:
        lists = f"see its groups: {_graph(self.site)}; other runbooks: holdfast runbooks"
        _known("group", (group,), self.site.groups, self.site.path, lists)
        if not self.site.groups[group]:
            raise InvalidInput(f"the group {group} of {self.site.path} has no hosts", remedy=lists)
        return self.site.groups[group]


def _lag(work: CheckStep | WaitStep | RollStep) -> tuple[Json, ...]:
    """Return the claim that no replica is further behind than the step tolerates; none where it says nothing."""
    return (
        ({"claim": "replica.caught_up", "seconds": work.lag_tolerant},) if work.lag_tolerant else ()
    )


def _what(work: RollStep) -> str:
    return "batch" if work.window is None else "window"


def _graph(site: SiteInventory) -> str:
    return shlex.join(["ansible-inventory", "-i", site.path, "--graph"])


def _known(
    kind: str, names: Iterable[str], known: Iterable[str], where: str, remedy: str = ""
) -> None:
    for name in names:
        if name not in set(known):
            raise InvalidInput(
                f"{where} has no {kind} {name!r}; {did_you_mean(name, sorted(known))}",
                remedy=remedy,
            )


def _soak(site: SiteInventory) -> tuple[int, str]:
    """Return for how long a wait without a length of its own lasts, and why."""
    known = f"on 2015-08-12 everything looked fine for 25 minutes, then failed; {SOAK}"
    if SOAK not in site.lengths:
        return SOAK_SECONDS, f"{known} of the site is not set"
    seconds = math.ceil(site.lengths[SOAK])
    if seconds >= SOAK_SECONDS:
        return seconds, f"{SOAK} of the site"
    usual = format_duration(SOAK_SECONDS)
    return (
        seconds,
        f"{SOAK} of the site, shorter than the usual {usual}: what fails again later is not seen",
    )


def _deadline(given: int | str | None, settle: SettleSpec) -> int:
    """Return the given deadline; without one, twice the settling time and what a survey is given."""
    if given is None:
        return int(settle.seconds) * 2 + SURVEY_DEADLINE_SECONDS
    if int(given) <= int(settle.seconds):
        raise InvalidInput(
            f"deadline_seconds {given} is not longer than the settling time, {settle.seconds} s"
        )
    return int(given)


def _roll_deadline(work: RollStep, settle: SettleSpec | None) -> int | None:
    """Return the given deadline; without one None for the roles' default, if settling fits into it."""
    deadline = _deadline(work.deadline_seconds, settle or SettleSpec())
    if work.deadline_seconds is None and deadline <= GATE_DEADLINE_SECONDS:
        return None
    return deadline


def _leases(runbook: Runbook, site: str, steps: Iterable[PlannedStep]) -> dict[str, LeaseMode]:
    """Return the scopes of all policies and of the runbook; exclusive wins over shared.

    Exclusive is to change a service, shared to keep others from changing it.
    """
    rolls = [step for step in steps if isinstance(step, PlannedRoll) and step.hosts]
    needed: dict[str, LeaseMode] = {}
    for leases in (*(roll.policy.leases() for roll in rolls), runbook.leases):
        for service, mode in leases.items():
            if needed.get(service) is not LeaseMode.EXCLUSIVE:
                needed[service] = mode
    return {f"{site}/{service}": mode for service, mode in needed.items()}


def _refuse_empty_limit(steps: Iterable[PlannedStep], site: SiteInventory, limit: str) -> None:
    rolls = [step for step in steps if isinstance(step, PlannedRoll)]
    if rolls and not any(roll.hosts for roll in rolls):
        groups = ", ".join(dict.fromkeys(roll.policy.group for roll in rolls))
        raise InvalidInput(
            f"--limit {limit!r} leaves no host of the groups this runbook acts on: {groups}",
            remedy=f"see their hosts: {_graph(site)}",
        )
