"""The claims about RabbitMQ: what the cluster, its queues and its clients must be like around a restart."""

from __future__ import annotations

from functools import partial
from typing import Self

from pydantic import Field, model_validator

from holdfast.claims.base import Claim, Parameters
from holdfast.judges.rabbitmq import cluster, drain, queues, quorum, round_trip
from holdfast.nova_services import RPC_SERVICES, groups_of
from holdfast.probes.nova.site import NovaHost
from holdfast.probes.rabbitmq.cluster import probe_boot, probe_cluster
from holdfast.probes.rabbitmq.drain import probe_drain
from holdfast.probes.rabbitmq.queues import probe_depths, probe_queues
from holdfast.probes.rabbitmq.quorum import probe_quorum
from holdfast.probes.rabbitmq.round_trip import probe_round_trips
from holdfast.probes.rabbitmq.site import GROUP, RabbitSite


class NodeParameters(Parameters):
    """``host``: whose node, by its inventory name; the task's own by default."""

    host: str = ""


class QuorumParameters(NodeParameters):
    """``accepted``: why a person takes the loss of a majority; recorded, and never covers an unknown."""

    accepted: str = ""


class RoundTripParameters(Parameters):
    """``through``: the hosts whose nodes the message goes through; all by default."""

    through: tuple[str, ...] = ()


class QueueParameters(Parameters):
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
            raise ValueError("name queues, or set of_nova")
        return self


class QueueGrowthParameters(QueueParameters):
    """``spacing_seconds``: how far apart samples lie; the broker counts afresh every 5 s."""

    spacing_seconds: float = Field(default=5.0, gt=0)


class BaselineParameters(Parameters):
    """``baseline``: the figure before the first restart.

    How far off it may be: ``tolerance`` (a share of it) or ``slack`` (absolute), whichever is more.
    """

    baseline: float = Field(ge=0)
    tolerance: float = Field(default=0.2, ge=0)
    slack: float = Field(default=5.0, ge=0)


_claim = partial(Claim, group=GROUP, needs=(*RabbitSite.needs(), *NovaHost.needs()))
_about_cluster = partial(_claim, probe=probe_cluster)
_about_depths = partial(_claim, probe=probe_depths, also=groups_of(RPC_SERVICES))

CLAIMS: tuple[Claim, ...] = (
    _about_cluster(
        name="rabbitmq.members_agree",
        summary="in every node's own view the running members are exactly the inventory's group",
        judge=cluster.members_agree,
        standing=True,
    ),
    _about_cluster(
        name="rabbitmq.no_alarms",
        summary="no memory or disk alarm is in effect on any node",
        judge=cluster.no_alarms,
        standing=True,
    ),
    _about_cluster(
        name="rabbitmq.no_partitions",
        summary="no node reports a partition, and all nodes see the same members running",
        judge=cluster.no_partitions,
        standing=True,
    ),
    _claim(
        name="rabbitmq.amqp_round_trip",
        summary="a message of our own goes through each node: declared, confirmed, consumed, deleted",
        probe=probe_round_trips,
        judge=round_trip.amqp_round_trip,
        parameters=RoundTripParameters,
        standing=True,
    ),
    _claim(
        name="rabbitmq.quorum_queues_whole",
        summary="every quorum queue and stream has a leader and all its members online",
        probe=probe_queues,
        judge=queues.quorum_queues_whole,
        standing=True,
    ),
    _claim(
        name="rabbitmq.mirrors_in_sync",
        summary="every mirrored classic queue (3.x) has a mirror and all its mirrors are in sync",
        probe=probe_queues,
        judge=queues.mirrors_in_sync,
        standing=True,
    ),
    _claim(
        name="rabbitmq.quorum_holds_without",
        summary="with this node away the cluster and every queue would keep a majority; ask before draining",
        probe=probe_quorum,
        judge=quorum.quorum_holds_without,
        parameters=QuorumParameters,
    ),
    _claim(
        name="rabbitmq.drained",
        summary="peers see the node in maintenance, and no client connection is left on it",
        probe=probe_drain,
        judge=drain.drained,
        parameters=NodeParameters,
    ),
    _claim(
        name="rabbitmq.booted",
        summary="the node runs, with its virtual hosts and its AMQP listener up",
        probe=probe_boot,
        judge=cluster.booted,
        parameters=NodeParameters,
    ),
    _about_depths(
        name="rabbitmq.consumers_expected",
        summary="each named queue, or each of nova's, has at least so many consumers",
        judge=queues.consumers_expected,
        parameters=QueueParameters,
    ),
    _about_depths(
        name="rabbitmq.consumers_known",
        summary="the consumers of the named queues, or of nova's, can be counted; the counts are for a baseline",
        judge=queues.consumers_known,
        parameters=QueueParameters,
    ),
    _about_depths(
        name="rabbitmq.queues_drain",
        summary="in none of the named queues do waiting messages grow over three samples",
        judge=queues.queues_drain,
        judges_history=True,
        parameters=QueueGrowthParameters,
    ),
    _about_cluster(
        name="rabbitmq.load_known",
        summary="connections and churn can be read; they are the evidence, for a baseline",
        judge=cluster.load_known,
    ),
    _about_cluster(
        name="rabbitmq.connections_at_baseline",
        summary="clients are back: no fewer connections than before the first restart, no more than twice as many",
        judge=cluster.connections_at_baseline,
        parameters=BaselineParameters,
    ),
    _about_cluster(
        name="rabbitmq.churn_at_baseline",
        summary="connections come and go no faster than before the first restart, give or take the tolerance",
        judge=cluster.churn_at_baseline,
        parameters=BaselineParameters,
    ),
)
