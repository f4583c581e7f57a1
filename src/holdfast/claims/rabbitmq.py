"""The claims about RabbitMQ: what the cluster, its queues and its clients must be like around a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, model_validator

from holdfast.claims.base import Claim, Parameters
from holdfast.errors import InvalidInput
from holdfast.judges.rabbitmq import clients, cluster, queues, seen
from holdfast.model import Verdict
from holdfast.probes.base import ProbeContext
from holdfast.probes.rabbitmq import looks
from holdfast.probes.rabbitmq.nova_queues import GROUPS as NOVA_GROUPS
from holdfast.probes.rabbitmq.nova_queues import NovaName, nova_consumers
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
    """Which queues of the virtual host ``vhost``.

    ``queues``: names and the least number of consumers each must have. ``of_nova``: also those of
    every nova service in the inventory.
    """

    queues: dict[str, int] = Field(default_factory=dict)
    of_nova: bool = False
    vhost: str = "/"

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.queues and not self.of_nova:
            raise ValueError("name queues, or say of_nova")
        return self


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


def _cluster(look: ProbeContext, _: Parameters) -> seen.Cluster:
    return seen.Cluster.model_validate(looks.look_at_cluster(look))


def _queues(look: ProbeContext, _: Parameters) -> seen.Queues:
    return seen.Queues.model_validate(looks.look_at_queues(look))


def _depths(look: ProbeContext, asked: OfQueues) -> seen.Depths:
    wanted = {**(nova_consumers(look) if asked.of_nova else {}), **asked.queues}
    if not wanted:
        raise InvalidInput(
            "of_nova names no queue: this inventory has no host in " + ", ".join(NOVA_GROUPS),
            remedy="leave the claim out",
        )
    return seen.Depths.model_validate(looks.look_at_depths(look, asked.vhost, wanted))


def _quorum(look: ProbeContext, asked: OfHost) -> seen.Quorum:
    return seen.Quorum.model_validate(looks.look_at_quorum(look, asked.host or look.host))


def _drained(look: ProbeContext, asked: OfHost) -> seen.Drained:
    return seen.Drained.model_validate(looks.look_at_drained(look, asked.host or look.host))


def _booted(look: ProbeContext, asked: OfHost) -> seen.Booted:
    return seen.Booted.model_validate(looks.look_at_booted(look, asked.host or look.host))


def _trips(look: ProbeContext, asked: Through) -> seen.Trips:
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
        needs=(*RabbitSite.needs(), *NovaName.needs()),
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
        "each named queue, or each of nova's, has at least so many consumers",
        queues.consumers_expected,
        probe=_depths,
        parameters=OfQueues,
        also=NOVA_GROUPS,
    ),
    _claim(
        "consumers_known",
        "the consumers of the named queues, or of nova's, can be counted; they are the evidence, for a baseline",
        queues.consumers_known,
        probe=_depths,
        parameters=OfQueues,
        also=NOVA_GROUPS,
    ),
    _claim(
        "queues_drain",
        "in none of the named queues do waiting messages grow over three samples",
        queues.queues_drain,
        lambda asked: (asked.spacing_seconds,),
        probe=_depths,
        parameters=Backlog,
        probe_parameters=OfQueues,
        also=NOVA_GROUPS,
    ),
    _claim(
        "load_known",
        "connections and churn can be read; they are the evidence, for a baseline",
        clients.load_known,
        probe=_cluster,
    ),
    _claim(
        "connections_at_baseline",
        "clients are back: no fewer connections than before the first restart, no more than twice as many",
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
