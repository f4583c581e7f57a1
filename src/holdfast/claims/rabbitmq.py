"""The claims about RabbitMQ: what the cluster, its queues and its clients must be like around a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from holdfast.claims.base import Claim, Parameters
from holdfast.gates.rabbitmq import clients, cluster, queues, seen
from holdfast.model import Verdict
from holdfast.probes.base import Look
from holdfast.probes.rabbitmq import looks
from holdfast.probes.rabbitmq.round_trip import look_at_trips
from holdfast.probes.rabbitmq.site import GROUP, RabbitSite

Judge = Callable[..., Verdict]  # (claim's name, history, parameters)
Arguments = Callable[[Any], tuple[Any, ...]]  # a claim's parameters as its judge takes them


class OfHost(Parameters):
    """``host``: whose node, by its inventory name; the task's own by default."""

    host: str = ""


class WithoutHost(OfHost):
    """``accepted``: why a person takes the loss of a majority; recorded, and never covers an unknown."""

    accepted: str = ""


class Through(Parameters):
    """``through``: the hosts whose nodes the message goes through; all by default."""

    through: tuple[str, ...] = ()


class OfQueues(Parameters):
    """``queues``: names and the least number of consumers each must have; ``vhost``: where they are."""

    queues: dict[str, int] = Field(min_length=1)
    vhost: str = "/"


class Backlog(OfQueues):
    """``spacing_seconds``: how far apart samples lie; the broker counts afresh every 5 s."""

    spacing_seconds: float = Field(default=5.0, gt=0)


class Baseline(Parameters):
    """``baseline``: the figure before the first restart.

    ``tolerance`` (a share of it) and ``slack`` (absolute) say how far off is still the same: whichever is more.
    """

    baseline: float = Field(ge=0)
    tolerance: float = Field(default=0.2, ge=0)
    slack: float = Field(default=5.0, ge=0)

    @property
    def allowed(self) -> float:
        """How far off the figure may be."""
        return max(self.slack, self.baseline * self.tolerance)


def _cluster(look: Look, _: Parameters) -> seen.Cluster:
    return seen.Cluster.model_validate(looks.look_at_cluster(look))


def _queues(look: Look, _: Parameters) -> seen.Queues:
    return seen.Queues.model_validate(looks.look_at_queues(look))


def _depths(look: Look, asked: OfQueues) -> seen.Depths:
    return seen.Depths.model_validate(looks.look_at_depths(look, asked.vhost, asked.queues))


def _quorum(look: Look, asked: OfHost) -> seen.Quorum:
    return seen.Quorum.model_validate(looks.look_at_quorum(look, asked.host or look.host))


def _drained(look: Look, asked: OfHost) -> seen.Drained:
    return seen.Drained.model_validate(looks.look_at_drained(look, asked.host or look.host))


def _booted(look: Look, asked: OfHost) -> seen.Booted:
    return seen.Booted.model_validate(looks.look_at_booted(look, asked.host or look.host))


def _trips(look: Look, asked: Through) -> seen.Trips:
    return seen.Trips.model_validate(look_at_trips(look, asked.through))


def _none(_: Parameters) -> tuple[Any, ...]:
    return ()


def _claim(
    name: str, summary: str, judge: Judge, arguments: Arguments = _none, **more: Any
) -> Claim:
    """A claim of this system; its judge is told the claim's name and its part of the parameters."""
    return Claim(
        name=f"rabbitmq.{name}",
        summary=summary,
        judge=lambda history, asked: judge(f"rabbitmq.{name}", history, *arguments(asked)),
        group=GROUP,
        needs=RabbitSite.needs(),
        **more,
    )


CLAIMS: tuple[Claim, ...] = (
    _claim(
        "members_agree",
        "in every node's own view the running members are exactly the inventory's group",
        cluster.members_agree,
        probe=_cluster,
        standing=True,
    ),
    _claim(
        "no_alarms",
        "no memory or disk alarm is in effect on any node",
        cluster.no_alarms,
        probe=_cluster,
        standing=True,
    ),
    _claim(
        "no_partitions",
        "no node is cut off: none admits it, and all see the same members running",
        cluster.no_partitions,
        probe=_cluster,
        standing=True,
    ),
    _claim(
        "amqp_round_trip",
        "a message of our own goes through each node: declared, confirmed, consumed, deleted",
        clients.amqp_round_trip,
        probe=_trips,
        parameters=Through,
        standing=True,
    ),
    _claim(
        "quorum_queues_whole",
        "every quorum queue and stream has a leader and all its members online",
        queues.quorum_queues_whole,
        probe=_queues,
        standing=True,
    ),
    _claim(
        "mirrors_in_sync",
        "every mirrored classic queue (3.x) has a mirror and all its mirrors are in sync",
        queues.mirrors_in_sync,
        probe=_queues,
        standing=True,
    ),
    _claim(
        "quorum_holds_without",
        "with this node away the cluster and every queue would keep a majority; ask before draining",
        queues.quorum_holds_without,
        lambda asked: (asked.accepted,),
        probe=_quorum,
        parameters=WithoutHost,
        probe_parameters=OfHost,
    ),
    _claim(
        "drained",
        "peers see the node in maintenance, and no client connection is left on it",
        clients.drained,
        probe=_drained,
        parameters=OfHost,
    ),
    _claim(
        "booted",
        "the node runs, with its virtual hosts and its AMQP listener up",
        cluster.booted,
        probe=_booted,
        parameters=OfHost,
    ),
    _claim(
        "consumers_expected",
        "each named queue has at least so many consumers",
        queues.consumers_expected,
        lambda asked: (asked.queues,),
        probe=_depths,
        parameters=OfQueues,
    ),
    _claim(
        "queues_drain",
        "in none of the named queues do waiting messages grow over three samples",
        queues.queues_drain,
        lambda asked: (tuple(asked.queues), asked.spacing_seconds),
        probe=_depths,
        parameters=Backlog,
        probe_parameters=OfQueues,
    ),
    _claim(
        "load_known",
        "connections and churn can be read; they are the evidence, for a baseline",
        clients.load_known,
        probe=_cluster,
    ),
    _claim(
        "connections_at_baseline",
        "as many client connections as before the first restart, give or take the tolerance",
        clients.connections_at_baseline,
        lambda asked: (asked.baseline, asked.allowed),
        probe=_cluster,
        parameters=Baseline,
        probe_parameters=Parameters,
    ),
    _claim(
        "churn_at_baseline",
        "connections come and go no faster than before the first restart, give or take the tolerance",
        clients.churn_at_baseline,
        lambda asked: (asked.baseline, asked.allowed),
        probe=_cluster,
        parameters=Baseline,
        probe_parameters=Parameters,
    ),
)
