"""Judge what a change would do to a fleet, and whether a run of an agent did what its preview had said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from holdfast.evidence import ALONE, HEALTHY, HOSTS, PACKAGES, TOLD, TURN, UNITS
from holdfast.judges.base import first_few, without_secrets
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.nova_services import PEER_SERVICES
from holdfast.observations.puppet import FleetReports, HostReports, PuppetReport, run_of

OLDER = "older"
NOT_NAMED = "not_named"
DIFFERS = "differs"
RUN_FAILED = "run_failed"
NOT_OURS = "not_ours"


def previewed(claim: str, reports: FleetReports, run: str, services: Sequence[str]) -> Verdict:
    """PASS where every agent has a good preview, newer than its freeze, that restarts only the services that are named.

    The message is the blast preview: what would be restarted and changed, on how many hosts, and which hosts differ
    from the most usual. An agent that somebody else has disabled is left out, and named. A preview that is older than
    the disabled lock of ``run`` is of an older change, and is not believed. A host on which a service is restarted
    that others of nova depend on has its place in the order of the roll, and is to be alone in hand.
    """
    known = {host: each for host, each in reports.items() if isinstance(each, HostReports)}
    alone = {host: each.agent.disabled for host, each in known.items() if _left_alone(each)}
    asked = {host: each for host, each in known.items() if host not in alone}
    doubts = [
        _silence(host, each) for host, each in reports.items() if isinstance(each, Unanswered)
    ]
    faults = {host: fault for host, each in asked.items() if (fault := _preview_fault(each, run))}
    good = {
        host: each.preview for host, each in asked.items() if each.preview and host not in faults
    }
    units = {host: list(preview.services) for host, preview in good.items()}
    packages = {host: list(preview.packages) for host, preview in good.items()}
    evidence: dict[str, Json] = {HOSTS: len(reports), UNITS: units, PACKAGES: packages}
    left = [f"{host} is left alone: disabled: {message}" for host, message in alone.items()]
    surplus = sorted({unit for each in units.values() for unit in each} - set(services))
    text = "; ".join([blast(good), *left]) if good else "; ".join(left)
    if faults:
        reason = next(iter(faults.values()))[0]
        phrases = [f"{host}: {words}" for host, (_, words) in faults.items()]
        facts: dict[str, dict[str, Json]] = {host: {HEALTHY: False} for host in faults}
        message = first_few([*phrases, *doubts])
        return Verdict(claim, Outcome.FAIL, reason, message, evidence, facts)
    places: dict[str, dict[str, Json]] = {
        host: {TURN: turn, ALONE: True}
        for host in good
        if (turn := _turn(known[host], units[host])) is not None
    }
    if surplus:
        named = ",".join([*services, *surplus])
        message = f"{text}. Not named: {', '.join(surplus)}. To allow that, in a new run: --input restarts={named}"
        return Verdict(claim, Outcome.FAIL, NOT_NAMED, message, evidence, places)
    if doubts or not good:
        message = first_few(doubts) or text or "no agent was asked"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    return Verdict(claim, Outcome.PASS, "previewed", text, {**evidence, TOLD: text}, places)


def _turn(reports: HostReports, units: Sequence[str]) -> int | None:
    """Return the place in nova's order of the first restarted service that others depend on; None without one."""
    restarted = {layer for unit in units for layer in reports.layers.get(unit, ())}
    return next((turn for turn, layer in enumerate(PEER_SERVICES) if layer in restarted), None)


def _left_alone(reports: HostReports) -> bool:
    return reports.agent.disabled is not None and not run_of(reports.agent.disabled)


def _silence(host: str, silent: Unanswered) -> str:
    return f"{host}: {silent.cause.removeprefix(f'{host}: ')}"


def _preview_fault(reports: HostReports, run: str) -> tuple[str, str] | None:
    """Return why a preview says nothing about the change, as reason code and words; None where it does."""
    preview, agent = reports.preview, reports.agent
    by = run_of(agent.disabled or "")
    if run and by != run:
        return (
            NOT_OURS,
            f"its agent is not disabled by run {run}, so the change may have come by itself",
        )
    since = agent.disabled_at if by else 0
    if since is None:
        return NOT_OURS, "since when its agent is disabled is not known"
    if preview is None:
        return OLDER, "there is no preview"
    faults = {
        (
            OLDER,
            "its preview is older than the freeze, so it may be of an older change",
        ): preview.began < since,
        (OLDER, "its preview is no noop"): not preview.noop,
        (RUN_FAILED, "its preview got no catalog, or was not completed"): not preview.completed,
        (RUN_FAILED, f"its preview used a cached catalog ({preview.cached})"): preview.cached
        != "not_used",
        (RUN_FAILED, f"its preview failed: {_shown(preview.failed)}"): bool(preview.failed)
        or preview.status == "failed",
    }
    return next((fault for fault, found in faults.items() if found), None)


def blast(previews: Mapping[str, PuppetReport]) -> str:
    """Return what a change would do to the hosts, and how some differ from the most usual."""
    restarts = Counter(pair for each in previews.values() for pair in each.restarts.items())
    packages = Counter(name for each in previews.values() for name in each.packages)
    changes = Counter(line for each in previews.values() for line in sorted(each.lines))
    total = len(previews)
    if not changes:
        return f"changes nothing on {total} hosts"
    parts = [
        f"{what} {unit} on {count} of {total} hosts"
        for (unit, what), count in restarts.most_common()
    ]
    parts = parts or [f"restarts no service on {total} hosts"]
    if packages:
        names = [f"{name} on {count}" for name, count in packages.most_common()]
        parts.append(f"scripts of packages may restart more: {first_few(names, separator=', ')}")
    others = [f"{without_secrets(line)} on {count}" for line, count in changes.most_common()]
    parts.append(f"changes {first_few(others, 6, ', ')}")
    usual = Counter(each.lines for each in previews.values()).most_common(1)[0][0]
    differing = {host: each.lines for host, each in previews.items() if each.lines != usual}
    parts += [
        first_few([f"{host} differs: {difference(usual, own)}" for host, own in differing.items()])
    ]
    return "; ".join(part for part in parts if part)


def difference(expected: frozenset[str], found: frozenset[str]) -> str:
    """Return how what was found differs from what was expected."""
    more = _shown([f"also {each}" for each in sorted(found - expected)], separator=", ")
    less = _shown([f"not {each}" for each in sorted(expected - found)], separator=", ")
    return ", ".join(part for part in (more, less) if part)


def _shown(phrases: Sequence[str], separator: str = "; ") -> str:
    """Return ``first_few`` of phrases with titles of resources: that of an exec is its command, if it has no other."""
    return first_few([without_secrets(each) for each in phrases], separator=separator)


def ran_as_previewed(claim: str, reports: FleetReports) -> Verdict:
    """PASS where the agent's run succeeded with a fresh catalog and did what its preview had said."""
    faults: list[tuple[str, str]] = []
    doubts = []
    known = {host: each for host, each in reports.items() if isinstance(each, HostReports)}
    units = {host: list(each.preview.services) for host, each in known.items() if each.preview}
    evidence: dict[str, Json] = {HOSTS: len(reports), UNITS: units}
    for host, each in reports.items():
        if isinstance(each, Unanswered):
            doubts.append(_silence(host, each))
        elif fault := _run_fault(each):
            faults.append((fault[0], f"{host}: {fault[1]}"))
    if faults:
        message = first_few([*(words for _, words in faults), *doubts])
        return Verdict(claim, Outcome.FAIL, faults[0][0], message, evidence)
    if doubts or not reports:
        return Verdict(
            claim, Outcome.UNKNOWN, "unanswered", first_few(doubts) or "no agent was asked"
        )
    text = "the run did what its preview had said"
    return Verdict(claim, Outcome.PASS, "as_previewed", text, evidence)


def _run_fault(reports: HostReports) -> tuple[str, str] | None:
    run, preview = reports.run, reports.preview
    if run is None or preview is None:
        return OLDER, f"there is no report of its {'preview' if run else 'run'}"
    differs = difference(preview.lines, run.lines)
    newest = reports.agent.last is not None and reports.agent.last.transaction == run.transaction
    faults = {
        (OLDER, "its last run is older than the preview"): run.began < preview.began or not newest,
        (RUN_FAILED, "its run was a noop"): run.noop,
        (RUN_FAILED, f"its run failed: {_shown(run.failed)}"): bool(run.failed),
        (RUN_FAILED, "its run got no catalog, or was not completed"): not run.completed
        or run.status == "failed",
        (RUN_FAILED, f"its run applied a cached catalog ({run.cached})"): run.cached != "not_used",
        (DIFFERS, f"its run did something else than its preview had said: {differs}"): bool(
            differs
        ),
    }
    return next((fault for fault, found in faults.items() if found), None)
