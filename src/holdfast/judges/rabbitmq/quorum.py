"""Judge whether a majority remains without one node."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.judges.base import first_few
from holdfast.model import Json, Outcome, Unanswered, Verdict
from holdfast.observations.rabbitmq import QueuePlacement, QueuePlacements, QuorumState

MAX_NAMED = 5  # queues of the broker's own check that a message names


def quorum_holds_without(claim: str, state: QuorumState, accepted: str = "") -> Verdict:
    """PASS where with this node away the cluster and every queue would keep a majority; ask before draining.

    Counted here for the members of the cluster (Khepri stops without a majority; under Mnesia ``pause_minority`` stops
    the rest) and for every queue, and asked of the broker itself. Ask before draining: in maintenance mode the broker's
    check passes without having checked anything (3.10.8). ``accepted`` is a person's recorded reason to lose a majority
    all the same, as a cluster of two must; it never covers what could not be found out.
    """
    losses, missing = _losses(state), _missing_answers(state)
    evidence: dict[str, Json] = {"host": state.host, "losses": losses, "unanswered": missing}
    if losses and not (accepted and not missing):
        message = f"without {state.host}: {'; '.join(losses)}"
        return Verdict(claim, Outcome.FAIL, "majority_would_be_lost", message, evidence)
    if missing:
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", "; ".join(missing), evidence)
    if losses:
        message = f"accepted ({accepted}): without {state.host}: {'; '.join(losses)}"
        return Verdict(claim, Outcome.PASS, "accepted", message, {**evidence, "accepted": accepted})
    message = (
        f"the cluster and all its quorum queues and streams keep a majority without {state.host}"
    )
    return Verdict(claim, Outcome.PASS, "holds", message, evidence)


def _losses(state: QuorumState) -> list[str]:
    """Return all that would be without a majority if the host's node stopped now."""
    expected, losses = state.cluster.expected, []
    node = expected[state.host]
    views = state.cluster.answered.values()
    members = frozenset(expected.values()).union(*(view.members for view in views))
    survivors = frozenset.intersection(members, *(view.running for view in views)) - {node}
    if len(survivors) <= len(members) // 2:
        losses.append(f"{len(survivors)} of {len(members)} nodes left, no majority")
    for queues in _replicated(state):
        if queues.members is None or queues.online is None:
            continue  # one of the missing answers
        left = queues.online - {node}
        if node in queues.members and len(left) <= len(queues.members) // 2:
            losses.append(f"{len(left)} of {len(queues.members)} members left: {queues}")
    if state.critical and not isinstance(state.critical, Unanswered):
        names = first_few(state.critical, MAX_NAMED, ", ")
        losses.append(f"the broker's own check names as critical: {names}")
    return losses


def _missing_answers(state: QuorumState) -> list[str]:
    """Return why something that has to be known is not."""
    causes = list(state.cluster.silent.values())
    causes += [
        part.cause for part in (state.queues, state.critical) if isinstance(part, Unanswered)
    ]
    causes += [
        f"{state.host} does not report yet where these queues are: {queues}"
        for queues in _replicated(state)
        if queues.members is None or queues.online is None
    ]
    return list(dict.fromkeys(causes))


def _replicated(state: QuorumState) -> Iterator[QueuePlacement]:
    if isinstance(state.queues, QueuePlacements):
        yield from (queues for queues in state.queues.placements if queues.replicated)
