"""The claims about RabbitMQ: what the cluster, its queues and its clients must be like around a restart."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Self

from pydantic import Field, model_validator

from holdfast.claims.base import Claim, Parameters
from holdfast.claims.systemd import CALM_SECONDS, FlappingParameters
from holdfast.judges.flapping import FLAPPING, none_flapping
from holdfast.judges.processes import processes_run
from holdfast.judges.rabbitmq import cluster, drain, load, place, queues, quorum, round_trip
from holdfast.judges.systemd import RESTARTED, units_stay_up
from holdfast.nova_services import RPC_SERVICES, groups_of
from holdfast.probes.nova.site import QueuesSite
from holdfast.probes.rabbitmq.cluster import probe_boot, probe_clients, probe_cluster
from holdfast.probes.rabbitmq.drain import probe_drain
from holdfast.probes.rabbitmq.load import probe_load
from holdfast.probes.rabbitmq.members import probe_members
from holdfast.probes.rabbitmq.place import (
    probe_broker_starts,
    probe_place,
    probe_tools,
    probe_units,
)
from holdfast.probes.rabbitmq.processes import probe_broker_processes
from holdfast.probes.rabbitmq.queues import probe_depths, probe_queues
from holdfast.probes.rabbitmq.quorum import probe_quorum
from holdfast.probes.rabbitmq.round_trip import probe_round_trips
from holdfast.probes.rabbitmq.site import GROUP, RabbitSite

IF_IT_HOLDS = "holdfast show rabbitmq-restart#if-it-holds"


class BrokersParameters(Parameters):
    """``calm_seconds``: how long a start by systemd itself must have lasted to count."""

    calm_seconds: float = Field(CALM_SECONDS, ge=0)


class NodeParameters(Parameters):
    """``host``: whose node, by its inventory name; the task's own by default."""

    host: str = ""


class PlaceParameters(Parameters):
    """``unit``: the unit in which the node of the task's host must run."""

    unit: str = "rabbitmq-server"


class ClusterParameters(Parameters):
    """``drained``: the host whose node is in maintenance, so that a command asks it instead of its API."""

    drained: str = ""


class WholeParameters(Parameters):
    """``without``: the host whose node does not count, since it is in maintenance."""

    without: str = ""


class MembersParameters(NodeParameters):
    """``entries``: so many entries a member may be behind its leader."""

    entries: int = Field(default=0, ge=0)


class QuorumParameters(NodeParameters):
    """``accepted``: why a person takes the loss of a majority; recorded, and never covers an unknown.

    ``drained``: the node is in maintenance already, where the broker's own check always passes.
    """

    accepted: str = ""
    drained: bool = False


class RoundTripParameters(Parameters):
    """``through``: the hosts whose nodes the message goes through; all by default."""

    through: tuple[str, ...] = ()


class QueueParameters(Parameters):
    """``vhost``: the virtual host of the queues.

    ``queues``: names and the least number of consumers each must have; those of another virtual host below its name.
    ``of_nova``: also those of every nova service in the inventory, in the virtual host of its transport URL.
    """

    queues: dict[str, int | dict[str, int]] = Field(default_factory=dict)
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


class RoomParameters(Parameters):
    """``share``: the part of a resource from which on too little is left."""

    share: float = Field(default=0.9, gt=0, le=1)


class GrowthParameters(Parameters):
    """``spacing_seconds``: how far apart samples lie; the broker counts afresh every 5 s.

    ``slack``: so many messages more than in the first sample are no growth.
    """

    spacing_seconds: float = Field(default=5.0, gt=0)
    slack: int = Field(default=20, ge=0)


class BaselineParameters(Parameters):
    """``baseline``: the figure before the first restart.

    ``tolerance``: how far off it may be, as a share of it. ``slack``: how far off, absolute; whichever is more.
    """

    baseline: float = Field(ge=0)
    tolerance: float = Field(default=0.2, ge=0)
    slack: float = Field(default=5.0, ge=0)


class BacklogParameters(Parameters):
    """``baseline``: messages by kind before the first restart, as ``rabbitmq.backlog_known`` has them.

    ``tolerance``: how many more there may be, as a share of it. ``slack``: how many more, absolute; whichever is more.
    """

    baseline: dict[str, Annotated[int, Field(ge=0)]] = Field(min_length=1)
    tolerance: float = Field(default=1.0, ge=0)
    slack: float = Field(default=500, ge=0)


_claim = partial(Claim, group=GROUP, needs=RabbitSite.needs())
_about_cluster = partial(_claim, probe=probe_cluster, parameters=ClusterParameters, standing=True)
_about_clients = partial(_claim, probe=probe_clients)
_about_depths = partial(
    _claim,
    probe=probe_depths,
    also=groups_of(RPC_SERVICES),
    needs=(*RabbitSite.needs(), *QueuesSite.needs()),
)

CLAIMS: tuple[Claim, ...] = (
    _about_cluster(
        name="rabbitmq.members_agree",
        remedy=IF_IT_HOLDS,
        judge=cluster.members_agree,
        final=(cluster.ANOTHER_NODE,),
    ),
    _about_cluster(
        name="rabbitmq.none_left_drained",
        remedy="if no run is under way (holdfast status), on the broker: rabbitmq-upgrade revive",
        judge=cluster.none_left_drained,
    ),
    _about_cluster(
        name="rabbitmq.no_alarms",
        remedy="on a broker: rabbitmq-diagnostics alarms",
        judge=cluster.no_alarms,
    ),
    _about_cluster(
        name="rabbitmq.no_partitions",
        remedy="holdfast show rabbitmq-recover#partition; holdfast diagnose says which side",
        judge=cluster.no_partitions,
    ),
    _claim(
        name="rabbitmq.has_room",
        remedy="on a broker: rabbitmq-diagnostics status",
        probe=probe_load,
        judge=load.has_room,
        parameters=RoomParameters,
        standing=True,
    ),
    _claim(
        name="rabbitmq.units_stay_up",
        remedy="on the host: systemctl --failed; holdfast check --for 60s watches",
        probe=probe_units,
        judge=units_stay_up,
        judges_history=True,
        final=(RESTARTED,),
        parameters=BrokersParameters,
        standing=True,
    ),
    _claim(
        name="rabbitmq.processes_run",
        remedy="on the host: systemctl status rabbitmq-server; holdfast diagnose says why",
        probe=probe_broker_processes,
        judge=processes_run,
    ),
    _claim(
        name="rabbitmq.none_flapping",
        remedy="on the host: journalctl -u rabbitmq-server; then stop restarting its clients",
        probe=probe_broker_starts,
        judge=none_flapping,
        final=(FLAPPING,),
        parameters=FlappingParameters,
    ),
    _claim(
        name="rabbitmq.backlog_steady",
        remedy="on a broker: rabbitmqctl list_queues name messages consumers",
        probe=probe_load,
        judge=load.backlog_steady,
        judges_history=True,
        in_time=(queues.TOO_FEW_SAMPLES,),
        parameters=GrowthParameters,
    ),
    _claim(
        name="rabbitmq.backlog_known",
        remedy="on a broker: rabbitmq-plugins list --enabled",
        probe=probe_load,
        judge=load.backlog_known,
    ),
    _claim(
        name="rabbitmq.backlog_at_baseline",
        remedy="on a broker: rabbitmqctl list_queues name messages consumers",
        probe=probe_load,
        judge=load.backlog_at_baseline,
        parameters=BacklogParameters,
    ),
    _claim(
        name="rabbitmq.tools_present",
        remedy="on the broker: rabbitmq-diagnostics status",
        probe=probe_tools,
        judge=place.tools_present,
        standing=True,
    ),
    _claim(
        name="rabbitmq.amqp_round_trip",
        remedy="on the broker: rabbitmq-diagnostics check_port_connectivity",
        probe=probe_round_trips,
        judge=round_trip.amqp_round_trip,
        parameters=RoundTripParameters,
        standing=True,
    ),
    _claim(
        name="rabbitmq.quorum_queues_whole",
        remedy="on a broker: rabbitmqctl list_queues name type leader members online",
        probe=probe_queues,
        judge=queues.quorum_queues_whole,
        parameters=WholeParameters,
        standing=True,
    ),
    _claim(
        name="rabbitmq.members_caught_up",
        remedy="on a broker: rabbitmqctl list_queues name type leader members online",
        probe=probe_members,
        judge=queues.members_caught_up,
        judges_history=True,
        in_time=(queues.TOO_FEW_SAMPLES,),
        parameters=MembersParameters,
    ),
    _claim(
        name="rabbitmq.mirrors_in_sync",
        remedy="on a broker: rabbitmqctl list_queues name slave_pids synchronised_slave_pids",
        probe=probe_queues,
        judge=queues.mirrors_in_sync,
        standing=True,
    ),
    _claim(
        name="rabbitmq.quorum_holds_without",
        remedy=IF_IT_HOLDS,
        probe=probe_quorum,
        judge=quorum.quorum_holds_without,
        parameters=QuorumParameters,
    ),
    _claim(
        name="rabbitmq.node_is_local",
        remedy=IF_IT_HOLDS,
        probe=probe_place,
        judge=place.node_is_local,
        parameters=PlaceParameters,
        final=(place.ELSEWHERE,),
    ),
    _claim(
        name="rabbitmq.drained",
        remedy=IF_IT_HOLDS,
        probe=probe_drain,
        judge=drain.drained,
        parameters=NodeParameters,
    ),
    _claim(
        name="rabbitmq.booted",
        remedy="on the broker: journalctl -u rabbitmq-server",
        probe=probe_boot,
        judge=cluster.booted,
        parameters=NodeParameters,
    ),
    _about_depths(
        name="rabbitmq.consumers_expected",
        remedy=IF_IT_HOLDS,
        judge=queues.consumers_expected,
        parameters=QueueParameters,
    ),
    _about_depths(
        name="rabbitmq.consumers_known",
        remedy=IF_IT_HOLDS,
        judge=queues.consumers_known,
        parameters=QueueParameters,
    ),
    _about_depths(
        name="rabbitmq.queues_drain",
        remedy="on a broker: rabbitmqctl list_queues name messages consumers",
        judge=queues.queues_drain,
        judges_history=True,
        in_time=(queues.TOO_FEW_SAMPLES,),
        parameters=QueueGrowthParameters,
    ),
    _about_clients(
        name="rabbitmq.load_known",
        remedy="on a broker: rabbitmq-plugins list --enabled",
        judge=cluster.load_known,
    ),
    _about_clients(
        name="rabbitmq.connections_at_baseline",
        remedy=IF_IT_HOLDS,
        judge=cluster.connections_at_baseline,
        parameters=BaselineParameters,
    ),
    _about_clients(
        name="rabbitmq.churn_at_baseline",
        remedy=IF_IT_HOLDS,
        judge=cluster.churn_at_baseline,
        parameters=BaselineParameters,
    ),
)
