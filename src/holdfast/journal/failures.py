"""Why a play did not succeed: what its gates, and what is missing in the journal, say of its hosts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from holdfast.evidence import HEALTHY, HOSTS
from holdfast.journal import events as ev
from holdfast.journal.run_state import Batch, Failure, Inspection, RunState, Turn, claim_names
from holdfast.model import Outcome, Phase
from holdfast.text import join_names


def all_proved(inspection: Inspection) -> bool:
    """Return whether every gate passed, and every host and claim of the inspection has one.

    A gate that is missing in the journal proves nothing.
    """
    gates = inspection.gates
    asked = {gate.host for gate in gates}
    if inspection.what == "sweep":
        asked = set(swept(gates, inspection.hosts))
    return (
        all(gate.outcome is Outcome.PASS for gate in gates)
        and set(inspection.hosts) <= asked
        and inspection.claim_names() <= _passed(gates)
    )


def _passed(gates: Iterable[ev.GateJudged]) -> set[str]:
    verdicts = (verdict for gate in gates for verdict in gate.verdicts)
    return {verdict["claim"] for verdict in verdicts if verdict["outcome"] == Outcome.PASS}


_HOST_ENDS: Mapping[ev.HostEnd, str] = {
    "failed": "the play failed",
    "unreachable": "the host was unreachable",
    "absent": "the play did not reach the host",
}


def batch_failure(
    event: ev.BatchEnded, batch: Batch, gates: list[ev.GateJudged], state: RunState
) -> Failure | None:
    """Return why the play of a batch did not succeed; None where it did."""
    # A host that failed explains those that the play never reached: it comes first.
    ends = sorted(event.hosts.items(), key=lambda item: item[1] == "absent")
    bad = {host: _HOST_ENDS[end] for host, end in ends if end != "ok"}
    unproved = _unproved(batch, gates, state)
    if event.status == "ok" and not bad and not unproved:
        return None
    host = next(iter(bad), next(iter(unproved), ""))
    if event.status == "ok":
        reason = (unproved | bad)[host]
    else:
        ran = "the play ran on no host" if event.status == "no_hosts" else "the play failed"
        reason = bad.get(host, ran)
    text = f"{host}: {reason}" if host else reason
    proved = set(state.done()) - set(batch.hosts)
    return play_failure(event, host, gates, text, proved)


def failed_beside(
    event: ev.BatchEnded, batch: Batch, gates: Iterable[ev.GateJudged], state: RunState
) -> Failure | None:
    """Return the failure of another batch whose gate had this one begin nothing more; None where it failed by itself.

    What gives back what it has drained may end after those that were told of its failure.
    """
    turns = [state.step.turns.get(host) for host in batch.hosts]
    by_itself = any(turn and turn.restarts for turn in turns) or _first_bad(gates)
    for other in () if by_itself else state.under_way:
        if gate := _first_bad(other.gates):
            proved = set(state.done()) - set(other.hosts)
            return gate_failure(event.step, gate.host, other.gates, proved)
    return None


def _first_bad(gates: Iterable[ev.GateJudged]) -> ev.GateJudged | None:
    return next((gate for gate in gates if gate.outcome is not Outcome.PASS), None)


def _unproved(batch: Batch, gates: Iterable[ev.GateJudged], state: RunState) -> dict[str, str]:
    """Return the hosts of a batch and of its sweep of which the journal has no proof, and what is missing."""
    turns = state.steps[batch.step].turns if batch.step in state.steps else {}
    missing = "host_done" if Phase.VERIFY in batch.phases else "that the drain was undone"
    reasons = {
        host: f"the play ended without recording {missing}"
        for host in batch.hosts
        if not _succeeded(turns.get(host), batch)
    }
    asked = swept(gates, batch.sweep)
    if asked is not batch.sweep:
        for host in batch.sweep:
            if host not in asked:
                reasons.setdefault(host, "the play ended without a sweep of this host")
    surveyed = _passed(gate for gate in gates if gate.phase == "check")
    if lacking := sorted(claim_names(batch.survey) - surveyed):
        reasons.setdefault(batch.hosts[0], f"the play ended without asking {join_names(lacking)}")
    return reasons


def swept(gates: Iterable[ev.GateJudged], hosts: Collection[str]) -> Collection[str]:
    """Return those of the hosts to sweep that the gates asked.

    One gate asks them all, and says how many; in older journals each host had a gate of its own.
    """
    sweeps = [gate for gate in gates if gate.phase == "sweep"]
    counts = [v.get("evidence", {}).get(HOSTS) for gate in sweeps for v in gate.verdicts]
    return hosts if len(hosts) in counts else {gate.host for gate in sweeps}


def _succeeded(turn: Turn | None, batch: Batch) -> bool:
    if Phase.VERIFY not in batch.phases:
        return turn is None or turn.drain is None
    return turn is not None and turn.done


def play_failure(
    ended: ev.BatchEnded | ev.InspectionEnded,
    host: str,
    gates: list[ev.GateJudged],
    otherwise: str,
    proved: Collection[str] = (),
) -> Failure:
    """Return ``gate_failure``; where every gate passed the play's own output, and without that ``otherwise``."""
    if failure := gate_failure(ended.step, host, gates, proved):
        return failure
    output = ended.messages.get(host) or next(iter(ended.messages.values()), "")
    return Failure(ended.step, host, "", output or otherwise)


def gate_failure(
    step: int, host: str, gates: list[ev.GateJudged], proved: Collection[str] = ()
) -> Failure | None:
    """Return the failure with the evidence of the last gate that did not pass, on ``host`` if given; None without one.

    Of several ill hosts it names one of ``proved``, which the run has restarted: with it others may not answer either.
    """
    bad = [gate for gate in gates if gate.outcome is not Outcome.PASS]
    gate = next((gate for gate in reversed(bad) if host in {"", gate.host}), None)
    if gate is None:
        return None
    failed, unknown = _describe(gate, Outcome.FAIL), _describe(gate, Outcome.UNKNOWN)
    if failed and len(unknown) > 1:
        unknown = [unknown[0], f"and {len(unknown) - 1} more UNKNOWN"]
    evidence = failed + unknown
    if others := [] if host else sorted({each.host for each in bad} - {gate.host}):
        evidence.append(f"also not PASS on {join_names(others)}")
    decisive = Outcome.FAIL if failed else Outcome.UNKNOWN
    claim = next((v["claim"] for v in gate.verdicts if v["outcome"] == decisive), "")
    asked, ill = host or gate.host, _ill(gate)
    # The hosts of a gate vouch for each other: the one that is ill need not be the one that asked.
    relapsed = [each for each in ill if each in proved and gate.phase == Phase.PREFLIGHT]
    named = next(iter(relapsed), asked if asked in ill or not ill else ill[0])
    if host and named != asked:
        evidence.append(f"seen by the gate {gate.gate!r} of {asked}")
    return Failure(step, named, claim, "; ".join(evidence), ill)


def _ill(gate: ev.GateJudged) -> tuple[str, ...]:
    """Return the hosts that the gate's verdicts found broken; after a sweep without any, those that gave no answer."""
    facts = [each for verdict in gate.verdicts for each in verdict.get("hosts", {}).items()]
    bad = (verdict for verdict in gate.verdicts if verdict["outcome"] == Outcome.FAIL)
    broken = (each for verdict in bad for each in verdict.get("hosts", {}).items())
    ill = dict.fromkeys(host for host, each in broken if each.get(HEALTHY) is False)
    silent = dict.fromkeys(host for host, each in facts if each.get(HEALTHY, True) is None)
    return tuple(ill or silent)


def _describe(gate: ev.GateJudged, outcome: Outcome) -> list[str]:
    """Return the messages of a gate's verdicts with this outcome, each once: claims share probes."""
    verdicts = [verdict for verdict in gate.verdicts if verdict["outcome"] == outcome]
    return list(dict.fromkeys(f"{outcome} {v['reason']}: {v['message']}" for v in verdicts))
