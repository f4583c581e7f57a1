"""Judge Puppet's agents: their last run succeeded and is fresh, none is in flight, nobody has disabled one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.evidence import HEALTHY, HOSTS, LEFT, UNSEEN
from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.puppet import Agent, Agents, LastRun, MassRuns, run_of

LEFT_BY_RUN = "disabled_by_run"
BY_OTHERS = "disabled_by_others"
DISABLED = "disabled"
NOT_OURS = "not_ours"

_CATALOG = "catalog_failed"


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why an agent's last run is no proof: a reason code, words, and whether that is a doubt."""

    reason: str
    text: str
    doubt: bool = False


def last_run_fault(last: LastRun | None) -> _Fault | None:
    """Return why the last run of an agent is no success from a fresh catalog; None where it is one.

    A run whose catalog failed has no resources, and no failed ones either. The daemon may have applied a cached catalog
    after that, so without the run's report nothing is known (Puppet's reference, "Report format").
    """
    if last is None:
        return _Fault("never_ran", "has never run")
    failed, stuck, events = last.failed or 0, last.failed_to_restart or 0, last.failures or 0
    figures = f"{failed} resources failed, {stuck} could not be restarted"
    cached = last.cached not in {"", "not_used"}
    untold = None in (last.completed, last.noop, last.failed) or not last.cached
    no_report = "has no report of its last run, so it is not known which catalog it applied"
    faults = {
        _Fault(_CATALOG, "got no catalog in its last run, and applied nothing"): not last.total,
        _Fault("run_failed", f"failed in its last run: {figures}"): failed + stuck + events > 0,
        _Fault("run_failed", "failed in its last run, as its report says"): last.status == "failed",
        _Fault("run_failed", "did not complete its last run"): last.completed is False,
        _Fault(
            "cached_catalog", f"applied a cached catalog in its last run ({last.cached})"
        ): cached,
        _Fault("noop", "ran with noop, which changes nothing"): last.noop is True,
        _Fault("no_report", f"{no_report} (report = false in puppet.conf?)", doubt=True): untold,
    }
    return next((fault for fault, found in faults.items() if found), None)


def agents_fresh(claim: str, agents: Agents, max_age_seconds: float, since: float) -> Verdict:
    """PASS where the last run of every agent succeeded, with a fresh catalog, and is not old.

    ``since``: the run must have begun after this time, in seconds since the epoch; 0 for any. An agent that a run of
    Holdfast has disabled is left out of ``max_age_seconds``: what is left of that is ``none_left_disabled``'s.
    """
    faults: dict[str, _Fault] = {}
    for host, agent in agents.items():
        if isinstance(agent, Unanswered):
            faults[host] = _Fault("unanswered", agent.cause.removeprefix(f"{host}: "), doubt=True)
        elif fault := _stale(agent, max_age_seconds, since):
            faults[host] = fault
    facts: dict[str, dict[str, Json]] = {
        host: {HEALTHY: None if fault.doubt else False} for host, fault in faults.items()
    }
    evidence: dict[str, Json] = {HOSTS: len(agents)}
    ill = dict(sorted(faults.items(), key=lambda item: item[1].doubt))
    if ill:
        first = next(iter(ill.values()))
        phrases = [f"{host}: {_subject(fault)}{fault.text}" for host, fault in ill.items()]
        outcome = Outcome.UNKNOWN if first.doubt else Outcome.FAIL
        return Verdict(claim, outcome, first.reason, first_few(phrases), evidence, facts)
    if not agents:
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", "no agent was asked", evidence)
    ages = {host: agent.age or 0 for host, agent in agents.items() if isinstance(agent, Agent)}
    oldest = max(ages, key=lambda host: ages[host])
    message = f"{len(agents)} agents succeeded; the oldest run: {oldest}, {_ago(ages[oldest])}"
    return Verdict(claim, Outcome.PASS, "fresh", message, evidence)


def _subject(fault: _Fault) -> str:
    return "" if fault.reason == "unanswered" else "its agent "


def _stale(agent: Agent, max_age_seconds: float, since: float) -> _Fault | None:
    fault = last_run_fault(agent.last)
    if fault is not None or agent.last is None:
        return fault
    age, why = agent.now - agent.last.at, _why(agent)
    if age < -1:
        return _Fault("age_unknown", "ran in the future by its host's clock", doubt=True)
    if since and (agent.last.began or 0) < since:
        return _Fault("older", f"has not run since then; its last run ended {_ago(age)}{why}")
    ours = agent.disabled is not None and run_of(agent.disabled)
    if age > max_age_seconds and not ours:
        limit = _minutes(max_age_seconds)
        return _Fault("stale", f"last ran {_ago(age)}, more than {limit}{why}")
    return None


def _why(agent: Agent) -> str:
    """Return what keeps the agent from running, as far as it is seen."""
    if agent.disabled is not None:
        return f"; it is disabled: {agent.disabled}"
    if agent.lock and not agent.lock.in_flight:
        return f"; {_dead(agent.lock.pid)}"
    return "" if agent.drivers else "; no service, timer or cron job that starts it was found"


def _dead(pid: int) -> str:
    return f"its run lock names process {pid}, which is no agent: a run was killed there"


def _ago(seconds: float) -> str:
    return f"{_minutes(seconds)} ago"


def _minutes(seconds: float) -> str:
    return f"{max(seconds, 0) / 60:.0f} min"


def no_run_in_flight(claim: str, agents: Agents) -> Verdict:
    """PASS where no agent is in the middle of a run.

    Disabling an agent does not stop a run that has begun. A lock whose process is gone is told and stops nobody:
    Puppet removes it with the next run.
    """
    running, silent, remarks = [], [], []
    for host, agent in agents.items():
        if isinstance(agent, Unanswered):
            silent.append(f"{host}: {agent.cause.removeprefix(f'{host}: ')}")
        elif agent.lock and agent.lock.in_flight:
            running.append(f"{host}: a run is in flight (process {agent.lock.pid})")
        elif agent.lock:
            remarks.append(f"{host}: {_dead(agent.lock.pid)}")
    evidence: dict[str, Json] = {HOSTS: len(agents)}
    if running:
        message = first_few([*running, *silent])
        return Verdict(claim, Outcome.FAIL, "in_flight", message, evidence)
    if silent or not agents:
        message = first_few(silent) or "no agent was asked"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    message = "; ".join([f"no run of {len(agents)} agents is in flight", *remarks[:3]])
    return Verdict(claim, Outcome.PASS, "none_in_flight", message, evidence)


def none_disabled(claim: str, agents: Agents) -> Verdict:
    """PASS where no agent is disabled by anybody but a run of Holdfast.

    What a run has disabled is ``none_left_disabled``'s.
    """
    others = _disabled(agents, ours=False)
    texts = [f"puppet on {host} is disabled: {message}" for host, message in others.items()]
    return _none_disabled(claim, agents, texts, BY_OTHERS, {})


def none_left_disabled(claim: str, agents: Agents) -> Verdict:
    """PASS where no agent is disabled by a run of Holdfast.

    A run disables the agents of its hosts until it has taken the change to all of them, with its id in the message.
    Where it ended in between they stay disabled. Whether the run is under way is not known here.
    """
    left = {host: run_of(message) for host, message in _disabled(agents, ours=True).items()}
    texts = [f"puppet on {host} is disabled by run {run}" for host, run in left.items()]
    return _none_disabled(claim, agents, texts, LEFT_BY_RUN, {LEFT: left})


def disabled_by_run(claim: str, agents: Agents, run: str) -> Verdict:
    """PASS where every agent is disabled by the run, so that nothing but the run starts one."""
    faults = []
    for host, agent in agents.items():
        if isinstance(agent, Agent) and agent.disabled is None:
            faults.append(f"puppet on {host} is not disabled: somebody has enabled it")
        elif isinstance(agent, Agent) and run_of(agent.disabled or "") != run:
            faults.append(f"puppet on {host} is disabled by somebody else: {agent.disabled}")
    return _verdict(claim, agents, faults, NOT_OURS, {}, f"disabled by run {run}")


def _disabled(agents: Agents, *, ours: bool) -> Mapping[str, str]:
    """Return the messages of disabled agents, by host: those of runs of ours, or the others."""
    known = {host: each.disabled for host, each in agents.items() if isinstance(each, Agent)}
    found = {host: message for host, message in known.items() if message is not None}
    return {host: message for host, message in found.items() if bool(run_of(message)) is ours}


def _none_disabled(
    claim: str, agents: Agents, faults: list[str], reason: str, evidence: dict[str, Json]
) -> Verdict:
    whose = "a run" if reason == LEFT_BY_RUN else "anybody else"
    return _verdict(claim, agents, faults, reason, evidence, f"not disabled by {whose}")


def _verdict(  # noqa: PLR0913, PLR0917  # the parts of one verdict
    claim: str,
    agents: Agents,
    faults: list[str],
    reason: str,
    evidence: dict[str, Json],
    well: str,
) -> Verdict:
    silent = [
        f"{host}: {each.cause.removeprefix(f'{host}: ')}"
        for host, each in agents.items()
        if isinstance(each, Unanswered)
    ]
    if faults:
        more = {UNSEEN: silent} if evidence else {}
        return Verdict(
            claim, Outcome.FAIL, reason, first_few([*faults, *silent]), {**evidence, **more}
        )
    if silent or not agents:
        message = first_few(silent) or "no agent was asked"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message)
    message = f"{len(agents)} agents: {well}"
    return Verdict(claim, Outcome.PASS, "as_expected", message)


def no_mass_run(claim: str, seen: MassRuns) -> Verdict:
    """PASS where nothing is seen to run agents on many hosts: no salt, cumin, clush or pssh with puppet.

    Seen are the processes of this controller and of the hosts. A run from another machine shows itself on the hosts
    only while it runs there.
    """
    runs = [each for found in seen.values() if not isinstance(found, Unanswered) for each in found]
    silent = [found.cause for found in seen.values() if isinstance(found, Unanswered)]
    if runs:
        texts = [f"{each.where}: {each.tool} runs agents (process {each.pid})" for each in runs]
        return Verdict(claim, Outcome.FAIL, "mass_run", first_few([*texts, *silent]))
    if silent or not seen:
        message = first_few(silent) or "nothing was looked at"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message)
    message = f"no mass run of agents is seen in {len(seen)} places"
    return Verdict(claim, Outcome.PASS, "none_seen", message)
