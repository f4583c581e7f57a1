"""Judge whether a node is drained."""

from __future__ import annotations

from holdfast.model import Outcome, Verdict
from holdfast.observations.rabbitmq import DrainState


def drained(claim: str, drain: DrainState) -> Verdict:
    """PASS where every peer sees the node in maintenance, and no client connection is left on it.

    The exit status of a drain is weak evidence, and the node's own API is off after it. A peer that is silent
    may be down: then the node must not be stopped as well.
    """
    evidence = {
        "marked": dict(drain.marked),
        "connections": drain.connections,
        "unanswered": dict(drain.silent),
    }
    silent = "".join(f"; {cause}" for cause in drain.silent.values())
    if not all(drain.marked.values()):
        peers = ", ".join(host for host, marked in drain.marked.items() if not marked)
        message = f"{drain.host} is not in maintenance in the view of {peers}{silent}"
        return Verdict(claim, Outcome.FAIL, "not_in_maintenance", message, evidence)
    if drain.connections:
        message = f"{drain.connections} client connections are left on {drain.host}{silent}"
        return Verdict(claim, Outcome.FAIL, "connections_left", message, evidence)
    if drain.silent or not drain.marked:
        message = (
            silent.removeprefix("; ") or f"no peer reported whether {drain.host} is in maintenance"
        )
        return Verdict(claim, Outcome.UNKNOWN, "unanswered", message, evidence)
    peers = ", ".join(drain.marked)
    message = f"{drain.host} is in maintenance in the view of {peers}, no connection is left"
    return Verdict(claim, Outcome.PASS, "drained", message, evidence)
