"""Judge how far asynchronous replicas are behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.replica import ReplicaState, ReplicaStates

TOO_FEW_SAMPLES, STOPPED = "too_few_samples", "stopped"


def caught_up(claim: str, history: Sequence[ReplicaStates], seconds: float = 30) -> Verdict:
    """PASS where every replica runs without an error, and has all that its source had so many seconds ago.

    By the GTIDs that the source had at each reading of this gate, and that the replica has applied now. What a replica
    says of its own lag (``Seconds_Behind_Master``) is shown and never believed: it is 0 where nothing is received.
    """
    newest = history[-1]
    silent = [each.cause for each in newest.values() if isinstance(each, Unanswered)]
    states = {host: each for host, each in newest.items() if isinstance(each, ReplicaState)}
    faults = [fault for host, each in states.items() for fault in _faults(host, each)]
    evidence: dict[str, Json] = {
        "reported": {host: [link.reported for link in each.links] for host, each in states.items()}
    }
    if faults:
        return Verdict(claim, Outcome.FAIL, STOPPED, first_few(faults), evidence)
    lags = {host: _lag(host, history) for host in states}
    evidence |= {"at_most": {h: at_most for h, (at_most, _) in lags.items()}}
    late = [
        f"{host} is more than {seconds:g} s behind: it lacks what its source had {beyond:.1f} s ago"
        for host, (at_most, beyond) in lags.items()
        if beyond > seconds and (at_most is None or at_most > seconds)
    ]
    if late:
        return Verdict(claim, Outcome.FAIL, "behind", first_few(late), evidence)
    silent += [cause for host, each in states.items() for cause in _doubts(host, each)]
    if silent or not states:
        message = first_few(silent) or "the inventory has no replica (group galera_replicas)"
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    untold = [host for host, (at_most, _) in lags.items() if at_most is None or at_most > seconds]
    if untold:
        message = (
            f"{first_few(untold, 5, ', ')} had not yet applied what its source had {lags[untold[0]][1]:.1f} s before;"
            " later readings tell how far it is behind"
        )
        return Verdict(claim, Outcome.UNKNOWN, TOO_FEW_SAMPLES, message, evidence)
    shown = [f"{host} at most {at_most:.1f} s" for host, (at_most, _) in lags.items()]
    message = f"behind their source: {first_few(shown, 5, ', ')}"
    return Verdict(claim, Outcome.PASS, "caught_up", message, evidence)


def _faults(host: str, state: ReplicaState) -> Iterator[str]:
    """Yield what is wrong with a replica whatever its position: it has no source, or does not run."""
    if not state.links:
        yield f"{host} replicates from nobody"
    for link in state.links:
        where = f"{host}{f' ({link.name})' if link.name else ''}"
        for error in link.errors:
            yield f"{where}: the last error of its replication: {error}"
        if not link.errors and link.receives != "Yes":
            yield f"{where} does not receive from its source: its thread says {link.receives}"
        if not link.errors and link.applies != "Yes":
            yield f"{where} does not apply what it receives: its thread says {link.applies}"


def _doubts(host: str, state: ReplicaState) -> Iterator[str]:
    """Yield why it is not known what the source of a replica has."""
    if not state.source:
        yield f"{host} follows a server that is no node of the group galera"
    for each in state.source.values():
        if isinstance(each, Unanswered):
            yield f"what the source of {host} has is not known: {each.cause}"


def _lag(host: str, history: Sequence[ReplicaStates]) -> tuple[float | None, float]:
    """Return how far a replica is behind at most, None where that is not known, and how far at least.

    It is at most as old as the newest reading of its source that it has applied, and at least as the oldest that it
    lacks. Every source that is asked counts: where several have one server id, it may follow any of them.
    """
    newest = history[-1][host]
    if not isinstance(newest, ReplicaState):
        return None, 0.0
    at_most, at_least = None, 0.0
    for reading in history:
        state = reading.get(host)
        if not isinstance(state, ReplicaState) or not state.source:
            continue
        positions = list(state.source.values())
        known = [each for each in positions if not isinstance(each, Unanswered)]
        age = newest.read - state.asked
        if not all(newest.has(each) for each in known):
            at_least = max(at_least, age)
        elif len(known) == len(positions):
            at_most = age
    return at_most, at_least
